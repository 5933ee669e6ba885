/*
 * contend.c - acquire and release, alone and by many
 *
 * Between the two a plain counter in shared memory goes up by one, over the whole time inside: two
 * holders at once would lose a count, and the run with it. Outside there is nothing to do, which
 * is the hardest case for whoever waits: the holder comes back before the waiter was even woken.
 */
#include "contend.h"

#include "clock.h"

/* Turns of an empty loop in 1024 ns, fewer than which cannot be told from none. */
static uint64_t turns_per_1024_ns;

static void
idle(uint64_t turns)
{
	for (; turns > 0; turns--)
		__asm__ volatile("" : "+r"(turns));
}

static uint64_t
fastest_of(int tries, uint64_t turns)
{
	uint64_t best = UINT64_MAX;

	while (tries-- > 0) {
		uint64_t began = clock_ns(), took;

		idle(turns);
		took = clock_ns() - began;
		best = took < best ? took : best;
	}
	return best;
}

/*
 * The fastest of many short tries is the one that nobody interrupted. They are spread over some
 * time, because a processor whose other half is at work is slow for milliseconds.
 */
void
contend_calibrate(void)
{
	enum {
		ROUNDS = 16,
		TRIES = 25,
		TURNS = 20000,
		NAP_NS = 2000000,
	};
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < ROUNDS && turns_per_1024_ns == 0; i++) {
		uint64_t took = fastest_of(TRIES, TURNS);

		best = took < best ? took : best;
		clock_nap(NAP_NS);
	}
	if (turns_per_1024_ns == 0)
		turns_per_1024_ns = TURNS * 1024 / (best + 1);
}

double
smallest_share(const uint64_t *first, const uint64_t *last, unsigned count)
{
	uint64_t sum = 0, least = UINT64_MAX;

	for (unsigned i = 0; i < count; i++) {
		uint64_t got = last[i] - first[i];

		sum += got;
		least = got < least ? got : least;
	}
	return sum ? (double)least * count / (double)sum : 0;
}

/* Returns what a call of the lock has failed with. */
static int
hold_once(const struct subject *s, void *lock, uint64_t *guarded, uint64_t turns)
{
	int rc = s->lock(lock);
	uint64_t seen;

	if (rc < 0)
		return rc;
	seen = *guarded;
	idle(turns);
	*guarded = seen + 1;
	return s->unlock(lock);
}

bool
contend(struct work *w)
{
	const struct subject *s = w->plan->subject;
	uint64_t turns = w->plan->inside_ns * turns_per_1024_ns / 1024;
	uint64_t cpu_began, count = 0;
	void *lock = w->opening->way[0];
	int rc = 0;

	work_gather(w);
	cpu_began = clock_cpu_ns();
	while (rc == 0 && !atomic_load_explicit(&w->stage->stop, memory_order_relaxed)) {
		rc = hold_once(s, lock, &w->stage->guarded, turns);
		atomic_store_explicit(&w->row->count, ++count, memory_order_relaxed);
	}
	w->row->messages = count;
	w->row->cpu_ns = clock_cpu_ns() - cpu_began;
	return rc == 0 ? true : work_failed(w, "lock or unlock", rc);
}
