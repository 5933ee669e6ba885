/* One run: a process that is killed or stopped, and what the others find. Shared by the phases. */
#ifndef STEP_RUN_H
#define STEP_RUN_H

#include "memory.h"
#include "people.h"
#include "report.h"

/* What one kill left, seen for the first time. */
struct state {
	uint64_t hash;
	size_t n; /* the first point that left it */
	struct memory_image *image;
};

/* Start times are counted in such. */
static const int64_t TICK_NS = 11000000;

struct run {
	struct step_world *w;
	const struct step_case *of;
	struct tally tally;
	struct act act;
	struct trace trace;
	struct state *state;
	size_t state_count, state_room;
	bool full;
	bool gathers; /* the states that kills leave are wanted, and were checked by another run */
	/* somebody was killed because he was late: what he had is his leak */
	bool doubtful;
	size_t stride;
};

/* The base again, and whatever lies outside. */
void run_rewind(struct run *r, const struct memory_image *image);
/*
 * From the base: starts the victim, takes it to point n and kills it there; again if it took
 * another way. false: it did not start.
 */
bool run_kill(struct run *r, size_t n);
/* Whether it took the last one's way; a long one need but be about as long. */
bool run_trace_good(const struct trace *t, const struct trace *last);
/* Records until two runs in a row take the same way; a long one once, if others pass its places. */
void run_trace_act(struct run *r, const struct act *act, struct trace *t);
/* The state that is there: true if it is new. */
bool run_state(struct run *r, size_t n, struct state **out);
/* The same of one that was there; a new one keeps the image. */
bool run_state_add(struct run *r, const struct state *state);
/* Whether an ordinary run takes point n of a phase that need not take all. */
bool run_takes(const struct run *r, const struct trace *t, size_t n);

/*
 * check, then audit, of what is there now, or, if there is one, of an image: what is wrong is
 * reported. false: it cannot be judged, and what was there is gone.
 */
bool run_check(struct run *r, const struct place *at, const struct memory_image *image, bool crowd,
               unsigned attempt);
/*
 * Reports what is wrong. false: it was late, and may not be when it is tried again; or it rests on
 * time, and the machine was late.
 */
bool run_verdict(struct run *r, const struct place *at, unsigned attempt);
/* Whether the machine was late, and what came of it is worth another try. */
bool run_late(const struct run *r, unsigned attempt);
/* More tries than there ever are. */
enum { RUN_TRIES = 40 };

/* ---- recover.c: what its two ways have in common ---- */

/* From the base: the second one stands at its start, the victim was killed at n. */
bool recovery_start(struct run *r, const struct act *act, size_t n, struct victim *second);
struct act recovery_act(const struct run *r, size_t meet);
struct place recovery_place(const struct run *r, size_t n, const struct trace *second, size_t meet);
size_t recovery_ways(const struct run *r);
/* How many of all that a kill left somebody is to recover from. */
size_t recovery_meant(const struct run *r, size_t all);

void phase_kill(struct run *r);
void phase_sleeper(struct run *r);
void phase_recovery(struct run *r);
void phase_earnest(struct run *r);
void phase_stop(struct run *r);

#endif
