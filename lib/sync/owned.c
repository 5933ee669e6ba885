/*
 * Permits with owners, for pools of resources: a cell for each, which is a robust word.
 *
 * Who takes a permit takes a free cell, and the kernel gives it back when that thread dies, exits
 * or calls exec: marked FUTEX_DIED, which here means free. There is no count that could disagree
 * with the cells. A taker begins to look at a place of its own, so that those who take at once
 * seldom meet.
 *
 *	taker                                          owner
 *	  turn                                           gate armed? stays (stay.h)
 *	                                                 pending = gate
 *	  looks at every cell: none free                 its cell: tid -> 0; fence           (S1)
 *	  gate = ARMED; fence                            where it stays: turn + 1
 *	  looks again                                    gate armed?  -> gate_open
 *	  sleeps while gate == ARMED and turn is         its record names nothing
 *	    as it was, for OWNED_SLICE_NS
 *
 * A permit that is held keeps the memory of one that is destroyed; when the last is given back it
 * is the owner's stay that does, until turn and gate are done with. Where the gate was not armed
 * before, it is looked at once more, and opened in a stay that finds the semaphore there (wake).
 *
 * Crash points: before its cell is 0 the owner's death frees it; after it, and until turn has
 * changed, nobody is told, and those who sleep find the free cell after their slice, as they do
 * after an owner's death. From then on it is as for any other semaphore (semaphore.c). A taker
 * that dies with its cell taken is an owner that died. Model: tests/model/owned.pml.
 */
#include "base/error.h"
#include "sync/plain.h"
#include "sync/semaphore.h"

uint32_t
owned_count(const struct semaphore *s)
{
	uint32_t count = load_relaxed(&s->bound) & ~SHOAL_SEMAPHORE_OWNED;
	return count < SHOAL_PERMITS_OWNED_MAX ? count : SHOAL_PERMITS_OWNED_MAX;
}

uint32_t
owned_free(const struct semaphore *s)
{
	uint32_t count = owned_count(s), taken = 0;
	for (uint32_t i = 0; i < count; i++)
		taken += (load_relaxed(&s->cell[i].word) & FUTEX_TID) != 0;
	return count - taken;
}

bool
owned_take(struct shoal_thread *t, struct semaphore *s)
{
	uint32_t count = owned_count(s);
	for (uint32_t i = 0; i < count; i++) {
		struct robust *r = &s->cell[(t->tid + i) % count];
		if (load_relaxed(&r->word) & FUTEX_TID)
			continue;
		int rc = robust_try(t, r);
		if (rc == -EOWNERDEAD)
			robust_mend(r);
		if (rc != -EBUSY)
			return true;
	}
	return false;
}

struct robust *
owned_mine(const struct shoal_thread *t, struct semaphore *s)
{
	uint32_t count = owned_count(s);
	for (uint32_t i = 0; i < count; i++) {
		struct robust *r = &s->cell[(t->tid + i) % count];
		if ((load_relaxed(&r->word) & FUTEX_TID) == t->tid)
			return r;
	}
	return NULL;
}

int
owned_check(uint32_t value, uint32_t bound)
{
	uint32_t count = bound & ~SHOAL_SEMAPHORE_OWNED;
	if (value < 1 || value > SHOAL_PERMITS_OWNED_MAX || (count && count != value))
		return fail(-EINVAL, "a semaphore with owners has 1 to %d permits, all there from the "
		            "beginning: not %u with a bound of %u", SHOAL_PERMITS_OWNED_MAX, value,
		            count);
	return 0;
}

size_t
owned_bytes(uint32_t value)
{
	return sizeof(struct semaphore) + value * sizeof(struct robust);
}

void
owned_init(shoal_semaphore *semaphore, uint32_t value)
{
	struct semaphore *s = semaphore_of(semaphore);
	for (uint32_t i = 0; i < value; i++)
		store_relaxed(&s->cell[i].word, 0);
	store_relaxed(&s->turn, 0);
	store_relaxed(&s->value, 0);
	store_relaxed(&s->gate, 0);
	store_relaxed(&s->named, 1);
	store_release(&s->bound, SHOAL_SEMAPHORE_OWNED | value);
}

bool
semaphore_in_use(const shoal_semaphore *semaphore, uint64_t bytes)
{
	const struct semaphore *s = semaphore_of(semaphore);
	return semaphore_is_owned(s) && owned_bytes(owned_count(s)) <= bytes &&
	       owned_free(s) < owned_count(s);
}
