# The tables of docs/performance.md that a committed result gives are what that result says.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 bench/map_tables.py bench/results/map.json > "$work/tables" || exit 1
grep . "$work/tables" | while IFS= read -r row; do
	grep -qxF -- "$row" docs/performance.md || echo "docs/performance.md has not: $row"
done > "$work/out"
cat "$work/out"
test -s "$work/out" && exit 1
echo "$(grep -c . "$work/tables") rows are what bench/results/map.json says"
