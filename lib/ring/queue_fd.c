/* The queue's descriptors: see poller.h. */
#include "base/error.h"
#include "ring/poller.h"
#include "ring/group.h"

/* A place whose owner is dead does not make a call wait: it mends it. */
static bool
mendable(const shoal_arena *a, uint64_t word)
{
	return slot_owner(word) && member_state(a, slot_owner(word)) != MEMBER_ALIVE;
}

/* What it had borrowed comes back by its recovery, which a get does, unless somebody is at it. */
static bool
dead_to_recover(const shoal_arena *a)
{
	uint32_t high = load_acquire(&a->header->members_high);
	for (uint32_t i = 1; i <= high && i <= a->members_max; i++) {
		const struct member *m = arena_member(a, i);
		if (load_acquire(&m->life.word) & FUTEX_DIED &&
		    !(load_relaxed(&m->recovering.word) & FUTEX_TID))
			return true;
	}
	return false;
}

/* Its destroyer may have died before it said so: a call finds out. */
static bool
is_destroyed(const shoal_arena *a, const struct ring *r)
{
	return load_relaxed(&r->queue->closing) == QUEUE_DESTROYED || !object_ready(a, r->object);
}

/*
 * Under REDELIVER a borrower's death gives its message back, and at the end of a closed queue the
 * last getter makes room for it: no gate tells of these.
 */
static enum poller_answer
readable(shoal_arena *a, void *object, struct poller_peer *unused)
{
	struct ring ring;
	(void)unused;
	if (ring_find(a, object, &ring))
		return POLLER_READY;
	uint64_t place = load_relaxed(&ring.queue->head), word;
	uint32_t seen, closing = load_relaxed(&ring.queue->closing);
	bool redeliver = ring.flags & SHOAL_QUEUE_REDELIVER;
	if (queue_has_back(&ring, &seen) || is_destroyed(a, &ring))
		return POLLER_READY;
	if (walk_get(&ring, &place, &word) != WALK_WAIT || mendable(a, word))
		return POLLER_READY;
	if (closing && group_or_slot_empty(word))
		return POLLER_READY;
	if (redeliver && dead_to_recover(a))
		return POLLER_READY;
	return closing || redeliver ? POLLER_UNTOLD : POLLER_TOLD;
}

/* A borrower that dies makes room, and no gate tells of it. */
static enum poller_answer
has_room(shoal_arena *a, void *object, struct poller_peer *unused)
{
	struct ring ring;
	(void)unused;
	if (ring_find(a, object, &ring))
		return POLLER_READY;
	uint64_t place = load_relaxed(&ring.queue->tail), word;
	if (load_relaxed(&ring.queue->closing) || is_destroyed(a, &ring) ||
	    walk_put(&ring, &place, &word) != WALK_WAIT || mendable(a, word))
		return POLLER_READY;
	return POLLER_UNTOLD;
}

static int
fd_of(shoal_queue *q, struct gates *gates, poller_look_fn *look)
{
	shoal_arena *a = arena_of(q);
	if (!a)
		return fail(-EINVAL, "%p is no queue of a mapped arena", (void *)q);
	struct ring ring;
	int rc = ring_find(a, q, &ring);
	if (rc)
		return rc;
	struct poller_object o = { .arena = a, .gate = &gates->poll, .look = look, .object = q,
		                   .dying = { &q->get.wait, &q->put.wait },
		                   .bell = &q->bell.word, .polled = &q->polled };
	return poller_fd(&o);
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
