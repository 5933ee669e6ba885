#!/bin/sh
# without.sh PROGRAM: the tests of what sleeps, wakes and is polled, on a kernel that lacks one thing after another.
# Fails when a test fails, or when none ran.
set -u

program=$1
out=$(mktemp)
trap 'rm -f "$out"' EXIT
bad=0

run() {
	timeout -k 5 100 "$program" --filter "$2" > "$out" 2>&1
	rc=$?
	line=$(grep '^\[====\] Synthesis: ' "$out" | tail -n 1)
	echo "without $1, $2: ${line#*Synthesis: }"
	case $rc/$line in
	0/*"Tested: 0 "*) bad=1 ;;
	0/*) ;;
	*) cat "$out"; bad=1 ;;
	esac
}

for lacking in waitv uring membarrier pending,uring waitv,membarrier,noexec,pending,pidfd,uring; do
	export SHOAL_WITHOUT=$lacking
	for suite in queue_fd pipe_fd queue pipe semaphore; do
		run $lacking "$suite/*"
	done
done
exit $bad
