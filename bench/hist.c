/* hist.c - the percentiles of a histogram */
#include "hist.h"

/* Buckets up to 2 * HIST_PARTS are one value each; from there on each power has HIST_PARTS. */
static uint64_t
upper_end(size_t index)
{
	unsigned power = index < 2 * HIST_PARTS ? 0 : (unsigned)(index / HIST_PARTS - 1);

	return ((uint64_t)(index - (size_t)power * HIST_PARTS + 1) << power) - 1;
}

double
hist_at(const struct hist *h, double share)
{
	uint64_t wanted = (uint64_t)((double)h->count * share), seen = 0;

	for (size_t i = 0; i < HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen > wanted)
			return (double)(upper_end(i) < h->max ? upper_end(i) : h->max);
	}
	return (double)h->max;
}
