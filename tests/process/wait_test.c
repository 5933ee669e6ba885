#include "process/common.h"
#include "steps.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static int
end_soon(void *arg)
{
	sleep_ms(200);
	return arg ? 7 : 0;
}

static int
exit_by_libc(void *arg)
{
	_exit((int)(intptr_t)arg);
}

static int
exit_by_shoal(void *arg)
{
	shoal_process_exit((int)(intptr_t)arg);
}

static int
die_by(void *arg)
{
	signal((int)(intptr_t)arg, SIG_DFL);
	raise((int)(intptr_t)arg);
	return 0;
}

static void *
exit_from_thread(void *arg)
{
	shoal_process_exit((int)(intptr_t)arg);
}

static int
exit_elsewhere(void *arg)
{
	pthread_t t;
	pthread_create(&t, NULL, exit_from_thread, arg);
	for (;;)
		pause();
	return 0;
}

Test(process_wait, exit_codes_are_pythons)
{
	static const struct { int (*run)(void *); int given, code; } rows[] = {
		{ give_back, 0, 0 },
		{ give_back, 7, 7 },
		{ give_back, 300, 44 },
		{ give_back, -1, 255 },
		{ exit_by_libc, 7, 7 },
		{ exit_by_shoal, 300, 44 },
		{ exit_by_shoal, 0, 0 },
		{ exit_elsewhere, 9, 9 },
		{ die_by, SIGTERM, -SIGTERM },
		{ die_by, SIGUSR1, -SIGUSR1 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		shoal_process *p = spawned(rows[i].run, (void *)(intptr_t)rows[i].given, NULL);
		REQUIRE_EQ(ended_code(p), rows[i].code);
	}
}

Test(process_wait, terminate_kill_and_any_signal)
{
	shoal_process *p = spawned(sleep_long, NULL, NULL);
	REQUIRE_EQ(shoal_process_terminate(p), 0);
	REQUIRE_EQ(ended_code(p), -SIGTERM);
	p = spawned(sleep_long, NULL, NULL);
	REQUIRE_EQ(shoal_process_signal(p, 0), 0);
	REQUIRE_EQ(shoal_process_signal(p, -1), -EINVAL);
	REQUIRE_EQ(shoal_process_signal(p, 65), -EINVAL);
	REQUIRE_EQ(shoal_process_signal(p, SIGUSR2), 0);
	REQUIRE_EQ(ended_code(p), -SIGUSR2);
}

Test(process_wait, join_keeps_to_its_time)
{
	shoal_process *p = spawned(sleep_long, NULL, NULL);
	REQUIRE_EQ(shoal_process_join(p, 0), -EAGAIN);
	REQUIRE_EQ(shoal_process_join(p, -1), -EAGAIN);
	REQUIRE_EQ(shoal_process_join(p, INT64_MIN), -EAGAIN);
	int64_t begin = now_ns();
	REQUIRE_EQ(shoal_process_join(p, SHOAL_MS(100)), -ETIMEDOUT);
	REQUIRE(now_ns() - begin >= SHOAL_MS(100));
	REQUIRE(shoal_process_is_alive(p));
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(shoal_process_join(p, INT64_MAX - 1), 0);
	REQUIRE_EQ(shoal_process_join(p, 0), 0);
	REQUIRE_EQ(shoal_process_close(p), 0);
}

static void
on_alarm(int signo)
{
	(void)signo;
	atomic_fetch_add(&board->value[0], 1);
}

Test(process_wait, signals_do_not_cut_a_join_short, .init = make_board)
{
	struct sigaction act = { .sa_handler = on_alarm };
	struct itimerval every = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };
	sigaction(SIGALRM, &act, NULL);
	shoal_process *p = spawned(sleep_long, NULL, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	int64_t begin = now_ns();
	REQUIRE_EQ(shoal_process_join(p, SHOAL_MS(300)), -ETIMEDOUT);
	REQUIRE(now_ns() - begin >= SHOAL_MS(300));
	setitimer(ITIMER_REAL, &never, NULL);
	REQUIRE(atomic_load(&board->value[0]) > 3);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(ended_code(p), -SIGKILL);
}

static void *
interrupt_soon(void *thread)
{
	sleep_ms(50);
	shoal_thread_interrupt(thread);
	return NULL;
}

Test(process_wait, an_interrupt_ends_a_join_once)
{
	pthread_t t;
	shoal_process *p = spawned(sleep_long, NULL, NULL);
	REQUIRE_EQ(pthread_create(&t, NULL, interrupt_soon, shoal_thread_self()), 0);
	REQUIRE_EQ(shoal_process_join(p, SHOAL_SEC(10)), -ECANCELED);
	pthread_join(t, NULL);
	REQUIRE_EQ(shoal_process_join(p, SHOAL_MS(30)), -ETIMEDOUT);
	shoal_thread_interrupt(shoal_thread_self());
	REQUIRE_EQ(shoal_process_join(p, SHOAL_SEC(10)), -ECANCELED);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(ended_code(p), -SIGKILL);
}

static int
leave_a_grandchild(void *arg)
{
	(void)arg;
	pid_t pid = fork();
	if (!pid) {
		sleep_ms(2000);
		_exit(0);
	}
	atomic_store(&board->value[0], pid);
	return 5;
}

/* Python's sentinel is a pipe that a grandchild keeps open; a pidfd is not. */
Test(process_wait, the_descriptor_tells_the_death_of_this_process_alone, .init = make_board)
{
	shoal_process *p = spawned(leave_a_grandchild, NULL, NULL);
	int fd = shoal_process_fd(p);
	REQUIRE(fd >= 0);
	REQUIRE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	int64_t begin = fair_ns();
	REQUIRE(readable(fd, 5000));
	REQUIRE(fair_ns() - begin < SHOAL_MS(1500));
	REQUIRE_EQ(code_of(p), 5);
	REQUIRE(readable(shoal_process_fd(p), 0));
	REQUIRE_EQ(shoal_process_close(p), 0);
	kill(atomic_load(&board->value[0]), SIGKILL);
}

Test(process_wait, the_descriptor_is_unready_while_it_lives)
{
	shoal_process *p = spawned(sleep_long, NULL, NULL);
	REQUIRE(!readable(shoal_process_fd(p), 50));
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE(readable(shoal_process_fd(p), 5000));
	REQUIRE_EQ(ended_code(p), -SIGKILL);
}

Test(process_wait, an_exit_code_survives_an_ignored_sigchld)
{
	signal(SIGCHLD, SIG_IGN);
	REQUIRE_EQ(ended_code(spawned(give_back, (void *)7, NULL)), 7);
	REQUIRE_EQ(ended_code(spawned(exit_by_shoal, (void *)0, NULL)), 0);
	shoal_process *p = spawned(sleep_long, NULL, NULL);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(shoal_process_join(p, SHOAL_SEC(5)), 0);
	REQUIRE(!shoal_process_is_alive(p));
	/* Only the kernel knows this one; from 6.15 it tells. */
	int code = 0, rc = shoal_process_exitcode(p, &code);
	REQUIRE(rc == -ECHILD || (rc == 0 && code == -SIGKILL));
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

Test(process_wait, an_exit_code_survives_a_host_that_reaps_everything, .init = make_board)
{
	pthread_t t;
	REQUIRE_EQ(pthread_create(&t, NULL, reap_all, &board->value[0]), 0);
	for (int i = 0; i < 100; i++) {
		shoal_process *p = spawned(give_back, (void *)(intptr_t)i, NULL);
		if (i % 2)
			sleep_ms(2);
		REQUIRE_EQ(ended_code(p), i);
	}
	atomic_store(&board->value[0], 1);
	pthread_join(t, NULL);
}

static void *
join_too(void *p)
{
	int code = 0;
	int rc = shoal_process_join(p, SHOAL_SEC(10));
	return (void *)(intptr_t)(rc ? rc : shoal_process_exitcode(p, &code) ? -1 : code);
}

Test(process_wait, threads_may_join_the_same_one)
{
	pthread_t t[8];
	void *got;
	shoal_process *p = spawned(sleep_long, NULL, NULL);
	for (int i = 0; i < 8; i++)
		REQUIRE_EQ(pthread_create(&t[i], NULL, join_too, p), 0);
	sleep_ms(50);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], &got);
		REQUIRE_EQ((intptr_t)got, -SIGKILL);
	}
	REQUIRE_EQ(shoal_process_close(p), 0);
}

/* As a program does that will open nothing any more: then poll takes no descriptor. */
static int
join_with_no_descriptors(void *arg)
{
	shoal_process_options o = { .method = *(shoal_start_method *)arg, .arg_bytes = 1 };
	shoal_process *p = spawned(end_soon, "", &o), *q = spawned(end_soon, "", &o);
	REQUIRE_EQ(shoal_process_kill(q), 0);
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, 0 }), 0);
	REQUIRE_EQ(shoal_process_join(p, 0), -EAGAIN);
	REQUIRE_EQ(ended_code(p), 7);
	REQUIRE_EQ(shoal_process_join(q, SHOAL_SEC(5)), 0);
	return 0;
}

Test(process_wait, one_is_joined_with_no_descriptor_to_spare)
{
	shoal_start_method methods[] = { SHOAL_FORK, SHOAL_FORKSERVER, SHOAL_SPAWN };
	for (int i = 0; i < 3; i++)
		expect_child(child(join_with_no_descriptors, &methods[i]), 0, 5000 * HARNESS_SLOW);
}

/* ---- handlers that fork ---- */

#if HAS_STEPS

static void
look_whether_alive(void *p)
{
	REQUIRE(shoal_process_is_alive(p));
}

static int
fork_in_each_place(void *unused)
{
	(void)unused;
	shoal_process *p = spawned(sleep_long, NULL, NULL);
	uint32_t n = 0;
	while (steps_into(look_whether_alive, p, n, steps_fork))
		n += 5;
	REQUIRE(n > 50);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(ended_code(p), -SIGKILL);
	return 0;
}

/* As one of SIGCHLD may, to start what ended anew; fork takes what this layer has locked. */
Test(process_wait, a_handler_may_fork_anywhere_in_a_call)
{
	expect_child(child(fork_in_each_place, NULL), 0, 10000);
}

#endif
