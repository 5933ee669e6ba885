# The probes of lib/base/probe.h are those of docs/tracing.md, with the same arguments, and those that a
# tracer finds in libshoal.so, where configure has found <sys/sdt.h>. What the document shows of bpftrace has
# those names, and no more arguments than they have.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0

sed -n 's/^#define PROBE_[A-Z_]*(.*) PROBE(\(.*\))$/\1/p' lib/base/probe.h | sort > "$work/header"
sed -n 's/^| `\([a-z_]*\)` | \(`[a-z`, ]*`\) |.*/\1, \2/p' docs/tracing.md | tr -d '`' | sort > "$work/document"
comm -23 "$work/header" "$work/document" | sed 's/^/not in docs\/tracing.md: /' > "$work/out"
comm -13 "$work/header" "$work/document" | sed 's/^/in docs\/tracing.md, but not in lib\/base\/probe.h: /' >> "$work/out"

# Each place of each probe: its name, and how many arguments it has.
readelf -nW build/release/libshoal.so 2>/dev/null | awk '
	/Provider: / { ours = $NF == "shoal" }
	$1 == "Name:" { name = $2 }
	$1 == "Arguments:" && ours { print name, NF - 1 }' > "$work/places"
sort -u "$work/places" > "$work/library"
awk -F ', ' '{ print $1, NF - 1 }' "$work/header" | sort | tee "$work/all" > "$work/counted"
if grep -qx '#define HAVE_SDT 1' build/config.h; then
	comm -23 "$work/counted" "$work/library" | sed 's/^/not in libshoal.so (probe, arguments): /' >> "$work/out"
else
	: > "$work/counted"
fi
comm -13 "$work/counted" "$work/library" | sed 's/^/only in libshoal.so (probe, arguments): /' >> "$work/out"

# Each use in a one-liner: "NAME ARGUMENT", the first of which is -1, for the name itself.
grep '^    ' docs/tracing.md | tr '\n' ' ' | sed 's/usdt:[^: ]*:shoal:/\n&/g' | awk -F '[: ]' '
	/^usdt:/ {
		print $4, -1
		for (text = $0; match(text, /arg[0-9]+/); text = substr(text, RSTART + RLENGTH))
			print $4, substr(text, RSTART + 3, RLENGTH - 3)
	}' | sort -u > "$work/uses"
awk 'NR == FNR { count[$1] = $2; next }
	!($1 in count) { if ($2 < 0) print "a one-liner of docs/tracing.md has a probe that is none: " $1; next }
	$2 >= count[$1] { print "a one-liner of docs/tracing.md has an argument that is none: " $1 " arg" $2 }' \
	"$work/all" "$work/uses" >> "$work/out"
test -s "$work/uses" || echo "docs/tracing.md has no one-liner" >> "$work/out"

# Were it local, nobody could link libshoal.a to a program that has probes too.
readelf -sW build/release/libshoal.a |
	awk '$8 == "_.stapsdt.base" && $5 == "LOCAL" { print $8 " is local in libshoal.a" }' >> "$work/out"
test -s "$work/out" && { cat "$work/out"; bad=1; }
test $bad = 0 && echo "$(wc -l < "$work/header") probes, in $(wc -l < "$work/places") places"
exit $bad
