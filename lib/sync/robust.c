#include "sync/robust.h"
#include "base/clock.h"
#include "base/kernel.h"
#include <errno.h>

#define SPIN_MAX 100
#define SLICE_NS INT64_C(1000000000)
#define OLD_KERNEL_SLICE_NS INT64_C(5000000)

bool
robust_usable(const struct shoal_thread *t)
{
	return t->robust->offset == ROBUST_OFFSET;
}

/* The lowest bit of a link marks a priority-inheritance node. */
static void **
link_of(void *p)
{
	return (void **)((uintptr_t)p & ~(uintptr_t)1);
}

/*
 * A death between two of these stores leaves a list that the kernel can walk forward; prev is the C
 * library's.
 */
static void
push(struct shoal_thread *t, struct robust *r)
{
	struct robust_head *h = t->robust;
	r->next = h->first;
	r->prev = (void *)&h->first;
	fence_compiler();
	link_of(h->first)[-1] = &r->next;
	fence_compiler();
	h->first = &r->next;
	t->held++;
}

static void
pop(struct shoal_thread *t, struct robust *r)
{
	link_of(r->next)[-1] = r->prev;
	fence_compiler();
	*link_of(r->prev) = r->next;
	fence_compiler();
	r->prev = r->next = NULL;
	t->held--;
}

static int
take_free(struct shoal_thread *t, struct robust *r, uint32_t seen)
{
	uint32_t mine = t->tid | (seen & (FUTEX_SLEEPERS | FUTEX_DIED));
	if (!cas32_acq_rel(&r->word, seen, mine))
		return -EAGAIN;
	return seen & FUTEX_DIED ? -EOWNERDEAD : 0;
}

static int64_t
slice(void)
{
	return kernel_has(KERNEL_PENDING_RULE) ? SLICE_NS : OLD_KERNEL_SLICE_NS;
}

static int
take_slow(struct shoal_thread *t, struct robust *r, int64_t deadline)
{
	for (int spins = 0;;) {
		uint32_t w = load_relaxed(&r->word);
		if (!(w & FUTEX_TID)) {
			int rc = take_free(t, r, w);
			if (rc != -EAGAIN)
				return rc;
			continue;
		}
		if ((w & FUTEX_TID) == t->tid)
			return -EDEADLK;
		if (!(w & FUTEX_SLEEPERS) && spins < SPIN_MAX) {
			spins++;
			cpu_relax();
			continue;
		}
		if (!(w & FUTEX_SLEEPERS) && !cas32_acq_rel(&r->word, w, w | FUTEX_SLEEPERS))
			continue;
		int64_t until = clock_sooner(deadline, slice());
		if (futex_wait(&r->word, w | FUTEX_SLEEPERS, until) && until == deadline)
			return -ETIMEDOUT;
	}
}

int
robust_take(struct shoal_thread *t, struct robust *r, int64_t deadline)
{
	void *old = robust_pending_set(t, &r->word);
	int rc = 0;
	if (unlikely(!cas32_acq_rel(&r->word, 0, t->tid)))
		rc = take_slow(t, r, deadline);
	if (rc == 0 || rc == -EOWNERDEAD)
		push(t, r);
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
		push(t, r);
	robust_pending_restore(t, old);
	return rc;
}

void
robust_mend(struct robust *r)
{
	fetch_and_relaxed(&r->word, ~FUTEX_DIED);
}

/*
 * Crash points: before the CAS the word bears our id and is named by pending, so the kernel marks
 * it. The contended release stores and wakes in one system call; after it, pending makes the kernel
 * wake one more.
 */
void
robust_release(struct shoal_thread *t, struct robust *r)
{
	void *old = robust_pending_set(t, &r->word);
	pop(t, r);
	fence_compiler();
	uint32_t w = load_relaxed(&r->word);
	if (likely(w == t->tid) && likely(cas32_acq_rel(&r->word, w, 0))) {
		robust_pending_restore(t, old);
		return;
	}
	/* A lock given back suspect stays marked: the next taker is told again. */
	if (w & FUTEX_DIED) {
		while (!cas32_acq_rel(&r->word, w, (w & ~FUTEX_TID)))
			w = load_relaxed(&r->word);
		futex_wake(&r->word, 1);
	} else if (futex_mark_and_wake(&r->word, 1) == 0) {
		futex_clear_sleepers(&r->word);
	}
	robust_pending_restore(t, old);
}

bool
robust_claim(struct shoal_thread *t, struct robust *r)
{
	void *old = robust_pending_set(t, &r->word);
	bool mine = cas32_acq_rel(&r->word, 0, t->tid | FUTEX_SLEEPERS);
	if (mine)
		push(t, r);
	robust_pending_restore(t, old);
	return mine;
}

void
robust_drop(struct shoal_thread *t, struct robust *r)
{
	void *old = robust_pending_set(t, &r->word);
	pop(t, r);
	fence_compiler();
	futex_clear_and_wake(&r->word, FUTEX_ALL);
	robust_pending_restore(t, old);
}
