/*
 * Phase stop: the victim stands still at an instruction. Who is held up? And has it lost anything
 * when it goes on?
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "late.h"
#include "run.h"

/*
 * How long a role may try: at each state; then again, ever longer, at the first and the last state
 * of those that seem to hold it up, since on a busy machine it may only have been late.
 */
static const int64_t TRY_NS[] = { 10000000, 60000000, 300000000 };
enum { TRIES = sizeof TRY_NS / sizeof *TRY_NS };
static const int64_t GLANCE_NS = 1000000;

/*
 * A call that takes no time to wait is held up if it takes so much longer. Where it only glances,
 * whether it is held up does not matter.
 */
enum { HUNG_TIMES = 6, HUNG_MS = 20, HUNG_GLANCE_MS = 6 };

/* Longer operations are not stopped at each instruction, even in a full run. */
enum { LONG = 6000 };

/* How often one that seems held up, while the machine is late, is tried again. */
enum { HELD_TRIES = 4 };

static const struct step_role *role_now;
static int64_t try_now;

static void
role_act(struct step_world *w)
{
	w->held = role_now->try(w, try_now);
}

static bool
stop_at(struct run *r, struct victim *v, size_t n)
{
	for (int i = 0; i < 5; i++) {
		run_rewind(r, NULL);
		r->w->killed = 0;
		if (victim_start(v, r->w, &r->act) && victim_to(v, &r->trace, n))
			return true;
		victim_kill(v);
	}
	return false;
}

/* The victim goes on, and everything must be there. false: it cannot be judged. */
static bool
stop_over(struct run *r, const struct place *at, struct victim *v, unsigned attempt)
{
	struct step_world *w = r->w;
	if (!w->failed && r->trace.finished && !victim_finish(v)) {
		w->failed = 1;
		snprintf(w->text, sizeof w->text, "it does not finish when it goes on");
	}
	victim_kill(v);
	w->killed = r->trace.finished ? 0 : 1;
	if (!w->failed && r->of->check)
		people_run(w, STEP_CHECKER, r->of->check);
	if (!w->failed && r->of->audit)
		people_run(w, STEP_SETUP, r->of->audit);
	w->slowest_ns = 0;
	return run_verdict(r, at, attempt);
}

/* One role, against a victim that stands at n: whether it is held up. */
static bool
stop_try(struct run *r, struct place *at, const struct step_role *role, int64_t wait_ns)
{
	bool glance = wait_ns == GLANCE_NS;
	int hung_ms = glance ? HUNG_GLANCE_MS : (int)(wait_ns / 1000000) * HUNG_TIMES + HUNG_MS;
	bool held = false, judged = false;
	for (unsigned attempt = 0; !judged && attempt < RUN_TRIES; attempt++) {
		struct victim v;
		if (!stop_at(r, &v, at->n)) {
			/*
			 * Reading the clock, or a thread's end, may go another way each time: such a point is
			 * left out.
			 */
			if (at->n == 0)
				report_violation(&r->tally, at, "the victim does not come there");
			return false;
		}
		role_now = role;
		try_now = wait_ns;
		r->tally.stops++;
		late_begin();
		r->doubtful = !people_try(r->w, STEP_LEFT, role_act, hung_ms);
		r->w->cut = r->doubtful;
		held = r->doubtful || r->w->held != 0;
		bool late = held && !glance && attempt < HELD_TRIES && run_late(r, attempt);
		judged = stop_over(r, at, &v, attempt) && !late;
	}
	return held;
}

static int
by_address(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

static size_t
count_distinct(uint64_t *pc, size_t count)
{
	size_t distinct = 0;
	qsort(pc, count, sizeof *pc, by_address);
	for (size_t i = 0; i < count; i++)
		distinct += i == 0 || pc[i] != pc[i - 1];
	return distinct;
}

static void
held_note(struct run *r, size_t role, size_t n)
{
	struct tally *t = &r->tally;
	if (!t->held[role]) {
		t->held_first[role] = n;
		t->held_pc_first[role] = r->trace.point[n].pc;
	}
	t->held[role]++;
	t->held_last[role] = n;
	t->held_pc_last[role] = r->trace.point[n].pc;
}

/* An instruction after which something differs, and whether the role is held up from there on. */
struct edge {
	size_t n;
	bool held;
};

static bool
is_edge(const struct trace *t, size_t n)
{
	return n == 0 || t->point[n].hash != t->point[n - 1].hash;
}

static bool
confirm(struct run *r, struct place *at, const struct step_role *role, size_t n)
{
	bool held = true;
	at->n = n;
	for (int i = 1; held && i < TRIES; i++)
		held = stop_try(r, at, role, TRY_NS[i]);
	return held;
}

/* Of each run of states that hold it up the ends are tried again, inwards until both do. */
static void
confirm_ends(struct run *r, struct place *at, const struct step_role *role, struct edge *edge,
             size_t count)
{
	for (size_t i = 0, end; i < count; i = end + 1) {
		end = i;
		while (end < count && edge[end].held)
			end++;
		for (; i < end && !confirm(r, at, role, edge[i].n); i++)
			edge[i].held = false;
		for (size_t last = end; last > i + 1 && !confirm(r, at, role, edge[last - 1].n); last--)
			edge[last - 1].held = false;
	}
}

/*
 * Whether others are held up depends on shared memory alone, so each state is tried with time to
 * wait; other instructions are tried without, for the sake of what the victim does when it goes on.
 */
static size_t
stop_states(struct run *r, struct place *at, size_t index, struct edge *edge)
{
	const struct step_role *role = &r->of->role[index];
	size_t count = 0, stride = r->trace.count / 100 > 20 ? r->trace.count / 100 : 20;
	bool each = r->full && r->trace.count <= LONG && index == 0;
	for (size_t n = 0; n < r->trace.count; n++) {
		at->n = n;
		if (is_edge(&r->trace, n))
			edge[count++] = (struct edge){ n, stop_try(r, at, role, TRY_NS[0]) };
		else if (each || n % (stride * r->stride) == index)
			stop_try(r, at, role, GLANCE_NS);
	}
	return count;
}

static void
held_count(struct run *r, size_t role, const struct edge *edge, size_t count)
{
	uint64_t *pc = calloc(r->trace.count + 1, sizeof *pc);
	size_t held = 0;
	for (size_t i = 0; i < count; i++) {
		for (size_t n = edge[i].n; edge[i].held && n < edge[i + 1].n; n++) {
			held_note(r, role, n);
			pc[held++] = r->trace.point[n].pc;
		}
	}
	r->tally.held_places[role] = count_distinct(pc, held);
	free(pc);
}

static size_t
trace_places(const struct trace *t)
{
	size_t places = 0;
	for (size_t n = 0; n < t->count; n++)
		places += t->point[n].nth == 0;
	return places;
}

static void
stop_role(struct run *r, size_t index)
{
	const struct step_role *role = &r->of->role[index];
	char phase[80];
	snprintf(phase, sizeof phase, "stop, %s goes on", role->name);
	struct place at = { .phase = phase, .trace = &r->trace };
	struct edge *edge = calloc(r->trace.count + 1, sizeof *edge);
	size_t count = stop_states(r, &at, index, edge);
	confirm_ends(r, &at, role, edge, count);
	edge[count].n = r->trace.count;
	held_count(r, index, edge, count);
	at.n = r->trace.count - 1;
	if (index == 0 && count && edge[count - 1].held && r->trace.finished)
		report_violation(&r->tally, &at, "it is held up when the operation is over");
	free(edge);
}

void
phase_stop(struct run *r)
{
	r->tally.places = trace_places(&r->trace);
	for (size_t i = 0; i < STEP_ROLES && r->of->role[i].try; i++)
		stop_role(r, i);
	report_held(&r->tally);
}
