/* Phases kill and sleeper. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

/* Where what a kill left is not all in watched memory, it is checked in its place. */
static bool
kill_unwatched(struct run *r, struct place *at, bool crowd)
{
	bool judged = false;
	for (unsigned attempt = 0; !judged && attempt < RUN_TRIES; attempt++) {
		if (!run_kill(r, at->n))
			return false;
		judged = run_check(r, at, NULL, crowd, attempt);
	}
	return true;
}

static bool
kill_at(struct run *r, struct place *at)
{
	static const char *const phase[] = { "kill", "kill, two survivors" };
	struct state *state = NULL;
	if (!r->of->unwatched) {
		if (!run_kill(r, at->n))
			return false;
		if (!run_state(r, at->n, &state))
			return true;
	}
	for (size_t crowd = 0; !r->gathers && crowd < 1 + (r->of->crowd != NULL); crowd++) {
		at->phase = phase[crowd];
		if (state)
			run_check(r, at, state->image, crowd, 0);
		else if (!kill_unwatched(r, at, crowd))
			return false;
	}
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
	for (unsigned attempt = 0; attempt < RUN_TRIES; attempt++) {
		struct step_world *w = r->w;
		run_rewind(r, NULL);
		struct person sleeper = people_start(w, STEP_SLEEPER, r->of->sleeper);
		if (!people_asleep(w, &sleeper)) {
			bool returned = w->part[STEP_SLEEPER].done;
			people_kill(&sleeper);
			if (!w->failed && !returned && (attempt < 5 || run_late(r, attempt)))
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
		if (same || (!asleep && !run_late(r, (unsigned)i)))
			return asleep;
	}
	return t->count != 0;
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
