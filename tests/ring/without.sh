#!/bin/sh
# without.sh PROGRAM: the tests of what sleeps, wakes and is polled, on a kernel that lacks one thing after another.
# Fails when a test fails, or when too few ran.
set -u

program=$1 least=85
out=$(mktemp)
trap 'rm -f "$out"' EXIT
bad=0

for lacking in waitv uring membarrier pending,uring waitv,membarrier,noexec,pending,pidfd,uring; do
	SHOAL_WITHOUT=$lacking timeout -k 5 100 "$program" -j$(($(nproc) * 2)) \
		--filter '@(queue_fd|pipe_fd|queue|pipe|semaphore)/*' > "$out" 2>&1
	rc=$?
	line=$(grep '^\[====\] Synthesis: ' "$out" | tail -n 1)
	echo "without $lacking: ${line#*Synthesis: }"
	set -- $(echo "$line" | tr -cs '0-9' ' ')
	test $rc = 0 && test "${1:-0}" -ge $least || { cat "$out"; bad=1; }
done
exit $bad
