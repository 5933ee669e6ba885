/*
 * Where a queue's places lie: this process's own copy of what the queue says of itself, checked
 * once against the block that holds it. Whatever is written over the description later, nobody goes
 * beside the block: all but those who make a queue look at its places by this.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include "arena/arena.h"
#include "ring/slot.h"
#include <shoal/queue.h>

struct ring {
	shoal_queue *queue;
	char *slots;
	uint64_t mask;
	uint32_t shift;  /* log2 of the capacity */
	uint32_t stride; /* of a slot, with its header */
	uint32_t flags, object;
};

/* That of an object, or of a queue by its address. 0, or -EPROTO: none, or one that is damaged. */
int ring_of_object(const shoal_arena *a, uint32_t object, struct ring *out);
int ring_find(const shoal_arena *a, const shoal_queue *q, struct ring *out);
/*
 * And the object's word, read before all else of it: while it stays so, it is the object that was
 * found. On -EPROTO it is 0 where nothing is there any more: then nothing is damaged.
 */
int ring_find_word(const shoal_arena *a, const shoal_queue *q, struct ring *out, uint64_t *word);

static ALWAYS_INLINE struct slot *
ring_slot(const struct ring *r, uint64_t place)
{
	return (struct slot *)(void *)(r->slots + (place & r->mask) * r->stride);
}

static ALWAYS_INLINE uint32_t
ring_lap(const struct ring *r, uint64_t place)
{
	return (uint32_t)(place >> r->shift);
}

/* The longest message inside a slot. */
static inline uint32_t
ring_inside(const struct ring *r)
{
	return r->stride - SLOT_HEADER;
}

#endif
