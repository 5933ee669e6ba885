# Global names of the library: shoal_ is for what the public headers declare, and only that is visible.
bad=0
symbols=$(for object in $(ninja -t inputs build/release/shoal.o | grep "[.]o\$"); do
	readelf -sW "$object" | awk -v o="$object" '$5 == "GLOBAL" && $7 != "UND" { print $8, $6, o }'
done)
names() { printf '%s\n' "$symbols" | awk "$1"; }

twice=$(names '{ print $1 }' | sort | uniq -d)
test -z "$twice" || { echo "defined more than once:" $twice; bad=1; }
hidden=$(names '$1 ~ /^shoal_/ && $2 != "DEFAULT" { print $1 " in " $3 }')
test -z "$hidden" || { printf 'named shoal_, but in no public header:\n%s\n' "$hidden"; bad=1; }
open=$(names '$1 !~ /^shoal_/ && $2 == "DEFAULT" { print $1 " in " $3 }')
test -z "$open" || { printf 'visible, but not named shoal_:\n%s\n' "$open"; bad=1; }
test $bad = 0 && echo "$(names 'END { print NR }') global names, none twice"
exit $bad
