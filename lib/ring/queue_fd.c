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

static bool
readable(shoal_arena *a, void *object)
{
	const shoal_queue *q = object;
	uint64_t place = load_relaxed(&q->head), word;
	uint32_t seen;
	if (queue_has_back(q, &seen) || load_relaxed(&q->closing) == QUEUE_DESTROYED)
		return true;
	if (walk_get(q, &place, &word) != WALK_WAIT || mendable(a, word))
		return true;
	return load_relaxed(&q->closing) && group_or_slot_empty(word);
}

static bool
has_room(shoal_arena *a, void *object)
{
	const shoal_queue *q = object;
	uint64_t place = load_relaxed(&q->tail), word;
	return load_relaxed(&q->closing) || walk_put(q, &place, &word) != WALK_WAIT ||
	       mendable(a, word);
}

static int
fd_of(shoal_queue *q, struct gates *gates, poller_ready_fn *ready)
{
	shoal_arena *a = arena_of(q);
	if (!a)
		return fail(-EINVAL, "%p is no queue of a mapped arena", (void *)q);
	return poller_fd(a, &gates->poll, ready, q);
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
