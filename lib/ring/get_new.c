/*
 * Gets that make room for the message when they know what it is. Room comes before the message is
 * taken, so that where there is none it stays where it is.
 */
#include "base/error.h"
#include "ring/queue.h"
#include <stdlib.h>

/* What the place says that its message needs; no message is longer than the arena's memory. */
static int
believe(const struct cursor *c, size_t needed)
{
	if (needed <= arena_pages(c->arena) << PAGE_BITS)
		return 0;
	return fail(-EPROTO, "a message of %zu bytes by its place: shared memory was overwritten",
	            needed);
}

static ssize_t
get_new(struct cursor *c, struct shoal_thread *t, void **data, shoal_time timeout)
{
	struct marked m = { .plain = true };
	struct sleeper s = { .gate = &c->ring.queue->get.wait, .timeout = timeout, .marked = &m };
	void *buffer = malloc(1);
	for (;;) {
		if (!buffer)
			return fail(-ENOMEM, "no memory for a message of %zu bytes; it stays in the queue",
			            m.room);
		ssize_t n = get_next(c, t, buffer, m.room, &s);
		if (n >= 0) {
			*data = buffer;
			return n;
		}
		free(buffer);
		if (n != -EMSGSIZE)
			return n;
		int rc = m.mark ? get_refuse_value() : believe(c, m.bytes);
		if (rc)
			return rc;
		m.room = m.bytes;
		buffer = malloc(m.room);
	}
}

ssize_t
shoal_queue_get_new(shoal_queue *q, void **data, shoal_time timeout)
{
	struct shoal_thread *t;
	struct cursor *c;
	int rc = queue_enter(q, &t, &c);
	if (unlikely(rc))
		return rc;
	void *old = robust_pending_set(t, &q->put.wait);
	ssize_t n = get_new(c, t, data, timeout);
	queue_tell_putters(q);
	robust_pending_restore(t, old);
	queue_leave(t, c);
	return n;
}

static ssize_t
get_marked(struct cursor *c, struct shoal_thread *t, struct marked *m, struct sleeper *s)
{
	for (;;) {
		ssize_t n = get_next(c, t, m->buffer, m->room, s);
		if (n != -EMSGSIZE)
			return n;
		int rc = believe(c, m->bytes);
		if (rc == 0)
			rc = m->make_room(m);
		if (rc)
			return rc;
	}
}

int
queue_get_marked(shoal_queue *q, struct marked *m, shoal_time timeout)
{
	struct shoal_thread *t;
	struct cursor *c;
	int rc = queue_enter(q, &t, &c);
	if (unlikely(rc))
		return rc;
	struct sleeper s = { .gate = &q->get.wait, .timeout = timeout, .marked = m };
	void *old = robust_pending_set(t, &q->put.wait);
	ssize_t n = get_marked(c, t, m, &s);
	queue_tell_putters(q);
	robust_pending_restore(t, old);
	queue_leave(t, c);
	return n < 0 ? (int)n : 0;
}
