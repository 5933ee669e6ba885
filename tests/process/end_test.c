#include "process/common.h"
#include "process/family.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int
start_one(void *arg)
{
	(void)arg;
	return shoal_process_spawn(give_back, NULL, NULL, NULL) == -EPERM ? 1 : 2;
}

static int
leave_two(void *daemon_of_its_own)
{
	shoal_process_options o = { .daemon = true };
	if (daemon_of_its_own)
		REQUIRE_EQ(shoal_process_spawn(say_and_sleep, (void *)0, &o, NULL), 0);
	else
		atomic_store(&board->value[0], 1);
	REQUIRE_EQ(shoal_process_spawn(tell_name, (void *)8, NULL, NULL), 0);
	while (!atomic_load(&board->value[0]))
		sleep_ms(1);
	return 3;
}

Test(process_end, a_daemon_has_no_children)
{
	REQUIRE_EQ(ended_code(spawned(start_one, NULL, &as_daemon)), 1);
}

Test(process_end, at_its_end_daemons_are_terminated_and_the_others_joined, .init = make_board)
{
	REQUIRE_EQ(ended_code(spawned(leave_two, (void *)1, NULL)), 3);
	REQUIRE_STR_EQ(board->text[8], "Process-1:2<Process-1");
	pid_t daemon_pid = atomic_load(&board->value[0]);
	REQUIRE(daemon_pid > 0 && kill(daemon_pid, 0) < 0 && errno == ESRCH);
}

static int
come_late(void *arg)
{
	(void)arg;
	sleep_ms(200);
	atomic_store(&board->value[1], 1);
	return 0;
}

static int
leave_interrupted(void *arg)
{
	(void)arg;
	REQUIRE_EQ(shoal_process_spawn(come_late, NULL, NULL, NULL), 0);
	shoal_thread_interrupt(shoal_thread_self());
	return 5;
}

Test(process_end, an_interrupt_leaves_no_child_unjoined, .init = make_board)
{
	REQUIRE_EQ(ended_code(spawned(leave_interrupted, NULL, NULL)), 5);
	REQUIRE_EQ(atomic_load(&board->value[1]), 1);
}

static int
leave_a_stopped_daemon(void *arg)
{
	(void)arg;
	shoal_process *p = spawned(say_and_sleep, (void *)0, &as_daemon);
	until(0, shoal_process_pid(p));
	REQUIRE_EQ(shoal_process_signal(p, SIGSTOP), 0);
	siginfo_t info;
	REQUIRE_EQ(waitid(P_PID, (id_t)shoal_process_pid(p), &info, WSTOPPED), 0);
	return 4;
}

Test(process_end, a_stopped_daemon_does_not_hold_up_its_parents_end, .init = make_board)
{
	REQUIRE_EQ(ended_code(spawned(leave_a_stopped_daemon, NULL, NULL)), 4);
	require_gone(atomic_load(&board->value[0]));
}

static void *
start_daemon(void *arg)
{
	(void)arg;
	REQUIRE_EQ(shoal_process_spawn(say_and_sleep, (void *)0, &as_daemon, NULL), 0);
	return NULL;
}

static int
daemon_by_thread(void *arg)
{
	pthread_t t;
	pthread_create(&t, NULL, start_daemon, NULL);
	pthread_join(t, NULL);
	/* The thread that forked is gone: the daemon stays. */
	sleep_ms(200);
	shoal_process *list[1];
	REQUIRE_EQ(shoal_process_children(list, 1), 1);
	REQUIRE(shoal_process_is_alive(list[0]));
	/* Others that are forked meanwhile do not hold the lifeline. */
	REQUIRE_EQ(shoal_process_spawn(say_and_sleep, (void *)1, NULL, NULL), 0);
	if (arg && !fork())
		say_and_sleep((void *)2);
	return sleep_long(NULL);
}

Test(process_end, a_daemon_ends_when_its_parent_is_killed, .init = make_board)
{
	shoal_process *p = spawned(daemon_by_thread, (void *)1, NULL);
	while (!atomic_load(&board->value[1]) || !atomic_load(&board->value[2]))
		sleep_ms(1);
	pid_t pid = atomic_load(&board->value[0]);
	REQUIRE_EQ(kill(pid, 0), 0);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(ended_code(p), -SIGKILL);
	require_gone(pid);
	REQUIRE_EQ(kill(atomic_load(&board->value[1]), SIGKILL), 0);
	REQUIRE_EQ(kill(atomic_load(&board->value[2]), SIGKILL), 0);
}

static void
note(void *arg)
{
	strcat(board->text[0], arg);
}

static void
note_and_add(void *arg)
{
	note(arg);
	REQUIRE_EQ(shoal_process_at_exit(note, "z ", -1), 0);
}

static int
note_children(void *arg)
{
	(void)arg;
	note("child ");
	return 0;
}

static int
clean_up(void *by_exit)
{
	REQUIRE_EQ(shoal_process_at_exit(note, "d01 ", 0), 0);
	REQUIRE_EQ(shoal_process_at_exit(note, "d02 ", 0), 0);
	REQUIRE_EQ(shoal_process_at_exit(note, "d10 ", 10), 0);
	REQUIRE_EQ(shoal_process_at_exit(note_and_add, "d03 ", 0), 0);
	REQUIRE_EQ(shoal_process_at_exit(note, "e ", -100), 0);
	if (!by_exit) {
		REQUIRE_EQ(shoal_process_spawn(note_children, NULL, NULL, NULL), 0);
		sleep_ms(100);
		return 0;
	}
	shoal_process_exit(0);
}

static int
fork_and_exit(void *arg)
{
	(void)arg;
	REQUIRE_EQ(shoal_process_at_exit(note, "parent ", 0), 0);
	pid_t pid = fork();
	if (!pid)
		shoal_process_exit(0);
	waitpid(pid, NULL, 0);
	REQUIRE_EQ(ended_code(spawned(give_back, NULL, NULL)), 0);
	return 0;
}

Test(process_end, cleanups_run_in_pythons_order, .init = make_board)
{
	REQUIRE_EQ(ended_code(spawned(clean_up, NULL, NULL)), 0);
	REQUIRE_STR_EQ(board->text[0], "child d10 d03 d02 d01 z e ");
	board->text[0][0] = '\0';
	REQUIRE_EQ(ended_code(spawned(clean_up, (void *)1, NULL)), 0);
	REQUIRE_STR_EQ(board->text[0], "d10 d03 d02 d01 z e ");
}

Test(process_end, cleanups_run_only_where_they_were_made, .init = make_board)
{
	REQUIRE_EQ(ended_code(spawned(fork_and_exit, NULL, NULL)), 0);
	REQUIRE_STR_EQ(board->text[0], "parent ");
}

static void
exit_again(void *arg)
{
	shoal_process_exit((int)(intptr_t)arg);
}

static int
exit_in_cleanup(void *arg)
{
	REQUIRE_EQ(shoal_process_at_exit(exit_again, arg, 0), 0);
	return 1;
}

Test(process_end, a_cleanup_may_exit)
{
	REQUIRE_EQ(ended_code(spawned(exit_in_cleanup, (void *)33, NULL)), 33);
}

/* ---- several threads end the first process ---- */

static int
end_slowly(void *arg)
{
	sleep_ms(300);
	atomic_store(&board->value[0], 1);
	return arg != NULL;
}

static void *
exit_by_shoal(void *arg)
{
	shoal_process_exit((int)(intptr_t)arg);
}

static int
end_twice(void *by_libc)
{
	pthread_t thread;
	family_meet();
	family.forked = false;
	(void)spawned(end_slowly, NULL, NULL);
	for (intptr_t code = 5; code <= 6; code++) {
		REQUIRE_EQ(pthread_create(&thread, NULL, exit_by_shoal, (void *)code), 0);
		sleep_ms(100);
	}
	if (by_libc)
		exit(8);
	shoal_process_exit(7);
}

Test(process_end, the_first_thread_ends_it_and_the_others_wait, .init = make_board)
{
	expect_child(child(end_twice, NULL), 5, 5000);
	REQUIRE_EQ(atomic_exchange(&board->value[0], 0), 1);
	expect_child(child(end_twice, board), 5, 5000);
	REQUIRE_EQ(atomic_load(&board->value[0]), 1);
}

/* The libc's exit runs what the first process's normal end runs. */
static int
end_by_libc(void *arg)
{
	REQUIRE_EQ(shoal_process_at_exit(note, "cleanup ", 0), 0);
	leave_two(arg);
	exit(9);
}

Test(process_end, the_normal_end_of_a_program_ends_its_children, .init = make_board)
{
	expect_child(child(end_by_libc, (void *)1), 9, 5000);
	REQUIRE_STR_EQ(board->text[0], "cleanup ");
	REQUIRE_STR_EQ(board->text[8], "Process-2<MainProcess");
	require_gone(atomic_load(&board->value[0]));
}

/* ---- what is joined at the end, and closed by another thread meanwhile ---- */

static int
last_shortly(void *arg)
{
	(void)arg;
	sleep_ms(10);
	return 0;
}

static void *
join_and_close(void *handle)
{
	shoal_process *p = handle;
	REQUIRE_EQ(shoal_process_join(p, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_process_close(p), 0);
	return NULL;
}

static int
leave_it_to_a_thread(void *arg)
{
	pthread_t thread;
	(void)arg;
	REQUIRE_EQ(pthread_create(&thread, NULL, join_and_close, spawned(last_shortly, NULL, NULL)), 0);
	REQUIRE_EQ(pthread_detach(thread), 0);
	sleep_ms(2);
	return 4;
}

Test(process_end, a_thread_may_join_and_close_what_the_end_joins)
{
	for (int i = 0; i < 60; i++)
		REQUIRE_EQ(ended_code(spawned(leave_it_to_a_thread, NULL, NULL)), 4);
}
