/* Values that say which they are, for storms: torn or foreign ones show. */
#ifndef TESTS_STORM_VALUE_H
#define TESTS_STORM_VALUE_H

#include "harness.h"
#include <errno.h>
#include <shoal/shoal.h>
#include <string.h>

#ifndef STORM_WORDS
#define STORM_WORDS 40 /* at most, of 8 bytes */
#endif

static inline uint64_t
random_next(uint64_t *x)
{
	*x = *x * UINT64_C(6364136223846793005) + 1442695040888963407;
	return *x >> 33;
}

/* Every third is an int; the others say their number in all of a block of their own. */
static inline shoal_any
value_of(int64_t n, int64_t *words)
{
	size_t count = 1 + (size_t)n % STORM_WORDS;
	if (n % 3 == 0)
		return SHOAL_ANY(n);
	for (size_t i = 0; i < count; i++)
		words[i] = n;
	return shoal_any_from_bytes(words, count * sizeof *words);
}

static inline int64_t
number_of(const shoal_any *v)
{
	int64_t n, word;
	if (v->kind == SHOAL_ANY_INT)
		return v->as.integer;
	REQUIRE_EQ(v->kind, SHOAL_ANY_BYTES);
	memcpy(&n, v->as.bytes, sizeof n);
	REQUIRE_EQ(v->count, (1 + (size_t)n % STORM_WORDS) * sizeof n);
	for (size_t i = 0; i < v->count; i += sizeof word) {
		memcpy(&word, (const char *)v->as.bytes + i, sizeof word);
		REQUIRE_EQ(word, n);
	}
	return n;
}

/* Which value a call got; `absent` where there was none. */
static inline int64_t
taken(int rc, shoal_any *v, int64_t absent)
{
	if (rc == -ENOENT)
		return absent;
	REQUIRE_EQ(rc, 0);
	int64_t n = number_of(v);
	shoal_any_clear(v);
	return n;
}

/* In use, in an arena in which nobody is left and nothing is wrong. */
static inline uint64_t
blocks(shoal_arena *a)
{
	shoal_arena_info info;
	REQUIRE(shoal_arena_recover(a) >= 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	return info.blocks;
}

#endif
