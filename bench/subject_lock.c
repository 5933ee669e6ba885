/* subject_lock.c - shoal's lock, in plain shared memory */
#include "subject.h"

#include <errno.h>
#include <shoal/sync.h>

static int
lock_init(void *it)
{
	return shoal_lock_init(it);
}

static int
lock_open(struct opening *o)
{
	return open_locks(o, sizeof(shoal_lock), lock_init);
}

static int
lock_acquire(void *it)
{
	int rc = shoal_lock_acquire(it, SHOAL_FOREVER);

	if (rc == -EOWNERDEAD)
		shoal_lock_consistent(it);
	return rc;
}

static int
lock_release(void *it)
{
	return shoal_lock_release(it);
}

const struct subject subject_lock = {
	.name = "shoal_lock",
	.about = "told of a holder's death",
	.traits = SUBJECT_LOCKS | SUBJECT_SURVIVES | SUBJECT_SPINS_FIRST,
	.open = lock_open,
	.lock = lock_acquire,
	.unlock = lock_release,
};
