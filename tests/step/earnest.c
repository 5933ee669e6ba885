/*
 * Phase recovery, in earnest: where what a kill left is not all in watched memory, or who comes
 * upon it may sleep, nothing can be shown by one that stands still. The first one is killed, then
 * the second one, and what both left is checked, each time from the base.
 *
 * Of each death of the first one that leaves something else, as far as that can be seen, every
 * instruction of the second one is taken after which something differs, or that sleeps, for each
 * way to come upon what is left. Where there are many such deaths each is given one way, and a turn
 * of the points of a long one. In an ordinary run, some of all.
 */
#include <stdlib.h>

#include "leap.h"
#include "run.h"
#include "tracer.h"

/*
 * So many of the second one's points are taken: in an ordinary run; in a full one, after many
 * deaths of the first one, and after few.
 */
enum { SOME_POINTS = 6, MOST_POINTS = 16, FEW_POINTS = 48 };
enum { UNSEEN = 256, MANY = 64 };

static bool
differs(const struct trace *t, size_t n)
{
	const struct point *p = &t->point[n];
	return n == 0 || n + 1 == t->count || p->write || p->asleep;
}

/*
 * Where the first one is killed: where it left another state, if it was watched; else wherever
 * something differs, and now and then between, since stores to other memory are not seen.
 */
static size_t
firsts(const struct run *r, size_t *first)
{
	const struct trace *t = &r->trace;
	size_t count = 0;
	for (size_t i = 0; i < r->state_count; i++)
		first[count++] = r->state[i].n;
	for (size_t n = 0; !r->state_count && n < t->count; n++) {
		if (differs(t, n) || n % UNSEEN == 0)
			first[count++] = n;
	}
	return count;
}

/*
 * Its way from there: any that it goes, once no step comes by memory that nobody knew of. In leaps,
 * from one change to the next, unless it sleeps. False: it did not start.
 */
static bool
follow(struct run *r, const struct act *act, size_t n, struct trace *t, bool *leaps)
{
	*leaps = !r->of->slept;
	for (int i = 0; i < 4; i++) {
		struct victim second;
		trace_drop(t);
		if (!recovery_start(r, act, n, &second))
			return false;
		if (*leaps)
			leap_follow(t, &second);
		else
			trace_follow(t, &second);
		if (!t->touched && !t->crashed && !t->stuck)
			break;
		*leaps = *leaps && !t->stuck;
	}
	return true;
}

/* The kernel marks no words of one that dies in a leap, where it could not be stopped. */
enum { LEAP_TRIES = 3 };

static bool
second_to(struct run *r, const struct place *at, const struct act *act, struct trace *t, bool leaps,
          struct victim *second)
{
	for (int i = 0; leaps && i < LEAP_TRIES; i++) {
		if (!recovery_start(r, act, at->n, second))
			return false;
		if (leap_to(second, t, at->m))
			return true;
		victim_kill(second);
	}
	if (!recovery_start(r, act, at->n, second))
		return false;
	if (leaps)
		victim_run(second, t->point[at->m].pc);
	else
		victim_to(second, t, at->m);
	return true;
}

/* Both are dead: whatever way the second one went, what it left is to be right. */
static void
kill_both(struct run *r, struct place *at, const struct act *act, struct trace *t, bool leaps)
{
	bool judged = false;
	for (unsigned attempt = 0; !judged && attempt < RUN_TRIES; attempt++) {
		struct victim second;
		if (!second_to(r, at, act, t, leaps, &second)) {
			report_violation(&r->tally, at,
			                 r->w->failed ? r->w->text : "the recoverer does not start");
			return;
		}
		victim_kill(&second);
		r->tally.recoveries++;
		r->tally.earnest++;
		judged = run_check(r, at, NULL, false, attempt);
	}
}

/* A long way's points are taken in turns, another turn after each death of the first one. */
static void
earnest_of(struct run *r, size_t n, size_t meet, size_t turn, size_t most)
{
	struct act act = recovery_act(r, meet);
	struct trace trace = { 0 };
	struct place at = recovery_place(r, n, &trace, meet);
	size_t points = 0, seen = 0;
	bool leaps;
	if (!follow(r, &act, n, &trace, &leaps)) {
		report_violation(&r->tally, &at, "the recoverer does not start");
		return;
	}
	if (trace.crashed || trace.stuck) {
		at.m = trace.count ? trace.count - 1 : 0;
		report_violation(&r->tally, &at,
		                 trace.stuck ? "the recoverer sleeps for ever" : "the recoverer crashes");
	}
	for (size_t m = 0; m < trace.count; m++)
		points += differs(&trace, m);
	size_t every = points > most ? (points + most - 1) / most : 1;
	for (at.m = 0; !trace.crashed && !trace.stuck && at.m < trace.count; at.m++) {
		if (differs(&trace, at.m) && seen++ % every == turn % every)
			kill_both(r, &at, &act, &trace, leaps);
	}
	r->tally.drifts += trace.drifts;
	trace_drop(&trace);
}

void
phase_earnest(struct run *r)
{
	size_t *first = calloc(r->trace.count + r->state_count, sizeof *first);
	size_t count = firsts(r, first), some = recovery_meant(r, count), ways = recovery_ways(r);
	bool all = r->full && some < MANY;
	size_t most = all ? FEW_POINTS : r->full ? MOST_POINTS : SOME_POINTS;
	for (size_t i = 0; i < some; i++) {
		for (size_t way = 0; way < ways; way++) {
			if (all || way == i % ways)
				earnest_of(r, first[i * count / some], way, i / ways, most);
		}
	}
	free(first);
}
