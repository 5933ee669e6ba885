/*
 * get, in the common case: no flags, the next place is FULL and holds its message itself. Anything
 * else, or what another one is faster at, is get.c's, whose crash points these are.
 */
#include "base/probe.h"
#include "ring/copy.h"
#include "ring/queue.h"

/* Of one that has begun, and done nothing yet. */
__attribute__((noinline)) static ssize_t
get_otherwise(struct shoal_thread *t, shoal_queue *q, void *buffer, size_t room, shoal_time timeout)
{
	t->busy = 0;
	return get_slow(q, buffer, room, timeout);
}

/* What some gets have to do after the place is given back. */
__attribute__((noinline)) static ssize_t
finish(struct cursor *c, struct shoal_thread *t, ssize_t bytes)
{
	if ((c->get & (HINT_EVERY - 1)) == 0)
		get_tell(c, c->get);
	queue_tell_putters(c->ring.queue);
	robust_pending_restore(t, NULL);
	queue_leave(t, c);
	return bytes;
}

/* A message whose place is READING(me). */
static ALWAYS_INLINE void
receive(struct cursor *c, struct slot *s, void *to, size_t bytes, bool is_short)
{
	uint64_t place = c->get;
	cursor_prefetch(c, place, false);
	if (is_short) {
		copy_short(to, s->payload, bytes);
	} else {
		cursor_prefetch_read(c, place, bytes);
		memcpy(to, s->payload, bytes);
	}
	PROBE_QUEUE_GET(c->ring.queue, place, bytes, 1);
	store_release(&s->turn, slot_word(EMPTY, ring_lap(&c->ring, place) + 1, 0, 0));
	c->get = place + 1;
}

/*
 * The common case by itself: no flags, the next place is full, and `bytes` of it are inside and fit
 * the buffer. See put.
 */
static ALWAYS_INLINE ssize_t
get_quickly(struct shoal_thread *t, struct cursor *c, shoal_queue *q, struct slot *s, void *buffer,
            size_t room, size_t bytes, shoal_time timeout, bool is_short)
{
	uint64_t place = c->get, empty = cursor_word(c, place);
	queue_enter_at(c, place);
	robust_pending_set(t, &q->put.wait);
	if (unlikely(!cursor_lives(c) ||
	             !cas64_acq_rel(&s->turn, empty | FULL, empty | c->mine | READING))) {
		robust_pending_restore(t, NULL);
		queue_leave(t, c);
		return get_slow(q, buffer, room, timeout);
	}
	receive(c, s, buffer, bytes, is_short);
	fence_compiler();
	if (unlikely((c->get & (HINT_EVERY - 1)) == 0 || load_relaxed(&q->put_any)))
		return finish(c, t, (ssize_t)bytes);
	robust_pending_restore(t, NULL);
	queue_leave(t, c);
	return (ssize_t)bytes;
}

/* The next place was found full. */
__attribute__((noinline)) static ssize_t
get_longer(struct shoal_thread *t, struct cursor *c, shoal_queue *q, void *buffer, size_t room,
           shoal_time timeout)
{
	struct slot *s = cursor_slot_at(c, c->get);
	size_t bytes = load_relaxed(&s->bytes);
	if (unlikely(bytes > room || bytes >= c->quick_long || !c->quick_get ||
	             load_relaxed(&s->flags) != SLOT_INLINE))
		return get_otherwise(t, q, buffer, room, timeout);
	return get_quickly(t, c, q, s, buffer, room, bytes, timeout, false);
}

ssize_t
shoal_queue_get(shoal_queue *q, void *buffer, size_t buffer_bytes, shoal_time timeout)
{
	struct shoal_thread *t = thread_here;
	struct cursor *c = queue_begin(t, q, LAST_RECEIVED);
	if (unlikely(!c))
		return get_slow(q, buffer, buffer_bytes, timeout);
	struct slot *s = cursor_slot_at(c, c->get);
	if (unlikely(load_acquire(&s->turn) != (cursor_word(c, c->get) | FULL)))
		return get_otherwise(t, q, buffer, buffer_bytes, timeout);
	size_t bytes = load_relaxed(&s->bytes);
	if (unlikely(bytes > buffer_bytes || bytes >= c->quick_get ||
	             load_relaxed(&s->flags) != SLOT_INLINE))
		return get_longer(t, c, q, buffer, buffer_bytes, timeout);
	return get_quickly(t, c, q, s, buffer, buffer_bytes, bytes, timeout, true);
}

static ALWAYS_INLINE bool
get_next_of(struct cursor *c, char *to, size_t bytes, bool is_short)
{
	uint64_t place = c->get, empty = cursor_word(c, place);
	struct slot *s = cursor_slot_at(c, place);
	if (unlikely(load_acquire(&s->turn) != (empty | FULL) || load_relaxed(&s->bytes) != bytes ||
	             load_relaxed(&s->flags) != SLOT_INLINE))
		return false;
	store_relaxed(&c->me->call.pos, place);
	fence_crash();
	if (unlikely(!cas64_acq_rel(&s->turn, empty | FULL, empty | c->mine | READING)))
		return false;
	receive(c, s, to, bytes, is_short);
	if (unlikely((c->get & (HINT_EVERY - 1)) == 0))
		get_tell(c, c->get);
	return true;
}

size_t
get_each(struct cursor *c, char *items, size_t bytes, size_t count)
{
	size_t n = 0;
	if (bytes < c->quick_get)
		while (n < count && get_next_of(c, items + n * bytes, bytes, true))
			n++;
	else if (bytes < c->quick_long && c->quick_get)
		while (n < count && get_next_of(c, items + n * bytes, bytes, false))
			n++;
	return n;
}
