/* An arena with a listener, fresh for each test. */
#ifndef TESTS_LISTENER_COMMON_H
#define TESTS_LISTENER_COMMON_H
#include "harness.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <shoal/shoal.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 128, LONG = 3000 };

static const shoal_pipe_options small = { .ring_bytes = 4096 };

struct world {
	shoal_arena *arena;
	shoal_listener *listener;
	uint64_t blocks; /* in use when nobody is connected */
	_Atomic int step, served;
};

static inline uint64_t
blocks(shoal_arena *a)
{
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	return info.blocks;
}

static inline struct world *
world_make(void)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &w->arena), 0);
	REQUIRE_EQ(shoal_listener_create(w->arena, "door", &small, &w->listener), 0);
	w->blocks = blocks(w->arena);
	return w;
}

/* Nothing is wrong, and no connection is left. */
static inline void
nothing_left(struct world *w)
{
	REQUIRE(shoal_arena_recover(w->arena) >= 0);
	REQUIRE_EQ(shoal_arena_check(w->arena, stderr), 0);
	REQUIRE_EQ(blocks(w->arena), w->blocks);
}

static inline void
world_end(struct world *w)
{
	nothing_left(w);
	REQUIRE_EQ(shoal_listener_destroy(w->arena, w->listener), 0);
	REQUIRE_EQ(blocks(w->arena), w->blocks - 1);
	REQUIRE_EQ(shoal_arena_check(w->arena, stderr), 0);
	shoal_arena_close(w->arena);
}

static inline shoal_pipe_end *
connected(struct world *w)
{
	shoal_pipe_end *end = NULL;
	REQUIRE_EQ(shoal_pipe_connect(w->arena, "door", SHOAL_SEC(5), &end), 0);
	return end;
}

static inline shoal_pipe_end *
accepted(struct world *w)
{
	shoal_pipe_end *end = NULL;
	REQUIRE_EQ(shoal_listener_accept(w->listener, SHOAL_SEC(5), &end), 0);
	return end;
}

static inline void
says(shoal_pipe_end *end, const char *text)
{
	REQUIRE_EQ(shoal_pipe_send(end, text, strlen(text) + 1, SHOAL_SEC(5)), 0);
}

static inline void
hears(shoal_pipe_end *end, const char *text)
{
	char got[LONG] = "";
	REQUIRE_EQ(shoal_pipe_recv(end, got, sizeof got, SHOAL_SEC(5)), (ssize_t)strlen(text) + 1);
	REQUIRE_STR_EQ(got, text);
}

static inline void
hears_the_end(shoal_pipe_end *end)
{
	char got[LONG];
	int64_t start = fair_ns();
	REQUIRE_EQ(shoal_pipe_recv(end, got, sizeof got, SHOAL_SEC(5)), -EPIPE);
	REQUIRE(fair_ns() - start < SHOAL_SEC(1) * HARNESS_SLOW);
}

static inline void
until(struct world *w, int step)
{
	for (int i = 0; i < 5000 && atomic_load(&w->step) < step; i++)
		sleep_ms(1);
	REQUIRE(atomic_load(&w->step) >= step);
}

static inline int
wait_long(struct world *w)
{
	atomic_fetch_add(&w->step, 1);
	for (;;)
		pause();
	return 0;
}

static inline void
is_killed(pid_t pid)
{
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
}

static inline bool
readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, timeout_ms) == 1;
}

#endif
