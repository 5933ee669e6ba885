/* stats.h - medians and the like */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>
#include <stdint.h>

struct spread {
	double median, min, max;
};

/* Sorts the values where they are. */
struct spread spread_of(double *values, size_t count);
double percentile(double *values, size_t count, double share);

/* Sorts, and gives the value below which that share of them lies. */
uint32_t percentile_u32(uint32_t *values, size_t count, double share);

#endif
