/* How pools end: closed, joined, terminated, destroyed, or with their process. */
#include "pool/common.h"
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

Test(pool_end, close_lets_pending_tasks_end)
{
	shoal_pool *p = pool_of(2);
	shoal_result *r[20];
	for (int i = 0; i < 20; i++)
		r[i] = sent(p, square, i);
	REQUIRE_EQ(shoal_pool_join(p, 0), -EINVAL);
	REQUIRE_EQ(shoal_pool_close(p), 0);
	REQUIRE_EQ(shoal_pool_close(p), 0);
	REQUIRE_EQ(shoal_pool_apply(p, square, &(int){ 1 }, sizeof(int), NULL, 0), -EPIPE);
	REQUIRE_EQ(shoal_pool_map(p, square, NULL, 0, NULL, 0, 5, NULL), -EPIPE);
	REQUIRE_EQ(shoal_pool_map(p, square, NULL, 0, NULL, 0, 0, NULL), -EPIPE);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(shoal_pool_join(p, 0), 0);
	for (int i = 0; i < 20; i++) {
		REQUIRE_EQ(gotten(r[i]), i * i);
		shoal_result_free(r[i]);
	}
	shoal_pool_info info;
	REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	REQUIRE_EQ(info.workers, 0);
	shoal_pool_destroy(p);
}

Test(pool_end, a_closed_pool_ends_without_join)
{
	shoal_pool *p = pool_of(2);
	REQUIRE_EQ(shoal_pool_apply_async(p, nap, &(int){ 20 }, sizeof(int), NULL, NULL, NULL), 0);
	REQUIRE_EQ(shoal_pool_close(p), 0);
	until_stat(p, 0, 0);
	shoal_pool_destroy(p);
}

Test(pool_end, join_has_a_deadline)
{
	shoal_pool *p = pool_of(1);
	drop(p, nap, 30000);
	shoal_pool_close(p);
	REQUIRE_EQ(shoal_pool_join(p, 0), -EAGAIN);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_MS(20)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_pool_terminate(p), 0);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(5)), 0);
	shoal_pool_destroy(p);
}

Test(pool_end, terminate_cancels_ten_thousand_long_items_at_once)
{
	enum { COUNT = 10000 };
	static int in[COUNT];
	shoal_pool *p = pool_of(3);
	shoal_result *r;
	shoal_map_options o = { .chunk = 1 };
	for (int i = 0; i < COUNT; i++)
		in[i] = 30000;
	REQUIRE_EQ(shoal_pool_map_async(p, nap, in, sizeof *in, NULL, 0, COUNT, &o, NULL, NULL, &r), 0);
	sleep_ms(20);
	int64_t began = fair_ns();
	REQUIRE_EQ(shoal_pool_terminate(p), 0);
	REQUIRE_EQ(shoal_pool_terminate(p), 0);
	REQUIRE(fair_ns() - began < 1000000000);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, 0), -ECANCELED);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(5)), 0);
	shoal_result_free(r);
	shoal_pool_destroy(p);
}

/* Each item is told once, whether it was begun or not, then there are no more. */
static void
require_all_told(shoal_results *it, size_t count, int code)
{
	uint64_t told = 0;
	size_t index = 0;
	for (size_t i = 0; i < count; i++) {
		REQUIRE_EQ(shoal_results_next(it, &index, NULL, 0, SHOAL_SEC(10)), code);
		REQUIRE(*shoal_error());
		REQUIRE(index < count && !(told >> index & 1));
		told |= UINT64_C(1) << index;
	}
	REQUIRE_EQ(shoal_results_next(it, &index, NULL, 0, SHOAL_SEC(10)), -EPIPE);
	REQUIRE_EQ(index, count);
	shoal_results_free(it);
}

Test(pool_end, iterators_of_a_terminated_pool_come_to_their_end)
{
	enum { COUNT = 50 };
	int in[COUNT];
	shoal_results *it[3];
	shoal_pool *p = pool_of(2);
	for (int i = 0; i < COUNT; i++)
		in[i] = 30000;
	for (size_t i = 0; i < 3; i++) {
		shoal_map_options o = { .chunk = i + 1, .window = 6 };
		REQUIRE_EQ((i ? shoal_pool_imap : shoal_pool_imap_unordered)(
			           p, nap, in, sizeof *in, 0, COUNT, &o, &it[i]), 0);
	}
	REQUIRE_EQ(shoal_results_next(it[0], NULL, NULL, 0, SHOAL_MS(20)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_pool_terminate(p), 0);
	require_all_told(it[1], COUNT, -ECANCELED);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(10)), 0);
	require_all_told(it[2], COUNT, -ECANCELED);
	shoal_pool_destroy(p);
	require_all_told(it[0], COUNT, -ECANCELED);
}

Test(pool_end, an_iterator_of_a_broken_pool_comes_to_its_end)
{
	int in[20];
	shoal_results *it;
	shoal_pool_options o = { .workers = 1, .on_death = SHOAL_BREAK_POOL };
	shoal_pool *p = pool_with(&o);
	for (int i = 0; i < 20; i++)
		in[i] = SIGKILL;
	REQUIRE_EQ(shoal_pool_imap(p, die_by, in, sizeof *in, 0, 20, NULL, &it), 0);
	require_all_told(it, 20, -EOWNERDEAD);
	shoal_pool_destroy(p);
}

/* A thread that has not called it yet. */
static void *
map_at_the_end(void *pool)
{
	int in[4] = { 0 };
	ssize_t rc = shoal_pool_map(pool, square, in, sizeof *in, in, sizeof *in, 4, NULL);
	return (void *)(intptr_t)rc;
}

/* While the pool's own threads end, and when they have. */
static void
require_new_threads_get(shoal_pool *p, int code)
{
	for (int i = 0; i < 30; i++) {
		pthread_t thread;
		void *rc;
		REQUIRE_EQ(pthread_create(&thread, NULL, map_at_the_end, p), 0);
		pthread_join(thread, &rc);
		REQUIRE_EQ((int)(intptr_t)rc, code);
		sleep_ms(10);
	}
}

Test(pool_end, a_new_thread_is_told_of_it)
{
	shoal_pool *p = pool_of(1);
	REQUIRE_EQ(shoal_pool_close(p), 0);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(10)), 0);
	require_new_threads_get(p, -EPIPE);
	shoal_pool_destroy(p);
	p = pool_with(&(shoal_pool_options){ .workers = 1, .on_death = SHOAL_BREAK_POOL });
	REQUIRE_EQ(shoal_pool_apply(p, die_by, &(int){ SIGKILL }, sizeof(int), NULL, 0), -EOWNERDEAD);
	require_new_threads_get(p, -EOWNERDEAD);
	shoal_pool_destroy(p);
}

static int
leave_with_tasks(void *pids)
{
	shoal_pool *p = pool_of(3);
	int pid[3];
	for (int i = 0; i < 3; i++)
		drop(p, nap, 30000);
	for (int i = 0; i < 10; i++)
		drop(p, nap, 30000);
	size_t n = shoal_process_children(NULL, 0);
	shoal_process *children[3];
	REQUIRE_EQ(n, 3);
	shoal_process_children(children, 3);
	for (int i = 0; i < 3; i++) {
		pid[i] = shoal_process_pid(children[i]);
		((_Atomic int *)pids)[i] = pid[i];
	}
	exit(3);
}

static void
require_gone(const _Atomic int *pids)
{
	for (int i = 0; i < 3; i++) {
		int tries = 0;
		while (kill(atomic_load(&pids[i]), 0) == 0 && tries++ < 5000)
			sleep_ms(1);
		REQUIRE(kill(atomic_load(&pids[i]), 0) < 0);
	}
}

Test(pool_end, the_end_of_its_process_drops_tasks_and_leaves_no_worker)
{
	_Atomic int *pids = shared(3 * sizeof *pids);
	int64_t began = fair_ns();
	expect_child(child(leave_with_tasks, (void *)pids), 3, 5000);
	REQUIRE(fair_ns() - began < 2000000000);
	require_gone(pids);
}

static int
be_killed_with_tasks(void *pids)
{
	shoal_pool *p = pool_of(3);
	shoal_process *children[3];
	for (int i = 0; i < 10; i++)
		drop(p, nap, 30000);
	shoal_process_children(children, 3);
	for (int i = 0; i < 3; i++)
		((_Atomic int *)pids)[i] = shoal_process_pid(children[i]);
	kill(getpid(), SIGKILL);
	return 0;
}

Test(pool_end, workers_end_when_their_host_is_killed)
{
	_Atomic int *pids = shared(3 * sizeof *pids);
	expect_killed(child(be_killed_with_tasks, (void *)pids), SIGKILL, 5000);
	require_gone(pids);
}

Test(pool_end, pools_come_and_go_and_leave_nothing)
{
	shoal_pool_destroy(pool_of(2));
	int fds = open_fds(), running = threads();
	for (int i = 0; i < 20; i++) {
		shoal_pool *p = pool_of(2);
		shoal_result *r = sent(p, square, i);
		if (i % 2)
			REQUIRE_EQ(gotten(r), i * i);
		shoal_pool_destroy(p);
		REQUIRE_EQ(shoal_result_ready(r), true);
		shoal_result_free(r);
	}
	REQUIRE_EQ(open_fds(), fds);
	/* The last of a pool's threads may still be on its way out when destroy returns. */
	for (int i = 0; i < 1000 && threads() > running; i++)
		sleep_ms(1);
	REQUIRE(threads() <= running);
	REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
}

static int
use_inherited(void *pool)
{
	shoal_pool *p = pool;
	shoal_pool_info info;
	shoal_result *r;
	REQUIRE_EQ(shoal_pool_apply(p, square, &(int){ 1 }, sizeof(int), NULL, 0), -EPERM);
	REQUIRE_EQ(shoal_pool_apply_async(p, square, NULL, 0, NULL, NULL, &r), -EPERM);
	REQUIRE_EQ(shoal_pool_map(p, square, NULL, 0, NULL, 0, 1, NULL), -EPERM);
	REQUIRE_EQ(shoal_pool_close(p), -EPERM);
	REQUIRE_EQ(shoal_pool_terminate(p), -EPERM);
	REQUIRE_EQ(shoal_pool_stat(p, &info), -EPERM);
	shoal_pool_destroy(p);
	/*
	 * ThreadSanitizer ends a forked child of a process with threads that makes some; in
	 * AddressSanitizer's the allocator's lock may be one that the parent's threads held.
	 */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	return 0;
#endif
	p = pool_of(1);
	int out;
	REQUIRE_EQ(shoal_pool_apply(p, square, &(int){ 4 }, sizeof(int), &out, sizeof out), 0);
	REQUIRE_EQ(out, 16);
	finish(p);
	return 0;
}

Test(pool_end, a_forked_child_may_not_use_it_but_make_its_own)
{
	shoal_pool *p = pool_of(2);
	expect_child(child(use_inherited, p), 0, 10000);
	REQUIRE_EQ(value_of(p, square, 3), 9);
	finish(p);
}

/* Descriptors run out while workers are started: those that were are ended. */
Test(pool_end, a_pool_that_cannot_be_made_leaves_nothing)
{
	shoal_pool_destroy(pool_of(1));
	int fds = open_fds(), highest = dup(0);
	close(highest);
	struct rlimit old, few = { (rlim_t)highest + 12, (rlim_t)highest + 12 };
	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	few.rlim_max = old.rlim_max;
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	shoal_pool *p = NULL;
	REQUIRE_EQ(shoal_pool_create(&(shoal_pool_options){ .workers = 20 }, &p), -EMFILE);
	REQUIRE(!p);
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
	REQUIRE_EQ(open_fds(), fds);
	finish(pool_of(1));
}

Test(pool_end, bad_options_are_refused)
{
	shoal_pool *p;
	REQUIRE_EQ(shoal_pool_create(&(shoal_pool_options){ .workers = 5000 }, &p), -EINVAL);
	REQUIRE_EQ(shoal_pool_create(&(shoal_pool_options){ .on_death = 9 }, &p), -EINVAL);
	REQUIRE_EQ(shoal_pool_create(&(shoal_pool_options){ .method = 9 }, &p), -EINVAL);
	REQUIRE_EQ(shoal_pool_create(&(shoal_pool_options){ .reserved_ = { 1 } }, &p), -EINVAL);
	REQUIRE_EQ(shoal_pool_create(&(shoal_pool_options){ .queue_depth = 1u << 30 }, &p), -EINVAL);
	REQUIRE_EQ(shoal_pool_create(NULL, NULL), -EINVAL);
	REQUIRE_EQ(shoal_pool_apply(NULL, square, NULL, 0, NULL, 0), -EINVAL);
	shoal_pool_destroy(NULL);
	shoal_result_free(NULL);
	shoal_results_free(NULL);
	p = pool_of(1);
	REQUIRE_EQ(shoal_pool_apply(p, NULL, NULL, 0, NULL, 0), -EINVAL);
	REQUIRE_EQ(shoal_pool_apply(p, square, NULL, 4, NULL, 0), -EINVAL);
	REQUIRE_EQ(shoal_pool_map(p, square, NULL, 4, NULL, 0, 2, NULL), -EINVAL);
	REQUIRE_EQ(shoal_pool_map(p, square, p, SIZE_MAX / 2, NULL, 0, 5, NULL), -EOVERFLOW);
	REQUIRE_EQ(shoal_pool_map(p, square, NULL, 4, NULL, 4, 0, NULL), 0);
	const size_t many = (size_t)1 << 61; /* times 8 it is nothing */
	shoal_map_options mo = { .chunk = many };
	shoal_results *it;
	REQUIRE_EQ(shoal_pool_imap(p, nap, NULL, 0, 0, many, &mo, &it), -EOVERFLOW);
	REQUIRE_EQ(shoal_pool_imap(p, nap, NULL, 0, 8, many, &mo, &it), -EOVERFLOW);
	REQUIRE_EQ(shoal_pool_imap(p, square, p, SIZE_MAX / 2, 0, 5, NULL, &it), -EOVERFLOW);
	REQUIRE_EQ(shoal_pool_imap(p, nap, &(int){ 1 }, sizeof(int), 8, 1, &mo, &it), 0);
	REQUIRE_EQ(shoal_results_next(it, NULL, &(uint64_t){ 0 }, 8, SHOAL_SEC(10)), 8);
	shoal_results_free(it);
	finish(p);
}

/* ---- its process ends, and the pool is not the first that was terminated by that ---- */

static int
leave_with_pool(void *unused)
{
	(void)unused;
	drop(pool_of(4), nap, 30000);
	exit(3);
}

/* Alone: what another thread had locked would be locked in the child. */
static int
beget_untold(void *unused)
{
	shoal_pool_destroy(pool_of(1));
	int running = threads();
	for (int i = 0; i < 5000 && (running = threads()) > 1; i++)
		sleep_ms(1);
	REQUIRE_EQ(running, 1);
	expect_child(untold_child(leave_with_pool, unused), 3, 5000);
	return 0;
}

/* What the library had called at its parent's end is not called at its own. */
Test(pool_end, a_child_that_no_handler_was_told_of_ends_with_its_pool)
{
	if (!NOT_SEEN_BY_TSAN)
		expect_child(child(beget_untold, NULL), 0, 15000);
}

static void
use_another_pool(void *unused)
{
	(void)unused;
	drop(pool_of(4), nap, 30000);
}

static int
leave_with_a_pool_of_a_cleanups(void *unused)
{
	(void)unused;
	REQUIRE_EQ(shoal_process_at_exit(use_another_pool, NULL, 0), 0);
	drop(pool_of(1), nap, 30000);
	exit(3);
}

Test(pool_end, a_pool_that_a_cleanup_makes_ends_with_its_process)
{
	expect_child(child(leave_with_a_pool_of_a_cleanups, NULL), 3, 5000);
}

/* ---- it cannot be made, while its maker is interrupted ---- */

static int
fail_interrupted(void *unused)
{
	(void)unused;
	shoal_pool_destroy(pool_of(1));
	int fds = open_fds(), highest = dup(0);
	close(highest);
	struct rlimit few;
	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &few), 0);
	few.rlim_cur = (rlim_t)highest + 12;
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	shoal_pool *p = NULL;
	shoal_thread_interrupt(shoal_thread_self());
	REQUIRE_EQ(shoal_pool_create(&(shoal_pool_options){ .workers = 20 }, &p), -EMFILE);
	REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
	REQUIRE(waitpid(-1, NULL, WNOHANG) < 0);
	REQUIRE_EQ(open_fds(), fds);
	/* What it was told is for its next wait. */
	shoal_arena *none;
	REQUIRE_EQ(shoal_arena_attach("no-such-arena", SHOAL_SEC(1), &none), -ECANCELED);
	return 0;
}

Test(pool_end, an_interrupted_pool_that_cannot_be_made_leaves_nothing)
{
	expect_child(child(fail_interrupted, NULL), 0, 5000);
}

/* ---- what stays of it ---- */

static struct {
	_Atomic int asked, answered;
	shoal_pool *pool;
} caller;

static void *
call_when_asked(void *unused)
{
	for (int turn = 1;; turn++) {
		while (atomic_load(&caller.asked) < turn)
			sleep_ms(1);
		if (!caller.pool)
			return unused;
		REQUIRE_EQ(value_of(caller.pool, square, turn), turn * turn);
		atomic_store(&caller.answered, turn);
	}
}

static int
arenas_mapped(void)
{
	char line[512];
	int count = 0;
	FILE *maps = fopen("/proc/self/maps", "re");
	REQUIRE(maps);
	while (fgets(line, sizeof line, maps))
		count += strstr(line, "memfd:shoal") != NULL;
	fclose(maps);
	return count;
}

/* Its place is one of 256. */
Test(pool_end, a_thread_that_called_it_and_lives_keeps_only_the_last)
{
	pthread_t thread;
	REQUIRE_EQ(pthread_create(&thread, NULL, call_when_asked, NULL), 0);
	for (int turn = 1; turn <= 6; turn++) {
		shoal_pool *p = pool_of(1);
		caller.pool = p;
		atomic_store(&caller.asked, turn);
		while (atomic_load(&caller.answered) < turn)
			sleep_ms(1);
		REQUIRE_EQ(arenas_mapped(), 1);
		shoal_pool_destroy(p);
		REQUIRE_EQ(arenas_mapped(), 1);
	}
	caller.pool = NULL;
	atomic_fetch_add(&caller.asked, 1);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	REQUIRE_EQ(arenas_mapped(), 0);
}
