/* Phases kill, sleeper and recovery. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leap.h"
#include "run.h"

/* How many of a case's states an ordinary run lets somebody recover from. */
enum { SOME = 4 };

/* Where what a kill left is not all in watched memory, it is checked in its place. */
static bool
kill_unwatched(struct run *r, struct place *at)
{
	run_check(r, at, NULL, false);
	if (!r->of->crowd || !run_kill(r, at->n))
		return !r->of->crowd;
	at->phase = "kill, two survivors";
	run_check(r, at, NULL, true);
	return true;
}

static bool
kill_at(struct run *r, struct place *at)
{
	struct state *state;
	if (!run_kill(r, at->n))
		return false;
	if (r->of->unwatched)
		return kill_unwatched(r, at);
	bool new = run_state(r, at->n, &state);
	if (!new)
		return true;
	struct memory_image *image = state->image;
	run_check(r, at, image, false);
	at->phase = "kill, two survivors";
	if (r->of->crowd)
		run_check(r, at, image, true);
	return true;
}

/* A process killed while it slept in a call that nobody ended left no more than that call began. */
void
phase_kill(struct run *r)
{
	for (size_t n = 0; n < r->trace.count; n += r->stride) {
		struct place at = { .phase = "kill", .trace = &r->trace, .n = n };
		if (!run_takes(r, &r->trace, n))
			continue;
		if (kill_at(r, &at))
			continue;
		report_violation(&r->tally, &at, "the victim does not start");
		return;
	}
	r->tally.states = r->state_count;
}

/* ---- somebody sleeps ---- */

static void
sleeper_round(struct run *r, const struct place *at, const struct act *act, struct trace *t,
              size_t n)
{
	for (unsigned attempt = 0; attempt < 6; attempt++) {
		struct step_world *w = r->w;
		run_rewind(r, NULL);
		struct person sleeper = people_start(w, STEP_SLEEPER, r->of->sleeper);
		if (!people_asleep(w, &sleeper)) {
			bool returned = w->part[STEP_SLEEPER].done;
			people_kill(&sleeper);
			if (!w->failed && !returned && attempt < 5)
				continue;
			report_violation(&r->tally, at,
			                 w->failed ? w->text
			                           : "the sleeper's call returns at once");
			return;
		}
		struct victim v;
		if (victim_start(&v, w, act))
			victim_to(&v, t, n);
		victim_kill(&v);
		r->tally.sleeps++;
		people_run(w, STEP_ROUSER, r->of->rouse);
		if (w->failed)
			people_kill(&sleeper);
		else
			people_end(w, &sleeper);
		if (!w->failed && r->of->check)
			people_run(w, STEP_CHECKER, r->of->check);
		if (!w->failed && r->of->audit)
			people_run(w, STEP_SETUP, r->of->audit);
		if (run_verdict(r, at, attempt))
			return;
	}
}

/* With a sleeper the operation takes another way (it wakes), so it has a trace of its own. */
static bool
sleeper_trace(struct run *r, struct trace *t)
{
	for (int i = 0; i < 8; i++) {
		struct trace last = *t;
		run_rewind(r, NULL);
		struct person sleeper = people_start(r->w, STEP_SLEEPER, r->of->sleeper);
		bool asleep = people_asleep(r->w, &sleeper);
		if (asleep)
			trace_record(t, r->w, &r->act);
		else
			*t = (struct trace){ 0 };
		people_kill(&sleeper);
		bool same = asleep && run_trace_good(t, &last);
		trace_drop(&last);
		if (!asleep || same)
			return asleep;
	}
	return true;
}

void
phase_sleeper(struct run *r)
{
	struct trace trace = { 0 };
	struct place at = { .phase = "kill with a sleeper", .trace = &trace };
	if (!sleeper_trace(r, &trace)) {
		report_violation(&r->tally, &(struct place){ .phase = "sleeper" },
				 r->w->failed ? r->w->text : "the sleeper does not sleep");
		return;
	}
	for (at.n = 0; at.n < trace.count; at.n += r->stride) {
		if (run_takes(r, &trace, at.n))
			sleeper_round(r, &at, &r->act, &trace, at.n);
	}
	r->tally.drifts += trace.drifts;
	trace_drop(&trace);
}

/* ---- the recoverer dies too ---- */

/*
 * One who was there before the first one died stands at the start of its own call when it has: then
 * what it meets is the dead, and not what its registration made of it.
 */
static bool
recovery_start(struct run *r, const struct act *act, size_t n, struct victim *second)
{
	for (int i = 0; i < 4; i++) {
		struct victim first = { 0 };
		run_rewind(r, NULL);
		if (victim_start(second, r->w, act) && victim_start(&first, r->w, &r->act) &&
		    victim_to(&first, &r->trace, n)) {
			victim_kill(&first);
			return true;
		}
		victim_kill(&first);
		victim_kill(second);
	}
	return false;
}

/*
 * What was there when a recoverer was killed, its robust list included. The same once more leaves
 * the same.
 */
static struct {
	uint64_t *hash;
	size_t count, room;
} killed;

static bool
is_new(uint64_t hash)
{
	for (size_t i = 0; i < killed.count; i++) {
		if (killed.hash[i] == hash)
			return false;
	}
	if (killed.count == killed.room) {
		killed.room = killed.room ? killed.room * 2 : 1024;
		killed.hash = realloc(killed.hash, killed.room * sizeof *killed.hash);
	}
	killed.hash[killed.count++] = hash;
	return true;
}

static void
recovery_at(struct run *r, struct place *at, const struct act *act, struct trace *t)
{
	struct state *left;
	struct victim second;
	bool same = false;
	for (int i = 0; i < 4 && !same; i++) {
		if (!recovery_start(r, act, at->n, &second))
			return;
		same = leap_to(&second, t, at->m);
		victim_kill(&second);
		r->tally.recoveries++;
	}
	if (run_state(r, at->n, &left))
		run_check(r, at, left->image, false);
}

/*
 * Its trace, once no step of it comes by memory that nobody knew of, and what differs between two
 * of them (when it was started) is known.
 */
static bool
recovery_trace(struct run *r, const struct act *act, size_t n, struct trace *t)
{
	struct memory_image *last = NULL;
	bool good = false, started = true;
	for (int i = 0; i < 5 && started && !good; i++) {
		struct victim second;
		int64_t began = step_now();
		trace_drop(t);
		started = recovery_start(r, act, n, &second);
		if (!started)
			break;
		leap_follow(t, &second);
		struct memory_image *image = memory_copy();
		good = last && !memory_learn(last, image) && !t->touched;
		memory_drop(last);
		last = image;
		while (!good && step_now() - began < TICK_NS)
			usleep(500);
	}
	memory_drop(last);
	return started;
}

/* The first way to meet the dead registers on its way, and so meets them there. */
static void
recovery_of(struct run *r, size_t n, size_t meet)
{
	static const char *const names[STEP_MEETS] = { "first meeting", "second", "third", "fourth" };
	struct act act = { .who = STEP_SECOND,
		           .prepare = meet ? r->of->meet_prepare : NULL,
		           .op = r->of->meet[meet] };
	struct trace trace = { 0 };
	struct place at = { "recovery killed", &r->trace, n, &trace, 0, names[meet] };
	if (!recovery_trace(r, &act, n, &trace))
		return;
	if (trace.crashed || trace.stuck) {
		at.m = trace.count ? trace.count - 1 : 0;
		report_violation(&r->tally, &at,
		                 trace.stuck ? "the recoverer sleeps" : "the recoverer crashes");
	} else {
		for (at.m = 0; at.m < trace.count; at.m += r->stride) {
			if (is_new(trace.point[at.m].hash))
				recovery_at(r, &at, &act, &trace);
		}
	}
	r->tally.drifts += trace.drifts;
	trace_drop(&trace);
}

static size_t
states_meant(const struct run *r, size_t all)
{
	const char *text = getenv("STEP_STATES");
	size_t some = text ? (size_t)atol(text) : r->full ? all : SOME;
	return some < all ? some : all;
}

/*
 * States that recoverers leave are added behind the first ones, and are not recovered from in turn.
 * Each state is given one way to be met, each way every so many states; the ordinary run takes some
 * states, evenly spread, and STEP_STATES says how many.
 */
void
phase_recovery(struct run *r)
{
	size_t first = r->state_count, ways = 0;
	while (ways < STEP_MEETS && r->of->meet[ways])
		ways++;
	size_t some = states_meant(r, first);
	for (size_t i = 0; i < first; i++) {
		if (i * some % first < some)
			recovery_of(r, r->state[i].n, (some == first ? i : i * some / first) % ways);
	}
}
