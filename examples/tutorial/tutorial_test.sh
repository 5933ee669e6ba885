#!/bin/sh
# tutorial_test.sh DIR [PROGRAM]: every program of the tutorials in DIR, all at once, since they mostly
# sleep; then what each one has printed is looked at, and how long it took.
#
# Output goes to files: what a process that outlives its program would hold is no pipe of ours.
set -u

dir=$1 only=${2:-s}
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
bad=0

milliseconds() { echo $(($(date +%s%N) / 1000000)); }

run() {
	begin=$(milliseconds)
	timeout -k 2 60 "$dir/$1" > "$work/$1" 2> "$work/$1.err" < /dev/null
	echo "$? $(($(milliseconds) - begin))" > "$work/$1.end"
}

fail() {
	echo "$name: $*; it took $took ms, ended with $code and said:"
	cat "$out" "$out.err"
	bad=1
}

# What the checks are made of; each looks at the program that is being checked.
count() { grep -cE "^$1\$" "$out"; }
lines() { test "$(wc -l < "$out")" -eq "$1" || fail "not $1 lines"; }
ends_with() { test "$code" -eq "$1" || fail "not the exit status $1"; }
takes() { test "$took" -ge "$1" && test "$took" -lt "$2" || fail "not from $1 to $2 ms"; }
says() { test "$(count "$2")" -eq "$1" || fail "not $1 times: $2"; }
in_order() { test "$(cat "$out")" = "$(printf "$@")" || fail "not this, in this order: $*"; }
# The I-th field of the lines that match has so many different values.
differ() { test "$(awk -v r="$3" -v i="$2" '$0 ~ r { print $i }' "$out" | sort -u | wc -l)" -eq "$1" ||
	fail "not $1 different values in field $2"; }
# Whatever awk program is given must end with 0.
holds() { awk "$1" "$out" || fail "it does not hold: $1"; }

s01() {
	lines 3
	says 2 '[0-9]+ [0-9]+'
	differ 3 1 .
	holds 'NF == 1 { me = $1 } NF == 2 { parent[$2]++ } END { exit parent[me] != 2 }'
}
s02() { in_order '1\n'; }
s03() { in_order 'f\nf\n'; }
s04() {
	lines 1
	holds '{ n = split($0, a, /[^0-9]+/); for (i in a) if (a[i] != "") { k++; s[a[i]] = 1 } }
		END { for (i = 0; i < 10; i++) if (!s[i]) exit 1; exit k != 10 }'
}
s05() {
	lines 6
	test "$(head -n 1 "$out")" = end || fail "end is not first"
	says 5 '[0-4] [0-9]+'
	differ 5 1 ' '
	differ 5 2 ' '
	takes 2000 6000
}
s06() {
	lines 6
	test "$(cut -d' ' -f1 "$out" | tr '\n' ' ')" = "0 1 2 3 4 end " || fail "not in order"
	takes 10000 20000
}
s07() {
	in_order 'end\n'
	takes 0 1900
}
s08() {
	lines 20
	says 10 '0x[0-9a-f]+'
	for i in 0 1 2 3 4 5 6 7 8 9; do says 1 "hello jim $i"; done
	takes 1000 5000
}
s09() {
	says 2 'process [0-9]+'
	holds '$1 == "process" { p[++n] = $2 } $1 == "parent" { q[++m] = $2 } END { exit q[2] != p[1] }'
}
s10() { in_order '[42, null, "hello"]\n'; }
s11() {
	lines 3
	says 1 'from child'
	grep -v child "$out" > "$work/values"
	test "$(cat "$work/values")" = '[42, null, "lily1"]
[42, null, "lily2"]' || fail "not the two lists in order"
}
s12() {
	lines 3
	says 1 'from parent'
	holds '/lily1/ { one = NR } /lily2/ { exit !one }'
}
s13() {
	lines 10
	for i in 0 1 2 3 4 5 6 7 8 9; do says 1 "hello world $i"; done
}
s14() {
	lines 2
	holds 'NR == 1 { n = split($0, a, /[^0-9]+/); for (i = 2; i < n; i += 2) { k++; pid[a[i]] = 1
			if (a[i] != a[i + 1]) exit 1 } }
		NR == 2 { n = split($0, a, /[^0-9]+/); for (i = 2; i < 7; i++) if (a[i] != i - 2) exit 1
			for (i = 7; i < n; i++) { m++; if (!pid[a[i]]) exit 1 } exit k != 10 || m != 10 }'
}
s15() {
	lines 22
	says 10 'in process [0-9]+'
	differ 3 3 '^in process'
	for i in 0 1 2 3 4 5 6 7 8 9; do says 1 "exec done 10$i [0-9]+"; done
	holds '/^main/ { main = $3 } /^exec/ && $4 != main { exit 1 }'
	holds '/^done/ { done = 1 } /^exec/ && !done { exit 1 }'
	takes 8000 16000
}
s16() {
	lines 10
	differ 10 1 .
	differ 10 2 .
	takes 2000 8000
}
s17() {
	lines 2
	says 1 'hello from one_end_pipe'
	says 1 'hello from the_other_end_pipe'
}
s18() {
	lines 8
	differ 5 4 get
	for i in 1 2 3 4 5; do says 1 "get: $i pid: .*"; done
	test "$(tail -n 3 "$out" | tr '\n' ' ')" = "6 7 8 " || fail "the parent's are not 6, 7, 8"
}
s19() {
	lines 11
	for i in 0 1 2 3 4 5 6 7 8 9; do says 1 "in first func: process$i [0-9]+"; done
	differ 4 5 '^in first'
	takes 6000 12000
}
s20() {
	says 3 'finish op \.\.\.'
	says 1 '\{"1": "dict in op"\}'
	says 1 '\[[0-9]+, [0-9]+, [0-9]+\]'
	takes 5000 9000
}
s21() {
	lines 3
	for i in 1 2 3; do says 1 "Myprocess-$i .*"; done
	takes 2000 6000
}
s22() {
	lines 4
	for i in 0 1 2; do says 1 "\\[\"hello\", $i, [0-9]+\\]"; done
	holds '{ gsub(/\]/, ""); if (NR > 1 && $NF != last) exit 1; last = $NF }'
}
s23() {
	lines 4
	says 2 'nice to meet you, I am the main process'
	says 2 'hello, I am subprocess: [0-9]+'
	differ 2 5 subprocess
}
s24() {
	says 5 'the time is .*'
	lines 5
	takes 5000 9000
}
s25() {
	lines 10
	says 10 '[0-9]+==.*'
	# Five different times of day from each of two processes; the number and the weekday are one field.
	holds '{ sub(/==.*/, "", $1); if (!seen[$1, $4]++) times[$1]++ }
		END { for (p in times) { n++; if (times[p] != 5) exit 1 } exit n != 2 }'
	takes 5000 9000
}
s26() {
	lines 0
	grep -q "NameError: name 'time' is not defined" "$out.err" || fail "the task's text did not arrive"
}
s27() {
	lines 20
	says 20 '[0-9]+ the time is .*'
	differ 5 1 .
	takes 4000 10000
}
s28() {
	says 7 '[a-g]{2} put into the queue'
	test "$(grep -xE '[a-g]{2}' "$out" | tr '\n' ' ')" = "aa bb cc dd ee ff gg " || fail "not all items"
	ends_with 0
	takes 2000 8000
}

programs=$(cd "$here" && ls "$only"*.c | sed 's/[.]c$//')
for name in $programs; do
	run "$name" &
done
wait
for name in $programs; do
	out=$work/$name status=0
	case $name in s26*) status=1 ;; esac
	read -r code took < "$out.end"
	test "$code" -eq "$status" || fail "not the exit status $status"
	"${name%%_*}"
done
test $bad = 0 && echo "tutorial: $(echo $programs | wc -w) programs, as in Python"
exit $bad
