/*
 * Phase recovery: for each state that a kill left, somebody recovers, and is killed as well.
 *
 * One run of the recoverer shows all that its death could leave: at each change of what others may
 * see it stands still, its robust words are marked as the kernel would mark them, memory is copied,
 * and it goes on. Of some runs it is made sure that killing it in earnest leaves the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "death.h"
#include "leap.h"
#include "run.h"

/* How many of a case's states an ordinary run lets somebody recover from. */
enum { SOME = 4 };

/* Of each so many states, and of the first ones, some points are killed in earnest. */
enum { EARNEST_STATES = 8, EARNEST_FIRST = 4, EARNEST_POINTS = 8 };

enum { START_TRIES = 4 };

/* What one point's death would leave. */
struct shown {
	size_t m;
	struct state state;
};

/* A run of a recoverer, looked at. */
struct show {
	struct run *r;
	size_t n, count, room;
	struct shown *shown;
	uint64_t start; /* what was there when it began */
	bool whole; /* no death but could be shown */
};

/*
 * What was there when a recoverer stood still, its robust list included: shown once, its death
 * leaves the same again.
 */
static struct {
	uint64_t *hash;
	size_t count, room;
} known;

static bool
is_known(uint64_t hash)
{
	for (size_t i = 0; i < known.count; i++) {
		if (known.hash[i] == hash)
			return true;
	}
	return false;
}

static void
know(uint64_t hash)
{
	if (known.count == known.room) {
		known.room = known.room ? known.room * 2 : 1024;
		known.hash = realloc(known.hash, known.room * sizeof *known.hash);
	}
	known.hash[known.count++] = hash;
}

static void
show_drop(struct show *s, bool images)
{
	for (size_t i = 0; images && i < s->count; i++)
		memory_drop(s->shown[i].state.image);
	free(s->shown);
	*s = (struct show){ .r = s->r, .n = s->n, .whole = true };
}

static void
look(const struct victim *v, const struct trace *t, void *arg)
{
	struct show *s = arg;
	struct death death;
	size_t m = t->count - 1;
	if ((m && t->point[m].hash == t->point[m - 1].hash) || is_known(t->point[m].hash))
		return;
	if (s->count == s->room) {
		s->room = s->room ? s->room * 2 : 64;
		s->shown = realloc(s->shown, s->room * sizeof *s->shown);
	}
	s->whole = death_mark(v, &death) && s->whole;
	s->shown[s->count++] = (struct shown){ m, { memory_hash(), s->n, memory_copy() } };
	death_undo(v, &death);
}

/*
 * One who was there before the first one died stands at the start of its own call when it has: then
 * what it meets is the dead, and not what its registration made of it. A first one that goes
 * another way each time dies where it then stands.
 */
bool
recovery_start(struct run *r, const struct act *act, size_t n, struct victim *second)
{
	for (int i = 1; i <= START_TRIES; i++) {
		struct victim first = { 0 };
		run_rewind(r, NULL);
		if (victim_start(second, r->w, act) && victim_start(&first, r->w, &r->act) &&
		    (victim_to(&first, &r->trace, n) || i == START_TRIES)) {
			victim_kill(&first);
			return true;
		}
		victim_kill(&first);
		victim_kill(second);
	}
	return false;
}

/*
 * Its trace, once no step of it comes by memory that nobody knew of. For one that is made sure of,
 * what differs between two of them (when it was started) is to be known too.
 */
static bool
recovery_trace(struct show *s, const struct act *act, struct trace *t, bool earnest)
{
	struct memory_image *last = NULL;
	bool good = false, started = true;
	for (int i = 0; i < 5 && started && !good; i++) {
		struct victim second;
		int64_t began = step_now();
		trace_drop(t);
		show_drop(s, true);
		started = recovery_start(s->r, act, s->n, &second);
		if (!started)
			break;
		s->start = memory_hash();
		second.look = look;
		second.look_arg = s;
		leap_follow(t, &second);
		struct memory_image *image = earnest ? memory_copy() : NULL;
		good = !t->touched && (!earnest || (last && !memory_learn(last, image)));
		memory_drop(last);
		last = image;
		while (earnest && !good && step_now() - began < TICK_NS)
			usleep(500);
	}
	memory_drop(last);
	return started;
}

/* ---- what was shown ---- */

/* One that waited for a time may have slept or not: then what it left is another state. */
static void
be_in_earnest(struct show *s, struct place *at, const struct act *act, struct trace *t,
              const struct shown *shown)
{
	struct run *r = s->r;
	struct victim second;
	bool same = false;
	for (int i = 0; i < 4 && !same; i++) {
		if (!recovery_start(r, act, at->n, &second))
			return;
		same = memory_hash() == s->start && leap_to(&second, t, shown->m);
		victim_kill(&second);
		r->tally.earnest++;
	}
	if (!same || memory_hash() == shown->state.hash)
		return;
	char where[100], text[200];
	memory_difference(shown->state.image, where, sizeof where);
	snprintf(text, sizeof text, "a kill leaves something else than was shown: %s", where);
	report_violation(&r->tally, at, text);
}

static void
check_shown(struct show *s, struct place *at, const struct act *act, struct trace *t, bool earnest)
{
	struct run *r = s->r;
	for (size_t i = 0; i < s->count; i++) {
		const struct shown *shown = &s->shown[i];
		uint64_t before = t->point[shown->m].hash;
		at->m = shown->m;
		if (earnest && i % EARNEST_POINTS == at->n % EARNEST_POINTS)
			be_in_earnest(s, at, act, t, shown);
		if (is_known(before)) {
			memory_drop(shown->state.image);
			continue;
		}
		know(before);
		r->tally.recoveries++;
		if (run_state_add(r, &shown->state))
			run_check(r, at, shown->state.image, false, 0);
		else
			memory_drop(shown->state.image);
	}
}

/* The first way to meet the dead registers on its way, and so meets them there. */
struct act
recovery_act(const struct run *r, size_t meet)
{
	return (struct act){ .who = STEP_SECOND,
		             .prepare = meet ? r->of->meet_prepare : NULL,
		             .op = r->of->meet[meet] };
}

struct place
recovery_place(const struct run *r, size_t n, const struct trace *second, size_t meet)
{
	static const char *const names[STEP_MEETS] = { "first meeting", "second", "third", "fourth" };
	return (struct place){ "recovery killed", &r->trace, n, second, 0, names[meet] };
}

static void
recovery_of(struct run *r, size_t n, size_t meet, bool earnest)
{
	struct act act = recovery_act(r, meet);
	struct trace trace = { 0 };
	struct place at = recovery_place(r, n, &trace, meet);
	struct show show = { .r = r, .n = n };
	if (!recovery_trace(&show, &act, &trace, earnest)) {
		report_violation(&r->tally, &at, "the recoverer does not start");
		return;
	}
	if (trace.crashed || trace.stuck) {
		at.m = trace.count ? trace.count - 1 : 0;
		report_violation(&r->tally, &at,
		                 trace.stuck ? "the recoverer sleeps" : "the recoverer crashes");
		show_drop(&show, true);
	} else {
		if (!show.whole)
			report_violation(&r->tally, &at, "a death cannot be shown");
		check_shown(&show, &at, &act, &trace, earnest);
		show_drop(&show, false);
	}
	r->tally.drifts += trace.drifts;
	trace_drop(&trace);
}

size_t
recovery_ways(const struct run *r)
{
	size_t ways = 0;
	while (ways < STEP_MEETS && r->of->meet[ways])
		ways++;
	return ways;
}

size_t
recovery_meant(const struct run *r, size_t all)
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
	size_t first = r->state_count, ways = recovery_ways(r), done = 0;
	if (r->of->unwatched || r->of->slept) {
		phase_earnest(r);
		return;
	}
	size_t some = recovery_meant(r, first);
	for (size_t i = 0; i < first; i++) {
		if (i * some % first >= some)
			continue;
		bool earnest = done < EARNEST_FIRST || done % EARNEST_STATES == 0;
		recovery_of(r, r->state[i].n, (some == first ? i : i * some / first) % ways, earnest);
		done++;
	}
}
