/* get_many: one CAS a message, or a group of them, the rest once a call. */
#include "base/error.h"
#include "ring/copy.h"
#include "ring/loan.h"
#include "ring/queue.h"

static ssize_t
result(size_t n, int rc)
{
	return n ? (ssize_t)n : rc;
}

/* What waits after the first message waits no longer: what was done in time counts. */
static void
stop_waiting(struct sleeper *s)
{
	s->timeout = SHOAL_NOWAIT;
	s->deadline = 0;
}

static ssize_t
get_items(struct cursor *c, struct shoal_thread *t, char *items, size_t item_bytes, size_t count,
          struct sleeper *s)
{
	int rc = 0;
	size_t n = 0;
	while (n < count) {
		struct taken m;
		rc = get_take(c, t, item_bytes, item_bytes, count - n, s, &m);
		if (rc)
			break;
		rc = get_copy(c, &m, items + n * item_bytes);
		if (rc)
			break;
		n += m.places;
		stop_waiting(s);
		if (m.places == 1)
			n += get_each(c, items + n * item_bytes, item_bytes, count - n);
	}
	return result(n, rc);
}

/*
 * REDELIVER: the places are given back only after the last copy, each named by a loan entry until
 * then, so that a death inside the call gives all of them back. As many at a time as the member has
 * free entries.
 */
static ssize_t
get_items_late(struct cursor *c, struct shoal_thread *t, char *items, size_t item_bytes,
               size_t count, struct sleeper *s)
{
	struct taken m[LOANS_MAX];
	struct loan_entry *entry[LOANS_MAX];
	size_t n = 0;
	int rc = 0;
	while (n < count && n < LOANS_MAX && (entry[n] = loan_free_entry(c->me))) {
		rc = get_take(c, t, item_bytes, item_bytes, 1, s, &m[n]);
		if (rc)
			break;
		rc = loan_keep(c, entry[n], &m[n], items + n * item_bytes);
		if (rc)
			break;
		stop_waiting(s);
		n++;
	}
	/* JOINABLE as well: they stay until task_done. */
	for (size_t i = 0; i < n && !(c->ring.flags & SHOAL_QUEUE_JOINABLE); i++)
		loan_end(c, entry[i], &m[i]);
	if (n == 0 && rc == 0 && count)
		rc = fail(-EBUSY, "get_many on a REDELIVER queue needs a free loan; this thread has %d out",
		          LOANS_MAX);
	return result(n, rc);
}

ssize_t
shoal_queue_get_many(shoal_queue *q, void *items, size_t item_bytes, size_t count,
                     shoal_time timeout)
{
	struct shoal_thread *t;
	struct cursor *c;
	int rc = items_check(items, item_bytes, count);
	rc = rc ? rc : queue_enter(q, &t, &c);
	if (unlikely(rc))
		return rc;
	/* Items longer than any message must not read as "of any length". */
	if (item_bytes > MESSAGE_MAX)
		item_bytes = BYTES_OF_NONE;
	struct sleeper s = { .gate = &q->get.wait, .timeout = timeout };
	void *old = robust_pending_set(t, &q->put.wait);
	ssize_t n = c->ring.flags & SHOAL_QUEUE_REDELIVER
	                    ? get_items_late(c, t, items, item_bytes, count, &s)
	                    : get_items(c, t, items, item_bytes, count, &s);
	store_relaxed(&q->head, c->get);
	queue_tell_putters(q);
	robust_pending_restore(t, old);
	queue_leave(t, c);
	return n;
}
