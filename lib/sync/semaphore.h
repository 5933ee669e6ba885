/*
 * The words of a semaphore, and what its permits are where they have owners (owned.c).
 *
 *	 0 value  how many permits there are. Changed by CAS alone: an acquire takes one off, a release
 *	          adds one, each in one step, so no death leaves half of it. Owned: always 0
 *	 4 gate   0, or GATE_ARMED: there may be sleepers (gate.h)
 *	 8 bound  as init was given it; 0: none. Bit 31, SHOAL_SEMAPHORE_OWNED: the rest is how many
 *	          permits it has, each a cell after the semaphore. Never changes
 *	12 named  1: it can be destroyed (stay.h); set when it is initialised
 *	16 turn   owned: how often a permit was released, modulo 2^32
 *	20 12 bytes unused
 *	32 cells  owned: a robust word for each permit (robust.h): its taker's thread id, or 0
 */
#ifndef SYNC_SEMAPHORE_H
#define SYNC_SEMAPHORE_H

#include "sync/robust.h"
#include <shoal/sync.h>

struct semaphore {
	word32 value;
	word32 gate;
	word32 bound;
	word32 named;
	word32 turn;
	word32 unused[3];
	struct robust cell[];
};

_Static_assert(sizeof(struct semaphore) == sizeof(shoal_semaphore), "a semaphore's size is pinned");

/* How late the death of an owner is noticed by those who wait for a permit. */
#define OWNED_SLICE_NS INT64_C(5000000)

static inline struct semaphore *
semaphore_of(const shoal_semaphore *semaphore)
{
	return (struct semaphore *)(uintptr_t)semaphore;
}

static inline bool
semaphore_is_owned(const struct semaphore *s)
{
	return load_relaxed(&s->bound) & SHOAL_SEMAPHORE_OWNED;
}

/* How many permits it has, free or not. */
uint32_t owned_count(const struct semaphore *s);

/* How many nobody has, those of the dead among them. */
uint32_t owned_free(const struct semaphore *s);

/* One of them for this thread, or false. */
bool owned_take(struct shoal_thread *t, struct semaphore *s);

/* One that this thread has, or NULL. */
struct robust *owned_mine(const struct shoal_thread *t, struct semaphore *s);

#endif
