/*
 * From a place that this thread has taken to the bytes of its message.
 *
 * Crash points: see get.c for a place and a block, group.h for a group.
 */
#include "base/error.h"
#include "ring/copy.h"
#include "ring/group.h"

/*
 * A message in a block changes hands: PLACE(q,p) -> HELD(me). After BACK it may still bear a name:
 * of a dead taker; of one who adopted it just when its place came back, and who finds that next; or
 * whatever a recoverer made of these (queue_settle_block). The place is mine, and so it is.
 */
static bool
take_block(struct cursor *c, const struct taken *m, uint64_t block)
{
	word64 *word = block_word_at(c->arena, block);
	if (!word)
		return false;
	uint64_t mine = block_word(BLOCK_HELD, 0, c->tag);
	hand_fill(&c->me->hand, HAND_GET, c->ring.object, m->place, block);
	fence_crash();
	if (cas64_acq_rel(word, block_word(BLOCK_PLACE, c->ring.object, m->place), mine))
		return true;
	for (;;) {
		uint64_t seen = load_acquire(word);
		if (seen == mine)
			return true;
		if (seen != block_word(BLOCK_PLACE, c->ring.object, m->place) &&
		    block_state(seen) != BLOCK_HELD)
			return false;
		if (cas64_acq_rel(word, seen, mine))
			return true;
	}
}

int
get_taken_data(struct cursor *c, struct taken *m)
{
	m->block = 0;
	bool inside = !slot_has_block(m->slot);
	if (likely(inside && m->bytes <= ring_inside(&c->ring)))
		return 0;
	uint64_t block;
	memcpy(&block, m->slot->payload, sizeof block);
	if (!inside && m->bytes <= block_bytes(c->arena, block) && take_block(c, m, block)) {
		m->block = block;
		return 0;
	}
	hand_clear(&c->me->hand);
	get_release(c, m);
	return fail(-EPROTO,
	            "place %llu of queue %u holds no message of its own: shared memory was overwritten",
	            (unsigned long long)m->place, c->ring.object);
}

static int
copy_group(struct cursor *c, const struct taken *m, void *to)
{
	struct group_layout l;
	bool is = group_lay_out(&c->ring, m->bytes, &l);
	if (likely(is)) {
		group_prefetch(c, m->place + GROUP_AHEAD, &l);
		group_copy(c, m->place, &l, to);
	}
	queue_publish(c, m->slot, group_word(GROUP_EMPTY, slot_lap(m->word) + 1, 0));
	return likely(is) ? 0 : group_broken(c, m->place);
}

/*
 * Without REDELIVER the place goes on before the long copy. With it, only after: a death in the
 * copy gives the message back.
 */
int
get_copy(struct cursor *c, struct taken *m, void *to)
{
	if (m->places > 1)
		return copy_group(c, m, to);
	int rc = get_taken_data(c, m);
	if (unlikely(rc))
		return rc;
	if (likely(!m->block)) {
		copy_bytes(to, m->slot->payload, m->bytes);
		get_release(c, m);
		return 0;
	}
	bool late = c->ring.flags & SHOAL_QUEUE_REDELIVER;
	if (!late)
		get_release(c, m);
	memcpy(to, arena_at(c->arena, m->block), m->bytes);
	if (late)
		get_release(c, m);
	(void)block_give(c->arena, c->me, m->block);
	return 0;
}
