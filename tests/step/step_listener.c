/*
 * Connecting and accepting, killed and stopped at each instruction: no connection is lost to those
 * who live, none is accepted twice, and whatever the dead had of one comes back.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "arena_world.h"
#include "harness.h"

#include <shoal/pipe.h>

enum {
	TIMEOUT_MS = 300,
	POLL_MS = 5000
};

static const shoal_pipe_options small = { .ring_bytes = 4096 };

/*
 * object[0]: the listener of setup; object[1]: the client's end of one who waits there, nobody's.
 */
static shoal_listener *
listener_of(struct step_world *w)
{
	return w->object[0];
}

static void
setup(struct step_world *w)
{
	shoal_listener *l = NULL;
	arena_world(w);
	int rc = shoal_listener_create(w->arena, "door", &small, &l);
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
	w->object[0] = l;
}

static void
setup_client(struct step_world *w)
{
	shoal_pipe_end *end = NULL;
	setup(w);
	int rc = shoal_pipe_connect(w->arena, "door", SHOAL_NOWAIT, &end);
	STEP_REQUIRE(w, rc == 0, "connect: %d, %s", rc, shoal_error());
	STEP_REQUIRE(w, shoal_pipe_send(end, "hello", 5, 0) == 0, "send: %s", shoal_error());
	STEP_REQUIRE(w, shoal_pipe_give(end, 0) == 0, "give: %s", shoal_error());
	w->object[1] = end;
}

/* ---- what survivors do ---- */

/* Both ends are one's own here; `server` may be another connection's. */
static void
exchange(struct step_world *w, shoal_pipe_end *client, shoal_pipe_end *server)
{
	char c = 0;
	ssize_t n;
	STEP_REQUIRE(w, shoal_pipe_send(client, "c", 1, 0) == 0, "send: %s", shoal_error());
	STEP_WITHIN(w, "recv", n = shoal_pipe_recv(server, &c, 1, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, n == 1 && c == 'c', "recv: %zd", n);
}

/* What the dead left in the backlog is read to its end, and given back. */
static uint32_t
drain(struct step_world *w)
{
	for (uint32_t count = 0;; count++) {
		shoal_pipe_end *end;
		char text[8];
		int rc;
		ssize_t n = 0;
		STEP_WITHIN(w, "accept", rc = shoal_listener_accept(listener_of(w), 0, &end));
		if (rc == -EAGAIN)
			return count;
		STEP_REQUIRE(w, rc == 0, "accept: %d, %s", rc, shoal_error());
		while (n >= 0)
			STEP_WITHIN(w, "recv from the dead",
			            n = shoal_pipe_recv(end, text, sizeof text, SHOAL_MS(TIMEOUT_MS)));
		STEP_REQUIRE(w, n == -EPIPE, "recv from the dead: %zd", n);
		shoal_pipe_close(end);
	}
}

static void
turn(struct step_world *w)
{
	shoal_pipe_end *client = NULL, *server = NULL;
	int rc;
	STEP_WITHIN(w, "connect", rc = shoal_pipe_connect(w->arena, "door", 0, &client));
	STEP_REQUIRE(w, rc == 0, "connect: %d, %s", rc, shoal_error());
	STEP_WITHIN(w, "accept", rc = shoal_listener_accept(listener_of(w), 0, &server));
	STEP_REQUIRE(w, rc == 0, "accept: %d, %s", rc, shoal_error());
	exchange(w, client, server);
	shoal_pipe_close(client);
	shoal_pipe_close(server);
}

static void
check_connect(struct step_world *w)
{
	uint32_t left = drain(w);
	bool done = w->part[STEP_VICTIM].done;
	STEP_REQUIRE(w, left <= 1 && (left == 1 || !done), "%u connections of the dead", left);
	for (int i = 0; i < 3; i++)
		turn(w);
}

/* The client that waits is accepted by one of them, or was by the dead one, which ends its pipe. */
static void
check_accept(struct step_world *w)
{
	shoal_pipe_end *client = w->object[1], *server = NULL;
	char text[8];
	int rc;
	ssize_t n;
	STEP_WITHIN(w, "accept", rc = shoal_listener_accept(listener_of(w), 0, &server));
	STEP_REQUIRE(w, rc == 0 || rc == -EAGAIN, "accept: %d, %s", rc, shoal_error());
	STEP_REQUIRE(w, rc != 0 || !w->part[STEP_VICTIM].done, "accepted twice");
	if (rc == 0) {
		n = shoal_pipe_recv(server, text, sizeof text, 0);
		STEP_REQUIRE(w, n == 5, "recv of what was sent before: %zd", n);
		exchange(w, client, server);
		shoal_pipe_close(server);
	}
	STEP_WITHIN(w, "recv", n = shoal_pipe_recv(client, text, 1, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, n == -EPIPE, "recv of the client: %zd", n);
	shoal_pipe_close(client);
	turn(w);
}

/* Two who connect and accept at once, each other's clients or their own. */
static void
crowd(struct step_world *w)
{
	shoal_pipe_end *client = NULL, *server = NULL;
	int rc;
	arena_join(w);
	step_meet(w, 2);
	STEP_WITHIN(w, "connect", rc = shoal_pipe_connect(w->arena, "door", 0, &client));
	STEP_REQUIRE(w, rc == 0, "connect: %d, %s", rc, shoal_error());
	STEP_WITHIN(w, "accept",
	            rc = shoal_listener_accept(listener_of(w), SHOAL_MS(TIMEOUT_MS), &server));
	STEP_REQUIRE(w, rc == 0, "accept: %d, %s", rc, shoal_error());
	shoal_pipe_close(server);
	shoal_pipe_close(client);
}

/* ---- sleepers ---- */

static void
sleep_accept(struct step_world *w)
{
	shoal_pipe_end *end = NULL;
	arena_join(w);
	step_begin(w, "accept, before anybody connects");
	int rc = shoal_listener_accept(listener_of(w), SHOAL_SEC(5), &end);
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, rc == 0, "the sleeping accept: %d, %s", rc, shoal_error());
	shoal_pipe_close(end);
}

static void
poll_accept(struct step_world *w)
{
	struct pollfd watch = { .fd = shoal_listener_fd(listener_of(w)), .events = POLLIN };
	STEP_REQUIRE(w, watch.fd >= 0, "fd: %s", shoal_error());
	step_begin(w, "poll, before anybody connects");
	/* Longer than a victim takes to any of its instructions; who rouses it is who demands haste. */
	int n = poll(&watch, 1, POLL_MS);
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, n == 1 && watch.revents == POLLIN, "poll: %d", n);
}

static void
rouse_accept(struct step_world *w)
{
	shoal_pipe_end *end = NULL;
	int rc;
	STEP_WITHIN(w, "connect", rc = shoal_pipe_connect(w->arena, "door", 0, &end));
	STEP_REQUIRE(w, rc == 0, "connect: %d, %s", rc, shoal_error());
	step_must_wake(w, WAKE_MS, "somebody connected");
	shoal_pipe_close(end);
}

/* The victim destroyed it, or this one does. */
static void
rouse_by_end(struct step_world *w)
{
	shoal_pipe_end *end = NULL;
	int rc;
	STEP_WITHIN(w, "connect", rc = shoal_pipe_connect(w->arena, "door", 0, &end));
	STEP_REQUIRE(w, rc == 0 || rc == -ENOENT, "connect: %d, %s", rc, shoal_error());
	if (rc == 0) {
		shoal_pipe_close(end);
		rc = shoal_listener_destroy(w->arena, listener_of(w));
		STEP_REQUIRE(w, rc == 0, "destroy: %d, %s", rc, shoal_error());
	}
	step_must_wake(w, WAKE_MS, "the listener is destroyed");
}

static void
sleep_until_the_end(struct step_world *w)
{
	shoal_pipe_end *end = NULL;
	arena_join(w);
	step_begin(w, "accept, before it is destroyed");
	int rc = shoal_listener_accept(listener_of(w), SHOAL_SEC(5), &end);
	for (; rc == 0; rc = shoal_listener_accept(listener_of(w), SHOAL_SEC(5), &end))
		shoal_pipe_close(end);
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, rc == -EPIPE, "the sleeping accept: %d, %s", rc, shoal_error());
}

static void
wake_by_connecting(struct step_world *w)
{
	shoal_pipe_end *end = NULL;
	int rc = shoal_pipe_connect(w->arena, "door", 0, &end);
	STEP_REQUIRE(w, rc == 0, "connect: %d, %s", rc, shoal_error());
}

/* ---- victims ---- */

static void
connect_op(struct step_world *w)
{
	shoal_pipe_end *end = NULL;
	step_mine(w)->result = shoal_pipe_connect(w->arena, "door", SHOAL_SEC(1), &end);
	step_mine(w)->pointer = end;
}

static void
must_be_0(struct step_world *w)
{
	STEP_REQUIRE(w, step_mine(w)->result == 0, "the call: %d", (int)step_mine(w)->result);
}

static void
accept_op(struct step_world *w)
{
	shoal_pipe_end *end = NULL;
	step_mine(w)->result = shoal_listener_accept(listener_of(w), SHOAL_SEC(1), &end);
}

/* One that stood still may have left its client to another one. */
static void
accept_after(struct step_world *w)
{
	int rc = (int)step_mine(w)->result;
	STEP_REQUIRE(w, rc == 0 || rc == -ETIMEDOUT, "accept: %d", rc);
}

static void
fd_op(struct step_world *w)
{
	int fd = shoal_listener_fd(listener_of(w));
	step_mine(w)->result = fd < 0 ? fd : 0;
}

static shoal_pipe_end *mine[2];

static void
both_ends(struct step_world *w)
{
	arena_join(w);
	int rc = shoal_pipe_connect(w->arena, "door", 0, &mine[0]);
	STEP_REQUIRE(w, rc == 0, "connect: %d, %s", rc, shoal_error());
	rc = shoal_listener_accept(listener_of(w), 0, &mine[1]);
	STEP_REQUIRE(w, rc == 0, "accept: %d, %s", rc, shoal_error());
}

static void
close_op(struct step_world *w)
{
	shoal_pipe_close(mine[0]);
	shoal_pipe_close(mine[1]);
	step_mine(w)->result = 0;
}

static void
check_turns(struct step_world *w)
{
	drain(w);
	for (int i = 0; i < 3; i++)
		turn(w);
}

static void
create_op(struct step_world *w)
{
	shoal_listener *l = NULL;
	step_mine(w)->result = shoal_listener_create(w->arena, "new", &small, &l);
}

/* It went with the one that made it. */
static void
check_create(struct step_world *w)
{
	shoal_listener *l = NULL;
	shoal_pipe_end *end = NULL;
	int rc;
	STEP_WITHIN(w, "connect", rc = shoal_pipe_connect(w->arena, "new", 0, &end));
	STEP_REQUIRE(w, rc == -ENOENT, "connect to the dead one's: %d, %s", rc, shoal_error());
	STEP_WITHIN(w, "create", rc = shoal_listener_create(w->arena, "new", &small, &l));
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
	STEP_WITHIN(w, "destroy", rc = shoal_listener_destroy(w->arena, l));
	STEP_REQUIRE(w, rc == 0, "destroy: %d, %s", rc, shoal_error());
	turn(w);
}

static void
destroy_op(struct step_world *w)
{
	step_mine(w)->result = shoal_listener_destroy(w->arena, listener_of(w));
}

/* Whoever destroyed it: the client that waited there is told. */
static void
check_destroy(struct step_world *w)
{
	shoal_pipe_options open = { .flags = SHOAL_OR_OPEN };
	shoal_listener *l = NULL;
	char text[8];
	int rc;
	ssize_t n;
	STEP_WITHIN(w, "create", rc = shoal_listener_create(w->arena, "door", &open, &l));
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
	STEP_WITHIN(w, "destroy", rc = shoal_listener_destroy(w->arena, l));
	STEP_REQUIRE(w, rc == 0, "destroy: %d, %s", rc, shoal_error());
	STEP_WITHIN(w, "recv",
	            n = shoal_pipe_recv(w->object[1], text, sizeof text, SHOAL_MS(TIMEOUT_MS)));
	STEP_REQUIRE(w, n == -EPIPE, "recv of who was not accepted: %zd", n);
	shoal_pipe_close(w->object[1]);
}

static bool
try_turn(struct step_world *w, int64_t ns)
{
	shoal_pipe_end *client = NULL, *server = NULL;
	int64_t began = step_now();
	int rc = shoal_pipe_connect(w->arena, "door", ns, &client);
	STEP_REQUIRE(w, rc == 0, "connect: %d, %s", rc, shoal_error());
	rc = shoal_listener_accept(listener_of(w), ns, &server);
	shoal_pipe_close(client);
	if (rc == 0)
		shoal_pipe_close(server);
	return rc != 0 || step_now() - began > ns;
}

#define LISTENER(setup_, check_) \
	.setup = setup_, .check = check_, .audit = arena_audit, .meet_prepare = arena_join, \
	.meet = { meet_recover, meet_recover }
#define WATCHERS .role = { { "turn", try_turn }, { "others", try_others } }

STEP_CASE(listener, connect, LISTENER(setup, check_connect), .crowd = crowd,
          .prepare = arena_join, .op = connect_op, .after = must_be_0, WATCHERS)
STEP_CASE(listener, connect_to_sleeper, .setup = setup, .prepare = arena_join, .op = connect_op,
          .sleeper = sleep_accept, .rouse = rouse_accept)
STEP_CASE(listener, connect_to_poller, .setup = setup, .prepare = arena_join, .op = connect_op,
          .sleeper = poll_accept, .rouse = rouse_accept)
STEP_CASE(listener, accept, LISTENER(setup_client, check_accept), .prepare = arena_join,
          .op = accept_op, .after = accept_after, WATCHERS)
STEP_CASE(listener, accept_asleep, LISTENER(setup, check_turns), .prepare = arena_join,
          .op = accept_op, .waker = wake_by_connecting)
STEP_CASE(listener, close, LISTENER(setup, check_turns), .crowd = crowd, .prepare = both_ends,
          .op = close_op, WATCHERS)
STEP_CASE(listener, create, LISTENER(setup, check_create), .prepare = arena_join, .op = create_op,
          WATCHERS)
STEP_CASE(listener, destroy, LISTENER(setup_client, check_destroy), .prepare = arena_join,
          .op = destroy_op, .role = { { "others", try_others } })
STEP_CASE(listener, destroy_wakes, .setup = setup, .prepare = arena_join, .op = destroy_op,
          .sleeper = sleep_until_the_end, .rouse = rouse_by_end)
STEP_CASE(listener, fd, LISTENER(setup, check_turns), .prepare = arena_join, .op = fd_op,
          .after = must_be_0, .stepped = true)
