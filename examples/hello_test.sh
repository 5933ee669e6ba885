#!/bin/sh
# hello_test.sh HELLO: the first program that anybody tries says what it should.
set -eu

said=$(timeout -k 2 10 "$1")
[ "$said" = "hello from a process" ] || { echo "hello_test: it said: $said" >&2; exit 1; }
echo "hello: $said"
