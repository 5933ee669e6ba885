/*
 * get, in the common case: no flags, the next place is FULL and holds its message itself. Anything
 * else, or what another one is faster at, is get.c's, whose crash points these are.
 */
#include "base/probe.h"
#include "ring/copy.h"
#include "ring/queue.h"

/* One that has begun, and done nothing yet. */
__attribute__((noinline)) static ssize_t
get_otherwise(struct shoal_thread *t, shoal_queue *q, void *buffer, size_t room,
              shoal_time timeout)
{
	t->busy = 0;
	return get_slow(q, buffer, room, timeout);
}

/* One whose cursor is not at hand. */
__attribute__((noinline)) static ssize_t
get_anew(shoal_queue *q, void *buffer, size_t room, shoal_time timeout)
{
	if (queue_take_aim(thread_here, q, LAST_RECEIVED))
		return shoal_queue_get(q, buffer, room, timeout);
	return get_slow(q, buffer, room, timeout);
}

/* One that has named the place, and did not get it. */
__attribute__((noinline)) static ssize_t
get_elsewhere(struct cursor *c, void *buffer, size_t room, shoal_time timeout)
{
	struct shoal_thread *t = thread_here;
	robust_pending_restore(t, NULL);
	queue_leave(t, c);
	return get_slow(c->ring.queue, buffer, room, timeout);
}

/* What some gets have to do after the place is given back. */
__attribute__((noinline)) static ssize_t
finish(struct cursor *c, ssize_t bytes)
{
	struct shoal_thread *t = thread_here;
	cursor_aim(c, c->get, FULL, &c->aim[LAST_RECEIVED]);
	if ((c->get & (HINT_EVERY - 1)) == 0)
		get_tell(c, c->get);
	queue_tell_putters(c->ring.queue);
	robust_pending_restore(t, NULL);
	queue_leave(t, c);
	return bytes;
}

/* A message whose place is READING(me). */
static ALWAYS_INLINE void
receive(struct cursor *c, struct slot *s, const char *ahead, uint64_t given, void *to,
        size_t bytes, bool is_short)
{
	prefetch_write(ahead);
	if (is_short) {
		copy_short(to, s->payload, bytes);
	} else {
		cursor_prefetch_read(c, c->get, bytes);
		memcpy(to, s->payload, bytes);
	}
	PROBE_QUEUE_GET(c->ring.queue, c->get, bytes, 1);
	store_release(&s->turn, given);
}

/*
 * The common case by itself: no flags, the next place is full, and `bytes` of it are inside and fit
 * the buffer. See put.
 */
static ALWAYS_INLINE ssize_t
get_quickly(struct shoal_thread *t, struct cursor *c, struct slot *s, uint64_t full, void *buffer,
            size_t room, size_t bytes, shoal_time timeout, bool is_short)
{
	struct aim *aim = &c->aim[LAST_RECEIVED];
	struct member *me = c->me;
	queue_enter_at(c, me, c->get);
	robust_name_only(t->robust, &c->ring.queue->put.wait);
	_Static_assert((FULL | READING) == READING, "the one becomes the other by OR");
	if (unlikely(!cursor_lives(c) || !cas64_acq_rel(&s->turn, full, full | c->mine | READING)))
		return get_elsewhere(c, buffer, room, timeout);
	receive(c, s, (char *)s + aim->ahead, aim->given, buffer, bytes, is_short);
	aim->slot = slot_beyond(s, c->ring.stride);
	uint64_t place = c->get + 1;
	c->get = place;
	fence_compiler();
	if (unlikely((place & c->aim_mask) == 0 || load_relaxed(&c->ring.queue->put_any)))
		return finish(c, (ssize_t)bytes);
	robust_pending_restore(t, NULL);
	queue_leave_as(t, me);
	return (ssize_t)bytes;
}

/* The next place was found full. */
__attribute__((noinline)) static ssize_t
get_longer(struct shoal_thread *t, struct cursor *c, void *buffer, size_t room, size_t bytes,
           shoal_time timeout)
{
	struct aim *aim = &c->aim[LAST_RECEIVED];
	if (unlikely(bytes > room || bytes >= c->quick_long))
		return get_otherwise(t, c->ring.queue, buffer, room, timeout);
	return get_quickly(t, c, aim->slot, aim->word, buffer, room, bytes, timeout, false);
}

ssize_t
shoal_queue_get(shoal_queue *q, void *buffer, size_t buffer_bytes, shoal_time timeout)
{
	struct shoal_thread *t = thread_here;
	struct cursor *c = queue_begin_aimed(t, q, LAST_RECEIVED);
	if (unlikely(!c))
		return get_anew(q, buffer, buffer_bytes, timeout);
	struct slot *s = c->aim[LAST_RECEIVED].slot;
	uint64_t full = c->aim[LAST_RECEIVED].word;
	if (unlikely(load_acquire(&s->turn) != full))
		return get_otherwise(t, q, buffer, buffer_bytes, timeout);
	/* One that is not plain is longer than any. */
	uint64_t bytes = load_relaxed(&s->plain);
	if (unlikely(bytes > buffer_bytes || bytes >= c->quick_get))
		return get_longer(t, c, buffer, buffer_bytes, bytes, timeout);
	return get_quickly(t, c, s, full, buffer, buffer_bytes, bytes, timeout, true);
}

static ALWAYS_INLINE bool
get_next_of(struct cursor *c, char *to, size_t bytes, bool is_short)
{
	uint64_t place = c->get, empty = cursor_word(c, place);
	struct slot *s = cursor_slot_at(c, place);
	if (unlikely(load_acquire(&s->turn) != (empty | FULL) || load_relaxed(&s->plain) != bytes))
		return false;
	store_relaxed(&c->me->call.pos, place);
	fence_crash();
	if (unlikely(!cas64_acq_rel(&s->turn, empty | FULL, empty | c->mine | READING)))
		return false;
	const char *ahead = (const char *)cursor_slot_at(c, place + prefetch_places(c));
	uint64_t given = slot_word(EMPTY, ring_lap(&c->ring, place) + 1, 0, 0);
	receive(c, s, ahead, given, to, bytes, is_short);
	c->get = place + 1;
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
