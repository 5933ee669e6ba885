#include "arena/pin.h"
#include "arena/object.h"
#include "base/error.h"
#include "base/kernel.h"

/* How many entries of a record may be looked at: what others wrote there is not believed. */
static uint32_t
backed(const struct member *m)
{
	uint32_t n = load_acquire(&m->pins);
	return n < PINS_MAX ? n : PINS_MAX;
}

static uint32_t
used(const struct member *m)
{
	uint32_t n = load_acquire(&m->pins_high), most = backed(m);
	return n < most ? n : most;
}

/*
 * A pin's store, or its clearing, before what its maker looks at next. Pairs with the barrier in
 * pin_filter: without it neither would see the other.
 */
static void
order(const shoal_arena *a)
{
	if (a->flags & ARENA_MEMBARRIER)
		fence_compiler();
	else
		fence_seq_cst();
}

void
pin_barrier(const shoal_arena *a)
{
	if (a->flags & ARENA_MEMBARRIER)
		kernel_barrier();
	else
		fence_seq_cst();
}

/* ---- take ---- */

/* The memory is zero, or was left so by the record's last member. */
static int
grow(shoal_arena *a, struct member *me)
{
	uint32_t index = member_index(a, me), have = backed(me);
	uint32_t more = have ? have : PINS_FIRST;
	if (have == PINS_MAX)
		return fail(-ENOMEM,
		            "this thread keeps %u objects that calls on arena '%s' gave it; clear some",
		            PINS_MAX, a->name);
	int rc = arena_back(a, arena_offset(a, arena_pins(a, index) + have), more * UINT64_C(4));
	if (rc == 0)
		store_release(&me->pins, have + more);
	return rc;
}

/* A free entry: the next one, or one that was given back. */
static int
find_free(shoal_arena *a, struct member *me, const word32 *pins, uint32_t *at)
{
	uint32_t n = backed(me), i = load_relaxed(&me->pin_rover);
	if (likely(i < n && load_relaxed(&pins[i]) == 0)) {
		*at = i;
		return 0;
	}
	for (i = 0; i < n && load_relaxed(&pins[i]) != 0; i++)
		;
	*at = i;
	return i < n ? 0 : grow(a, me);
}

/*
 * Crash points: pins_high rises over the entry before it is filled, so whoever looks up to there
 * meets it.
 */
int
pin_take(shoal_arena *a, struct member *me, uint32_t object)
{
	word32 *pins = arena_pins(a, member_index(a, me));
	uint32_t at;
	int rc = find_free(a, me, pins, &at);
	if (rc)
		return rc;
	if (at >= load_relaxed(&me->pins_high))
		store_relaxed(&me->pins_high, at + 1);
	fence_crash();
	store_release(&pins[at], object);
	store_relaxed(&me->pin_rover, at + 1);
	order(a);
	return 0;
}

/* ---- drop ---- */

/* From the one taken last to the first. */
static bool
clear_one(shoal_arena *a, struct member *m, uint32_t object)
{
	word32 *pins = arena_pins(a, member_index(a, m));
	uint32_t n = used(m), from = load_relaxed(&m->pin_rover);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = (from + 2 * n - 1 - i) % n;
		if (load_relaxed(&pins[at]) != object || !cas32_acq_rel(&pins[at], object, 0))
			continue;
		store_relaxed(&m->pin_rover, at);
		return true;
	}
	return false;
}

/* Another thread of this process got it from the call. */
static bool
clear_siblings(shoal_arena *a, struct member *me, uint32_t object)
{
	uint32_t high = load_acquire(&a->header->members_high);
	for (uint32_t i = 1; i <= high && i <= a->members_max; i++) {
		struct member *m = arena_member(a, i);
		bool sibling = m != me && load_acquire(&m->life.word) &&
		               load_acquire(&m->process) == load_relaxed(&me->process) &&
		               load_relaxed(&m->process_generation) ==
		                       load_relaxed(&me->process_generation);
		if (sibling && clear_one(a, m, object))
			return true;
	}
	return false;
}

void
pin_drop(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object)
{
	if (!object || object >= objects_high(a) ||
	    (!clear_one(a, me, object) && !clear_siblings(a, me, object)))
		return;
	order(a);
	object_note_unpinned(a, object);
	object_sweep(a, t, me);
}

void
pin_undo(shoal_arena *a, struct member *me, uint32_t object)
{
	if (clear_one(a, me, object)) {
		order(a);
		object_note_unpinned(a, object);
	}
}

void
pin_drop_all(shoal_arena *a, struct member *m)
{
	word32 *pins = arena_pins(a, member_index(a, m));
	uint32_t n = used(m);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t object = load_relaxed(&pins[i]);
		if (!object)
			continue;
		store_relaxed(&pins[i], 0);
		order(a);
		if (object < objects_high(a))
			object_note_unpinned(a, object);
	}
	store_relaxed(&m->pin_rover, 0);
	store_release(&m->pins_high, 0);
}

/* ---- look ---- */

/* In a sorted list. */
static bool
strike(uint32_t *objects, unsigned n, uint32_t object)
{
	unsigned low = 0, high = n;
	while (low < high) {
		unsigned middle = (low + high) / 2;
		if ((objects[middle] & ~PIN_FOUND) < object)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == n || (objects[low] & ~PIN_FOUND) != object)
		return false;
	objects[low] |= PIN_FOUND;
	return true;
}

void
pin_filter(const shoal_arena *a, uint32_t *objects, unsigned n)
{
	uint32_t high = load_acquire(&a->header->members_high);
	for (uint32_t i = 1; i <= high && i <= a->members_max; i++) {
		const word32 *pins = arena_pins(a, i);
		uint32_t last = used(arena_member(a, i));
		for (uint32_t j = 0; j < last; j++) {
			uint32_t object = load_acquire(&pins[j]);
			if (unlikely(object))
				(void)strike(objects, n, object);
		}
	}
}
