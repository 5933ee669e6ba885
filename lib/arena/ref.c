/*
 * References: an arena's byte (bits 63..56), a generation (55..40) and an offset (39..0). 0 refers
 * to nothing.
 *
 * Plain memory has generation 0. An object's is that of its table's entry, so that a reference to
 * one that was destroyed is noticed when another one has its memory.
 */
#include "arena/object.h"
#include "arena/slab.h"
#include "base/error.h"

/* The word of the entry of the object whose memory it is, or 0. */
static uint64_t
object_word_at(const shoal_arena *a, uint64_t offset)
{
	const word64 *word = block_word_at(a, offset);
	uint64_t seen = word ? load_acquire(word) : 0;
	uint32_t index = block_object(seen);
	if (block_state(seen) != BLOCK_OBJECT || index >= objects_high(a))
		return 0;
	return load_acquire(&arena_object(a, index)->word);
}

static uint64_t
generation_of(uint64_t word)
{
	return word ? object_generation(word) : 0;
}

/* Whether the offset lies in a block that is somebody's. */
static bool
is_in_use(const shoal_arena *a, uint64_t offset)
{
	struct block_found b;
	if (!block_around(a, offset, &b))
		return false;
	enum block_state state = block_state(load_acquire(b.word));
	return state != BLOCK_FREE && state != BLOCK_MAGAZINE && state != BLOCK_SLAB;
}

shoal_ref
shoal_ref_of(const shoal_arena *a, const void *p)
{
	if (arena_asked(__func__, a, a))
		return 0;
	uint64_t offset = arena_offset(a, p);
	if (!p || !arena_holds(a, p) || offset < a->data_at || !is_in_use(a, offset)) {
		fail(-EINVAL, "%p is in no block of arena '%s'", p, a->name);
		return 0;
	}
	return (a->id & 0xff) << 56 | generation_of(object_word_at(a, offset)) << 40 | offset;
}

void *
shoal_deref(const shoal_arena *a, shoal_ref ref)
{
	if (arena_asked(__func__, a, a))
		return NULL;
	uint64_t offset = ref & ((UINT64_C(1) << 40) - 1);
	if (ref >> 56 != (a->id & 0xff) || offset < a->data_at || offset >= a->bytes) {
		fail(-EINVAL, "reference %#llx is not of arena '%s'", (unsigned long long)ref,
		     a->name);
		return NULL;
	}
	uint64_t word = object_word_at(a, offset);
	if ((ref >> 40 & 0xffff) != generation_of(word) || object_state(word) == OBJECT_DYING) {
		fail(-ENOENT, "what reference %#llx named in arena '%s' was destroyed",
		     (unsigned long long)ref, a->name);
		return NULL;
	}
	return arena_at(a, offset);
}
