#!/bin/sh
# again_test.sh DIR: programs of each kind, executed again by the starts that do: their main functions run once.
set -u
dir=$1 bad=0

expect() {
	what=$1 want=$2
	shift 2
	got=$(timeout -k 5 30 "$@" 2>&1 </dev/null)
	test "$got" = "$want" || { printf '%s printed:\n%s\ninstead of:\n%s\n' "$what" "$got" "$want"; bad=1; }
}

lines() { printf '%s\n' "$@"; }
server='child of a server, all constructed' own='child of its parent, all constructed'
all=$(lines main "$server" "$server" 7 "$own" "$own" 7 "$own" "$own" 7)

for program in again again-shared again-fixed; do
	expect $program "$all" "$dir/$program" 2 3 1
	expect "$program with threads" "$(lines main "$server" "$own" 7)" "$dir/$program" 0
done
expect again-entry "$all" "$dir/again-entry" 2 3 1
expect again-dlopen "$(lines main 'child copied' 0 'child copied' 0 -38 -38 | sort)" sh -c \
	"$dir/again-dlopen $dir/libshoal.so | sort"

# A token of nothing that is there, and one of a file that is no parcel of this library's.
expect "an old token" main env SHOAL_CHILD=77:1 "$dir/again"
got=$( (exec 9< "$0"; SHOAL_CHILD=9:$(stat -Lc %i "$0") "$dir/again") 2>&1 </dev/null)
case $got in
*main*) printf 'a wrong parcel led to main: %s\n' "$got"; bad=1 ;;
*"has another libshoal"*) ;;
*) printf 'a wrong parcel: %s\n' "$got"; bad=1 ;;
esac

# A function without a name, in a module without build-id.
got=$("$dir/again-bare" 3 2>&1 </dev/null)
case $got in
*"-22: "*"again-bare has no build-id"*"-Wl,--build-id"*) ;;
*) printf 'again-bare printed:\n%s\n' "$got"; bad=1 ;;
esac
exit $bad
