#!/bin/sh
# fuzz.sh DIR SECONDS FUZZER...: runs each for so long, with what it has found kept in DIR/corpus.
set -eu

dir=$1 seconds=$2
shift 2
for fuzzer do
	name=$(basename "$fuzzer")
	mkdir -p "$dir/corpus/$name" "$dir/crashes"
	echo "$name: $seconds s"
	ASAN_OPTIONS=detect_leaks=1 timeout -k 5 $((seconds + 30)) "$fuzzer" -max_total_time="$seconds" \
		-timeout=10 -artifact_prefix="$dir/crashes/$name-" -verbosity=1 -print_final_stats=1 \
		"$dir/corpus/$name" > "$dir/$name.log" 2>&1 < /dev/null ||
		{ tail -n 60 "$dir/$name.log"; echo "$name: failed; inputs are in $dir/crashes"; exit 1; }
	tail -n 8 "$dir/$name.log"
done
