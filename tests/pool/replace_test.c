/* What a worker's death waits for, and what it does not: streams, descriptors, a stopped server. */
#include "pool/common.h"
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void
require_death(shoal_result *r)
{
	REQUIRE_EQ(shoal_result_wait(r, SHOAL_SEC(5)), 0);
	REQUIRE_EQ(shoal_result_code(r), -EOWNERDEAD);
	shoal_result_free(r);
}

/* ---- streams ---- */

static int
use_with_a_stream_held(void *arg)
{
	(void)arg;
	shoal_pool *p = pool_of(1);
	flockfile(stdout);
	require_death(sent(p, die_by, SIGKILL));
	REQUIRE_EQ(value_of(p, square, 7), 49);
	funlockfile(stdout);
	finish(p);
	return 0;
}

Test(pool_replace, a_stream_that_is_held_keeps_no_worker_away)
{
	expect_child(child(use_with_a_stream_held, NULL), 0, 10000 * HARNESS_SLOW);
}

static int
say_so(shoal_task *t)
{
	(void)t;
	printf("worker ");
	return 0;
}

static int
print_to(void *file)
{
	REQUIRE(dup2(*(int *)file, STDOUT_FILENO) == STDOUT_FILENO);
	setvbuf(stdout, NULL, _IOFBF, 4096);
	shoal_pool *p = pool_of(1);
	printf("host ");
	require_death(sent(p, die_by, SIGKILL));
	drop(p, say_so, 0);
	finish(p);
	fflush(stdout);
	return 0;
}

/* What this process has printed and not yet written is not its workers' to write. */
Test(pool_replace, what_is_buffered_is_written_once)
{
	char text[64] = "";
	FILE *f = tmpfile();
	REQUIRE(f);
	int fd = fileno(f);
	expect_child(child(print_to, &fd), 0, 10000 * HARNESS_SLOW);
	REQUIRE(pread(fd, text, sizeof text - 1, 0) > 0);
	REQUIRE(!strcmp(text, "host worker ") || !strcmp(text, "worker host "));
	fclose(f);
}

/* ---- descriptors ---- */

/* A limit below what is open is what a program sets that will open no more. */
static int
use_with_no_descriptors(void *limit)
{
	shoal_pool *p = pool_of(3);
	rlim_t most = *(unsigned *)limit;
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ most, most }), 0);
	require_death(sent(p, die_by, SIGKILL));
	REQUIRE_EQ(value_of(p, square, 7), 49);
	require_death(sent(p, die_by, SIGKILL));
	REQUIRE_EQ(value_of(p, square, 8), 64);
	REQUIRE_EQ(shoal_pool_terminate(p), 0);
	shoal_pool_destroy(p);
	return 0;
}

Test(pool_replace, a_death_is_seen_with_no_descriptor_to_spare)
{
	for (unsigned limit = 0; limit < 4; limit++)
		expect_child(child(use_with_no_descriptors, &limit), 0, 5000 * HARNESS_SLOW);
}

/* ---- the fork server ---- */

static int
tell_parent_and_die(shoal_task *t)
{
	shoal_arena *a = shoal_process_arena(1);
	_Atomic int *server = shoal_deref(a, *(const shoal_ref *)t->in);
	atomic_store(server, getppid());
	while (atomic_load(server))
		sleep_ms(1);
	return 0;
}

/* Nobody tells how the worker ended; that it did, its pidfd says. */
Test(pool_replace, a_stopped_server_holds_back_no_death)
{
	int pid = 0;
	shoal_arena *a;
	shoal_arena_options small = { .limit_bytes = 1 << 20 };
	REQUIRE_EQ(shoal_arena_create(NULL, &small, &a), 0);
	_Atomic int *server = shoal_new(a, sizeof *server);
	atomic_store(server, 0);
	shoal_pool_options o = { .workers = 2, .method = SHOAL_FORKSERVER, .arena = a };
	shoal_pool *p = pool_with(&o);
	shoal_ref ref = shoal_ref_of(a, server);
	shoal_result *r, *asked;
	REQUIRE_EQ(shoal_pool_apply_async(p, own_pid, NULL, 0, NULL, NULL, &asked), 0);
	pid = gotten(asked);
	shoal_result_free(asked);
	REQUIRE_EQ(shoal_pool_apply_async(p, tell_parent_and_die, &ref, sizeof ref, NULL, NULL, &r), 0);
	while (!atomic_load(server))
		sleep_ms(1);
	pid_t stopped = atomic_load(server);
	REQUIRE(stopped > 1 && pid > 1);
	REQUIRE_EQ(kill(stopped, SIGSTOP), 0);
	shoal_process *workers[4];
	size_t n = shoal_process_children(workers, 4);
	REQUIRE_EQ(n, 2);
	for (size_t i = 0; i < n; i++)
		REQUIRE_EQ(shoal_process_kill(workers[i]), 0);
	int rc = shoal_result_wait(r, SHOAL_SEC(5));
	kill(stopped, SIGCONT);
	REQUIRE_EQ(rc, 0);
	REQUIRE_EQ(shoal_result_code(r), -EOWNERDEAD);
	shoal_result_free(r);
	REQUIRE_EQ(shoal_pool_apply_async(p, own_pid, NULL, 0, NULL, NULL, &asked), 0);
	REQUIRE(gotten(asked) > 1);
	shoal_result_free(asked);
	finish(p);
	shoal_arena_close(a);
}
