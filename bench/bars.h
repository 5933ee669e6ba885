/*
 * bars.h - what the library must reach, as ratios to a peer in the same run
 *
 * Both sides of a ratio are series of one cell, so their repetitions alternate; the ratio is taken
 * repetition by repetition, and the median of those ratios is what is compared with the bar.
 */
#ifndef BENCH_BARS_H
#define BENCH_BARS_H

#include "death.h"
#include "pool.h"
#include "session.h"
#include "stats.h"

enum {
	BARS_MAX = 64
};

struct bar {
	const char *text; /* what is measured, and against what */
	struct plan ours;
	const struct subject *peer; /* NULL: the value itself is compared with the limit */
	enum value value;
	double limit;
	bool at_most; /* the ratio of times may not exceed the limit */

	enum victim victim;
	unsigned kills; /* not 0: a death, in milliseconds */
	enum pool_row pool; /* not POOL_NONE: measured by itself */

	long ours_at, peer_at; /* where the session has them */
	struct spread measured;
	struct spread line; /* how far the processors were from each other meanwhile, in ns */
	struct death_result death;
	struct pool_result pooled;
	bool met;
	const char *error;
};

struct bars {
	struct bar bar[BARS_MAX];
	size_t count;
};

/* Chooses the bars whose text contains `only` (NULL: all) and adds what they need. */
void bars_plan(struct bars *, struct session *, const char *only);
/*
 * Those that no session measures: deaths, and pools. Before all others: after the rows with
 * processes of 1 GiB the first row of deaths had a p99 of 16 to 26 ms in five runs of five, and of
 * less than 5 without them; whether the machine gives the pages back to its host was not looked at.
 */
void bars_deaths(struct bars *);
void bars_judge(struct bars *, const struct session *);

/* One line each; true when every one is met. */
bool bars_print(const struct bars *, FILE *);
void bars_list(FILE *);

#endif
