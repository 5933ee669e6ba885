#!/bin/sh
# abi.sh BUILD [dump]: whether programs that were linked with the released library go on with the one in
# BUILD: compares with the dump in abi. What is new is welcome; what is gone or changed is told, and a failure.
# With "dump", for a release, writes that dump anew.
#
# What is in the structs of abi/opaque.ini may change. Without abigail-tools only the names are compared.
set -eu

build=$1 mode=${2:-compare}
soname=libshoal.so.0
dump=abi/$soname.$(uname -m).xml
new=$build/$soname.xml

describe() {
	abidw --exported-interfaces-only --suppressions abi/opaque.ini --headers-dir include \
		--drop-private-types --no-comp-dir-path --no-corpus-path --no-show-locs "$build/$soname" > "$1"
}

names() { nm -D --defined-only "$build/$soname" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort; }

if ! command -v abidw >/dev/null; then
	hint="on Debian or Ubuntu run: apt-get install -y abigail-tools"
	test "$mode" = compare || { echo "abi: a dump needs abidw; $hint" >&2; exit 1; }
	sed -n "s/.*<elf-symbol name='\([^']*\)'.*type='func-type'.*/\1/p" "$dump" | sort > "$build/abi.was"
	names > "$build/abi.is"
	gone=$(comm -23 "$build/abi.was" "$build/abi.is")
	test -z "$gone" || { echo "abi: gone:" $gone >&2; exit 1; }
	echo "abi: no name is gone (types are not compared; $hint)"
	exit 0
fi
if test "$mode" = dump; then
	mkdir -p abi
	describe "$dump"
	echo "abi: wrote $dump"
	exit 0
fi
test -e "$dump" || { echo "abi: skipped: there is no $dump yet"; exit 0; }
describe "$new"
abidiff --no-added-syms --suppressions abi/opaque.ini "$dump" "$new" ||
	{ echo "abi: not as in $dump" >&2; exit 1; }
echo "abi: $(names | wc -l) functions, none gone or changed"
