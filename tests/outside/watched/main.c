/*
 * A program that is compiled with -fsanitize=thread, whose library is not: what asks the kernel for
 * a process or thread that the C library does not know must do so as ThreadSanitizer bears it.
 */
#include "../outside.h"
#include <signal.h>

static int
answer(void *arg)
{
	shoal_queue *q;
	int number = 7 + *(const int *)arg;
	CHECK(shoal_queue_open(shoal_process_arena(0), "answers", SHOAL_SEC(5), &q) == 0);
	return shoal_queue_put(q, &number, sizeof number, SHOAL_SEC(5));
}
SHOAL_ENTRY(outside_watched, answer);

static int
start(shoal_arena *arena, shoal_start_method method)
{
	shoal_arena *const given[] = { arena };
	int number = (int)method, code = -1;
	const shoal_process_options o = { .method = method,
		                              .arg_bytes = sizeof number,
		                              .arenas = given,
		                              .arena_count = 1 };
	shoal_process *p;
	CHECK(shoal_process_spawn(answer, &number, &o, &p) == 0);
	CHECK(shoal_process_join(p, SHOAL_SEC(20)) == 0);
	CHECK(shoal_process_exitcode(p, &code) == 0);
	shoal_process_close(p);
	return code;
}

/* The lock that its holder took along is told to its next taker, whatever the kernel does of it. */
static int
die_with(void *lock)
{
	CHECK(shoal_lock_acquire(lock, SHOAL_NOWAIT) == 0);
	raise(SIGKILL);
	return 0;
}

static void
die(shoal_arena *arena)
{
	shoal_lock *lock;
	shoal_process *p;
	CHECK(shoal_lock_create(arena, NULL, 0, &lock) == 0);
	CHECK(shoal_process_spawn(die_with, lock, NULL, &p) == 0);
	CHECK(shoal_process_join(p, SHOAL_SEC(20)) == 0);
	shoal_process_close(p);
	CHECK(shoal_lock_acquire(lock, SHOAL_SEC(5)) == -EOWNERDEAD);
	CHECK(shoal_lock_consistent(lock) == 0 && shoal_lock_release(lock) == 0);
	CHECK(shoal_lock_destroy(arena, lock) == 0);
}

int
main(void)
{
	static const shoal_start_method methods[] = { SHOAL_FORK, SHOAL_FORKSERVER, SHOAL_SPAWN };
	shoal_arena *arena;
	shoal_queue *q;
	int number;
	CHECK(shoal_arena_create(NULL, NULL, &arena) == 0);
	CHECK(shoal_queue_create(arena, "answers", NULL, &q) == 0 && shoal_queue_fd(q) >= 0);
	for (int i = 0; i < 3; i++) {
		CHECK(start(arena, methods[i]) == 0);
		CHECK(shoal_queue_get(q, &number, sizeof number, SHOAL_NOWAIT) == sizeof number);
		CHECK(number == 7 + (int)methods[i]);
	}
	die(arena);
	CHECK(shoal_queue_destroy(arena, q) == 0);
	shoal_arena_close(arena);
	puts("outside: watched");
}
