#!/bin/sh
# check.sh: everything in tools/check, from the top of the tree. A check prints what is wrong and fails,
# or prints one line. CC and CXX may be set.
set -u
export LC_ALL=C.UTF-8 CC="${CC:-cc}" CXX="${CXX:-c++}"

bad=0
for check in tools/check/*.sh; do
	name=$(basename "$check" .sh)
	if out=$(sh "$check" 2>&1); then
		printf '%-10s %s\n' "$name" "$out"
	else
		printf '%-10s NOT SO:\n%s\n' "$name" "$out"
		bad=1
	fi
done
exit $bad
