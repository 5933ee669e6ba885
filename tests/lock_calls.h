/* Calls of a lock as operations to be stepped, and whether a death with one is known. */
#ifndef TESTS_LOCK_CALLS_H
#define TESTS_LOCK_CALLS_H

#include "harness.h"
#include <shoal/sync.h>

static inline void
take(void *lock)
{
	REQUIRE_EQ(shoal_lock_acquire(lock, SHOAL_SEC(1)), 0);
}

static inline void
give(void *lock)
{
	REQUIRE_EQ(shoal_lock_release(lock), 0);
}

static inline void
must_be_marked(shoal_lock *lock)
{
	REQUIRE_EQ(shoal_lock_acquire(lock, SHOAL_SEC(1)), -EOWNERDEAD);
	REQUIRE_EQ(shoal_lock_consistent(lock), 0);
	give(lock);
}

#endif
