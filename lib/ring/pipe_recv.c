/*
 * recv: the reader goes from header to header, and tells the writer seldom how far it is.
 *
 * Crash points, by what the next one to come finds (who goes on at this end; a dead owner's end is
 * closed instead):
 *	before `taken` moves        the message is the next one's
 *	`taken` beyond `done`       dropped: it may have been copied out
 *	block PLACE, `taken` past   nobody will take it any more: my hand gives it back
 *	block HELD(me)              freed with my hand
 *	`done` moved                received; the writer learns it from `done` when it needs the room
 *	before the wake             the writers watch `done` and this process's life, in slices
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/probe.h"
#include "ring/copy.h"
#include "ring/pipe.h"

static inline bool
is_far(const struct pipe_handle *h, uint64_t done)
{
	return done - load_relaxed(&h->rx->head_given) > h->give_after;
}

static inline void
passed(struct pipe_handle *h, uint64_t next, uint64_t count)
{
	struct pipe_way *w = h->rx;
	if (unlikely(h->fenced))
		exchange_seq_cst(&w->done, next);
	else
		store_release(&w->done, next);
	store_relaxed(&w->received, load_relaxed(&w->received) + count);
	if (unlikely(is_far(h, next)))
		way_give(h, w, false);
}

#define KEEP_PAUSES 128u

/*
 * One who reads right behind the writer takes each line from it while it is still being filled: a
 * transfer a message, in both directions. So in a long burst the reader goes only as far as the
 * writer was when it last looked, and one who has come too near stays back for a moment.
 */
static void
keep_distance(struct pipe_handle *h, uint64_t pos)
{
	const struct pipe_way *w = h->rx;
	if (likely(pos < h->tail_seen))
		return;
	h->tail_seen = load_relaxed(&w->tail);
	if (h->tail_seen - pos >= h->give_after || pos - h->kept_at < 2 * h->give_after)
		return;
	for (uint32_t i = 0; i < KEEP_PAUSES; i++)
		cpu_relax();
	h->kept_at = pos;
	h->tail_seen = load_relaxed(&w->tail);
}

/*
 * Asks for the lines of the next record, which is mostly as long as this one, while this one is
 * copied: but only where the writer is known to have left them, or it would fetch them back.
 */
static inline void
recv_ahead(const struct pipe_handle *h, uint64_t next, uint64_t size)
{
	uint64_t there = h->tail_seen - next, most = size < PREFETCH_MOST ? size : PREFETCH_MOST;
	if (there < most || there > h->mask + 1)
		return;
	const char *record = h->rx_ring + (next & h->mask);
	for (uint64_t i = 0; i < most; i += LINE)
		prefetch_read(record + i);
}

/*
 * Between a long message's copy and the moment its place is the writer's; but for the line where
 * the next one begins.
 */
static inline void
recv_behind(struct pipe_handle *h, uint64_t at, uint64_t end)
{
	uint64_t size = end - at;
	if (size < PACE_LEAST)
		return;
	for (at &= ~UINT64_C(LINE - 1); h->pace.evicts && at + LINE <= end; at += LINE)
		evict(h->rx_ring + at);
	pace_passed(&h->pace, size);
}

/* Where short records are received without a look at anything else. */
static void
renew_data(struct pipe_handle *h)
{
	const struct pipe_way *w = h->rx;
	uint64_t pos = load_relaxed(&w->done), give = load_relaxed(&w->head_given) + h->give_after;
	h->data = stretch_from(pos, give < h->tail_seen ? give : h->tail_seen, h->mask, 0);
}

/* ---- the next message, waited for ---- */

static int
refuse(const struct pipe_handle *h)
{
	if (pipe_end_closed(h))
		return fail_quiet(-EPIPE, "this end of the pipe is closed, or the pipe was destroyed");
	return fail_quiet(-EPIPE, "the other end of the pipe is closed, and nothing is left");
}

static int
damaged(const struct pipe_handle *h, uint64_t pos)
{
	return fail(-EPROTO,
	            "byte %llu of the pipe of object %u is no message: shared memory was overwritten",
	            (unsigned long long)pos, h->object);
}

/* From `done`, or behind what another one took as it died. */
static int
look(struct pipe_handle *h, struct pipe_message *m)
{
	uint64_t pos = load_relaxed(&h->rx->done) & ~UINT64_C(7);
	int rc = way_look(h->rx_ring, h->mask, pos, m);
	return rc < 0 ? damaged(h, pos) : rc;
}

/* Closed is looked at before the ring is looked at again: what was sent before comes first. */
static int
look_last(struct pipe_handle *h, struct pipe_message *m)
{
	if (pipe_end_closed(h))
		return refuse(h);
	bool closed = pipe_peer_closed(h);
	int rc = look(h, m);
	return rc == 0 && closed ? refuse(h) : rc;
}

static int
next_alone(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w,
           struct pipe_message *m)
{
	for (;;) {
		int rc = look_last(h, m);
		if (rc)
			return rc > 0 ? 0 : rc;
		if (load_relaxed(&h->rx->head_given) != load_relaxed(&h->rx->done))
			way_give(h, h->rx, true);
		rc = pipe_wait(h, t, w, pipe_header(h->rx_ring, h->mask, m->pos), 0);
		if (rc)
			return rc;
	}
}

static int
next_shared(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w,
            struct pipe_message *m)
{
	for (;;) {
		int rc = recv_lock(h, t, w);
		if (rc)
			return rc;
		rc = look_last(h, m);
		if (rc > 0)
			return 0;
		if (rc == 0 && load_relaxed(&h->rx->head_given) != load_relaxed(&h->rx->done))
			way_give(h, h->rx, true);
		robust_release(t, &h->rx->reading);
		if (rc == 0)
			rc = pipe_wait(h, t, w, pipe_header(h->rx_ring, h->mask, m->pos), 0);
		if (rc)
			return rc;
	}
}

int
recv_next(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w,
          struct pipe_message *m)
{
	if (!h->rx)
		return fail(-EPERM, "the right end of a SIMPLEX pipe only sends");
	w->readers = true;
	int rc = h->shared ? next_shared(h, t, w, m) : next_alone(h, t, w, m);
	if (rc)
		pipe_pass_on(h, w);
	robust_pending_set(t, &h->rx->room.wait);
	return rc;
}

void
recv_give_back(struct pipe_handle *h, struct shoal_thread *t)
{
	if (!h->shared)
		return;
	struct pipe_message m;
	bool more = load_relaxed(&h->rx->data.wait) && look(h, &m) > 0;
	robust_release(t, &h->rx->reading);
	if (more)
		gate_open(&h->rx->data.wait);
}

int
recv_too_small(const struct pipe_message *m, size_t room)
{
	return fail_small(m->bytes,
	                  "the next message has %llu bytes, the buffer %zu; it stays in the pipe",
	                  (unsigned long long)m->bytes, room);
}

int
recv_refuse_marked(void)
{
	return fail_quiet(-EPROTO, "the next message is a value, not bytes: "
	                           "shoal_pipe_recv_any takes it; it stays in the pipe");
}

void
recv_pass(struct pipe_handle *h, const struct pipe_message *m)
{
	passed(h, m->next, 1);
}

/* Who closes the end gives back the blocks on their way to it; then they are anything. */
static int
no_block(const struct pipe_handle *h, const struct pipe_message *m)
{
	return pipe_end_closed(h) ? refuse(h) : damaged(h, m->pos);
}

int
recv_take_block(struct pipe_handle *h, struct member *me, const struct pipe_message *m)
{
	shoal_arena *a = h->arena;
	word64 *word = block_word_at(a, m->block);
	if (!word || m->bytes > block_bytes(a, m->block))
		return no_block(h, m);
	hand_fill(&me->hand, HAND_GET, h->object, m->pos | !h->side, m->block);
	fence_crash();
	store_relaxed(&h->rx->taken, m->next);
	PROBE_PIPE_RECV(h->end, m->pos, m->bytes, 1);
	fence_crash();
	bool mine = cas64_acq_rel(word, pipe_place(h->object, !h->side, m->pos),
	                          block_word(BLOCK_HELD, 0, member_tag(a, me)));
	recv_pass(h, m);
	if (mine)
		return 0;
	hand_clear(&me->hand);
	return no_block(h, m);
}

static ssize_t
recv_long(struct pipe_handle *h, struct shoal_thread *t, const struct pipe_message *m, void *buffer)
{
	struct member *me = pipe_me(h, t);
	int rc = recv_take_block(h, me, m);
	recv_give_back(h, t);
	if (rc)
		return rc;
	memcpy(buffer, arena_at(h->arena, m->block), m->bytes);
	(void)block_give(h->arena, me, m->block);
	return (ssize_t)m->bytes;
}

/* The message that recv_next found; with SHARED_ENDS the end's lock goes back. */
static ssize_t
recv_found(struct pipe_handle *h, struct shoal_thread *t, const struct pipe_message *m,
           void *buffer)
{
	if (m->block)
		return recv_long(h, t, m, buffer);
	if (h->shared)
		store_relaxed(&h->rx->taken, m->next);
	fence_crash();
	PROBE_PIPE_RECV(h->end, m->pos, m->bytes, 1);
	copy_bytes(buffer, m->data, m->bytes);
	recv_pass(h, m);
	recv_give_back(h, t);
	return (ssize_t)m->bytes;
}

/* `exact`: only a message of exactly `room` bytes. */
static __attribute__((noinline)) ssize_t
recv_slow(struct pipe_handle *h, struct shoal_thread *t, void *buffer, size_t room, bool exact,
          shoal_time timeout)
{
	struct pipe_wait w = { .timeout = timeout };
	struct pipe_message m;
	int rc = recv_next(h, t, &w, &m);
	if (rc)
		return rc;
	if (m.mark || m.bytes > room || (exact && m.bytes != room)) {
		recv_give_back(h, t);
		return m.mark ? recv_refuse_marked() : recv_too_small(&m, room);
	}
	return recv_found(h, t, &m, buffer);
}

/* Nobody else receives meanwhile, so what there is room for is what is taken. */
static int
recv_marked(struct pipe_handle *h, struct shoal_thread *t, struct marked *marked,
            shoal_time timeout)
{
	struct pipe_wait w = { .timeout = timeout };
	struct pipe_message m;
	int rc = recv_next(h, t, &w, &m);
	if (rc)
		return rc;
	while (rc == 0 && !marked_fits(marked, m.bytes, m.mark))
		rc = marked->make_room(marked);
	if (rc == 0 && (m.mark & MARK_HOLDS))
		member_open(pipe_me(h, t), h->object, m.pos | !h->side);
	if (rc) {
		recv_give_back(h, t);
		return rc;
	}
	ssize_t n = recv_found(h, t, &m, marked->buffer);
	return n < 0 ? (int)n : 0;
}

int
pipe_recv_marked(shoal_pipe_end *end, struct marked *m, shoal_time timeout)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	int rc = pipe_enter(end, PIPE_CLAIM, &t, &h);
	if (unlikely(rc))
		return rc;
	void *old = t->robust->pending;
	if (likely(h->rx))
		robust_pending_set(t, &h->rx->room.wait);
	rc = recv_marked(h, t, m, timeout);
	robust_pending_restore(t, old);
	pipe_leave(t, h);
	return rc;
}

/* A message of any length that is there whole in the ring, and fits; else -1. */
static ssize_t
recv_medium(struct pipe_handle *h, void *buffer, size_t room)
{
	struct pipe_way *w = h->from;
	if (!h->quick_rx)
		return -1;
	uint64_t pos = load_relaxed(&w->done) & ~UINT64_C(7), at = pos & h->mask;
	uint64_t word = load_acquire((word64 *)(void *)(h->rx_ring + at));
	uint64_t bytes = record_bytes(word), start = at + 8 + record_gap(word);
	uint64_t end = start + round_up_8(bytes);
	if ((word & (7 | RECORD_MARKED)) != 1 || bytes > room || end > h->mask + 1)
		return -1;
	PROBE_PIPE_RECV(h->end, pos, bytes, 1);
	keep_distance(h, pos);
	recv_ahead(h, pos - at + end, end - at);
	copy_bytes(buffer, h->rx_ring + start, bytes);
	recv_behind(h, at, end);
	passed(h, pos - at + end, 1);
	renew_data(h);
	return (ssize_t)bytes;
}

static __attribute__((noinline)) ssize_t
recv_entered(struct pipe_handle *h, void *buffer, size_t room, shoal_time timeout)
{
	struct shoal_thread *t = thread_here;
	void *old = t->robust->pending;
	if (unlikely(old) && robust_is_changing(t->robust)) {
		pipe_leave(t, h);
		return pipe_nested();
	}
	if (likely(h->rx))
		robust_pending_set(t, &h->rx->room.wait);
	ssize_t rc = recv_medium(h, buffer, room);
	if (rc < 0)
		rc = recv_slow(h, t, buffer, room, false, timeout);
	robust_pending_restore(t, old);
	pipe_leave(t, h);
	return rc;
}

static __attribute__((noinline)) ssize_t
recv_any(shoal_pipe_end *end, void *buffer, size_t room, shoal_time timeout)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	int rc = pipe_enter(end, PIPE_CLAIM, &t, &h);
	return unlikely(rc) ? rc : recv_entered(h, buffer, room, timeout);
}

static inline bool
is_short(uint64_t word)
{
	return (uint32_t)word == 1 && record_bytes(word) <= COPY_SHORT;
}

/*
 * A short message that is there, mostly as long as the last one: then the next position does not
 * have to wait for the record.
 */
static __attribute__((noinline)) ssize_t
recv_short(struct pipe_handle *h, void *buffer, size_t room, shoal_time timeout)
{
	struct pipe_way *w = h->from;
	if (unlikely(!h->quick_rx))
		return recv_entered(h, buffer, room, timeout);
	uint64_t pos = load_relaxed(&w->done);
	const char *record = h->rx_ring + (pos & h->quick_mask);
	uint64_t word = load_acquire((word64 *)(void *)(uintptr_t)record);
	if (unlikely(word != h->last_word) && is_short(word))
		h->last_word = word;
	uint64_t bytes = record_bytes(h->last_word), size = 8 + round_up_8(bytes);
	if (unlikely(word != h->last_word || bytes > room || !stretch_holds(&h->data, pos, size)))
		return recv_entered(h, buffer, room, timeout);
	PROBE_PIPE_RECV(h->end, pos, bytes, 1);
	copy_short(buffer, record + 8, bytes);
	store_release(&w->done, pos + size);
	store_relaxed(&w->received, load_relaxed(&w->received) + 1);
	pipe_leave(thread_here, h);
	return (ssize_t)bytes;
}

/* The fast path calls nothing: a word that is there, since it needs the fewest registers. */
ssize_t
shoal_pipe_recv(shoal_pipe_end *end, void *buffer, size_t buffer_bytes, shoal_time timeout)
{
	struct shoal_thread *t = thread_here;
	struct pipe_handle *h = pipe_enter_quick(t, end, LAST_RECEIVED);
	if (unlikely(!h))
		return recv_any(end, buffer, buffer_bytes, timeout);
	struct pipe_way *w = h->from;
	uint64_t pos = load_relaxed(&w->done);
	if (unlikely(buffer_bytes < 8 || !stretch_holds(&h->data, pos, 16)))
		return recv_short(h, buffer, buffer_bytes, timeout);
	const char *record = h->rx_ring + (pos & h->quick_mask);
	if (load_acquire((word64 *)(void *)(uintptr_t)record) != record_word(RECORD_INLINE, 0, 8))
		return recv_short(h, buffer, buffer_bytes, timeout);
	PROBE_PIPE_RECV(h->end, pos, 8, 1);
	memcpy(buffer, record + 8, 8);
	store_release(&w->done, pos + 16);
	store_relaxed(&w->received, load_relaxed(&w->received) + 1);
	pipe_leave(t, h);
	return 8;
}

/* ---- batches ---- */

/* As many records as are just what is expected, one after the other; passed together. How many. */
static inline __attribute__((always_inline)) size_t
read_batch(struct pipe_handle *h, char *items, size_t item_bytes, size_t count)
{
	uint64_t pos = load_relaxed(&h->rx->done) & ~UINT64_C(7);
	uint64_t at = pos & h->mask, ring = h->mask + 1;
	uint64_t size = 8 + round_up_8(item_bytes), word = record_word(RECORD_INLINE, 0, item_bytes);
	const char *from = h->rx_ring + at;
	keep_distance(h, pos);
	uint64_t bytes = 0;
	size_t n = 0;
	for (; n < count && at + bytes + size <= ring; n++, bytes += size) {
		if (load_acquire((word64 *)(void *)(uintptr_t)(from + bytes)) != word)
			break;
		copy_bytes(items + n * item_bytes, from + bytes + 8, item_bytes);
	}
	if (!n)
		return 0;
	PROBE_PIPE_RECV(h->end, pos, item_bytes, n);
	passed(h, pos + bytes, n);
	return n;
}

static size_t
read_items(struct pipe_handle *h, char *items, size_t item_bytes, size_t count)
{
	if (!h->quick_rx || item_bytes >= RECORD_ALIGNED)
		return 0;
	if (item_bytes == 8)
		return read_batch(h, items, 8, count);
	return read_batch(h, items, item_bytes, count);
}

/* The first is waited for; then what is there. */
static ssize_t
recv_items(struct pipe_handle *h, struct shoal_thread *t, char *items, size_t item_bytes,
           size_t count, shoal_time timeout)
{
	for (size_t n = 0; n < count;) {
		n += read_items(h, items + n * item_bytes, item_bytes, count - n);
		if (n == count)
			break;
		ssize_t rc = recv_slow(h, t, items + n * item_bytes, item_bytes, true, n ? 0 : timeout);
		if (rc < 0)
			return n ? (ssize_t)n : rc;
		n++;
	}
	return (ssize_t)count;
}

ssize_t
shoal_pipe_recv_many(shoal_pipe_end *end, void *items, size_t item_bytes, size_t count,
                     shoal_time timeout)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	int rc = items_check(items, item_bytes, count);
	rc = rc ? rc : pipe_enter(end, PIPE_CLAIM, &t, &h);
	if (unlikely(rc))
		return rc;
	void *old = t->robust->pending;
	if (likely(h->rx))
		robust_pending_set(t, &h->rx->room.wait);
	ssize_t n = recv_items(h, t, items, item_bytes, count, timeout);
	robust_pending_restore(t, old);
	pipe_leave(t, h);
	return n;
}
