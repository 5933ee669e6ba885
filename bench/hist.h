/*
 * hist.h - a histogram of times, exact below 64 ns and to one part in 32 above
 *
 * As HDR histograms have it: each power of two is divided into the same number of equal parts, so
 * an entry costs a few instructions and any percentile is known to 3 %.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stddef.h>
#include <stdint.h>

enum {
	HIST_PARTS = 32,
	HIST_PARTS_LOG = 5,
	HIST_POWERS = 38, /* up to 2^42 ns, which is more than an hour */
	HIST_BUCKETS = HIST_PARTS * HIST_POWERS,
};

struct hist {
	uint64_t count, max;
	uint32_t bucket[HIST_BUCKETS];
};

static inline size_t
hist_index(uint64_t ns)
{
	unsigned power = ns < HIST_PARTS ? 0 : 63 - HIST_PARTS_LOG - (unsigned)__builtin_clzll(ns);
	size_t index = (size_t)power * HIST_PARTS + (size_t)(ns >> power);

	return index < HIST_BUCKETS ? index : HIST_BUCKETS - 1;
}

static inline void
hist_add(struct hist *h, uint64_t ns)
{
	h->bucket[hist_index(ns)]++;
	h->count++;
	h->max = ns > h->max ? ns : h->max;
}

/* The time below which that share lies: the end of its bucket, and never above the largest. */
double hist_at(const struct hist *, double share);

#endif
