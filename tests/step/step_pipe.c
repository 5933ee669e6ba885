/*
 * Every call on a pipe, killed and stopped at each of its instructions. Alone: each end is one
 * process's, and its death is the end of what the other receives. Shared: any process uses both
 * ends, and goes on without the dead.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "arena_world.h"
#include "harness.h"
#include "value.h"

#include <shoal/pipe.h>

enum {
	RING = 4096,
	INLINE = 300,
	BLOCK = 1500,
	TIMEOUT_MS = 300,
	MANY = 3,
	ITEM = 40,
	ROOM = 1600
};

struct pipe_shape {
	unsigned flags;
	uint32_t bytes;
	uint32_t turns; /* messages that went through before: where in the ring the victim begins */
	uint32_t before; /* messages that setup sent and nobody received */
	uint32_t lost, sends;
};

static const struct pipe_shape *
shape_of(const struct step_world *w)
{
	return w->shape;
}

static shoal_pipe_end *
left_of(struct step_world *w)
{
	return w->object[0];
}

static shoal_pipe_end *
right_of(struct step_world *w)
{
	return w->object[1];
}

/* ---- what everybody does ---- */

static int
send_message(struct step_world *w, const void *message, shoal_time timeout)
{
	uint32_t bytes = shape_of(w)->bytes;
	if (shape_of(w)->flags & STEP_VALUES)
		return shoal_pipe_send_any(left_of(w), shoal_any_from_bytes(message, bytes), timeout);
	return shoal_pipe_send(left_of(w), message, bytes, timeout);
}

static ssize_t
recv_message(struct step_world *w, void *buffer, shoal_time timeout)
{
	shoal_any v;
	if (!(shape_of(w)->flags & STEP_VALUES))
		return shoal_pipe_recv(right_of(w), buffer, ROOM, timeout);
	int rc = shoal_pipe_recv_any(right_of(w), &v, timeout);
	return value_to_bytes(rc, &v, buffer, ROOM);
}

static int
send_one(struct step_world *w, shoal_time timeout)
{
	unsigned char bytes[ROOM];
	step_fill(bytes, shape_of(w)->bytes, step_id(step_me, w->log[step_me].sent));
	int rc = send_message(w, bytes, timeout);
	if (rc == 0)
		step_sent(w);
	return rc;
}

static ssize_t
receive_one(struct step_world *w, shoal_time timeout)
{
	unsigned char bytes[ROOM];
	ssize_t n = recv_message(w, bytes, timeout);
	if (n < 0)
		return n;
	STEP_REQUIRE(w, n == (ssize_t)shape_of(w)->bytes, "a message of %zd bytes, not %u", n,
	             shape_of(w)->bytes);
	step_got(w, bytes, (size_t)n);
	return n;
}

static void
setup(struct step_world *w)
{
	const struct pipe_shape *s = shape_of(w);
	shoal_pipe_options options = { .ring_bytes = RING, .flags = s->flags & ~STEP_VALUES };
	shoal_pipe_end *left = NULL, *right = NULL;
	arena_world(w);
	int rc = shoal_pipe_create(w->arena, "p", &options, &left, &right);
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
	w->object[0] = left;
	w->object[1] = right;
	for (uint32_t i = 0; i < s->turns; i++)
		STEP_REQUIRE(w, send_one(w, SHOAL_NOWAIT) == 0 && receive_one(w, SHOAL_NOWAIT) >= 0,
		             "setup's turn");
	for (uint32_t i = 0; i < s->before; i++)
		STEP_REQUIRE(w, send_one(w, SHOAL_NOWAIT) == 0, "setup cannot send: %s", shoal_error());
	if (s->before && !(s->flags & SHOAL_PIPE_SHARED_ENDS))
		STEP_REQUIRE(w, shoal_pipe_give(left, 0) == 0, "give: %s", shoal_error());
}

static void
account(struct step_world *w)
{
	const struct pipe_shape *s = shape_of(w);
	uint32_t second = w->part[STEP_SECOND].extra;
	step_account(w, &(struct step_expect){ .lost = { s->lost, second == 1 },
	                                       .sends = { s->sends, second == 2 } });
}

static void
end_of_pipe(struct step_world *w)
{
	int rc;
	STEP_WITHIN(w, "destroy", rc = shoal_pipe_destroy(w->arena, left_of(w)));
	STEP_REQUIRE(w, rc == 0, "destroy: %d, %s", rc, shoal_error());
}

/* ---- the survivors of a shared pipe ---- */

static void
turn(struct step_world *w)
{
	ssize_t n;
	int rc;
	STEP_WITHIN(w, "send", rc = send_one(w, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, rc == 0, "send: %d, where there is room", rc);
	STEP_WITHIN(w, "recv", n = receive_one(w, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, n >= 0, "recv: %zd, where there is a message", n);
}

static void
check_shared(struct step_world *w)
{
	ssize_t n = 0;
	for (int i = 0; i < 30; i++)
		turn(w);
	while (n >= 0)
		STEP_WITHIN(w, "recv at once", n = receive_one(w, SHOAL_NOWAIT));
	STEP_REQUIRE(w, n == -EAGAIN, "recv at once: %zd", n);
	account(w);
	end_of_pipe(w);
}

static void
crowd_shared(struct step_world *w)
{
	arena_join(w);
	step_meet(w, 2);
	for (int i = 0; i < 8; i++)
		turn(w);
}

/* ---- the survivor of a pipe whose other end was the victim's ---- */

/*
 * The dead one sent: what it sent comes, then the end; it is the end for what is sent to it as
 * well.
 */
static void
check_receiver(struct step_world *w)
{
	bool victim = w->base_known;
	ssize_t n = 0;
	while (n >= 0)
		STEP_WITHIN(w, "recv", n = receive_one(w, victim ? SHOAL_MS(TIMEOUT_MS) : SHOAL_NOWAIT));
	STEP_REQUIRE(w, n == (victim ? -EPIPE : -EAGAIN), "recv at the end: %zd", n);
	account(w);
	if (victim) {
		int rc;
		STEP_WITHIN(w, "send to the dead",
		            rc = shoal_pipe_send(right_of(w), "x", 1, SHOAL_MS(TIMEOUT_MS)));
		STEP_REQUIRE(w, rc == -EPIPE, "send to the dead: %d", rc);
	}
	end_of_pipe(w);
}

/* The dead one received: soon nothing can be sent to it. */
static void
send_to_the_dead(struct step_world *w)
{
	int rc = 0;
	STEP_WITHIN(w, "send", rc = send_one(w, SHOAL_NOWAIT));
	if (w->base_known)
		STEP_WITHIN(w, "sends to the dead",
		            while (rc == 0) rc = shoal_pipe_send(left_of(w), "x", 1, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, rc == (w->base_known ? -EPIPE : 0), "send to the dead: %d", rc);
	if (w->base_known) {
		ssize_t n;
		STEP_WITHIN(w, "recv from the dead",
		            n = shoal_pipe_recv(left_of(w), NULL, 0, SHOAL_MS(TIMEOUT_MS)));
		STEP_REQUIRE(w, n == -EPIPE, "recv from the dead: %zd", n);
	}
}

static void
check_sender(struct step_world *w)
{
	send_to_the_dead(w);
	end_of_pipe(w);
}

/* What it had not received is gone before the pipe is. */
static void
check_drained(struct step_world *w)
{
	shoal_arena_info before, after;
	send_to_the_dead(w);
	STEP_REQUIRE(w, shoal_arena_recover(w->arena) >= 0, "recover: %s", shoal_error());
	shoal_arena_stat(w->arena, &before);
	end_of_pipe(w);
	shoal_arena_stat(w->arena, &after);
	int left = (int)(before.blocks - after.blocks) - 1;
	STEP_REQUIRE(w, left == 0 || !w->base_known, "%d messages were left", left);
}

/* ---- sleepers ---- */

static void
sleep_receiving(struct step_world *w)
{
	ssize_t n = 0;
	step_begin(w, "sleeping recv");
	while (n >= 0)
		n = receive_one(w, SHOAL_SEC(1));
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, n == -EPIPE, "the sleeping recv: %zd", n);
}

static void
sleep_receiving_one(struct step_world *w)
{
	step_begin(w, "sleeping recv");
	ssize_t n = receive_one(w, SHOAL_SEC(1));
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, n >= 0, "the sleeping recv: %zd", n);
}

/* Fills the ring, then sleeps for room until there is nobody to make any. */
static void
sleep_sending(struct step_world *w)
{
	int rc;
	while ((rc = send_one(w, SHOAL_NOWAIT)) == 0)
		;
	STEP_REQUIRE(w, rc == -EAGAIN, "filling the ring: %d", rc);
	step_begin(w, "sleeping send");
	while (rc == -EAGAIN || rc == 0)
		rc = send_one(w, SHOAL_SEC(1));
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, rc == -EPIPE, "the sleeping send: %d", rc);
}

static void
rouse_by_death(struct step_world *w)
{
	step_must_wake(w, WAKE_MS, "its peer died");
}

static void
rouse_receiver(struct step_world *w)
{
	int rc;
	STEP_WITHIN(w, "send", rc = send_one(w, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, rc == 0, "send: %d", rc);
	step_must_wake(w, WAKE_MS, "a message was sent");
}

/* ---- the victim: an end is its process's from its first message on ---- */

static void
fill(struct step_world *w, uint32_t count, size_t bytes)
{
	for (uint32_t i = 0; i < count; i++)
		step_fill(step_mine(w)->buffer + i * bytes, bytes,
		          step_id(step_me, w->log[step_me].sent + i));
}

static void
send_prepare(struct step_world *w)
{
	const struct pipe_shape *s = shape_of(w);
	arena_join(w);
	if (!(s->flags & SHOAL_PIPE_SHARED_ENDS))
		STEP_REQUIRE(w, send_one(w, SHOAL_NOWAIT) == 0, "the first send: %s", shoal_error());
	else
		shoal_pipe_peek_bytes(left_of(w));
	fill(w, s->bytes == ITEM ? MANY : 1, s->bytes);
}

static void
recv_prepare(struct step_world *w)
{
	arena_join(w);
	if (!(shape_of(w)->flags & SHOAL_PIPE_SHARED_ENDS))
		STEP_REQUIRE(w, receive_one(w, SHOAL_NOWAIT) >= 0, "the first recv: %s", shoal_error());
	else
		shoal_pipe_peek_bytes(right_of(w));
}

static void
send_after(struct step_world *w)
{
	int64_t sent = shape_of(w)->bytes == ITEM ? step_mine(w)->result : step_mine(w)->result == 0;
	for (int64_t i = 0; i < sent; i++)
		step_sent(w);
}

static void
recv_after(struct step_world *w)
{
	const struct pipe_shape *s = shape_of(w);
	int64_t got = s->bytes == ITEM ? step_mine(w)->result : step_mine(w)->result >= 0;
	for (int64_t i = 0; i < got; i++)
		step_got(w, step_mine(w)->buffer + i * s->bytes, s->bytes);
}

static void
send_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = shoal_pipe_send(left_of(w), mine->buffer, shape_of(w)->bytes, SHOAL_SEC(1));
}

static void
recv_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = shoal_pipe_recv(right_of(w), mine->buffer, sizeof mine->buffer, SHOAL_SEC(1));
}

static void
value_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	bool sends = shape_of(w)->sends;
	mine->result = sends ? send_message(w, mine->buffer, SHOAL_SEC(1))
	                     : recv_message(w, mine->buffer, SHOAL_SEC(1));
}

static void
send_many_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = shoal_pipe_send_many(left_of(w), mine->buffer, ITEM, MANY, SHOAL_SEC(1));
}

static void
recv_many_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->result = shoal_pipe_recv_many(right_of(w), mine->buffer, ITEM, MANY, SHOAL_SEC(1));
}

static void
reserve_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	shoal_loan loan;
	int rc = shoal_pipe_reserve(left_of(w), shape_of(w)->bytes, SHOAL_SEC(1), &loan);
	if (rc == 0) {
		memcpy(loan.data, mine->buffer, shape_of(w)->bytes);
		rc = shoal_loan_commit(&loan, SHOAL_SEC(1));
	}
	mine->result = rc;
}

static void
abort_op(struct step_world *w)
{
	shoal_loan loan;
	int rc = shoal_pipe_reserve(left_of(w), shape_of(w)->bytes, SHOAL_SEC(1), &loan);
	if (rc == 0)
		shoal_loan_release(&loan);
	step_mine(w)->result = rc == 0 ? 1 : rc; /* nothing was sent */
}

static void
borrow_op(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	shoal_loan loan;
	int rc = shoal_pipe_borrow(right_of(w), SHOAL_SEC(1), &loan);
	if (rc == 0) {
		memcpy(mine->buffer, loan.data, shape_of(w)->bytes);
		shoal_loan_release(&loan);
	}
	mine->result = rc;
}

/* The one that waits for the descriptors is another thread. */
static void
fd_op(struct step_world *w)
{
	shoal_pipe_end *end = right_of(w), *same = NULL;
	int fd = shoal_pipe_fd(end), room = shoal_pipe_room_fd(left_of(w));
	int rc = shoal_pipe_at(w->arena, shoal_ref_of(w->arena, end), &same);
	step_mine(w)->result = fd < 0 || room < 0 ? -EPROTO : rc;
}

static void
close_op(struct step_world *w)
{
	shoal_pipe_close(shape_of(w)->before ? right_of(w) : left_of(w));
	step_mine(w)->result = 0;
}

static void
give_op(struct step_world *w)
{
	step_mine(w)->result = shoal_pipe_give(left_of(w), 0);
}

static void
look_op(struct step_world *w)
{
	shoal_pipe_info info;
	int rc = shoal_pipe_poll(right_of(w), SHOAL_NOWAIT);
	ssize_t bytes = shoal_pipe_peek_bytes(right_of(w));
	int stat = shoal_pipe_stat(right_of(w), &info);
	step_mine(w)->result =
		rc == 1 && stat == 0 && bytes == (ssize_t)shape_of(w)->bytes ? 0 : -EPROTO;
}

/*
 * Given away at the moment of death: the next one to use it has it, or it is closed with its owner.
 */
static void
check_given(struct step_world *w)
{
	int rc;
	ssize_t n = 0;
	STEP_WITHIN(w, "send on what was given", rc = send_one(w, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, rc == 0 || rc == -EPIPE, "send on what was given: %d, %s", rc, shoal_error());
	STEP_REQUIRE(w, rc == 0 || !w->part[STEP_VICTIM].done, "send on what was given: %d", rc);
	while (n >= 0)
		STEP_WITHIN(w, "recv", n = receive_one(w, SHOAL_NOWAIT));
	STEP_REQUIRE(w, n == (rc == 0 ? -EAGAIN : -EPIPE), "recv: %zd after %d", n, rc);
	account(w);
	end_of_pipe(w);
}

/* ---- those who come by ---- */

static void
meet_prepare(struct step_world *w)
{
	arena_join(w);
	step_fill(step_mine(w)->buffer, shape_of(w)->bytes, step_id(step_me, 0));
}

static void
meet_recv(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->extra = 1;
	mine->result = recv_message(w, mine->buffer, SHOAL_NOWAIT);
}

static void
meet_send(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->extra = 2;
	mine->result = send_message(w, mine->buffer, SHOAL_NOWAIT);
}

/* An end that this process took for the try goes to the next one, lest its exit close it. */
static bool
try_end(struct step_world *w, shoal_pipe_end *end, bool held)
{
	if (!(shape_of(w)->flags & SHOAL_PIPE_SHARED_ENDS) && !held)
		STEP_REQUIRE(w, shoal_pipe_give(end, 0) == 0, "give: %s", shoal_error());
	return held;
}

static bool
try_recv(struct step_world *w, int64_t ns)
{
	return try_end(w, right_of(w), receive_one(w, ns) < 0);
}

static bool
try_send(struct step_world *w, int64_t ns)
{
	return try_end(w, left_of(w), send_one(w, ns) < 0);
}

/* ---- shapes ---- */

#define SHAPE(flags_, bytes_, ...) (&(const struct pipe_shape){ (flags_), (bytes_), __VA_ARGS__ })
#define ALONE(check_) \
	.setup = setup, .check = check_, .audit = arena_audit, .meet_prepare = meet_prepare, \
	.meet = { meet_recover, meet_recover }
#define SEND(op_) .prepare = send_prepare, .op = op_, .after = send_after
#define RECV(op_) .prepare = recv_prepare, .op = op_, .after = recv_after

/* shape: flags, bytes, turns, before, how many may be lost, how many the victim sends */
#define ALONE_SEND(name_, bytes_, sends_, op_) \
	STEP_CASE(pipe, name_, .shape = SHAPE(0, bytes_, 0, 0, 0, sends_), \
	          ALONE(check_receiver), SEND(op_), \
	          .role = { { "recv", try_recv }, { "others", try_others } }) \
	STEP_CASE(pipe, name_##_to_sleeper, .shape = SHAPE(0, bytes_, 0, 0, 0, sends_), \
	          .setup = setup, SEND(op_), \
	          .sleeper = sleep_receiving, .rouse = rouse_by_death, .check = NULL, .audit = NULL)
#define ALONE_RECV(name_, bytes_, before_, lost_, op_) \
	STEP_CASE(pipe, name_, .shape = SHAPE(0, bytes_, 0, before_ + 1, lost_, 0), \
	          ALONE(check_sender), RECV(op_), \
	          .sleeper = NULL, .role = { { "send", try_send }, { "others", try_others } })
#define SHARED(name_, bytes_, turns_, before_, lost_, sends_, ...) \
	STEP_CASE(shared_pipe, name_, \
	          .shape = SHAPE(SHOAL_PIPE_SHARED_ENDS, bytes_, turns_, before_, lost_, sends_), \
	          .setup = setup, .check = check_shared, .crowd = crowd_shared, \
	          .audit = arena_audit, .meet_prepare = meet_prepare, \
	          .meet = { meet_recover, meet_recv, meet_send }, \
	          .role = { { "recv", try_recv }, \
	                    { "send", try_send }, \
	                    { "others", try_others } }, \
	          __VA_ARGS__)

ALONE_SEND(send, INLINE, 2, send_op)
ALONE_SEND(send_block, BLOCK, 2, send_op)
ALONE_SEND(send_many, ITEM, MANY + 1, send_many_op)
ALONE_SEND(reserve_commit, INLINE, 2, reserve_op)
ALONE_SEND(reserve_commit_block, BLOCK, 2, reserve_op)
ALONE_SEND(reserve_release, INLINE, 1, abort_op)
ALONE_RECV(recv, INLINE, 3, 1, recv_op)
ALONE_RECV(recv_block, BLOCK, 2, 1, recv_op)
ALONE_RECV(recv_many, ITEM, 4, MANY, recv_many_op)
ALONE_RECV(borrow, INLINE, 3, 1, borrow_op)
ALONE_RECV(borrow_block, BLOCK, 2, 1, borrow_op)
STEP_CASE(pipe, recv_from_sleeper, .shape = SHAPE(0, INLINE, 0, 4, 1, 0), .setup = setup,
          RECV(recv_op), .sleeper = sleep_sending, .rouse = rouse_by_death)
STEP_CASE(pipe, look, .shape = SHAPE(0, INLINE, 0, 3, 0, 0), ALONE(check_sender),
          .prepare = recv_prepare, .op = look_op)
STEP_CASE(pipe, close, .shape = SHAPE(0, INLINE, 0, 0, 0, 1), ALONE(check_receiver),
          .prepare = send_prepare, .op = close_op)
STEP_CASE(pipe, close_unread, .shape = SHAPE(0, BLOCK, 0, 3, 0, 0), ALONE(check_drained),
          .prepare = recv_prepare, .op = close_op,
          .role = { { "others", try_others } })
STEP_CASE(pipe, close_to_sleeper, .shape = SHAPE(0, INLINE, 0, 0, 0, 1), .setup = setup,
          .prepare = send_prepare, .op = close_op, .sleeper = sleep_receiving,
          .rouse = rouse_by_death)
STEP_CASE(pipe, give, .shape = SHAPE(0, INLINE, 0, 0, 0, 1), ALONE(check_given),
          .prepare = send_prepare, .op = give_op)

/* send_any, recv_any */
#define VALUES(bytes_, ...) SHAPE(STEP_VALUES, bytes_, __VA_ARGS__)
#define SHARED_VALUES(name_, bytes_, before_, lost_, sends_, ...) \
	STEP_CASE(shared_pipe, name_, \
	          .shape = SHAPE(SHOAL_PIPE_SHARED_ENDS | STEP_VALUES, bytes_, 0, before_, lost_, \
	                         sends_), \
	          .setup = setup, .check = check_shared, .crowd = crowd_shared, \
	          .audit = arena_audit, .meet_prepare = meet_prepare, \
	          .meet = { meet_recover, meet_recv, meet_send }, __VA_ARGS__)
STEP_CASE(pipe, send_any, .shape = VALUES(INLINE, 0, 0, 0, 2), ALONE(check_receiver),
          SEND(value_op))
STEP_CASE(pipe, send_any_block, .shape = VALUES(BLOCK, 0, 0, 0, 2), ALONE(check_receiver),
          SEND(value_op))
STEP_CASE(pipe, recv_any, .shape = VALUES(INLINE, 0, 4, 1, 0), ALONE(check_sender), RECV(value_op))
STEP_CASE(pipe, recv_any_block, .shape = VALUES(BLOCK, 0, 3, 1, 0), ALONE(check_sender),
          RECV(value_op))
SHARED_VALUES(send_any, INLINE, 1, 0, 1, SEND(value_op))
SHARED_VALUES(send_any_block, BLOCK, 1, 0, 1, SEND(value_op))
SHARED_VALUES(recv_any, INLINE, 2, 1, 0, RECV(value_op))
SHARED_VALUES(recv_any_block, BLOCK, 2, 1, 0, RECV(value_op))

SHARED(send, INLINE, 0, 1, 0, 1, SEND(send_op))
/* There is nothing to receive before it sends: only whether others can send is asked. */
SHARED(send_to_sleeper, INLINE, 0, 0, 0, 1, SEND(send_op), .sleeper = sleep_receiving_one,
       .rouse = rouse_receiver, .role = { { "others", try_others }, { "send", try_send } })
SHARED(send_wrap, INLINE, 12, 1, 0, 1, SEND(send_op))
SHARED(send_block, BLOCK, 0, 1, 0, 1, SEND(send_op))
SHARED(send_many, ITEM, 0, 1, 0, MANY, SEND(send_many_op))
SHARED(reserve_commit, INLINE, 0, 1, 0, 1, SEND(reserve_op))
SHARED(reserve_commit_block, BLOCK, 0, 1, 0, 1, SEND(reserve_op))
SHARED(recv, INLINE, 0, 2, 1, 0, RECV(recv_op))
SHARED(recv_wrap, INLINE, 12, 2, 1, 0, RECV(recv_op))
SHARED(recv_block, BLOCK, 0, 2, 1, 0, RECV(recv_op))
SHARED(recv_many, ITEM, 0, 4, MANY, 0, RECV(recv_many_op))
SHARED(borrow, INLINE, 0, 2, 1, 0, RECV(borrow_op))
SHARED(borrow_block, BLOCK, 0, 2, 1, 0, RECV(borrow_op))
SHARED(fd, INLINE, 0, 2, 0, 0, .prepare = recv_prepare, .op = fd_op, .stepped = true)
