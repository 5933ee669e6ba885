#!/bin/sh
# sensor_test.sh SENSOR READER: the two meet by name; a killed sensor's successor is read on.
. "$(dirname "$0")/test.sh"

sensor=$1 reader=$2
told=$work/readings

# Waits until the reader has printed readings of that sensor.
heard()
{
	for try in $(seq 100); do
		[ "$(grep -c "^sensor $1 " "$work/readings")" -lt 3 ] || return 0
		sleep 0.1
	done
	fail "nothing from sensor $1"
}

# The reader comes first and waits for the name to appear. The sensors' pids must be their own, so
# no timeout runs them: their number of readings bounds them.
: >"$work/readings"
timeout -k 2 30 "$reader" "$arena" 12 >"$work/readings" &
reading=$!
pids="$pids $reading"

"$sensor" "$arena" 200 &
first=$!
pids="$pids $first"
heard "$first"
kill -9 "$first"
wait "$first" 2>/dev/null || :

"$sensor" "$arena" 200 &
second=$!
pids="$pids $second"
heard "$second"

wait "$reading" || fail "the reader failed"
kill -9 "$second"
wait "$second" 2>/dev/null || :

# Each sensor's readings come once and in order; the second one's start anew.
awk '{ number = $4 + 0 }
	number != last[$2] + 1 { print "sensor " $2 ": " number " after " last[$2] + 0; bad = 1 }
	{ last[$2] = number }
	END { exit bad }' "$work/readings" || fail "readings are missing or out of order"
[ "$(wc -l <"$work/readings")" -eq 12 ] || fail "not 12 readings"
echo "sensor: 12 readings of two sensors, the first one killed"
