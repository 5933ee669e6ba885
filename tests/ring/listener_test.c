/* Listeners: connecting and accepting. */
#include "ring/listener_common.h"
#include <time.h>

static int
greet(void *arg)
{
	struct world *w = arg;
	shoal_pipe_end *end = connected(w);
	says(end, "hello");
	hears(end, "welcome");
	shoal_pipe_close(end);
	return 0;
}

Test(listener, each_client_has_a_pipe_of_its_own)
{
	struct world *w = world_make();
	shoal_pipe_end *end[3];
	pid_t pid[3];
	for (int i = 0; i < 3; i++)
		pid[i] = child(greet, w);
	for (int i = 0; i < 3; i++)
		end[i] = accepted(w);
	REQUIRE(end[0] != end[1] && end[1] != end[2] && end[0] != end[2]);
	for (int i = 0; i < 3; i++) {
		hears(end[i], "hello");
		says(end[i], "welcome");
	}
	for (int i = 0; i < 3; i++) {
		hears_the_end(end[i]);
		shoal_pipe_close(end[i]);
		expect_child(pid[i], 0, 5000);
	}
	world_end(w);
}

Test(listener, clients_are_accepted_in_their_order_and_may_send_before)
{
	struct world *w = world_make();
	shoal_pipe_end *client[5], *server[5];
	char text[LONG];
	memset(text, 'x', sizeof text);
	text[LONG - 1] = 0;
	for (int i = 0; i < 5; i++) {
		client[i] = connected(w);
		text[0] = (char)('a' + i);
		says(client[i], text);
	}
	for (int i = 0; i < 5; i++) {
		server[i] = accepted(w);
		text[0] = (char)('a' + i);
		hears(server[i], text);
		says(server[i], "yes");
		hears(client[i], "yes");
	}
	for (int i = 0; i < 5; i++) {
		shoal_pipe_close(i % 2 ? client[i] : server[i]);
		shoal_pipe_close(i % 2 ? server[i] : client[i]);
	}
	world_end(w);
}

static int
open_late(void *arg)
{
	struct world *w = arg;
	shoal_listener *l;
	shoal_pipe_end *end;
	sleep_ms(50);
	REQUIRE_EQ(shoal_listener_create(w->arena, "late", &small, &l), 0);
	REQUIRE_EQ(shoal_listener_accept(l, SHOAL_SEC(5), &end), 0);
	hears(end, "hello");
	shoal_pipe_close(end);
	return shoal_listener_destroy(w->arena, l);
}

Test(listener, a_client_waits_for_the_listener_to_be_made)
{
	struct world *w = world_make();
	shoal_pipe_end *end;
	int64_t start = now_ns();
	REQUIRE_EQ(shoal_pipe_connect(w->arena, "late", 0, &end), -ENOENT);
	REQUIRE_EQ(shoal_pipe_connect(w->arena, "late", SHOAL_MS(20), &end), -ENOENT);
	REQUIRE(now_ns() - start >= SHOAL_MS(20));
	pid_t pid = child(open_late, w);
	REQUIRE_EQ(shoal_pipe_connect(w->arena, "late", SHOAL_SEC(5), &end), 0);
	says(end, "hello");
	hears_the_end(end);
	shoal_pipe_close(end);
	expect_child(pid, 0, 5000);
	world_end(w);
}

static void *
interrupt_late(void *thread)
{
	sleep_ms(30);
	shoal_thread_interrupt(thread);
	return NULL;
}

Test(listener, an_accept_keeps_its_time)
{
	struct world *w = world_make();
	shoal_pipe_end *end;
	pthread_t thread;
	REQUIRE_EQ(shoal_listener_accept(w->listener, 0, &end), -EAGAIN);
	REQUIRE_EQ(shoal_listener_accept(w->listener, -5, &end), -EAGAIN);
	int64_t start = now_ns();
	REQUIRE_EQ(shoal_listener_accept(w->listener, SHOAL_MS(60), &end), -ETIMEDOUT);
	REQUIRE(now_ns() - start >= SHOAL_MS(60));
	pthread_create(&thread, NULL, interrupt_late, shoal_thread_self());
	REQUIRE_EQ(shoal_listener_accept(w->listener, SHOAL_SEC(5), &end), -ECANCELED);
	pthread_join(thread, NULL);
	world_end(w);
}

Test(listener, who_waits_for_clients_sleeps)
{
	struct world *w = world_make();
	shoal_pipe_end *end;
	int64_t before = thread_cpu_ns();
	REQUIRE_EQ(shoal_listener_accept(w->listener, SHOAL_MS(400), &end), -ETIMEDOUT);
	REQUIRE(thread_cpu_ns() - before < 20000000);
	world_end(w);
}

Test(listener, the_backlog_has_a_limit)
{
	struct world *w = world_make();
	shoal_pipe_end *client[BACKLOG], *more, *server;
	for (int i = 0; i < BACKLOG; i++)
		client[i] = connected(w);
	REQUIRE_EQ(shoal_pipe_connect(w->arena, "door", 0, &more), -EAGAIN);
	REQUIRE_EQ(shoal_pipe_connect(w->arena, "door", SHOAL_MS(20), &more), -ETIMEDOUT);
	pid_t pid = child(greet, w);
	sleep_ms(30);
	for (int i = 0; i < BACKLOG; i++) {
		server = accepted(w);
		shoal_pipe_close(server);
		shoal_pipe_close(client[i]);
	}
	server = accepted(w);
	hears(server, "hello");
	says(server, "welcome");
	expect_child(pid, 0, 5000);
	shoal_pipe_close(server);
	world_end(w);
}

static int
accept_many(void *arg)
{
	struct world *w = arg;
	shoal_listener *l;
	shoal_pipe_options o = { .flags = SHOAL_OR_OPEN };
	REQUIRE_EQ(shoal_listener_create(w->arena, "door", &o, &l), 0);
	REQUIRE(l == w->listener);
	for (;;) {
		shoal_pipe_end *end;
		int rc = shoal_listener_accept(l, SHOAL_SEC(5), &end);
		if (rc == -EPIPE)
			return 0;
		REQUIRE_EQ(rc, 0);
		hears(end, "hello");
		atomic_fetch_add(&w->served, 1);
		says(end, "welcome");
		hears_the_end(end);
		shoal_pipe_close(end);
	}
}

static int
greet_often(void *arg)
{
	for (int i = 0; i < 25; i++)
		greet(arg);
	return 0;
}

Test(listener, several_processes_accept_each_client_once)
{
	struct world *w = world_make();
	pid_t server[3], client[4];
	for (int i = 0; i < 3; i++)
		server[i] = child(accept_many, w);
	for (int i = 0; i < 4; i++)
		client[i] = child(greet_often, w);
	for (int i = 0; i < 4; i++)
		expect_child(client[i], 0, 10000);
	REQUIRE_EQ(atomic_load(&w->served), 100);
	REQUIRE_EQ(shoal_listener_destroy(w->arena, w->listener), 0);
	for (int i = 0; i < 3; i++)
		expect_child(server[i], 0, 5000);
	REQUIRE(shoal_arena_recover(w->arena) >= 0);
	REQUIRE_EQ(shoal_arena_check(w->arena, stderr), 0);
	REQUIRE_EQ(blocks(w->arena), w->blocks - 1);
	shoal_arena_close(w->arena);
}

Test(listener, its_descriptor_tells_of_clients)
{
	struct world *w = world_make();
	int fd = shoal_listener_fd(w->listener);
	REQUIRE(fd >= 0);
	REQUIRE(!readable(fd, 20));
	for (int i = 0; i < 3; i++) {
		shoal_pipe_end *end, *more;
		pid_t pid = child(greet, w);
		REQUIRE(readable(fd, 5000));
		end = accepted(w);
		REQUIRE_EQ(shoal_listener_accept(w->listener, 0, &more), -EAGAIN);
		REQUIRE(!readable(fd, 10));
		hears(end, "hello");
		says(end, "welcome");
		int own = shoal_pipe_fd(end);
		REQUIRE(own >= 0 && readable(own, 5000));
		hears_the_end(end);
		shoal_pipe_close(end);
		/* The end's descriptor went with it, or descriptors would run out. */
		REQUIRE(fcntl(own, F_GETFD) < 0);
		expect_child(pid, 0, 5000);
	}
	world_end(w);
}

/* The other side may have destroyed it at once. */
Test(listener, a_destroyed_connections_descriptors_go_when_it_is_closed)
{
	struct world *w = world_make();
	shoal_pipe_end *client = connected(w), *server = accepted(w);
	int fd = shoal_pipe_fd(client), room = shoal_pipe_room_fd(client);
	REQUIRE(fd >= 0 && room >= 0);
	REQUIRE_EQ(shoal_pipe_destroy(w->arena, server), 0);
	REQUIRE(readable(fd, 5000) && readable(room, 5000));
	shoal_pipe_close(client);
	REQUIRE(fcntl(fd, F_GETFD) < 0 && fcntl(room, F_GETFD) < 0);
	world_end(w);
}

Test(listener, simplex_clients_send)
{
	shoal_arena *a;
	shoal_listener *l;
	shoal_pipe_end *client, *server;
	shoal_pipe_options o = { .ring_bytes = 4096, .flags = SHOAL_PIPE_SIMPLEX };
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_listener_create(a, "s", &o, &l), 0);
	REQUIRE_EQ(shoal_pipe_connect(a, "s", 0, &client), 0);
	says(client, "x");
	REQUIRE_EQ(shoal_listener_accept(l, 0, &server), 0);
	hears(server, "x");
	REQUIRE_EQ(shoal_pipe_send(server, "x", 1, 0), -EPERM);
	shoal_arena_close(a);
}

enum { LISTENER_BYTES = 1408 };

static struct {
	struct world *w;
	uint32_t *memory; /* of a user, where the listener was */
	bool done;
} reuse;

/* The helper of descriptors is held up: the fork that comes has its lock. */
static void
make_memory_of_it(void)
{
	if (reuse.done || !reuse.w)
		return;
	shoal_arena *a = reuse.w->arena;
	reuse.done = true;
	REQUIRE_EQ(shoal_listener_destroy(a, reuse.w->listener), 0);
	for (int i = 0; i < 1000 && (void *)reuse.memory != (void *)reuse.w->listener; i++)
		REQUIRE((reuse.memory = shoal_new(a, LISTENER_BYTES)));
}

static int
nothing(void *unused)
{
	(void)unused;
	return 0;
}

/* What looks at a listener for its descriptor writes to no memory that is another's since. */
Test(listener, a_descriptor_leaves_what_comes_after_it_alone)
{
	REQUIRE_EQ(setenv("SHOAL_WITHOUT", "uring", 1), 0);
	REQUIRE_EQ(pthread_atfork(make_memory_of_it, NULL, NULL), 0);
	struct world *w = world_make();
	int fd = shoal_listener_fd(w->listener);
	REQUIRE(!readable(fd, 20));
	reuse.w = w;
	expect_child(child(nothing, NULL), 0, 5000);
	REQUIRE(reuse.done && (void *)reuse.memory == (void *)w->listener);
	REQUIRE(readable(fd, 5000));
	for (size_t i = 0; i < LISTENER_BYTES / sizeof *reuse.memory; i++)
		REQUIRE_EQ(reuse.memory[i], 0);
	shoal_arena_close(w->arena);
}

/* ---- bad input ---- */

Test(listener, bad_input_is_refused)
{
	struct world *w = world_make();
	shoal_listener *l;
	shoal_pipe_end *end;
	shoal_queue *q;
	shoal_pipe_options shares = { .flags = SHOAL_PIPE_SHARED_ENDS };
	shoal_pipe_options odd = { .ring_bytes = 5000 }, unknown = { .flags = 0x100 };
	uint64_t memory[32] = { 0 };
	REQUIRE_EQ(shoal_queue_create(w->arena, "q", NULL, &q), 0);
	REQUIRE_EQ(shoal_listener_create(w->arena, "door", NULL, &l), -EEXIST);
	REQUIRE_EQ(shoal_listener_create(w->arena, "q", NULL, &l), -EEXIST);
	REQUIRE_EQ(shoal_listener_create(w->arena, NULL, NULL, &l), -EINVAL);
	REQUIRE_EQ(shoal_listener_create(w->arena, "a/b", NULL, &l), -EINVAL);
	REQUIRE_EQ(shoal_listener_create(NULL, "x", NULL, &l), -EINVAL);
	REQUIRE_EQ(shoal_listener_create(w->arena, "x", NULL, NULL), -EINVAL);
	REQUIRE_EQ(shoal_listener_create(w->arena, "x", &shares, &l), -EINVAL);
	REQUIRE_EQ(shoal_listener_create(w->arena, "x", &odd, &l), -EINVAL);
	REQUIRE_EQ(shoal_listener_create(w->arena, "x", &unknown, &l), -EINVAL);
	REQUIRE_EQ(shoal_pipe_connect(w->arena, "q", 0, &end), -EPROTO);
	REQUIRE_EQ(shoal_pipe_connect(w->arena, NULL, 0, &end), -EINVAL);
	REQUIRE_EQ(shoal_pipe_connect(w->arena, "", 0, &end), -EINVAL);
	REQUIRE_EQ(shoal_pipe_connect(w->arena, "door", 0, NULL), -EINVAL);
	REQUIRE_EQ(shoal_pipe_connect(NULL, "door", 0, &end), -EINVAL);
	REQUIRE_EQ(shoal_listener_accept((void *)memory, 0, &end), -EINVAL);
	REQUIRE_EQ(shoal_listener_accept((void *)q, 0, &end), -EPROTO);
	REQUIRE_EQ(shoal_listener_accept(w->listener, 0, NULL), -EINVAL);
	REQUIRE_EQ(shoal_listener_fd((void *)memory), -EINVAL);
	REQUIRE_EQ(shoal_listener_fd((void *)q), -EPROTO);
	REQUIRE_EQ(shoal_listener_destroy(w->arena, NULL), 0);
	REQUIRE_EQ(shoal_queue_destroy(w->arena, q), 0);
	end = connected(w);
	/* Nobody uses the other end before it is accepted: not by its reference either. */
	shoal_pipe_end *other;
	shoal_object_info o = { .kind = 0 };
	for (uint64_t at = 0; o.kind != SHOAL_KIND_PIPE;)
		REQUIRE_EQ(shoal_arena_next(w->arena, &at, &o), 1);
	REQUIRE_EQ(shoal_pipe_at(w->arena, o.ref, &other), 0);
	REQUIRE_EQ(shoal_pipe_send(other, "x", 1, 0), -EBUSY);
	shoal_pipe_close(end);
	shoal_pipe_close(accepted(w));
	world_end(w);
}
