/* An event's descriptor. */
#include "queue_common.h"
#include "sync/event.h"
#include "sync/robust.h"
#include <fcntl.h>
#include <poll.h>
#include <shoal/sync.h>
#include <sys/epoll.h>
#include <unistd.h>

struct meeting {
	shoal_arena *arena;
	shoal_event *event;
	word32 *ready;
	word64 *told_ns; /* now_ns when the last one was told */
};

static struct meeting
meet(void)
{
	struct meeting m = { .ready = shared(sizeof *m.ready), .told_ns = shared(sizeof *m.told_ns) };
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &m.arena), 0);
	REQUIRE_EQ(shoal_event_create(m.arena, "done", &m.event), 0);
	return m;
}

static int
descriptor(const struct meeting *m)
{
	int fd = shoal_event_fd(m->event);
	REQUIRE(fd >= 0);
	return fd;
}

static bool
is_readable(int fd, int timeout_ms)
{
	struct epoll_event e = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	REQUIRE(ep >= 0);
	REQUIRE_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
	int n = epoll_wait(ep, &e, 1, timeout_ms);
	close(ep);
	return n == 1;
}

Test(event_fd, is_readable_while_the_event_is_set)
{
	struct meeting m = meet();
	int fd = descriptor(&m);
	REQUIRE_EQ(shoal_event_fd(m.event), fd);
	REQUIRE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	for (int round = 0; round < 3; round++) {
		REQUIRE(!is_readable(fd, 20));
		REQUIRE_EQ(shoal_event_set(m.event), 0);
		REQUIRE(is_readable(fd, 5000));
		REQUIRE_EQ(shoal_event_wait(m.event, SHOAL_NOWAIT), 0);
		REQUIRE(is_readable(fd, 0));
		REQUIRE_EQ(shoal_event_clear(m.event), 0);
		REQUIRE_EQ(shoal_event_wait(m.event, SHOAL_NOWAIT), -EAGAIN);
	}
	shoal_arena_close(m.arena);
}

Test(event_fd, one_that_is_set_already_is_readable_at_once)
{
	struct meeting m = meet();
	REQUIRE_EQ(shoal_event_set(m.event), 0);
	REQUIRE(is_readable(descriptor(&m), 0));
	shoal_arena_close(m.arena);
}

/* Nor does its helper touch what comes to be there afterwards. */
Test(event_fd, of_a_destroyed_event_is_readable)
{
	struct meeting m = meet();
	int fd = descriptor(&m);
	uint32_t *user = NULL;
	REQUIRE(!is_readable(fd, 20));
	REQUIRE_EQ(shoal_event_destroy(m.arena, m.event), 0);
	for (int i = 0; i < 1000 && (void *)user != (void *)m.event; i++)
		REQUIRE((user = shoal_new(m.arena, 512)));
	REQUIRE(is_readable(fd, 5000));
	sleep_ms(30);
	if ((void *)user == (void *)m.event)
		REQUIRE(user[0] == 0 && user[1] == 0);
	shoal_arena_close(m.arena);
}

Test(event_fd, an_event_outside_of_arenas_has_none)
{
	shoal_event *plain = shared(sizeof *plain);
	REQUIRE_EQ(shoal_event_fd(plain), -EINVAL);
	REQUIRE(strstr(shoal_error(), "shoal_event_create"));
}

static int
set_it(void *arg)
{
	const struct meeting *m = arg;
	sleep_ms(30);
	return -shoal_event_set(m->event);
}

static int
poll_it(void *arg)
{
	const struct meeting *m = arg;
	int fd = descriptor(m);
	fetch_add_seq_cst(m->ready, 1);
	REQUIRE(is_readable(fd, 5000));
	uint64_t now = (uint64_t)now_ns(), last;
	while ((last = load_relaxed(m->told_ns)) < now && !cas64_seq_cst(m->told_ns, last, now))
		continue;
	return 0;
}

static int
sleep_for_it(void *arg)
{
	const struct meeting *m = arg;
	fetch_add_seq_cst(m->ready, 1);
	return -shoal_event_wait(m->event, SHOAL_SEC(5));
}

static void
all_ready(struct meeting *m, uint32_t n)
{
	for (int i = 0; i < 5000 && load_acquire(m->ready) < n; i++)
		sleep_ms(1);
	REQUIRE_EQ(load_acquire(m->ready), n);
	sleep_ms(20);
}

/* Each process has its own, also one whose parent had one; sleepers and pollers all go on. */
Test(event_fd, one_set_tells_every_process)
{
	struct meeting m = meet();
	pid_t pid[4];
	int fd = descriptor(&m);
	for (int i = 0; i < 4; i++)
		pid[i] = child(i % 2 ? sleep_for_it : poll_it, &m);
	all_ready(&m, 4);
	pid_t setter = child(set_it, &m);
	REQUIRE(is_readable(fd, 5000));
	expect_child(setter, 0, 2000);
	for (int i = 0; i < 4; i++)
		expect_child(pid[i], 0, 2000);
	shoal_arena_close(m.arena);
}

/* As set does it, up to the wake. */
static int
die_before_the_wake(void *arg)
{
	const struct meeting *m = arg;
	struct event *e = event_of(m->event);
	robust_pending_set(thread_self(), &e->gate);
	REQUIRE(cas32_seq_cst(&e->turns, 0, 1));
	raise(SIGKILL);
	return 0;
}

/* The kernel wakes one of them, who only polls; the others are told all the same. */
Test(event_fd, a_setter_that_dies_before_its_wake_tells_every_process)
{
	for (int round = 0; round < 5; round++) {
		struct meeting m = meet();
		pid_t pid[4];
		for (int i = 0; i < 4; i++)
			pid[i] = child(poll_it, &m);
		all_ready(&m, 4);
		int fd = descriptor(&m);
		expect_killed(child(die_before_the_wake, &m), SIGKILL, 2000);
		int64_t at = fair_ns();
		REQUIRE(is_readable(fd, 5000));
		REQUIRE(fair_ns() - at < SHOAL_MS(100) * HARNESS_SLOW);
		/*
		 * Not when they have ended: ThreadSanitizer keeps one that had threads for a second. What
		 * the host took from one before it was told is counted at the next tick, so it is asked
		 * for here.
		 */
		for (int i = 0; i < 4; i++)
			expect_child(pid[i], 0, 2000);
		int64_t told = (int64_t)load_relaxed(m.told_ns) + fair_ns() - now_ns();
		REQUIRE(told - at < SHOAL_MS(100) * HARNESS_SLOW);
		shoal_arena_close(m.arena);
	}
}

/* One that only stopped there, too. */
Test(event_fd, a_turn_without_a_wake_is_seen)
{
	struct meeting m = meet();
	int fd = descriptor(&m);
	REQUIRE(!is_readable(fd, 20));
	int64_t at = fair_ns();
	REQUIRE(cas32_seq_cst(&event_of(m.event)->turns, 0, 1));
	REQUIRE(is_readable(fd, 5000));
	REQUIRE(fair_ns() - at < SHOAL_MS(50) * HARNESS_SLOW);
	shoal_arena_close(m.arena);
}

Test(event_fd, goes_with_its_arena)
{
	struct meeting m = meet();
	int fd = descriptor(&m);
	shoal_arena_close(m.arena);
	REQUIRE_EQ(fcntl(fd, F_GETFD), -1);
}
