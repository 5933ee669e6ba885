/*
 * Closing a queue, which needs nothing of its caller: neither a record, which a thread may not get
 * where members_max are there or no memory is, nor that it is in no other call, which a signal
 * handler may be.
 *
 * Crash points: from the first store on nobody puts. One who dies before it told all who sleep left
 * them its bell, marked, or, where it had none, the wake of one of them, who wakes the others.
 */
#include "base/error.h"
#include "ring/group.h"

/*
 * The marker CLOSED goes to the first unclaimed place; nothing is ever behind it. A ring that is
 * full gets it later: putters see `closing`, and a getter that meets EMPTY then places the marker
 * itself, as it does when the closer dies here.
 */
static void
mark_end(const struct ring *r)
{
	uint64_t place = load_relaxed(&r->queue->tail), word;
	while (walk_put(r, &place, &word) == WALK_READY) {
		if (slot_state(word) == GROUP) {
			group_open(r, place, word);
			continue;
		}
		uint64_t closed = slot_word(CLOSED, slot_lap(word), 0, 0);
		if (cas64_acq_rel(&ring_slot(r, place)->turn, word, closed))
			return;
	}
}

/* t is NULL for one who may not have the bell. */
static void
end(const struct ring *r, struct shoal_thread *t)
{
	shoal_queue *q = r->queue;
	bool held = t && bell_take(t, &q->bell);
	if (load_relaxed(&q->closing) == QUEUE_OPEN)
		store_seq_cst(&q->closing, QUEUE_CLOSED);
	mark_end(r);
	queue_wake_all(q);
	if (held)
		bell_give(t, &q->bell);
}

/* A handler's record names the queue beside the call that it interrupted. */
static word32 *
stay(shoal_arena *a, const struct ring *r, struct shoal_thread *t)
{
	struct member *me = t ? member_seat(a, t) : NULL;
	uint64_t word = load_acquire(&arena_object(a, r->object)->word);
	return me ? object_stay(a, me, r->object, word >> 32) : NULL;
}

/*
 * The bell goes on the thread's robust list, at which the interrupted call may be just now. Then
 * list_op_pending alone tells of a death: it names those who sleep, who are seldom on both sides.
 */
static void
close_bare(shoal_queue *q)
{
	shoal_arena *a = arena_of(q);
	struct shoal_thread *t = thread_known();
	struct robust_head *head = thread_robust();
	struct ring ring;
	if (!a)
		stop("%p is no queue of a mapped arena", (void *)q);
	if (ring_find(a, q, &ring))
		return;
	word32 *gate = load_relaxed(&q->put.wait) ? &q->put.wait : &q->get.wait;
	void *old = head ? robust_name(head, gate) : NULL;
	word32 *name = stay(a, &ring, t);
	end(&ring, t && !t->busy ? t : NULL);
	if (name)
		object_unstay(name);
	if (head)
		robust_name_again(head, old);
}

/*
 * The caller may not write, the queue is not to be believed, or it is another one; all else is a
 * matter of records.
 */
static bool
is_refused(int rc)
{
	return rc == -EPERM || rc == -ENOSYS || rc == -EPROTO || rc == -EPIPE;
}

void
shoal_queue_close(shoal_queue *q)
{
	struct shoal_thread *t;
	struct cursor *c;
	struct error_kept kept;
	error_keep(&kept);
	int rc = queue_enter(q, &t, &c);
	if (is_refused(rc))
		return;
	if (rc) {
		error_restore(&kept);
		close_bare(q);
		return;
	}
	end(&c->ring, t);
	queue_leave(t, c);
}
