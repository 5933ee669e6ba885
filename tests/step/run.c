#include "run.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/kernel.h"
#include "cover.h"
#include "done.h"
#include "late.h"

/*
 * How often a late call is tried again, and how often one that was late on a late machine; so many
 * violations make a case wrong enough to spare that.
 */
enum { ATTEMPTS = 5, ATTEMPTS_LATE = 30, REPORTED = 6 };
enum { CASE_SECONDS = 100, CASE_SECONDS_FULL = 3000, TRACE_LONG = 4000, LOOKED_OVER = 16 };
enum { WOKEN = 100, UNSEEN = 256, UNSEEN_FULL = 16, FULL_LONG = 6000 };
#define BARE "-bare"
static const int64_t LATE_NS = 10000000;
/* A machine that is on time keeps nobody waiting for longer in all. */
static const int64_t MACHINE_NS = 5000000;
/* Below the shortest time-out of a case's calls. */
static const int64_t TIMED_NS = 250000000;

void
run_rewind(struct run *r, const struct memory_image *image)
{
	if (r->of->clean)
		r->of->clean(r->w);
	memory_put(image);
	r->w->killed = 1;
	r->w->cut = 0;
	r->doubtful = false;
	late_begin();
}

bool
run_kill(struct run *r, size_t n)
{
	bool started = false, same = false;
	for (int i = 0; i < 4 && !same; i++) {
		struct victim v;
		run_rewind(r, NULL);
		started = victim_start(&v, r->w, &r->act);
		same = started && victim_to(&v, &r->trace, n);
		victim_kill(&v);
		r->tally.kills++;
	}
	return started;
}

/*
 * A long one need not go the same way twice, since whether later ones take its way is seen each
 * time; but it is not to be long for having waited for a processor, once.
 */
bool
run_trace_good(const struct trace *t, const struct trace *last)
{
	bool usual = t->count > TRACE_LONG && t->count <= last->count + last->count / 8;
	return !t->touched && (usual || trace_same(t, last));
}

/* One that runs, and is not stepped, comes by places of a long one, the last among them. */
static bool
trace_holds(struct run *r, const struct act *act, struct trace *t)
{
	bool same = t->finished && t->count > TRACE_LONG;
	for (size_t i = 1; same && i <= LOOKED_OVER; i++) {
		struct victim v;
		run_rewind(r, NULL);
		same = victim_start(&v, r->w, act) && victim_to(&v, t, (t->count - 1) * i / LOOKED_OVER);
		victim_kill(&v);
	}
	return same;
}

void
run_trace_act(struct run *r, const struct act *act, struct trace *t)
{
	run_rewind(r, NULL);
	trace_warm(r->w, act);
	for (int i = 0; i < 8; i++) {
		struct trace last = *t;
		run_rewind(r, NULL);
		trace_record(t, r->w, act);
		bool good = run_trace_good(t, &last) || (!t->touched && trace_holds(r, act, t));
		trace_drop(&last);
		if (good || ((t->crashed || t->stuck) && !run_late(r, (unsigned)i)))
			return;
	}
}

static struct state *
state_find(struct run *r, uint64_t hash)
{
	for (size_t i = 0; i < r->state_count; i++) {
		if (r->state[i].hash == hash)
			return &r->state[i];
	}
	return NULL;
}

bool
run_state_add(struct run *r, const struct state *state)
{
	if (state_find(r, state->hash))
		return false;
	if (r->state_count == r->state_room) {
		r->state_room = r->state_room ? r->state_room * 2 : 64;
		r->state = realloc(r->state, r->state_room * sizeof *r->state);
	}
	r->state[r->state_count++] = *state;
	return true;
}

bool
run_state(struct run *r, size_t n, struct state **out)
{
	uint64_t hash = memory_hash();
	*out = state_find(r, hash);
	if (*out)
		return false;
	run_state_add(r, &(struct state){ .hash = hash, .n = n, .image = memory_copy() });
	*out = &r->state[r->state_count - 1];
	return true;
}

/* Woken, and not through with what it was woken for: there a death must pass the wake on. */
static bool
just_woken(const struct trace *t, size_t n)
{
	for (size_t i = n; i > 0 && n - i < WOKEN; i--) {
		if (t->point[i - 1].asleep)
			return true;
	}
	return false;
}

bool
run_takes(const struct run *r, const struct trace *t, size_t n)
{
	const struct point *p = &t->point[n];
	bool last = n + 1 == t->count;
	/* Stores to memory that is not watched are not seen. */
	bool unseen = r->of->unwatched && n % (r->full ? UNSEEN_FULL : UNSEEN) == 0;
	if (r->of->unwatched)
		return last || unseen || p->write || p->asleep || just_woken(t, n);
	if (r->full && (t->count <= FULL_LONG || n % UNSEEN_FULL == 0))
		return true;
	return last || p->write || p->asleep;
}

static bool
is_worth_more(const struct run *r, unsigned attempt)
{
	return attempt < ATTEMPTS_LATE && r->tally.violations < REPORTED;
}

bool
run_late(const struct run *r, unsigned attempt)
{
	return late_ns() > MACHINE_NS && is_worth_more(r, attempt);
}

/*
 * A failure within less than the shortest time-out does not rest on time. But one that was killed
 * for being late may have left what it was making, however late the machine was: it is tried again,
 * and judged if that goes on. What is not judged is told, lest something that goes wrong once be
 * lost.
 */
static bool
failure_verdict(struct run *r, const struct place *at, unsigned attempt)
{
	char text[STEP_TEXT + 100];
	snprintf(text, sizeof text, "%s", r->w->text);
	bool timed = late_wall_ns() > TIMED_NS && run_late(r, attempt);
	if (timed || (r->doubtful && is_worth_more(r, attempt))) {
		r->tally.unjudged++;
		report_unjudged(&r->tally, at, text, late_ns());
		return false;
	}
	report_violation(&r->tally, at, text);
	return true;
}

bool
run_verdict(struct run *r, const struct place *at, unsigned attempt)
{
	struct step_world *w = r->w;
	char text[STEP_TEXT + 100];
	r->tally.checks++;
	if (w->failed)
		return failure_verdict(r, at, attempt);
	if (w->slowest_ns > LATE_NS && (attempt < ATTEMPTS || run_late(r, attempt))) {
		r->tally.slow++;
		return false;
	}
	if (w->slowest_ns > r->tally.slowest_ns) {
		r->tally.slowest_ns = w->slowest_ns;
		memcpy(r->tally.slowest, w->slowest, sizeof w->slowest);
	}
	if (w->slowest_ns > LATE_NS) {
		snprintf(text, sizeof text, "%s took %.1f ms", w->slowest, (double)w->slowest_ns / 1e6);
		report_violation(&r->tally, at, text);
	}
	return true;
}

static void
run_crowd(struct run *r)
{
	struct person left = people_start(r->w, STEP_LEFT, r->of->crowd);
	struct person right = people_start(r->w, STEP_RIGHT, r->of->crowd);
	people_end(r->w, &left);
	people_end(r->w, &right);
}

bool
run_check(struct run *r, const struct place *at, const struct memory_image *image, bool crowd,
          unsigned attempt)
{
	struct step_world *w = r->w;
	for (; attempt < RUN_TRIES; attempt++) {
		if (image)
			run_rewind(r, image);
		late_begin();
		if (crowd)
			run_crowd(r);
		if (!w->failed && r->of->check)
			people_run(w, STEP_CHECKER, r->of->check);
		if (!w->failed && r->of->audit)
			people_run(w, STEP_SETUP, r->of->audit);
		if (run_verdict(r, at, attempt))
			return true;
		if (!image)
			return false;
	}
	return true;
}

/* ---- a case ---- */

/*
 * What the auditor sees when the survivor's work was all there was, and that the check passes then.
 */
static bool
run_base(struct run *r)
{
	struct place at = { .phase = "nobody killed" };
	memory_base();
	for (unsigned attempt = 0; !attempt || (r->w->failed && run_late(r, attempt)); attempt++) {
		run_rewind(r, NULL);
		if (r->of->check)
			people_run(r->w, STEP_CHECKER, r->of->check);
		if (!r->w->failed && r->of->audit)
			people_run(r->w, STEP_SETUP, r->of->audit);
	}
	if (r->w->failed) {
		report_violation(&r->tally, &at, r->w->text);
		return false;
	}
	uint64_t base[8];
	memcpy(base, r->w->base, sizeof base);
	bool known = r->w->base_known;
	memory_rewind();
	memcpy(r->w->base, base, sizeof base);
	r->w->base_known = known;
	memory_base();
	return true;
}

/* Words that differ between equal runs: killed at the start, and killed at the end. */
static void
run_learn(struct run *r, size_t n)
{
	struct memory_image *first = NULL;
	for (int i = 0; i < 3; i++) {
		run_kill(r, n);
		struct memory_image *image = memory_copy();
		if (first)
			memory_learn(first, image);
		else
			first = image;
		if (image != first)
			memory_drop(image);
		for (int64_t began = step_now(); step_now() - began < TICK_NS;)
			usleep(TICK_NS / 1000);
	}
	memory_drop(first);
}

static bool
run_trace(struct run *r)
{
	run_trace_act(r, &r->act, &r->trace);
	bool ends = r->act.thread || r->act.started;
	if (r->trace.crashed || (!r->trace.finished && !r->trace.stuck && !ends)) {
		char text[100];
		snprintf(text, sizeof text, "the operation ends by signal %d", r->trace.signal);
		report_violation(&r->tally,
		                 &(struct place){ .phase = "trace",
		                                  .trace = &r->trace,
		                                  .n = r->trace.count - 1 },
		                 r->w->failed ? r->w->text : text);
		return false;
	}
	r->tally.instructions = r->trace.count - 1;
	run_learn(r, 0);
	run_learn(r, r->trace.count - 1);
	return true;
}

static void
run_phases(struct run *r)
{
	const char *only = getenv("STEP_PHASES");
	r->gathers = only && !strchr(only, 'k');
	if (!only || strchr(only, 'k') || strchr(only, 'r'))
		phase_kill(r);
	if (r->of->sleeper && (!only || strchr(only, 's')))
		phase_sleeper(r);
	if (r->of->meet[0] && (!only || strchr(only, 'r')))
		phase_recovery(r);
	if (r->of->role[0].try && (!only || strchr(only, 'h')))
		phase_stop(r);
}

/*
 * What the kernel has is found out here: a victim would go another way each time, and the thread of
 * one of these trials would meet the breakpoints that are set for the victim. On a machine that has
 * no processor for that thread a trial tells nothing, and each victim would make it again.
 */
static void
find_out_about_kernel(void)
{
	uint32_t all = (uint32_t)KERNEL_ALL << 16;
	for (int i = 0; i < 1000 && (load_relaxed(&kernel_known_) & all) != all; i++)
		kernel_features();
}

static unsigned long
run_case(const struct step_case *c)
{
	struct run r = { .of = c, .full = getenv("STEP_FULL") != NULL };
	const char *stride = getenv("STEP_STRIDE");
	r.stride = stride && atoi(stride) > 0 ? (size_t)atoi(stride) : 1;
	r.tally.of = c;
	r.tally.began = step_now();
	r.w = mmap(NULL, sizeof *r.w, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	r.w->of = c;
	r.w->shape = c->shape;
	r.act = (struct act){ STEP_VICTIM, c->prepare, c->op,      c->after,
		              c->waker,    c->thread,  c->started, c->stepped };
	find_out_about_kernel();
	memory_world(r.w);
	people_init();
	c->setup(r.w);
	r.w->slowest_ns = 0; /* or each run, rewound to here, would be as late as this was */
	if (r.w->failed)
		report_violation(&r.tally, &(struct place){ .phase = "setup" }, r.w->text);
	else if (run_base(&r) && run_trace(&r))
		run_phases(&r);
	if (c->clean)
		c->clean(r.w);
	r.tally.drifts += r.trace.drifts;
	report_summary(&r.tally);
	return r.tally.violations;
}

static int
run_wait(pid_t driver, int seconds)
{
	int status = 0;
	for (int i = 0; i < seconds * 100; i++) {
		pid_t pid = waitpid(driver, &status, WNOHANG);
		if (pid == driver)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
		usleep(10000);
	}
	kill(driver, SIGKILL);
	waitpid(driver, &status, 0);
	return 201;
}

void
step_drive(const struct step_case *c)
{
	unsigned long violations = run_case(c);
	fflush(NULL);
	_exit(violations > 99 ? 99 : (int)violations);
}

/* The same case in the program without Criterion, unless that is not there. */
static void
become_bare(const struct step_case *c)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof BARE);
	if (n < 0 || cover_is_on())
		return;
	memcpy(path + n, BARE, sizeof BARE);
	execl(path, path, "--case", c->name, (char *)NULL);
}

static int
run_apart(const struct step_case *c)
{
	fflush(NULL);
	pid_t driver = fork();
	if (driver == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		become_bare(c);
		step_drive(c);
	}
	bool much = getenv("STEP_FULL") || getenv("STEP_STATES");
	int rc = run_wait(driver, much ? CASE_SECONDS_FULL : CASE_SECONDS);
	if (c->end)
		c->end(driver);
	if (rc >= 200)
		printf("%s: the driver %s\n", c->name, rc == 201 ? "did not end in time" : "crashed");
	if (c->control)
		return rc > 0 && rc < 200 ? 0 : 1;
	return rc;
}

int
step_run(const struct step_case *c)
{
	if (done_before(c->name)) {
		printf("%s: done before\n", c->name);
		return 0;
	}
	int rc = run_apart(c);
	if (rc == 0)
		done_note(c->name);
	return rc;
}
