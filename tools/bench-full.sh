#!/bin/sh
# Measures everything that is here, then the bars, and writes bench/RESULTS.md and its pictures from both.
# usage: tools/bench-full.sh BUILD-FOLDER; its exit status is that of the measurements
set -u
folder=$1/bench/results
mkdir -p "$folder"
status=0
"$1/bench/shoal-bench" --full --window-ms 40 --json "$folder/full.json" --csv "$folder/full.csv" \
	> "$folder/full.txt" || status=$?
"$1/bench/shoal-bench" --bars --json "$folder/bars.json" > "$folder/bars.txt" || status=$?
test -s "$folder/full.json" || exit 1
echo "wrote $folder"
if command -v python3 >/dev/null; then
	python3 bench/results.py "$folder/full.json" "$folder/bars.json" --markdown bench/RESULTS.md \
		--pictures bench/pictures --reasons bench/loses.txt || status=$?
else
	echo "no python3: bench/RESULTS.md is left as it was; the tables are in $folder"
fi
exit $status
