# Every public name of Python's multiprocessing, as tools/check/python.names has them, stands in the first
# column of a table of docs/python.md; and where python3 is the version that this is about, in that list.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
document=docs/python.md list=tools/check/python.names

# "SECTION<tab>WORDS OF THE FIRST CELL", blanks around each word.
awk '
	/^## / { section = $0; sub(/^## /, "", section) }
	/^\| / && !/^\| (Python|---) / {
		split($0, cell, / \| /)
		gsub(/[^A-Za-z0-9_.]+/, " ", cell[1])
		dotted = cell[1]; gsub(/[.]/, " ", cell[1])
		print section "\t" cell[1] " " dotted " "
	}' "$document" > "$work/rows"
sed -n '/^[^#]/s/: / /p' "$list" | awk '{ for (i = 2; i <= NF; i++) print $1, $i }' | sort -u > "$work/names"
awk -F '\t' '
	NR == FNR { section[++rows] = $1; words[rows] = $2; next }
	{
		split($0, part, " "); split(part[1], owner, "/")
		name = owner[1] == "SyncManager" ? "m." part[2] : part[2]
		anywhere = owner[1] == "multiprocessing" || owner[1] == "SyncManager"
		for (i = 1; i <= rows; i++) {
			here = anywhere || owner[2] != "" && index(section[i], owner[2]) == 1
			if (index(words[i], " " name " ") && (here || index(words[i], " " owner[1] " ")))
				next
		}
		print "in no row of '"$document"': " part[2] " of " part[1]
	}' "$work/rows" "$work/names" > "$work/out" || echo "awk failed" >> "$work/out"

of=$(python3 -c 'import sys; print(*sys.version_info[:2], sep=".")' 2>/dev/null)
if grep -q "CPython $of[)]" "$list"; then
	sed 's|/[^ ]*||' "$work/names" | sort -u > "$work/listed"
	python3 tools/check/python.py | sort -u | comm -23 - "$work/listed" | sed "s|^|Python's, and not in $list: |" >> "$work/out"
	said=", as Python $of has them"
fi
cat "$work/out"
test -s "$work/out" && exit 1
echo "$(wc -l < "$work/names") names of multiprocessing$said"
