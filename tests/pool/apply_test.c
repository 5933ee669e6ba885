#include "pool/common.h"
#include "pool/pool.h"
#include <pthread.h>
#include <dlfcn.h>

Test(pool_apply, a_task_runs_in_a_worker_and_answers_in_place)
{
	shoal_pool *p = pool_of(2);
	for (int i = 0; i < 100; i++) {
		int out = -1;
		REQUIRE_EQ(shoal_pool_apply(p, square, &i, sizeof i, &out, sizeof out), 0);
		REQUIRE_EQ(out, i * i);
	}
	finish(p);
}

Test(pool_apply, results_come_back_to_those_who_ask)
{
	shoal_pool *p = pool_of(2);
	shoal_result *r[50];
	for (int i = 0; i < 50; i++)
		r[i] = sent(p, square, i);
	for (int i = 49; i >= 0; i--) {
		REQUIRE_EQ(gotten(r[i]), i * i);
		REQUIRE(shoal_result_ready(r[i]));
		REQUIRE_EQ(shoal_result_code(r[i]), 0);
		REQUIRE_STR_EQ(shoal_result_error(r[i]), "");
		shoal_result_free(r[i]);
	}
	finish(p);
}

Test(pool_apply, a_task_that_fails_tells_its_code_and_text)
{
	shoal_pool *p = pool_of(1);
	int code = -ENOENT;
	REQUIRE_EQ(shoal_pool_apply(p, fail_by, &code, sizeof code, NULL, 0), -ENOENT);
	REQUIRE_STR_EQ(shoal_error(), "the task was told to return -2");
	shoal_result *r = sent(p, fail_by, -EIO);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(5)), -EIO);
	REQUIRE_EQ(shoal_result_code(r), -EIO);
	REQUIRE_STR_EQ(shoal_result_error(r), "the task was told to return -5");
	shoal_result_free(r);
	finish(p);
}

static int
echo(shoal_task *t)
{
	return shoal_task_reply(t, t->in, t->in_bytes);
}

Test(pool_apply, inputs_and_results_have_any_size)
{
	static const size_t sizes[] = { 0, 1, 63, 64, 65, 1000, 40000, 1 << 20, 20 << 20 };
	shoal_pool *p = pool_of(2);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t n = sizes[i];
		char *in = malloc(n + 1), *out = malloc(n + 1);
		shoal_result *r;
		for (size_t k = 0; k < n; k++)
			in[k] = (char)(k * 7 + i);
		REQUIRE_EQ(shoal_pool_apply_async(p, echo, in, n, NULL, NULL, &r), 0);
		memset(in, 0, 0);
		REQUIRE_EQ(shoal_result_get(r, out, n, SHOAL_SEC(10)), n);
		REQUIRE(n == 0 || memcmp(in, out, n) == 0);
		if (n) {
			REQUIRE_EQ(shoal_result_get(r, out, n - 1, 0), -EMSGSIZE);
			REQUIRE_EQ(shoal_needed(), n);
		}
		shoal_result_free(r);
		free(in);
		free(out);
	}
	finish(p);
}

/* Beyond any arena: the second one finds no room. */
static int
echo_and_fail_to(shoal_task *t)
{
	int rc = shoal_task_reply(t, t->in, t->in_bytes);
	return rc ? rc : shoal_task_reply(t, t->in, SIZE_MAX / 2) == -ENOMEM ? 0 : -EPROTO;
}

Test(pool_apply, an_answer_without_room_leaves_the_earlier_one)
{
	static const size_t sizes[] = { 10, 64, 1000, 40000 };
	shoal_pool *p = pool_of(1);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char in[40000], out[40000] = { 0 };
		shoal_result *r;
		memset(in, 'a' + (int)i, sizeof in);
		REQUIRE_EQ(shoal_pool_apply_async(p, echo_and_fail_to, in, sizes[i], NULL, NULL, &r), 0);
		REQUIRE_EQ(shoal_result_get(r, out, sizeof out, SHOAL_SEC(10)), sizes[i]);
		REQUIRE(memcmp(in, out, sizes[i]) == 0);
		shoal_result_free(r);
	}
	finish(p);
}

Test(pool_apply, a_task_whose_worker_is_killed_says_by_what)
{
	shoal_pool *p = pool_of(2);
	int signo = SIGKILL;
	REQUIRE_EQ(shoal_pool_apply(p, die_by, &signo, sizeof signo, NULL, 0), -EOWNERDEAD);
	REQUIRE(strstr(shoal_error(), "signal 9"));
	until_stat(p, 2, 1);
	shoal_result *r = sent(p, square, 5);
	REQUIRE_EQ(gotten(r), 25);
	shoal_result_free(r);
	finish(p);
}

Test(pool_apply, what_is_pending_at_terminate_is_cancelled_within_a_second)
{
	shoal_pool *p = pool_of(2);
	shoal_result *r[100];
	for (int i = 0; i < 100; i++)
		r[i] = sent(p, nap, 30000);
	sleep_ms(50);
	int64_t began = fair_ns();
	REQUIRE_EQ(shoal_pool_terminate(p), 0);
	REQUIRE(fair_ns() - began < 1000000000);
	for (int i = 0; i < 100; i++) {
		REQUIRE_EQ(shoal_result_get(r[i], NULL, 0, 0), -ECANCELED);
		shoal_result_free(r[i]);
	}
	shoal_pool_destroy(p);
}

Test(pool_apply, sizes_beyond_all_memory_are_refused, .timeout = 10)
{
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2, (size_t)1 << 50 };
	int n = 3;
	shoal_pool *p = pool_of(1);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		shoal_result *r = NULL;
		REQUIRE_EQ(shoal_pool_apply(p, square, &n, sizes[i], NULL, 0), -EOVERFLOW);
		REQUIRE_EQ(shoal_pool_apply(p, square, &n, sizeof n, &n, sizes[i]), -EOVERFLOW);
		REQUIRE_EQ(shoal_pool_apply_async(p, square, &n, sizes[i], NULL, NULL, &r), -EOVERFLOW);
		REQUIRE(!r);
	}
	REQUIRE_EQ(value_of(p, square, n), 9);
	finish(p);
}

static int
answer_shorter_and_shorter(shoal_task *t)
{
	memset(t->out, 'z', t->out_bytes);
	shoal_task_reply(t, "AAAAA", 5);
	return shoal_task_reply(t, "BB", 2);
}

static int
answer_with_its_own_place(shoal_task *t)
{
	memcpy(t->out, "xyCC", 4);
	return shoal_task_reply(t, (char *)t->out + 1, 3);
}

Test(pool_apply, the_rest_of_the_answers_place_is_zero)
{
	char out[9] = "--------";
	shoal_pool *p = pool_of(1);
	REQUIRE_EQ(shoal_pool_apply(p, answer_shorter_and_shorter, NULL, 0, out, 8), 0);
	REQUIRE(memcmp(out, "BB\0\0\0\0\0\0", 9) == 0);
	REQUIRE_EQ(shoal_pool_apply(p, answer_with_its_own_place, NULL, 0, out, 8), 0);
	REQUIRE(memcmp(out, "yCC\0\0\0\0\0", 9) == 0);
	finish(p);
}

Test(pool_apply, a_task_without_a_place_for_its_answer_has_none)
{
	int n = 5;
	shoal_pool *p = pool_of(1);
	REQUIRE_EQ(shoal_pool_apply(p, own_input, &n, sizeof n, NULL, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_pool_apply(p, own_input, NULL, 0, NULL, 0), 0);
	finish(p);
}

Test(pool_apply, results_are_not_put_where_there_is_no_place)
{
	shoal_results *it;
	shoal_pool *p = pool_of(1);
	shoal_result *r = sent(p, square, 3);
	REQUIRE_EQ(shoal_result_wait(r, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(shoal_result_get(r, NULL, 8, SHOAL_SEC(10)), -EINVAL);
	REQUIRE_EQ(gotten(r), 9);
	shoal_result_free(r);
	REQUIRE_EQ(shoal_pool_imap(p, square, &(int){ 4 }, sizeof(int), sizeof(int), 1, NULL, &it), 0);
	REQUIRE_EQ(shoal_results_next(it, NULL, NULL, sizeof(int), SHOAL_SEC(10)), -EINVAL);
	int out = 0;
	REQUIRE_EQ(shoal_results_next(it, NULL, &out, sizeof out, SHOAL_SEC(10)), sizeof out);
	REQUIRE_EQ(out, 16);
	shoal_results_free(it);
	finish(p);
}

Test(pool_apply, a_call_that_fails_gives_no_result)
{
	shoal_pool *p = pool_of(1);
	shoal_result *stale = sent(p, square, 3), *r = stale;
	REQUIRE_EQ(shoal_pool_apply_async(p, NULL, NULL, 0, NULL, NULL, &r), -EINVAL);
	REQUIRE(!r);
	r = stale;
	REQUIRE_EQ(shoal_pool_map_async(p, NULL, NULL, 0, NULL, 0, 5, NULL, NULL, NULL, &r), -EINVAL);
	REQUIRE(!r);
	shoal_result_free(stale);
	finish(p);
}

Test(pool_apply, an_arena_that_workers_cannot_attach_is_refused)
{
	char name[40];
	shoal_arena *a;
	shoal_pool *p;
	snprintf(name, sizeof name, "pool-readonly-%d", getpid());
	REQUIRE_EQ(shoal_arena_create(name, NULL, &a), 0);
	shoal_arena_close(a);
	REQUIRE_EQ(shoal_arena_attach_readonly(name, SHOAL_SEC(1), &a), 0);
	REQUIRE_EQ(shoal_pool_create(&(shoal_pool_options){ .workers = 1, .arena = a }, &p), -EPERM);
	REQUIRE(strstr(shoal_error(), "read-only"));
	shoal_arena_close(a);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
}

/* Of a library that is loaded when the worker runs already; it is never called. */
Test(pool_apply, a_function_that_workers_do_not_have_is_told_of)
{
	shoal_pool *p = pool_of(1);
	REQUIRE_EQ(value_of(p, square, 2), 4);
	void *library = dlopen("libthread_db.so.1", RTLD_LAZY);
	REQUIRE(library);
	void *found = dlsym(library, "td_init");
	shoal_task_fn *fn;
	memcpy(&fn, &found, sizeof fn);
	REQUIRE_EQ(shoal_pool_apply(p, fn, NULL, 0, NULL, 0), -ENOENT);
	REQUIRE(strstr(shoal_error(), "does not have the task's function"));
	REQUIRE_EQ(shoal_pool_map(p, fn, NULL, 0, NULL, 0, 1, NULL), 1);
	REQUIRE(strstr(shoal_error(), "does not have the task's function"));
	finish(p);
	dlclose(library);
}

/* With the one that makes the pool: as many as may. */
enum { CALLERS = 999, MORE = 4 };
static pthread_barrier_t all_have_called, all_go_on;
static _Atomic int refused, over;

static int
call_with_a_block(shoal_pool *p)
{
	char in[100] = "in", out[100];
	return shoal_pool_apply(p, own_input, in, sizeof in, out, sizeof out);
}

static void *
call_twice(void *pool)
{
	int rc = call_with_a_block(pool);
	pthread_barrier_wait(&all_have_called);
	pthread_barrier_wait(&all_go_on);
	if (!rc)
		rc = call_with_a_block(pool);
	return rc ? pool : NULL;
}

/* Also while there is a place, which a dead worker left and the next one is to have. */
static void *
be_refused(void *pool)
{
	int out = 0;
	while (!atomic_load(&over)) {
		REQUIRE_EQ(call_with_a_block(pool), -EUSERS);
		REQUIRE(strstr(shoal_error(), "more than 1000 threads"));
		REQUIRE_EQ(shoal_pool_map(pool, square, &out, sizeof out, NULL, 0, 1, NULL), -EUSERS);
		REQUIRE(strstr(shoal_error(), "more than 1000 threads"));
		/* What needs no block goes on, unless its worker is the one that is killed. */
		int rc = shoal_pool_apply(pool, square, &(int){ 3 }, sizeof(int), &out, sizeof out);
		REQUIRE(rc == -EOWNERDEAD || (rc == 0 && out == 9));
		atomic_fetch_add(&refused, 1);
	}
	return NULL;
}

static void
kill_workers(shoal_pool *p, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		int pid = value_of(p, own_pid, 0), before = atomic_load(&refused);
		kill(pid, SIGKILL);
		until_stat(p, 1, i + 1);
		REQUIRE(value_of(p, own_pid, 0) != pid);
		while (atomic_load(&refused) < before + MORE)
			sleep_ms(1);
	}
}

/* Each has a record in the pool's arena until it ends; workers have others. */
Test(pool_apply, a_thousand_threads_may_call_and_workers_are_replaced)
{
	pthread_t threads[CALLERS + MORE];
	pthread_attr_t attr;
	shoal_pool *p = pool_of(1);
	int failed = 0;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 << 10);
	pthread_barrier_init(&all_have_called, NULL, CALLERS + 1);
	pthread_barrier_init(&all_go_on, NULL, CALLERS + 1);
	for (int i = 0; i < CALLERS; i++)
		REQUIRE_EQ(pthread_create(&threads[i], &attr, call_twice, p), 0);
	pthread_barrier_wait(&all_have_called);
	for (int i = CALLERS; i < CALLERS + MORE; i++)
		REQUIRE_EQ(pthread_create(&threads[i], &attr, be_refused, p), 0);
	kill_workers(p, 3);
	atomic_store(&over, 1);
	for (int i = CALLERS; i < CALLERS + MORE; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_wait(&all_go_on);
	for (int i = 0; i < CALLERS; i++) {
		void *rc;
		pthread_join(threads[i], &rc);
		failed += rc != NULL;
	}
	REQUIRE_EQ(failed, 0);
	pthread_attr_destroy(&attr);
	pthread_barrier_destroy(&all_have_called);
	pthread_barrier_destroy(&all_go_on);
	finish(p);
}
