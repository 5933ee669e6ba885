/*
 * Runs of 64 KiB pages.
 *
 * The page table is walked from page 0 by the lengths in its entries; only the entries met are
 * valid. Every change is one store after which the walk is whole again, so a death under the page
 * lock leaves nothing to repair but the rover:
 *	split   the rest's entry is written, FREE, behind the run (not met yet); then the run's length
 *	        shrinks
 *	take    its word becomes HELD(m), which m's hand names already
 *	give    its word becomes FREE; needs no lock
 *	idle    what lies in a magazine becomes FREE, by a CAS, where no other run can be had
 *	merge   two FREE runs side by side: the first one's length grows over the second
 *	grow    the new run's entry is written behind the end (not met yet); then pages_high grows over
 *	        it
 *
 * A stopped member that holds the page lock holds up those who need a run: large messages when
 * their magazine is empty, new slab pages, new objects.
 */
#ifndef ARENA_PAGE_H
#define ARENA_PAGE_H

#include "arena/member.h"

/*
 * A run of exactly `pages`, its word HELD(me), named by `hand` with `kind`. 0, -ENOMEM (limit) or
 * -ENOSPC.
 */
int page_take(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t pages,
              struct hand *hand, enum hand_kind kind, uint64_t *index);

/* Of an offset below data_at: one beyond all. */
static inline uint64_t
page_of(const shoal_arena *a, uint64_t offset)
{
	return (offset - a->data_at) >> PAGE_BITS;
}

/* ---- hands ---- */

static inline void
hand_fill(struct hand *h, enum hand_kind kind, uint32_t object, uint64_t pos, uint64_t block)
{
	store_relaxed(&h->kind, kind);
	store_relaxed(&h->object, object);
	store_relaxed(&h->pos, pos);
	store_release(&h->block, block);
}

/* A block alone: what nobody looks at of such a hand stays as it was. */
static inline void
hand_take(struct hand *h, uint64_t block)
{
	store_relaxed(&h->kind, HAND_TAKE);
	store_release(&h->block, block);
}

static inline void
hand_clear(struct hand *h)
{
	store_release(&h->block, 0);
}

#endif
