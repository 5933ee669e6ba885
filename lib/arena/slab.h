/*
 * Small blocks: pages of 64 KiB cut into blocks of one size class.
 *
 *	page:  hint (8 bytes) | the block words | padding | the blocks
 *
 * Blocks of 512 bytes and more are aligned to 128, those from 64 up to 64, smaller ones to 16. A
 * page stays of its class. Which blocks are free is told by their words alone; `hint` only says
 * where to look first, and may be wrong.
 */
#ifndef ARENA_SLAB_H
#define ARENA_SLAB_H

#include "arena/page.h"

#define SLAB_LARGEST 32640u
/* From this length on a block begins on a pair of lines, as the bodies of objects must. */
#define SLAB_SPACED 512u

struct slab_class {
	uint32_t bytes;     /* of a block */
	uint16_t count;     /* blocks in a page */
	uint16_t slots;     /* how many of them a magazine keeps */
	uint32_t blocks_at; /* offset in the page */
	uint32_t reciprocal; /* ceil(2^32 / bytes): a division by multiplication, exact below 64 KiB */
};

/* count blocks of b bytes with their words, the hint, and the padding before the first block. */
#define SLAB_ALIGN(b) ((b) >= SLAB_SPACED ? SPACING : (b) >= LINE ? LINE : 16)
#define SLAB_COUNT(b) ((PAGE_BYTES - 8 - (SLAB_ALIGN(b) - 8)) / ((b) + 8))
#define SLAB_BLOCKS_AT(b) \
	((8 + 8 * SLAB_COUNT(b) + SLAB_ALIGN(b) - 1) / SLAB_ALIGN(b) * SLAB_ALIGN(b))
#define SLAB_CLASS(b) \
	{ \
		(b), (uint16_t)SLAB_COUNT(b), (b) <= 1024 ? MAGAZINE_SLOTS : 8, \
			(uint32_t)SLAB_BLOCKS_AT(b), (uint32_t)((UINT64_C(0x100000000) + (b)-1) / (b)) \
	}

extern const struct slab_class slab_classes[SMALL_CLASSES] __attribute__((visibility("hidden")));

/* The smallest class for 1 <= bytes <= SLAB_LARGEST. */
unsigned slab_class_of(size_t bytes);
/* Of a run of exactly so many; CLASSES: it has none. */
unsigned slab_class_of_run(uint64_t pages);

static inline word64 *
slab_words(const shoal_arena *a, uint64_t page)
{
	return (word64 *)arena_at(a, arena_page_offset(a, page)) + 1;
}

/*
 * Moves free blocks of the class into this member's empty magazine: at least one, or -ENOMEM,
 * -ENOSPC.
 */
int slab_refill(shoal_arena *a, struct shoal_thread *t, struct member *me, unsigned class);

/* After a block's word became FREE: where to look first. */
void slab_note_free(shoal_arena *a, uint64_t offset, unsigned class);

/*
 * The run at the offset, if a dead member had made it a slab page, is on its class's list from now
 * on.
 */
void slab_adopt(shoal_arena *a, const struct member *dead, uint64_t offset);

/* ---- from a block to its word ---- */

/* For a block known to be of this small class: arithmetic only. */
static inline uint32_t
slab_index(const shoal_arena *a, uint64_t offset, unsigned class)
{
	const struct slab_class *c = &slab_classes[class];
	uint32_t rest = (uint32_t)((offset - a->data_at) & (PAGE_BYTES - 1)) - c->blocks_at;
	return (uint32_t)(((uint64_t)rest * c->reciprocal) >> 32);
}

/*
 * The word of a block of this class that may begin at the offset, which is one of the arena, or
 * NULL where none can: arithmetic only, so the word alone tells whether one does. Pages begin at
 * multiples of their length, as data_at and the arena's end are. It may stand before data_at, but
 * nowhere outside.
 */
static ALWAYS_INLINE word64 *
slab_word_of(const shoal_arena *a, uint64_t offset, const struct slab_class *c)
{
	uint32_t rest = (uint32_t)(offset & (PAGE_BYTES - 1)) - c->blocks_at;
	uint32_t i = (uint32_t)(((uint64_t)rest * c->reciprocal) >> 32);
	if (unlikely(i >= c->count || i * c->bytes != rest))
		return NULL;
	return (word64 *)arena_at(a, offset & ~(PAGE_BYTES - 1)) + 1 + i;
}

/* The same of any offset, by the class's number. */
static inline word64 *
slab_word_at(const shoal_arena *a, uint64_t offset, unsigned class)
{
	return unlikely(offset >= a->bytes) ? NULL : slab_word_of(a, offset, &slab_classes[class]);
}

/*
 * Any offset: the word of the small block that begins there, and its class; NULL where none does,
 * or where this process has not looked yet how far the pages reach (block_find tells).
 */
static ALWAYS_INLINE word64 *
slab_find(const shoal_arena *a, uint64_t offset, unsigned *class)
{
	uint64_t page = page_of(a, offset);
	if (unlikely(page >= load_relaxed(&a->pages_seen)))
		return NULL;
	uint64_t word = load_acquire(&arena_page(a, page)->word);
	*class = (unsigned)word;
	if (unlikely(block_state(word) != BLOCK_SLAB || *class >= SMALL_CLASSES))
		return NULL;
	return slab_word_of(a, offset, &slab_classes[*class]);
}

/*
 * Any offset: false where no block begins. The class is below SMALL_CLASSES for a slab's block,
 * above for a run's, CLASSES for a run without a class.
 */
struct block_found {
	word64 *word;
	unsigned class;
	uint64_t bytes; /* all of them lie in the arena */
};
bool block_find(const shoal_arena *a, uint64_t offset, struct block_found *out);
/* The block that the offset lies in, anywhere in it. */
bool block_around(const shoal_arena *a, uint64_t offset, struct block_found *out);

/* Its word alone, or NULL. */
static inline word64 *
block_word_at(const shoal_arena *a, uint64_t offset)
{
	struct block_found f;
	return block_find(a, offset, &f) ? f.word : NULL;
}

#endif
