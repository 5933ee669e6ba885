#include "pool/common.h"
#include "pool/task.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

static _Atomic int calls, inside;
static _Atomic int last_code, last_value, last_pid;
static char last_text[300];

static void
note(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	(void)arg;
	atomic_store(&last_code, code);
	atomic_store(&last_pid, getpid());
	atomic_store(&last_value, out_bytes == sizeof(int) ? *(const int *)out : -1);
	snprintf(last_text, sizeof last_text, "%s", error ? error : "(null)");
	atomic_fetch_add(&calls, 1);
}

static shoal_result *
called(shoal_pool *p, shoal_task_fn *fn, int in, shoal_done_fn *done, void *arg)
{
	shoal_result *r;
	REQUIRE_EQ(shoal_pool_apply_async(p, fn, &in, sizeof in, done, arg, &r), 0);
	return r;
}

Test(pool_callback, it_comes_in_this_process_before_the_result)
{
	shoal_pool *p = pool_of(2);
	for (int i = 0; i < 50; i++) {
		shoal_result *r = called(p, square, i, note, NULL);
		REQUIRE_EQ(shoal_result_wait(r, SHOAL_SEC(5)), 0);
		REQUIRE_EQ(atomic_load(&calls), i + 1);
		REQUIRE_EQ(atomic_load(&last_value), i * i);
		REQUIRE_EQ(atomic_load(&last_pid), getpid());
		REQUIRE_STR_EQ(last_text, "(null)");
		shoal_result_free(r);
	}
	shoal_result *r = called(p, fail_by, -ENOENT, note, NULL);
	REQUIRE_EQ(shoal_result_wait(r, SHOAL_SEC(5)), 0);
	REQUIRE_EQ(atomic_load(&last_code), -ENOENT);
	REQUIRE_STR_EQ(last_text, "the task was told to return -2");
	shoal_result_free(r);
	finish(p);
}

static void
one_at_a_time(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	(void)arg, (void)code, (void)out, (void)out_bytes, (void)error;
	REQUIRE_EQ(atomic_fetch_add(&inside, 1), 0);
	atomic_fetch_add(&calls, 1);
	atomic_fetch_sub(&inside, 1);
}

Test(pool_callback, each_comes_once_and_alone_also_of_those_without_a_result)
{
	enum { TASKS = 3000 };
	shoal_pool *p = pool_of(3);
	for (int i = 0; i < TASKS; i++)
		REQUIRE_EQ(shoal_pool_apply_async(p, square, &i, sizeof i, one_at_a_time, NULL, NULL), 0);
	finish(p);
	REQUIRE_EQ(atomic_load(&calls), TASKS);
}

static shoal_pool *here;
static shoal_result *other;

static void
try_everything(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	(void)code, (void)out, (void)out_bytes, (void)error;
	int n = 1;
	shoal_result **own = arg;
	REQUIRE_EQ(shoal_pool_apply(here, square, &n, sizeof n, NULL, 0), -EDEADLK);
	REQUIRE_EQ(shoal_pool_map(here, square, &n, sizeof n, NULL, 0, 1, NULL), -EDEADLK);
	REQUIRE_EQ(shoal_pool_join(here, SHOAL_FOREVER), -EDEADLK);
	REQUIRE_EQ(shoal_result_get(*own, NULL, 0, SHOAL_FOREVER), -EDEADLK);
	REQUIRE_EQ(shoal_result_wait(other, SHOAL_FOREVER), -EDEADLK);
	shoal_pool_destroy(here);
	while (shoal_pool_apply_async(here, nap, &(int){ 1 }, sizeof(int), NULL, NULL, NULL) == 0)
		continue;
	REQUIRE_EQ(shoal_pool_apply_async(here, nap, &n, sizeof n, NULL, NULL, NULL), -EAGAIN);
	atomic_fetch_add(&calls, 1);
}

Test(pool_callback, nothing_in_it_waits_for_itself)
{
	static shoal_result *r;
	shoal_pool_options o = { .workers = 2, .queue_depth = 8 };
	here = pool_with(&o);
	other = sent(here, nap, 30000);
	REQUIRE_EQ(shoal_pool_apply_async(here, square, &(int){ 1 }, sizeof(int), NULL, NULL, NULL), 0);
	REQUIRE_EQ(shoal_pool_apply_async(here, square, &(int){ 1 }, sizeof(int), try_everything, &r,
	                                  &r), 0);
	REQUIRE_EQ(shoal_result_wait(r, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(atomic_load(&calls), 1);
	shoal_result_free(r);
	shoal_pool_destroy(here);
	shoal_result_free(other);
}

static _Atomic int go;

static void
block(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	(void)arg, (void)code, (void)out, (void)out_bytes, (void)error;
	atomic_fetch_add(&calls, 1);
	while (!atomic_load(&go))
		sleep_ms(1);
}

Test(pool_callback, one_that_blocks_harms_nothing_else)
{
	shoal_pool *p = pool_of(2);
	shoal_result *r = called(p, square, 1, block, NULL);
	while (!atomic_load(&calls))
		sleep_ms(1);
	for (int i = 0; i < 100; i++)
		REQUIRE_EQ(value_of(p, square, i), i * i);
	int in[100], out[100];
	for (int i = 0; i < 100; i++)
		in[i] = i;
	REQUIRE_EQ(shoal_pool_map(p, square, in, sizeof *in, out, sizeof *out, 100, NULL), 0);
	shoal_pool_close(p);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_MS(100)), -ETIMEDOUT);
	int64_t began = fair_ns();
	REQUIRE_EQ(shoal_pool_terminate(p), 0);
	REQUIRE(fair_ns() - began < 1000000000);
	REQUIRE(!shoal_result_ready(r));
	shoal_pool_destroy(p);
	REQUIRE(fair_ns() - began < 3000000000);
	atomic_store(&go, 1);
	REQUIRE_EQ(shoal_result_wait(r, SHOAL_SEC(5)), 0);
	shoal_result_free(r);
	sleep_ms(50);
}

/* It waits behind another callback when its result is freed. */
Test(pool_callback, that_of_a_freed_result_does_not_come)
{
	shoal_pool *p = pool_of(1);
	shoal_result *blocking = called(p, square, 1, block, NULL);
	/* What ends at one time may be heard of in any order. */
	while (!atomic_load(&calls))
		sleep_ms(1);
	shoal_result *freed = called(p, square, 2, note, NULL);
	shoal_pool_info info = { 0 };
	while (info.tasks_done < 2)
		REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	sleep_ms(50);
	shoal_result_free(freed);
	atomic_store(&go, 1);
	shoal_result *last = called(p, square, 3, note, NULL);
	REQUIRE_EQ(shoal_result_wait(last, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(atomic_load(&calls), 2);
	REQUIRE_EQ(atomic_load(&last_value), 9);
	shoal_result_free(blocking);
	shoal_result_free(last);
	finish(p);
}

static void
count_items(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	(void)error;
	REQUIRE_EQ(code, 0);
	REQUIRE_EQ(out_bytes, 1000 * sizeof(int));
	for (int i = 0; i < 1000; i++)
		REQUIRE_EQ(((const int *)out)[i], i * i);
	REQUIRE(out == arg);
	atomic_fetch_add(&calls, 1);
}

static _Atomic size_t progressed;

static void
progress(void *arg, size_t done, size_t total)
{
	(void)arg;
	REQUIRE_EQ(total, 1000);
	REQUIRE(done > atomic_load(&progressed));
	atomic_store(&progressed, done);
}

Test(pool_callback, a_map_has_one_with_all_results)
{
	static int in[1000], out[1000];
	shoal_pool *p = pool_of(2);
	shoal_result *r;
	for (int i = 0; i < 1000; i++)
		in[i] = i;
	shoal_map_options o = { .progress = progress };
	REQUIRE_EQ(shoal_pool_map_async(p, square, in, sizeof *in, out, sizeof *out, 1000, &o,
	                                count_items, out, &r), 0);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(shoal_result_code(r), 0);
	REQUIRE_EQ(atomic_load(&calls), 1);
	REQUIRE_EQ(atomic_load(&progressed), 1000);
	shoal_result_free(r);
	REQUIRE_EQ(shoal_pool_map_async(p, square, NULL, 0, NULL, 0, 0, NULL, note, NULL, &r), 0);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(atomic_load(&calls), 2);
	shoal_result_free(r);
	finish(p);
}

Test(pool_callback, cancelled_and_terminated_tasks_have_theirs_too)
{
	shoal_pool *p = pool_of(1);
	shoal_result *running = called(p, nap, 30000, note, NULL);
	shoal_result *queued = called(p, square, 2, note, NULL);
	shoal_result *freed = called(p, square, 3, note, NULL);
	sleep_ms(50);
	REQUIRE_EQ(shoal_result_cancel(running), -EBUSY);
	REQUIRE_EQ(shoal_result_cancel(queued), 0);
	REQUIRE_EQ(shoal_result_wait(queued, SHOAL_SEC(5)), 0);
	REQUIRE_EQ(shoal_result_code(queued), -ECANCELED);
	REQUIRE_EQ(shoal_result_cancel(queued), -EALREADY);
	REQUIRE_EQ(atomic_load(&calls), 1);
	shoal_result_free(freed);
	REQUIRE_EQ(shoal_pool_terminate(p), 0);
	REQUIRE_EQ(shoal_result_wait(running, SHOAL_SEC(5)), 0);
	REQUIRE_EQ(shoal_result_code(running), -ECANCELED);
	shoal_pool_destroy(p);
	REQUIRE_EQ(atomic_load(&calls), 2);
	shoal_result_free(running);
	shoal_result_free(queued);
}

static void *
use(void *arg)
{
	shoal_pool *p = arg;
	for (int i = 0; i < 300; i++) {
		int out;
		REQUIRE_EQ(shoal_pool_apply(p, square, &i, sizeof i, &out, sizeof out), 0);
		REQUIRE_EQ(out, i * i);
		int in[10] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 }, outs[10];
		if (i % 10 == 0) {
			REQUIRE_EQ(shoal_pool_map(p, square, in, sizeof *in, outs, sizeof *outs, 10, NULL), 0);
			REQUIRE_EQ(outs[9], 81);
		}
	}
	return NULL;
}

Test(pool_callback, many_threads_use_one_pool)
{
	pthread_t t[4];
	shoal_pool *p = pool_of(2);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, use, p);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	finish(p);
}

static shoal_result *
empty_map(shoal_pool *p, shoal_done_fn *done)
{
	shoal_result *r;
	REQUIRE_EQ(shoal_pool_map_async(p, square, NULL, 0, NULL, 0, 0, NULL, done, NULL, &r), 0);
	return r;
}

/* They wait behind another callback. The task is the pool's first: no number is below its own. */
Test(pool_callback, an_empty_map_is_freed_or_cancelled_before_its_own)
{
	let_in = shared(sizeof *let_in);
	shoal_pool_options o = { .workers = 1, .initializer = wait_outside };
	shoal_pool *p = pool_with(&o);
	shoal_result *task = sent(p, square, 5), *blocking = empty_map(p, block);
	shoal_result *freed = empty_map(p, note), *kept = empty_map(p, note);
	shoal_result_free(freed);
	REQUIRE_EQ(shoal_result_cancel(kept), -EALREADY);
	atomic_store(let_in, 1);
	REQUIRE_EQ(gotten(task), 25);
	atomic_store(&go, 1);
	REQUIRE_EQ(shoal_result_get(kept, NULL, 0, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(atomic_load(&calls), 2);
	shoal_result_free(task);
	shoal_result_free(blocking);
	shoal_result_free(kept);
	finish(p);
}

static void
wait_for_another(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	(void)arg, (void)code, (void)out, (void)out_bytes, (void)error;
	shoal_waitable items[2] = { shoal_on_result(other), shoal_on_result(arg) };
	REQUIRE_EQ(shoal_wait(items, 1, 0), 0);
	REQUIRE_EQ(shoal_wait(items, 1, SHOAL_FOREVER), -EDEADLK);
	REQUIRE(strstr(shoal_error(), "callback"));
	REQUIRE_EQ(shoal_wait(items, 2, SHOAL_FOREVER), 1);
	atomic_fetch_add(&calls, 1);
}

Test(pool_callback, nothing_in_it_waits_for_any_of_several_either, .timeout = 10)
{
	here = pool_of(2);
	shoal_result *ready = sent(here, square, 2);
	REQUIRE_EQ(gotten(ready), 4);
	other = called(here, nap, 30000, note, NULL);
	shoal_result *r = called(here, square, 1, wait_for_another, ready);
	REQUIRE_EQ(shoal_result_wait(r, SHOAL_SEC(5)), 0);
	REQUIRE_EQ(atomic_load(&calls), 1);
	shoal_result_free(r);
	shoal_result_free(ready);
	shoal_result_free(other);
	shoal_pool_destroy(here);
}

/*
 * Its worker says that it is over, as far as one that is held before it tells anybody. The host has
 * nothing else to do meanwhile.
 */
static int
be_held_before_it_is_told(shoal_task *t)
{
	struct self *self = t->internal_[0];
	uint64_t generation = id_generation(self->id);
	REQUIRE(cas64_seq_cst(&self->slot->state, slot_word(generation, self->number, SLOT_RUNNING),
	                      slot_word(generation, 0, SLOT_DONE)));
	raise(SIGSTOP);
	return 0;
}

Test(pool_callback, it_comes_though_the_worker_is_held_before_it_tells)
{
	shoal_process *worker;
	shoal_pool *p = pool_of(1);
	REQUIRE_EQ(value_of(p, square, 1), 1);
	REQUIRE_EQ(shoal_process_children(&worker, 1), 1);
	sleep_ms(300); /* the collector has lain down */
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(shoal_pool_apply_async(p, be_held_before_it_is_told, NULL, 0, note, NULL, NULL),
		           0);
		for (int k = 0; k < 3000 && atomic_load(&calls) <= i; k++)
			sleep_ms(1);
		kill((pid_t)shoal_process_pid(worker), SIGCONT);
		REQUIRE_EQ(atomic_load(&calls), i + 1);
	}
	finish(p);
}

/* ---- progress, and what it may hold up ---- */

static _Atomic int *over;

static int
nap_until_over(shoal_task *t)
{
	(void)t;
	if (!atomic_load(over))
		usleep(100);
	return 0;
}

static void
tell_slowly(void *arg, size_t done, size_t total)
{
	(void)arg, (void)done, (void)total;
	sleep_ms(30);
}

/* Items end faster than their number is told; the map would take half a minute. */
Test(pool_callback, comes_though_a_maps_progress_is_told_slowly)
{
	enum { COUNT = 400000 };
	shoal_map_options o = { .chunk = 1, .progress = tell_slowly };
	shoal_result *map, *task;
	over = shared(sizeof *over);
	shoal_pool *p = pool_of(2);
	task = called(p, nap, 300, note, NULL);
	REQUIRE_EQ(shoal_pool_map_async(p, nap_until_over, NULL, 0, NULL, 0, COUNT, &o, note, NULL,
	                                &map), 0);
	int rc = shoal_result_wait(task, SHOAL_SEC(5));
	atomic_store(over, 1);
	REQUIRE_EQ(rc, 0);
	REQUIRE_EQ(shoal_result_wait(map, SHOAL_SEC(20)), 0);
	shoal_result_free(task);
	shoal_result_free(map);
	finish(p);
}

static void *
draw_to_the_end(void *of)
{
	shoal_progress_bar(of, 1, 1);
	return NULL;
}

/* Its terminal takes nothing, and this thread's process is forked meanwhile. */
Test(pool_callback, a_forked_child_draws_though_another_thread_did)
{
	int ends[2], was = dup(STDERR_FILENO), status = -1;
	char page[4096] = { 0 }, of[] = "bar";
	pthread_t thread;
	REQUIRE_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	while (write(ends[1], page, sizeof page) > 0)
		continue;
	REQUIRE_EQ(fcntl(ends[1], F_SETFL, 0), 0);
	REQUIRE_EQ(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	REQUIRE_EQ(pthread_create(&thread, NULL, draw_to_the_end, of), 0);
	sleep_ms(50);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(5);
		dup2(was, STDERR_FILENO);
		shoal_progress_bar(of, 1, 1);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	while (pthread_tryjoin_np(thread, NULL) == EBUSY)
		if (read(ends[0], page, sizeof page) < 0)
			sleep_ms(1);
	REQUIRE_EQ(dup2(was, STDERR_FILENO), STDERR_FILENO);
	REQUIRE_EQ(status, 0);
}
