/*
 * Circles of waiting: whoever is about to wait says in each lock that it holds for which lock, as a
 * distance in the file or shared memory that both lie in, which is the same in every process and
 * every mapping. Then it follows the locks and their holders, in the mapping that it waits in. The
 * last one to close a circle said so before it looked, and finds it.
 *
 * The locks on the way are others', and may be given back or unmapped any moment: they are copied
 * out, and a circle counts only when, a moment later, nobody on it has taken or given a lock.
 * Circles by way of two files, and by what is no lock, are not found: 32 bits are too few to name a
 * lock anywhere.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/peek.h"
#include "sync/name.h"
#include "sync/watch.h"
#include <stdio.h>
#include <string.h>

enum { HOPS_MAX = 32 };
#define SETTLE_NS INT64_C(2000000)

struct hop {
	const struct lock *lock;
	uint32_t holder, acquired;
};

static int32_t
distance(const struct lock *from, const struct lock *to)
{
	int64_t bytes;
	bool one = peek_distance(from, to, &bytes);
	return one && bytes / 8 == (int32_t)(bytes / 8) ? (int32_t)(bytes / 8) : 0;
}

void
circle_tell(const struct watch_held *held, const struct lock *l)
{
	for (unsigned i = 0; i < held->count; i++)
		store_seq_cst(&held->lock[i]->waits, l ? (uint32_t)distance(held->lock[i], l) : 0);
}

/* How many hops lead back to this thread; 0: none do. */
static unsigned
follow(const struct shoal_thread *t, const struct lock *l, struct hop *hops)
{
	fence_seq_cst();
	for (unsigned n = 0; n < HOPS_MAX; n++) {
		struct lock seen;
		if (!peek_copy(l, &seen, sizeof seen))
			return 0;
		uint32_t holder = load_relaxed(&seen.node.word) & FUTEX_TID;
		hops[n] = (struct hop){ l, holder, load_relaxed(&seen.node.own[LOCK_ACQUIRED_LOW]) };
		if (holder == t->tid)
			return n + 1;
		int32_t next = (int32_t)load_relaxed(&seen.waits);
		if (!holder || !next)
			return 0;
		l = (const struct lock *)(const void *)((const char *)l + (int64_t)next * 8);
	}
	return 0;
}

static bool
same(const struct hop *a, const struct hop *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (a[i].lock != b[i].lock || a[i].holder != b[i].holder || a[i].acquired != b[i].acquired)
			return false;
	return true;
}

static void
tell(const struct shoal_thread *t, const struct hop *hops, unsigned n)
{
	char text[1024], name[NAME_MAX_BYTES + 8];
	size_t at = 0;
	for (unsigned i = 0; i < n && at < sizeof text; i++) {
		uint32_t holder = hops[i].holder;
		at += (size_t)snprintf(text + at, sizeof text - at,
		                       "%s waits for the lock %s, which thread %u of process %d holds",
		                       i ? "; that one" : "", name_of(hops[i].lock, name), holder,
		                       (int)peek_process((pid_t)holder));
	}
	log_line(LOG_WARNING, "deadlock: thread %u%s", t->tid, text);
}

bool
circle_closed(struct shoal_thread *t, const struct lock *l)
{
	struct hop first[HOPS_MAX], again[HOPS_MAX];
	unsigned n = follow(t, l, first);
	/* One hop is this thread's own lock, which is refused as such. */
	if (n < 2)
		return false;
	word32 nothing = { 0 };
	futex_wait(&nothing, 0, clock_now() + SETTLE_NS);
	if (follow(t, l, again) != n || !same(first, again, n))
		return false;
	tell(t, first, n);
	return true;
}
