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
 * An entry is an object's index, or 0. Its member's thread alone fills it; any thread of its
 * process drops it, by CAS. Several entries may name one object. A dead member's are dropped by its
 * recovery.
 *
 * Memory is put behind the area as it is used, and stays with the record: PINS_FIRST entries at the
 * first pin, up to PINS_MAX.
 */
#ifndef ARENA_PIN_H
#define ARENA_PIN_H

#include "arena/member.h"

/*
 * From here on, where the caller finds afterwards that the object was referred to, it stays.
 * 0, -ENOMEM: PINS_MAX, -ENOSPC.
 */
int pin_take(shoal_arena *a, struct member *me, uint32_t object);

/*
 * One pin of this thread, or of another one of this process, less; and what that was the last to
 * keep goes. Under no lock. Nothing where there is no such pin: a forked child has none of its
 * parent's.
 */
void pin_drop(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object);

/* The same for a reader whose second look failed: nothing is swept. */
void pin_undo(shoal_arena *a, struct member *me, uint32_t object);

/* All of a member's, by itself at its end or by its recoverer. */
void pin_drop_all(shoal_arena *a, struct member *m);

/* ---- for one who would end objects ---- */

/* Every pin that its reader relies on is seen by looks after this. */
void pin_barrier(const shoal_arena *a);

/* Marks those of n objects, in rising order, that anybody has pinned. */
#define PIN_FOUND (1u << 31)
void pin_filter(const shoal_arena *a, uint32_t *objects, unsigned n);

#endif
