#!/bin/sh
# abi.sh BUILD [names | dump]: whether programs that were linked with the released library go on with the one in
# BUILD: compares with the dump in abi. What is gone or changed is told, and a failure; what is new is welcome,
# and to be dumped with the rest, or nobody would notice when that changed: until then it is a failure too.
# With "names" only the names are compared, for `ninja check`; so they are where abigail-tools are not.
# With "dump", when a function was added, writes the dump anew, unless something is gone or changed: then it is
# for whoever makes a release to remove the old dump first.
#
# What is in the structs of abi/opaque.ini may change.
set -eu

build=$1 mode=${2:-compare}
soname=libshoal.so.0
machine=$(uname -m)
dump=abi/$soname.$machine.xml
new=$build/$soname.xml
hint="on Debian or Ubuntu run: apt-get install -y abigail-tools"

describe() {
	abidw --exported-interfaces-only --suppressions abi/opaque.ini --headers-dir include \
		--drop-private-types --no-comp-dir-path --no-corpus-path --no-show-locs "$build/$soname" > "$1"
}

names() { nm -D --defined-only "$build/$soname" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort; }

# abi.was and abi.is: the dump's names, and the library's.
compare_names() {
	names > "$build/abi.is"
	sed -n "s/.*<elf-symbol name='\([^']*\)'.*type='func-type'.*/\1/p" "$dump" | sort > "$build/abi.was"
	gone=$(comm -23 "$build/abi.was" "$build/abi.is")
	test -z "$gone" || { echo "abi: gone:" $gone >&2; return 1; }
}

all_dumped() {
	added=$(comm -13 "$build/abi.was" "$build/abi.is")
	test -z "$added" || { echo "abi: not in $dump, which ninja abi-dump writes anew:" $added >&2; return 1; }
}

compare_types() {
	abidiff --no-added-syms --suppressions abi/opaque.ini "$dump" "$new" ||
		{ echo "abi: not as in $dump" >&2; return 1; }
}

count=$(names | wc -l)
if test "$mode" = dump; then
	command -v abidw >/dev/null || { echo "abi: a dump needs abidw; $hint" >&2; exit 1; }
	describe "$new"
	if test -e "$dump"; then
		compare_names
		compare_types
	fi
	mkdir -p abi
	cp "$new" "$dump"
	echo "abi: wrote $dump: $count functions"
	exit 0
fi
if ! test -e "$dump"; then
	echo "abi: $count functions, compared with nothing: no $dump; ninja abi-dump on a machine of that kind writes it"
	exit 0
fi
compare_names
all_dumped
if test "$mode" = names; then
	echo "$count functions, none gone, all in $dump"
elif command -v abidw >/dev/null; then
	describe "$new"
	compare_types
	echo "abi: $count functions, none gone or changed"
else
	echo "abi: no name is gone (types are not compared; $hint)"
fi
