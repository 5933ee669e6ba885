/* Recursive locks, as rlock.c and condition.c see them; the words are explained in rlock.c. */
#ifndef SYNC_RLOCK_H
#define SYNC_RLOCK_H

#include "sync/lock.h"

struct rlock {
	struct lock lock;
	word32 depth;
	word32 unused[3];
};

_Static_assert(sizeof(struct rlock) == sizeof(shoal_rlock), "an rlock's size is pinned");

static inline struct rlock *
rlock_of(shoal_rlock *lock)
{
	return (struct rlock *)(void *)lock;
}

/* Somebody holds it, or sleeps at it, by the kernel's count: its memory must stay what it is. */
static inline bool
rlock_in_use(const shoal_rlock *lock)
{
	const struct rlock *r = (const struct rlock *)(const void *)lock;
	uint32_t word = load_acquire(&r->lock.node.word);
	return (word & FUTEX_TID) || (word && futex_sleepers(&r->lock.node.word) > 0);
}

#endif
