#!/bin/sh
# configure_test.sh: what configure refuses, and what it remembers, in a directory of its own.
set -eu

top=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp configure "$work"
cd "$work"

fail() { echo "configure: $*" >&2; exit 1; }

# refused ARGUMENT: with its name and nothing written.
refused() {
	! ./configure "$@" > log 2>&1 || fail "took $*"
	grep -qF -e "$1" log || { cat log; fail "does not name $1"; }
	test ! -e build || fail "wrote something for $1"
}

for wrong in '/opt/my shoal' relative ./relative '' '/opt/$HOME' "/opt/it's" '/opt/a"b' '/opt/a|b' '/opt/a;b' \
	'/opt/a\b' '/opt/a*' '/opt/[a]' "/opt/a	b" "/opt/a
b"; do
	for option in prefix libdir includedir; do
		test -n "$wrong" || test $option = prefix || continue
		refused "--$option=$wrong"
	done
done

# The library compiles with another compiler, if there is one, without a warning.
other=$(command -v clang || command -v cc)
ln -s "$top/build.ninja" "$top/tools" "$top/lib" "$top/include" "$top/shoal.pc.in" .
CC=$other ./configure --without-tests --werror > log 2>&1 || { cat log; fail "no build by $other"; }
ninja build/release/lib/base/error.o > log 2>&1 || { cat log; fail "warnings of $other"; }
echo "configure: directories, $other"
