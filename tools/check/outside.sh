# Every function that a user may call is called in tests/outside, by programs that know only what is installed:
# those that libshoal.so exports, and those that the headers define. What stands in a comment or a string is no
# call; what ends in _ is for the macros alone.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

{
	nm -D --defined-only build/release/libshoal.so | sed -n 's/.* T \(shoal_[a-z0-9_]*[a-z0-9]\)\(@.*\)\{0,1\}$/\1/p'
	awk '/^static inline/ { inside = 1 } inside && match($0, /shoal_[a-z0-9_]*[a-z0-9]\(/) {
			print substr($0, RSTART, RLENGTH - 1); inside = 0 }
		/[{;]/ { inside = 0 }' include/shoal/*.h
} | sort -u > "$work/public"

# Without comments, strings and characters; whichever begins first hides the others.
bare() {
	awk '{ text = text $0 "\n" }
		END {
			while (match(text, /\/\*([^*]|\*+[^*\/])*\*+\/|\/\/[^\n]*|"([^"\\]|\\.)*"|\047([^\047\\]|\\.)*\047/)) {
				printf "%s ", substr(text, 1, RSTART - 1)
				text = substr(text, RSTART + RLENGTH)
			}
			print text
		}' "$1"
}
for file in tests/outside/*.c; do bare "$file"; done | grep -oE '\bshoal_[a-z0-9_]+[[:space:]]*\(' |
	tr -d ' \t(' | sort -u > "$work/called"

comm -23 "$work/public" "$work/called" | sed 's/^/tests\/outside does not call it: /' > "$work/out"
test -s "$work/public" || echo "build/release/libshoal.so exports nothing" >> "$work/out"
cat "$work/out"
test -s "$work/out" && exit 1
echo "$(wc -l < "$work/public") functions called by programs outside of the tree"
