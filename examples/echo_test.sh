#!/bin/sh
# echo_test.sh SERVER CLIENT: each client hears itself, whoever else comes, stays silent or is killed.
. "$(dirname "$0")/test.sh"

server=$1 client=$2

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
