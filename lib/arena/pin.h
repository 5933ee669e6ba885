/*
 * Pins: what keeps an object that a call returned from going while its user has it.
 *
 * A pin is a hazard pointer: an entry in the member's own part of a sparse area, which names the
 * object by its index. A reader that finds a reference in a container
 *	1  pin_take(object)
 *	2  validates again that the container still holds the reference
 * and, when it does not, drops the pin and reads again.
 *
 * One who would end the object has seen to it that nothing refers to it before, then makes every
 * reader's pin visible (membarrier; where there is none, readers pay the fence), and then looks at
 * the pins: so one of the two sees the other.
 *
 * An entry, bit by bit, or 0:
 *	bits 19..0   the object's index
 *	bits 31..20  the generation in the tag of the member that took it
 * Its member's thread alone fills it; any thread of its process drops it, by CAS from exactly what
 * it was filled with: so who comes late, when the record is another thread's, drops nothing, unless
 * that is the 4095th to have it since, or a multiple, and pins the same object in the same entry.
 * Several entries may name one object. A dead member's are dropped by its recovery.
 *
 * Memory is put behind the area as it is used, and stays with the record: PINS_FIRST entries at the
 * first pin, up to PINS_MAX.
 */
#ifndef ARENA_PIN_H
#define ARENA_PIN_H

#include "arena/member.h"

/* One entry, for whoever is to give it back. */
struct pin {
	uint32_t object;
	uint32_t tag; /* of the member in whose record it is */
	uint32_t at;  /* which one of its entries */
};

/*
 * From here on, where the caller finds afterwards that the object was referred to, it stays.
 * 0, -ENOMEM: PINS_MAX, -ENOSPC.
 */
int pin_take(shoal_arena *a, struct member *me, uint32_t object, struct pin *out);

/*
 * This pin, of this thread or another one of this process, goes; and what it was the last to keep.
 * Under no lock. Nothing where it has gone, as with its thread: a forked child has none of its
 * parent's.
 */
void pin_drop(shoal_arena *a, struct shoal_thread *t, struct member *me, const struct pin *pin);

/* The same for a reader whose second look failed: nothing is swept. */
void pin_undo(shoal_arena *a, struct member *me, const struct pin *pin);

/* All of a member's, by itself at its end or by its recoverer. */
void pin_drop_all(shoal_arena *a, struct member *m);

/* ---- for one who would end objects ---- */

/* Every pin that its reader relies on is seen by looks after this. */
void pin_barrier(const shoal_arena *a);

/* Marks those of n objects, in rising order, that anybody has pinned. */
#define PIN_FOUND (1u << 31)
void pin_filter(const shoal_arena *a, uint32_t *objects, unsigned n);

#endif
