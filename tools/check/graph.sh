# Every source file is in the graph: what is not is neither built nor run.
bad=0
for file in $(find lib tests bench examples -name '*.c' | sort); do
	grep -qE "[ /]$file( |$)" tools/*.ninja && continue
	case $file in tests/back_end_*.c) continue ;; esac
	echo "$file is in none of tools/*.ninja"
	bad=1
done
test $bad = 0 && echo "every source file is built"
exit $bad
