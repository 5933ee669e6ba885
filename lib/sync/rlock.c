/*
 * Recursive locks: a lock, and how often its holder has taken it.
 *
 *	 0 a lock (lock.h)
 *	48 depth: written by the holder alone; means nothing while nobody holds the lock. A taker
 *	   makes it 1, the dead one's included.
 *	52 12 bytes unused
 *
 * Crash points: the depth of a dead holder is of no account. The owner is known by its thread id,
 * which the kernel strips from the word at its death: a later thread of the same id is no owner.
 */
#include "base/error.h"
#include "sync/rlock.h"
#include "sync/name.h"

int
shoal_rlock_init(shoal_rlock *lock, unsigned flags)
{
	struct rlock *r = rlock_of(lock);
	int rc = lock_init(&r->lock, flags);
	if (!rc)
		store_relaxed(&r->depth, 0);
	return rc;
}

static int
acquire_again(shoal_rlock *lock)
{
	struct rlock *r = rlock_of(lock);
	char text[NAME_MAX_BYTES + 8];
	uint32_t depth = load_relaxed(&r->depth);
	if (depth == UINT32_MAX)
		return fail(-EOVERFLOW, "the rlock %s is held %u times", name_of(lock, text), depth);
	store_relaxed(&r->depth, depth + 1);
	return 0;
}

static int
acquire_slow(struct shoal_thread *t, shoal_rlock *lock, shoal_time timeout)
{
	struct rlock *r = rlock_of(lock);
	struct robust_wait how = lock_wait(timeout);
	int rc = lock_take(t, &r->lock, &how);
	if (rc == 0 || rc == -EOWNERDEAD)
		store_relaxed(&r->depth, 1);
	return rc ? lock_fail(lock, &r->lock, rc, &how) : 0;
}

int
shoal_rlock_acquire(shoal_rlock *lock, shoal_time timeout)
{
	struct rlock *r = rlock_of(lock);
	struct shoal_thread *t = thread_self();
	if (unlikely(!t))
		return lock_fail_no_thread();
	if (lock_is_mine(&r->lock, t))
		return acquire_again(lock);
	if (unlikely(!lock_take_free(t, &r->lock)))
		return acquire_slow(t, lock, timeout);
	store_relaxed(&r->depth, 1);
	return 0;
}

int
shoal_rlock_release(shoal_rlock *lock)
{
	struct rlock *r = rlock_of(lock);
	struct shoal_thread *t = thread_self();
	if (unlikely(!t || !lock_is_mine(&r->lock, t)))
		return lock_fail_not_held(lock, &r->lock);
	uint32_t depth = load_relaxed(&r->depth);
	if (depth > 1) {
		store_relaxed(&r->depth, depth - 1);
		return 0;
	}
	if (unlikely(!lock_give_simply(t, &r->lock)))
		lock_give(t, &r->lock);
	return 0;
}

int
shoal_rlock_consistent(shoal_rlock *lock)
{
	return lock_mend(lock, &rlock_of(lock)->lock);
}

int
shoal_rlock_stat(const shoal_rlock *lock, shoal_lock_info *out)
{
	return lock_stat(&((const struct rlock *)(const void *)lock)->lock, out);
}
