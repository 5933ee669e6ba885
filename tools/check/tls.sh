# What libshoal.so takes of the thread-local memory that the C library keeps for libraries that are loaded while
# a program runs (dlopen): docs/faq.md says how much.
most=1100 says='about 1 KB of the 1.6 KB'
bytes=$(readelf -lW build/release/libshoal.so.0 | awk '$1 == "TLS" { print $6 }')
test -n "$bytes" || { echo "no thread-local memory found in build/release/libshoal.so.0"; exit 1; }
bytes=$((bytes))
test $bytes -le $most || { echo "libshoal.so has $bytes bytes of thread-local memory, more than $most"; exit 1; }
grep -qF "$says" docs/faq.md || { echo "docs/faq.md does not say: $says"; exit 1; }
echo "libshoal.so has $bytes bytes of thread-local memory"
