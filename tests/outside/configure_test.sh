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
ln -s "$top/build.ninja" "$top/tools" "$top/lib" "$top/include" "$top"/*.in .
printf '#!/bin/sh\necho "$*" >> "%s/asked"\nexec "%s" "$@"\n' "$work" "$(command -v "${PKG_CONFIG:-pkg-config}")" > own-config
chmod +x own-config
quoted="-DFIRST='\"it is one\"' -DSECOND=\"'x'\""
CC=$other CFLAGS=$quoted PKG_CONFIG=$work/own-config ./configure --without-tests --werror > log 2>&1 || { cat log; fail "no build by $other"; }
ninja build/release/lib/base/error.o > log 2>&1 || { cat log; fail "warnings of $other"; }
# CFLAGS are as the shell reads them, also when configure is run again by ninja.
ninja -t commands build/release/lib/base/error.o | tail -n 1 | grep -qF -e "$quoted" || fail "loses quotes of CFLAGS"
again=$(sed -n 's/^configure_env = //p' build/config.ninja)
test "$(sh -c "$again printenv CFLAGS")" = "$quoted" || fail "would run again with other CFLAGS"

# What is installed is asked of the pkg-config that configure was told of, and nothing is where it knows nothing.
touch build/release/libshoal.a build/release/libshoal.so.0
ninja -t commands install | sed -n '$s/.*build\/man && //p' > install
rm -f asked
DESTDIR=$work/to sh ./install > log 2>&1 || { cat log; fail "install"; }
test -e asked || fail "install asks another pkg-config"
grep -q 'INTERFACE_LINK_LIBRARIES ".*lcbor' "$(find to -name shoal-config.cmake)" || fail "CMake's static library needs nothing"
for unknowing in false true; do
	! DESTDIR=$work/never PKG_CONFIG=$unknowing tools/install.sh build/release /opt /opt/lib /opt/include > log 2>&1 ||
		fail "installed what a pkg-config that is $unknowing knows"
	test ! -e never || fail "installed half"
done
echo "configure: directories, $other, pkg-config"
