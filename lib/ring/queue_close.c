/*
 * Closing a queue, which signal handlers may do whatever they interrupted: another call here, one
 * that links or unlinks at the thread's robust list, the C library's malloc. So it allocates
 * nothing, waits for nothing that its own thread may hold, and puts back what it changes of the
 * thread.
 *
 * A record names the queue, beside the call that was interrupted, from before the look at what it
 * is until nothing is written any more: nobody buries it meanwhile (Y1 of sync/stay.h). A thread
 * that has not joined borrows one. Where none is to be had (member_borrow), or it names INSIDE_MAX
 * objects already, nobody knows: one who is held up behind its look, while another one destroys the
 * queue, writes into memory that may be another object's by then. So shoal/queue.h forbids to
 * destroy it meanwhile.
 *
 * Crash points: from the first store on nobody puts. One who dies before it told all who sleep left
 * them its bell, marked. Where it had none because another one had it, that one tells those who
 * sleep by then, or its death does; who reads the bell after that one gave it back, and before the
 * store, and all where it could have none (robust_is_changing, or no robust list), look again after
 * their slice. Its record is recovered like all, a borrowed one too.
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

/* t is NULL for one without a robust list. */
static void
end(const struct ring *r, struct shoal_thread *t)
{
	shoal_queue *q = r->queue;
	bool held = t && bell_take(t, &q->bell);
	/* What is destroyed stays destroyed. */
	cas32_seq_cst(&q->closing, QUEUE_OPEN, QUEUE_CLOSED);
	mark_end(r);
	queue_wake_all(q);
	if (held)
		bell_give(t, &q->bell);
}

/* Not the one that the interrupted call has given back already: it may be another's. */
static struct member *
own_record(const shoal_arena *a, const struct shoal_thread *t)
{
	struct member *m = t ? member_seat(a, t) : NULL;
	return m && (load_relaxed(&m->life.word) & FUTEX_TID) == t->tid ? m : NULL;
}

/* `word` is the object's from before the ring was found: the queue that was found, or none. */
static void
close_named(shoal_arena *a, struct shoal_thread *t, struct member *me, const struct ring *r,
            uint64_t word)
{
	word32 *name = me ? object_stay(a, me, r->object, word >> 32) : NULL;
	bool lives = object_state(word) == OBJECT_READY && object_is_still(a, r->object, word);
	if (name || lives)
		end(r, t);
	else
		queue_destroyed();
	if (name)
		object_unstay(name);
}

void
shoal_queue_close(shoal_queue *q)
{
	if (!q)
		return;
	shoal_arena *a = arena_of(q);
	struct shoal_thread lent, *t = thread_or_lent(&lent);
	struct ring ring;
	uint64_t word;
	if (!a)
		stop("%p is no queue of a mapped arena", (void *)q);
	struct member *mine = own_record(a, t);
	if (!mine && member_may_write(a, t))
		return;
	if (ring_find_word(a, q, &ring, &word) || queue_check_handed(&ring, word))
		return;
	struct member *me = mine || !t ? mine : member_borrow(a, t);
	close_named(a, t, me, &ring, word);
	if (me != mine)
		member_give_back(t, me);
}
