# Sourced by the tests of examples whose programs meet in a named arena: a folder of the test's own, and nothing
# left of it, whatever ends it. $told, where it is set, is a file that explains a failure.
set -eu

work=$(mktemp -d -p "$(test -d /dev/shm && echo /dev/shm || echo /tmp)")
arena=$work/arena		# a name with a slash is a path
pids=
told=

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
	echo "$(basename "$0" .sh): $1" >&2
	[ -z "$told" ] || cat "$told" >&2
	exit 1
}
