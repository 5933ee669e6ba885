/*
 * Tests that are the same under each start method. A process that was not forked knows nothing of
 * its test but what goes to it: an order by copy, and an arena in which the board is.
 */
#ifndef TESTS_PROCESS_METHODS_H
#define TESTS_PROCESS_METHODS_H
#include "process/common.h"
#include <shoal/arena.h>

struct order {
	shoal_start_method method;
	shoal_ref board;
	int number;
};

static shoal_arena *arena;
static struct order order; /* what a test sends next; in a child what it got */

#define EACH_METHOD(name) \
	static void name(void); \
	Test(process_by_fork, name) \
	{ \
		prepare(SHOAL_FORK); \
		name(); \
	} \
	Test(process_by_server, name) \
	{ \
		prepare(SHOAL_FORKSERVER); \
		name(); \
	} \
	Test(process_by_spawn, name) \
	{ \
		prepare(SHOAL_SPAWN); \
		name(); \
	} \
	static void name(void)

static inline void
prepare(shoal_start_method method)
{
	shoal_arena_options o = { .limit_bytes = 1 << 22 };
	REQUIRE_EQ(shoal_arena_create(NULL, &o, &arena), 0);
	board = shoal_new(arena, sizeof *board);
	memset(board, 0, sizeof *board);
	order = (struct order){ .method = method, .board = shoal_ref_of(arena, board) };
}

/* What each function of these tests begins with. */
static inline int
obey(const void *arg)
{
	order = *(const struct order *)arg;
	arena = shoal_process_arena(0);
	REQUIRE(arena);
	board = shoal_deref(arena, order.board);
	return order.number;
}

static inline shoal_process *
send_out(int (*run)(void *), int number, shoal_process_options o)
{
	shoal_process *p = NULL;
	o.method = order.method;
	o.arg_bytes = sizeof order;
	o.arenas = &arena;
	o.arena_count = 1;
	order.number = number;
	REQUIRE_EQ(shoal_process_spawn(run, &order, &o, &p), 0);
	return p;
}

static inline shoal_process *
sent(int (*run)(void *), int number)
{
	return send_out(run, number, (shoal_process_options){ 0 });
}

static inline int
code_sent(int (*run)(void *), int number)
{
	return ended_code(sent(run, number));
}

/* Functions that several tests send. */
static inline int
return_it(void *arg)
{
	return obey(arg);
}

static inline int
wait_for_the_end(void *arg)
{
	int slot = obey(arg);
	if (slot < 16)
		atomic_store(&board->value[slot], getpid());
	return sleep_long(NULL);
}

static inline int
count_fds(void)
{
	int count = 0;
	for (int fd = 0; fd < 512; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

#endif
