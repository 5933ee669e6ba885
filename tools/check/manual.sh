# Every function of the public headers stands in the synopsis of one page of docs/man, exactly as it is
# declared, and is described below it; and the pages are sound, as far as scdoc and mandoc are here.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

# One declaration a line, without what only a compiler wants to know.
declarations() {
	grep -vE '^#' | tr '\n\t' '  ' | sed 's/[;{}]/\n/g' |
		sed -E 's/_Bool/bool/g; s/__attribute__ ?\(\([^()]*(\([^()]*\))*\)\)//g; s/(extern|static|inline) //g
			s/  */ /g; s/\* /*/g; s/^ //; s/ $//' |
		grep -E '^[a-z][a-z0-9_ *]*[ *]shoal_[a-z0-9_]*[a-z0-9]\(' | grep -vE '^(return|typedef) ' | sort -u
}

for header in include/shoal/*.h; do echo "#include \"$header\""; done > "$work/all.c"
$CC -std=c11 -Iinclude -I. -E -P "$work/all.c" | declarations > "$work/headers"
for page in docs/man/*.3.scd; do
	sed -n '/^# SYNOPSIS/,/^# DESCRIPTION/p' "$page" | sed -n '/^```/,/^```/p' | grep -v '^```' |
		declarations > "$work/page"
	sed -n '/^# DESCRIPTION/,$p' "$page" > "$work/text"
	for name in $(grep -oE 'shoal_[a-z0-9_]+\(' "$work/page"); do
		sed -n '/^# NAME/,/^# SYNOPSIS/p' "$page" | grep -qw "${name%(}" || echo "$page: not under NAME: ${name%(}"
		grep -qF "*${name%(}*()" "$work/text" || echo "$page: not described: ${name%(}"
	done > "$work/out"
	test -s "$work/out" && { cat "$work/out"; bad=1; }
	cat "$work/page" >> "$work/pages"
done
sort "$work/pages" | uniq -d | sed 's/^/in two pages: /' > "$work/out"
sort -u "$work/pages" | comm -23 "$work/headers" - | sed 's/^/in no synopsis: /' >> "$work/out"
sort -u "$work/pages" | comm -13 "$work/headers" - | sed 's/^/not so declared: /' >> "$work/out"
test -s "$work/out" && { cat "$work/out"; bad=1; }

linted=
if command -v scdoc >/dev/null; then
	tools/manual.sh "$work/man" >/dev/null || bad=1
	# An empty paragraph here and there is scdoc's own manner.
	if command -v mandoc >/dev/null; then
		mandoc -T lint -W warning $(find "$work/man" -type f | sort) | grep -v 'skipping paragraph macro' > "$work/out"
		test -s "$work/out" && { cat "$work/out"; bad=1; }
	else
		linted=" (not linted: mandoc is not installed)"
	fi
else
	linted=" (not built: scdoc is not installed)"
fi
test $bad = 0 && echo "$(wc -l < "$work/headers") functions, each in one page$linted"
exit $bad
