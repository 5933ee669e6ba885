/*
 * Groups: put_many fills GROUP_PLACES places by one claim, get_many takes them by one, and small
 * items lie side by side in the first of their slots. They are a queue's of no flags.
 *
 * A group is GROUP_PLACES places from a multiple of it on, its leader first. While the leader's
 * word has the state GROUP, it says all about the group: the followers' words are EMPTY of some lap
 * that was, and nobody looks at them. Its bits 7..3 are the phase; lap and owner are as in slot.h.
 *
 *	EMPTY(l)         -> G_WRITING(l,me)  CAS of a putter who saw all followers EMPTY(l): they cannot
 *	                                     be claimed before their leader is
 *	G_EMPTY(l)       -> G_WRITING(l,me)  CAS of a putter
 *	                 -> EMPTY(l)         CAS of one who wants a single place, after all followers
 *	                                     are EMPTY(l) at least (group_open)
 *	G_WRITING(l,m)   -> G_FULL(l)        m's release store
 *	                 -> G_HOLE(l)        m dead: anybody's CAS
 *	G_FULL(l)        -> G_READING(l,me)  CAS of a getter who takes all of it
 *	                 -> G_SPREAD(l,me)   CAS of one who wants less
 *	G_HOLE(l)        -> G_PASSING(l,me)  CAS of a getter
 *	G_READING(l,m)   -> G_EMPTY(l+1)     m's release store, or m dead: anybody's CAS, and its
 *	G_PASSING(l,m)      messages were dropped
 *	G_SPREAD(l,m)    -> FULL(l)          m's release store: now each message has its own place
 *	                 -> G_SPREAD(l,0)    m dead: anybody's CAS; whoever needs it goes on
 *
 * A follower's word grows only. Spreading goes from the last item to the first, so that none is
 * moved over one that is still packed, and one that goes on for a dead one skips the followers that
 * are FULL(l). Getters wait at a group that is being written or spread; so order holds.
 *
 * A lap is packed or single for a whole group, once and for all. A thread's cursor stands on a
 * follower only in a lap that is single, so claims of single places need no look at the leader;
 * walks, whose cursor may lag by laps, take one (walk.c). tests/model/ring_pack*.c explores it.
 */
#ifndef RING_GROUP_H
#define RING_GROUP_H

#include "ring/queue.h"

#define GROUP_SHIFT 4u
#define GROUP_PLACES (1u << GROUP_SHIFT)
/* How many places on from a group the lines are asked for that come soon. */
#define GROUP_AHEAD (2 * GROUP_PLACES)
/* Longer items are put one by one: their copies are what takes the time. */
#define GROUP_ITEM_MAX 64u

enum group_phase {
	GROUP_EMPTY,
	GROUP_WRITING,
	GROUP_FULL,
	GROUP_HOLE,
	GROUP_READING,
	GROUP_PASSING,
	GROUP_SPREAD
};

static inline uint64_t
group_word(enum group_phase phase, uint32_t lap, uint32_t owner)
{
	return slot_word(GROUP, lap, owner, phase);
}

static inline bool
group_is(uint64_t word, enum group_phase phase)
{
	return slot_state(word) == GROUP && slot_tries(word) == phase;
}

/* The phase is one, and has an owner where it must; one that spreads may be nobody's. */
static inline bool
group_is_word(uint64_t word)
{
	uint32_t phase = slot_tries(word);
	if (phase == GROUP_SPREAD)
		return true;
	bool owned = phase == GROUP_WRITING || phase == GROUP_READING || phase == GROUP_PASSING;
	return phase < GROUP_SPREAD && owned == (slot_owner(word) != 0);
}

/* Nothing is claimed in its lap, of a place or of a group. */
static inline bool
group_or_slot_empty(uint64_t word)
{
	return slot_state(word) == EMPTY || group_is(word, GROUP_EMPTY);
}

static inline bool
ring_has_groups(const struct ring *r)
{
	return !r->flags && r->shift >= GROUP_SHIFT;
}

static inline uint64_t
group_leader(uint64_t place)
{
	return place & ~(uint64_t)(GROUP_PLACES - 1);
}

/* Where the items of a group lie: `each` in a slot, but for the last. */
struct group_layout {
	uint32_t item_bytes, each, slot_bytes, slots;
};

/* Whether items of this length travel in groups. */
static inline bool
group_lay_out(const struct ring *r, size_t item_bytes, struct group_layout *out)
{
	uint32_t inside = ring_inside(r);
	if (!ring_has_groups(r) || item_bytes - 1 >= GROUP_ITEM_MAX || item_bytes * 2 > inside)
		return false;
	uint32_t bytes = (uint32_t)item_bytes, each = inside / bytes;
	if (each > GROUP_PLACES)
		each = GROUP_PLACES;
	*out = (struct group_layout){ bytes, each, each * bytes, (GROUP_PLACES + each - 1) / each };
	return true;
}

/* The lines of a group that comes soon. */
static inline void
group_prefetch(const struct cursor *c, uint64_t place, const struct group_layout *l)
{
	for (uint32_t i = 0; i < l->slots; i++)
		prefetch_write(cursor_slot_at(c, place + i));
}

/* The leader is G_EMPTY, as `word` says: single places from now on, unless another was faster. */
void group_open(const struct ring *r, uint64_t place, uint64_t word);
/* The leader is EMPTY of its lap: whether all its followers are. */
bool group_is_free(const struct ring *r, uint64_t place);
void group_fill(const struct cursor *c, uint64_t place, const struct group_layout *l,
                const char *items);
void group_copy(const struct cursor *c, uint64_t place, const struct group_layout *l, char *items);
/* -EPROTO, with the place. */
int group_broken(const struct cursor *c, uint64_t place);
/*
 * The leader is G_FULL, or G_SPREAD of nobody: single messages, unless another was faster. 0, or
 * -EPROTO: there is no group, and its places were given back.
 */
int group_spread(struct cursor *c, struct shoal_thread *t, uint64_t place, uint64_t word);

#endif
