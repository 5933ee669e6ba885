#!/bin/sh
# inventory_test.sh INVENTORY: unrelated programs share the stock; some are killed; nothing is lost.
. "$(dirname "$0")/test.sh"

inventory=$1
INVENTORY=$arena
export INVENTORY
told=$work/shown

: >"$work/shown"
killed=0
for round in 1 2 3 4 5; do
	"$inventory" put apple 10000000 &
	putter=$!
	"$inventory" put pear 2000 &
	other=$!
	"$inventory" put apple 50
	"$inventory" sell apple 1000000 2>/dev/null &
	seller=$!
	pids="$putter $other $seller"
	sleep 0.0$round
	for victim in $putter $seller; do
		kill -9 "$victim" 2>/dev/null && killed=$((killed + 1))
		wait "$victim" 2>/dev/null || :
	done
	wait "$other" || fail "a program that was not killed failed"
	pids=
	timeout -k 2 10 "$inventory" put apple 1 || fail "the stock is stuck after a kill"
done

# A piece is in the list once, or sold; each kill may have cost one.
timeout -k 2 10 "$inventory" show >"$work/shown" || fail "show failed"

# The numbers of an article's pieces, one a line; its count in "made" or "sold".
pieces() { sed 's/, "made": .*//; s/.*"'"$1"'": \[\([^]]*\)\].*/\1/' "$work/shown" | tr -s ', ' '\n\n'; }
count() { sed 's/.*"'"$1"'": {\([^}]*\)}.*/\1/; s/.*"'"$2"'": \([0-9]*\).*/\1/' "$work/shown"; }

[ -z "$(pieces apple | sort | uniq -d)" ] || fail "an apple is there twice"
[ "$(pieces pear | sort -n | uniq | tail -n 1)" -eq 10000 ] || fail "the last pear is not there"
[ "$(pieces pear | sort -n | uniq | wc -l)" -eq 10000 ] || fail "pears are missing"
made=$(count made apple) sold=$(count sold apple) left=$(pieces apple | wc -l)
echo "inventory: $made apples made, $sold sold, $left left, $killed programs killed"
[ $((left + sold)) -le "$made" ] || fail "more apples than were made"
[ $((left + sold)) -ge $((made - killed)) ] || fail "apples are missing"
for wrong in "put apple x" "put apple 0" "put apple" "sell apple -1" "show it" "lend apple"; do
	"$inventory" $wrong 2>/dev/null && fail "it takes: $wrong"
done
"$inventory" close
"$inventory" close 2>"$work/said" && fail "it closes what is not there"
grep -q "^inventory: " "$work/said" || fail "it does not say why it cannot close"
