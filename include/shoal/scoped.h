/*
 * A lock that is given back at the end of the scope, by whatever way the scope is left: return,
 * break, goto, in C++ an exception. For GCC and Clang.
 *
 *	int
 *	deposit(struct account *a, long amount)
 *	{
 *		SHOAL_HOLD(&a->lock);
 *		if (a->closed)
 *			return -EPIPE;
 *		a->balance += amount;
 *		return 0;
 *	}
 *
 * or, to live through the death of another holder and through a deadline:
 *
 *	SHOAL_HOLD_AS(h, &a->lock, SHOAL_SEC(1));
 *	if (h.rc == -EOWNERDEAD)
 *		repair(a), shoal_lock_consistent(&a->lock);
 *	else if (h.rc)
 *		return h.rc;                           // not held, and not given back
 *
 * Each is a declaration, which the scope must not jump over; two do not stand on one line. longjmp
 * and exit leave no scope. A death within the scope is that of a holder (shoal/sync.h), and the
 * next one's SHOAL_HOLD stops its process: programs that are to outlive it use SHOAL_HOLD_AS, or
 * locks with SHOAL_LOCK_AUTOCLEAN. Other kinds of locks are taken and given back by their calls; in
 * C++ shoal/shoal.hpp has scopes for them.
 */
#ifndef SHOAL_SCOPED_H
#define SHOAL_SCOPED_H
#include <shoal/sync.h>
#include <stdlib.h>

#define SHOAL_CAT2_(a, b) a##b
#define SHOAL_CAT_(a, b) SHOAL_CAT2_(a, b)

/* What SHOAL_HOLD_AS declares. rc: as shoal_lock_acquire gave it. */
typedef struct {
	shoal_lock *lock;
	int rc;
} shoal_hold;

static inline void
shoal_hold_end_(shoal_hold *h)
{
	if (shoal_have(h->rc))
		(void)shoal_lock_release(h->lock);
}

static inline shoal_hold
shoal_hold_(shoal_lock *lock, shoal_time timeout)
{
	shoal_hold h;
	h.lock = lock;
	h.rc = shoal_lock_acquire(lock, timeout);
	return h;
}

/* An interrupt is kept for the next wait, whose result somebody looks at. */
static inline shoal_hold
shoal_hold_or_stop_(shoal_lock *lock)
{
	bool interrupted = false;
	shoal_hold h = shoal_hold_(lock, SHOAL_FOREVER);
	while (h.rc == -ECANCELED) {
		interrupted = true;
		h = shoal_hold_(lock, SHOAL_FOREVER);
	}
	if (h.rc) {
		shoal_perror("SHOAL_HOLD");
		abort();
	}
	if (interrupted)
		shoal_thread_interrupt(shoal_thread_self());
	return h;
}

/*
 * SHOAL_HOLD_AS(h, &lock, timeout): takes the lock; h.rc tells whether it is held. Given back
 * without shoal_lock_consistent after -EOWNERDEAD, the lock is for nobody any more.
 */
#define SHOAL_HOLD_AS(h, l, t) \
	__attribute__((cleanup(shoal_hold_end_), unused)) shoal_hold h = shoal_hold_(l, t)

/*
 * SHOAL_HOLD(&lock): takes the lock, however long that takes. There is nobody to tell that it is
 * suspect, or that this thread cannot have it (it holds it already, or too many): that stops the
 * process with a sentence, before anything that the lock guards is touched. The lock stays suspect
 * for the others.
 */
#define SHOAL_HOLD(l) \
	__attribute__((cleanup(shoal_hold_end_), unused)) shoal_hold \
	SHOAL_CAT_(shoal_hold_at_, __LINE__) = shoal_hold_or_stop_(l)

#endif
