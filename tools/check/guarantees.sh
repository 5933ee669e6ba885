# docs/guarantees.md says of every function what its death leaves and who holds it up: each that
# libshoal.so exports stands in one row of each table, by its name or by a pattern in the row's second
# column, and what stands there is a function. Numbers stand once, and what is referred to is there. In the
# manual each function's entry has its Killed and its Progress, but where a page says them for all.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
text=docs/guarantees.md

nm -D --defined-only build/release/libshoal.so | sed -n 's/.* \(shoal_[a-z0-9_]*[a-z0-9]\)\(@.*\)\{0,1\}$/\1/p' |
	sort -u > "$work/exported"
test -s "$work/exported" || echo "build/release/libshoal.so exports nothing" >> "$work/out"

# The kinds of objects, as the document has them: OBJECT is each of `a`, `b` ...;
objects=$(tr '\n' ' ' < $text | sed -n 's/.*OBJECT is each of \([^;]*\);.*/\1/p' | tr -d '` ' | tr ',' '|')
test -n "$objects" || echo "$text does not say what OBJECT is" >> "$work/out"

# Each name and pattern of a table's rows, as "row expression".
patterns() {
	sed -n "s/^| \*\*\($1\.[0-9]*\)\*\* | \([^|]*\) |.*/\1 \2/p" $text | while read -r row cell; do
		printf '%s\n' "$cell" | grep -oE '`shoal_[A-Za-z0-9_*]+`' | tr -d '`' |
			sed "s/\*/[a-z0-9_]*/g; s/OBJECT/($objects)/; s/^/$row /"
	done
}

for table in D P; do
	patterns $table > "$work/patterns"
	: > "$work/matched"
	while read -r row pattern; do
		grep -xE "$pattern" "$work/exported" | sed "s/\$/ $row/" > "$work/these"
		test -s "$work/these" || echo "$row: no function: $pattern" >> "$work/out"
		cat "$work/these" >> "$work/matched"
	done < "$work/patterns"
	sort -u "$work/matched" > "$work/rows"
	cut -d' ' -f1 "$work/rows" | sort -u | comm -23 "$work/exported" - |
		sed "s/^/in no $table row: /" >> "$work/out"
	cut -d' ' -f1 "$work/rows" | uniq -d | sed "s/^/in two $table rows: /" >> "$work/out"
done

grep -oE '\*\*[A-Z]\.[0-9]+\*\*' $text | tr -d '*' | sort > "$work/numbers"
uniq -d "$work/numbers" | sed 's/^/stands twice: /' >> "$work/out"
grep -oE '\b[A-Z]\.[0-9]+\b' $text | sort -u | comm -23 - "$work/numbers" | sed 's/^/is not there: /' >> "$work/out"

# An entry begins with a line of names alone.
for page in docs/man/*.3.scd; do
	grep -q '^# DEATH AND PROGRESS' "$page" && continue
	awk -v page="$page" '
		function close_entry() {
			if (entry != "" && !killed) print page ": no Killed: " entry
			if (entry != "" && !progress) print page ": no Progress: " entry
			entry = ""; killed = progress = 0
		}
		/^(\*shoal_[a-z0-9_]*\*\(\)(, )?)+$/ { close_entry(); entry = $0 }
		/^# / { close_entry() }
		/^\t_Killed_/ { killed = 1 }
		/^\t.*_Progress_: / { progress = 1 }
		END { close_entry() }' "$page" >> "$work/out"
done

test -s "$work/out" && { cat "$work/out"; exit 1; }
echo "$(wc -l < "$work/exported") functions, each with what its death leaves and who holds it up"
