/* What the tests of shoal_wait share. */
#ifndef TESTS_WAIT_ANY_COMMON_H
#define TESTS_WAIT_ANY_COMMON_H
#include "process/common.h"
#include <pthread.h>
#include <shoal/shoal.h>
#include <string.h>
#include <sys/socket.h>

static inline shoal_arena *
arena_make(void)
{
	shoal_arena *a;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	return a;
}

static inline void
arena_end(shoal_arena *a)
{
	REQUIRE(shoal_arena_recover(a) >= 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

static inline shoal_queue *
queue_make(shoal_arena *a)
{
	shoal_queue *q;
	REQUIRE_EQ(shoal_queue_create(a, NULL, NULL, &q), 0);
	return q;
}

static inline void
pipe_make(shoal_arena *a, shoal_pipe_end **left, shoal_pipe_end **right)
{
	static const shoal_pipe_options small = { .ring_bytes = 4096 };
	REQUIRE_EQ(shoal_pipe_create(a, NULL, &small, left, right), 0);
}

static inline int64_t
ms_since(int64_t start)
{
	return (fair_ns() - start) / 1000000;
}

struct talk {
	shoal_pipe_end *left, *right;
	int number, pause_ms;
};

struct sleep_for {
	shoal_queue *queue;
	int ms;
};

static inline int
put_late(void *arg)
{
	struct sleep_for *s = arg;
	sleep_ms(s->ms);
	return shoal_queue_put(s->queue, "x", 1, SHOAL_SEC(5));
}

#endif
