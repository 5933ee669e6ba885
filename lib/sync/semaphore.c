/*
 * Semaphores: a number, and a gate for those who wait for it to be more than 0. What the permits of
 * an owned one are is in owned.c; the waiting is the same. The words are in semaphore.h.
 *
 *	sleeper                                        releaser, of a named one
 *	  pending = gate                                 pending = gate
 *	  value? none                                    value + 1, full: + 0        (seq_cst, S1)
 *	  gate = ARMED; fence                (S2)        gate armed?  -> gate_open   (seq_cst, S1)
 *	  value? none                                    pending restored
 *	  sleep while gate == ARMED and value == 0
 *	  took one after a sleep, and there are more: gate_open
 *
 * The releaser of a plain one writes nothing after its S1: its last permit may be the end of the
 * semaphore, and its memory another's. It wakes one sleeper at the gate and leaves it armed; who
 * leaves the wait, and finds nobody else asleep, clears it.
 *
 * S1 with S2: either the sleeper's second look sees the permit, or the releaser sees the gate.
 * Without either of them, both may miss the other: a permit, and somebody asleep.
 *
 * S1 with S3, the taking of a permit (acquire): a release that its bound refuses writes what it
 * saw, so who takes a permit later sees what was written before that release too. Were it a load,
 * the permit might be taken, and the caller's own stores not be seen yet: a doorbell with a bound
 * of 1 would be quiet, and somebody asleep beside the work.
 *
 * Crash points: one that dies between its CAS and its wake, or woken and before its own CAS, has
 * pending name the gate: the kernel wakes one sleeper. One that is about to sleep just then sees
 * the value, which it watches too. Who was woken and took a permit wakes the next one while there
 * are more: of several releases only one wake may have come through. A releaser in a signal handler
 * may have to leave pending as it is (robust_name_beside): who sleeps looks after its slice then.
 * Model: tests/model/semaphore.pml.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/kernel.h"
#include "sync/gate.h"
#include "sync/plain.h"
#include "sync/robust.h"
#include "sync/semaphore.h"

#define SPIN_MAX 100

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
	if (bound & SHOAL_SEMAPHORE_OWNED)
		return fail(-EINVAL, "a semaphore with owners is made in an arena, by "
		            "shoal_semaphore_create: there is no room for them in %zu bytes",
		            sizeof *semaphore);
	if (bound > INT32_MAX || value > (bound ? bound : INT32_MAX))
		return fail(-EINVAL, "a semaphore with %u permits and a bound of %u: at most %d, and no "
		            "more permits than the bound", value, bound, INT32_MAX);
	store_relaxed(&s->bound, bound);
	store_relaxed(&s->named, stay_is_for(s));
	store_relaxed(&s->gate, 0);
	store_release(&s->value, value);
	return 0;
}

/* One of a number; an owned semaphore's is always 0. */
static inline bool
take_number(struct semaphore *s)
{
	uint32_t v = load_relaxed(&s->value);
	while (v) {
		/* S3: acquires what the releaser of this permit, and of those before it, had written. */
		if (cas32_acq_rel(&s->value, v, v - 1))
			return true;
		v = load_relaxed(&s->value);
	}
	return false;
}

static bool
take(struct shoal_thread *t, struct semaphore *s)
{
	return semaphore_is_owned(s) ? owned_take(t, s) : take_number(s);
}

static uint32_t
permits(const struct semaphore *s)
{
	return semaphore_is_owned(s) ? owned_free(s) : load_relaxed(&s->value);
}

/* While nobody sleeps: a permit may be there sooner than a sleep would end. */
static bool
spin(struct shoal_thread *t, struct semaphore *s)
{
	for (int i = 0; i < SPIN_MAX && !load_relaxed(&s->gate); i++) {
		if (take(t, s))
			return true;
		cpu_relax();
	}
	return false;
}

/* Of a plain one a releaser changes the value alone: where one word is watched, it is that one. */
static bool
wakes_at_value(const struct semaphore *s)
{
	return !load_relaxed(&s->named) && !kernel_has(KERNEL_WAITV);
}

/* An owner's death changes neither word: who waits for owned permits looks for it. */
static int
sleep_on(struct shoal_thread *t, struct semaphore *s, uint32_t turn, int64_t deadline)
{
	bool owned = semaphore_is_owned(s), first = wakes_at_value(s);
	struct futex_watch gate = { &s->gate, GATE_ARMED }, value = { &s->value, 0 };
	struct futex_watch watch[] = { first ? value : gate, first ? gate : value };
	if (owned)
		watch[1] = (struct futex_watch){ &s->turn, turn };
	int64_t until = owned ? clock_sooner(deadline, OWNED_SLICE_NS) : deadline;
	int rc = gate_sleep(t, watch, 2, until);
	return rc == -ETIMEDOUT && until != deadline ? 0 : rc;
}

static int
wait_asleep(struct shoal_thread *t, struct semaphore *s, const struct stay *stay, int64_t deadline,
            bool *slept)
{
	for (int rc = 0;;) {
		uint32_t turn = load_seq_cst(&s->turn);
		if (take(t, s))
			return 0;
		/* Only now: after the deadline there is one more look. */
		if (rc)
			return rc;
		if (stay_ended(stay)) {
			gate_open_all(&s->gate);
			return -EPIPE;
		}
		if (thread_interrupted(t))
			return -ECANCELED;
		gate_arm(&s->gate, false);
		if (permits(s) || stay_over(stay))
			continue;
		rc = sleep_on(t, s, turn, deadline);
		*slept = true;
		if (rc == -ECANCELED)
			return rc;
	}
}

/*
 * The gate may be cleared by this: those who sleep at the value, where one word alone is watched,
 * arm it again, or no releaser would look for them.
 */
static void
pass_on(struct semaphore *s)
{
	if (permits(s))
		gate_open(&s->gate);
	else
		gate_open_all(&s->gate);
	if (wakes_at_value(s))
		futex_wake(&s->value, FUTEX_ALL);
}

static int
wait_slow(struct shoal_thread *t, struct semaphore *s, const struct stay *stay, int64_t deadline)
{
	bool slept = false;
	void *old = robust_pending_set(t, &s->gate);
	int rc = spin(t, s) ? 0 : wait_asleep(t, s, stay, deadline, &slept);
	/* Also one that leaves without a permit: the wake that it may have had is another one's. */
	bool plain = !load_relaxed(&s->named) && load_relaxed(&s->gate);
	if ((slept && permits(s)) || (plain && futex_sleepers(&s->gate) <= 0))
		pass_on(s);
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
	if (likely(take_number(s)))
		return 0;
	struct shoal_thread *t = thread_self();
	if (!t)
		return fail(-ENOMEM, "no memory for this thread's record");
	if (semaphore_is_owned(s) && t->held >= SHOAL_LOCKS_HELD_MAX)
		return fail(-EOVERFLOW, "this thread holds %u locks and permits, and the kernel "
		            "gives back no more at its death; release some", t->held);
	if (semaphore_is_owned(s) && owned_take(t, s))
		return 0;
	return acquire_slow(t, s, timeout);
}

/* Nothing is written, and what is told is no more than a look that finds nothing. */
static void
wake_plain(struct semaphore *s)
{
	if (futex_wake(&s->gate, 1) == 0 && !kernel_has(KERNEL_WAITV))
		futex_wake(&s->value, 1);
}

/*
 * The permit may be taken already, the semaphore destroyed and its memory another's: what is
 * named is looked at again before it is written to, and what is not is not written to. Its gate is
 * cleared by the last one who leaves it.
 */
static void
wake(struct semaphore *s, bool named)
{
	if (!named) {
		wake_plain(s);
		return;
	}
	struct stay stay = stay_begin(s, STAY_QUICK);
	if (stay.word && !stay_over(&stay))
		gate_open(&s->gate);
	stay_end(&stay);
}

static void
tell_turn(struct semaphore *s)
{
	fetch_add_seq_cst(&s->turn, 1);
	if (load_seq_cst(&s->gate))
		gate_open(&s->gate);
}

static int
release_owned(struct semaphore *s)
{
	struct shoal_thread *t = thread_self();
	struct robust *mine = t ? owned_mine(t, s) : NULL;
	if (!mine)
		return fail(-EPERM, "semaphore release: this thread has none of the %u permits, and "
		            "each is given back by who took it", owned_count(s));
	/* Once the permit is given back, its name in this thread's record alone keeps the memory. */
	bool armed = load_seq_cst(&s->gate);
	struct stay stay = armed ? stay_begin(s, STAY_QUICK) : (struct stay){ 0 };
	void *old = robust_pending_set(t, &s->gate);
	robust_release(t, mine);
	fence_seq_cst(); /* S1 */
	if (stay.name)
		tell_turn(s);
	else if (load_relaxed(&s->gate)) /* armed since then */
		wake(s, true);
	robust_pending_restore(t, old);
	stay_end(&stay);
	return 0;
}

int
shoal_semaphore_release(shoal_semaphore *semaphore)
{
	struct semaphore *s = semaphore_of(semaphore);
	if (unlikely(semaphore_is_owned(s)))
		return release_owned(s);
	bool named = load_relaxed(&s->named);
	struct robust_head *head = thread_robust();
	void *old = head ? robust_name_beside(head, &s->gate) : NULL;
	uint32_t v, bound = bound_of(s);
	do
		v = load_relaxed(&s->value);
	while (!cas32_seq_cst(&s->value, v, v < bound ? v + 1 : v)); /* S1 */
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
	const struct semaphore *s = semaphore_of(semaphore);
	return (int)(semaphore_is_owned(s) ? owned_free(s) : load_acquire(&s->value));
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
