/*
 * relay.c - a lock handed over from process to process
 *
 * Three locks in a ring, and each of two processes holds one. It takes the next one before it
 * releases the one that it holds. So each waits until the other has gone on, the two alternate
 * strictly without anything else between them, and only holders ever release. A plain counter goes
 * up by one a step: whoever finds that it has not gone up by two since its own last step was
 * overtaken.
 *
 * Back to back, the time from step to step is two hand-overs. Asleep, each works before it goes on
 * for longer than any lock spins; what counts is the time from before the release to after the
 * acquire of the one who slept. What the releaser does after the sleeper was woken counts for
 * nobody.
 */
#include "trip.h"

#include "clock.h"

struct relay {
	struct trips trips;
	struct work *work;
	unsigned held;
	uint64_t count; /* own steps */
	uint64_t seen; /* the counter after the last of them */
	uint64_t began; /* when that was */
};

static int
lock_at(struct relay *r, unsigned place)
{
	return r->work->plan->subject->lock(r->work->opening->way[place]);
}

static int
unlock_at(struct relay *r, unsigned place)
{
	return r->work->plan->subject->unlock(r->work->opening->way[place]);
}

/* Between the two locks: only one process is ever here. */
static void
step(struct relay *r)
{
	struct stage *stage = r->work->stage;
	bool asleep = r->work->plan->measure == LOCK_ASLEEP, first = r->count == 0;
	uint64_t now = clock_ns();

	r->work->row->bad += !first && stage->guarded != r->seen + 1;
	if (!first)
		trips_record(&r->trips, now - (asleep ? stage->handed_ns : r->began));
	r->seen = ++stage->guarded;
	r->began = now;
	atomic_store_explicit(&r->work->row->count, ++r->count, memory_order_relaxed);
	if (!asleep)
		return;
	trips_think(&r->trips);
	stage->handed_ns = clock_ns();
}

/* Whoever stops lets both go, and the other one gets what it waits for and stops too. */
static int
run_on(struct relay *r)
{
	struct stage *stage = r->work->stage;
	unsigned next;
	int rc;

	for (;;) {
		next = (r->held + 1) % WAYS_MAX;
		rc = lock_at(r, next);
		if (rc < 0)
			return rc;
		if (atomic_load_explicit(&stage->stop, memory_order_relaxed))
			break;
		step(r);
		rc = unlock_at(r, r->held);
		if (rc < 0)
			return rc;
		r->held = next;
	}
	rc = unlock_at(r, next);
	return rc < 0 ? rc : unlock_at(r, r->held);
}

bool
relay(struct work *w)
{
	struct relay r = { .work = w, .held = w->index };
	uint64_t cpu_began;
	int rc = lock_at(&r, r.held);

	trips_begin(&r.trips, w);
	work_gather(w);
	cpu_began = clock_cpu_ns();
	if (rc == 0)
		rc = run_on(&r);
	w->row->messages = r.count;
	trips_end(&r.trips, cpu_began);
	return rc == 0 ? true : work_failed(w, "lock or unlock", rc);
}
