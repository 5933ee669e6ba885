/*
 * Who is inside a call on a named lock or the like: the arena's part of sync/stay.h.
 *
 * A member's record names up to INSIDE_MAX objects at once: a condition, the lock that is taken
 * again meanwhile, and what a signal handler wakes that comes just then. One more, and one who
 * cannot become a member, stays without a name: it is told of the object's end like the others, but
 * only while it sleeps does it keep the memory from being used again (object_kept of named.c asks
 * the kernel).
 */
#include "arena/kinds.h"
#include "arena/object.h"
#include "arena/slab.h"
#include "base/error.h"
#include "sync/stay.h"

/* The object whose body begins there, of a plain kind, or of one with a lock in it; 0: none. */
static uint32_t
begins_at(const shoal_arena *a, uint64_t offset, bool plain)
{
	struct block_found b;
	uint64_t word = block_find(a, offset, &b) ? load_acquire(b.word) : 0;
	uint32_t index = block_object(word);
	if (block_state(word) != BLOCK_OBJECT || index >= objects_high(a))
		return 0;
	const struct kind_ops *ops = kind_of(a, index);
	bool is = plain ? ops == &plain_kind : ops && ops->locked;
	return is && load_acquire(&arena_object(a, index)->body) == offset ? index : 0;
}

/* The object that is there, of a plain kind, or whose lock is there; 0: none. */
static uint32_t
waited_at(const shoal_arena *a, const void *place)
{
	uint64_t offset = arena_offset(a, place);
	uint32_t index = begins_at(a, offset, true);
	return index ? index : begins_at(a, offset - KIND_LOCK_AT, false);
}

static struct member *
record(shoal_arena *a, enum stay_mode mode)
{
	struct shoal_thread *t = mode == STAY_JOIN ? thread_self() : thread_known();
	struct member *me = t ? member_seat(a, t) : NULL;
	if (!me && t && mode == STAY_JOIN && member_join(a, t, &me))
		return NULL;
	return me;
}

/* A handler that comes in between leaves the place as it found it. */
static word32 *
name(struct member *me, uint32_t index)
{
	for (unsigned i = 0; i < INSIDE_MAX; i++) {
		if (load_relaxed(&me->inside[i]))
			continue;
		store_seq_cst(&me->inside[i], index);
		return &me->inside[i];
	}
	return NULL;
}

/*
 * What says of itself that it was made under a name, and is not there, was destroyed, and buried,
 * before this call began. That is told as long as its memory is nobody else's.
 */
static const word64 buried;

word32 *
object_stay(shoal_arena *a, struct member *me, uint32_t index, uint64_t generation)
{
	word32 *place = name(me, index);
	if (!place)
		return NULL;
	fence_seq_cst();
	uint64_t word = load_acquire(&arena_object(a, index)->word);
	enum object_state state = object_state(word);
	if (word >> 32 == generation && (state == OBJECT_READY || state == OBJECT_MAKING))
		return place;
	object_unstay(place);
	return NULL;
}

int
object_stay_at(shoal_arena *a, const void *body, uint32_t kind, struct object_seen *seen,
               word32 **place)
{
	struct shoal_thread *t;
	struct member *me;
	uint32_t again;
	int rc = member_here(a, &t, &me);
	if (rc || (rc = object_find_body(a, body, kind, &seen->index)))
		return rc;
	seen->generation = load_acquire(&arena_object(a, seen->index)->word) >> 32;
	*place = object_stay(a, me, seen->index, seen->generation);
	if (*place && object_find_body(a, body, kind, &again) == 0 && again == seen->index)
		return 0;
	if (*place)
		object_unstay(*place);
	return fail(-EPIPE, "what was at %p was destroyed, or this is inside too many calls", body);
}

static bool
lives(uint64_t word)
{
	return object_state(word) == OBJECT_READY || object_state(word) == OBJECT_KEPT;
}

static void
stay(const void *place, enum stay_mode mode, struct stay *out)
{
	shoal_arena *a = arena_of(place);
	uint32_t index = a && !a->readonly ? waited_at(a, place) : 0;
	if (!index && mode == STAY_LOOK)
		return;
	if (!index) {
		*out = (struct stay){ .word = &buried, .alive = UINT64_MAX, .kept = UINT64_MAX,
			              .readonly = a && a->readonly };
		return;
	}
	out->word = &arena_object(a, index)->word;
	if (mode == STAY_LOOK)
		return;
	uint64_t word = load_acquire(out->word);
	struct member *me = record(a, mode);
	out->name = me ? name(me, index) : NULL;
	fence_seq_cst();
	/* Destroyed before it was named, and the entry another's perhaps: over, whatever comes. */
	bool is = lives(word) && load_acquire(out->word) == word && waited_at(a, place) == index;
	out->alive = is ? word : 0;
	out->kept = is ? object_word(word, OBJECT_KEPT, TAG_NONE) : 0;
	out->owned = is && mode == STAY_JOIN && object_has_owner(a, index);
}

static bool
orphan(const struct stay *s)
{
	shoal_arena *a = arena_of((const void *)s->word);
	const struct object *o = container_of(s->word, const struct object, word);
	return a && object_end_orphan(a, (uint32_t)(o - arena_object(a, 0)));
}

__attribute__((constructor)) static void
hear_of_stays(void)
{
	stay_hook = stay;
	stay_orphan_hook = orphan;
}
