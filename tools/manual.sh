#!/bin/sh
# manual.sh OUT: the manual's pages from docs/man, and for each function one that leads to the page where
# it is described. Without scdoc there is no manual, which is said and no failure.
set -eu

out=$1
rm -rf "$out"
command -v scdoc >/dev/null || {
	echo "manual: skipped; on Debian or Ubuntu run: apt-get install -y scdoc"
	exit 0
}
for source in docs/man/*.scd; do
	page=$(basename "$source" .scd)
	section=${page##*.}
	mkdir -p "$out/man$section"
	scdoc < "$source" > "$out/man$section/$page" || { echo "manual: $source" >&2; exit 1; }
	for name in $(sed -n '/^# NAME/,/^# SYNOPSIS/p' "$source" | grep -oE 'shoal_[a-z0-9_]+'); do
		link=$out/man$section/$name.$section
		test -e "$link" || ln -s "$page" "$link"
	done
done
echo "manual: $(ls docs/man/*.scd | wc -l) pages, $(ls "$out"/man* | grep -c '[.][37]$') names"
