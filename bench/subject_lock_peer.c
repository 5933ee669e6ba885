/*
 * subject_lock_peer.c - locks that other libraries have, where configure has found them
 *
 * One that was not found stays in the list without functions: its `about` says what to install.
 */
#include "subject.h"

#include "config.h"

#if HAVE_CK
#include <ck_spinlock.h>

static int
ck_begin(void *it)
{
	ck_spinlock_init(it);
	return 0;
}

static int
ck_open(struct opening *o)
{
	return open_locks(o, sizeof(ck_spinlock_t), ck_begin);
}

static int
ck_lock(void *it)
{
	ck_spinlock_lock(it);
	return 0;
}

static int
ck_unlock(void *it)
{
	ck_spinlock_unlock(it);
	return 0;
}
#endif

#if HAVE_BOOST
#include "lock_boost.h"

static int
boost_open(struct opening *o)
{
	return open_locks(o, boost_mutex_bytes(), boost_mutex_init);
}
#endif

const struct subject subject_lock_ck = {
	.name = "ck_spinlock",
	.traits = SUBJECT_LOCKS | SUBJECT_SPINS,
#if HAVE_CK
	.about = "Concurrency Kit's default spinlock: waits without ever sleeping",
	.open = ck_open,
	.lock = ck_lock,
	.unlock = ck_unlock,
#else
	.about = "left out: configure has not found Concurrency Kit (Debian's libck-dev)",
#endif
};

const struct subject subject_lock_boost = {
	.name = "Boost mutex",
	.traits = SUBJECT_LOCKS,
#if HAVE_BOOST
	.about = "Boost.Interprocess's interprocess_mutex",
	.open = boost_open,
	.lock = boost_mutex_lock,
	.unlock = boost_mutex_unlock,
#else
	.about = "left out: configure has not found Boost (Debian's libboost-dev) and a C++ compiler",
#endif
};
