# A file is one room: at most 600 lines of at most 100 columns, a tab counted as 4; a tutorial's program is
# read at one glance: 40 lines.
bad=0
for file in $(find lib include tests bench examples -name '*.[ch]'); do
	lines=$(wc -l < "$file")
	case $file in examples/tutorial/*) most=40 ;; *) most=600 ;; esac
	test "$lines" -le $most || { echo "$file: $lines lines"; bad=1; }
	wide=$(expand -t 4 "$file" | grep -nE '^.{101,}' | cut -d: -f1)
	test -z "$wide" || { echo "$file: wider than 100 columns: lines" $wide; bad=1; }
done
test $bad = 0 && echo "no file over 600 lines, no line over 100 columns"
exit $bad
