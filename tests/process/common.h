/* What the tests of this layer share. */
#ifndef TESTS_PROCESS_COMMON_H
#define TESTS_PROCESS_COMMON_H
#include "harness.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <shoal/process.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the processes of a test tell one another. */
struct board {
	_Atomic int value[16];
	char text[16][64];
};
static struct board *board;
static const shoal_process_options as_daemon __attribute__((unused)) = { .daemon = true };

static inline void
make_board(void)
{
	board = shared(sizeof *board);
}

static inline void
until(int slot, int value)
{
	for (int i = 0; i < 5000 && atomic_load(&board->value[slot]) != value; i++)
		sleep_ms(1);
	REQUIRE_EQ(atomic_load(&board->value[slot]), value);
}

static inline int
give_back(void *arg)
{
	return (int)(intptr_t)arg;
}

static inline int
sleep_long(void *arg)
{
	for (;;)
		sleep_ms(1000);
	return arg != NULL;
}

static inline int
say_and_sleep(void *arg)
{
	atomic_store(&board->value[(intptr_t)arg], getpid());
	return sleep_long(NULL);
}

static inline shoal_process *
spawned(int (*run)(void *), void *arg, const shoal_process_options *o)
{
	shoal_process *p = NULL;
	REQUIRE_EQ(shoal_process_spawn(run, arg, o, &p), 0);
	return p;
}

static inline int
code_of(shoal_process *p)
{
	int code = 12345;
	REQUIRE_EQ(shoal_process_join(p, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(shoal_process_exitcode(p, &code), 0);
	return code;
}

static inline int
ended_code(shoal_process *p)
{
	int code = code_of(p);
	REQUIRE_EQ(shoal_process_close(p), 0);
	return code;
}

static inline void
require_gone(pid_t pid)
{
	for (int i = 0; i < 5000 && !kill(pid, 0); i++)
		sleep_ms(1);
	REQUIRE(kill(pid, 0) < 0 && errno == ESRCH);
}

static inline bool
readable(int fd, int timeout_ms)
{
	struct pollfd at = { .fd = fd, .events = POLLIN };
	return poll(&at, 1, timeout_ms) == 1;
}

static inline int
tell_name(void *arg)
{
	int slot = (int)(intptr_t)arg;
	snprintf(board->text[slot], sizeof board->text[slot], "%s<%s",
	         shoal_process_name(shoal_process_current()),
	         shoal_process_name(shoal_process_parent()));
	REQUIRE_EQ(shoal_process_pid(shoal_process_current()), getpid());
	REQUIRE_EQ(shoal_process_pid(shoal_process_parent()), getppid());
	if (slot >= 4)
		return slot;
	REQUIRE_EQ(ended_code(spawned(tell_name, (void *)(intptr_t)(slot + 4), NULL)), slot + 4);
	REQUIRE_EQ(ended_code(spawned(tell_name, (void *)(intptr_t)(slot + 8), NULL)), slot + 8);
	return slot;
}

#endif
