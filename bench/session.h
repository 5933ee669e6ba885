/*
 * session.h - all series of one invocation
 *
 * A cell is a measure, a shape, a size and a time inside; a series is one subject in a cell. The
 * repetitions of the series of one cell are interleaved (A, B, C, A, B, C, …), so that whatever the
 * machine does meanwhile it does to all of them.
 */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include "run.h"

#include <stdio.h>

struct series {
	struct plan plan;
	struct sample *sample;
	bool seen;
};

struct session {
	struct series *series;
	size_t count, room;
	unsigned reps;
	struct timing timing;
};

/* The index of the series of that plan, added if it is new; -1 if it cannot be measured. */
long session_add(struct session *, const struct plan *);
void session_run(struct session *);
void session_free(struct session *);
bool same_cell(const struct plan *, const struct plan *);

/* The values of a series over its good repetitions; returns how many there are. */
enum value {
	RATE,
	CPU_NS,
	P50,
	P90,
	P99,
	P999,
	SHARE,
	PAUSE,
	SWITCHES,
	LONGEST,
};
double sample_value(const struct sample *, enum value);
size_t series_values(const struct session *, const struct series *, enum value, double *out);

/* The first error of a series, or NULL. */
const char *series_error(const struct session *, const struct series *);

#endif
