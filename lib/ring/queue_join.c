/*
 * JOINABLE: task_done and join.
 *
 * S = the sum of all rows' done; T = the first unclaimed place. done never exceeds what was taken,
 * and every place below T is one message or one hole, counted once by its taker; so S == T means
 * that everything put before that moment is done. Deaths keep it true: recovery sets the dead one's
 * done to its got (queue_recover.c).
 *
 * join is told by its gate; a task_done that is killed between its count and the wake, a member
 * that dies with tasks, and the end of the queue's owner, are noticed by a slice of 5 ms.
 */
#include "base/clock.h"
#include "base/error.h"
#include "ring/loan.h"

/* queue_enter, of a queue that is JOINABLE. */
static int
enter(shoal_queue *q, struct shoal_thread **t, struct cursor **c)
{
	int rc = queue_enter(q, t, c);
	if (rc || ((*c)->ring.flags & SHOAL_QUEUE_JOINABLE))
		return rc;
	queue_leave(*t, *c);
	return fail(-EINVAL, "task_done and join need a queue made with SHOAL_QUEUE_JOINABLE");
}

void
queue_count_done(struct cursor *c, struct shoal_thread *t)
{
	struct queue_row *row = queue_row(c->ring.queue, c->tag);
	void *old = robust_pending_set(t, &c->ring.queue->join_gate);
	if (c->fenced)
		exchange_seq_cst(&row->done, load_relaxed(&row->done) + 1);
	else
		store_release(&row->done, load_relaxed(&row->done) + 1);
	fence_compiler();
	if (unlikely(load_relaxed(&c->ring.queue->join_gate)))
		gate_open_all(&c->ring.queue->join_gate);
	robust_pending_restore(t, old);
}

static int
task_done(struct cursor *c, struct shoal_thread *t)
{
	const struct queue_row *row = queue_row(c->ring.queue, c->tag);
	/* One that was borrowed and released is reported first: what is kept is not lost for it. */
	bool released = load_relaxed(&row->done) < load_relaxed(&row->got);
	if (!released && loan_end_oldest(c))
		queue_wake_putters(c->ring.queue);
	/*
	 * Under REDELIVER what is still borrowed may come back: it is done when it is given back, not
	 * before.
	 */
	bool may_come_back = c->ring.flags & SHOAL_QUEUE_REDELIVER;
	uint64_t taken = load_relaxed(&row->got) + (may_come_back ? 0 : loan_count(c));
	if (load_relaxed(&row->done) >= taken)
		return fail(-EOVERFLOW, "task_done was called more often than this thread took messages");
	queue_count_done(c, t);
	return 0;
}

int
shoal_queue_task_done(shoal_queue *q)
{
	struct shoal_thread *t;
	struct cursor *c;
	int rc = enter(q, &t, &c);
	if (rc)
		return rc;
	rc = task_done(c, t);
	queue_leave(t, c);
	return rc;
}

static bool
all_done(const struct cursor *c)
{
	const shoal_queue *q = c->ring.queue;
	uint64_t done = 0, place = load_relaxed(&q->tail), word;
	for (uint32_t i = 0; i < c->arena->members_max; i++)
		done += load_acquire(&queue_row(q, i + 1)->done);
	walk_put(&c->ring, &place, &word);
	return done >= place;
}

/* Also with its owner, and where its destroyer has not said so yet, or died before it did. */
static bool
is_destroyed(const struct cursor *c)
{
	return object_end_orphan(c->arena, c->ring.object) || !cursor_lives(c);
}

/* What the dead had taken, where they left holes, and what too many of them took, is done. */
static bool
all_done_but_by_dead(struct cursor *c, struct shoal_thread *t)
{
	if (all_done(c))
		return true;
	member_recover_all(c->arena, t, c->me);
	/* Who else joins looks again after FUTEX_SLICE_NS; a putter sleeps longer. */
	void *old = robust_pending_set(t, &c->ring.queue->put.wait);
	get_pass_lost(c, t);
	robust_pending_restore(t, old);
	return all_done(c);
}

static int
join(struct cursor *c, struct shoal_thread *t, shoal_time timeout)
{
	shoal_queue *q = c->ring.queue;
	int64_t deadline = timeout > 0 ? clock_deadline(timeout) : 0;
	for (;;) {
		if (all_done_but_by_dead(c, t))
			return 0;
		if (timeout <= 0 && !is_destroyed(c))
			return fail_quiet(-EAGAIN, "tasks are unfinished, and the timeout is 0");
		gate_arm(&q->join_gate, !c->fenced);
		if (all_done(c))
			return 0;
		if (is_destroyed(c))
			return queue_destroyed();
		struct futex_watch gate = { &q->join_gate, GATE_ARMED };
		int64_t until = clock_sooner(deadline, FUTEX_SLICE_NS);
		int rc = gate_sleep(t, &gate, 1, until);
		if (rc == -ECANCELED)
			return fail_quiet(rc, "the wait was interrupted by shoal_thread_interrupt");
		if (rc == -ETIMEDOUT && until == deadline && !all_done(c))
			return fail_quiet(rc, "tasks were unfinished at the deadline");
	}
}

int
shoal_queue_join(shoal_queue *q, shoal_time timeout)
{
	struct shoal_thread *t;
	struct cursor *c;
	int rc = enter(q, &t, &c);
	if (rc)
		return rc;
	void *old = robust_pending_set(t, &q->join_gate);
	rc = join(c, t, timeout);
	robust_pending_restore(t, old);
	queue_leave(t, c);
	return rc;
}
