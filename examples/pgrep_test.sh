#!/bin/sh
# pgrep_test.sh PGREP: searches the system's headers, and compares with what grep says.
set -eu

pgrep=$1
headers=/usr/include
LC_ALL=C
export LC_ALL
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# compare PATTERN [OPTION]
compare() {
	timeout -k 2 20 "$pgrep" ${2:-} "$1" "$headers/linux" "$headers/stdio.h" >"$work/shoal" || :
	grep -rnI ${2:-} -e "$1" "$headers/linux" "$headers/stdio.h" >"$work/unsorted" || :
	# grep takes files in the directory's order: by path, then by line.
	sort -t : -k 1,1 -k 2,2n -s "$work/unsorted" >"$work/grep"
	cmp "$work/shoal" "$work/grep"
}

compare 'struct [a-z_]*addr *{'
compare '^#(if|ifdef) .*(CONFIG|__KERNEL__)' -E
compare 'no line has these words'
lines=$(compare 'int' && wc -l <"$work/shoal")
test "$lines" -gt 100
! timeout -k 2 20 "$pgrep" 'no line has these words' "$headers/stdio.h"
rc=0
timeout -k 2 20 "$pgrep" int "$headers/stdio.h" "$work/nothing" >"$work/shoal" 2>"$work/said" || rc=$?
test $rc = 2
test -s "$work/shoal"
grep -q "pgrep: $work/nothing: No such file" "$work/said"
echo "pgrep: $lines lines with int, as grep finds them"
