/* Every call on a queue, killed and stopped at each of its instructions. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "queue_world.h"
#include "ring/queue.h"
#include "value.h"

enum {
	PLACES = 4,
	SMALL = 40,
	LARGE = 300,
	REDELIVER = SHOAL_QUEUE_REDELIVER,
	JOINABLE = SHOAL_QUEUE_JOINABLE
};

/* ---- what the victim calls ---- */

/*
 * So that a thread's first use of a queue is not what is watched, but for the cases that mean it.
 */
static void
warm(struct step_world *w)
{
	arena_join(w);
	shoal_queue_size(queue_of(w));
	shoal_queue_peek_bytes(queue_of(w));
}

static void
put_prepare(struct step_world *w)
{
	const struct queue_shape *s = queue_shape(w);
	warm(w);
	for (uint32_t n = 0; n < s->sends; n++)
		step_fill(step_mine(w)->buffer + n * s->bytes, s->bytes, step_id(step_me, n));
}

static void
get_prepare(struct step_world *w)
{
	warm(w);
}

static void
fill_first(struct step_world *w)
{
	step_fill(step_mine(w)->buffer, queue_shape(w)->bytes, step_id(step_me, 0));
}

static void
put_after(struct step_world *w)
{
	const struct queue_shape *s = queue_shape(w);
	int64_t sent = s->sends > 1 ? step_mine(w)->result : step_mine(w)->result == 0;
	for (int64_t n = 0; n < sent; n++)
		step_sent(w);
}

static void
get_after(struct step_world *w)
{
	const struct queue_shape *s = queue_shape(w);
	int64_t got = s->lost > 1 ? step_mine(w)->result : step_mine(w)->result >= 0;
	for (int64_t n = 0; n < got; n++) {
		step_got(w, step_mine(w)->buffer + n * s->bytes, s->bytes);
		if (s->flags & SHOAL_QUEUE_JOINABLE)
			(void)shoal_queue_task_done(queue_of(w)); /* finish and task_done cases have done it */
	}
}

static void
put_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = shoal_queue_put(queue_of(w), mine->buffer, queue_shape(w)->bytes, SHOAL_SEC(1));
}

static void
get_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = shoal_queue_get(queue_of(w), mine->buffer, QUEUE_BYTES_MAX, SHOAL_SEC(1));
}

static void
value_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	bool puts = queue_shape(w)->sends;
	mine->result = puts ? queue_put(w, mine->buffer, SHOAL_SEC(1))
	                    : queue_get(w, mine->buffer, SHOAL_SEC(1));
}

static void
put_late_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = shoal_queue_put(queue_of(w), mine->buffer, queue_shape(w)->bytes, SHOAL_MS(3));
}

static void
get_late_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = shoal_queue_get(queue_of(w), mine->buffer, QUEUE_BYTES_MAX, SHOAL_MS(3));
}

static void
put_many_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = shoal_queue_put_many(queue_of(w), mine->buffer, queue_shape(w)->bytes, MANY,
	                                    SHOAL_SEC(1));
}

static void
get_many_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = shoal_queue_get_many(queue_of(w), mine->buffer, queue_shape(w)->bytes, MANY,
	                                    SHOAL_SEC(1));
}

static void
get_new_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	void *data = NULL;
	ssize_t n = shoal_queue_get_new(queue_of(w), &data, SHOAL_SEC(1));
	if (n > 0)
		memcpy(mine->buffer, data, (size_t)n);
	mine->result = n;
}

static void
reserve_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	shoal_loan loan;
	int rc = shoal_queue_reserve(queue_of(w), queue_shape(w)->bytes, SHOAL_SEC(1), &loan);
	if (rc == 0) {
		memcpy(loan.data, mine->buffer, queue_shape(w)->bytes);
		rc = shoal_loan_commit(&loan, SHOAL_SEC(1));
	}
	mine->result = rc;
}

static void
abort_op(struct step_world *w)
{
	shoal_loan loan;
	int rc = shoal_queue_reserve(queue_of(w), queue_shape(w)->bytes, SHOAL_SEC(1), &loan);
	if (rc == 0)
		shoal_loan_release(&loan);
	step_mine(w)->result = rc;
}

/*
 * Copied out before it is given back, so that a message that is not delivered again is one that was
 * read.
 */
static int
borrow(struct step_world *w, shoal_loan *loan)
{
	struct step_part *mine = step_mine(w);
	int rc = shoal_queue_borrow(queue_of(w), SHOAL_SEC(1), loan);
	if (rc == 0)
		memcpy(mine->buffer, loan->data, queue_shape(w)->bytes);
	return rc;
}

static void
borrow_op(struct step_world *w)
{
	shoal_loan loan;
	int rc = borrow(w, &loan);
	if (rc == 0)
		shoal_loan_release(&loan);
	step_mine(w)->result = rc;
}

static void
finish_op(struct step_world *w)
{
	shoal_loan loan;
	int rc = borrow(w, &loan);
	step_mine(w)->result = rc < 0 ? rc : shoal_loan_finish(&loan);
}

static void
return_op(struct step_world *w)
{
	shoal_loan loan;
	int rc = borrow(w, &loan);
	step_mine(w)->result = rc < 0 ? rc : shoal_loan_return(&loan);
}

static shoal_loan lent;

static void *
lend(void *arg)
{
	struct step_world *w = arg;
	arena_join(w);
	step_mine(w)->result = borrow(w, &lent);
	for (;;)
		pause();
	return NULL;
}

/* The loan is another thread's of the victim's, which lives on. */
static void
adopt_prepare(struct step_world *w)
{
	pthread_t thread;
	arena_join(w);
	step_mine(w)->result = -1;
	if (pthread_create(&thread, NULL, lend, w) != 0)
		return;
	while (step_mine(w)->result < 0)
		usleep(50);
}

static void
adopt_op(struct step_world *w)
{
	int rc = shoal_loan_adopt(&lent);
	if (rc == 0)
		shoal_loan_release(&lent);
	step_mine(w)->result = rc;
}

static void
done_prepare(struct step_world *w)
{
	get_prepare(w);
	get_op(w);
}

static void
done_op(struct step_world *w)
{
	step_mine(w)->result = shoal_queue_task_done(queue_of(w));
}

static void
join_op(struct step_world *w)
{
	step_mine(w)->result = shoal_queue_join(queue_of(w), SHOAL_MS(2));
}

static void
look_op(struct step_world *w)
{
	shoal_queue_info info;
	shoal_queue *q = queue_of(w);
	size_t size = shoal_queue_size(q);
	ssize_t bytes = shoal_queue_peek_bytes(q);
	bool edge = shoal_queue_empty(q) || shoal_queue_full(q);
	int rc = shoal_queue_stat(q, &info);
	step_mine(w)->result =
		size != 2 || bytes != (ssize_t)queue_shape(w)->bytes || edge ? -EPROTO : rc;
}

/* Full, with what the dead left at its head, which is no message: whoever passes it makes room. */
static void
fill_behind(struct step_world *w, enum slot_state state, uint32_t tries)
{
	struct ring ring;
	queue_setup(w);
	STEP_REQUIRE(w, shoal_queue_put(queue_of(w), "", 1, SHOAL_NOWAIT) == 0, "setup cannot put");
	STEP_REQUIRE(w, ring_find(w->arena, queue_of(w), &ring) == 0, "no ring");
	word64 *turn = &ring_slot(&ring, 0)->turn;
	store_release(turn, slot_word(state, slot_lap(load_relaxed(turn)), 0, tries));
	fetch_add_relaxed(&ring.queue->backs, state == BACK);
	for (uint32_t i = 1; i < PLACES; i++)
		STEP_REQUIRE(w, queue_send(w, SHOAL_NOWAIT) == 0, "setup cannot put");
}

/* Of a putter. */
static void
hole_setup(struct step_world *w)
{
	fill_behind(w, FULL, TRIES_HOLE);
}

/* Of the last one of too many getters. */
static void
worn_setup(struct step_world *w)
{
	fill_behind(w, BACK, TRIES_MAX);
}

/* Looks at nothing, lest it pass the hole. */
static void
hole_prepare(struct step_world *w)
{
	arena_join(w);
	shoal_queue_size(queue_of(w));
}

static void
peek_op(struct step_world *w)
{
	step_mine(w)->result = shoal_queue_peek_bytes(queue_of(w));
}

/* The one that waits for the descriptors is another thread. */
static void
fd_op(struct step_world *w)
{
	shoal_queue *q = queue_of(w), *same = NULL;
	int fd = shoal_queue_fd(q), room = shoal_queue_room_fd(q);
	int rc = shoal_queue_at(w->arena, shoal_ref_of(w->arena, q), &same);
	step_mine(w)->result = fd < 0 || room < 0 || same != q ? -EPROTO : rc;
}

static void
close_op(struct step_world *w)
{
	shoal_queue_close(queue_of(w));
	step_mine(w)->result = 0;
}

/* Of a thread that has not joined the arena. */
static void
close_first_prepare(struct step_world *w)
{
	shoal_thread_self();
	shoal_queue_size(queue_of(w));
}

/* ---- shapes ---- */

#define SHAPE(flags_, bytes_, ...) \
	(&(const struct queue_shape){ PLACES, SMALL, (flags_), (bytes_), __VA_ARGS__ })
#define SURVIVORS \
	.setup = queue_setup, .check = queue_check, .crowd = queue_crowd, .audit = arena_audit, \
	.meet_prepare = meet_prepare, .meet = { meet_recover, meet_get, meet_put }
#define WATCHERS \
	.role = { { "get", try_get }, { "put", try_put }, { "lap", try_lap }, { "others", try_others } }
#define PUT(op_) .prepare = put_prepare, .op = op_, .after = put_after
#define GET(op_) .prepare = get_prepare, .op = op_, .after = get_after
#define WAKES_GETTER .sleeper = queue_sleep_get, .rouse = queue_rouse_getter
#define WAKES_PUTTER .sleeper = queue_sleep_put, .rouse = queue_rouse_putter

/* shape: flags, bytes, then how many before, how many the victim takes, how many it sends */
#define PUT_CASE(name_, flags_, bytes_) \
	STEP_CASE(queue, name_, .shape = SHAPE(flags_, bytes_, 2, 0, 1), SURVIVORS, WATCHERS, \
	          PUT(put_op)) \
	STEP_CASE(queue, name_##_to_sleeper, .shape = SHAPE(flags_, bytes_, 0, 0, 1), SURVIVORS, \
	          PUT(put_op), WAKES_GETTER)
#define GET_CASE(name_, flags_, bytes_) \
	STEP_CASE(queue, name_, .shape = SHAPE(flags_, bytes_, 2, 1, 0), SURVIVORS, WATCHERS, \
	          GET(get_op)) \
	STEP_CASE(queue, name_##_full, .shape = SHAPE(flags_, bytes_, PLACES, 1, 0), SURVIVORS, \
	          GET(get_op), WAKES_PUTTER)
#define TAKE_CASE(name_, flags_, bytes_, op_) \
	STEP_CASE(queue, name_, .shape = SHAPE(flags_, bytes_, 2, 1, 0), SURVIVORS, WATCHERS, GET(op_))

PUT_CASE(put, 0, SMALL)
PUT_CASE(put_block, 0, LARGE)
PUT_CASE(put_redeliver, REDELIVER, SMALL)
PUT_CASE(put_joinable, JOINABLE, SMALL)
PUT_CASE(put_block_both, REDELIVER | JOINABLE, LARGE)

GET_CASE(get, 0, SMALL)
GET_CASE(get_block, 0, LARGE)
GET_CASE(get_redeliver, REDELIVER, SMALL)
GET_CASE(get_block_redeliver, REDELIVER, LARGE)
GET_CASE(get_joinable, JOINABLE, SMALL)
GET_CASE(get_block_joinable, JOINABLE, LARGE)
GET_CASE(get_both, REDELIVER | JOINABLE, SMALL)
GET_CASE(get_block_both, REDELIVER | JOINABLE, LARGE)

/* put_any, get_any. What is copied out lies in private memory first: REDELIVER cannot tell. */
#define VALUES(flags_, bytes_, ...) SHAPE((flags_) | STEP_VALUES, bytes_, __VA_ARGS__)
STEP_CASE(queue, put_any, .shape = VALUES(0, SMALL, 2, 0, 1), SURVIVORS, PUT(value_op))
STEP_CASE(queue, put_any_block, .shape = VALUES(0, LARGE, 2, 0, 1), SURVIVORS, PUT(value_op))
STEP_CASE(queue, put_any_to_sleeper, .shape = VALUES(0, SMALL, 0, 0, 1), SURVIVORS, PUT(value_op),
          WAKES_GETTER)
STEP_CASE(queue, get_any, .shape = VALUES(0, SMALL, 2, 1, 0), SURVIVORS, GET(value_op))
STEP_CASE(queue, get_any_block, .shape = VALUES(0, LARGE, 2, 1, 0), SURVIVORS, GET(value_op))
STEP_CASE(queue, get_any_full, .shape = VALUES(0, SMALL, PLACES, 1, 0), SURVIVORS, GET(value_op),
          WAKES_PUTTER)
STEP_CASE(queue, get_any_both, .shape = VALUES(REDELIVER | JOINABLE, LARGE, 2, 1, 0), SURVIVORS,
          GET(value_op))

/* A thread's first call of all: it registers, and makes its cursors. */
STEP_CASE(queue, put_first, .shape = SHAPE(0, SMALL, 2, 0, 1), SURVIVORS, .prepare = fill_first,
          .op = put_op, .after = put_after)

/* Nothing there, no room: the calls wait, and give up; or wait, and are woken. */
STEP_CASE(queue, put_late, .shape = SHAPE(0, SMALL, PLACES, 0, 1), SURVIVORS, PUT(put_late_op))
STEP_CASE(queue, put_late_block, .shape = SHAPE(0, LARGE, PLACES, 0, 1), SURVIVORS,
          PUT(put_late_op))
STEP_CASE(queue, get_late, .shape = SHAPE(0, SMALL, 0, 1, 0), SURVIVORS, GET(get_late_op))

static void
wake_put(struct step_world *w)
{
	STEP_REQUIRE(w, queue_send(w, SHOAL_MS(TIMEOUT_MS)) == 0, "the waker cannot put");
}

static void
wake_get(struct step_world *w)
{
	STEP_REQUIRE(w, queue_receive(w, SHOAL_MS(TIMEOUT_MS)) >= 0, "the waker cannot get");
}

STEP_CASE(queue, get_asleep, .shape = SHAPE(0, SMALL, 0, 1, 0), SURVIVORS, GET(get_op),
          .waker = wake_put)
STEP_CASE(queue, put_asleep, .shape = SHAPE(0, SMALL, PLACES, 0, 1), SURVIVORS, PUT(put_op),
          .waker = wake_get)

/*
 * Batches: of one killed, a prefix may have been sent, and all that it was taking may go with it.
 */
STEP_CASE(queue, put_many, .shape = SHAPE(0, SMALL, 1, 0, MANY), SURVIVORS, PUT(put_many_op))
STEP_CASE(queue, put_many_to_sleeper, .shape = SHAPE(0, SMALL, 0, 0, MANY), SURVIVORS,
          PUT(put_many_op), WAKES_GETTER)
STEP_CASE(queue, put_many_block, .shape = SHAPE(0, LARGE, 1, 0, MANY), SURVIVORS, PUT(put_many_op))
STEP_CASE(queue, get_many, .shape = SHAPE(0, SMALL, 4, MANY, 0), SURVIVORS, GET(get_many_op),
          WAKES_PUTTER)
STEP_CASE(queue, get_many_block, .shape = SHAPE(0, LARGE, 4, MANY, 0), SURVIVORS, GET(get_many_op))
STEP_CASE(queue, get_many_redeliver, .shape = SHAPE(REDELIVER, SMALL, 3, MANY, 0), SURVIVORS,
          WATCHERS, GET(get_many_op))
STEP_CASE(queue, get_many_both, .shape = SHAPE(REDELIVER | JOINABLE, LARGE, 3, MANY, 0), SURVIVORS,
          GET(get_many_op))
TAKE_CASE(get_new, 0, SMALL, get_new_op)
TAKE_CASE(get_new_block, 0, LARGE, get_new_op)

/* Loans. */
STEP_CASE(queue, reserve_commit, .shape = SHAPE(0, SMALL, 2, 0, 1), SURVIVORS, WATCHERS,
          PUT(reserve_op))
STEP_CASE(queue, reserve_commit_large, .shape = SHAPE(0, LARGE, 0, 0, 1), SURVIVORS,
          PUT(reserve_op), WAKES_GETTER)
STEP_CASE(queue, reserve_release, .shape = SHAPE(0, LARGE, 2, 0, 0), SURVIVORS, WATCHERS,
          .prepare = put_prepare, .op = abort_op)
TAKE_CASE(borrow_release, 0, SMALL, borrow_op)
TAKE_CASE(borrow_release_block, 0, LARGE, borrow_op)
TAKE_CASE(borrow_release_redeliver, REDELIVER, SMALL, borrow_op)
TAKE_CASE(borrow_release_both, REDELIVER | JOINABLE, LARGE, borrow_op)
TAKE_CASE(borrow_finish, JOINABLE, SMALL, finish_op)
TAKE_CASE(borrow_finish_both, REDELIVER | JOINABLE, LARGE, finish_op)
STEP_CASE(queue, borrow_full, .shape = SHAPE(REDELIVER, SMALL, PLACES, 1, 0), SURVIVORS,
          GET(borrow_op), WAKES_PUTTER)
STEP_CASE(queue, borrow_return, .shape = SHAPE(0, SMALL, 2, 1, 0), SURVIVORS,
          .prepare = get_prepare, .op = return_op)
STEP_CASE(queue, borrow_return_redeliver, .shape = SHAPE(REDELIVER, LARGE, 2, 1, 0), SURVIVORS,
          .prepare = get_prepare, .op = return_op)
STEP_CASE(queue, adopt, .shape = SHAPE(0, SMALL, 2, 1, 0), SURVIVORS, .prepare = adopt_prepare,
          .op = adopt_op, .after = get_after)
STEP_CASE(queue, adopt_redeliver, .shape = SHAPE(REDELIVER, LARGE, 2, 1, 0), SURVIVORS,
          .prepare = adopt_prepare, .op = adopt_op, .after = get_after)

/* The rest. */
STEP_CASE(queue, task_done, .shape = SHAPE(JOINABLE, SMALL, 2, 1, 0), SURVIVORS, WATCHERS,
          .prepare = done_prepare, .op = done_op, .after = get_after)
STEP_CASE(queue, join, .shape = SHAPE(JOINABLE, SMALL, 2, 0, 0), SURVIVORS, .prepare = get_prepare,
          .op = join_op)
STEP_CASE(queue, look, .shape = SHAPE(0, SMALL, 2, 0, 0), SURVIVORS, WATCHERS,
          .prepare = get_prepare, .op = look_op)
STEP_CASE(queue, peek_hole, .shape = SHAPE(0, SMALL, 0, 0, 0), SURVIVORS, .setup = hole_setup,
          .prepare = hole_prepare, .op = peek_op, WAKES_PUTTER)
STEP_CASE(queue, join_hole, .shape = SHAPE(JOINABLE, SMALL, 0, 0, 0), SURVIVORS,
          .setup = hole_setup, .prepare = hole_prepare, .op = join_op, WAKES_PUTTER)
STEP_CASE(queue, join_worn, .shape = SHAPE(REDELIVER | JOINABLE, SMALL, 0, 0, 0), SURVIVORS,
          .setup = worn_setup, .prepare = hole_prepare, .op = join_op, WAKES_PUTTER)
STEP_CASE(queue, fd, .shape = SHAPE(0, SMALL, 2, 0, 0), SURVIVORS, .prepare = get_prepare,
          .op = fd_op, .stepped = true)

#define CLOSES(...) \
	.setup = queue_setup, .prepare = get_prepare, .op = close_op, \
	.check = queue_check_closed, .audit = arena_audit, \
	.meet_prepare = meet_prepare, .meet = { meet_recover, meet_get, meet_put }, __VA_ARGS__
STEP_CASE(queue, close, .shape = SHAPE(0, SMALL, 2, 0, 0),
	  CLOSES(.sleeper = NULL, .role = { { "others", try_others } }))
STEP_CASE(queue, close_full, .shape = SHAPE(REDELIVER, SMALL, PLACES, 0, 0),
          CLOSES(.sleeper = NULL))
STEP_CASE(queue, close_to_sleeper, .shape = SHAPE(0, SMALL, 0, 0, 0),
	  CLOSES(.sleeper = queue_sleep_get, .rouse = queue_rouse_by_close))
STEP_CASE(queue, close_first, .shape = SHAPE(0, SMALL, 0, 0, 0),
	  CLOSES(.prepare = close_first_prepare, .sleeper = queue_sleep_get,
	         .rouse = queue_rouse_by_close))
