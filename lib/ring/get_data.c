/*
 * From a place that this thread has taken to the bytes of its message.
 *
 * Crash points: see get.c for a place and a block, group.h for a group.
 */
#include "base/error.h"
#include "ring/copy.h"
#include "ring/group.h"

/*
 * A message in a block changes hands: PLACE(q,p) -> HELD(me). After BACK it may still bear the name
 * of the dead taker.
 */
static bool
take_block(struct cursor *c, const struct taken *m, uint64_t block)
{
	word64 *word = block_word_at(c->arena, block);
	if (!word)
		return false;
	uint64_t mine = block_word(BLOCK_HELD, 0, c->tag);
	hand_fill(&c->me->hand, HAND_GET, c->queue->object, m->place, block);
	fence_crash();
	if (cas64_acq_rel(word, block_word(BLOCK_PLACE, c->queue->object, m->place), mine))
		return true;
	uint64_t seen = load_acquire(word);
	return block_state(seen) == BLOCK_HELD &&
	       member_state(c->arena, (uint32_t)block_low(seen)) != MEMBER_ALIVE &&
	       cas64_acq_rel(word, seen, mine);
}

void
get_taken_data(struct cursor *c, struct taken *m)
{
	m->block = 0;
	bool inside = load_relaxed(&m->slot->flags) == SLOT_INLINE;
	if (likely(inside && m->bytes <= c->queue->slot_bytes))
		return;
	uint64_t block;
	memcpy(&block, m->slot->payload, sizeof block);
	if (inside || !take_block(c, m, block) || m->bytes > block_bytes(c->arena, block))
		stop("queue at %p: place %llu holds no message of its own: shared memory was overwritten",
		     (void *)c->queue, (unsigned long long)m->place);
	m->block = block;
}

static void
copy_group(struct cursor *c, const struct taken *m, void *to)
{
	struct group_layout l;
	if (!group_lay_out(c->queue, m->bytes, &l))
		stop("queue at %p: place %llu holds no group: shared memory was overwritten",
		     (void *)c->queue, (unsigned long long)m->place);
	group_prefetch(c, m->place + GROUP_AHEAD, &l);
	group_copy(c, m->place, &l, to);
	queue_publish(c, m->slot, group_word(GROUP_EMPTY, slot_lap(m->word) + 1, 0));
}

/*
 * Without REDELIVER the place goes on before the long copy. With it, only after: a death in the
 * copy gives the message back.
 */
void
get_copy(struct cursor *c, struct taken *m, void *to)
{
	if (m->places > 1) {
		copy_group(c, m, to);
		return;
	}
	get_taken_data(c, m);
	if (likely(!m->block)) {
		copy_bytes(to, m->slot->payload, m->bytes);
		get_release(c, m);
		return;
	}
	bool late = c->queue->flags & SHOAL_QUEUE_REDELIVER;
	if (!late)
		get_release(c, m);
	memcpy(to, arena_at(c->arena, m->block), m->bytes);
	if (late)
		get_release(c, m);
	block_give(c->arena, c->me, m->block);
}
