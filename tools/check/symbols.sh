# libshoal.so exports exactly the functions that the public headers declare, and so does libshoal.a, but for
# what all probes of a program share.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for header in include/shoal/*.h; do echo "#include \"$header\""; done > "$work/all.c"
$CC -std=c11 -Iinclude -I. -aux-info "$work/info" -fsyntax-only "$work/all.c" 2>/dev/null &&
	test -s "$work/info" || { echo "skipped: $CC cannot list declarations (-aux-info)"; exit 0; }
grep -v ' static ' "$work/info" | sed -n 's/^[^(]*[ *]\(shoal_[a-z0-9_]*\) (.*/\1/p' |
	sort -u > "$work/declared"
nm -D --defined-only build/release/libshoal.so | awk '$2 ~ /[TDBRV]/ { sub(/@.*/, "", $3); print $3 }' |
	sort -u > "$work/exported"
nm -g --defined-only build/release/libshoal.a 2>/dev/null | awk 'NF == 3 && $3 != "_.stapsdt.base" { print $3 }' | sort -u > "$work/archived"
bad=0
for library in exported archived; do
	comm -23 "$work/declared" "$work/$library" | sed "s/^/declared, but not $library: /" > "$work/out"
	comm -13 "$work/declared" "$work/$library" | sed "s/^/$library, but not declared: /" >> "$work/out"
	test -s "$work/out" && { cat "$work/out"; bad=1; }
done
test $bad = 0 && echo "$(wc -l < "$work/declared") functions declared and exported"
exit $bad
