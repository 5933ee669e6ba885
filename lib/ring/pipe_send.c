/*
 * send: the payload is written where nobody looks, and one store publishes it.
 *
 * Crash points, by what the next one to come finds:
 *	before the header           0 in its place: the message never was; my hand names its block
 *	the zero of the next header it is free space
 *	a WRAP record stored        the writer goes on at 0, where a zero stands; the reader waits there
 *	block PLACE, no header      the hand still names it; recovery finds no record of it and frees it
 *	the header stored           the message is there; a block that the hand names is its affair
 *	the same, where the other   its block is nobody's: whoever finds that takes it back from exactly
 *	end was drained before      that place: this one, or its recovery, or that of its process
 *	before `tail` moves         whoever owns the end next walks on from it
 *	before the wake             the readers watch the header and this process's life
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/probe.h"
#include "ring/copy.h"
#include "ring/pipe.h"

/* Puts the payload of a long record on a cache line. */
static inline uint64_t
gap_for(uint64_t at, uint64_t bytes)
{
	return bytes < RECORD_ALIGNED ? 0 : (56 - at) & 0x38;
}

static inline uint64_t
record_size(uint64_t gap, uint64_t bytes)
{
	return 8 + gap + round_up_8(bytes);
}

static inline void
publish(struct pipe_handle *h, word64 *header, uint64_t word)
{
	if (unlikely(h->fenced))
		exchange_seq_cst(header, word);
	else
		store_release(header, word);
}

static inline void
wake(struct pipe_way *w)
{
	fence_compiler();
	if (unlikely(load_relaxed(&w->data_any)))
		way_wake_readers(w);
}

/*
 * Where short records go in without a look: in the room that is known, and so that the next header
 * is in this lap too.
 */
static void
renew_room(struct pipe_handle *h)
{
	if (!h->quick_tx)
		return;
	const struct pipe_way *w = h->tx;
	uint64_t pos = load_relaxed(&w->tail), room = load_relaxed(&w->head_seen) + h->mask + 1;
	h->room = stretch_from(pos, room - 8, h->mask, 8);
}

/* Before the record is there. */
static void
tell_place(const struct pipe_handle *h, uint64_t pos, uint32_t mark)
{
	if (unlikely(mark & MARK_HOLDS))
		store_release(h->posting, pos | h->side);
}

/* The zero that ends the ring is written before the record is there. */
static void
finish_record(struct pipe_handle *h, uint64_t pos, uint64_t size, uint64_t word)
{
	struct pipe_way *w = h->tx;
	store_relaxed(pipe_header(h->tx_ring, h->mask, pos + size), 0);
	publish(h, pipe_header(h->tx_ring, h->mask, pos), word);
	store_relaxed(&w->tail, pos + size);
	store_relaxed(&w->sent, load_relaxed(&w->sent) + 1);
	renew_room(h);
	wake(w);
}

/* ---- waiting for room ---- */

static int
refuse(const struct pipe_handle *h)
{
	if (pipe_end_closed(h))
		return fail_quiet(-EPIPE, "this end of the pipe is closed, or the pipe was destroyed");
	return fail_quiet(-EPIPE, "the other end of the pipe is closed: nobody would receive it");
}

/*
 * Whether `need` bytes from pos on are the writer's, by what is known, by `head`, and by the truth.
 */
static bool
is_free(struct pipe_handle *h, uint64_t pos, uint64_t need, bool truth, word64 **word,
        uint64_t *seen)
{
	struct pipe_way *w = h->tx;
	if (pos + need - load_relaxed(&w->head_seen) <= h->mask + 1)
		return true;
	*word = &w->head;
	*seen = load_acquire(&w->head);
	uint64_t free = *seen;
	if (truth && pos + need - free > h->mask + 1) {
		free = way_free(w, word);
		*seen = load_relaxed(*word);
		/* It moved between the two looks: then it is not what a sleeper may wait on. */
		uint64_t again = way_free(w, word);
		if (again != free)
			free = again, *seen = ~*seen;
	}
	store_relaxed(&w->head_seen, free);
	return pos + need - free <= h->mask + 1;
}

static int
wait_free(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w, uint64_t pos,
          uint64_t need)
{
	for (;;) {
		word64 *word;
		uint64_t seen;
		bool truth = w->timeout <= 0 || w->armed || w->yields;
		if (is_free(h, pos, need, truth, &word, &seen))
			return 0;
		if (pipe_end_closed(h) || pipe_peer_closed(h))
			return refuse(h);
		store_relaxed(&h->tx->wanted, way_wanted(h->tx, need));
		int rc = pipe_wait(h, t, w, word, seen);
		if (rc)
			return rc;
	}
}

int
send_room(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w, uint64_t bytes,
          uint64_t *pos, uint64_t *gap)
{
	struct pipe_way *way = h->tx;
	uint64_t ring = h->mask + 1;
	*pos = load_relaxed(&way->tail) & ~UINT64_C(7);
	uint64_t at = *pos & h->mask;
	*gap = gap_for(at, bytes);
	if (at + record_size(*gap, bytes) > ring) {
		int rc = wait_free(h, t, w, *pos, ring - at + 8);
		if (rc)
			return rc;
		store_relaxed(pipe_header(h->tx_ring, h->mask, 0), 0);
		publish(h, pipe_header(h->tx_ring, h->mask, *pos), record_word(RECORD_WRAP, 0, 0));
		store_relaxed(&way->tail, *pos += ring - at);
		*gap = gap_for(0, bytes);
	}
	return wait_free(h, t, w, *pos, record_size(*gap, bytes) + 8);
}

/* ---- the end's lock ---- */

/* What the lock takes is of the call's time, and an interrupt ends this wait as any other one. */
static int
take(struct shoal_thread *t, struct robust *lock, struct pipe_wait *wait)
{
	struct robust_wait how = { .deadline = pipe_deadline(wait),
		                       .interruptible = wait->timeout > 0 };
	return robust_take_as(t, lock, &how);
}

static int
locked(int rc, struct robust *lock, const struct pipe_wait *wait)
{
	if (rc == -EOWNERDEAD)
		robust_mend(lock);
	else if (rc == -ETIMEDOUT)
		return fail_quiet(wait->timeout > 0 ? rc : -EAGAIN,
		                  "another one is using this end of the pipe");
	else if (rc == -ECANCELED)
		return fail_quiet(rc, "the wait was interrupted by shoal_thread_interrupt");
	else if (rc)
		return fail(rc, "this thread holds the end's lock already");
	return 0;
}

int
send_lock(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *wait)
{
	struct pipe_way *w = h->tx;
	int rc = take(t, &w->writing, wait);
	/* Its last holder may have published without moving the tail. */
	if (rc == -EOWNERDEAD)
		store_relaxed(&w->tail, way_end(h->tx_ring, h->mask, load_relaxed(&w->tail)));
	return locked(rc, &w->writing, wait);
}

int
recv_lock(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *wait)
{
	struct pipe_way *w = h->rx;
	int rc = take(t, &w->reading, wait);
	if (rc == -EOWNERDEAD) {
		word64 *dropped = &h->me->counts.dropped;
		if (load_relaxed(&w->taken) > load_relaxed(&w->done))
			store_relaxed(dropped, load_relaxed(dropped) + 1);
		way_drop_taken(h->arena, h->pipe, !h->side);
	}
	return locked(rc, &w->reading, wait);
}

/* ---- the slow way ---- */

/*
 * With SHARED_ENDS the lock is held while the ring is looked at and written, not while one sleeps.
 */
static int
room_shared(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w, uint64_t bytes,
            uint64_t *pos, uint64_t *gap)
{
	for (;;) {
		int rc = send_lock(h, t, w);
		if (rc)
			return rc;
		/*
		 * What a sleeper watches is read before the look that finds nothing, so that nothing is
		 * missed.
		 */
		word64 *word;
		way_free(h->tx, &word);
		uint64_t seen = load_relaxed(word);
		struct pipe_wait look = { .timeout = 0 };
		rc = send_room(h, t, &look, bytes, pos, gap);
		if (rc == 0)
			return 0;
		robust_release(t, &h->tx->writing);
		if (rc != -EAGAIN || w->timeout <= 0)
			return rc;
		rc = pipe_wait(h, t, w, word, seen);
		if (rc)
			return rc;
	}
}

/* A place for a record; with SHARED_ENDS the end's lock is held. */
static int
take_room(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w, uint64_t bytes,
          uint64_t *pos, uint64_t *gap)
{
	if (!h->tx)
		return fail(-EPERM, "the left end of a SIMPLEX pipe only receives");
	if (pipe_end_closed(h) || pipe_peer_closed(h))
		return refuse(h);
	int rc = h->shared ? room_shared(h, t, w, bytes, pos, gap)
	                   : send_room(h, t, w, bytes, pos, gap);
	if (rc)
		pipe_pass_on(h, w);
	robust_pending_set(t, &h->tx->data.wait);
	return rc;
}

/* One who was woken lets the next one go on if there may be room for it too. */
static void
give_back(struct pipe_handle *h, struct shoal_thread *t)
{
	if (!h->shared)
		return;
	robust_release(t, &h->tx->writing);
	if (load_relaxed(&h->tx->room.wait))
		gate_open(&h->tx->room.wait);
}

static int
send_inline(struct pipe_handle *h, struct shoal_thread *t, const void *message, uint64_t bytes,
            uint32_t mark, shoal_time timeout)
{
	struct pipe_wait w = { .timeout = timeout };
	uint64_t pos, gap;
	int rc = take_room(h, t, &w, bytes, &pos, &gap);
	if (rc)
		return rc;
	tell_place(h, pos, mark);
	copy_bytes(h->tx_ring + (pos & h->mask) + 8 + gap, message, bytes);
	uint64_t marked = (uint64_t)mark << RECORD_MARK_SHIFT;
	PROBE_PIPE_SEND(h->end, pos, bytes, 1);
	finish_record(h, pos, record_size(gap, bytes), record_word(RECORD_INLINE, gap, bytes) | marked);
	give_back(h, t);
	return 0;
}

/*
 * Who closes the other end while the record comes drains before or after it is there. Pairs with
 * pipe_shut_end, whose CAS to CLOSED comes before its drain: either that one sees the record, or
 * this one that the end is closed.
 */
static void
reclaim_unreceived(const struct pipe_handle *h, uint64_t block, uint64_t pos)
{
	fence_seq_cst();
	if (unlikely(pipe_peer_closed(h)))
		block_reclaim(h->arena, block, pipe_place(h->object, h->side, pos));
}

int
send_block(struct pipe_handle *h, struct shoal_thread *t, uint64_t block, uint64_t bytes,
           uint32_t mark, shoal_time timeout)
{
	struct pipe_wait w = { .timeout = timeout };
	struct hand *hand = &pipe_me(h, t)->hand;
	uint64_t pos, gap;
	word64 *word = block_word_at(h->arena, block);
	if (unlikely(!word))
		return fail(-EPROTO, "the message's block is none any more: shared memory was overwritten");
	int rc = take_room(h, t, &w, sizeof block, &pos, &gap);
	if (rc)
		return rc;
	/* The place first, then that it counts. */
	store_relaxed(&hand->object, h->object);
	store_relaxed(&hand->pos, pos | h->side);
	store_release(&hand->kind, HAND_PUT);
	tell_place(h, pos, mark);
	memcpy(h->tx_ring + (pos & h->mask) + 8, &block, sizeof block);
	fence_crash();
	store_release(word, pipe_place(h->object, h->side, pos));
	uint64_t marked = (uint64_t)mark << RECORD_MARK_SHIFT;
	PROBE_PIPE_SEND(h->end, pos, bytes, 1);
	finish_record(h, pos, 16, record_word(RECORD_BLOCK, 0, bytes) | marked);
	reclaim_unreceived(h, block, pos);
	hand_clear(hand);
	give_back(h, t);
	return 0;
}

/* The block is filled before a place is taken, so that nobody waits for a long copy. */
static int
send_long(struct pipe_handle *h, struct shoal_thread *t, const void *message, size_t bytes,
          uint32_t mark, shoal_time timeout)
{
	if (bytes > PIPE_MESSAGE_MAX)
		return fail(-EMSGSIZE, "a message of %zu bytes: the most is %llu", bytes,
		            (unsigned long long)PIPE_MESSAGE_MAX);
	struct member *me = pipe_me(h, t);
	uint64_t block;
	int rc = block_take(h->arena, t, me, bytes, &block);
	if (rc)
		return rc;
	memcpy(arena_at(h->arena, block), message, bytes);
	rc = send_block(h, t, block, bytes, mark, timeout);
	if (rc)
		block_give(h->arena, me, block);
	return rc;
}

static __attribute__((noinline)) int
send_slow(struct pipe_handle *h, struct shoal_thread *t, const void *message, size_t bytes,
          uint32_t mark, shoal_time timeout)
{
	if (bytes >= h->long_limit && h->tx && !pipe_end_closed(h) && !pipe_peer_closed(h))
		return send_long(h, t, message, bytes, mark, timeout);
	return send_inline(h, t, message, bytes, mark, timeout);
}

int
pipe_send_marked(shoal_pipe_end *end, const void *message, size_t bytes, uint32_t mark,
                 word64 *place, shoal_time timeout)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	int rc = pipe_enter(end, PIPE_CLAIM, &t, &h);
	if (unlikely(rc))
		return rc;
	void *old = t->robust->pending;
	if (likely(h->tx))
		robust_pending_set(t, &h->tx->data.wait);
	h->posting = place;
	rc = send_slow(h, t, message, bytes, mark, timeout);
	robust_pending_restore(t, old);
	pipe_leave(t, h);
	return rc;
}

/* A message of any length that goes in the ring, where one knows that there is room; else false. */
static bool
send_medium(struct pipe_handle *h, const void *message, size_t bytes)
{
	struct pipe_way *w = h->to;
	if (bytes >= h->long_limit)
		return false;
	uint64_t pos = load_relaxed(&w->tail), at = pos & h->mask & ~UINT64_C(7);
	uint64_t gap = gap_for(at, bytes), size = record_size(gap, bytes);
	if (!stretch_holds(&h->room, pos, size) || at + size >= h->mask)
		return false;
	char *record = h->tx_ring + at;
	PROBE_PIPE_SEND(h->end, pos, bytes, 1);
	for (uint64_t i = 0; i < size && i < PREFETCH_MOST; i += LINE)
		prefetch_write(record + size + i);
	copy_bytes(record + 8 + gap, message, bytes);
	store_relaxed((word64 *)(void *)(record + size), 0);
	store_release((word64 *)(void *)record, record_word(RECORD_INLINE, gap, bytes));
	store_relaxed(&w->tail, pos + size);
	store_relaxed(&w->sent, load_relaxed(&w->sent) + 1);
	wake(w);
	return true;
}

static __attribute__((noinline)) int
send_entered(struct shoal_thread *t, struct pipe_handle *h, const void *message, size_t bytes,
             shoal_time timeout)
{
	int rc = 0;
	void *old = t->robust->pending;
	if (unlikely(old) && robust_is_changing(t->robust)) {
		pipe_leave(t, h);
		return pipe_nested();
	}
	if (likely(h->tx))
		robust_pending_set(t, &h->tx->data.wait);
	if (!send_medium(h, message, bytes))
		rc = send_slow(h, t, message, bytes, 0, timeout);
	robust_pending_restore(t, old);
	pipe_leave(t, h);
	return rc;
}

static __attribute__((noinline)) int
send_any(shoal_pipe_end *end, const void *message, size_t bytes, shoal_time timeout)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	int rc = pipe_enter(end, PIPE_CLAIM, &t, &h);
	return unlikely(rc) ? rc : send_entered(t, h, message, bytes, timeout);
}

static __attribute__((noinline)) int
leave_waking(struct shoal_thread *t, struct pipe_handle *h)
{
	void *old = robust_name_beside(t->robust, &h->tx->data.wait);
	way_wake_readers(h->tx);
	robust_pending_restore(t, old);
	pipe_leave(t, h);
	return 0;
}

/* The rest of a short message's way, once there is room for it. */
static ALWAYS_INLINE int
send_record(struct shoal_thread *t, struct pipe_handle *h, uint64_t pos, const void *message,
            size_t bytes)
{
	struct pipe_way *w = h->to;
	uint64_t size = 8 + round_up_8(bytes);
	char *record = h->tx_ring + (pos & h->quick_mask);
	PROBE_PIPE_SEND(h->end, pos, bytes, 1);
	prefetch_write(record + PREFETCH_BYTES);
	copy_short(record + 8, message, bytes);
	store_relaxed((word64 *)(void *)(record + size), 0);
	store_release((word64 *)(void *)record, record_word(RECORD_INLINE, 0, bytes));
	store_relaxed(&w->tail, pos + size);
	store_relaxed(&w->sent, load_relaxed(&w->sent) + 1);
	fence_compiler();
	if (unlikely(load_relaxed(&w->data_any)))
		return leave_waking(t, h);
	pipe_leave(t, h);
	return 0;
}

static __attribute__((noinline)) int
send_short(struct shoal_thread *t, struct pipe_handle *h, const void *message, size_t bytes,
           shoal_time timeout)
{
	uint64_t pos = load_relaxed(&h->to->tail);
	if (unlikely(bytes > COPY_SHORT || !stretch_holds(&h->room, pos, 8 + round_up_8(bytes))))
		return send_entered(t, h, message, bytes, timeout);
	return send_record(t, h, pos, message, bytes);
}

/*
 * The fast path calls nothing, and so keeps everything in registers: a short message where one
 * knows that there is room, and a word by itself, since it needs fewer of them. The first call of a
 * thread is send_any, all else send_entered. A death before the wake is told by this process's life
 * word, which the reader watches.
 */
int
shoal_pipe_send(shoal_pipe_end *end, const void *message, size_t bytes, shoal_time timeout)
{
	struct shoal_thread *t = thread_here;
	struct pipe_handle *h = pipe_enter_quick(t, end, LAST_SENT);
	if (unlikely(!h))
		return send_any(end, message, bytes, timeout);
	uint64_t pos = load_relaxed(&h->to->tail);
	if (bytes != 8 || unlikely(!stretch_holds(&h->room, pos, 16)))
		return send_short(t, h, message, bytes, timeout);
	return send_record(t, h, pos, message, 8);
}

/* ---- batches ---- */

/*
 * Writes as many of `count` items as fit without a wait and without a wrap, and publishes them at
 * once: the reader stops at the first header, which is stored last. How many.
 */
static inline __attribute__((always_inline)) size_t
write_batch(struct pipe_handle *h, const char *items, size_t item_bytes, size_t count)
{
	struct pipe_way *w = h->tx;
	uint64_t pos = load_relaxed(&w->tail) & ~UINT64_C(7), at = pos & h->mask, ring = h->mask + 1;
	uint64_t size = 8 + round_up_8(item_bytes), word = record_word(RECORD_INLINE, 0, item_bytes);
	if (pos + count * size + 8 - load_relaxed(&w->head_seen) > ring)
		store_relaxed(&w->head_seen, load_acquire(&w->head));
	uint64_t used = pos - load_relaxed(&w->head_seen);
	uint64_t room = used + 8 < ring ? ring - used - 8 : 0;
	uint64_t limit = room < ring - at ? room : ring - at;
	char *to = h->tx_ring + at;
	size_t n = 0;
	uint64_t bytes = 0;
	for (; n < count && bytes + size <= limit; n++, bytes += size) {
		if (n)
			store_relaxed((word64 *)(void *)(to + bytes), word);
		copy_bytes(to + bytes + 8, items + n * item_bytes, item_bytes);
	}
	if (!n)
		return 0;
	PROBE_PIPE_SEND(h->end, pos, item_bytes, n);
	store_relaxed(pipe_header(h->tx_ring, h->mask, pos + bytes), 0);
	publish(h, (word64 *)(void *)to, word);
	store_relaxed(&w->tail, pos + bytes);
	store_relaxed(&w->sent, load_relaxed(&w->sent) + n);
	renew_room(h);
	wake(w);
	return n;
}

static size_t
write_items(struct pipe_handle *h, const char *items, size_t item_bytes, size_t count)
{
	if (item_bytes == 8)
		return write_batch(h, items, 8, count);
	if (item_bytes >= RECORD_ALIGNED)
		return 0;
	return write_batch(h, items, item_bytes, count);
}

/* As many as can be sent in time. */
static ssize_t
send_items(struct pipe_handle *h, struct shoal_thread *t, const char *items, size_t item_bytes,
           size_t count, shoal_time timeout)
{
	int64_t deadline = timeout > 0 ? clock_deadline(timeout) : 0;
	bool fast = h->quick_tx && item_bytes < h->long_limit;
	for (size_t n = 0; n < count;) {
		size_t more = fast ? write_items(h, items + n * item_bytes, item_bytes, count - n) : 0;
		n += more;
		if (more || n == count)
			continue;
		bool limited = timeout > 0 && timeout != SHOAL_FOREVER;
		shoal_time left = limited ? deadline - clock_now() : timeout;
		int rc = send_slow(h, t, items + n * item_bytes, item_bytes, 0, left);
		if (rc == -EAGAIN && timeout > 0)
			rc = pipe_timed_out();
		/* An interrupt that cut a batch short is for the next wait: this call tells what it did. */
		if (rc == -ECANCELED && n)
			store_relaxed(&t->interrupt, 1);
		if (rc)
			return n ? (ssize_t)n : rc;
		n++;
	}
	return (ssize_t)count;
}

ssize_t
shoal_pipe_send_many(shoal_pipe_end *end, const void *items, size_t item_bytes, size_t count,
                     shoal_time timeout)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	int rc = items_check(items, item_bytes, count);
	rc = rc ? rc : pipe_enter(end, PIPE_CLAIM, &t, &h);
	if (unlikely(rc))
		return rc;
	void *old = t->robust->pending;
	if (likely(h->tx))
		robust_pending_set(t, &h->tx->data.wait);
	ssize_t n = send_items(h, t, items, item_bytes, count, timeout);
	robust_pending_restore(t, old);
	pipe_leave(t, h);
	return n;
}
