/*
 * Locks: a robust word with statistics, and the calls around it. rlock.c, rwlock.c and condition.c
 * build on this.
 *
 * A lock is 48 bytes in any shared memory:
 *
 *	 0 word   bits 29..0 the holder's thread id; 30 its last holder died; 31 there may be
 *	          sleepers. Bit by bit in robust.h.
 *	 4 flags  bit 0 ROBUST_LOST: given back suspect, set by the holder before its release; stays
 *	          bit 1 LOCK_AUTOCLEAN: of its maker
 *	          bit 2 LOCK_NAMED: it can be destroyed (stay.h); set when it is initialised
 *	 8 own    acquisitions (low half, high half), contended ones, deaths met
 *	24 prev, next: the holder's robust list; mean nothing while nobody holds it
 *	40 the longest wait, in microseconds
 *	44 how far the lock is for which the holder waits, in units of 8 bytes; 0 where it waits for
 *	   none, or locks are not watched (watch.h)
 *
 * All zero is a free lock. The statistics are written by the holder alone, with plain stores, so
 * they cost next to nothing and no death can damage them; one that dies before it counted is not
 * counted.
 *
 * States of word and flags:
 *	free           0, or sleepers alone (the releaser's wake is under way)
 *	held           tid, with or without sleepers
 *	suspect, free  died: the next taker is told
 *	suspect, held  died and tid: until consistent, or until it is given back: then
 *	lost           died, flags lost: takers get -ENOTRECOVERABLE
 *
 * Crash points are those of robust.c, and one here: between ROBUST_LOST and the release the holder
 * dies with the lock: it is lost all the same, and the sleeper that the kernel wakes wakes all.
 */
#ifndef SYNC_LOCK_H
#define SYNC_LOCK_H

#include "base/probe.h"
#include "sync/robust.h"
#include <shoal/sync.h>

#define LOCK_AUTOCLEAN 2u
#define LOCK_NAMED 4u

struct lock {
	struct robust node;
	word32 wait_max_us;
	word32 waits;
};

_Static_assert(sizeof(struct lock) == sizeof(shoal_lock), "a lock's size is pinned");

enum { LOCK_ACQUIRED_LOW, LOCK_ACQUIRED_HIGH, LOCK_CONTENDED, LOCK_DEATHS };

static inline struct lock *
lock_of(shoal_lock *lock)
{
	return (struct lock *)(void *)lock;
}

static inline bool
lock_is_mine(const struct lock *l, const struct shoal_thread *t)
{
	return (load_relaxed(&l->node.word) & FUTEX_TID) == t->tid;
}

/* Of the holder. */
static inline void
lock_count(struct lock *l, unsigned which)
{
	store_relaxed(&l->node.own[which], load_relaxed(&l->node.own[which]) + 1);
}

static inline void
lock_count_acquired(struct lock *l)
{
	uint32_t n = load_relaxed(&l->node.own[LOCK_ACQUIRED_LOW]) + 1;
	store_relaxed(&l->node.own[LOCK_ACQUIRED_LOW], n);
	if (unlikely(n == 0))
		lock_count(l, LOCK_ACQUIRED_HIGH);
}

/* With fewer held the quick way is open: SHOAL_LOCKS_HELD_MAX, or 0 while locks are watched. */
extern uint32_t lock_quick_held __attribute__((visibility("hidden")));
extern unsigned lock_watched __attribute__((visibility("hidden")));

/* Free, and this thread may hold one more: taken with one CAS. */
static ALWAYS_INLINE bool
lock_take_free(struct shoal_thread *t, struct lock *l)
{
	if (unlikely(t->held >= lock_quick_held))
		return false;
	struct robust_head *h = t->robust;
	void *old = robust_name(h, &l->node.word);
	bool mine = cas32_acq_rel(&l->node.word, 0, t->tid);
	if (likely(mine)) {
		robust_push(t, &l->node);
		lock_count_acquired(l);
		PROBE_LOCK_ACQUIRE(l);
	}
	robust_name_again(h, old);
	return mine;
}

/* Nobody sleeps, nothing is suspect: given back with one CAS. Of the holder. */
static ALWAYS_INLINE bool
lock_give_simply(struct shoal_thread *t, struct lock *l)
{
	uint32_t tid = t->tid;
	if (unlikely(load_relaxed(&l->node.word) != tid || lock_watched))
		return false;
	struct robust_head *h = t->robust;
	void *old = robust_name(h, &l->node.word);
	robust_pop(t, &l->node);
	bool given = cas32_acq_rel(&l->node.word, tid, 0);
	if (unlikely(!given))
		robust_push(t, &l->node);
	else
		PROBE_LOCK_RELEASE(l);
	robust_name_again(h, old);
	return given;
}

/*
 * The slow ways, without a sentence for the user. 0, -EOWNERDEAD, -ETIMEDOUT, -ECANCELED, -EDEADLK,
 * -ENOTRECOVERABLE, -EOVERFLOW (this thread holds as many as it may), -EPIPE (destroyed).
 */
int lock_take(struct shoal_thread *t, struct lock *l, struct robust_wait *how);
/*
 * Again, by one who gave it back to wait, and stays on it, as how->stay says: however many this
 * thread holds meanwhile. That is one more than it may for each arena that it came to join.
 */
int lock_take_within(struct shoal_thread *t, struct lock *l, struct robust_wait *how);
void lock_give(struct shoal_thread *t, struct lock *l);

/* A timeout as robust_take_as wants it. */
struct robust_wait lock_wait(shoal_time timeout);

/* Gives the code back with its sentence; -EAGAIN for -ETIMEDOUT where the timeout was 0. */
int lock_fail(const void *object, const struct lock *l, int code, const struct robust_wait *how);
int lock_fail_not_held(const void *object, const struct lock *l);
int lock_fail_no_thread(void);

/* Nothing for a lock under no name. */
struct stay lock_stay(const struct lock *l);
/* Destroyed: those who wait for it are woken, and go. */
void lock_shut(struct lock *l);

int lock_stat(const struct lock *l, shoal_lock_info *out);
/* consistent(): 0, -EPERM, -EINVAL. */
int lock_mend(const void *object, struct lock *l);
int lock_init(struct lock *l, unsigned flags);

#endif
