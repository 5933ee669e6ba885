/*
 * pool.h - shoal's pool beside OpenMP's threads and Python's pools
 *
 * Each side of a repetition is a process of its own, and the sides alternate. Ratios are so that
 * more is better: of rates, or how many times shorter a round trip is.
 */
#ifndef BENCH_POOL_H
#define BENCH_POOL_H

#include "stats.h"

enum pool_row {
	POOL_NONE,
	POOL_MAP_ONE, /* trivial items in chunks of 1, to schedule(dynamic, 1) */
	POOL_MAP_DEFAULT, /* in chunks as map has them, to dynamic chunks of that size */
	POOL_TRIP_PYTHON, /* apply_async and get in turn, to multiprocessing.Pool */
	POOL_TRIP_EXECUTOR, /* to ProcessPoolExecutor */
	POOL_BURST_PYTHON, /* many apply_async, then their results: rate */
};

struct pool_result {
	struct spread ratio;
	double ours, peer; /* medians: million items a second, or microseconds */
	char error[160];
};

/* NULL, or which peer is missing here. */
const char *pool_lacks(enum pool_row);
void pool_run(enum pool_row, struct pool_result *out);

/* pool_openmp.c: seconds for `count` items by as many threads; below 0: built without OpenMP. */
double openmp_map(int (*item)(const long *in, long *out), const long *in, long *out, long count,
                  long chunk, int threads);

#endif
