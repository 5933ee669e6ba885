/*
 * limits.h - what this machine cannot do faster, measured in the same run
 *
 * A rate or a time says little without them: a message cannot go from processor to processor in
 * less than a line does, nor a sleeper wake in less than the kernel needs.
 */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include "stats.h"

#include <stdbool.h>

enum limit {
	WORK_ALONE, /* additions a ns, each independent of three others, by one processor */
	WORK_BOTH, /* the same, while the other processor does as much */
	LINE_HOP, /* ns: a line written by one process and seen by the other, and back, halved */
	TWO_LINE_TRIP, /* ns: there and back, on a line for each way: the floor of a round trip */
	FUTEX_HOP, /* ns: from before a wake to after the wait, the sleeper being asleep */
	COPY_SMALL, /* GB/s: 64 KiB into shared memory and out of it again, by one process */
	COPY_LARGE, /* GB/s: the same with 1 MiB */
	HAND_SMALL, /* GB/s: 64 KiB copied in by one process and out by another, turn by turn */
	HAND_LARGE, /* GB/s: the same with 1 MiB */
	MEMBARRIER, /* ns: membarrier(2), expedited, of this process */
	CLOCK, /* ns: a look at the clock */
	SYSCALL, /* ns: the cheapest system call */
	LIMITS,
};

enum {
	LIMIT_REPS_MAX = 16
};

struct limits {
	double value[LIMITS][LIMIT_REPS_MAX];
	unsigned reps;
};

/* One more repetition of all. Those that this kernel cannot do are 0. */
void limits_measure(struct limits *);

/* A quick look at LINE_HOP. */
double limits_line(void);
/* Whether two such looks are of one distance: less than twice as far. */
bool limits_same_line(double one_ns, double other_ns);

struct spread limits_spread(const struct limits *, enum limit);
/* How many times the other, as each repetition by itself says: the machine changes. */
struct spread limits_ratio(const struct limits *, enum limit one, enum limit other);
const char *limit_name(enum limit);
const char *limit_unit(enum limit);

#endif
