#!/bin/sh
# uninstall.sh PREFIX LIBDIR INCLUDEDIR: removes what install.sh puts there, below $DESTDIR, if that is set. All of it
# bears the library's name, also what another version of it had; programs that are linked with it run no more.
set -eu

prefix=$1 libdir=$2 includedir=$3
to=${DESTDIR:-}

rm -f "$to$includedir"/shoal/*.h "$to$includedir"/shoal/*.hpp "$to$libdir/libshoal.a" "$to$libdir"/libshoal.so* \
	"$to$libdir/pkgconfig/shoal.pc" "$to$libdir"/cmake/shoal/shoal-config*.cmake \
	"$to$prefix"/share/man/man?/shoal.7 "$to$prefix"/share/man/man?/shoal_*.3
for own in "$to$includedir/shoal" "$to$libdir/cmake/shoal"; do
	test ! -d "$own" || rmdir "$own" || :
done
echo "removed shoal below $to$prefix"
