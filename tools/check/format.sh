# Indentation, braces and spaces are clang-format's; where a line ends and how trailing comments line up
# are the author's.
command -v clang-format >/dev/null || { echo "skipped: clang-format is not installed"; exit 0; }
bad=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# How far a continuation is aligned with spaces is not compared either. And clang-format takes a variable
# called class for C++, and a pointer after a brace for a product.
squeeze() {
	sed -e 's/^	* \{1,\}/~/' -e 's/\([^[:blank:]]\)[[:blank:]]\{1,\}/\1 /g' \
		-e 's/{ /{/g' -e 's/ }/}/g' -e 's/class \([+-]\)/class\1/g' -e 's/} \* /} */g' "$1"
}

# Prints the hunks of a diff that do more than move line breaks; of those, only a function's return type on
# a line of its own and a body that is not on its condition's line are asked for.
wrong_hunks() {
	awk -v file="$1" '
		/^[0-9]/ { flush(); line = $0; sub(/[,acd].*/, "", line) }
		/^[<>]/ { hunk = hunk $0 "\n" }
		/^</ { old++ }
		/^>/ { new++ }
		/^<.*#[ \t]*define/ { macro = 1 }
		/^< [a-z].*[a-z0-9_]\(.*\)( [{])?$/ || /^< \t+(if|for|while) .*;$/ { asked = 1 }
		function flush() {
			if (hunk != "" && (asked && new > old || old == new && !macro))
				printf "%s", file ":" line ":\n" hunk
			hunk = ""; old = new = macro = asked = 0
		}
		END { flush() }'
}

for file in $(find lib include tests bench examples -name '*.[ch]' | sort); do
	squeeze "$file" > "$work/is"
	clang-format "$file" > "$work/formatted"
	squeeze "$work/formatted" > "$work/should"
	diff "$work/is" "$work/should" | wrong_hunks "$file" > "$work/wrong"
	test -s "$work/wrong" && { cat "$work/wrong"; bad=1; }
	blank=$(grep -n '[[:blank:]]$' "$file") && { printf '%s: blanks at the end of a line:\n%s\n' "$file" "$blank"; bad=1; }
done
test $bad = 0 && echo "all as clang-format would have it"
exit $bad
