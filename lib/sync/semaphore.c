/*
 * Semaphores: a number, and a gate for those who wait for it to be more than 0.
 *
 *	 0 value  how many permits there are. Changed by CAS alone: an acquire takes one off, a release
 *	          adds one, each in one step, so no death leaves half of it.
 *	 4 gate   0, or GATE_ARMED: there may be sleepers (gate.h)
 *	 8 bound  as init was given it; 0: none
 *	12 named  1: it can be destroyed (stay.h); set when it is initialised
 *	16 16 bytes unused
 *
 *	sleeper                                        releaser
 *	  pending = gate                                 pending = gate
 *	  value? none                                    value + 1                   (seq_cst, S1)
 *	  gate = ARMED; fence                (S2)        gate armed?  -> gate_open   (seq_cst, S1)
 *	  value? none                                    pending restored
 *	  sleep while gate == ARMED and value == 0
 *	  took one after a sleep, and there are more: gate_open
 *
 * S1 with S2: either the sleeper's second look sees the permit, or the releaser sees the gate.
 * Without either of them, both may miss the other: a permit, and somebody asleep.
 *
 * Crash points: one that dies between its CAS and its wake, or woken and before its own CAS, has
 * pending name the gate: the kernel wakes one sleeper. One that is about to sleep just then sees
 * the value, which it watches too. Who was woken and took a permit wakes the next one while there
 * are more: of several releases only one wake may have come through. Model:
 * tests/model/semaphore.pml.
 */
#include "base/clock.h"
#include "base/error.h"
#include "sync/gate.h"
#include "sync/plain.h"
#include "sync/robust.h"

#define SPIN_MAX 100

struct semaphore {
	word32 value;
	word32 gate;
	word32 bound;
	word32 named;
	word32 unused[4];
};

_Static_assert(sizeof(struct semaphore) == sizeof(shoal_semaphore), "a semaphore's size is pinned");

static struct semaphore *
semaphore_of(const shoal_semaphore *semaphore)
{
	return (struct semaphore *)(uintptr_t)semaphore;
}

static uint32_t
bound_of(const struct semaphore *s)
{
	uint32_t bound = load_relaxed(&s->bound);
	return bound ? bound : INT32_MAX;
}

int
shoal_semaphore_init(shoal_semaphore *semaphore, uint32_t value, uint32_t bound)
{
	struct semaphore *s = semaphore_of(semaphore);
	if (bound == SHOAL_ALL)
		bound = 0;
	if (bound > INT32_MAX || value > (bound ? bound : INT32_MAX))
		return fail(-EINVAL, "a semaphore with %u permits and a bound of %u: at most %d, and no "
		            "more permits than the bound", value, bound, INT32_MAX);
	store_relaxed(&s->bound, bound);
	store_relaxed(&s->named, stay_is_for(s));
	store_relaxed(&s->gate, 0);
	store_release(&s->value, value);
	return 0;
}

static inline bool
take(struct semaphore *s)
{
	uint32_t v = load_relaxed(&s->value);
	while (v) {
		/* Acquires what the releaser of this permit, and of those before it, had written. */
		if (cas32_acq_rel(&s->value, v, v - 1))
			return true;
		v = load_relaxed(&s->value);
	}
	return false;
}

/* While nobody sleeps: a permit may be there sooner than a sleep would end. */
static bool
spin(struct semaphore *s)
{
	for (int i = 0; i < SPIN_MAX && !load_relaxed(&s->gate); i++) {
		if (take(s))
			return true;
		cpu_relax();
	}
	return false;
}

static int
wait_asleep(struct shoal_thread *t, struct semaphore *s, const struct stay *stay, int64_t deadline,
            bool *slept)
{
	struct futex_watch watch[] = { { &s->gate, GATE_ARMED }, { &s->value, 0 } };
	for (int rc = 0;;) {
		if (take(s))
			return 0;
		/* Only now: after the deadline there is one more look. */
		if (rc)
			return rc;
		if (stay_over(stay)) {
			gate_open_all(&s->gate);
			return -EPIPE;
		}
		if (thread_interrupted(t))
			return -ECANCELED;
		gate_arm(&s->gate, false);
		if (load_relaxed(&s->value) || stay_over(stay))
			continue;
		rc = gate_sleep(t, watch, 2, deadline);
		*slept = true;
		if (rc == -ECANCELED)
			return rc;
	}
}

static int
wait_slow(struct shoal_thread *t, struct semaphore *s, const struct stay *stay, int64_t deadline)
{
	bool slept = false;
	void *old = robust_pending_set(t, &s->gate);
	int rc = spin(s) ? 0 : wait_asleep(t, s, stay, deadline, &slept);
	/* Also one that leaves without a permit: the wake that it may have had is another one's. */
	if (slept && load_relaxed(&s->value))
		gate_open(&s->gate);
	robust_pending_restore(t, old);
	return rc;
}

static int
acquire_slow(struct shoal_thread *t, struct semaphore *s, shoal_time timeout)
{
	if (timeout <= 0)
		return fail_quiet(-EAGAIN, "the semaphore has no permit, and the timeout is 0");
	bool named = load_relaxed(&s->named);
	struct stay stay = named ? stay_begin(s, STAY_JOIN) : (struct stay){ 0 };
	int rc = stay_over(&stay) ? -EPIPE : wait_slow(t, s, &stay, clock_deadline(timeout));
	stay_end(&stay);
	if (rc == -EPIPE)
		return fail_quiet(rc, "the semaphore was destroyed");
	if (rc == -ETIMEDOUT)
		return fail_quiet(rc, "the semaphore had no permit in time");
	return rc ? fail_quiet(rc, "the wait was interrupted by shoal_thread_interrupt") : 0;
}

int
shoal_semaphore_acquire(shoal_semaphore *semaphore, shoal_time timeout)
{
	struct semaphore *s = semaphore_of(semaphore);
	if (likely(take(s)))
		return 0;
	struct shoal_thread *t = thread_self();
	if (!t)
		return fail(-ENOMEM, "no memory for this thread's record");
	return acquire_slow(t, s, timeout);
}

/*
 * The permit may be taken already, the semaphore destroyed and its memory another's: what is
 * named is looked at again before it is written to.
 */
static void
wake(struct semaphore *s, bool named)
{
	struct stay stay = named ? stay_begin(s, STAY_QUICK) : (struct stay){ 0 };
	if (!named || (stay.word && !stay_over(&stay)))
		gate_open(&s->gate);
	stay_end(&stay);
}

int
shoal_semaphore_release(shoal_semaphore *semaphore)
{
	struct semaphore *s = semaphore_of(semaphore);
	bool named = load_relaxed(&s->named);
	struct robust_head *head = thread_robust();
	void *old = head ? robust_name(head, &s->gate) : NULL;
	uint32_t v, bound = bound_of(s);
	do
		v = load_relaxed(&s->value);
	while (v < bound && !cas32_seq_cst(&s->value, v, v + 1));
	if (v < bound && load_seq_cst(&s->gate))
		wake(s, named);
	if (head)
		robust_name_again(head, old);
	if (unlikely(v >= bound))
		return fail(-EOVERFLOW, "the semaphore has its %u permits already", bound);
	return 0;
}

int
shoal_semaphore_value(const shoal_semaphore *semaphore)
{
	return (int)load_acquire(&semaphore_of(semaphore)->value);
}

void
semaphore_shut(shoal_semaphore *semaphore)
{
	struct robust_head *head = thread_robust();
	word32 *gate = &semaphore_of(semaphore)->gate;
	void *old = head ? robust_name(head, gate) : NULL;
	gate_open_all(gate);
	if (head)
		robust_name_again(head, old);
}
