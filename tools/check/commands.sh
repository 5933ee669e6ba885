# What the documents tell to type is there: the targets of ninja, and the options of configure.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
texts=$(ls README.md ARCHITECTURE.md HACKING.md docs/*.md bench/*.md docs/man/*.scd .ci/run)
ninja -t targets all | sed 's/: .*//' | sort -u > "$work/targets"
./configure --help | grep -oE -- '--[a-z-]+' | sort -u > "$work/options"
for text in $texts; do
	grep -oE '\bninja( -j[0-9]*)? [a-z][A-Za-z0-9_/.-]*' "$text" | sed 's/.* //; s/[.]$//' | sort -u |
		comm -23 - "$work/targets" | sed "s|^|$text: no target: ninja |"
	grep -oE '(^|[^a-z])configure( --[a-z-]+(=[A-Za-z]*)?)+' "$text" | grep -oE -- '--[a-z-]+' | sort -u |
		comm -23 - "$work/options" | sed "s|^|$text: no option: configure |"
done > "$work/out"
sed -n '/^## Targets/,/^## One/s/^\(| `[^|]*\) | .*/\1/p' HACKING.md | grep -oE '`[a-z_.-]+`' | tr -d '`' | sort -u |
	comm -23 - "$work/targets" | sed 's/^/HACKING.md: no target: /' >> "$work/out"
test -s "$work/targets" && test -s "$work/options" || echo "ninja or configure tells nothing" >> "$work/out"
cat "$work/out"
test -s "$work/out" && exit 1
echo "$(cat $texts | grep -cE '\bninja( -j[0-9]*)? [a-z]') commands of ninja and configure"
