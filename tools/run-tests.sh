#!/bin/sh
# run-tests.sh DIR SECONDS TEST...
#
# Runs tests one after the other, each for at most SECONDS, with its output in DIR/log. A TEST is either
# "FLOOR PROGRAM [ARGUMENT...]", a test program that must run at least FLOOR tests, or "COMMAND [ARGUMENT...]",
# whose exit status counts. One after "&" mostly sleeps: those that follow run beside it. What failed is said
# once more at the end, and the closing lines of the test programs come last.
#
# What a runner's exit status does not tell is looked for here: too few tests, a report of a sanitizer,
# a process or an arena that is left. A run is never piped: what outlives it would hold the pipe for ever.
set -u

dir=$1 seconds=$2
shift 2
log=$dir/log
mkdir -p "$log"
rm -f "$log"/san.*
closing=$(mktemp "$log/closing.XXXXXX")
failures=$(mktemp "$log/failures.XXXXXX")
run=$$.$(date +%s) count=0 beside=

complain() { printf 'run-tests: %s\n' "$*" | tee -a "$failures"; }

# The tests that failed and why; of the stepper, where and what.
failed_tests() {
	grep -E '^\[(FAIL|----)\]|^[a-z_]+\.[a-z_]+: (.*: at |the driver |.*not judged, the )' "$out" | head -n 40
}

# Those of a test, or of all, bear its number in their environment, wherever they went.
leftovers() {
	grep -lsz "^SHOAL_TEST_RUN=$run[.]${1:-[0-9]*}\$" /proc/[0-9]*/environ | cut -d/ -f3
}

arenas() { find /dev/shm -path '/dev/shm/shoal-*/*' 2>/dev/null | sort; }

# Files that came since and that no other run still maps.
new_arenas() {
	arenas | comm -13 "$log/shm.before" - | while read -r file; do
		grep -qsF "$file" /proc/[0-9]*/maps || echo "$file"
	done
}

end_leftovers() {
	for left in $(leftovers "$@"); do kill -9 "$left" 2>/dev/null; done
}

# Without address randomization, which ThreadSanitizer's map of memory may not fit.
plainly=
case $dir in *tsan*) setarch -R true 2>/dev/null && plainly="setarch -R" ;; esac

run() {
	out=$1
	shift
	set -- env SHOAL_TEST_RUN="$run.$count" SHOAL_BUILD="$dir" \
		ASAN_OPTIONS="log_path=$log/san.address:detect_stack_use_after_return=0" \
		LSAN_OPTIONS="suppressions=$PWD/tests/leaks.supp:print_suppressions=0" \
		UBSAN_OPTIONS="log_path=$log/san.undefined:print_stacktrace=1" \
		TSAN_OPTIONS="log_path=$log/san.thread:die_after_fork=0" \
		$plainly "$@"
	timeout -k 5 "$seconds" "$@" > "$out" 2>&1 < /dev/null &
	pid=$!
	trap 'kill $pid $beside 2>/dev/null; wait; end_leftovers; exit 130' INT TERM
	wait $pid
	rc=$? pid=
	test $rc != 124 && test $rc != 137 || complain "$name: not done after $seconds s"
}

judge_program() {
	line=$(grep '^\[====\] Synthesis: ' "$out" | tail -n 1)
	printf '%s\n' "$line" >> "$closing"
	set -- $(printf '%s\n' "$line" | tr -cs '0-9' ' ')
	if test $# != 4; then
		complain "$name: no closing line (exit status $rc)"
	elif test "$1" -lt "$floor"; then
		complain "$name: ran $1 tests, fewer than $floor"
	elif test "$3" != 0 || test "$4" != 0 || test $rc != 0; then
		failed_tests >> "$failures"
		complain "$name: $3 failing, $4 crashing (exit status $rc)"
	fi
}

# Not a mere note, and not about what Criterion itself never frees: none of our code is on the stack then.
ours() {
	grep -qsE 'ERROR: |WARNING: |runtime error: ' "$1" && grep -qE ' (lib|tests)/|_body ' "$1"
}

run_test() {
	case $1 in
	[0-9]*)
		floor=$1 name=$(basename "$2")
		shift
		run "$log/$name.log" "$@"
		judge_program
		;;
	*)
		name=$(basename "$1" .sh)
		run "$log/$name.log" "$@"
		test $rc = 0 || complain "$name: exit status $rc"
		;;
	esac
	cat "$log/$name.log"
	! grep -qE 'ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|: runtime error: ' "$log/$name.log" ||
		complain "$name: a sanitizer's report in $log/$name.log"
	left=$(leftovers "$count")
	test -z "$left" || { complain "$name: left processes" $left; end_leftovers "$count"; }
}

arenas > "$log/shm.before"
for test do
	count=$((count + 1))
	case $test in
	"&"*) run_test ${test#&} & beside="$beside $!" ;;
	*) run_test $test ;;
	esac
done
wait
left=$(new_arenas)
# The library leaves the user's directory for the next arena; a test run leaves nothing.
rmdir "/dev/shm/shoal-$(id -u)" 2>/dev/null || true
test -z "$left" || complain "left in /dev/shm:" $left
for report in "$log"/san.*; do
	ours "$report" || continue
	complain "a sanitizer's report, $report:"
	head -n 60 "$report"
done
cat "$failures" "$closing"
test ! -s "$failures"
bad=$?
rm -f "$closing" "$failures"
exit $bad
