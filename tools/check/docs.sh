# The documents tell of what there is: every name of shoal's in them is one of the public headers or of the
# manual's pages, and every function stands in docs/python.md or docs/guarantees.md. Every link leads to a
# file, every C program that is shown is taken from one that is built, what is said to be printed is, and what
# is said to be measured was.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
texts=$(ls README.md ARCHITECTURE.md HACKING.md docs/*.md bench/*.md docs/man/*.scd 2>/dev/null)

names() { grep -ohE '\b(shoal_[a-z0-9_]*[a-z0-9]|SHOAL_[A-Z0-9_]*[A-Z0-9])\b' "$@" | sort -u; }
complain() { sed "s|^|$1: |" "$work/out"; test ! -s "$work/out" || bad=1; }

{ names include/shoal/*.h; ls docs/man | sed 's/[.].*//'; } | sort -u > "$work/known"
for text in $texts; do
	names "$text" | comm -23 - "$work/known" > "$work/out"
	complain "$text names what is not in include/shoal"
done

nm -D --defined-only build/release/libshoal.so | awk '$2 == "T" { sub(/@.*/, "", $3); if ($3 !~ /_$/) print $3 }' |
	sort -u > "$work/functions"
names docs/python.md docs/guarantees.md 2>/dev/null | comm -23 "$work/functions" - > "$work/out"
complain "in neither docs/python.md nor docs/guarantees.md"

# The anchor of a heading: its letters, digits and hyphens, in lower case, with a hyphen for each blank.
anchors() { sed -n 's/^##* //p' "$1" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9\n_-'; }
for text in $texts; do
	grep -oE '\]\([^)]+\)' "$text" | sed 's/^](//; s/)$//' | grep -vE '^https?:' | while read -r link; do
		file=${link%%#*}
		to=${file:+$(dirname "$text")/}${file:-$text}
		test -e "$to" || echo "$link"
		case $link in *\#*) anchors "$to" | grep -qxF -- "${link#*\#}" || echo "$link" ;; esac
	done > "$work/out"
	complain "$text has a link to nowhere"
done

# A block of C stands below a comment, "<!-- from FILE -->", and is part of that file, line by line.
awk '
	FNR == 1 { from = "" }
	/^<!-- from .* -->$/ { from = $3; next }
	/^```c$/ { block = ""; inside = 1; if (from == "") print FILENAME ":" FNR ": no file is said"; next }
	/^```$/ && inside {
		text = ""
		while ((getline line < from) > 0) { sub(/^\t+/, "", line); text = text line "\n" }
		close(from)
		if (from != "" && !index(text, block)) print FILENAME ":" FNR ": not as in " from
		inside = 0; from = ""; next
	}
	inside { line = $0; sub(/^\t+/, "", line); block = block line "\n" }' README.md docs/*.md > "$work/out"
complain "a program"

# What stands below "<!-- printed by COMMAND -->" is what the command prints.
awk -v work="$work" '
	FNR == 1 { command = "" }
	/^<!-- printed by .* -->$/ { command = $0; sub(/^<!-- printed by /, "", command); sub(/ -->$/, "", command); next }
	/^```/ && command != "" && !inside { inside = 1; block = ""; next }
	/^```$/ && inside {
		text = ""
		run = "timeout -k 2 10 " command " 2>&1 </dev/null"
		while ((run | getline line) > 0) text = text line "\n"
		close(run)
		if (text != block) print FILENAME ":" FNR ": not what it prints: " command
		inside = 0; command = ""; next
	}
	inside { block = block $0 "\n" }' README.md docs/*.md > "$work/out"
complain "a transcript"

# What stands behind "<!-- bar NAME -->" is what was measured of that bar, as bench/results/bars.json has it.
for text in $texts; do
	grep -oE '<!-- bar .* -->[0-9.]+ ×' "$text" | sed 's/<!-- bar /\n&/g' | grep '^<' | sed 's/.*<!-- bar \(.*\) -->\([0-9.]*\) ×.*/\1\t\2/'
done > "$work/bars"
awk -F '\t' '
	NR == FNR {
		if (match($0, /"bar": "[^"]*"/)) {
			name = substr($0, RSTART + 8, RLENGTH - 9)
			match($0, /"measured": [0-9.e+-]*/)
			measured[name] = sprintf("%.3g", substr($0, RSTART + 12, RLENGTH - 12))
		}
		next
	}
	measured[$1] != $2 { print $1 ": said to be " $2 ", measured " measured[$1] }' \
	bench/results/bars.json "$work/bars" > "$work/out"
complain "a bar"

# The right column of the README's first table is taken from that program too.
sed -n '/^| Python | C |/,/^$/p' README.md | sed -n 's/^| `.*` | `\(.*\)` |$/\1/p' | sed 's/; /\n/g; s/;$//' |
	while read -r call; do grep -qF -- "$call" tests/outside/readme.c || echo "$call"; done > "$work/out"
complain "in README.md, and not in tests/outside/readme.c"

test $bad = 0 && echo "$(echo $texts | wc -w) documents name only what there is"
exit $bad
