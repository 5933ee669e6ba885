/* What a pipe does between processes: whose an end is, waiting, deaths. */
#include "pipe_common.h"
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

enum { MESSAGES = 20000 / HARNESS_SLOW };

struct job {
	struct world w;
	int id;
	size_t bytes;
	uint64_t *sums;
};

static int
echo(void *arg)
{
	struct world *w = arg;
	char *buffer = malloc(70000);
	ssize_t n;
	while ((n = shoal_pipe_recv(w->right, buffer, 70000, SHOAL_SEC(20))) >= 0)
		REQUIRE_EQ(shoal_pipe_send(w->right, buffer, (size_t)n, SHOAL_SEC(20)), 0);
	REQUIRE_EQ(n, -EPIPE);
	free(buffer);
	return 0;
}

Test(pipe_share, a_child_echoes_every_length)
{
	struct world w = world_make(16384, 0);
	pid_t pid = child(echo, &w);
	char *out = malloc(70000), *in = malloc(70000);
	for (size_t n = 0; n < 70000; n = n * 5 / 4 + 1) {
		memset(out, (int)n, n);
		REQUIRE_EQ(shoal_pipe_send(w.left, out, n, SHOAL_SEC(20)), 0);
		REQUIRE_EQ(shoal_pipe_recv(w.left, in, 70000, SHOAL_SEC(20)), (ssize_t)n);
		REQUIRE_EQ(memcmp(in, out, n), 0);
	}
	shoal_pipe_close(w.left);
	expect_child(pid, 0, 10000);
	free(out);
	free(in);
	world_end(w);
}

static int
count_up(void *arg)
{
	struct job *j = arg;
	char message[3000];
	for (uint64_t i = 0; i < MESSAGES; i++) {
		size_t n = 8 + i % j->bytes;
		memset(message, (int)i, n);
		memcpy(message, &i, 8);
		REQUIRE_EQ(shoal_pipe_send(j->w.right, message, n, SHOAL_SEC(20)), 0);
	}
	return 0;
}

/* The writer ends by itself, so its end closes behind the last message. */
static void
receive_all(uint32_t ring, size_t bytes)
{
	struct world w = world_make(ring, 0);
	struct job j = { .w = w, .bytes = bytes };
	pid_t pid = child(count_up, &j);
	char message[3000];
	for (uint64_t i = 0; i < MESSAGES; i++) {
		REQUIRE_EQ(shoal_pipe_recv(w.left, message, sizeof message, SHOAL_SEC(20)), 8 + i % bytes);
		REQUIRE_EQ(memcmp(message, &i, 8), 0);
		if (i % 4000 == 3999)
			sleep_ms(5);
	}
	expect_child(pid, 0, 10000);
	REQUIRE_EQ(shoal_pipe_recv(w.left, message, sizeof message, SHOAL_SEC(5)), -EPIPE);
	world_end(w);
}

Test(pipe_share, short_messages_stay_in_order)
{
	receive_all(0, 57);
}

Test(pipe_share, a_small_ring_makes_both_sides_wait)
{
	receive_all(4096, 900);
}

Test(pipe_share, long_messages_stay_in_order)
{
	receive_all(4096, 2900);
}

static int
use_right(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_pipe_send(w->right, "x", 1, 0), -EBUSY);
	REQUIRE(strstr(shoal_error(), "SHOAL_PIPE_SHARED_ENDS"));
	REQUIRE_EQ(shoal_pipe_recv(w->right, NULL, 0, 0), -EBUSY);
	REQUIRE_EQ(shoal_pipe_give(w->right, getpid()), -EBUSY);
	shoal_pipe_close(w->right);
	return 0;
}

Test(pipe_share, an_end_belongs_to_the_first_that_uses_it)
{
	struct world w = world_make(0, 0);
	send_text(w.right, "mine");
	expect_child(child(use_right, &w), 0, 5000);
	send_text(w.right, "still");
	recv_text(w.left, "mine");
	recv_text(w.left, "still");
	world_end(w);
}

static int
take_over(void *arg)
{
	struct world *w = arg;
	recv_text(w->right, "go");
	send_text(w->right, "second");
	return 0;
}

Test(pipe_share, an_end_is_given_to_the_next_that_uses_it)
{
	struct world w = world_make(0, 0);
	send_text(w.right, "first");
	REQUIRE_EQ(shoal_pipe_give(w.right, 0), 0);
	pid_t pid = child(take_over, &w);
	send_text(w.left, "go");
	recv_text(w.left, "first");
	recv_text(w.left, "second");
	expect_child(pid, 0, 5000);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, SHOAL_SEC(5)), -EPIPE);
	world_end(w);
}

static int
wait_for_gift(void *arg)
{
	struct world *w = arg;
	recv_text(w->right, "go");
	return 0;
}

Test(pipe_share, an_end_is_given_to_a_process)
{
	struct world w = world_make(0, 0);
	shoal_pipe_info info;
	send_text(w.left, "go");
	REQUIRE_EQ(shoal_pipe_peek_bytes(w.right), 3);
	REQUIRE_EQ(shoal_pipe_give(w.right, 1 << 29), -ENOENT);
	pid_t pid = child(wait_for_gift, &w);
	int rc = shoal_pipe_give(w.right, pid);
	REQUIRE(rc == 0 || rc == -EBUSY || rc == -ENOENT || rc == -EPIPE);
	if (rc == 0) {
		REQUIRE_EQ(shoal_pipe_stat(w.left, &info), 0);
		rc = shoal_pipe_recv(w.right, NULL, 0, 0);
		REQUIRE(rc == -EBUSY || rc == -EPIPE);
	}
	expect_child(pid, 0, 5000);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, SHOAL_SEC(5)), -EPIPE);
	world_end(w);
}

/* One who was promised the end and dies before it uses it. */
Test(pipe_share, the_death_of_the_promised_owner_is_the_end)
{
	struct world w = world_make(0, 0);
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	REQUIRE_EQ(shoal_pipe_give(w.right, pid), 0);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, SHOAL_SEC(5)), -EPIPE);
	world_end(w);
}

static int
join_and_sleep(void *arg)
{
	struct world *w = arg;
	shoal_free(w->arena, shoal_new(w->arena, 64));
	for (;;)
		sleep_ms(1000);
	return 0;
}

static int
send_second(void *arg)
{
	struct world *w = arg;
	send_text(w->right, "second");
	return 0;
}

/*
 * One who was only meant to have the end, and dies before it uses it, had nothing: the end stays
 * open, and is the next one's.
 */
Test(pipe_share, an_end_that_nobody_used_outlives_who_was_meant_to_have_it)
{
	struct world w = world_make(0, 0);
	shoal_pipe_info info;
	shoal_arena_info arena;
	send_text(w.left, "kept");
	pid_t pid = child(join_and_sleep, &w);
	while (shoal_arena_stat(w.arena, &arena) == 0 && arena.members < 2)
		sleep_ms(1);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE_EQ(shoal_arena_recover(w.arena), 1);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, SHOAL_MS(30)), -ETIMEDOUT);
	send_text(w.left, "go");
	REQUIRE_EQ(shoal_pipe_stat(w.left, &info), 0);
	REQUIRE_EQ(info.right_owner, 0);
	expect_child(child(send_second, &w), 0, 5000);
	recv_text(w.left, "second");
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, SHOAL_SEC(5)), -EPIPE);
	world_end(w);
}

static int
say_and_sleep(void *arg)
{
	struct world *w = arg;
	send_text(w->right, "here");
	for (;;)
		sleep_ms(1000);
	return 0;
}

static int64_t killed_ns; /* read after the killer is joined */

static void *
kill_later(void *arg)
{
	sleep_ms(100);
	killed_ns = fair_ns();
	kill(*(pid_t *)arg, SIGKILL);
	return NULL;
}

static void
expect_end(bool room)
{
	struct world w = world_make(4096, 0);
	pthread_t thread;
	pid_t pid = child(say_and_sleep, &w);
	recv_text(w.left, "here");
	while (room && shoal_pipe_send(w.left, "fill", 5, 0) == 0)
		continue;
	REQUIRE_EQ(pthread_create(&thread, NULL, kill_later, &pid), 0);
	ssize_t rc = room ? shoal_pipe_send(w.left, "fill", 5, SHOAL_SEC(10))
	                  : shoal_pipe_recv(w.left, NULL, 0, SHOAL_SEC(10));
	int64_t ended_ns = fair_ns();
	pthread_join(thread, NULL);
	REQUIRE_EQ(rc, -EPIPE);
	REQUIRE(ended_ns - killed_ns < INT64_C(100000000) * HARNESS_SLOW);
	REQUIRE_EQ(shoal_pipe_poll(w.left, 0), 1);
	REQUIRE_EQ(shoal_pipe_send(w.left, "x", 1, 0), -EPIPE);
	expect_killed(pid, SIGKILL, 5000);
	world_end(w);
}

Test(pipe_share, a_death_ends_a_recv_asleep)
{
	expect_end(false);
}

Test(pipe_share, a_death_ends_a_send_asleep)
{
	expect_end(true);
}

/* Nobody sleeps: polling without a timeout finds it too. */
Test(pipe_share, a_death_is_found_by_polling)
{
	struct world w = world_make(4096, 0);
	pid_t pid = child(say_and_sleep, &w);
	recv_text(w.left, "here");
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	int rc;
	for (int i = 0; (rc = (int)shoal_pipe_recv(w.left, NULL, 0, 0)) == -EAGAIN && i < 1000; i++)
		sleep_ms(1);
	REQUIRE_EQ(rc, -EPIPE);
	world_end(w);
}

static int
die_with_unread(void *arg)
{
	struct world *w = arg;
	char c;
	(void)!shoal_pipe_recv(w->right, &c, 1, 0);
	send_text(w->right, "ready");
	for (;;)
		sleep_ms(1000);
	return 0;
}

Test(pipe_share, long_messages_to_a_dead_owner_are_given_back)
{
	struct world w = world_make(0, 0);
	shoal_arena_info info;
	char *big = calloc(1, 500000);
	pid_t pid = child(die_with_unread, &w);
	recv_text(w.left, "ready");
	for (int i = 0; i < 4; i++)
		REQUIRE_EQ(shoal_pipe_send(w.left, big, 500000, 0), 0);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, SHOAL_SEC(5)), -EPIPE);
	REQUIRE_EQ(shoal_arena_stat(w.arena, &info), 0);
	REQUIRE_EQ(info.blocks, 1);
	free(big);
	world_end(w);
}

static int
use_the_parents_ends(void *arg)
{
	struct world w = *(struct world *)arg;
	char message[100] = "";
	for (int i = 0; i < 4; i++) {
		REQUIRE_EQ(shoal_pipe_send(w.right, message, 8, 0), -EBUSY);
		REQUIRE_EQ(shoal_pipe_recv(w.left, message, 100, 0), -EBUSY);
		REQUIRE_EQ(shoal_pipe_send_many(w.right, message, 8, 2, 0), -EBUSY);
	}
	return 0;
}

/* Nothing but its first call tells it of the fork; what its parent used last is not its own. */
Test(pipe_share, a_child_does_not_take_itself_for_its_parent, .disabled = NOT_SEEN_BY_TSAN)
{
	struct world w = world_make(0, 0);
	char message[100] = "";
	for (int i = 0; i < 20; i++) {
		REQUIRE_EQ(shoal_pipe_send_many(w.right, message, 8, 2, 0), 2);
		REQUIRE_EQ(shoal_pipe_send(w.right, message, 8, 0), 0);
		REQUIRE_EQ(shoal_pipe_recv(w.left, message, 100, 0), 8);
	}
	expect_child(untold_child(use_the_parents_ends, &w), 0, 5000);
	world_end(w);
}

/* ---- SHARED_ENDS ---- */

static int
share_send(void *arg)
{
	struct job *j = arg;
	char message[2000];
	for (uint64_t i = 1; i <= MESSAGES / 4; i++) {
		size_t n = 16 + i % j->bytes;
		uint64_t head[2] = { (uint64_t)j->id, i };
		memset(message, (int)i, n);
		memcpy(message, head, sizeof head);
		REQUIRE_EQ(shoal_pipe_send(j->w.right, message, n, SHOAL_SEC(20)), 0);
	}
	return 0;
}

static int
share_recv(void *arg)
{
	struct job *j = arg;
	char message[2000];
	uint64_t last[4] = { 0 }, head[2];
	ssize_t n;
	while ((n = shoal_pipe_recv(j->w.left, message, sizeof message, SHOAL_SEC(20))) >= 0) {
		memcpy(head, message, sizeof head);
		REQUIRE_EQ(n, 16 + head[1] % j->bytes);
		REQUIRE(n == 16 || message[n - 1] == (char)head[1]);
		REQUIRE(head[1] > last[head[0]]);
		last[head[0]] = head[1];
		j->sums[j->id] += head[1];
	}
	REQUIRE_EQ(n, -EPIPE);
	return 0;
}

static void
share(size_t bytes)
{
	struct world w = world_make(4096, SHOAL_PIPE_SHARED_ENDS);
	uint64_t *sums = shared(4096), total = 0;
	struct job job[6];
	pid_t pid[6];
	for (int i = 0; i < 6; i++) {
		job[i] = (struct job){ w, i, bytes, sums };
		pid[i] = child(i < 3 ? share_send : share_recv, &job[i]);
	}
	for (int i = 0; i < 3; i++)
		expect_child(pid[i], 0, 20000);
	shoal_pipe_close(w.right);
	for (int i = 3; i < 6; i++)
		expect_child(pid[i], 0, 20000);
	for (int i = 3; i < 6; i++)
		total += sums[i];
	REQUIRE_EQ(total, UINT64_C(3) * (MESSAGES / 4) * (MESSAGES / 4 + 1) / 2);
	world_end(w);
}

Test(pipe_share, three_and_three_share_the_ends, .timeout = 60)
{
	share(100);
}

Test(pipe_share, three_and_three_share_long_messages, .timeout = 60)
{
	share(1900);
}

static int
send_one_and_close(void *arg)
{
	struct world *w = arg;
	send_text(w->right, "f");
	shoal_pipe_close(w->right);
	REQUIRE_EQ(shoal_pipe_send(w->right, "f", 1, 0), -EPIPE);
	return 0;
}

Test(pipe_share, a_shared_end_closes_with_its_last_user)
{
	struct world w = world_make(0, SHOAL_PIPE_SHARED_ENDS);
	for (int i = 0; i < 3; i++) {
		expect_child(child(send_one_and_close, &w), 0, 5000);
		recv_text(w.left, "f");
		REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, 0), -EAGAIN);
	}
	shoal_pipe_close(w.right);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, 0), -EPIPE);
	world_end(w);
}

static int
use_shared(void *arg)
{
	struct world *w = arg;
	char c;
	send_text(w->right, "in");
	(void)!shoal_pipe_recv(w->right, &c, 1, SHOAL_FOREVER);
	return 0;
}

static int
make_if_need_be(void *arg)
{
	struct world *w = arg;
	shoal_pipe_end *left, *right;
	shoal_pipe_options o = { .flags = SHOAL_PIPE_SHARED_ENDS | SHOAL_OR_OPEN };
	REQUIRE_EQ(shoal_pipe_create(w->arena, "p", &o, &left, &right), 0);
	REQUIRE(left == w->left);
	char got[8];
	REQUIRE_EQ(shoal_pipe_recv(left, got, sizeof got, SHOAL_SEC(5)), 3);
	sleep_ms(100);
	send_text(right, "mine");
	recv_text(left, "mine");
	return 0;
}

/* One for whom create found it counts as who made it: the ends stay open for it. */
Test(pipe_share, who_would_have_made_it_is_a_user_of_both_ends)
{
	struct world w = world_make(0, SHOAL_PIPE_SHARED_ENDS);
	pid_t pid = child(make_if_need_be, &w);
	send_text(w.right, "go");
	for (int i = 0; i < 5000 && shoal_pipe_poll(w.left, 0) == 1; i++)
		sleep_ms(1);
	shoal_pipe_close(w.left);
	shoal_pipe_close(w.right);
	expect_child(pid, 0, 5000);
	world_end(w);
}

Test(pipe_share, a_shared_end_closes_with_its_last_users_death)
{
	struct world w = world_make(0, SHOAL_PIPE_SHARED_ENDS);
	pid_t one = child(use_shared, &w), two = child(use_shared, &w);
	recv_text(w.left, "in");
	recv_text(w.left, "in");
	shoal_pipe_close(w.right);
	kill(one, SIGKILL);
	expect_killed(one, SIGKILL, 5000);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, SHOAL_MS(30)), -ETIMEDOUT);
	kill(two, SIGKILL);
	expect_killed(two, SIGKILL, 5000);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, SHOAL_SEC(5)), -EPIPE);
	world_end(w);
}

/* ---- waiting ---- */

static void *
interrupt_later(void *arg)
{
	sleep_ms(50);
	shoal_thread_interrupt(arg);
	return NULL;
}

Test(pipe_share, an_interrupt_ends_a_wait_once)
{
	struct world w = world_make(4096, 0);
	pthread_t thread;
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(pthread_create(&thread, NULL, interrupt_later, shoal_thread_self()), 0);
		ssize_t rc = i ? shoal_pipe_poll(w.right, SHOAL_SEC(10))
		               : shoal_pipe_recv(w.right, NULL, 0, SHOAL_SEC(10));
		REQUIRE_EQ(rc, -ECANCELED);
		pthread_join(thread, NULL);
	}
	REQUIRE_EQ(shoal_pipe_recv(w.right, NULL, 0, SHOAL_MS(5)), -ETIMEDOUT);
	world_end(w);
}

static shoal_pipe_end *signal_end;
static volatile int signal_rc;

static void
nested(int unused)
{
	(void)unused;
	signal_rc = shoal_pipe_send(signal_end, "x", 1, 0);
}

Test(pipe_share, a_nested_call_in_a_signal_handler_is_refused)
{
	struct world w = world_make(0, 0);
	signal_end = w.left;
	signal(SIGALRM, nested);
	alarm(1);
	REQUIRE_EQ(shoal_pipe_recv(w.right, NULL, 0, SHOAL_MS(1500)), -ETIMEDOUT);
	REQUIRE_EQ(signal_rc, -EDEADLK);
	world_end(w);
}

static void *
destroy_later(void *arg)
{
	struct world *w = arg;
	sleep_ms(50);
	REQUIRE_EQ(shoal_pipe_destroy(w->arena, w->left), 0);
	return NULL;
}

Test(pipe_share, destroying_ends_waits)
{
	struct world w = world_make(0, 0);
	pthread_t thread;
	REQUIRE_EQ(pthread_create(&thread, NULL, destroy_later, &w), 0);
	REQUIRE_EQ(shoal_pipe_recv(w.right, NULL, 0, SHOAL_SEC(10)), -EPIPE);
	pthread_join(thread, NULL);
	shoal_arena_close(w.arena);
}

static bool
is_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	REQUIRE(poll(&p, 1, ms) >= 0);
	return p.revents & POLLIN;
}

Test(pipe_share, its_descriptors_tell)
{
	struct world w = world_make(4096, 0);
	char c[5];
	int fd = shoal_pipe_fd(w.right), room = shoal_pipe_room_fd(w.left);
	REQUIRE(fd >= 0 && room >= 0);
	REQUIRE(is_readable(room, 2000));
	while (shoal_pipe_recv(w.right, c, 5, 0) >= 0)
		continue;
	REQUIRE(!is_readable(fd, 50));
	send_text(w.left, "tell");
	REQUIRE(is_readable(fd, 2000));
	while (shoal_pipe_send(w.left, "fill", 5, 0) == 0)
		continue;
	REQUIRE(!is_readable(room, 50));
	while (shoal_pipe_recv(w.right, c, 5, 0) >= 0)
		continue;
	REQUIRE(is_readable(room, 2000));
	REQUIRE(!is_readable(fd, 50));
	shoal_pipe_close(w.left);
	REQUIRE(is_readable(fd, 2000));
	world_end(w);
}
