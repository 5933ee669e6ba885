/* Processes: names, codes, daemons, arguments, arenas that are handed on, cleanups. */
#include "outside.h"
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int
exit_with(void *code)
{
	return *(int *)code;
}

static int
wait_for_a_signal(void *unused)
{
	(void)unused;
	return pause();
}

static int
code_of(int (*run)(void *), void *arg, const shoal_process_options *options, int signo)
{
	shoal_process *p;
	int code = 0;
	CHECK(shoal_process_create(run, arg, options, &p) == 0 && shoal_process_pid(p) == 0);
	CHECK(shoal_process_join(p, SHOAL_NOWAIT) == -ECHILD);
	CHECK(shoal_process_start(p) == 0 && shoal_process_start(p) == -EALREADY);
	if (signo) {
		CHECK(shoal_process_join(p, SHOAL_MS(1)) == -ETIMEDOUT && shoal_process_is_alive(p));
		CHECK(shoal_process_exitcode(p, &code) == -EAGAIN && shoal_process_close(p) == -EBUSY);
		CHECK(shoal_process_signal(p, signo) == 0);
	}
	struct pollfd ended = { .fd = shoal_process_fd(p), .events = POLLIN };
	CHECK(poll(&ended, 1, 10000) == 1 && shoal_process_join(p, SHOAL_SEC(5)) == 0);
	CHECK(shoal_process_exitcode(p, &code) == 0 && !shoal_process_is_alive(p));
	CHECK(shoal_process_terminate(p) == 0 && shoal_process_kill(p) == 0);
	CHECK(shoal_process_close(p) == 0);
	return code;
}

static void
cleanup(void *queue)
{
	CHECK(shoal_queue_put(queue, "cleaned", 8, SHOAL_NOWAIT) == 0);
}

/* Looks at itself, and ends from the middle of a function. */
static int
introspect(void *queue)
{
	CHECK(!strcmp(shoal_process_name(shoal_process_current()), "worker"));
	CHECK(shoal_process_pid(shoal_process_parent()) == getppid());
	CHECK(shoal_process_arena(0) && !shoal_process_arena(1));
	CHECK(shoal_process_at_exit(cleanup, queue, 0) == 0);
	shoal_process_exit(7);
}

void
processes(shoal_arena *arena)
{
	shoal_arena *const given[] = { arena };
	shoal_process_options options = { .name = "worker", .arenas = given, .arena_count = 1 };
	const shoal_process_options copied = { .arg_bytes = sizeof(int), .daemon = true };
	shoal_queue *q;
	char text[8];
	CHECK(code_of(exit_with, &(int){ 300 }, &copied, 0) == 44);
	CHECK(code_of(wait_for_a_signal, NULL, NULL, SIGTERM) == -SIGTERM);
	CHECK(shoal_queue_create(arena, NULL, NULL, &q) == 0);
	CHECK(code_of(introspect, q, &options, 0) == 7);
	CHECK(shoal_queue_get(q, text, sizeof text, SHOAL_NOWAIT) == 8 && !strcmp(text, "cleaned"));
	CHECK(shoal_queue_destroy(arena, q) == 0);
	CHECK(shoal_process_children(NULL, 0) == 0 && shoal_cpu_count() >= 1);
	CHECK(!strcmp(shoal_process_name(shoal_process_current()), "MainProcess"));
	CHECK(!shoal_process_parent() && shoal_start_method_set(SHOAL_FORK) == 0);
	CHECK(shoal_start_method_get() == SHOAL_FORK);
}
