/*
 * Groups of places: opening, filling, copying, spreading. See group.h for the protocol.
 *
 * Crash points of group_spread, by what the next one to come finds:
 *	leader G_SPREAD(me)      followers from the last one on are FULL(l), with their items; the next
 *	                         one is half-written, what it overwrites has been moved before
 *	leader FULL(l), no wake  list_op_pending names the getters' gate: the kernel wakes one
 */
#include "base/error.h"
#include "ring/copy.h"
#include "ring/group.h"

void
group_open(const struct ring *r, uint64_t place, uint64_t word)
{
	uint32_t lap = slot_lap(word);
	uint64_t empty = slot_word(EMPTY, lap, 0, 0);
	for (uint32_t i = 1; i < GROUP_PLACES; i++) {
		struct slot *s = ring_slot(r, place + i);
		uint64_t seen = load_acquire(&s->turn);
		/* One that is slow must not turn it back: the group may be laps ahead by now. */
		if (slot_state(seen) == EMPTY && (int32_t)(lap - slot_lap(seen)) > 0)
			cas64_acq_rel(&s->turn, seen, empty);
	}
	cas64_acq_rel(&ring_slot(r, place)->turn, word, empty);
}

bool
group_is_free(const struct ring *r, uint64_t place)
{
	uint64_t empty = slot_word(EMPTY, ring_lap(r, place), 0, 0);
	for (uint32_t i = 0; i < GROUP_PLACES; i++)
		if (load_acquire(&ring_slot(r, place + i)->turn) != empty)
			return false;
	return true;
}

void
group_fill(const struct cursor *c, uint64_t place, const struct group_layout *l, const char *items)
{
	struct slot *leader = cursor_slot_at(c, place);
	uint32_t left = GROUP_PLACES * l->item_bytes;
	store_relaxed(&leader->bytes, l->item_bytes);
	store_relaxed(&leader->flags, SLOT_INLINE);
	for (; left > l->slot_bytes; left -= l->slot_bytes, items += l->slot_bytes)
		copy_bytes(cursor_slot_at(c, place++)->payload, items, l->slot_bytes);
	copy_bytes(cursor_slot_at(c, place)->payload, items, left);
}

void
group_copy(const struct cursor *c, uint64_t place, const struct group_layout *l, char *items)
{
	uint32_t left = GROUP_PLACES * l->item_bytes;
	for (; left > l->slot_bytes; left -= l->slot_bytes, items += l->slot_bytes)
		copy_bytes(items, cursor_slot_at(c, place++)->payload, l->slot_bytes);
	copy_bytes(items, cursor_slot_at(c, place)->payload, left);
}

/* Item i to its own place, from the slot where it lies with others: always an earlier one. */
static void
spread_item(struct cursor *c, uint64_t place, const struct group_layout *l, uint32_t i)
{
	struct slot *s = cursor_slot_at(c, place + i);
	const char *from = cursor_slot_at(c, place + i / l->each)->payload;
	uint64_t full = slot_word(FULL, ring_lap(&c->ring, place), 0, 0);
	if (load_acquire(&s->turn) == full)
		return;
	copy_bytes(s->payload, from + (i % l->each) * l->item_bytes, l->item_bytes);
	store_relaxed(&s->bytes, l->item_bytes);
	store_relaxed(&s->flags, SLOT_INLINE);
	fence_crash();
	store_release(&s->turn, full);
	/* What comes next overwrites what was only here: not before the word says that it moved. */
	fence_crash();
}

int
group_broken(const struct cursor *c, uint64_t place)
{
	return fail(-EPROTO, "place %llu of queue %u holds no group: shared memory was overwritten",
	            (unsigned long long)place, c->ring.object);
}

/* G_SPREAD(me), and there are no items: as if they had been taken. */
static int
drop(struct cursor *c, uint64_t place, uint64_t word)
{
	for (uint32_t i = 1; i < GROUP_PLACES; i++)
		store_release(&cursor_slot_at(c, place + i)->turn, slot_word(EMPTY, slot_lap(word), 0, 0));
	queue_publish(c, cursor_slot_at(c, place), group_word(GROUP_EMPTY, slot_lap(word) + 1, 0));
	return group_broken(c, place);
}

int
group_spread(struct cursor *c, struct shoal_thread *t, uint64_t place, uint64_t word)
{
	shoal_queue *q = c->ring.queue;
	struct slot *leader = cursor_slot_at(c, place);
	struct group_layout l;
	store_relaxed(&c->me->call.pos, place);
	fence_crash();
	if (!cas64_acq_rel(&leader->turn, word, group_word(GROUP_SPREAD, slot_lap(word), c->tag)))
		return 0;
	if (unlikely(!group_lay_out(&c->ring, load_relaxed(&leader->bytes), &l)))
		return drop(c, place, word);
	/* Getters may have gone to sleep at the leader: none of them is to miss what is there now. */
	void *old = robust_pending_set(t, &q->get.wait);
	for (uint32_t i = GROUP_PLACES; --i;)
		spread_item(c, place, &l, i);
	queue_publish(c, leader, slot_word(FULL, slot_lap(word), 0, 0));
	fence_compiler();
	if (load_relaxed(&q->get_any))
		queue_wake_getters(q);
	robust_pending_restore(t, old);
	return 0;
}
