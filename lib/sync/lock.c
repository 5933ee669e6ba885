#include "sync/lock.h"
#include "base/clock.h"
#include "base/error.h"
#include "sync/name.h"
#include "sync/watch.h"
#include <string.h>

struct robust_wait
lock_wait(shoal_time timeout)
{
	return (struct robust_wait){
		.deadline = timeout <= 0 ? ROBUST_NOWAIT : clock_deadline(timeout),
		.interruptible = true,
	};
}

/* Of the new holder, what it found: the dead one's lock is suspect, or simply free again. */
static int
met_death(struct lock *l)
{
	PROBE_LOCK_DEATH(l);
	lock_count(l, LOCK_DEATHS);
	if (!(load_relaxed(&l->node.flags) & LOCK_AUTOCLEAN))
		return -EOWNERDEAD;
	robust_mend(&l->node);
	return 0;
}

static void
note_wait(struct lock *l, int64_t since)
{
	int64_t us = (clock_now() - since) / 1000;
	uint32_t waited = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
	if (waited > load_relaxed(&l->wait_max_us))
		store_relaxed(&l->wait_max_us, waited);
}

struct stay
lock_stay(const struct lock *l)
{
	bool named = load_relaxed(&l->node.flags) & LOCK_NAMED;
	return named ? stay_begin(l, STAY_JOIN) : (struct stay){ 0 };
}

static int
take(struct shoal_thread *t, struct lock *l, struct robust_wait *how)
{
	bool busy = load_relaxed(&l->node.word) & FUTEX_TID;
	int rc = lock_watched ? watch_wait(t, l, how) : 0;
	if (rc)
		return rc;
	if (busy)
		PROBE_LOCK_CONTENDED(l);
	rc = robust_take_as(t, &l->node, how);
	if (unlikely(lock_watched))
		watch_waited(t, l, shoal_have(rc));
	if (rc && rc != -EOWNERDEAD)
		return rc;
	PROBE_LOCK_ACQUIRE(l);
	lock_count_acquired(l);
	if (busy)
		lock_count(l, LOCK_CONTENDED);
	if (how->since)
		note_wait(l, how->since);
	return rc ? met_death(l) : 0;
}

int
lock_take_within(struct shoal_thread *t, struct lock *l, struct robust_wait *how)
{
	return how->stay && stay_over(how->stay) ? -EPIPE : take(t, l, how);
}

int
lock_take(struct shoal_thread *t, struct lock *l, struct robust_wait *how)
{
	struct stay stay = lock_stay(l);
	how->stay = stay.word ? &stay : NULL;
	/* Looked at here, since to stay may be to join, which holds one more. */
	int rc = t->held < SHOAL_LOCKS_HELD_MAX ? lock_take_within(t, l, how) : -EOVERFLOW;
	how->stay = NULL;
	stay_end(&stay);
	return rc;
}

void
lock_give(struct shoal_thread *t, struct lock *l)
{
	struct stay stay = lock_stay(l);
	if (load_relaxed(&l->node.word) & FUTEX_DIED)
		fetch_or_relaxed(&l->node.flags, ROBUST_LOST);
	if (unlikely(lock_watched))
		watch_given(t, l);
	PROBE_LOCK_RELEASE(l);
	robust_release(t, &l->node);
	stay_end(&stay);
}

void
lock_shut(struct lock *l)
{
	struct robust_head *head = thread_robust();
	void *old = head ? robust_name(head, &l->node.word) : NULL;
	futex_clear_sleepers(&l->node.word);
	if (head)
		robust_name_again(head, old);
}

/* ---- what users are told ---- */

int
lock_fail_no_thread(void)
{
	return fail(-ENOMEM, "no memory for this thread's record, or it has no robust list");
}

static int
overflow(void)
{
	return fail(-EOVERFLOW, "this thread holds %d locks, as many as the kernel surely gives back "
	            "at its death; release some", SHOAL_LOCKS_HELD_MAX);
}

int
lock_fail(const void *object, const struct lock *l, int code, const struct robust_wait *how)
{
	char text[NAME_MAX_BYTES + 8];
	if (code == -EPIPE)
		return fail_quiet(code, "the lock was destroyed");
	uint32_t holder = load_relaxed(&l->node.word) & FUTEX_TID;
	switch (code) {
	case -ETIMEDOUT:
		if (how->deadline == ROBUST_NOWAIT && holder == thread_here->tid)
			return fail_quiet(-EAGAIN, "this thread holds the lock, and the timeout is 0");
		if (how->deadline == ROBUST_NOWAIT)
			return fail_quiet(-EAGAIN, "another thread holds the lock, and the timeout is 0");
		return fail_quiet(code, "the lock was not free in time");
	case -ECANCELED:
		return fail_quiet(code, "the wait was interrupted by shoal_thread_interrupt");
	case -EDEADLK:
		if (holder != thread_here->tid)
			return fail(code, "thread %u, which holds the lock %s, waits for this thread", holder,
			            name_of(object, text));
		return fail(code, "thread %u holds the lock %s already; use an rlock", holder,
		            name_of(object, text));
	case -ENOTRECOVERABLE:
		return fail(code, "the lock %s was given back suspect; initialise it and what it guards",
		            name_of(object, text));
	case -EOVERFLOW:
		return overflow();
	default:
		return fail(code, "the last holder of the lock %s died with it; what it guards is suspect",
		            name_of(object, text));
	}
}

int
lock_fail_not_held(const void *object, const struct lock *l)
{
	char text[NAME_MAX_BYTES + 8];
	uint32_t holder = load_relaxed(&l->node.word) & FUTEX_TID;
	if (!holder)
		return fail(-EPERM, "nobody holds the lock %s", name_of(object, text));
	return fail(-EPERM, "thread %u holds the lock %s, not this one", holder,
	            name_of(object, text));
}

int
lock_init(struct lock *l, unsigned flags)
{
	if (flags & ~(unsigned)SHOAL_LOCK_AUTOCLEAN)
		return fail(-EINVAL, "%#x are no flags of a lock", flags);
	name_forget(l);
	memset((void *)l, 0, sizeof *l);
	uint32_t own = flags & SHOAL_LOCK_AUTOCLEAN ? LOCK_AUTOCLEAN : 0;
	store_release(&l->node.flags, own | (stay_is_for(l) ? LOCK_NAMED : 0));
	return 0;
}

int
lock_mend(const void *object, struct lock *l)
{
	struct shoal_thread *t = thread_self();
	if (!t || !lock_is_mine(l, t))
		return lock_fail_not_held(object, l);
	if (!(load_relaxed(&l->node.word) & FUTEX_DIED))
		return fail(-EINVAL, "the lock is not suspect");
	robust_mend(&l->node);
	return 0;
}

/* The halves belong together when the upper one stands still around the lower one. */
static uint64_t
acquisitions(const struct lock *l)
{
	uint32_t high, low;
	do {
		high = load_acquire(&l->node.own[LOCK_ACQUIRED_HIGH]);
		low = load_acquire(&l->node.own[LOCK_ACQUIRED_LOW]);
	} while (high != load_relaxed(&l->node.own[LOCK_ACQUIRED_HIGH]));
	return (uint64_t)high << 32 | low;
}

int
lock_stat(const struct lock *l, shoal_lock_info *out)
{
	if (!out)
		return fail(-EINVAL, "lock stat: out is NULL");
	int sleepers = futex_sleepers(&l->node.word);
	*out = (shoal_lock_info){
		.acquisitions = acquisitions(l),
		.contended = load_relaxed(&l->node.own[LOCK_CONTENDED]),
		.deaths = load_relaxed(&l->node.own[LOCK_DEATHS]),
		.wait_max = (shoal_time)load_relaxed(&l->wait_max_us) * 1000,
		.owner = (pid_t)(load_relaxed(&l->node.word) & FUTEX_TID),
		.waiting = sleepers > 0 ? (uint32_t)sleepers : 0,
	};
	return 0;
}

/* ---- the calls ---- */

/* Apart, so that the fast ways need no stack. */
static __attribute__((noinline)) int
acquire_slow(shoal_lock *lock, shoal_time timeout)
{
	struct lock *l = lock_of(lock);
	struct shoal_thread *t = thread_self();
	if (!t)
		return lock_fail_no_thread();
	struct robust_wait how = lock_wait(timeout);
	int rc = lock_take(t, l, &how);
	return rc ? lock_fail(lock, l, rc, &how) : 0;
}

int
shoal_lock_acquire(shoal_lock *lock, shoal_time timeout)
{
	struct shoal_thread *t = thread_known();
	if (likely(t && lock_take_free(t, lock_of(lock))))
		return 0;
	return acquire_slow(lock, timeout);
}

static __attribute__((noinline)) int
release_slow(shoal_lock *lock)
{
	struct lock *l = lock_of(lock);
	struct shoal_thread *t = thread_self();
	if (!t)
		return lock_fail_no_thread();
	if (!lock_is_mine(l, t))
		return lock_fail_not_held(lock, l);
	lock_give(t, l);
	return 0;
}

int
shoal_lock_release(shoal_lock *lock)
{
	struct shoal_thread *t = thread_known();
	if (likely(t && lock_give_simply(t, lock_of(lock))))
		return 0;
	return release_slow(lock);
}

int
shoal_lock_consistent(shoal_lock *lock)
{
	return lock_mend(lock, lock_of(lock));
}

bool
shoal_lock_held(const shoal_lock *lock)
{
	struct shoal_thread *t = thread_self();
	return t && lock_is_mine((const struct lock *)(const void *)lock, t);
}

int
shoal_lock_init(shoal_lock *lock)
{
	return lock_init(lock_of(lock), 0);
}

int
shoal_lock_init_with(shoal_lock *lock, unsigned flags)
{
	return lock_init(lock_of(lock), flags);
}

int
shoal_lock_stat(const shoal_lock *lock, shoal_lock_info *out)
{
	return lock_stat((const struct lock *)(const void *)lock, out);
}

int
shoal_lock_name(shoal_lock *lock, const char *name)
{
	return name_give(lock, name);
}
