/*
 * Blocks: memory of any size from a member's magazines, or from the slabs and runs behind them.
 *
 * A block that is taken is HELD(me) and named by me->hand until the caller has given it its next
 * state (a place, an object, the user) and clears the hand. Conservation, tested by
 * shoal_arena_check: every block of a slab, and every run, has exactly one of the states in
 * arena/layout.h.
 */
#ifndef ARENA_BLOCK_H
#define ARENA_BLOCK_H

#include "arena/slab.h"

/*
 * At least `bytes` (64-byte aligned from 64 up, contents undefined), HELD(me). 0, -ENOMEM, -ENOSPC;
 * -EPROTO where shared memory was overwritten.
 */
int block_take(shoal_arena *a, struct shoal_thread *t, struct member *me, size_t bytes,
               uint64_t *offset);

/*
 * HELD(me) goes back to my magazine, or is free; clears my hand. 0, or -EPROTO: it is no block of
 * mine, and stays what it is.
 */
int block_give(shoal_arena *a, struct member *me, uint64_t offset);

/* The block's usable size. */
size_t block_bytes(const shoal_arena *a, uint64_t offset);

/*
 * For recovery: from exactly the word seen to FREE. False when it is another's by now. One step, so
 * nothing is left half-done by a death, and any number may try.
 */
bool block_reclaim(shoal_arena *a, uint64_t offset, uint64_t seen);

/* From exactly the word seen to another one, by its owner. False: it is no block, or not so. */
bool block_change(const shoal_arena *a, uint64_t offset, uint64_t seen, uint64_t to);

/*
 * Gives back all that the member's magazines hold. Any number of times, by itself or by its
 * recoverer.
 */
void block_empty_magazines(shoal_arena *a, struct member *m, uint32_t tag);

#endif
