# Every public header compiles alone, in C and in C++; and what is used of them in C++ does.
bad=0
warn="-Wall -Wextra -Wshadow -Wconversion -Werror"
for header in include/shoal/*.h; do
	$CC -std=c11 $warn -Wpedantic -Iinclude -fsyntax-only -x c "$header" || bad=1
	command -v "$CXX" >/dev/null || continue
	$CXX -std=c++17 $warn -Iinclude -fsyntax-only -x c++ "$header" || bad=1
done
for header in include/shoal/*.hpp; do
	command -v "$CXX" >/dev/null || continue
	$CXX -std=c++17 $warn -Wpedantic -Iinclude -fsyntax-only -x c++ "$header" || bad=1
done
for use in $(find tests -name '*.cc'); do
	command -v "$CXX" >/dev/null || continue
	$CXX -std=c++17 -Wall -Wextra -Werror -Iinclude -fsyntax-only "$use" || bad=1
done
# A map whose last key has no value is refused where it is written.
for pairs in '"a", 1' '"a", 1, "b"'; do
	program="#include <shoal/any.h>
shoal_any f(void); shoal_any f(void) { return SHOAL_MAP($pairs); }"
	for compile in "$CC -std=c11 -x c" "$CXX -std=c++17 -x c++"; do
		command -v ${compile%% *} >/dev/null || continue
		echo "$program" | $compile -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only - 2>/dev/null
		result=$?
		test "$pairs" = '"a", 1' || result=$((! result))
		test $result = 0 || { echo "SHOAL_MAP($pairs): ${compile%% *} says otherwise"; bad=1; }
	done
done
# A pointer that is none of shoal's is refused, which in C++ would be a bool.
for pointer in '(void *)0' 'f' 'printf' '&s::i' '&s::f'; do
	program="#include <shoal/any.h>
struct s { int i; void f() {} };
shoal_any f(void); shoal_any f(void) { return SHOAL_ANY($pointer); }"
	command -v "$CXX" >/dev/null || continue
	echo "$program" | $CXX -std=c++17 -x c++ -Iinclude -include cstdio -fsyntax-only - 2>/dev/null &&
		{ echo "SHOAL_ANY($pointer): $CXX takes it"; bad=1; }
done
command -v "$CXX" >/dev/null || cxx=" (no C++ compiler here)"
test $bad = 0 && echo "each public header stands alone in C11 and C++17${cxx:-}"
exit $bad
