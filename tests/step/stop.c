/*
 * Phase stop: the victim stands still at an instruction. Who is held up? And has it lost anything
 * when it goes on?
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

static const int64_t TRY_NS = 25000000;
static const int64_t TRY_FULL_NS = 120000000;

/* A call that takes no time to wait is held up if it takes so much longer. */
enum { HUNG_MS = 150 };

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

/*
 * One role, against a victim that stands at n. Then the victim goes on, and everything must be
 * there.
 */
static bool
stop_try(struct run *r, struct place *at, const struct step_role *role, int64_t wait_ns)
{
	struct step_world *w = r->w;
	struct victim v;
	if (!stop_at(r, &v, at->n)) {
		/*
		 * Reading the clock, or a thread's end, may go another way each time: such a point is left
		 * out.
		 */
		if (at->n == 0)
			report_violation(&r->tally, at, "the victim does not come there");
		return false;
	}
	role_now = role;
	try_now = wait_ns;
	r->tally.stops++;
	bool ended = people_try(w, STEP_LEFT, role_act, (int)(wait_ns / 1000000) * 4 + HUNG_MS);
	bool held = !ended || w->held != 0;
	if (!w->failed && r->trace.finished && !victim_finish(&v)) {
		w->failed = 1;
		snprintf(w->text, sizeof w->text, "it does not finish when it goes on");
	}
	victim_kill(&v);
	w->killed = r->trace.finished ? 0 : 1;
	if (!w->failed && r->of->check)
		people_run(w, STEP_CHECKER, r->of->check);
	if (!w->failed && r->of->audit)
		people_run(w, STEP_SETUP, r->of->audit);
	w->slowest_ns = 0;
	run_verdict(r, at, 0);
	return held;
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

/*
 * Whether others are held up depends on shared memory alone, so each distinct state is tried with
 * time to wait; all other instructions are tried without, for the sake of what the victim does when
 * it goes on.
 */
static void
stop_role(struct run *r, size_t index)
{
	const struct step_role *role = &r->of->role[index];
	char phase[80];
	snprintf(phase, sizeof phase, "stop, %s goes on", role->name);
	struct place at = { .phase = phase, .trace = &r->trace };
	bool held = false;
	size_t stride = r->trace.count / 100 > 20 ? r->trace.count / 100 : 20;
	for (size_t n = 0; n < r->trace.count; n++) {
		const struct point *p = &r->trace.point[n];
		at.n = n;
		if (n == 0 || p->hash != p[-1].hash) {
			held = stop_try(r, &at, role, r->full ? TRY_FULL_NS : TRY_NS);
		} else if (r->full || n % (stride * r->stride) == index) {
			stop_try(r, &at, role, 1000000);
		}
		if (held)
			held_note(r, index, n);
	}
	if (role == &r->of->role[0] && r->of->role[0].try && held && r->trace.finished)
		report_violation(&r->tally, &at, "it is held up when the operation is over");
}

void
phase_stop(struct run *r)
{
	for (size_t i = 0; i < STEP_ROLES && r->of->role[i].try; i++)
		stop_role(r, i);
	report_held(&r->tally);
}
