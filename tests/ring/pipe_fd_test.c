/* A pipe's descriptors: what the death of its other end tells. */
#include "base/kernel.h"
#include "pipe_common.h"
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

static bool
is_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	REQUIRE(poll(&p, 1, ms) >= 0);
	return p.revents & POLLIN;
}

static void
drain(shoal_pipe_end *end)
{
	char got[64];
	ssize_t n;
	while ((n = shoal_pipe_recv(end, got, sizeof got, 0)) >= 0)
		continue;
	REQUIRE_EQ(n, -EAGAIN);
}

/*
 * Nothing is there, and the descriptor says so: once the writer, whose message may have been taken
 * before it told of it, has done so.
 */
static void
expect_silence(shoal_pipe_end *end, int fd)
{
	int tries = 0;
	do {
		REQUIRE(tries++ < 20);
		drain(end);
	} while (is_readable(fd, 30));
}

static int
own_it_until_killed(void *arg)
{
	struct world *w = arg;
	send_text(w->right, "mine");
	pause();
	return 0;
}

Test(pipe_fd, tells_of_its_idle_peers_death)
{
	struct world w = world_make(0, 0);
	int fd = shoal_pipe_fd(w.left);
	pid_t pid = child(own_it_until_killed, &w);
	REQUIRE(is_readable(fd, 5000));
	recv_text(w.left, "mine");
	expect_silence(w.left, fd);
	kill(pid, SIGKILL);
	int64_t killed = fair_ns();
	REQUIRE(is_readable(fd, 5000));
	REQUIRE(fair_ns() - killed < 1000000000);
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, 0), -EPIPE);
	expect_killed(pid, SIGKILL, 5000);
	world_end(w);
}

static int
only_receive(void *arg)
{
	struct world *w = arg;
	recv_text(w->right, "work");
	recv_text(w->right, "more work");
	return 0;
}

/* An end that is taken by a call which sends nothing. */
Test(pipe_fd, tells_of_the_death_of_one_who_never_sent)
{
	struct world w = world_make(0, 0);
	int fd = shoal_pipe_fd(w.left);
	pid_t pid = child(only_receive, &w);
	send_text(w.left, "work");
	for (int i = 0; i < 5; i++) {
		drain(w.left);
		is_readable(fd, 20);
	}
	kill(pid, SIGKILL);
	REQUIRE(is_readable(fd, 5000));
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, SHOAL_SEC(1)), -EPIPE);
	expect_killed(pid, SIGKILL, 5000);
	world_end(w);
}

static int
be_there(void *unused)
{
	(void)unused;
	pause();
	return 0;
}

/* The owner of the right end dies: the descriptor of the left one tells it. */
static void
expect_word_of_its_death(struct world w, int fd, pid_t pid)
{
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE(is_readable(fd, 5000));
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, SHOAL_SEC(1)), -EPIPE);
}

Test(pipe_fd, tells_of_the_death_of_one_it_was_given_to)
{
	struct world w = world_make(0, 0);
	pid_t pid = child(be_there, NULL);
	send_text(w.right, "before");
	REQUIRE_EQ(shoal_pipe_give(w.right, pid), 0);
	int fd = shoal_pipe_fd(w.left);
	recv_text(w.left, "before");
	expect_silence(w.left, fd);
	expect_word_of_its_death(w, fd, pid);
	world_end(w);
}

/* The descriptor was silent for the giver when the end became another one's. */
Test(pipe_fd, tells_of_the_death_of_one_it_was_given_to_since)
{
	struct world w = world_make(0, 0);
	int fd = shoal_pipe_fd(w.left);
	send_text(w.right, "before");
	recv_text(w.left, "before");
	expect_silence(w.left, fd);
	pid_t pid = child(be_there, NULL);
	REQUIRE_EQ(shoal_pipe_give(w.right, pid), 0);
	expect_silence(w.left, fd);
	expect_word_of_its_death(w, fd, pid);
	world_end(w);
}

/* Who was given it uses it: the descriptor follows the new owner. */
Test(pipe_fd, follows_an_end_to_its_next_owner)
{
	struct world w = world_make(0, 0);
	int fd = shoal_pipe_fd(w.left);
	send_text(w.right, "from here");
	recv_text(w.left, "from here");
	drain(w.left);
	REQUIRE_EQ(shoal_pipe_give(w.right, 0), 0);
	pid_t pid = child(own_it_until_killed, &w);
	recv_text(w.left, "mine");
	expect_silence(w.left, fd);
	kill(pid, SIGKILL);
	REQUIRE(is_readable(fd, 5000));
	REQUIRE_EQ(shoal_pipe_recv(w.left, NULL, 0, 0), -EPIPE);
	expect_killed(pid, SIGKILL, 5000);
	world_end(w);
}

static int
idle_beside_a_peer(void *arg)
{
	struct world *w = arg;
	struct rusage before, after;
	int fd = shoal_pipe_fd(w->left);
	drain(w->left);
	sleep_ms(20);
	getrusage(RUSAGE_SELF, &before);
	REQUIRE(!is_readable(fd, 500));
	getrusage(RUSAGE_SELF, &after);
	REQUIRE(after.ru_nvcsw - before.ru_nvcsw < 10);
	return 0;
}

Test(pipe_fd, nobody_runs_while_all_is_idle)
{
	struct world w = world_make(0, 0);
	send_text(w.right, "hello");
	if (kernel_has(KERNEL_URING) && kernel_has(KERNEL_PENDING_RULE))
		expect_child(child(idle_beside_a_peer, &w), 0, 5000);
	shoal_pipe_close(w.right);
	shoal_arena_close(w.arena);
}

/* Where there is room for what was sent last, though less than what was refused before. */
Test(pipe_fd, of_room_goes_by_what_was_sent_last)
{
	struct world w = world_make(1 << 16, 0);
	static char long_one[15000];
	int fd = shoal_pipe_room_fd(w.right);
	REQUIRE(fd >= 0);
	for (int i = 0; i < 4; i++)
		REQUIRE_EQ(shoal_pipe_send(w.right, long_one, sizeof long_one, 0), 0);
	for (int i = 0; i < 3; i++)
		send_text(w.right, "short");
	REQUIRE_EQ(shoal_pipe_send(w.right, long_one, sizeof long_one, 0), -EAGAIN);
	REQUIRE(!is_readable(fd, 20));
	for (int i = 0; i < 3; i++)
		send_text(w.right, "short");
	REQUIRE(is_readable(fd, 5000));
	world_end(w);
}
