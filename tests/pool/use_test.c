/* What CPython's and loky's tests ask of pools beside crashes: BEHAVIOURS.md. */
#include "pool/methods.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

/* ---- lifetimes, under each start method ---- */

EACH_METHOD(workers_leave_after_so_many_tasks)
{
	enum { TASKS = 40 };
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = 2, .tasks_per_worker = 10 });
	shoal_pool_info info;
	int pids[TASKS], distinct = 0;
	for (int i = 0; i < TASKS; i++) {
		int k = 0, pid = value_of(p, own_pid, i);
		while (k < distinct && pids[k] != pid)
			k++;
		pids[k] = pid;
		distinct += k == distinct;
	}
	REQUIRE(distinct >= TASKS / 10);
	REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	REQUIRE_EQ(info.deaths, 0);
	finish(p);
}

EACH_METHOD(an_item_that_takes_too_long_fails_alone)
{
	int in[4] = { 1, 30000, 1, 1 }, codes[4];
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = 1 });
	shoal_map_options o = { .timeout = SHOAL_MS(150 * HARNESS_SLOW), .codes = codes, .chunk = 4 };
	REQUIRE_EQ(shoal_pool_map(p, nap, in, sizeof *in, NULL, 0, 4, &o), 1);
	for (int i = 0; i < 4; i++)
		REQUIRE_EQ(codes[i], i == 1 ? -ETIMEDOUT : 0);
	finish(p);
}

static int
use_a_pool(void *arg)
{
	method = *(const shoal_start_method *)arg;
	int in[100], out[100];
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = 2 });
	for (int i = 0; i < 100; i++)
		in[i] = i;
	REQUIRE_EQ(shoal_pool_map(p, square, in, sizeof *in, out, sizeof *out, 100, NULL), 0);
	REQUIRE_EQ(out[99], 99 * 99);
	finish(p);
	return 5;
}

/* Its method and its workers' are the same. */
EACH_METHOD(a_process_has_a_pool_of_its_own)
{
	shoal_process *p;
	int code = -1;
	shoal_process_options o = { .method = method, .arg_bytes = sizeof method };
	REQUIRE_EQ(shoal_process_spawn(use_a_pool, &method, &o, &p), 0);
	REQUIRE_EQ(shoal_process_join(p, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(shoal_process_exitcode(p, &code), 0);
	REQUIRE_EQ(code, 5);
	REQUIRE_EQ(shoal_process_close(p), 0);
}

/* ---- waiting ---- */

Test(pool_use, a_result_keeps_to_the_time_of_those_who_ask)
{
	shoal_pool *p = pool_of(1);
	shoal_result *r = sent(p, nap, 300);
	int64_t began = now_ns();
	REQUIRE(!shoal_result_ready(r));
	REQUIRE_EQ(shoal_result_code(r), -EAGAIN);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, 0), -EAGAIN);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, -5), -EAGAIN);
	REQUIRE_EQ(shoal_result_wait(r, SHOAL_MS(30)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_MS(30)), -ETIMEDOUT);
	REQUIRE(now_ns() - began >= 60000000);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)), 0);
	REQUIRE(now_ns() - began >= 290000000);
	shoal_result_free(r);
	finish(p);
}

Test(pool_use, an_iterator_keeps_to_the_time_of_those_who_ask)
{
	int in[3] = { 0, 200, 0 };
	size_t index;
	for (int ordered = 0; ordered < 2; ordered++) {
		shoal_pool *p = pool_of(1);
		shoal_results *it;
		REQUIRE_EQ((ordered ? shoal_pool_imap : shoal_pool_imap_unordered)(
			           p, nap, in, sizeof *in, 0, 3, NULL, &it), 0);
		REQUIRE_EQ(shoal_results_next(it, &index, NULL, 0, SHOAL_SEC(10)), 0);
		REQUIRE_EQ(index, 0);
		REQUIRE_EQ(shoal_results_next(it, &index, NULL, 0, 0), -EAGAIN);
		REQUIRE_EQ(index, SIZE_MAX);
		REQUIRE_EQ(shoal_results_next(it, &index, NULL, 0, SHOAL_MS(20)), -ETIMEDOUT);
		REQUIRE_EQ(index, SIZE_MAX);
		for (int i = 1; i < 3; i++)
			REQUIRE_EQ(shoal_results_next(it, NULL, NULL, 0, SHOAL_SEC(10)), 0);
		REQUIRE_EQ(shoal_results_next(it, &index, NULL, 0, SHOAL_SEC(10)), -EPIPE);
		shoal_results_free(it);
		finish(p);
	}
}

struct to_interrupt {
	shoal_thread *thread;
	_Atomic int over;
};

static void *
interrupt(void *arg)
{
	struct to_interrupt *t = arg;
	while (!atomic_load(&t->over)) {
		sleep_ms(20);
		shoal_thread_interrupt(t->thread);
	}
	return NULL;
}

Test(pool_use, an_interrupt_ends_each_wait)
{
	struct to_interrupt t = { .thread = shoal_thread_self() };
	int in[2] = { 30000, 30000 };
	pthread_t thread;
	shoal_results *it;
	size_t index = 0;
	shoal_pool *p = pool_of(2);
	shoal_result *r = sent(p, nap, 30000);
	REQUIRE_EQ(shoal_pool_imap(p, nap, in, sizeof *in, 0, 2, NULL, &it), 0);
	pthread_create(&thread, NULL, interrupt, &t);
	REQUIRE_EQ(shoal_result_wait(r, SHOAL_SEC(10)), -ECANCELED);
	REQUIRE_EQ(shoal_results_next(it, &index, NULL, 0, SHOAL_SEC(10)), -ECANCELED);
	REQUIRE_EQ(index, SIZE_MAX);
	REQUIRE_EQ(shoal_pool_apply(p, nap, in, sizeof *in, NULL, 0), -ECANCELED);
	REQUIRE_EQ(shoal_pool_map(p, nap, in, sizeof *in, NULL, 0, 2, NULL), -ECANCELED);
	REQUIRE_EQ(shoal_pool_close(p), 0);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(10)), -ECANCELED);
	atomic_store(&t.over, 1);
	pthread_join(thread, NULL);
	shoal_results_free(it);
	shoal_pool_destroy(p);
	shoal_result_free(r);
}

/* As many as there may be at once are under way. */
Test(pool_use, an_interrupt_ends_the_wait_of_one_map_too_many)
{
	enum { MAPS = 64 };
	struct to_interrupt t = { .thread = shoal_thread_self() };
	int in = 30000;
	pthread_t thread;
	shoal_result *r;
	shoal_pool *p = pool_of(1);
	for (int i = 0; i < MAPS; i++)
		REQUIRE_EQ(shoal_pool_map_async(p, nap, &in, sizeof in, NULL, 0, 1, NULL, NULL, NULL, NULL),
		           0);
	pthread_create(&thread, NULL, interrupt, &t);
	REQUIRE_EQ(shoal_pool_map(p, nap, &in, sizeof in, NULL, 0, 1, NULL), -ECANCELED);
	REQUIRE_EQ(shoal_pool_map_async(p, nap, &in, sizeof in, NULL, 0, 1, NULL, NULL, NULL, &r),
	           -ECANCELED);
	REQUIRE(!r);
	atomic_store(&t.over, 1);
	pthread_join(thread, NULL);
	shoal_pool_destroy(p);
}

/* Ready ones, one that failed, one twice, one that is not ready, and one that comes. */
Test(pool_use, results_in_any_state_are_waited_for_together)
{
	shoal_pool *p = pool_of(2);
	shoal_result *late = sent(p, nap, 30000), *done = sent(p, square, 3);
	shoal_result *failed = sent(p, fail_by, -EIO);
	REQUIRE_EQ(gotten(done), 9);
	REQUIRE_EQ(shoal_result_wait(failed, SHOAL_SEC(10)), 0);
	shoal_waitable w[5] = { shoal_on_result(late), shoal_on_result(done), shoal_on_result(failed),
		                    shoal_on_result(done), shoal_on_result(late) };
	REQUIRE_EQ(shoal_wait(w, 5, 0), 3);
	REQUIRE(!w[0].ready && w[1].ready && w[2].ready && w[3].ready && !w[4].ready);
	REQUIRE_EQ(shoal_wait(w, 1, SHOAL_MS(20)), 0);
	shoal_result *soon = sent(p, nap, 30);
	shoal_waitable both[3] = {
		shoal_on_result(soon), shoal_on_result(late), shoal_on_result(soon),
	};
	REQUIRE_EQ(shoal_wait(both, 3, SHOAL_SEC(10)), 2);
	REQUIRE(both[0].ready && !both[1].ready && both[2].ready);
	REQUIRE_EQ(shoal_pool_terminate(p), 0);
	REQUIRE_EQ(shoal_wait(w, 5, 0), 5);
	shoal_pool_destroy(p);
	REQUIRE_EQ(shoal_wait(w, 5, 0), 5);
	shoal_result_free(late);
	shoal_result_free(done);
	shoal_result_free(failed);
	shoal_result_free(soon);
}

/* ---- answers ---- */

static int
answer_too_much(shoal_task *t)
{
	char bytes[9] = "too much";
	return shoal_task_reply(t, bytes, sizeof bytes);
}

/* CPython's unsendable result: the worker stays. */
Test(pool_use, an_answer_without_room_fails_its_task_alone)
{
	shoal_pool *p = pool_of(1);
	shoal_pool_info info;
	char out[8];
	for (int i = 0; i < 20; i++)
		REQUIRE_EQ(shoal_pool_apply(p, answer_too_much, NULL, 0, out, sizeof out), -EMSGSIZE);
	REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	REQUIRE_EQ(info.tasks_failed, 20);
	REQUIRE_EQ(info.deaths, 0);
	finish(p);
}

static int
fail_some(shoal_task *t)
{
	int n = *(const int *)t->in;
	return n % 3 == 1 ? shoal_task_fail(t, "item %d", n) : square(t);
}

Test(pool_use, a_map_runs_all_whatever_fails)
{
	enum { COUNT = 30 };
	int in[COUNT], out[COUNT], codes[COUNT];
	shoal_pool *p = pool_of(2);
	shoal_map_options o = { .chunk = 4, .codes = codes };
	for (int i = 0; i < COUNT; i++) {
		in[i] = i;
		out[i] = -7;
	}
	REQUIRE_EQ(shoal_pool_map(p, fail_some, in, sizeof *in, out, sizeof *out, COUNT, &o), 10);
	REQUIRE_STR_EQ(shoal_error(), "item 1");
	for (int i = 0; i < COUNT; i++) {
		REQUIRE_EQ(codes[i], i % 3 == 1 ? -EIO : 0);
		REQUIRE_EQ(out[i], i % 3 == 1 ? -7 : i * i);
	}
	finish(p);
}

/* One worker is in the midst of its chunk. */
Test(pool_use, a_cancelled_map_begins_no_more_items)
{
	enum { COUNT = 2000 };
	static int in[COUNT], codes[COUNT];
	shoal_pool *p = pool_of(1);
	shoal_result *r;
	shoal_map_options o = { .chunk = COUNT / 2, .codes = codes };
	for (int i = 0; i < COUNT; i++)
		in[i] = 20;
	REQUIRE_EQ(shoal_pool_map_async(p, nap, in, sizeof *in, NULL, 0, COUNT, &o, NULL, NULL, &r), 0);
	sleep_ms(50);
	REQUIRE_EQ(shoal_result_cancel(r), 0);
	ssize_t failed = shoal_result_get(r, NULL, 0, SHOAL_SEC(10));
	REQUIRE(failed > COUNT / 2 && failed < COUNT);
	REQUIRE_EQ(shoal_result_code(r), -ECANCELED);
	for (int i = 0; i < COUNT; i++)
		REQUIRE_EQ(codes[i], i < COUNT - failed ? 0 : -ECANCELED);
	REQUIRE_EQ(shoal_result_cancel(r), -EALREADY);
	REQUIRE_EQ(value_of(p, square, 4), 16);
	shoal_result_free(r);
	finish(p);
}

static _Atomic int told;

static void
note_map(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	REQUIRE_EQ(code, -EIO);
	REQUIRE(out == arg && out_bytes == 6 * sizeof(int));
	REQUIRE_STR_EQ(error, "item 1");
	atomic_fetch_add(&told, 1);
}

Test(pool_use, a_maps_callback_is_told_of_what_failed_once)
{
	int in[6] = { 0, 1, 2, 3, 4, 5 }, out[6] = { 0 };
	shoal_pool *p = pool_of(2);
	shoal_result *r;
	REQUIRE_EQ(shoal_pool_map_async(p, fail_some, in, sizeof *in, out, sizeof *out, 6, NULL,
	                                note_map, out, &r), 0);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)), 2);
	REQUIRE_EQ(shoal_result_code(r), -EIO);
	REQUIRE_EQ(atomic_load(&told), 1);
	REQUIRE_EQ(out[5], 25);
	shoal_result_free(r);
	finish(p);
}

/* The results before the one that fails come first, and those after it come, too. */
Test(pool_use, an_iterator_goes_on_behind_what_failed)
{
	int in[10] = { 0, 2, 3, 4, 6, 8, 9, 11, 12, 14 };
	for (size_t chunk = 1; chunk < 5; chunk++) {
		shoal_pool *p = pool_of(2);
		shoal_results *it;
		shoal_map_options o = { .chunk = chunk };
		REQUIRE_EQ(shoal_pool_imap(p, fail_some, in, sizeof *in, sizeof *in, 10, &o, &it), 0);
		for (int i = 0; i < 10; i++) {
			int value = -1;
			ssize_t rc = shoal_results_next(it, NULL, &value, sizeof value, SHOAL_SEC(10));
			REQUIRE_EQ(rc, i == 3 ? -EIO : (ssize_t)sizeof value);
			REQUIRE_EQ(value, i == 3 ? -1 : in[i] * in[i]);
			if (i == 3)
				REQUIRE_STR_EQ(shoal_error(), "item 4");
		}
		shoal_results_free(it);
		finish(p);
	}
}

Test(pool_use, nothing_to_do_is_done_at_once)
{
	shoal_pool *p = pool_of(1);
	shoal_results *it;
	shoal_result *r;
	size_t index = 7;
	for (size_t chunk = 0; chunk < 2; chunk++) {
		shoal_map_options o = { .chunk = chunk };
		REQUIRE_EQ(shoal_pool_map(p, square, NULL, 4, NULL, 4, 0, &o), 0);
		REQUIRE_EQ(shoal_pool_map_async(p, square, NULL, 4, NULL, 4, 0, &o, NULL, NULL, &r), 0);
		REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)), 0);
		shoal_result_free(r);
		REQUIRE_EQ(shoal_pool_imap(p, square, NULL, 4, 4, 0, &o, &it), 0);
		REQUIRE_EQ(shoal_results_next(it, &index, NULL, 0, SHOAL_SEC(10)), -EPIPE);
		REQUIRE_EQ(index, 0);
		shoal_results_free(it);
	}
	finish(p);
}

/* ---- many at once ---- */

struct chain {
	shoal_pool *pool;
	_Atomic int last; /* what came last; each is one less */
	int steps;
};

static void
next_in_chain(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	struct chain *c = arg;
	(void)error;
	REQUIRE_EQ(code, 0);
	REQUIRE_EQ(out_bytes, sizeof(int));
	int n = *(const int *)out;
	REQUIRE_EQ(n, atomic_load(&c->last) - 1);
	atomic_store(&c->last, n);
	if (n > 0)
		REQUIRE_EQ(shoal_pool_apply_async(c->pool, own_input, &(int){ n - 1 }, sizeof n,
		                                  next_in_chain, c, NULL), 0);
}

Test(pool_use, chains_of_callbacks_that_send_tasks_come_to_their_end)
{
	struct chain chains[3] = { { .steps = 100 }, { .steps = 50 }, { .steps = 60 } };
	shoal_pool *p = pool_of(2);
	for (int i = 0; i < 3; i++) {
		struct chain *c = &chains[i];
		c->pool = p;
		atomic_store(&c->last, c->steps + 1);
		REQUIRE_EQ(shoal_pool_apply_async(p, own_input, &c->steps, sizeof c->steps, next_in_chain,
		                                  c, NULL), 0);
	}
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 10000 && atomic_load(&chains[i].last); k++)
			sleep_ms(1);
		REQUIRE_EQ(atomic_load(&chains[i].last), 0);
	}
	finish(p);
}

static void *
use_it(void *pool)
{
	enum { COUNT = 40, TASKS = 20 };
	shoal_pool *p = pool;
	int in[COUNT], out[COUNT];
	shoal_result *map, *r[TASKS];
	bool cancelled[TASKS] = { false };
	for (int i = 0; i < COUNT; i++)
		in[i] = i;
	REQUIRE_EQ(shoal_pool_map_async(p, square, in, sizeof *in, out, sizeof *out, COUNT, NULL, NULL,
	                                NULL, &map), 0);
	for (int i = 0; i < TASKS; i++)
		r[i] = sent(p, own_input, i);
	for (int i = 0; i < TASKS; i += 2)
		cancelled[i] = shoal_result_cancel(r[i]) == 0;
	REQUIRE_EQ(shoal_result_get(map, NULL, 0, SHOAL_SEC(10)), 0);
	for (int i = 0; i < COUNT; i++)
		REQUIRE_EQ(out[i], i * i);
	for (int i = 0; i < TASKS; i++) {
		if (cancelled[i])
			REQUIRE_EQ(shoal_result_get(r[i], NULL, 0, SHOAL_SEC(10)), -ECANCELED);
		else
			REQUIRE_EQ(gotten(r[i]), i);
		shoal_result_free(r[i]);
	}
	shoal_result_free(map);
	return NULL;
}

Test(pool_use, threads_map_send_and_cancel_at_once)
{
	pthread_t t[10];
	shoal_pool *p = pool_of(2);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 10; i++)
			pthread_create(&t[i], NULL, use_it, p);
		for (int i = 0; i < 10; i++)
			pthread_join(t[i], NULL);
	}
	finish(p);
}

/* Each is given up with its tasks under way. */
Test(pool_use, pools_of_many_sizes_come_and_go)
{
	static const unsigned sizes[] = { 12, 2, 1, 12, 6, 1, 8, 5 };
	int in[6] = { 10, 10, 10, 10, 10, 10 };
	for (int gently = 0; gently < 2; gently++)
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			shoal_pool *p = pool_of(sizes[i]);
			REQUIRE_EQ(shoal_pool_map_async(p, nap, in, sizeof *in, NULL, 0, 6, NULL, NULL, NULL,
			                                NULL), 0);
			if (gently)
				finish(p);
			else
				shoal_pool_destroy(p);
		}
	REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
}

static int
grow_deaf(shoal_task *t)
{
	(void)t;
	signal(SIGTERM, SIG_IGN);
	return 0;
}

static int
be_killed_with_a_deaf_worker(void *pid)
{
	shoal_process *worker;
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = 1 });
	REQUIRE_EQ(shoal_pool_apply(p, grow_deaf, NULL, 0, NULL, 0), 0);
	REQUIRE_EQ(shoal_process_children(&worker, 1), 1);
	drop(p, nap, 30000);
	atomic_store((_Atomic int *)pid, (int)shoal_process_pid(worker));
	kill(getpid(), SIGKILL);
	return 0;
}

EACH_METHOD(workers_that_do_not_listen_end_with_their_host)
{
	_Atomic int *pid = shared(sizeof *pid);
	expect_killed(child(be_killed_with_a_deaf_worker, (void *)pid), SIGKILL, 5000);
	for (int i = 0; i < 5000 && kill(atomic_load(pid), 0) == 0; i++)
		sleep_ms(1);
	bool gone = kill(atomic_load(pid), 0) < 0;
	if (!gone)
		kill(atomic_load(pid), SIGKILL);
	REQUIRE(gone);
}

/* ---- what they write ---- */

static int
say(shoal_task *t)
{
	int n = *(const int *)t->in;
	printf("%d;", n);
	return n < 0 ? shoal_task_fail(t, "told to") : 0;
}

/* The file has each of these items, once, in any order, and nothing else. */
static bool
all_said(int fd, const int *items, int count)
{
	char text[1000] = "", one[20];
	size_t bytes = 0;
	REQUIRE(pread(fd, text, sizeof text - 1, 0) >= 0);
	for (int i = 0; i < count; i++) {
		snprintf(one, sizeof one, "%d;", items[i]);
		bytes += strlen(one);
		if (!strstr(text, one))
			return false;
	}
	return strlen(text) == bytes;
}

EACH_METHOD(what_tasks_write_is_out_when_they_are_done)
{
	int in[] = { 11, 12, 13, 14, 15, 16, -17, 18 }, count = sizeof in / sizeof *in;
	int fd = memfd_create("said", MFD_CLOEXEC), was = dup(STDOUT_FILENO);
	REQUIRE_EQ(fcntl(fd, F_SETFL, O_APPEND), 0); /* a memfd's offset is not kept by one lock */
	fflush(stdout);
	REQUIRE_EQ(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	REQUIRE_EQ(setvbuf(stdout, NULL, _IOFBF, BUFSIZ), 0);
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = 2 });
	shoal_map_options o = { .chunk = 3 };
	int failed = (int)shoal_pool_map(p, say, in, sizeof *in, NULL, 0, (size_t)count - 1, &o);
	bool mapped = all_said(fd, in, count - 1);
	int applied = shoal_pool_apply(p, say, &in[7], sizeof *in, NULL, 0);
	bool said = all_said(fd, in, count);
	shoal_pool_destroy(p);
	REQUIRE_EQ(dup2(was, STDOUT_FILENO), STDOUT_FILENO);
	REQUIRE_EQ(failed, 1);
	REQUIRE(mapped);
	REQUIRE_EQ(applied, 0);
	REQUIRE(said);
}

/* The reader of what it writes does not read. */
EACH_METHOD(an_item_that_cannot_write_fails_in_its_time)
{
	int in = 7, code = 0, ends[2], was = dup(STDOUT_FILENO);
	char page[4096] = { 0 };
	REQUIRE_EQ(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	while (write(ends[1], page, sizeof page) > 0)
		continue;
	REQUIRE_EQ(fcntl(ends[1], F_SETFL, 0), 0);
	fflush(stdout);
	REQUIRE_EQ(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
	REQUIRE_EQ(setvbuf(stdout, NULL, _IOFBF, BUFSIZ), 0);
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = 1 });
	shoal_map_options o = { .timeout = SHOAL_MS(150 * HARNESS_SLOW), .codes = &code };
	shoal_result *r;
	int rc = shoal_pool_map_async(p, say, &in, sizeof in, NULL, 0, 1, &o, NULL, NULL, &r);
	int waited = rc ? rc : shoal_result_wait(r, SHOAL_SEC(10));
	shoal_pool_destroy(p);
	REQUIRE_EQ(dup2(was, STDOUT_FILENO), STDOUT_FILENO);
	REQUIRE_EQ(rc, 0);
	REQUIRE_EQ(waited, 0);
	REQUIRE_EQ(code, -ETIMEDOUT);
	shoal_result_free(r);
}
