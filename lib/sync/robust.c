#include "sync/robust.h"
#include "base/clock.h"
#include "base/kernel.h"
#include <errno.h>

/*
 * Steps of 20 ns: for some 5 us, as long as a sleep and its wake take, looking after 1, 2, 4 and so
 * on, at last after each 0.64 us. Each look takes the line from the holder, who is slower for it; a
 * waiter learns of the release later by as long as it has waited at most. (T. E. Anderson, The
 * performance of spin lock alternatives for shared-memory multiprocessors, 1990.)
 */
#define SPIN_MAX 250
#define PACE_MAX 32
#define SLICE_NS INT64_C(50000000)
#define OLD_KERNEL_SLICE_NS INT64_C(5000000)

bool
robust_usable(const struct shoal_thread *t)
{
	return t->robust->offset == ROBUST_OFFSET;
}

/* A list that came with a raw clone is the parent's: its words do not name this thread. */
bool
robust_holds_within(const struct shoal_thread *t, const void *from, uint64_t bytes,
                    const struct robust *except)
{
	const struct robust_head *h = t->robust;
	void **at = robust_link(h->first);
	for (; (void *)at != (void *)&h->first; at = robust_link(*at)) {
		const struct robust *r = container_of(at, struct robust, next);
		bool within = (uint64_t)((const char *)r - (const char *)from) < bytes;
		if (within && r != except && (load_relaxed(&r->word) & FUTEX_TID) == t->tid)
			return true;
	}
	return false;
}

uint32_t
robust_mark(struct shoal_thread *t)
{
	if (unlikely(!t->mark))
		t->mark = kernel_thread_mark((pid_t)t->tid);
	return t->mark;
}

static int
take_free(struct shoal_thread *t, struct robust *r, uint32_t seen)
{
	uint32_t mine = t->tid | (seen & (FUTEX_SLEEPERS | FUTEX_DIED));
	if (!cas32_acq_rel(&r->word, seen, mine))
		return -EAGAIN;
	return seen & FUTEX_DIED ? -EOWNERDEAD : 0;
}

/* For interrupts, ends, and the wakes of those who die in a signal handler (robust.h). */
static int64_t
slice(void)
{
	return kernel_has(KERNEL_PENDING_RULE) ? SLICE_NS : OLD_KERNEL_SLICE_NS;
}

/*
 * The one who gave it back for nobody woke everybody, or died before: then its death woke one, who
 * wakes all.
 */
static int
lost(struct robust *r, const struct robust_wait *how)
{
	if (how->since)
		futex_wake(&r->word, FUTEX_ALL);
	return -ENOTRECOVERABLE;
}

static bool
is_over(const struct robust_wait *how)
{
	return how->stay && stay_over(how->stay);
}

/*
 * One that saw FUTEX_SLEEPERS, and sleeps after the destroyer has cleared it, since a third one set
 * it again, is told by that one, which comes here.
 */
static int
destroyed(struct robust *r)
{
	if (load_relaxed(&r->word) & FUTEX_SLEEPERS)
		futex_clear_sleepers(&r->word);
	return -EPIPE;
}

/*
 * Until the word is no longer as seen, or for a slice. To watch the interrupt as well would take
 * futex_waitv, which halves what goes through a contended lock; so who interrupts wakes this word
 * too. It may do so just before the sleep begins: a slice then.
 */
static int
sleep_on(struct shoal_thread *t, struct robust *r, uint32_t seen, struct robust_wait *how)
{
	int64_t until = clock_sooner(how->deadline, slice());
	int rc = 0;
	if (!how->since)
		how->since = clock_now();
	/* Either this one sees the interrupt, or the one who interrupts sees where it sleeps. */
	if (how->interruptible)
		store_seq_cst(&t->asleep_on, (uintptr_t)&r->word);
	if (!how->interruptible || !load_seq_cst(&t->interrupt))
		rc = futex_wait(&r->word, seen, until);
	store_relaxed(&t->asleep_on, 0);
	return rc && until == how->deadline ? rc : 0;
}

/* The steps of a waiter that has made so many, before it looks again. */
static int
spin(int steps)
{
	int pace = steps < PACE_MAX ? steps + 1 : PACE_MAX;
	for (int i = 0; i < pace; i++)
		cpu_relax();
	return steps + pace;
}

/*
 * A free word is taken, FUTEX_SLEEPERS and all. Else: spin, mark, sleep. After the deadline one
 * more look.
 */
static int
take_slow(struct shoal_thread *t, struct robust *r, struct robust_wait *how)
{
	bool late = how->deadline == ROBUST_NOWAIT;
	for (int spins = 0;;) {
		uint32_t w = load_acquire(&r->word);
		if (unlikely(is_over(how)))
			return destroyed(r);
		if (!(w & FUTEX_TID)) {
			if ((w & FUTEX_DIED) && (load_relaxed(&r->flags) & ROBUST_LOST))
				return lost(r, how);
			int rc = take_free(t, r, w);
			if (rc != -EAGAIN)
				return rc;
			continue;
		}
		if (late)
			return -ETIMEDOUT;
		if ((w & FUTEX_TID) == t->tid)
			return -EDEADLK;
		if (spins < SPIN_MAX) {
			spins = spin(spins);
			continue;
		}
		/* A wake that it got goes nowhere: who took the word since then wakes again. */
		if (how->interruptible && thread_interrupted(t))
			return -ECANCELED;
		if (!(w & FUTEX_SLEEPERS) && !cas32_acq_rel(&r->word, w, w | FUTEX_SLEEPERS))
			continue;
		if (how->stay) {
			fence_seq_cst(); /* Y2 */
			if (stay_ended(how->stay))
				return destroyed(r);
		}
		late = sleep_on(t, r, w | FUTEX_SLEEPERS, how) == -ETIMEDOUT;
		spins = 0; /* it came for this one, and another one may have been quicker */
	}
}

int
robust_take_as(struct shoal_thread *t, struct robust *r, struct robust_wait *how)
{
	void *old = robust_pending_set(t, &r->word);
	int rc = take_slow(t, r, how);
	if (rc == 0 || rc == -EOWNERDEAD)
		robust_push(t, r);
	robust_pending_restore(t, old);
	return rc;
}

int
robust_take(struct shoal_thread *t, struct robust *r, int64_t deadline)
{
	void *old = robust_pending_set(t, &r->word);
	struct robust_wait how = { .deadline = deadline };
	int rc = 0;
	if (unlikely(!cas32_acq_rel(&r->word, 0, t->tid)))
		rc = take_slow(t, r, &how);
	if (rc == 0 || rc == -EOWNERDEAD)
		robust_push(t, r);
	robust_pending_restore(t, old);
	return rc;
}

int
robust_try(struct shoal_thread *t, struct robust *r)
{
	void *old = robust_pending_set(t, &r->word);
	int rc;
	do {
		uint32_t w = load_relaxed(&r->word);
		rc = w & FUTEX_TID ? -EBUSY : take_free(t, r, w);
	} while (rc == -EAGAIN);
	if (rc != -EBUSY)
		robust_push(t, r);
	robust_pending_restore(t, old);
	return rc;
}

void
robust_mend(struct robust *r)
{
	fetch_and_relaxed(&r->word, ~FUTEX_DIED);
}

/*
 * Bit 31 with nobody asleep would send each release to the kernel. It is cleared by one who has the
 * word yet, and has found so before: one who is about to sleep for it sees that it has changed.
 * Crash point: between the two the word bears our id, as before, and who was woken looks at it.
 */
static bool
gives_back_lonely(struct shoal_thread *t, struct robust *r)
{
	if (likely(t->lonely != r))
		return false;
	t->lonely = NULL;
	if (futex_sleepers(&r->word) > 0)
		return false;
	futex_clear_sleepers(&r->word);
	return cas32_acq_rel(&r->word, t->tid, 0);
}

/*
 * Crash points: before the CAS the word bears our id and is named by pending, so the kernel marks
 * it. The contended release stores and wakes in one system call; after it, pending makes the kernel
 * wake one more. Nothing is written once the word is free: who takes it next may be the last one to
 * use it, and its memory another's.
 */
void
robust_release(struct shoal_thread *t, struct robust *r)
{
	void *old = robust_pending_set(t, &r->word);
	robust_pop(t, r);
	fence_compiler();
	uint32_t w = load_relaxed(&r->word);
	if (likely(w == t->tid) && likely(cas32_acq_rel(&r->word, w, 0))) {
		robust_pending_restore(t, old);
		return;
	}
	/* A lock given back suspect stays marked: the next taker is told again. */
	if (w & FUTEX_DIED) {
		bool lost = load_relaxed(&r->flags) & ROBUST_LOST;
		while (!cas32_acq_rel(&r->word, w, (w & ~FUTEX_TID)))
			w = load_relaxed(&r->word);
		futex_wake(&r->word, lost ? FUTEX_ALL : 1);
	} else if (!gives_back_lonely(t, r)) {
		t->lonely = futex_mark_and_wake(&r->word, 1) == 0 ? r : NULL;
	}
	robust_pending_restore(t, old);
}

bool
robust_claim(struct shoal_thread *t, struct robust *r)
{
	void *old = robust_pending_set(t, &r->word);
	bool mine = cas32_acq_rel(&r->word, 0, t->tid | FUTEX_SLEEPERS);
	if (mine)
		robust_push(t, r);
	robust_pending_restore(t, old);
	return mine;
}

void
robust_drop(struct shoal_thread *t, struct robust *r)
{
	void *old = robust_pending_set(t, &r->word);
	robust_pop(t, r);
	fence_compiler();
	futex_clear_and_wake(&r->word, FUTEX_ALL);
	robust_pending_restore(t, old);
}

/* Of us, or of the C library, whose words bear the id too. Gates have 0 there. */
bool
robust_is_changing(const struct robust_head *h)
{
	const char *node = (const char *)robust_link(h->pending);
	if (!node)
		return false;
	const word32 *word = (const word32 *)(const void *)(node + h->offset);
	return (load_relaxed(word) & FUTEX_TID) == (uint32_t)kernel_tid();
}

/*
 * Crash points: as those of robust_claim. The kernel walks forward, so whom the first one's prev
 * names meanwhile is nothing to it.
 */
bool
robust_claim_briefly(struct shoal_thread *t, struct robust *r)
{
	struct robust_head *h = t->robust;
	if (robust_is_changing(h))
		return false;
	void *old = robust_pending_set(t, &r->word);
	bool mine = cas32_acq_rel(&r->word, 0, t->tid | FUTEX_SLEEPERS);
	if (mine) {
		r->next = h->first;
		fence_compiler();
		h->first = &r->next;
	}
	robust_pending_restore(t, old);
	return mine;
}

/* What a handler claimed for good meanwhile is before it, and is named by its prev. */
static void
unlink_brief(struct shoal_thread *t, struct robust *r)
{
	if (likely(t->robust->first == &r->next)) {
		t->robust->first = r->next;
		return;
	}
	t->held++;
	robust_pop(t, r);
}

void
robust_drop_briefly(struct shoal_thread *t, struct robust *r)
{
	void *old = robust_pending_set(t, &r->word);
	unlink_brief(t, r);
	fence_compiler();
	futex_clear_and_wake(&r->word, FUTEX_ALL);
	robust_pending_restore(t, old);
}
