/*
 * Where a cursor stands. "Claimed" and "taken" are monotone in the place, so a cursor that lags
 * walks forward: by the lap that it reads where that jumps ahead, else one by one; more than
 * WALK_FAR places behind it bisects one lap.
 *
 * The difference d = lap read - lap of the place is used as unsigned: a thread idle for 2^31 laps
 * is still right. Only one lap behind (d == 2^32 - 1) is possible below: a place is never more than
 * one lap behind the cursor that looks at it.
 *
 * A group's leader speaks for its followers, whose words may lag behind by any number of laps. It
 * is read first: where it is not a group's, a follower's own word, read after that, is right or
 * only behind.
 */
#include "base/kernel.h"
#include "ring/group.h"

#define WALK_FAR 64u
#define WALK_CHASE 8u
#define WALK_CHASED (UINT32_C(1) << 16) /* yields cost more than steps, and a hint may lie */
/*
 * Others may move on while one walks, but each step passes one of their messages: words that lead
 * in a circle are damage. Who only wants to know how much there is has a lap's patience, and is
 * content with how far it came: where nothing moves a walk ends soon after it bisected.
 */
#define WALK_END_OF_PATIENCE (UINT32_C(1) << 26)
#define WALK_LOOK (UINT32_C(1) << 12)
#define BEHIND UINT32_MAX

static uint32_t
lap_ahead(const struct ring *r, uint64_t place, uint64_t word)
{
	return slot_lap(word) - ring_lap(r, place);
}

static uint64_t
word_of(const struct ring *r, uint64_t place)
{
	uint64_t leader = ring_has_groups(r) ? group_leader(place) : place;
	uint64_t word = load_acquire(&ring_slot(r, leader)->turn);
	if (leader == place || slot_state(word) == GROUP)
		return word;
	return load_acquire(&ring_slot(r, place)->turn);
}

static bool
is_claimed(const struct ring *r, uint64_t place, uint64_t word)
{
	uint32_t d = lap_ahead(r, place, word);
	return d != BEHIND &&
	       !(d == 0 && (group_or_slot_empty(word) || slot_state(word) == CLOSED));
}

/* FULL, WRITING, EMPTY and CLOSED of its lap are before their taker. */
static bool
is_untaken_state(uint64_t word)
{
	return slot_state(word) != READING && slot_state(word) != BACK &&
	       !group_is(word, GROUP_READING) && !group_is(word, GROUP_PASSING);
}

static bool
is_taken(const struct ring *r, uint64_t place, uint64_t word)
{
	uint32_t d = lap_ahead(r, place, word);
	return d != BEHIND && !(d == 0 && is_untaken_state(word));
}

/*
 * The next place that may be unclaimed (untaken), given what stands at this one, which is claimed
 * (taken).
 */
static uint64_t
step(const struct ring *r, uint64_t place, uint64_t word, bool counts_from_lap_before)
{
	uint64_t laps = lap_ahead(r, place, word);
	if (counts_from_lap_before)
		laps--;
	if (slot_state(word) == GROUP)
		return group_leader(place) + (laps << r->shift) + GROUP_PLACES;
	return place + (laps << r->shift) + 1;
}

typedef bool passed_fn(const struct ring *, uint64_t place, uint64_t word);

/* All up to `from` is passed, `from` + capacity is not: it shares its slot. */
static uint64_t
bisect(const struct ring *r, uint64_t from, passed_fn *passed)
{
	uint64_t low = from, high = from + r->mask + 1;
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		if (passed(r, middle, word_of(r, middle)))
			low = middle;
		else
			high = middle;
	}
	return high;
}

/* A hint from shared memory moves a cursor forward only. */
static uint64_t
with_hint(uint64_t cursor, const word64 *hint)
{
	uint64_t h = load_relaxed(hint);
	return h > cursor ? h : cursor;
}

/*
 * One that walks behind another one at work does not get there: each step waits for a line that the
 * other has just written, and takes it away from those that come next. So every WALK_CHASE steps it
 * goes on from where the other one says it is by now, after whoever else can use this processor.
 */
static bool
chases(uint64_t *at, const word64 *hint)
{
	uint64_t from = with_hint(*at, hint);
	if (likely(from == *at))
		return false;
	*at = from;
	kernel_yield();
	return true;
}

/* False: after so many steps there was no end; the place is how far it came. */
static bool
walk(const struct ring *r, uint64_t *place, passed_fn *passed, bool put, uint32_t patience,
     uint64_t *word)
{
	const word64 *hint = put ? &r->queue->tail : &r->queue->head;
	uint64_t at = with_hint(*place, hint);
	for (uint32_t steps = 0;; steps++) {
		*word = word_of(r, at);
		if (!passed(r, at, *word) && (slot_state(*word) != GROUP || at == group_leader(at))) {
			*place = at;
			return true;
		}
		if (steps % WALK_CHASE == WALK_CHASE - 1 && steps < WALK_CHASED && chases(&at, hint))
			continue;
		if (steps == WALK_FAR) {
			at = bisect(r, at, passed);
			continue;
		}
		if (unlikely(steps > patience)) {
			*place = at;
			return false;
		}
		bool before = put ? group_or_slot_empty(*word) : is_untaken_state(*word);
		at = step(r, at, *word, before);
	}
}

/* Only a place that is written or read has an owner; what is in no state of slot.h is damage. */
static bool
is_word(uint64_t word)
{
	enum slot_state state = slot_state(word);
	if (state == GROUP)
		return group_is_word(word);
	bool owned = state == WRITING || state == READING, bare = state == EMPTY || state == CLOSED;
	return state <= CLOSED && owned == (slot_owner(word) != 0) && !(bare && slot_tries(word));
}

enum walk_end
walk_put(const struct ring *r, uint64_t *cursor, uint64_t *word)
{
	uint64_t at = *cursor;
	if (unlikely(!walk(r, &at, is_claimed, true, WALK_END_OF_PATIENCE, word) || !is_word(*word)))
		return WALK_BROKEN;
	*cursor = at;
	if (lap_ahead(r, *cursor, *word) == BEHIND)
		return WALK_WAIT;
	return group_or_slot_empty(*word) ? WALK_READY : WALK_END;
}

enum walk_end
walk_get(const struct ring *r, uint64_t *cursor, uint64_t *word)
{
	uint64_t at = *cursor;
	if (unlikely(!walk(r, &at, is_taken, false, WALK_END_OF_PATIENCE, word) || !is_word(*word)))
		return WALK_BROKEN;
	*cursor = at;
	if (lap_ahead(r, *cursor, *word) == BEHIND)
		return WALK_WAIT;
	if (slot_state(*word) == CLOSED)
		return WALK_END;
	bool ready = slot_state(*word) == FULL || group_is(*word, GROUP_FULL) ||
	             group_is(*word, GROUP_HOLE) ||
	             (group_is(*word, GROUP_SPREAD) && !slot_owner(*word));
	return ready ? WALK_READY : WALK_WAIT;
}

/*
 * The first unclaimed place, the first untaken one, and the first again: unchanged means that at
 * the second reading the difference was exact. Counts places: puts in progress and holes not passed
 * are in it. Of a queue that moves faster than one walks, as of a damaged one, some number that a
 * queue can have: nobody waits for it.
 */
uint64_t
walk_size(const struct ring *r, uint64_t *taken, uint64_t *put)
{
	uint64_t word, again;
	*taken = load_relaxed(&r->queue->head);
	*put = load_relaxed(&r->queue->tail);
	for (int tries = 0;; tries++) {
		bool ends = walk(r, put, is_claimed, true, WALK_LOOK, &word);
		ends &= walk(r, taken, is_taken, false, WALK_LOOK, &again);
		if (!is_word(word) || !is_word(again))
			return 0;
		if (!ends || load_acquire(&ring_slot(r, *put)->turn) == word || tries == 8)
			break;
	}
	uint64_t size = *put > *taken ? *put - *taken : 0;
	return size <= r->mask ? size : r->mask + 1;
}
