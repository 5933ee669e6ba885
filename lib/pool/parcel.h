/*
 * Parcels: blocks of the pool's arena with their owner's id in front, so that the supervisor can
 * tell what a dead worker left from what another one has made of the same block since.
 *
 * Crash points: until parcel_take returns, its taker's death gives the block back (it is in the
 * taker's hand); what was recorded by then names a block that is free, or somebody else's, or not
 * yet anybody's, and parcel_is tells that.
 */
#ifndef POOL_PARCEL_H
#define POOL_PARCEL_H

#include "arena/arena.h"

/* Before the data: the owner's id, and what the taker likes. */
#define PARCEL_AHEAD 16u

/*
 * The offset of `bytes` of data, 16-byte aligned, with undefined contents, written to `record` too,
 * if it is not NULL, before the parcel is its taker's for good. 0, -ENOMEM, -ENOSPC, -EUSERS,
 * -EDEADLK (in a signal handler).
 */
int parcel_take(shoal_arena *a, uint64_t owner, uint64_t bytes, word64 *record, uint64_t *data);

void parcel_give(shoal_arena *a, uint64_t data);

/* Whether there is a whole parcel of that owner; once those who died have been recovered. */
bool parcel_is(const shoal_arena *a, uint64_t data, uint64_t owner);

#endif
