#include "arena/pin.h"
#include "arena/object.h"
#include "base/error.h"
#include "base/kernel.h"

#define OBJECT_BITS 20

_Static_assert(OBJECTS_MAX <= 1u << OBJECT_BITS, "an entry has room for the index");

static uint32_t
entry_of(const struct pin *p)
{
	return p->object | p->tag >> TAG_INDEX_BITS << OBJECT_BITS;
}

static uint32_t
object_of(uint32_t entry)
{
	return entry & ((1u << OBJECT_BITS) - 1);
}

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
 * One that no block ever referred to, and whose end would look for no pin. The fence is before the
 * look that finds it alive. Pairs with the CAS of its destroyer's, behind which let_go and to_bury
 * (object_end.c) look at this word: either they see it, or that look sees the object destroyed.
 *
 * Crash points: between the two, or before there is a pin, its end looks for pins and finds none.
 */
static __attribute__((noinline)) void
note_referred(struct object *o)
{
	store_relaxed(&o->referred, 1);
	fence_seq_cst();
}

/*
 * Crash points: pins_high rises over the entry before it is filled, so whoever looks up to there
 * meets it.
 */
int
pin_take(shoal_arena *a, struct member *me, uint32_t object, struct pin *out)
{
	word32 *pins = arena_pins(a, member_index(a, me));
	struct object *o = arena_object(a, object);
	uint32_t at;
	if (unlikely(!load_relaxed(&o->referred)))
		note_referred(o);
	int rc = find_free(a, me, pins, &at);
	if (rc)
		return rc;
	if (at >= load_relaxed(&me->pins_high))
		store_relaxed(&me->pins_high, at + 1);
	fence_crash();
	*out = (struct pin){ .object = object, .tag = member_own_tag(me), .at = at };
	store_release(&pins[at], entry_of(out));
	store_relaxed(&me->pin_rover, at + 1);
	order(a);
	return 0;
}

/* ---- drop ---- */

static bool
clear(shoal_arena *a, const struct member *me, const struct pin *p)
{
	struct member *m = member_of_tag(a, p->tag);
	if (!m || !p->object || p->object >= objects_high(a) || p->at >= used(m))
		return false;
	/* Of another process: that one's affair, as a parent's pin is not its child's. */
	if (load_acquire(&m->process) != load_relaxed(&me->process) ||
	    load_relaxed(&m->process_generation) != load_relaxed(&me->process_generation))
		return false;
	if (!cas32_acq_rel(arena_pins(a, tag_index(p->tag)) + p->at, entry_of(p), 0))
		return false;
	store_relaxed(&m->pin_rover, p->at);
	return true;
}

static bool
drop(shoal_arena *a, const struct member *me, const struct pin *p)
{
	if (!clear(a, me, p))
		return false;
	order(a);
	object_note_unpinned(a, p->object);
	return true;
}

void
pin_undo(shoal_arena *a, struct member *me, const struct pin *pin)
{
	(void)drop(a, me, pin);
}

void
pin_drop(shoal_arena *a, struct shoal_thread *t, struct member *me, const struct pin *pin)
{
	if (drop(a, me, pin))
		object_sweep(a, t, me);
}

void
pin_drop_all(shoal_arena *a, struct member *m)
{
	word32 *pins = arena_pins(a, member_index(a, m));
	uint32_t n = used(m);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t entry = load_relaxed(&pins[i]), object = object_of(entry);
		if (!entry)
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
			uint32_t entry = load_acquire(&pins[j]);
			if (unlikely(entry))
				(void)strike(objects, n, object_of(entry));
		}
	}
}
