#!/bin/sh
# mandelbrot_test.sh MANDELBROT: the pool's picture is the one that a single process computes.
set -eu

mandelbrot=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

timeout -k 2 20 "$mandelbrot" 320 200 >"$work/pool" 2>"$work/bar"
timeout -k 2 20 "$mandelbrot" -s 320 200 >"$work/serial" 2>"$work/none"
cmp "$work/pool" "$work/serial"
grep -q 'mandelbrot: 100%.* 200/200 ' "$work/bar"
test ! -s "$work/none"
test "$(head -c 14 "$work/pool" | head -n 2 | tail -n 1)" = "320 200"
# Neither black nor of one colour: a picture.
test "$(tail -c +16 "$work/pool" | od -An -v -tx1 -w3 | sort -u | wc -l)" -gt 20
echo "mandelbrot: the same picture by a pool and by one process"
