/*
 * heir.c - a lock whose holder is killed
 *
 * A victim takes the lock and stays. The heir asks for it and falls asleep; then the victim is
 * killed, and what counts is the time from before the kill to after the heir's acquire, the end of
 * the victim's process included. The heir must be told of the death.
 */
#include "trip.h"

#include "clock.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LOOK_NS = 20000, /* between two looks at the other one */
	ASLEEP_NS = 400000, /* so long after it asked is the heir asleep */
};

#define PATIENCE_NS 1000000000ull

static bool
wait_for(_Atomic uint32_t *word, uint32_t value)
{
	uint64_t deadline = clock_ns() + PATIENCE_NS;

	while (atomic_load(word) != value) {
		if (clock_ns() > deadline)
			return false;
		clock_nap(LOOK_NS);
	}
	return true;
}

static void
die_holding(struct work *w)
{
	int rc = w->plan->subject->lock(w->opening->way[0]);

	if (rc < 0) {
		work_failed(w, "the victim's lock", rc);
		_exit(1);
	}
	w->stage->guarded++;
	atomic_store(&w->stage->will, WILL_MADE);
	for (;;)
		pause();
}

static bool
kill_one(struct work *w)
{
	pid_t pid = fork_bound();

	if (pid < 0)
		return work_failed(w, "fork", -errno);
	if (pid == 0)
		die_holding(w);
	if (wait_for(&w->stage->will, WILL_WAITED_FOR))
		clock_nap(ASLEEP_NS);
	w->stage->handed_ns = clock_ns();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	w->row->messages++;
	return wait_for(&w->stage->will, WILL_NONE) ? true : work_failed(w, "to inherit", -ETIMEDOUT);
}

bool
bequeath(struct work *w)
{
	bool ok = true;

	while (ok && !atomic_load(&w->stage->stop))
		ok = kill_one(w);
	atomic_store(&w->stage->will, WILL_LAST);
	return ok;
}

/* False at the end, or after a failure, which the row has. */
static bool
inherit_one(struct work *w, struct trips *t)
{
	const struct subject *s = w->plan->subject;
	uint32_t will;
	int rc;

	while ((will = atomic_load(&w->stage->will)) != WILL_MADE) {
		if (will == WILL_LAST)
			return false;
		clock_nap(LOOK_NS);
	}
	atomic_store(&w->stage->will, WILL_WAITED_FOR);
	rc = s->lock(w->opening->way[0]);
	if (rc != -EOWNERDEAD)
		return work_failed(w, "lock after a death", rc);
	trips_record(t, clock_ns() - w->stage->handed_ns);
	w->stage->guarded++;
	rc = s->unlock(w->opening->way[0]);
	if (rc < 0)
		return work_failed(w, "unlock after a death", rc);
	w->row->messages++;
	atomic_store_explicit(&w->row->count, t->count, memory_order_relaxed);
	atomic_store(&w->stage->will, WILL_NONE);
	return true;
}

bool
inherit(struct work *w)
{
	uint64_t cpu_began = clock_cpu_ns();
	struct trips t;

	trips_begin(&t, w);
	while (inherit_one(w, &t))
		;
	trips_end(&t, cpu_began);
	return !w->row->error[0];
}
