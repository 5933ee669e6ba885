/* Generated inputs for cbor_run, without libFuzzer: the same ones each time. */
#include "fuzz/cbor_run.h"
#include "harness.h"
#include <string.h>

static uint64_t state = 1;

static uint64_t
random_64(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

/* Heads that begin something come often, so that what is generated goes deep. */
static size_t
generate(uint8_t *to, size_t most)
{
	static const uint8_t heads[] = { 0x80, 0x81, 0x82, 0x83, 0x9f, 0xa0, 0xa1, 0xa2, 0xbf, 0xff,
		                         0x40, 0x41, 0x5f, 0x60, 0x61, 0x62, 0x7f, 0x00, 0x01, 0x18,
		                         0x1b, 0x20, 0x3b, 0xc1, 0xc2, 0xd8, 0xf4, 0xf6, 0xf9, 0xfb };
	size_t n = 0, bytes = 1 + random_64() % (most - 20);
	while (n < bytes) {
		uint64_t what = random_64() % 16;
		if (what == 0) {
			memcpy(to + n, CBOR_RUN_REF, 14);
			n += 14;
		} else if (what == 1) {
			to[n++] = (uint8_t)random_64();
		} else {
			to[n++] = heads[random_64() % sizeof heads];
		}
	}
	return n;
}

/* A value that is one, with some of its bytes changed. */
static size_t
mutate(uint8_t *to)
{
	static const char sound[] =
		"\xa5\x61\x61\x83\x01\x82\x02" CBOR_RUN_REF "\xf9\x3e\x00\x18\x64\x7f\x65strea\x64ming\xff"
		"\x41x\xbf\x01\x9f\x20\xff\xff\xf5\x5f\x42\x01\x02\x43\x03\x04\x05\xff\x63key"
		"\xd8\x18\x81" CBOR_RUN_REF;
	size_t n = sizeof sound - 1;
	memcpy(to, sound, n);
	for (uint64_t i = random_64() % 4; i > 0; i--)
		to[random_64() % n] = (uint8_t)random_64();
	return random_64() % 8 ? n : random_64() % n;
}

Test(cbor_replay, generated_bytes_do_no_harm, .timeout = HARNESS_TIMEOUT)
{
	uint8_t input[256];
	cbor_run_begin();
	for (int i = 0; i < 40000; i++) {
		size_t n = i % 2 ? generate(input, sizeof input) : mutate(input);
		cbor_run(input, n);
	}
	cbor_run_end();
}
