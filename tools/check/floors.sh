# A file includes from its own floor and those below it; what depends on the machine lies in lib/base.
floors="base sync arena ring data process pool"
bad=0

includes() { grep -nE '^#[[:blank:]]*include "' $(find "lib/$1" -name '*.[ch]' | sort) /dev/null; }

below=
for floor in $floors; do
	below="$below|$floor"
	test -d "lib/$floor" || continue
	includes $floor | grep -vE "include \"(${below#|})/" && { echo "^ $floor may include only $below"; bad=1; }
done

above=$(find lib -name '*.[ch]' ! -path 'lib/base/*' | sort)
if grep -nE 'memory_order_|[^_[:alnum:]]syscall\(|__(x86_64|aarch64)__|HAVE_[A-Z]' $above /dev/null; then
	echo "^ memory orders, raw system calls and #ifs of the machine belong into lib/base"
	bad=1
fi
if grep -nE '^#[[:blank:]]*include ("|<linux/)' include/shoal/*.h; then
	echo "^ public headers include only <shoal/...> and what the C library gives"
	bad=1
fi
test $bad = 0 && echo "no file reaches up"
exit $bad
