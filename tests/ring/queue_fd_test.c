/* A queue's descriptors. */
#include "queue_common.h"
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static bool
is_readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, timeout_ms) == 1;
}

static void
drain(shoal_queue *q)
{
	char got[64];
	ssize_t n;
	while ((n = shoal_queue_get(q, got, sizeof got, 0)) >= 0)
		;
	REQUIRE_EQ(n, -EAGAIN);
}

Test(queue_fd, is_readable_while_a_get_would_not_wait)
{
	struct world w = world_make(4, 0, 0);
	int fd = shoal_queue_fd(w.queue);
	REQUIRE(fd >= 0);
	REQUIRE_EQ(shoal_queue_fd(w.queue), fd);
	REQUIRE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	for (int round = 0; round < 3; round++) {
		REQUIRE(!is_readable(fd, 20));
		put_text(w.queue, "a");
		put_text(w.queue, "b");
		REQUIRE(is_readable(fd, 5000));
		get_text(w.queue, "a");
		REQUIRE(is_readable(fd, 5000));
		drain(w.queue);
	}
	shoal_queue_close(w.queue);
	REQUIRE(is_readable(fd, 5000));
	world_end(w);
}

Test(queue_fd, tells_of_room)
{
	struct world w = world_make(2, 0, 0);
	int fd = shoal_queue_room_fd(w.queue);
	REQUIRE(fd >= 0);
	REQUIRE(is_readable(fd, 5000));
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	REQUIRE_EQ(shoal_queue_put(w.queue, "c", 2, 0), -EAGAIN);
	REQUIRE(!is_readable(fd, 20));
	get_text(w.queue, "a");
	REQUIRE(is_readable(fd, 5000));
	get_text(w.queue, "b");
	world_end(w);
}

static int
put_later(void *arg)
{
	struct world *w = arg;
	sleep_ms(50);
	return -shoal_queue_put(w->queue, "from a child", 13, SHOAL_SEC(5));
}

/* A taker that sleeps and a poller do not swallow each other's wake. */
Test(queue_fd, works_for_every_process_and_beside_sleeping_getters)
{
	struct world w = world_make(4, 0, 0);
	int fd = shoal_queue_fd(w.queue);
	for (int i = 0; i < 3; i++) {
		pid_t pid = child(put_later, &w);
		REQUIRE(is_readable(fd, 5000));
		get_text(w.queue, "from a child");
		drain(w.queue);
		expect_child(pid, 0, 5000);
		pid = child(put_later, &w);
		get_text(w.queue, "from a child");
		expect_child(pid, 0, 5000);
		drain(w.queue);
	}
	world_end(w);
}

static int
poll_in_child(void *arg)
{
	struct world *w = arg;
	int fd = shoal_queue_fd(w->queue);
	REQUIRE(fd >= 0);
	REQUIRE(is_readable(fd, 5000));
	get_text(w->queue, "for the child");
	return 0;
}

Test(queue_fd, is_made_anew_after_fork)
{
	struct world w = world_make(4, 0, 0);
	REQUIRE(shoal_queue_fd(w.queue) >= 0);
	pid_t pid = child(poll_in_child, &w);
	sleep_ms(20);
	put_text(w.queue, "for the child");
	expect_child(pid, 0, 5000);
	world_end(w);
}

static int
die_writing(void *arg)
{
	struct world *w = arg;
	shoal_loan loan;
	REQUIRE_EQ(shoal_queue_borrow(w->queue, 0, &loan), 0);
	raise(SIGKILL);
	return 0;
}

/* What a dead one holds does not keep the descriptor silent. */
Test(queue_fd, tells_of_a_message_that_comes_back_from_the_dead)
{
	struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	put_text(w.queue, "again");
	pid_t pid = child(die_writing, &w);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE_EQ(shoal_arena_recover(w.arena), 1);
	int fd = shoal_queue_fd(w.queue);
	REQUIRE(is_readable(fd, 5000));
	get_text(w.queue, "again");
	drain(w.queue);
	world_end(w);
}
