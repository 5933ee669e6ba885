# Every function that libshoal.so exports is called by a test, and stands in docs/python.md or docs/guarantees.md.
# (That each has a manual page is manual.sh's affair, that the steppers know it shoal-step --uncovered's.)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nm -D --defined-only build/release/libshoal.so | sed -n 's/.* \(shoal_[a-z0-9_]*[a-z0-9]\)\(@.*\)\{0,1\}$/\1/p' |
	sort -u > "$work/exported"
words() { grep -ohE 'shoal_[a-z0-9_]+' "$@" | sort -u; }

# The code alone, without comments, strings and characters: to name a function there is not to call it.
code() {
	awk '
		FNR == 1 { inside = 0 }
		{
			text = $0; out = ""
			while (text != "") {
				if (inside) {
					at = index(text, "*/")
					if (!at)
						break
					inside = 0
					text = substr(text, at + 2)
				} else if (match(text, /\/\*|\/\/|"([^"\\]|\\.)*"|\047([^\047\\]|\\.)*\047/)) {
					out = out substr(text, 1, RSTART - 1) " "
					token = substr(text, RSTART, 2)
					text = token == "//" ? "" : substr(text, RSTART + (token == "/*" ? 2 : RLENGTH))
					inside = token == "/*"
				} else {
					out = out text
					text = ""
				}
			}
			print out
		}' "$@"
}
code $(find tests -name '*.c' ! -path 'tests/step/*' -o -name '*.h' -path 'tests/*' ! -path 'tests/step/*') > "$work/code"
grep -oE '\<shoal_[a-z0-9_]+ ?\(' "$work/code" | tr -d ' (' | sort -u > "$work/tested"
words docs/python.md docs/guarantees.md > "$work/told"
comm -23 "$work/exported" "$work/tested" | sed 's/^/no test calls it: /' > "$work/out"
comm -23 "$work/exported" "$work/told" | sed 's/^/neither in docs\/python.md nor in docs\/guarantees.md: /' >> "$work/out"
test -s "$work/exported" || echo "build/release/libshoal.so exports nothing" >> "$work/out"
cat "$work/out"
test -s "$work/out" && exit 1
echo "$(wc -l < "$work/exported") functions tested and described"
