/*
 * Bytes that claim to be CBOR, of whatever origin: decoding them, and reading them as a cell of an
 * arena, is an error, or gives a value that is printed, copied, and written and read again as the
 * same; no crash, nothing read outside, nothing left.
 *
 * Where an input has CBOR_RUN_REF, eight bytes 0xee behind 0x1b, a reference to a queue stands in
 * their place.
 */
#ifndef TESTS_CBOR_RUN_H
#define TESTS_CBOR_RUN_H

#include <stddef.h>
#include <stdint.h>

#define CBOR_RUN_REF "\xda\x53\x68\x6f\x6c\x1b\xee\xee\xee\xee\xee\xee\xee\xee"

void cbor_run_begin(void);
/* Stops the process with a sentence when something is not as it must be. */
void cbor_run(const uint8_t *data, size_t bytes);
void cbor_run_end(void);

#endif
