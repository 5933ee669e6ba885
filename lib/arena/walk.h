/*
 * Every block of an arena, in the order of addresses.
 *
 * The walk trusts nothing that it reads: a length that leads outside ends it, a class that does not
 * exist is passed over. On an arena that others change meanwhile each word is seen as it was at
 * some moment, not all at the same.
 */
#ifndef ARENA_WALK_H
#define ARENA_WALK_H

#include "arena/slab.h"

/* One block of a slab, one run, or (state BLOCK_SLAB) a slab page before its blocks. */
struct block_seen {
	uint64_t offset;
	uint64_t bytes;
	uint64_t word;
	unsigned class; /* CLASSES: a run that no class has */
};

typedef void walk_visit(void *arg, const struct block_seen *block);

/* How many pages were met in good order: less than arena_pages where the entry there is damaged. */
uint64_t walk_blocks(const shoal_arena *a, walk_visit *visit, void *arg);

/* The member records with memory behind them. */
uint32_t walk_members(const shoal_arena *a);

#endif
