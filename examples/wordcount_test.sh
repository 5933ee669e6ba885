#!/bin/sh
# wordcount_test.sh WORDCOUNT: counts the system's headers, and compares with what the shell says.
set -eu

wordcount=$1
headers=/usr/include
limit_kib=24576 # more than a plain installation has; the shell's sort sets the pace

LC_ALL=C
export LC_ALL
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# All of the headers; where many packages added theirs, as many of the smaller ones as fit.
if [ "$(du -sk "$headers" | cut -f1)" -le "$limit_kib" ]; then
	printf '%s\n' "$headers"
else
	du -sk "$headers"/* | sort -n | while read -r kib root; do
		total=$((${total:-0} + kib))
		[ "$total" -gt "$limit_kib" ] || printf '%s\n' "$root"
	done
fi >"$work/roots"

IFS='
'
set -f
set -- $(cat "$work/roots")
timeout -k 2 12 "$wordcount" "$@" >"$work/shoal"

# A line feed after each file: a word does not go on in the next one. The first field that tr
# makes is empty where a file begins with anything but a word.
echo >"$work/newline"
find "$@" -type f -printf "%p\\0$work/newline\\0" | xargs -0 cat | tr -cs '[:alnum:]_' '\n' |
	grep . | sort | uniq -c >"$work/shell"

if ! [ -s "$work/shell" ] || ! cmp "$work/shoal" "$work/shell"; then
	diff "$work/shoal" "$work/shell" | head -20
	exit 1
fi
files=$(find "$@" -type f | wc -l)
echo "wordcount: $(wc -l <"$work/shell") distinct words in $files files, as the shell counts them"
