/*
 * pace.h - whether the reader of long messages evicts what it has read, found out by trying
 *
 * A line that both sides have in their caches is taken from the reader when the writer comes round
 * to it. Where the two share a cache that costs little. Where they do not, it costs more than to
 * fetch the line from memory, and a reader that evicts what it has read spares the writer that.
 *
 * Machines differ, and on a virtual one it may change by the second, so it is tried now and then. A
 * round is so many bytes, and what counts is the shortest of four of them, before and after the
 * change; the round in which it is made is between the two ways. Evicting must be faster by an
 * eighth to begin, and not slower to go on. Where it does not pay it may cost ten times what it is
 * to save: a try ends as soon as a round has taken twice the time, and after each that failed the
 * next one waits for twice as many rounds.
 *
 * All of it is private to the thread.
 */
#ifndef RING_PACE_H
#define RING_PACE_H

#include "base/atomic.h"
#include "base/clock.h"

#define PACE_LEAST 512u /* bytes of a record that is worth it */
#define PACE_ROUND (UINT64_C(512) << 10)
#define PACE_WAIT 16u /* rounds before the first try, and after one that won */
#define PACE_WAIT_MOST 4096u

struct pace {
	uint64_t bytes, round; /* in this round; in a whole one */
	int64_t began;         /* the round, by the clock */
	int64_t own, other;    /* the shortest rounds of the way that is kept, and of the one tried */
	uint32_t rounds, wait; /* since the last change; before the next try */
	bool evicts, tries;    /* tries: the other way than is kept */
};

/* What evicting is good for shows a lap later: a round is two laps at least. */
static inline struct pace
pace_of(uint64_t lap)
{
	return (struct pace){ .round = 2 * lap > PACE_ROUND ? 2 * lap : PACE_ROUND, .wait = PACE_WAIT };
}

/* Times are the clock's. A round of a try that is late ends there, and the try with it. */
void pace_end_round(struct pace *, int64_t now);

static inline bool
pace_is_late(const struct pace *p, int64_t now)
{
	return p->tries && now - p->began > 2 * p->own;
}

/* So many bytes were received. */
static inline void
pace_passed(struct pace *p, uint64_t bytes)
{
	p->bytes += bytes;
	if (unlikely(p->bytes >= p->round || (p->tries && pace_is_late(p, clock_now()))))
		pace_end_round(p, clock_now());
}

#endif
