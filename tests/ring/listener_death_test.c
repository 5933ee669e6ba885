/* Listeners, and what is left when somebody dies or goes. */
#include "ring/listener_common.h"

static int
connect_send_wait(void *arg)
{
	says(connected(arg), "hello");
	return wait_long(arg);
}

Test(listener_death, a_client_that_died_before_it_was_accepted_is_read_to_its_end)
{
	struct world *w = world_make();
	pid_t pid = child(connect_send_wait, w);
	until(w, 1);
	is_killed(pid);
	shoal_pipe_end *end = accepted(w);
	hears(end, "hello");
	hears_the_end(end);
	shoal_pipe_close(end);
	nothing_left(w);
	pid = child(connect_send_wait, w);
	until(w, 2);
	is_killed(pid);
	REQUIRE_EQ(shoal_listener_destroy(w->arena, w->listener), 0);
	w->blocks--;
	nothing_left(w);
	shoal_arena_close(w->arena);
}

static int
connect_and_exit(void *arg)
{
	says(connected(arg), "hello");
	exit(0);
}

/* Each of the two ends by being closed, by exit, or by a kill, in both orders. */
Test(listener_death, the_memory_of_a_connection_comes_back)
{
	struct world *w = world_make();
	for (int how = 0; how < 4; how++) {
		pid_t pid = child(how & 1 ? connect_and_exit : connect_send_wait, w);
		shoal_pipe_end *end = accepted(w);
		hears(end, "hello");
		if (how & 2)
			shoal_pipe_close(end);
		if (how & 1)
			expect_child(pid, 0, 5000);
		else
			is_killed(pid);
		if (!(how & 2)) {
			hears_the_end(end);
			shoal_pipe_close(end);
		}
		nothing_left(w);
	}
	world_end(w);
}

struct server {
	struct world *w;
	bool exits;
};

static int
serve_one_and_wait(void *arg)
{
	struct server *s = arg;
	shoal_listener *l;
	shoal_pipe_end *end;
	REQUIRE_EQ(shoal_listener_create(s->w->arena, "other", &small, &l), 0);
	REQUIRE_EQ(shoal_listener_accept(l, SHOAL_SEC(5), &end), 0);
	atomic_fetch_add(&s->w->step, 1);
	hears(end, "end");
	if (s->exits)
		exit(0);
	return wait_long(s->w);
}

static void *
accept_until_the_end(void *listener)
{
	shoal_pipe_end *end;
	REQUIRE_EQ(shoal_listener_accept(listener, SHOAL_SEC(10), &end), -EPIPE);
	return NULL;
}

/* One client is accepted and one is not, and another process accepts too. */
static void
owner_goes(bool exits)
{
	struct world *w = world_make();
	struct server s = { w, exits };
	shoal_pipe_end *in, *waiting, *none;
	shoal_listener *l;
	shoal_pipe_options or_open = { .flags = SHOAL_OR_OPEN };
	pthread_t thread;
	pid_t pid = child(serve_one_and_wait, &s);
	REQUIRE_EQ(shoal_pipe_connect(w->arena, "other", SHOAL_SEC(5), &in), 0);
	until(w, 1);
	REQUIRE_EQ(shoal_listener_create(w->arena, "other", &or_open, &l), 0);
	REQUIRE_EQ(shoal_pipe_connect(w->arena, "other", 0, &waiting), 0);
	says(waiting, "hello");
	says(in, "end");
	if (exits) {
		expect_child(pid, 0, 5000);
	} else {
		until(w, 2);
		is_killed(pid);
	}
	/* It could be accepted by this process, until somebody looks whose it is. */
	hears_the_end(waiting);
	hears_the_end(in);
	pthread_create(&thread, NULL, accept_until_the_end, l);
	pthread_join(thread, NULL);
	REQUIRE_EQ(shoal_pipe_connect(w->arena, "other", 0, &none), -ENOENT);
	shoal_pipe_close(waiting);
	shoal_pipe_close(in);
	nothing_left(w);
	REQUIRE_EQ(shoal_listener_create(w->arena, "other", &small, &l), 0);
	REQUIRE_EQ(shoal_listener_destroy(w->arena, l), 0);
	world_end(w);
}

Test(listener_death, its_process_is_killed)
{
	owner_goes(false);
}

Test(listener_death, its_process_exits)
{
	owner_goes(true);
}

static int
serve_and_be_killed(void *arg)
{
	struct world *w = arg;
	shoal_listener *l;
	REQUIRE_EQ(shoal_listener_create(w->arena, "again", &small, &l), 0);
	return wait_long(w);
}

Test(listener_death, a_killed_server_is_started_anew)
{
	struct world *w = world_make();
	shoal_listener *l;
	for (int i = 0; i < 3; i++) {
		pid_t pid = child(serve_and_be_killed, w);
		until(w, i + 1);
		REQUIRE_EQ(shoal_listener_create(w->arena, "again", &small, &l), -EEXIST);
		is_killed(pid);
	}
	REQUIRE_EQ(shoal_listener_create(w->arena, "again", &small, &l), 0);
	REQUIRE_EQ(shoal_listener_destroy(w->arena, l), 0);
	world_end(w);
}

struct late {
	struct world *w;
	pid_t pid;
};

static void *
destroy_late(void *arg)
{
	struct world *w = arg;
	sleep_ms(50);
	REQUIRE_EQ(shoal_listener_destroy(w->arena, w->listener), 0);
	return NULL;
}

static void *
kill_late(void *pid)
{
	sleep_ms(50);
	kill(*(pid_t *)pid, SIGKILL);
	return NULL;
}

Test(listener_death, destroying_it_wakes_those_who_wait)
{
	struct world *w = world_make();
	shoal_pipe_end *end, *client[BACKLOG];
	pthread_t thread;
	pthread_create(&thread, NULL, destroy_late, w);
	int64_t start = fair_ns();
	REQUIRE_EQ(shoal_listener_accept(w->listener, SHOAL_SEC(10), &end), -EPIPE);
	pthread_join(thread, NULL);
	w->blocks--;
	nothing_left(w);
	w->blocks++;
	REQUIRE_EQ(shoal_listener_create(w->arena, "door", &small, &w->listener), 0);
	for (int i = 0; i < BACKLOG; i++)
		client[i] = connected(w);
	pthread_create(&thread, NULL, destroy_late, w);
	REQUIRE_EQ(shoal_pipe_connect(w->arena, "door", SHOAL_SEC(10), &end), -EPIPE);
	pthread_join(thread, NULL);
	for (int i = 0; i < BACKLOG; i++) {
		hears_the_end(client[i]);
		shoal_pipe_close(client[i]);
	}
	REQUIRE(fair_ns() - start < SHOAL_SEC(3) * HARNESS_SLOW);
	w->blocks--;
	nothing_left(w);
	shoal_arena_close(w->arena);
}

/* A descriptor, an accept and a client that waits are told that the listener's process is dead. */
Test(listener_death, a_death_of_its_process_is_told)
{
	struct world *w = world_make();
	shoal_pipe_options or_open = { .flags = SHOAL_OR_OPEN };
	shoal_pipe_end *end;
	shoal_listener *l;
	for (int i = 0; i < 2; i++) {
		pthread_t thread;
		pid_t pid = child(serve_and_be_killed, w);
		until(w, i + 1);
		REQUIRE_EQ(shoal_listener_create(w->arena, "again", &or_open, &l), 0);
		int fd = i ? shoal_listener_fd(l) : -1;
		REQUIRE(!i || !readable(fd, 10));
		pthread_create(&thread, NULL, kill_late, &pid);
		int64_t start = fair_ns();
		REQUIRE(!i || readable(fd, 5000));
		REQUIRE_EQ(shoal_listener_accept(l, SHOAL_SEC(10), &end), -EPIPE);
		REQUIRE(fair_ns() - start < SHOAL_SEC(1) * HARNESS_SLOW);
		pthread_join(thread, NULL);
		expect_killed(pid, SIGKILL, 5000);
	}
	world_end(w);
}

struct killing {
	pid_t pid;
	int64_t at;
};

/* Late in the slice after which a sleeper looks, which is 50 ms. */
static void *
kill_in_a_slice(void *arg)
{
	struct killing *k = arg;
	sleep_ms(60);
	k->at = fair_ns();
	kill(k->pid, SIGKILL);
	return NULL;
}

/* On a busy machine it may take several tries. */
Test(listener_death, one_who_accepts_in_another_process_is_told_at_once)
{
	struct world *w = world_make();
	shoal_pipe_options or_open = { .flags = SHOAL_OR_OPEN };
	int64_t best = INT64_MAX;
	for (int i = 0; i < 4 && best >= SHOAL_MS(10) * HARNESS_SLOW; i++) {
		shoal_pipe_end *end;
		shoal_listener *l;
		pthread_t thread;
		struct killing k = { .pid = child(serve_and_be_killed, w) };
		until(w, i + 1);
		REQUIRE_EQ(shoal_listener_create(w->arena, "again", &or_open, &l), 0);
		pthread_create(&thread, NULL, kill_in_a_slice, &k);
		REQUIRE_EQ(shoal_listener_accept(l, SHOAL_SEC(10), &end), -EPIPE);
		int64_t told = fair_ns();
		pthread_join(thread, NULL);
		best = told - k.at < best ? told - k.at : best;
		expect_killed(k.pid, SIGKILL, 5000);
	}
	REQUIRE(best < SHOAL_MS(10) * HARNESS_SLOW);
	world_end(w);
}

static int
use_given(void *arg)
{
	struct late *l = arg;
	until(l->w, 1);
	return wait_long(l->w);
}

/* A worker that was given the end dies, and had not used it; its client closes before, or after. */
Test(listener_death, an_end_given_to_a_worker_goes_with_it)
{
	struct world *w = world_make();
	for (int closes_first = 0; closes_first < 2; closes_first++) {
		struct late l = { .w = w };
		atomic_store(&w->step, 0);
		shoal_pipe_end *client = connected(w), *server = accepted(w);
		pid_t pid = child(use_given, &l);
		REQUIRE_EQ(shoal_pipe_give(server, pid), 0);
		if (closes_first)
			shoal_pipe_close(client);
		atomic_store(&w->step, 1);
		until(w, 2);
		is_killed(pid);
		if (!closes_first) {
			hears_the_end(client);
			shoal_pipe_close(client);
		}
		nothing_left(w);
	}
	world_end(w);
}

static int
look_in(void *arg)
{
	struct world *w = arg;
	shoal_free(w->arena, shoal_new(w->arena, 64));
	shoal_arena_close(w->arena);
	return 0;
}

/* The worker has no record in the arena, so nobody recovers it: the next one to leave looks. */
Test(listener_death, a_given_ends_connection_goes_when_another_process_leaves)
{
	struct world *w = world_make();
	struct late l = { .w = w };
	shoal_pipe_end *client = connected(w), *server = accepted(w);
	pid_t pid = child(use_given, &l);
	REQUIRE_EQ(shoal_pipe_give(server, pid), 0);
	shoal_pipe_close(client);
	atomic_store(&w->step, 1);
	until(w, 2);
	is_killed(pid);
	REQUIRE(blocks(w->arena) > w->blocks);
	expect_child(child(look_in, w), 0, 5000);
	REQUIRE_EQ(blocks(w->arena), w->blocks);
	world_end(w);
}
