#!/bin/sh
# Writes what this is built from, and how, as C macros; the file is left alone where nothing changed.
# usage: tools/build-info.sh OUT CC CFLAGS
set -eu
out=$1; cc=$2; cflags=$3
quote() { printf '%s' "$*" | tr -s ' ' | sed -e 's/^ //' -e 's/ $//' -e 's/[\\"]/\\&/g'; }
{
	echo "#define BUILD_GIT \"$(quote "$(git describe --always --dirty --tags 2>/dev/null || echo unknown)")\""
	echo "#define BUILD_CC \"$(quote "$($cc --version 2>/dev/null | head -n 1)")\""
	echo "#define BUILD_CFLAGS \"$(quote "$cflags")\""
} > "$out.new"
if cmp -s "$out.new" "$out"; then rm "$out.new"; else mv "$out.new" "$out"; fi
