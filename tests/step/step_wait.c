/*
 * shoal_wait, killed and stopped at each instruction; and told of what others do that are killed in
 * the midst of it: a message that was put, an end that is closed by a death, an event.
 */
#include <errno.h>
#include <unistd.h>

#include "arena_world.h"
#include "harness.h"

#include <shoal/pipe.h>
#include <shoal/process.h>
#include <shoal/queue.h>
#include <shoal/sync.h>

enum {
	TIMEOUT_MS = 300
};

/* A queue, a pipe's right and left end, an event: nothing is ready. */
enum {
	QUEUE,
	RIGHT,
	LEFT,
	EVENT
};

static void
setup(struct step_world *w)
{
	static const shoal_pipe_options ring = { .ring_bytes = 4096 };
	shoal_queue *q = NULL;
	shoal_pipe_end *left = NULL, *right = NULL;
	shoal_event *e = NULL;
	arena_world(w);
	STEP_REQUIRE(w,
	             shoal_queue_create(w->arena, "q", NULL, &q) == 0 &&
	                     shoal_pipe_create(w->arena, "p", &ring, &left, &right) == 0 &&
	                     shoal_event_create(w->arena, "e", &e) == 0,
	             "setup: %s", shoal_error());
	w->object[QUEUE] = q;
	w->object[RIGHT] = right;
	w->object[LEFT] = left;
	w->object[EVENT] = e;
}

static void
list_all(struct step_world *w, shoal_waitable *on)
{
	on[0] = shoal_on_queue(w->object[QUEUE]);
	on[1] = shoal_on_pipe(w->object[RIGHT]);
	on[2] = shoal_on_event(w->object[EVENT]);
}

/* ---- the one that waits is the victim ---- */

static void
look_op(struct step_world *w)
{
	shoal_waitable on[3];
	list_all(w, on);
	step_mine(w)->result = shoal_wait(on, 3, SHOAL_NOWAIT);
}

static void
wait_op(struct step_world *w)
{
	shoal_waitable on[3];
	list_all(w, on);
	step_mine(w)->result = shoal_wait(on, 3, SHOAL_SEC(1));
	step_mine(w)->extra = on[0].ready;
}

/* Two wakes that it was given were others' too. */
static void
put_one(struct step_world *w)
{
	int rc;
	STEP_WITHIN(w, "put", rc = shoal_queue_put(w->object[QUEUE], "x", 1, 0));
	STEP_REQUIRE(w, rc == 0, "put: %d, %s", rc, shoal_error());
}

static void
must_be_told(struct step_world *w)
{
	STEP_REQUIRE(w, step_mine(w)->result >= 0, "wait: %d", (int)step_mine(w)->result);
}

/* Whatever the dead one had armed, all of them work. */
static void
check(struct step_world *w)
{
	shoal_queue *q = w->object[QUEUE];
	shoal_waitable on[3];
	char c;
	ssize_t n = 0;
	int rc;
	while (n >= 0)
		STEP_WITHIN(w, "get", n = shoal_queue_get(q, &c, 1, 0));
	list_all(w, on);
	shoal_event_clear(w->object[EVENT]);
	put_one(w);
	STEP_WITHIN(w, "wait", rc = shoal_wait(on, 1, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, rc == 1, "wait: %d", rc);
	STEP_WITHIN(w, "get", n = shoal_queue_get(q, &c, 1, 0));
	STEP_REQUIRE(w, n == 1, "get: %zd", n);
	shoal_event_set(w->object[EVENT]);
	STEP_WITHIN(w, "wait", rc = shoal_wait(on + 2, 1, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, rc == 1, "wait for the event: %d", rc);
	STEP_REQUIRE(w, shoal_pipe_destroy(w->arena, w->object[LEFT]) == 0, "%s", shoal_error());
	STEP_REQUIRE(w, shoal_queue_destroy(w->arena, q) == 0, "%s", shoal_error());
}

/* ---- one asleep at what the victim does ---- */

static void
sleep_on(struct step_world *w, shoal_waitable on)
{
	arena_join(w);
	step_begin(w, "shoal_wait");
	int rc = shoal_wait(&on, 1, SHOAL_SEC(5));
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, rc == 1 && on.ready, "the sleeping wait: %d, %s", rc, shoal_error());
}

static void
sleep_on_queue(struct step_world *w)
{
	sleep_on(w, shoal_on_queue(w->object[QUEUE]));
}

static void
sleep_on_pipe(struct step_world *w)
{
	sleep_on(w, shoal_on_pipe(w->object[RIGHT]));
}

static void
sleep_on_event(struct step_world *w)
{
	sleep_on(w, shoal_on_event(w->object[EVENT]));
}

/* The dead one's message is there, or another one's. */
static void
rouse_queue(struct step_world *w)
{
	if (shoal_queue_empty(w->object[QUEUE]))
		put_one(w);
	step_must_wake(w, WAKE_MS, "there is a message");
}

static void
rouse_by_death(struct step_world *w)
{
	step_must_wake(w, WAKE_MS, "its peer died");
}

static void
rouse_event(struct step_world *w)
{
	if (!shoal_event_is_set(w->object[EVENT]))
		shoal_event_set(w->object[EVENT]);
	step_must_wake(w, WAKE_MS, "the event is set");
}

static void
rouse_destroyed(struct step_world *w)
{
	shoal_queue *q = NULL;
	if (shoal_queue_open(w->arena, "q", 0, &q) == 0)
		shoal_queue_destroy(w->arena, q);
	step_must_wake(w, WAKE_MS, "the queue is destroyed");
}

static void
put_op(struct step_world *w)
{
	step_mine(w)->result = shoal_queue_put(w->object[QUEUE], "x", 1, SHOAL_SEC(1));
}

static void
own_left(struct step_world *w)
{
	arena_join(w);
	int rc = (int)shoal_pipe_recv(w->object[LEFT], NULL, 0, SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == -EAGAIN, "recv: %d", rc);
}

static void
send_op(struct step_world *w)
{
	step_mine(w)->result = shoal_pipe_send(w->object[LEFT], "x", 1, SHOAL_SEC(1));
}

static void
set_op(struct step_world *w)
{
	step_mine(w)->result = shoal_event_set(w->object[EVENT]);
}

static void
destroy_op(struct step_world *w)
{
	step_mine(w)->result = shoal_queue_destroy(w->arena, w->object[QUEUE]);
}

#define WAITS \
	.setup = setup, .prepare = arena_join, .check = check, .audit = arena_audit, \
	.after = must_be_told, .meet_prepare = arena_join, .meet = { meet_recover, meet_recover }, \
	.role = { { "others", try_others } }
#define WAKES(op_, sleeper_, rouse_) \
	.setup = setup, .op = op_, .sleeper = sleeper_, .rouse = rouse_

STEP_CASE(wait, look, WAITS, .op = look_op)
STEP_CASE(wait, asleep, WAITS, .op = wait_op, .waker = put_one)
STEP_CASE(wait, told_of_a_put, WAKES(put_op, sleep_on_queue, rouse_queue), .prepare = arena_join)
STEP_CASE(wait, told_of_a_send, WAKES(send_op, sleep_on_pipe, rouse_by_death), .prepare = own_left)
STEP_CASE(wait, told_of_a_set, WAKES(set_op, sleep_on_event, rouse_event), .prepare = arena_join)
STEP_CASE(wait, told_of_an_end, WAKES(destroy_op, sleep_on_queue, rouse_destroyed),
          .prepare = arena_join)
