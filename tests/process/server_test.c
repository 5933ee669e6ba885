/* The fork server: what becomes of it, and of its children, when somebody is killed. */
#include "process/methods.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static int
tell_server(void *arg)
{
	obey(arg);
	atomic_store(&board->value[1], getppid());
	return 0;
}

/* A child whose server died says that its parent is who has the orphans now, in another session. */
static bool
is_ours(pid_t pid)
{
	return pid > 1 && getsid(pid) == getsid(0);
}

static pid_t
find_server(void)
{
	pid_t server;
	do {
		REQUIRE_EQ(code_sent(tell_server, 0), 0);
		server = atomic_load(&board->value[1]);
	} while (!is_ours(server));
	return server;
}

static void
make_server_board(void)
{
	prepare(SHOAL_FORKSERVER);
}

Test(process_server, one_serves_all_starts_of_a_process, .init = make_server_board)
{
	pid_t server = find_server();
	REQUIRE(server != getpid());
	for (int i = 0; i < 5; i++)
		REQUIRE_EQ(find_server(), server);
}

Test(process_server, it_takes_no_interrupt, .init = make_server_board)
{
	pid_t server = find_server();
	REQUIRE_EQ(kill(server, SIGINT), 0);
	sleep_ms(50);
	REQUIRE_EQ(find_server(), server);
}

Test(process_server, killed_it_is_made_anew, .init = make_server_board)
{
	pid_t server = find_server();
	for (int i = 0; i < 5; i++) {
		REQUIRE_EQ(kill(server, SIGKILL), 0);
		/* Once at once, which may be before it is dead, once after it is gone. */
		if (i % 2)
			require_gone(server);
		pid_t next = find_server();
		REQUIRE(i % 2 == 0 || next != server);
		server = next;
	}
}

/* As a container's first process is. */
static int
adopt_orphans(void *unused)
{
	(void)unused;
	REQUIRE_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	prepare(SHOAL_FORKSERVER);
	REQUIRE_EQ(code_sent(tell_server, 0), 0);
	pid_t server = atomic_load(&board->value[1]);
	REQUIRE_EQ(kill(server, SIGKILL), 0);
	siginfo_t info;
	REQUIRE_EQ(waitid(P_PID, (id_t)server, &info, WEXITED | WNOWAIT), 0);
	REQUIRE_EQ(code_sent(tell_server, 0), 0);
	REQUIRE(atomic_load(&board->value[1]) != server);
	REQUIRE(waitid(P_PID, (id_t)server, &info, WEXITED | WNOHANG | WNOWAIT) < 0);
	return 0;
}

Test(process_server, a_dead_one_is_collected_by_who_has_the_orphans)
{
	expect_child(child(adopt_orphans, NULL), 0, 10000);
}

static int
end_later(void *arg)
{
	int number = obey(arg);
	until(0, 1);
	if (number < 0)
		_exit(-number);
	return number;
}

/* They are waited for by their pidfds; the code of a return is theirs to leave. */
Test(process_server, children_of_a_dead_one_are_waited_for, .init = make_server_board)
{
	shoal_process *p = sent(end_later, 21), *q = sent(end_later, -22), *killed;
	int code = 0, rc;
	pid_t server = find_server();
	killed = sent(wait_for_the_end, 16);
	REQUIRE_EQ(kill(server, SIGKILL), 0);
	require_gone(server);
	REQUIRE(shoal_process_is_alive(p));
	REQUIRE_EQ(shoal_process_join(p, SHOAL_MS(20)), -ETIMEDOUT);
	atomic_store(&board->value[0], 1);
	REQUIRE_EQ(ended_code(p), 21);
	REQUIRE_EQ(shoal_process_join(q, SHOAL_SEC(5)), 0);
	rc = shoal_process_exitcode(q, &code);
	REQUIRE((rc == 0 && code == 22) || rc == -ECHILD);
	REQUIRE_EQ(shoal_process_close(q), 0);
	REQUIRE_EQ(shoal_process_kill(killed), 0);
	REQUIRE_EQ(shoal_process_join(killed, SHOAL_SEC(5)), 0);
	rc = shoal_process_exitcode(killed, &code);
	REQUIRE((rc == 0 && code == -SIGKILL) || rc == -ECHILD);
	REQUIRE_EQ(shoal_process_close(killed), 0);
	REQUIRE(find_server() != server);
}

static int
use_own_server(void *arg)
{
	pid_t server = atomic_load(&board->value[1]);
	REQUIRE(find_server() != server);
	return arg != NULL;
}

static int
kill_itself(void *arg)
{
	obey(arg);
	return raise(SIGKILL);
}

/* That it has ended is known before the server has told how. */
Test(process_server, who_was_told_of_an_end_is_told_the_code, .init = make_server_board)
{
	for (int i = 0; i < 60; i++) {
		shoal_process *p = sent(kill_itself, 0);
		shoal_waitable of = shoal_on_process(p);
		int code = 0;
		REQUIRE_EQ(shoal_wait(&of, 1, SHOAL_SEC(5)), 1);
		switch (i % 4) {
		case 0:
			REQUIRE(!shoal_process_is_alive(p));
			break;
		case 1:
			REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
			break;
		case 2:
			REQUIRE_EQ(shoal_process_join(p, SHOAL_NOWAIT), 0);
			break;
		}
		REQUIRE_EQ(shoal_process_exitcode(p, &code), 0);
		REQUIRE_EQ(code, -SIGKILL);
		REQUIRE_EQ(shoal_process_close(p), 0);
	}
	for (int i = 0; i < 20; i++) {
		shoal_process *p = sent(kill_itself, 0);
		shoal_waitable of = shoal_on_process(p);
		REQUIRE_EQ(shoal_wait(&of, 1, SHOAL_SEC(5)), 1);
		REQUIRE_EQ(shoal_process_close(p), 0);
	}
}

Test(process_server, a_forked_child_has_its_own, .init = make_server_board)
{
	pid_t server = find_server();
	expect_child(child(use_own_server, NULL), 0, 5000);
	pid_t others = atomic_load(&board->value[1]);
	require_gone(others);
	REQUIRE_EQ(find_server(), server);
}

static int
find_and_end(void *normally)
{
	find_server();
	if (normally)
		exit(0);
	_exit(0);
}

Test(process_server, it_ends_with_its_user, .init = make_server_board)
{
	expect_child(child(find_and_end, NULL), 0, 5000);
	require_gone(atomic_load(&board->value[1]));
	expect_child(child(find_and_end, (void *)1), 0, 5000);
	require_gone(atomic_load(&board->value[1]));
}

/* Raw, so that nobody closes its copy of the server's socket. */
static int
leave_the_socket(void *unused)
{
	(void)unused;
	find_server();
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
	for (int i = 0; !pid && i < 10000; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	atomic_store(&board->value[4], pid);
	_exit(0);
}

Test(process_server, it_ends_with_its_user_whoever_has_its_socket, .init = make_server_board)
{
	expect_child(child(leave_the_socket, NULL), 0, 5000);
	require_gone(atomic_load(&board->value[1]));
	REQUIRE_EQ(kill(atomic_load(&board->value[4]), SIGKILL), 0);
}

static int
take_interrupt(void *arg)
{
	obey(arg);
	raise(SIGINT);
	return 3;
}

/* The server takes none; its children do. */
EACH_METHOD(an_interrupt_ends_a_child)
{
	REQUIRE_EQ(code_sent(take_interrupt, 0), -SIGINT);
}

/* The table, and the end of a parent whose child outlives it. */
static int
watch_parent(void *arg)
{
	obey(arg);
	shoal_process *parent = shoal_process_parent();
	REQUIRE_EQ(shoal_process_pid(parent), atomic_load(&board->value[2]));
	REQUIRE(shoal_process_is_alive(parent));
	atomic_store(&board->value[0], 1);
	REQUIRE_EQ(shoal_process_join(parent, SHOAL_SEC(10)), 0);
	REQUIRE(!shoal_process_is_alive(parent));
	REQUIRE(readable(shoal_process_fd(parent), 0));
	atomic_store(&board->value[3], 1);
	return 0;
}

static int
be_watched(void *arg)
{
	obey(arg);
	atomic_store(&board->value[2], getpid());
	sent(watch_parent, 0);
	return sleep_long(NULL);
}

EACH_METHOD(a_child_sees_its_parents_death)
{
	shoal_process *p = sent(be_watched, 0);
	until(0, 1);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(ended_code(p), -SIGKILL);
	until(3, 1);
}

static int
have_daemons(void *arg)
{
	obey(arg);
	for (int i = 1; i <= 3; i++)
		send_out(wait_for_the_end, i, (shoal_process_options){ .daemon = true });
	for (int i = 1; i <= 3; i++)
		while (!atomic_load(&board->value[i]))
			sleep_ms(1);
	atomic_store(&board->value[0], 1);
	return sleep_long(NULL);
}

static void
nobody_is_left_of(int (*parent)(void *))
{
	shoal_process *p = sent(parent, 0);
	until(0, 1);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(ended_code(p), -SIGKILL);
	for (int i = 1; i <= 3; i++)
		require_gone(atomic_load(&board->value[i]));
}

/* Nobody is left of a family whose parent was killed. */
EACH_METHOD(daemons_of_a_killed_parent_end)
{
	nobody_is_left_of(have_daemons);
}

static int
have_daemons_without_input(void *arg)
{
	close(STDIN_FILENO);
	return have_daemons(arg);
}

/* The lifeline does not lie in the place where a child puts its empty input. */
EACH_METHOD(daemons_of_a_killed_parent_without_input_end)
{
	nobody_is_left_of(have_daemons_without_input);
}

static int
leave_both(void *arg)
{
	obey(arg);
	send_out(wait_for_the_end, 1, (shoal_process_options){ .daemon = true });
	sent(end_later, 4);
	while (!atomic_load(&board->value[1]))
		sleep_ms(1);
	atomic_store(&board->value[0], 1);
	return 3;
}

EACH_METHOD(at_its_end_daemons_are_terminated_and_the_others_joined)
{
	REQUIRE_EQ(code_sent(leave_both, 0), 3);
	pid_t pid = atomic_load(&board->value[1]);
	REQUIRE(kill(pid, 0) < 0 && errno == ESRCH);
}

static int
start_one(void *arg)
{
	obey(arg);
	shoal_process_options o = { .method = order.method, .arg_bytes = sizeof order };
	return shoal_process_spawn(return_it, &order, &o, NULL) == -EPERM;
}

EACH_METHOD(a_daemon_has_no_children)
{
	REQUIRE_EQ(ended_code(send_out(start_one, 0, (shoal_process_options){ .daemon = true })), 1);
}

static int
run_a_program(void *arg)
{
	obey(arg);
	char word[64];
	FILE *out = popen("env | grep -c SHOAL_CHILD", "r");
	REQUIRE(out && fgets(word, sizeof word, out));
	pclose(out);
	return atoi(word);
}

EACH_METHOD(the_token_goes_no_further)
{
	REQUIRE_EQ(code_sent(run_a_program, 0), 0);
}

/* A token that was left somewhere, of a descriptor that is another one by now. */
EACH_METHOD(an_old_token_means_nothing)
{
	setenv("SHOAL_CHILD", "1:1", 1);
	REQUIRE_EQ(code_sent(return_it, 5), 5);
	REQUIRE_EQ(code_sent(run_a_program, 0), order.method == SHOAL_FORK);
	unsetenv("SHOAL_CHILD");
}

static void *
start_in_vain(void *unused)
{
	order.number = 0;
	shoal_process *p;
	shoal_process_options o = { .method = SHOAL_FORKSERVER,
		                    .arg_bytes = sizeof order,
		                    .arenas = &arena,
		                    .arena_count = 1 };
	(void)shoal_process_spawn(return_it, &order, &o, &p);
	return unused;
}

static int
leave_while_one_starts(void *unused)
{
	pthread_t thread;
	(void)unused;
	pid_t server = find_server();
	REQUIRE_EQ(kill(server, SIGSTOP), 0);
	REQUIRE_EQ(pthread_create(&thread, NULL, start_in_vain, NULL), 0);
	REQUIRE_EQ(pthread_detach(thread), 0);
	sleep_ms(50);
	shoal_process_exit(0);
}

Test(process_server, a_stopped_one_does_not_hold_up_the_end, .init = make_server_board)
{
	expect_child(child(leave_while_one_starts, NULL), 0, 5000 * HARNESS_SLOW);
}

static pid_t
newest_child_of(pid_t server)
{
	char path[64], text[4096] = "";
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)server, (int)server);
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	char *last = strrchr(text, ' ');
	if (last && last > text)
		*last = '\0';
	last = strrchr(text, ' ');
	return atoi(last ? last + 1 : text);
}

/*
 * Kills the newest child of that process, or the process itself, at odd moments, until told. Who
 * has the orphans has others' children too.
 */
static int
hunt(void *of_server)
{
	unsigned seed = 1;
	while (!atomic_load(&board->value[5])) {
		pid_t server = atomic_load(&board->value[1]), prey;
		struct timespec nap = { .tv_nsec = (long)(rand_r(&seed) % 600) * 1000 };
		nap.tv_nsec <<= rand_r(&seed) % 8; /* short of fork's time, and long of exec's */
		nanosleep(&nap, NULL);
		if (!is_ours(server))
			continue;
		if (of_server && rand_r(&seed) % 8 == 0)
			kill(server, SIGKILL);
		else if (is_ours(prey = newest_child_of(server)) && prey != getpid())
			kill(prey, SIGKILL);
	}
	return 0;
}

/* Whatever is killed whenever: a start ends and tells the truth, and all it took comes back. */
static void
start_under_fire(shoal_start_method method)
{
	int codes[2] = { 0 }, fds;
	prepare(method);
	pid_t server = method == SHOAL_FORKSERVER ? find_server() : getpid();
	atomic_store(&board->value[1], server);
	fds = count_fds();
	pid_t hunter = child(hunt, method == SHOAL_FORKSERVER ? (void *)1 : NULL);
	shoal_process_options o = { .method = method,
		                    .arg_bytes = sizeof order,
		                    .arenas = &arena,
		                    .arena_count = 1,
		                    .daemon = true };
	for (int i = 0; i < 150 / HARNESS_SLOW || !codes[0]; i++) {
		shoal_process *p;
		order.number = 0;
		int code = 0, rc = shoal_process_spawn(tell_server, &order, &o, &p);
		if (rc) {
			REQUIRE(rc == -ECHILD || rc == -ECONNRESET);
			codes[1]++;
			continue;
		}
		REQUIRE_EQ(shoal_process_join(p, SHOAL_SEC(10)), 0);
		rc = shoal_process_exitcode(p, &code);
		REQUIRE(rc == -ECHILD || code == 0 || code == -SIGKILL);
		REQUIRE_EQ(shoal_process_close(p), 0);
		codes[0]++;
	}
	atomic_store(&board->value[5], 1);
	expect_child(hunter, 0, 5000);
	find_server();
	REQUIRE_EQ(count_fds(), fds);
	REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
}

Test(process_by_server, killed_anywhere_a_start_ends)
{
	start_under_fire(SHOAL_FORKSERVER);
}

Test(process_by_spawn, killed_anywhere_a_start_ends)
{
	start_under_fire(SHOAL_SPAWN);
}
