/*
 * Crates: blocks of the pool's arena with their owner's id in front, so that the supervisor can
 * tell what a dead worker left from what another one has made of the same block since.
 *
 * Crash points: until crate_take returns, its taker's death gives the block back (it is in the
 * taker's hand); what was recorded by then names a block that is free, or somebody else's, or not
 * yet anybody's, and crate_is tells that.
 */
#ifndef POOL_CRATE_H
#define POOL_CRATE_H

#include "arena/arena.h"

/* Before the data: the owner's id, and what the taker likes. */
#define CRATE_AHEAD 16u

/*
 * The offset of `bytes` of data, 16-byte aligned, with undefined contents, written to `record` too,
 * if it is not NULL, before the crate is its taker's for good. 0, -ENOMEM, -ENOSPC, -EUSERS,
 * -EDEADLK (in a signal handler).
 */
int crate_take(shoal_arena *a, uint64_t owner, uint64_t bytes, word64 *record, uint64_t *data);

void crate_give(shoal_arena *a, uint64_t data);

/* Whether there is a whole crate of that owner; once those who died have been recovered. */
bool crate_is(const shoal_arena *a, uint64_t data, uint64_t owner);

#endif
