/* One direction of a pipe: its records, its space, its gates. Nothing here waits. */
#include "ring/pipe.h"
#include <string.h>

/*
 * Everything that is read of a record is clamped to the ring, as the position is, so damaged memory
 * gives an error and no stray access.
 */
int
way_look(char *ring, uint64_t mask, uint64_t pos, struct pipe_message *out)
{
	pos &= ~UINT64_C(7);
	uint64_t word = load_acquire(pipe_header(ring, mask, pos));
	if (word && record_type(word) == RECORD_WRAP) {
		if (!(pos & mask))
			return -EPROTO;
		pos = (pos | mask) + 1;
		word = load_acquire(pipe_header(ring, mask, pos));
	}
	*out = (struct pipe_message){ .pos = pos, .bytes = record_bytes(word) };
	if (!word)
		return 0;
	uint64_t start = (pos & mask) + 8 + record_gap(word);
	uint64_t held = record_type(word) == RECORD_BLOCK ? 8 : out->bytes;
	uint64_t end = start + round_up_8(held);
	if (!(word & 1) || record_type(word) > RECORD_BLOCK || end > mask + 1)
		return -EPROTO;
	out->next = (pos & ~mask) + end;
	out->mark = record_mark(word);
	out->data = ring + start;
	if (record_type(word) == RECORD_BLOCK)
		memcpy(&out->block, out->data, sizeof out->block);
	return 1;
}

/*
 * `from` may lag, never lead; what is there from it on was published, and the header behind it is
 * 0.
 */
uint64_t
way_end(char *ring, uint64_t mask, uint64_t from)
{
	struct pipe_message m = { .pos = from };
	for (uint64_t pos = from; pos - from <= mask; pos = m.next)
		if (way_look(ring, mask, pos, &m) != 1)
			return m.pos;
	return m.pos;
}

static void
reclaim(shoal_arena *a, struct pipe *p, unsigned side, uint64_t bytes)
{
	struct pipe_way *w = &p->way[side];
	uint32_t ring = pipe_ring_bytes(a, p);
	uint64_t from = load_acquire(&w->done) & ~UINT64_C(7);
	struct pipe_message m;
	for (uint64_t pos = from; pos - from < bytes && pos - from < ring; pos = m.next) {
		if (way_look(pipe_ring(p, ring, side), ring - 1, pos, &m) != 1)
			return;
		if (m.block)
			block_reclaim(a, m.block, pipe_place(p->object, side, m.pos));
	}
}

void
way_drain(shoal_arena *a, struct pipe *p, unsigned side)
{
	reclaim(a, p, side, UINT64_MAX);
}

/*
 * What is lent and not passed is a dead one's. It goes before the record is taken again, or passed:
 * whoever sees that it was passed, and that it is lent, knows that its borrower had it.
 */
static void
unlend(struct pipe_way *w, uint64_t done)
{
	for (unsigned i = 0; i < BORROWED_MAX; i++) {
		uint64_t lent = load_relaxed(&w->borrowed[i]);
		if (lent && lent_pos(lent, done) >= done)
			cas64_acq_rel(&w->borrowed[i], lent, 0);
	}
}

void
way_drop_taken(shoal_arena *a, struct pipe *p, unsigned side)
{
	struct pipe_way *w = &p->way[side];
	uint64_t done = load_relaxed(&w->done), taken = load_relaxed(&w->taken);
	unlend(w, done);
	if (taken <= done)
		return;
	reclaim(a, p, side, taken - done);
	store_release(&w->done, taken);
}

/*
 * A record is lent out before `done` passes it (release, acquire), so whoever sees that it was
 * passed sees that it is lent. The flag is set before and cleared only by the reader.
 */
uint64_t
way_free(struct pipe_way *w, word64 **word)
{
	uint64_t done = load_acquire(&w->done), free = done;
	*word = &w->done;
	if (likely(!load_relaxed(&w->borrowing)))
		return free;
	for (unsigned i = 0; i < BORROWED_MAX; i++) {
		uint64_t lent = load_acquire(&w->borrowed[i]);
		if (lent && lent_pos(lent, done) < free) {
			free = lent_pos(lent, done);
			*word = &w->borrowed[i];
		}
	}
	return free;
}

uint64_t
way_wanted(const struct pipe_way *w, uint64_t bytes)
{
	return load_relaxed(&w->sent) << 32 | bytes;
}

static void
open_gates(struct pipe_gates *g)
{
	if (load_relaxed(&g->wait))
		gate_open(&g->wait);
	if (load_relaxed(&g->poll))
		gate_open_all(&g->poll);
}

void
way_wake_readers(struct pipe_way *w)
{
	open_gates(&w->data);
}

void
way_wake_writers(struct pipe_way *w)
{
	open_gates(&w->room);
}

void
way_wake_all(struct pipe_way *w)
{
	gate_open_all(&w->data.wait);
	gate_open_all(&w->data.poll);
	gate_open_all(&w->room.wait);
	gate_open_all(&w->room.poll);
}

static void
forget_borrowed(struct pipe_way *w)
{
	for (unsigned i = 0; i < BORROWED_MAX; i++)
		if (load_relaxed(&w->borrowed[i]))
			return;
	store_relaxed(&w->borrowing, 0);
}

/*
 * A writer that sleeps though there is a little room is not left there for ever: it looks again
 * after a slice, and when the reader comes to wait.
 */
void
way_give(struct pipe_handle *h, struct pipe_way *w, bool waits)
{
	word64 *word;
	uint64_t free = way_free(w, &word), ring = h->mask + 1;
	if (unlikely(load_relaxed(&w->borrowing)))
		forget_borrowed(w);
	store_relaxed(&w->head_given, free);
	store_release(&w->head, free);
	if (unlikely(h->fenced))
		fence_seq_cst();
	fence_compiler();
	if (likely(!load_relaxed(&w->room_any)))
		return;
	if (waits || load_relaxed(&w->tail) - free <= ring - ring / 8 * 3)
		way_wake_writers(w);
}
