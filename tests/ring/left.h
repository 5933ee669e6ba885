/* What is left in an arena at the end of a test. */
#ifndef TESTS_RING_LEFT_H
#define TESTS_RING_LEFT_H

#include "harness.h"
#include <shoal/shoal.h>

/*
 * How many blocks there are, once it is so many. The thread that watches for descriptors may be
 * inside what was destroyed: its memory goes at the first recovery after that.
 */
static inline uint64_t
blocks_in_the_end(shoal_arena *a, uint64_t expected)
{
	shoal_arena_info info = { 0 };
	for (int i = 0; i < 2000; i++) {
		REQUIRE(shoal_arena_recover(a) >= 0);
		REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
		if (info.blocks == expected)
			break;
		sleep_ms(1);
	}
	return info.blocks;
}

#endif
