#include "process/common.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int
read_input(void *arg)
{
	(void)arg;
	return getchar() == EOF && read(STDIN_FILENO, &(char){ 0 }, 1) == 0;
}

Test(process_start, standard_input_is_empty)
{
	int ends[2];
	REQUIRE_EQ(pipe(ends), 0);
	REQUIRE_EQ(write(ends[1], "abc", 3), 3);
	REQUIRE_EQ(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	REQUIRE_EQ(getchar(), 'a');
	REQUIRE_EQ(ended_code(spawned(read_input, NULL, NULL)), 1);
	REQUIRE_EQ(getchar(), 'b');
}

static int
print_b(void *arg)
{
	fputs("B", arg);
	return 0;
}

Test(process_start, buffered_output_appears_once_and_in_order)
{
	char got[8] = "";
	int ends[2];
	REQUIRE_EQ(pipe(ends), 0);
	int kept = dup(STDOUT_FILENO);
	dup2(ends[1], STDOUT_FILENO);
	fputs("A", stdout);
	int code = ended_code(spawned(print_b, stdout, NULL));
	fputs("C", stdout);
	fflush(stdout);
	dup2(kept, STDOUT_FILENO);
	REQUIRE_EQ(code, 0);
	REQUIRE_EQ(read(ends[0], got, sizeof got - 1), 3);
	REQUIRE_STR_EQ(got, "ABC");
}

static int
without_output(void *arg)
{
	(void)arg;
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	fputs("nowhere", stdout);
	return ended_code(spawned(give_back, (void *)8, NULL));
}

Test(process_start, closed_output_does_not_keep_one_from_starting_or_ending)
{
	REQUIRE_EQ(ended_code(spawned(without_output, NULL, NULL)), 8);
}

static void *
read_for_ever(void *stream)
{
	return (void *)(intptr_t)fgetc(stream);
}

/* That thread holds its stream's lock, which fflush(NULL) would wait for. */
Test(process_start, a_thread_that_reads_a_stream_holds_up_no_start)
{
	int ends[2];
	pthread_t t;
	REQUIRE_EQ(pipe(ends), 0);
	FILE *stream = fdopen(ends[0], "r");
	REQUIRE_EQ(pthread_create(&t, NULL, read_for_ever, stream), 0);
	sleep_ms(50);
	REQUIRE_EQ(ended_code(spawned(give_back, (void *)2, NULL)), 2);
	REQUIRE_EQ(write(ends[1], "x", 1), 1);
	pthread_join(t, NULL);
}

static void
limit(int what, rlim_t most)
{
	struct rlimit r;
	REQUIRE_EQ(getrlimit(what, &r), 0);
	r.rlim_cur = most;
	REQUIRE_EQ(setrlimit(what, &r), 0);
}

static int
mark(void *arg)
{
	(void)arg;
	atomic_store(&board->value[0], 1);
	return 0;
}

static int
without_descriptors(void *arg)
{
	(void)arg;
	shoal_process *p, *d;
	REQUIRE_EQ(shoal_process_create(mark, NULL, NULL, &p), 0);
	REQUIRE_EQ(shoal_process_create(mark, NULL, &as_daemon, &d), 0);
	limit(RLIMIT_NOFILE, 3);
	REQUIRE_EQ(shoal_process_start(p), -EMFILE);
	REQUIRE_EQ(shoal_process_start(d), -EMFILE);
	REQUIRE_EQ(shoal_process_pid(p), 0);
	REQUIRE(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
	REQUIRE_EQ(atomic_load(&board->value[0]), 0);
	limit(RLIMIT_NOFILE, 64);
	REQUIRE_EQ(shoal_process_start(p), 0);
	REQUIRE_EQ(ended_code(p), 0);
	REQUIRE_EQ(ended_code((REQUIRE_EQ(shoal_process_start(d), 0), d)), 0);
	REQUIRE_EQ(atomic_load(&board->value[0]), 1);
	return 0;
}

Test(process_start, no_descriptor_left_is_an_error_and_no_process, .init = make_board)
{
	expect_child(child(without_descriptors, NULL), 0, 5000);
}

static int
without_processes(void *arg)
{
	(void)arg;
	limit(RLIMIT_NPROC, 0);
	if (!geteuid() && setuid(65534))
		return 0;
	shoal_process *p;
	REQUIRE_EQ(shoal_process_create(mark, NULL, NULL, &p), 0);
	REQUIRE_EQ(shoal_process_start(p), -EAGAIN);
	REQUIRE(strstr(shoal_error(), "Process-1"));
	REQUIRE_EQ(shoal_process_close(p), 0);
	return 0;
}

Test(process_start, no_process_left_is_an_error, .init = make_board)
{
	expect_child(child(without_processes, NULL), 0, 5000);
}

static void *
start_many(void *arg)
{
	for (int i = 0; i < 25; i++)
		REQUIRE_EQ(ended_code(spawned(give_back, arg, i % 2 ? &as_daemon : NULL)), (intptr_t)arg);
	return NULL;
}

Test(process_start, threads_start_at_once)
{
	pthread_t t[4];
	for (int i = 0; i < 4; i++)
		REQUIRE_EQ(pthread_create(&t[i], NULL, start_many, (void *)(intptr_t)i), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
}
