/* CPython's _TestProcess, under each start method. */
#include "process/methods.h"
#include <pthread.h>
#include <shoal/queue.h>
#include <stdlib.h>
#include <sys/wait.h>

static int
look_around(void *arg)
{
	int number = obey(arg);
	shoal_process *me = shoal_process_current(), *parent = shoal_process_parent();
	REQUIRE_STR_EQ(shoal_process_name(me), number ? "reader-1" : "Process-1");
	REQUIRE_STR_EQ(shoal_process_name(parent), "MainProcess");
	REQUIRE_EQ(shoal_process_pid(me), getpid());
	REQUIRE_EQ(shoal_process_pid(parent), atomic_load(&board->value[0]));
	REQUIRE(shoal_process_is_alive(me));
	REQUIRE(shoal_process_is_alive(parent));
	REQUIRE_EQ(shoal_process_join(parent, 0), -EAGAIN);
	REQUIRE(!readable(shoal_process_fd(parent), 0));
	REQUIRE(!shoal_process_arena(1));
	REQUIRE(!getenv("SHOAL_CHILD"));
	REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
	atomic_store(&board->value[1], getpid());
	return 40 + number;
}

EACH_METHOD(a_child_knows_itself_and_its_parent)
{
	static const shoal_process_options named = { .name = "reader-1" };
	atomic_store(&board->value[0], getpid());
	shoal_process *p = sent(look_around, 0);
	REQUIRE_EQ(code_of(p), 40);
	REQUIRE_EQ(atomic_load(&board->value[1]), shoal_process_pid(p));
	REQUIRE_EQ(shoal_process_close(p), 0);
	REQUIRE_EQ(ended_code(send_out(look_around, 1, named)), 41);
}

EACH_METHOD(before_during_and_after)
{
	shoal_process *list[2];
	int code;
	shoal_process *p = sent(wait_for_the_end, 0);
	REQUIRE(shoal_process_is_alive(p));
	REQUIRE_EQ(shoal_process_exitcode(p, &code), -EAGAIN);
	REQUIRE_EQ(shoal_process_children(list, 2), 1);
	REQUIRE(list[0] == p);
	REQUIRE_EQ(shoal_process_start(p), -EALREADY);
	REQUIRE_EQ(shoal_process_close(p), -EBUSY);
	REQUIRE_EQ(shoal_process_join(p, 0), -EAGAIN);
	REQUIRE_EQ(shoal_process_join(p, -1), -EAGAIN);
	REQUIRE(!readable(shoal_process_fd(p), 20));
	until(0, shoal_process_pid(p));
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE(readable(shoal_process_fd(p), 5000));
	REQUIRE_EQ(code_of(p), -SIGKILL);
	REQUIRE(!shoal_process_is_alive(p));
	REQUIRE_EQ(shoal_process_join(p, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_process_children(list, 2), 0);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(shoal_process_close(p), 0);
}

static int
end_somehow(void *arg)
{
	int number = obey(arg);
	if (number == 1)
		_exit(7);
	if (number == 2)
		shoal_process_exit(300);
	if (number < 100)
		return number;
	signal(number - 100, SIG_DFL);
	raise(number - 100);
	return 0;
}

EACH_METHOD(exit_codes_are_pythons)
{
	static const struct { int number, code; } rows[] = {
		{ 0, 0 }, { 1, 7 }, { 2, 44 }, { -1, 255 }, { 33, 33 }, { -212, 44 },
		{ 100 + SIGTERM, -SIGTERM }, { 100 + SIGKILL, -SIGKILL }, { 100 + SIGUSR1, -SIGUSR1 },
		{ 100 + SIGINT, -SIGINT },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		REQUIRE_EQ(code_sent(end_somehow, rows[i].number), rows[i].code);
}

EACH_METHOD(terminate_and_any_signal)
{
	shoal_process *p = sent(wait_for_the_end, 0);
	REQUIRE_EQ(shoal_process_terminate(p), 0);
	REQUIRE_EQ(ended_code(p), -SIGTERM);
	p = sent(wait_for_the_end, 0);
	REQUIRE_EQ(shoal_process_signal(p, SIGUSR2), 0);
	REQUIRE_EQ(ended_code(p), -SIGUSR2);
}

#define DEPTH_MAX 2

/* Depth first, as CPython's test has it: each process writes its place, then has two children. */
static int
descend(void *arg)
{
	int place = obey(arg), depth = place < 10 ? 0 : place < 100 ? 1 : 2;
	int at = atomic_fetch_add(&board->value[0], 1);
	snprintf(board->text[at], sizeof board->text[at], "%d %s", place,
	         shoal_process_name(shoal_process_current()));
	for (int i = 1; i <= 2 && depth < DEPTH_MAX; i++)
		REQUIRE_EQ(code_sent(descend, place * 10 + i), 0);
	return 0;
}

EACH_METHOD(children_have_children)
{
	static const char *const expected[] = {
		"1 Process-1", "11 Process-1:1", "111 Process-1:1:1", "112 Process-1:1:2",
		"12 Process-1:2", "121 Process-1:2:1", "122 Process-1:2:2",
	};
	REQUIRE_EQ(code_sent(descend, 1), 0);
	REQUIRE_EQ(atomic_load(&board->value[0]), 7);
	for (int i = 0; i < 7; i++)
		REQUIRE_STR_EQ(board->text[i], expected[i]);
}

/* One that executes the program costs as much as ten. */
#define MANY (order.method == SHOAL_SPAWN ? 20 / HARNESS_SLOW : 100 / HARNESS_SLOW)

EACH_METHOD(many)
{
	static shoal_process *p[100];
	for (int i = 0; i < MANY; i++)
		REQUIRE_EQ(code_sent(return_it, 0), 0);
	for (int i = 0; i < MANY; i++)
		p[i] = sent(wait_for_the_end, 16);
	REQUIRE_EQ(shoal_process_children(NULL, 0), MANY);
	for (int i = 0; i < MANY; i++)
		REQUIRE_EQ(shoal_process_terminate(p[i]), 0);
	for (int i = 0; i < MANY; i++)
		REQUIRE_EQ(ended_code(p[i]), -SIGTERM);
}

static int
count_own(void *arg)
{
	obey(arg);
	return count_fds();
}

/* In children, and in the parent when they are gone. */
EACH_METHOD(descriptors_do_not_pile_up)
{
	static shoal_process *p[20];
	int in_child = code_sent(count_own, 0), here = count_fds();
	for (int i = 0; i < 20; i++)
		p[i] = send_out(wait_for_the_end, 16, (shoal_process_options){ .daemon = i % 2 });
	REQUIRE_EQ(code_sent(count_own, 0), in_child);
	for (int i = 0; i < 20; i++) {
		REQUIRE_EQ(shoal_process_kill(p[i]), 0);
		REQUIRE_EQ(ended_code(p[i]), -SIGKILL);
	}
	REQUIRE_EQ(code_sent(count_own, 0), in_child);
	REQUIRE_EQ(count_fds(), here);
}

static void *
join_too(void *p)
{
	int code = 0;
	int rc = shoal_process_join(p, SHOAL_SEC(10));
	return (void *)(intptr_t)(rc ? rc : shoal_process_exitcode(p, &code) ? -1 : code);
}

/* One of the two takes the status from the kernel, the other finds nothing there. */
EACH_METHOD(threads_may_join_the_same_one)
{
	pthread_t t[4];
	void *got;
	for (int round = 0; round < 5; round++) {
		shoal_process *p = sent(wait_for_the_end, 0);
		for (int i = 0; i < 4; i++)
			REQUIRE_EQ(pthread_create(&t[i], NULL, join_too, p), 0);
		sleep_ms(round);
		REQUIRE_EQ(shoal_process_kill(p), 0);
		for (int i = 0; i < 4; i++) {
			pthread_join(t[i], &got);
			REQUIRE_EQ((intptr_t)got, -SIGKILL);
		}
		REQUIRE_EQ(shoal_process_close(p), 0);
	}
}

static void *
start_some(void *arg)
{
	struct order o = order;
	for (int i = 0; i < 12 / HARNESS_SLOW; i++) {
		shoal_process_options options = { .method = o.method, .arg_bytes = sizeof o,
			.arenas = &arena, .arena_count = 1, .daemon = i % 2 };
		shoal_process *p = NULL;
		o.number = (int)(intptr_t)arg;
		REQUIRE_EQ(shoal_process_spawn(return_it, &o, &options, &p), 0);
		REQUIRE_EQ(ended_code(p), (int)(intptr_t)arg);
	}
	return NULL;
}

EACH_METHOD(threads_start_at_once)
{
	pthread_t t[4];
	for (int i = 0; i < 4; i++)
		REQUIRE_EQ(pthread_create(&t[i], NULL, start_some, (void *)(intptr_t)i), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
}

EACH_METHOD(an_ignored_sigchld_does_no_harm)
{
	signal(SIGCHLD, SIG_IGN);
	REQUIRE_EQ(code_sent(return_it, 7), 7);
	REQUIRE_EQ(code_sent(end_somehow, 2), 44);
	shoal_process *p = sent(wait_for_the_end, 0);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(shoal_process_join(p, SHOAL_SEC(5)), 0);
	/* A fork server knows how its children end; else the kernel tells from 6.15 on. */
	int code = 0, rc = shoal_process_exitcode(p, &code);
	REQUIRE((rc == 0 && code == -SIGKILL) || (rc == -ECHILD && order.method != SHOAL_FORKSERVER));
	REQUIRE_EQ(shoal_process_close(p), 0);
}

static void *
reap_all(void *stop)
{
	while (!atomic_load((_Atomic int *)stop))
		if (waitpid(-1, NULL, WNOHANG) <= 0)
			sleep_ms(1);
	return NULL;
}

EACH_METHOD(a_host_that_reaps_everything_does_no_harm)
{
	pthread_t t;
	REQUIRE_EQ(pthread_create(&t, NULL, reap_all, &board->value[0]), 0);
	for (int i = 0; i < 20; i++) {
		shoal_process *p = sent(return_it, i);
		if (i % 2)
			sleep_ms(2);
		REQUIRE_EQ(ended_code(p), i);
	}
	atomic_store(&board->value[0], 1);
	pthread_join(t, NULL);
}

/* A host that waits for all of its children: neither a server nor its children are among them. */
EACH_METHOD(a_host_can_wait_for_all_its_children)
{
	REQUIRE_EQ(code_sent(return_it, 7), 7);
	pid_t pid;
	while ((pid = waitpid(-1, NULL, 0)) > 0)
		continue;
	REQUIRE_EQ(errno, ECHILD);
	REQUIRE_EQ(code_sent(return_it, 8), 8);
}

/* ---- in a program with much in thread-local memory ---- */

static int
ask_for_descriptor(void *arg)
{
	shoal_queue *q;
	obey(arg);
	REQUIRE_EQ(shoal_queue_create(arena, NULL, NULL, &q), 0);
	int fd = shoal_queue_fd(q);
	REQUIRE(fd > STDERR_FILENO);
	REQUIRE_EQ(shoal_queue_put(q, "x", 1, 0), 0);
	REQUIRE(readable(fd, 5000));
	return 6;
}

/* Its threads' stacks begin with that; a C library that knows no such tunable passes it by. */
Test(process_by_spawn, helpers_have_room_for_the_programs_own)
{
	setenv("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=131072", 1);
	setenv("SHOAL_WITHOUT", "uring", 1);
	prepare(SHOAL_SPAWN);
	REQUIRE_EQ(ended_code(sent(ask_for_descriptor, 0)), 6);
}

/* ---- effective ids that are not the real ones ---- */

static int
return_two(void *arg)
{
	return *(const int *)arg;
}

static int
start_of(shoal_start_method method)
{
	static const int two = 2;
	shoal_process *p;
	shoal_process_options o = { .method = method, .arg_bytes = sizeof two };
	int rc = shoal_process_spawn(return_two, (void *)(uintptr_t)&two, &o, &p);
	return rc ? rc : ended_code(p);
}

static void *
idle(void *arg)
{
	(void)arg;
	sleep_long(NULL);
	return NULL;
}

/* What such a one executes would take no order from its environment, and run main again. */
Test(process_apart, with_other_effective_ids_nothing_is_executed)
{
	pthread_t thread;
	if (skip_unless(geteuid() == 0, "root, to have other ids for a while"))
		return;
	REQUIRE_EQ(pthread_create(&thread, NULL, idle, NULL), 0);
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(i ? setegid(65534) : seteuid(65534), 0);
		REQUIRE_EQ(start_of(SHOAL_SPAWN), -ENOSYS);
		REQUIRE(strstr(shoal_error(), "effective ids") && strstr(shoal_error(), "65534"));
		REQUIRE_EQ(start_of(SHOAL_FORKSERVER), -ENOSYS);
		REQUIRE_EQ(start_of(SHOAL_START_DEFAULT), 2);
		REQUIRE_EQ(i ? setegid(0) : seteuid(0), 0);
	}
	REQUIRE_EQ(start_of(SHOAL_SPAWN), 2);
	REQUIRE_EQ(start_of(SHOAL_FORKSERVER), 2);
	REQUIRE_EQ(seteuid(65534), 0);
	REQUIRE_EQ(start_of(SHOAL_FORKSERVER), 2);
}
