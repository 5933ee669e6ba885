/*
 * An input as steps: a byte chooses between overwriting a word and making a call.
 *
 *	0 … 127    overwrite: region, offset (2 bytes; 4 in a container's part), how, one byte of
 *	           `how`, or 8 for a raw value
 *	128 … 191  a call on a container: two bytes for what it may choose from, which
 *	192 … 255  another call: that byte says which, and two for what it may choose from
 */
#ifndef FUZZ_LIVE_RUN_H
#define FUZZ_LIVE_RUN_H

#include <stddef.h>
#include <stdint.h>

/* Runs the input in a world that is as at the start. */
void live_run(const uint8_t *data, size_t bytes);

#endif
