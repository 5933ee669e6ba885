#!/bin/sh
# options_test.sh SHOAL_BENCH: what its command line takes, what it refuses, and with which words.
set -eu

bench=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

fail() { echo "options_test: $*" >&2; cat "$work/out" >&2; exit 1; }

# run STATUS ARGUMENT...
run() {
	want=$1 rc=0
	shift
	timeout -k 2 60 "$bench" "$@" > "$work/out" 2>&1 < /dev/null || rc=$?
	[ $rc = "$want" ] || fail "status $rc, not $want: $*"
}

# refused SAYING ARGUMENT...: before anything is measured.
refused() {
	saying=$1
	shift
	run 2 "$@"
	grep -qF -- "$saying" "$work/out" || fail "it does not say '$saying': $*"
	[ "$(wc -l < "$work/out")" = 1 ] || fail "it says more than that: $*"
}

run 0 --list --sizes 8,4K,64M --shapes 1,1:20 --only 'lock,queue' --reps 1000
refused "empty in 'lock, '" --list --only 'lock, '
refused "empty in 'lock,,queue'" --list --only 'lock,,queue'
refused "empty in ',lock'" --list --only ',lock'
refused "empty in ''" --list --only ''
refused "empty in ','" --list --sizes ,
refused "empty in '8,,16'" --list --sizes 8,,16
refused "empty in '1:1,'" --list --shapes 1:1,
refused "not a size: '12'" --list --sizes 12
refused "not a size: '65M'" --list --sizes 65M
refused "not a size: '18014398509481985K'" --list --sizes 18014398509481985K
refused "from '136'" --list --sizes 8,16,24,32,40,48,56,64,72,80,88,96,104,112,120,128,136
refused "from '17'" --list --shapes 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17
refused "not both --quick and '--full'" --list --quick --full
refused "not chosen by '--sizes'" --list --bars --sizes 8
refused "not chosen by '--measure'" --list --bars --measure asleep
refused "not chosen by '--full'" --list --bars --full
refused "small or large, not 'huge'" --list --rings huge
refused "cannot write '$work/nosuch/x'" --list --json "$work/nosuch/x"
refused "cannot write '$work/nosuch/x'" --list --csv "$work/nosuch/x"
refused "no file to write: '$work'" --list --json "$work"
refused "not a path to write: ''" --list --csv ''
run 0 --list --json "$work/new"
[ ! -e "$work/new" ] || fail "it made a file before there was anything to write"

# Where nothing is measured nothing went well.
refused "nothing to measure" --only nosuch
refused "nothing to measure" --measure nosuch
refused "nothing to measure" --bars --only nosuch
refused "nothing to measure" --quick --shapes 2 --only pipe --measure 'one way'

# What a run is to be put beside is looked at before it, not after.
few="--reps 1 --window-ms 1"
run 0 $few --measure alloc --json "$work/old" --csv "$work/csv"
for name in inside_ns keys share pause_us; do
	head -n 1 "$work/csv" | grep -q ",$name" || fail "the CSV has no $name"
done
for rings in small large; do
	run 0 $few --measure alloc --rings $rings --json "$work/$rings"
	grep -q "\"rings\": \"$rings, " "$work/$rings" || fail "rings are not said to be $rings"
done
refused "cannot read $work/nosuch" --bars --compare "$work/nosuch"
sed 's/"shoal-bench 2"/"shoal-bench 1"/' "$work/old" > "$work/older"
refused "has schema 'shoal-bench 1'" --compare "$work/older"
echo '{}' > "$work/other"
refused "not written by --json" --compare "$work/other"
run 2 $few --measure started --compare "$work/old"
grep -q "^of 0 series" "$work/out" || fail "it compared what is not there"
echo "options: taken and refused"
