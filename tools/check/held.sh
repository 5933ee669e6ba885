# tests/step/held.txt says of each case and role once where it is held up, and of none that is no case.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -n 's/^\([a-z_]*\.[a-z_]*\) \(.*\) [0-9]* of [0-9].*/\1 \2/p' tests/step/held.txt | sort > "$work/lines"
STEP_FULL=1 build/release/shoal-step --cases | sort > "$work/cases"
bad=0
uniq -d "$work/lines" | sed 's/^/twice in held.txt: /' > "$work/out"
cut -d' ' -f1 "$work/lines" | sort -u | comm -23 - "$work/cases" | sed 's/^/in held.txt, and no case: /' >> "$work/out"
test "$(grep -vc '^#' tests/step/held.txt)" = "$(wc -l < "$work/lines")" || echo "held.txt has a line that is none" >> "$work/out"
test -s "$work/out" && { cat "$work/out"; bad=1; }
test $bad = 0 && echo "$(wc -l < "$work/lines") roles of $(cut -d' ' -f1 "$work/lines" | sort -u | wc -l) cases in held.txt"
exit $bad
