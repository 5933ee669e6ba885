#include "queue_world.h"
#include "value.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
queue_setup(struct step_world *w)
{
	const struct queue_shape *s = queue_shape(w);
	shoal_queue_options options = { .capacity = s->capacity,
		                        .slot_bytes = s->slot_bytes,
		                        .flags = s->flags & ~STEP_VALUES };
	shoal_queue *q = NULL;
	arena_world(w);
	int rc = shoal_queue_create(w->arena, "q", &options, &q);
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
	w->object[0] = q;
	for (uint32_t i = 0; i < s->before; i++)
		STEP_REQUIRE(w, queue_send(w, SHOAL_NOWAIT) == 0, "setup cannot put");
}

int
queue_put(struct step_world *w, const void *message, shoal_time timeout)
{
	const struct queue_shape *s = queue_shape(w);
	if (s->flags & STEP_VALUES)
		return shoal_queue_put_any(queue_of(w), shoal_any_from_bytes(message, s->bytes), timeout);
	return shoal_queue_put(queue_of(w), message, s->bytes, timeout);
}

ssize_t
queue_get(struct step_world *w, void *buffer, shoal_time timeout)
{
	shoal_any v;
	if (!(queue_shape(w)->flags & STEP_VALUES))
		return shoal_queue_get(queue_of(w), buffer, QUEUE_BYTES_MAX, timeout);
	int rc = shoal_queue_get_any(queue_of(w), &v, timeout);
	return value_to_bytes(rc, &v, buffer, QUEUE_BYTES_MAX);
}

int
queue_send(struct step_world *w, shoal_time timeout)
{
	unsigned char bytes[QUEUE_BYTES_MAX];
	const struct queue_shape *s = queue_shape(w);
	step_fill(bytes, s->bytes, step_id(step_me, w->log[step_me].sent));
	int rc = queue_put(w, bytes, timeout);
	if (rc == 0)
		step_sent(w);
	return rc;
}

ssize_t
queue_receive(struct step_world *w, shoal_time timeout)
{
	unsigned char bytes[QUEUE_BYTES_MAX];
	const struct queue_shape *s = queue_shape(w);
	ssize_t n = queue_get(w, bytes, timeout);
	if (n < 0)
		return n;
	STEP_REQUIRE(w, n == (ssize_t)s->bytes, "a message of %zd bytes, not %u", n, s->bytes);
	step_got(w, bytes, (size_t)n);
	if (s->flags & SHOAL_QUEUE_JOINABLE) {
		int rc = shoal_queue_task_done(queue_of(w));
		STEP_REQUIRE(w, rc == 0, "task_done: %d", rc);
	}
	return n;
}

/* ---- what survivors demand ---- */

static void
must_send(struct step_world *w)
{
	int rc;
	STEP_WITHIN(w, "put", rc = queue_send(w, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, rc == 0, "put: %d, where there is room", rc);
}

static void
must_receive(struct step_world *w)
{
	ssize_t n;
	STEP_WITHIN(w, "get", n = queue_receive(w, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, n >= 0, "get: %zd, where there is a message", n);
}

/*
 * In and out again. A ring without room gives one first, if it has one: it may be only that another
 * one is just taking a message out of the place that is needed.
 */
static void
turn(struct step_world *w)
{
	int rc;
	ssize_t n = -EAGAIN;
	STEP_WITHIN(w, "put at once", rc = queue_send(w, SHOAL_NOWAIT));
	STEP_REQUIRE(w, rc == 0 || rc == -EAGAIN, "put at once: %d", rc);
	if (rc == -EAGAIN) {
		STEP_WITHIN(w, "get at once", n = queue_receive(w, SHOAL_NOWAIT));
		must_send(w);
	}
	if (n < 0)
		must_receive(w);
}

static uint32_t
drain(struct step_world *w)
{
	uint32_t count = 0;
	for (;;) {
		ssize_t n;
		STEP_WITHIN(w, "get at once", n = queue_receive(w, SHOAL_NOWAIT));
		if (n < 0) {
			STEP_REQUIRE(w, n == -EAGAIN || n == -EPIPE, "get at once: %zd", n);
			return count;
		}
		count++;
	}
}

/* Every place came back: the ring takes as many as it was made for, and gives them. */
static void
refill(struct step_world *w)
{
	uint32_t capacity = queue_shape(w)->capacity;
	for (uint32_t i = 0; i < capacity; i++) {
		int rc;
		STEP_WITHIN(w, "put to fill", rc = queue_send(w, SHOAL_NOWAIT));
		STEP_REQUIRE(w, rc == 0, "only %u of %u places came back (%d)", i, capacity, rc);
	}
	int rc = queue_send(w, SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == -EAGAIN, "put on a full queue: %d", rc);
	STEP_REQUIRE(w, shoal_queue_size(queue_of(w)) == capacity, "size %zu of a full queue",
	             shoal_queue_size(queue_of(w)));
	STEP_REQUIRE(w, shoal_queue_full(queue_of(w)), "a full queue is not full");
	uint32_t count = drain(w);
	STEP_REQUIRE(w, count == capacity, "%u of %u messages come", count, capacity);
	STEP_REQUIRE(w, shoal_queue_size(queue_of(w)) == 0, "size %zu of an empty queue",
	             shoal_queue_size(queue_of(w)));
	STEP_REQUIRE(w, shoal_queue_empty(queue_of(w)), "an empty queue is not empty");
}

static void
must_join(struct step_world *w)
{
	int rc;
	if (!(queue_shape(w)->flags & SHOAL_QUEUE_JOINABLE))
		return;
	STEP_WITHIN(w, "join", rc = shoal_queue_join(queue_of(w), SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, rc == 0, "join: %d, where all is done", rc);
}

static void
account(struct step_world *w)
{
	const struct queue_shape *s = queue_shape(w);
	uint32_t second = w->part[STEP_SECOND].extra;
	struct step_expect expect = {
		.lost = { s->lost, second % MEET_PUTS },
		.sends = { s->sends, second / MEET_PUTS },
		.redelivered = (s->flags & SHOAL_QUEUE_REDELIVER) != 0,
	};
	step_account(w, &expect);
}

void
queue_check(struct step_world *w)
{
	for (uint32_t i = 0; i < 2 * queue_shape(w)->capacity; i++)
		turn(w);
	drain(w);
	refill(w);
	must_join(w);
	account(w);
}

/*
 * Whoever closed it may have died half-way: one more close, then nothing goes in, and what is in
 * comes out.
 */
void
queue_check_closed(struct step_world *w)
{
	int rc = queue_send(w, SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == 0 || rc == -EPIPE || rc == -EAGAIN, "put while closing: %d", rc);
	STEP_REQUIRE(w, rc == -EPIPE || !w->part[STEP_VICTIM].done, "put after close returned: %d", rc);
	STEP_WITHIN(w, "close", shoal_queue_close(queue_of(w)));
	STEP_WITHIN(w, "put on a closed queue", rc = queue_send(w, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, rc == -EPIPE, "put after close: %d", rc);
	drain(w);
	ssize_t n;
	STEP_WITHIN(w, "get at the end", n = queue_receive(w, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, n == -EPIPE, "get at the end: %zd", n);
	account(w);
}

void
queue_crowd(struct step_world *w)
{
	arena_join(w);
	step_meet(w, 2);
	for (uint32_t i = 0; i < queue_shape(w)->capacity + 2; i++)
		turn(w);
}

/* ---- sleepers ---- */

void
queue_sleep_get(struct step_world *w)
{
	step_begin(w, "sleeping get");
	ssize_t n = queue_receive(w, SHOAL_SEC(1));
	step_mine(w)->inside = 0;
	step_mine(w)->result = n;
	STEP_REQUIRE(w, n >= 0 || n == -EPIPE, "the sleeping get: %zd", n);
}

void
queue_sleep_put(struct step_world *w)
{
	step_begin(w, "sleeping put");
	int rc = queue_send(w, SHOAL_SEC(1));
	step_mine(w)->inside = 0;
	step_mine(w)->result = rc;
	STEP_REQUIRE(w, rc == 0, "the sleeping put: %d", rc);
}

void
queue_rouse_getter(struct step_world *w)
{
	bool there = w->part[STEP_SLEEPER].inside && shoal_queue_peek_bytes(queue_of(w)) >= 0;
	if (there)
		step_must_wake(w, WAKE_MS, "a message of the dead is there");
	int rc;
	STEP_WITHIN(w, "put", rc = queue_send(w, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, rc == 0, "put: %d", rc);
	step_must_wake(w, WAKE_MS, "a message was put");
}

void
queue_rouse_putter(struct step_world *w)
{
	bool room = w->part[STEP_SLEEPER].inside && !shoal_queue_full(queue_of(w));
	if (room)
		step_must_wake(w, WAKE_MS, "the dead one left room");
	must_receive(w);
	step_must_wake(w, WAKE_MS, "a message was taken");
}

void
queue_rouse_by_close(struct step_world *w)
{
	STEP_WITHIN(w, "close", shoal_queue_close(queue_of(w)));
	step_must_wake(w, WAKE_MS, "it was closed");
}

/* ---- those who come upon the dead ---- */

void
meet_prepare(struct step_world *w)
{
	arena_join(w);
	step_fill(step_mine(w)->buffer, queue_shape(w)->bytes, step_id(step_me, 0));
}

void
meet_get(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->extra = MEET_GETS;
	mine->result = queue_get(w, mine->buffer, SHOAL_NOWAIT);
}

void
meet_put(struct step_world *w)
{
	struct step_part *mine = step_mine(w);
	mine->extra = MEET_PUTS;
	mine->result = queue_put(w, mine->buffer, SHOAL_NOWAIT);
}

/* ---- those whom a stopped one may hold up ---- */

bool
try_get(struct step_world *w, int64_t ns)
{
	struct step_log *log = &w->log[step_me];
	if (queue_send(w, ns) != 0)
		return queue_receive(w, ns) < 0;
	while (queue_receive(w, ns) >= 0) {
		if (log->got[log->count - 1] == step_id(step_me, 0))
			return false;
	}
	return true;
}

bool
try_put(struct step_world *w, int64_t ns)
{
	return queue_send(w, ns) != 0;
}

bool
try_lap(struct step_world *w, int64_t ns)
{
	for (uint32_t i = 0; i < 2 * queue_shape(w)->capacity; i++) {
		if (queue_send(w, SHOAL_NOWAIT) == 0) {
			if (queue_receive(w, ns) < 0)
				return true;
		} else if (queue_receive(w, ns) < 0 || queue_send(w, ns) < 0) {
			return true;
		}
	}
	return false;
}
