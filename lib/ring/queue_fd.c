/* The queue's descriptors: see poller.h. */
#include "base/error.h"
#include "ring/poller.h"
#include "ring/group.h"

/* Its destroyer may have died before it said so, or its owner: a call finds out. */
static bool
is_destroyed(shoal_arena *a, const struct ring *r)
{
	return load_relaxed(&r->queue->closing) == QUEUE_DESTROYED || !object_ready(a, r->object) ||
	       object_is_orphan(a, r->object);
}

/*
 * Under REDELIVER a borrower's death gives its message back, at the end of a closed queue the last
 * getter makes room for it, and with its owner a queue goes: no gate tells of these.
 */
static enum poller_answer
readable(const struct poller_object *o, struct poller_peer *unused)
{
	struct ring ring;
	(void)unused;
	if (ring_find(o->arena, o->object, &ring))
		return POLLER_READY;
	uint64_t place = load_relaxed(&ring.queue->head), word;
	uint32_t closing = load_relaxed(&ring.queue->closing);
	bool redeliver = ring.flags & SHOAL_QUEUE_REDELIVER;
	/* What is worn is no message, but it goes with the next get alone. */
	if ((redeliver && queue_dead_left(o->arena)) || is_destroyed(o->arena, &ring) ||
	    queue_count_back(o->arena, &ring, o->seen, true))
		return POLLER_READY;
	if (walk_get(&ring, &place, &word) != WALK_WAIT ||
	    queue_settled(o->arena, &ring, word) != word)
		return POLLER_READY;
	if (closing && group_or_slot_empty(word))
		return POLLER_READY;
	bool untold = closing || redeliver || object_has_owner(o->arena, ring.object);
	return untold ? POLLER_UNTOLD : POLLER_TOLD;
}

/* A borrower that dies makes room, and no gate tells of it. */
static enum poller_answer
has_room(const struct poller_object *o, struct poller_peer *unused)
{
	struct ring ring;
	(void)unused;
	if (ring_find(o->arena, o->object, &ring))
		return POLLER_READY;
	uint64_t place = load_relaxed(&ring.queue->tail), word;
	if (load_relaxed(&ring.queue->closing) || is_destroyed(o->arena, &ring) ||
	    walk_put(&ring, &place, &word) != WALK_WAIT ||
	    queue_settled(o->arena, &ring, word) != word)
		return POLLER_READY;
	return POLLER_UNTOLD;
}

static int
fd_of(shoal_queue *q, struct gates *gates, poller_look_fn *look)
{
	shoal_arena *a = arena_of(q);
	if (!a)
		return fail(-EINVAL, "%p is no queue of a mapped arena", (void *)q);
	struct poller_object o = { .arena = a, .gate = &gates->poll, .look = look, .object = q,
		                   .dying = { &q->get.wait, &q->put.wait },
		                   .bell = &q->bell.word, .polled = &q->polled };
	struct ring ring;
	word32 *name;
	int rc = object_stay_at(a, q, SHOAL_KIND_QUEUE, &o.seen_as, &name);
	if (rc)
		return rc;
	rc = ring_find(a, q, &ring);
	if (rc == 0)
		rc = poller_fd(&o);
	object_unstay(name);
	return rc;
}

int
shoal_queue_fd(shoal_queue *q)
{
	return fd_of(q, &q->get, readable);
}

int
shoal_queue_room_fd(shoal_queue *q)
{
	return fd_of(q, &q->put, has_room);
}
