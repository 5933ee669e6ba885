#!/bin/sh
# install.sh BUILD PREFIX LIBDIR INCLUDEDIR: puts what stands in BUILD below $DESTDIR, if that is set. If it is
# not, programs are to find the library at once: the loader's cache is made anew, or it is said what to do.
# PKG_CONFIG is the program that knows what the static library needs.
set -eu

build=$1 prefix=$2 libdir=$3 includedir=$4
to=${DESTDIR:-}
version=$(sed -n 's/^#define SHOAL_VERSION 0x\(..\)\(..\)\(..\)$/\1 \2 \3/p' include/shoal/base.h |
	{ read -r major minor patch; echo "$((0x$major)).$((0x$minor)).$((0x$patch))"; })

# What the static library needs, with where it is and, for CMake, as a list of names. Were it Requires.private, those
# who link the shared library would have to have these packages, too.
packages="liburcu-bp liburcu-cds libcbor"
ask() { "${PKG_CONFIG:-pkg-config}" --static "$1" $packages; }
libs=$(ask --libs) && needs=$(ask --libs-only-l) ||
	{ echo "install: ${PKG_CONFIG:-pkg-config} does not know $packages" >&2; exit 1; }
libs=$(echo $libs) needs=$(echo $needs | tr ' ' ';')
test -n "$needs" || { echo "install: ${PKG_CONFIG:-pkg-config} says that $packages need no library" >&2; exit 1; }

install -d "$to$includedir/shoal" "$to$libdir/pkgconfig" "$to$libdir/cmake/shoal"
install -m 644 include/shoal/*.h include/shoal/*.hpp "$to$includedir/shoal"
install -m 644 "$build/libshoal.a" "$to$libdir"
install -m 755 "$build/libshoal.so.0" "$to$libdir"
ln -sf libshoal.so.0 "$to$libdir/libshoal.so"
to_includedir=$(realpath -m --relative-to="$libdir/cmake/shoal" "$includedir")
fill_in() {
	sed -e "s|@prefix@|$prefix|" -e "s|@libdir@|$libdir|" -e "s|@includedir@|$includedir|" \
		-e "s|@version@|$version|" -e "s|@to_includedir@|$to_includedir|" -e "s|@needs@|$needs|" -e "s|@libs@|$libs|" "$1" > "$to$2/${1%.in}"
}
fill_in shoal.pc.in "$libdir/pkgconfig"
fill_in shoal-config.cmake.in "$libdir/cmake/shoal"
fill_in shoal-config-version.cmake.in "$libdir/cmake/shoal"
for page in build/man/man?/*; do
	test -e "$page" || continue
	section=$to$prefix/share/man/$(basename "$(dirname "$page")")
	test -d "$section" || install -d "$section"
	if test -L "$page"; then cp -P "$page" "$section"; else install -m 644 "$page" "$section"; fi
done
echo "installed shoal $version below $to$prefix"

test -z "$to" || exit 0
PATH=$PATH:/usr/sbin:/sbin
test "$(id -u)" != 0 || ! command -v ldconfig >/dev/null || ldconfig || :
ldconfig -p 2>/dev/null | grep -qF "=> $libdir/libshoal.so.0" || cat <<END
the loader does not know $libdir/libshoal.so.0: link programs with -Wl,-rpath,$libdir, set
LD_LIBRARY_PATH, or, if the directory stands in ld.so.conf, run ldconfig as root
END
