#!/bin/sh
# outside_test.sh BUILD: installs what stands in BUILD below a directory of its own, and compiles programs
# against that as anybody would: in C by pkg-config alone, shared and static, in C++, by CMake, and with the
# event loops that are here. What is not here is said.
set -eu

build=$1 cc=${CC:-cc} cxx=${CXX:-c++}
stage=$PWD/$build/outside
prefix=/opt/shoal
plainly=
warn="-Wall -Wextra -Wpedantic -Werror"
rm -rf "$stage"
mkdir -p "$stage"
DESTDIR=$stage tools/install.sh "$build" $prefix $prefix/lib $prefix/include > "$stage/log"

fail() { echo "outside: $*" >&2; exit 1; }

# Only shoal's paths lie below the stage; what it needs itself lies in the system.
ours() { PKG_CONFIG_SYSROOT_DIR=$stage PKG_CONFIG_PATH=$stage$prefix/lib/pkgconfig pkg-config "$@" shoal; }

# run PROGRAM [LINE]: it must end by itself with 0, and have said that line.
run() {
	LD_LIBRARY_PATH=$stage$prefix/lib timeout -k 2 30 $plainly "$stage/$1" > "$stage/$1.out" 2>&1 < /dev/null ||
		{ cat "$stage/$1.out"; fail "$1 failed"; }
	test -z "${2:-}" || grep -qxF "$2" "$stage/$1.out" || { cat "$stage/$1.out"; fail "$1 did not say: $2"; }
}

test "$(ours --modversion)" = "$(sed -n 's/^installed shoal \([0-9.]*\) .*/\1/p' "$stage/log")" ||
	fail "pkg-config has another version"

# Who links the shared library need not have what that was made with.
test "$(echo $(PKG_CONFIG_LIBDIR=$stage$prefix/lib/pkgconfig pkg-config --cflags --libs shoal))" = \
	"-I$prefix/include -L$prefix/lib -lshoal" || fail "pkg-config wants more than shoal.pc"

# Besides shoal: threads, and a library for each of the two programs, which is loaded from beside it.
also="-pthread -ldl"
$cc -std=c11 -D_GNU_SOURCE $warn -o "$stage/api" tests/outside/*.c $(ours --cflags --libs) $also
$cc -std=c11 $warn -shared -fPIC -o "$stage/api.so" tests/outside/plugin/entry.c $(ours --cflags)
cp "$stage/api.so" "$stage/api_static.so"
run api "outside: every section"
grep -qxF '{"bolts": {"price": 0.25, "bins": [7, 9]}}' "$stage/api.out" || fail "the README shows another dict"
$cc -std=c11 -D_GNU_SOURCE $warn -o "$stage/api_static" tests/outside/*.c $(ours --cflags) \
	$(ours --static --libs | sed 's/-lshoal/-l:libshoal.a/') -rdynamic $also
run api_static "outside: every section"
! ldd "$stage/api_static" | grep -q libshoal || fail "the static program needs libshoal.so"
done="C, static"

# A program under ThreadSanitizer, with the library as it is; without address randomization, which its map may not fit.
echo 'int main(void) { return 0; }' > "$stage/none.c"
for compiler in "$cc" clang; do
	if ! $compiler -fsanitize=thread -o "$stage/none" "$stage/none.c" 2>/dev/null; then
		echo "outside: no ThreadSanitizer of $compiler here"
		continue
	fi
	! setarch -R true 2>/dev/null || plainly="setarch -R"
	watched="$compiler -std=c11 -D_GNU_SOURCE $warn -fsanitize=thread tests/outside/watched/main.c"
	$watched -o "$stage/watched" $(ours --cflags --libs) -pthread
	run watched "outside: watched"
	$watched -o "$stage/watched_static" $(ours --cflags) $(ours --static --libs | sed 's/-lshoal/-l:libshoal.a/') -pthread
	run watched_static "outside: watched"
	plainly=
	done="$done, under ThreadSanitizer by $compiler"
done

# What `ninja install` does, with nothing else known than the graph: the same files, where configure was told to
# put them, and the manual. Its command is run here, since a ninja inside of ninja would write the same log.
if command -v ninja >/dev/null; then
	tree=$stage/tree
	ninja -t commands install | tail -n 1 > "$stage/install"
	DESTDIR=$tree sh "$stage/install" > "$stage/log" 2>&1 || { cat "$stage/log"; fail "ninja install"; }
	configured() { sed -n "s/^$1 = //p" build/config.ninja; }
	libdir=$(configured libdir)
	diff -r "$stage$prefix/include" "$tree$(configured includedir)" || fail "ninja install has other headers"
	diff -r -x '*.pc' -x '*.cmake' "$stage$prefix/lib" "$tree$libdir" || fail "ninja install has another library"
	test "$(PKG_CONFIG_PATH=$tree$libdir/pkgconfig pkg-config --variable=libdir shoal)" = "$libdir" ||
		fail "what ninja install put there is not found by pkg-config"
	if command -v scdoc >/dev/null; then
		for page in docs/man/*.scd; do
			page=$(basename "$page" .scd)
			test -s "$tree$(configured prefix)/share/man/man${page##*.}/$page" || fail "ninja install has no $page"
		done
	fi
	ninja -t commands uninstall | tail -n 1 > "$stage/uninstall"
	DESTDIR=$tree sh "$stage/uninstall" > "$stage/log" 2>&1 || { cat "$stage/log"; fail "ninja uninstall"; }
	left=$(find "$tree" ! -type d -o -name shoal)
	test -z "$left" || fail "ninja uninstall leaves $left"
	done="$done, ninja install and uninstall"
fi

# Installed for good, by a user: in the loader's cache, or it is said how a program finds it, and so it does.
own=$stage/own
mkdir -p "$stage/bin"
printf '#!/bin/sh\necho "ldconfig $*" >> "%s/asked"\n' "$stage" > "$stage/bin/ldconfig"
chmod +x "$stage/bin/ldconfig"
PATH=$stage/bin:$PATH DESTDIR= tools/install.sh "$build" "$own" "$own/lib" "$own/include" > "$stage/log"
grep -q -e "-Wl,-rpath,$own/lib" "$stage/log" || fail "install does not say how programs find the library"
test "$(id -u)" != 0 || grep -qx 'ldconfig *' "$stage/asked" || fail "install has not run ldconfig"
export PKG_CONFIG_PATH=$own/lib/pkgconfig
$cc -std=c11 -o "$stage/hello" examples/hello.c $(pkg-config --cflags --libs shoal) \
	-Wl,-rpath,"$(pkg-config --variable=libdir shoal)"
unset PKG_CONFIG_PATH
env -u LD_LIBRARY_PATH timeout -k 2 30 "$stage/hello" > "$stage/hello.out" || fail "a program with an rpath does not run"

if command -v "$cxx" >/dev/null; then
	$cxx -std=c++17 $warn -o "$stage/raii" tests/outside/*.cc $(ours --cflags --libs) $also
	run raii "outside: C++"
	if $cxx -fsanitize=thread -o "$stage/none" "$stage/none.c" 2>/dev/null; then
		$cxx -std=c++17 $warn -fsanitize=thread -o "$stage/threads" tests/outside/watched/threads.cc $(ours --cflags --libs) -pthread
		! setarch -R true 2>/dev/null || plainly="setarch -R"
		run threads "outside: threads"
		plainly=
	fi
	for wrong in 'int *' 'const shoal_list *' 'volatile char *' 'void (*)(int)'; do
		printf '#include <shoal/any.h>\nusing T = %s; shoal_any f(T p) { return SHOAL_ANY(p); }\n' "$wrong" > "$stage/wrong.cc"
		! $cxx -std=c++17 -fsyntax-only $(ours --cflags) "$stage/wrong.cc" 2>/dev/null || fail "$wrong is a value"
	done
	cat > "$stage/wrong.cc" <<-END
	#include <shoal/shoal.hpp>
	struct made { explicit made(int n) : n(n) {} int n; };
	made make(int n) { return made(n); }
	int f(shoal::pool &p, shoal::result<made> &r) { return p.apply<make>(1).n + p.map<make>({ 1 })[0].n + r.answer()->n; }
	END
	! $cxx -std=c++17 -fsyntax-only $(ours --cflags) "$stage/wrong.cc" 2> "$stage/log" || fail "answers come from nothing"
	test "$(grep -c 'error: static.assert.*copied into' "$stage/log")" -eq 3 ||
		{ cat "$stage/log"; fail "it is not said what an answer is"; }
	cat > "$stage/flags.cc" <<-END
	#include <shoal/shoal.hpp>
	unsigned flags[] = { SHOAL_QUEUE_JOINABLE | SHOAL_QUEUE_REDELIVER | SHOAL_OR_OPEN, SHOAL_LOCK_AUTOCLEAN | SHOAL_OR_OPEN,
		SHOAL_PIPE_SIMPLEX | SHOAL_WITH_OWNER, SHOAL_WITH_OWNER | SHOAL_OR_OPEN, 1 | SHOAL_SEMAPHORE_OWNED };
	shoal_queue_options some = { 16, 48, SHOAL_QUEUE_JOINABLE | SHOAL_OR_OPEN, {} };
	void f(shoal_arena *arena, shoal_lock **out)
	{
		(void)shoal_lock_create(arena, nullptr, SHOAL_LOCK_AUTOCLEAN | SHOAL_WITH_OWNER, out);
	}
	END
	! $cxx -std=c++20 -fsyntax-only "$stage/none.c" 2>/dev/null ||
		$cxx -std=c++20 $warn -Wconversion -fsyntax-only $(ours --cflags) "$stage/flags.cc" || fail "C++20 warns of flags"
	done="$done, C++"
fi
if command -v clang >/dev/null; then
	printf '#include <shoal/shoal.h>\nint f(shoal_lock *l);\nint f(shoal_lock *l) { SHOAL_HOLD(l); return 1; }\n' > "$stage/held.c"
	clang -std=c11 $warn -fsyntax-only $(ours --cflags) "$stage/held.c" || fail "clang warns of a lock that is held"
fi
if command -v cmake >/dev/null; then
	cmake -S tests/outside/cmake -B "$stage/cmake" -DCMAKE_PREFIX_PATH="$stage$prefix" \
		-DCMAKE_C_COMPILER="$(command -v "$cc")" > "$stage/log" 2>&1 &&
		cmake --build "$stage/cmake" >> "$stage/log" 2>&1 || { cat "$stage/log"; fail "CMake"; }
	run cmake/hello "hello from a process"
	run cmake/hello_static "hello from a process"
	done="$done, CMake"
fi
for loop in epoll libuv:libuv libevent:libevent_core; do
	name=${loop%:*} needs=${loop#*:}
	if test "$needs" != "$loop"; then
		pkg-config --exists "$needs" || { echo "outside: no $needs here"; continue; }
		flags=$(pkg-config --cflags --libs "$needs")
	fi
	$cc -std=c11 -D_GNU_SOURCE $warn -o "$stage/$name" "examples/loops/$name.c" $(ours --cflags --libs) ${flags:-}
	run "$name" "message 5"
	test "$(grep -c '^message ' "$stage/$name.out")" -eq 5 || fail "$name has not said five messages"
	done="$done, $name"
done
echo "outside: $done"
