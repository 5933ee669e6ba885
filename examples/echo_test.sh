#!/bin/sh
# echo_test.sh SERVER CLIENT: each client hears itself, whoever else comes, stays silent or is killed.
set -eu

server=$1 client=$2
work=$(mktemp -d -p "$(test -d /dev/shm && echo /dev/shm || echo /tmp)")
arena=$work/arena		# a name with a slash is a path
pids=

clean()
{
	for pid in $pids; do
		kill -9 "$pid" 2>/dev/null || :
	done
	rm -rf "$work"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

fail()
{
	echo "echo_test: $1" >&2
	exit 1
}

# One hundred lines of that name's own, through a client, and back as they were.
echoes()
{
	seq 100 | sed "s/^/$1 /" >"$work/$1.in"
	timeout -k 2 30 "$client" "$arena" <"$work/$1.in" >"$work/$1.out" || fail "client $1 failed"
	cmp -s "$work/$1.in" "$work/$1.out" || fail "client $1 got something else back"
}

"$server" "$arena" &
serving=$!
pids="$pids $serving"

# One who is connected and says nothing, and is killed later.
mkfifo "$work/silence"
"$client" "$arena" <"$work/silence" >"$work/heard" &
silent=$!
pids="$pids $silent"
exec 3>"$work/silence"
echo here >&3
for try in $(seq 100); do
	[ ! -s "$work/heard" ] || break
	sleep 0.1
done
[ -s "$work/heard" ] || fail "the first client heard nothing"

clients=
for name in a b c d e f g h; do
	echoes $name &
	clients="$clients $!"
done
for pid in $clients; do
	wait "$pid" || fail "a client failed"
done
kill -9 "$silent"
wait "$silent" 2>/dev/null || :
echoes again

# The next server has the name of one that was killed.
kill -9 "$serving"
wait "$serving" 2>/dev/null || :
"$server" "$arena" &
serving=$!
pids="$pids $serving"
echoes anew
echo "echo: 11 clients, one of them killed, and a second server"
