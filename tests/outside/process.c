/* Processes: names, codes, signals, children, daemons, arguments, arenas handed on, cleanups. */
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
code_of(int (*run)(void *), void *arg, const shoal_process_options *options,
        int (*end)(shoal_process *))
{
	shoal_process *p, *child;
	int code = 0;
	CHECK(shoal_process_create(run, arg, options, &p) == 0 && shoal_process_pid(p) == 0);
	CHECK(shoal_process_join(p, SHOAL_NOWAIT) == -ECHILD && !shoal_process_is_alive(p));
	CHECK(shoal_process_start(p) == 0 && shoal_process_start(p) == -EALREADY);
	if (end) {
		CHECK(shoal_process_join(p, SHOAL_MS(1)) == -ETIMEDOUT && shoal_process_is_alive(p));
		CHECK(shoal_process_exitcode(p, &code) == -EAGAIN && shoal_process_close(p) == -EBUSY);
		CHECK(shoal_process_children(&child, 1) == 1 && child == p);
		CHECK(kill(shoal_process_pid(p), 0) == 0 && end(p) == 0);
	}
	struct pollfd ended = { .fd = shoal_process_fd(p), .events = POLLIN };
	CHECK(ended.fd > STDERR_FILENO && poll(&ended, 1, 10000) == 1);
	CHECK(shoal_process_join(p, SHOAL_SEC(5)) == 0);
	CHECK(shoal_process_exitcode(p, &code) == 0 && !shoal_process_is_alive(p));
	CHECK(shoal_process_terminate(p) == 0 && shoal_process_kill(p) == 0);
	CHECK(shoal_process_close(p) == 0);
	return code;
}

static int
interrupt(shoal_process *p)
{
	CHECK(shoal_process_signal(p, 1000) == -EINVAL && shoal_process_signal(p, 0) == 0);
	return shoal_process_signal(p, SIGUSR1);
}

static void
append(void *queue, const char *what)
{
	CHECK(shoal_queue_put(queue, what, strlen(what) + 1, SHOAL_NOWAIT) == 0);
}

static void
last(void *queue)
{
	append(queue, "last");
}

static void
first(void *queue)
{
	append(queue, "first");
}

/* Looks at itself, and ends from the middle of a function. */
static int
introspect(void *queue)
{
	CHECK(!strcmp(shoal_process_name(shoal_process_current()), "worker"));
	CHECK(shoal_process_pid(shoal_process_current()) == getpid());
	CHECK(shoal_process_pid(shoal_process_parent()) == getppid());
	CHECK(shoal_process_is_alive(shoal_process_parent()));
	CHECK(shoal_process_arena(0) && !shoal_process_arena(1));
	CHECK(shoal_process_at_exit(last, queue, 0) == 0);
	CHECK(shoal_process_at_exit(first, queue, 1) == 0);
	shoal_process_exit(7);
}

/* A daemon has no children. */
static int
have_a_child(void *code)
{
	return shoal_process_spawn(exit_with, code, NULL, NULL) == -EPERM ? 0 : 1;
}

/* Nobody has its handle but the library; it counts as a child as long as it runs. */
static void
kept(void)
{
	shoal_process *child;
	CHECK(shoal_process_spawn(wait_for_a_signal, NULL, NULL, NULL) == 0);
	CHECK(shoal_process_children(&child, 1) == 1);
	CHECK(!strncmp(shoal_process_name(child), "Process-", 8));
	CHECK(shoal_process_kill(child) == 0 && shoal_process_join(child, SHOAL_SEC(5)) == 0);
	CHECK(shoal_process_close(child) == 0 && shoal_process_children(NULL, 0) == 0);
}

void
processes(shoal_arena *arena)
{
	shoal_arena *const given[] = { arena };
	shoal_process_options options = { .name = "worker", .arenas = given, .arena_count = 1 };
	const shoal_process_options copied = { .arg_bytes = sizeof(int), .daemon = true };
	shoal_queue *q;
	char text[8];
	CHECK(code_of(exit_with, &(int){ 300 }, &copied, NULL) == 44);
	CHECK(code_of(have_a_child, &(int){ 0 }, &copied, NULL) == 0);
	CHECK(code_of(wait_for_a_signal, NULL, NULL, shoal_process_terminate) == -SIGTERM);
	CHECK(code_of(wait_for_a_signal, NULL, NULL, shoal_process_kill) == -SIGKILL);
	CHECK(code_of(wait_for_a_signal, NULL, NULL, interrupt) == -SIGUSR1);
	CHECK(shoal_queue_create(arena, NULL, NULL, &q) == 0);
	CHECK(code_of(introspect, q, &options, NULL) == 7);
	CHECK(shoal_queue_get(q, text, sizeof text, SHOAL_NOWAIT) == 6 && !strcmp(text, "first"));
	CHECK(shoal_queue_get(q, text, sizeof text, SHOAL_NOWAIT) == 5 && !strcmp(text, "last"));
	CHECK(shoal_queue_destroy(arena, q) == 0);
	kept();
	CHECK(!strcmp(shoal_process_name(shoal_process_current()), "MainProcess"));
	CHECK(!shoal_process_parent() && !shoal_process_arena(0) && shoal_cpu_count() >= 1);
}
