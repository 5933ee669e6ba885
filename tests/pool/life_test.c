/* Workers from their initializer to their last task; how long an item may run. */
#include "pool/common.h"
#include "pool/pool.h"
#include <sys/resource.h>
#include <time.h>

static _Atomic int *count;
static int answer;

static int
set_answer(void *arg)
{
	answer = arg ? *(const int *)arg : 42;
	return 0;
}

static int
tell_answer(shoal_task *t)
{
	return shoal_task_reply(t, &answer, sizeof answer);
}

Test(pool_life, an_initializer_runs_first_in_each_worker)
{
	int arg = 7;
	shoal_pool_options o = { .workers = 2, .initializer = set_answer };
	shoal_pool *p = pool_with(&o);
	REQUIRE_EQ(value_of(p, tell_answer, 0), 42);
	finish(p);
	o.initializer_arg = &arg;
	o.initializer_arg_bytes = sizeof arg;
	p = pool_with(&o);
	arg = 8;
	int pid = value_of(p, own_pid, 0);
	REQUIRE_EQ(value_of(p, tell_answer, 0), 7);
	kill(pid, SIGKILL);
	until_stat(p, 2, 1);
	for (int i = 0; i < 10; i++)
		REQUIRE_EQ(value_of(p, tell_answer, 0), 7);
	finish(p);
}

static int
refuse(void *arg)
{
	atomic_fetch_add(count, 1);
	return arg ? -ENXIO : 1;
}

static int
die(void *arg)
{
	atomic_fetch_add(count, 1);
	raise(arg ? SIGUSR1 : SIGKILL);
	return 0;
}

static void
require_broken(int (*initializer)(void *), void *arg, int code)
{
	count = shared(sizeof *count);
	shoal_pool_options o = { .workers = 1, .initializer = initializer, .initializer_arg = arg };
	shoal_pool *p = pool_with(&o);
	shoal_result *r = NULL;
	int rc = shoal_pool_apply_async(p, square, &(int){ 3 }, sizeof(int), NULL, NULL, &r);
	if (rc == 0) {
		REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)), code);
		REQUIRE(strstr(shoal_result_error(r), "initializer"));
		shoal_result_free(r);
	}
	REQUIRE_EQ(shoal_pool_apply(p, square, &(int){ 3 }, sizeof(int), NULL, 0), code);
	REQUIRE_EQ(atomic_load(count), 3);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(5)), code);
	shoal_pool_destroy(p);
}

Test(pool_life, an_initializer_that_fails_breaks_the_pool)
{
	require_broken(refuse, &answer, -ENXIO);
	require_broken(refuse, NULL, -ECANCELED);
	require_broken(die, NULL, -EOWNERDEAD);
	require_broken(die, &answer, -EOWNERDEAD);
}

/* Twice of three times: 1, 2, 4, 5, 7, … */
static int
refuse_twice(void *arg)
{
	(void)arg;
	return atomic_fetch_add(count, 1) % 3 < 2 ? -ENXIO : 0;
}

Test(pool_life, initializers_that_fail_between_others_break_nothing)
{
	count = shared(sizeof *count);
	shoal_pool_options o = { .workers = 1, .initializer = refuse_twice };
	shoal_pool *p = pool_with(&o);
	for (int i = 0; i < 4; i++) {
		int pid = value_of(p, own_pid, 0);
		REQUIRE_EQ(atomic_load(count), 3 * (i + 1));
		kill(pid, SIGKILL);
		until_stat(p, 1, 3u * (unsigned)i + 3);
	}
	REQUIRE_EQ(value_of(p, square, 6), 36);
	finish(p);
}

Test(pool_life, workers_leave_after_so_many_tasks)
{
	enum { TASKS = 100 };
	shoal_pool_options o = { .workers = 2, .tasks_per_worker = 10 };
	shoal_pool *p = pool_with(&o);
	shoal_result *r[TASKS];
	int pids[TASKS], distinct = 0;
	for (int i = 0; i < TASKS; i++)
		r[i] = sent(p, own_pid, i);
	for (int i = 0; i < TASKS; i++) {
		int k = 0, pid = gotten(r[i]);
		while (k < distinct && pids[k] != pid)
			k++;
		pids[k] = pid;
		distinct += k == distinct;
		shoal_result_free(r[i]);
	}
	REQUIRE(distinct >= TASKS / 10);
	shoal_pool_info info;
	REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	REQUIRE_EQ(info.deaths, 0);
	REQUIRE_EQ(info.tasks_done, TASKS);
	finish(p);
}

/* What is sent while one leaves is put a second time, in case it took the first message along. */
Test(pool_life, and_after_no_fewer)
{
	shoal_pool_options o = { .workers = 1, .tasks_per_worker = 2 };
	shoal_pool *p = pool_with(&o);
	for (int i = 0, pid = 0; i < 40; i++) {
		int its = value_of(p, own_pid, i);
		REQUIRE((its == pid) == (i % 2 == 1));
		pid = its;
	}
	finish(p);
}

Test(pool_life, workers_that_leave_in_a_map_lose_nothing)
{
	enum { COUNT = 500 };
	static int in[COUNT], out[COUNT];
	shoal_pool_options o = { .workers = 3, .tasks_per_worker = 7 };
	shoal_map_options m = { .chunk = 3 };
	shoal_pool *p = pool_with(&o);
	for (int i = 0; i < COUNT; i++)
		in[i] = i;
	REQUIRE_EQ(shoal_pool_map(p, square, in, sizeof *in, out, sizeof *out, COUNT, &m), 0);
	for (int i = 0; i < COUNT; i++)
		REQUIRE_EQ(out[i], i * i);
	finish(p);
}

static int
sleep_when_odd(shoal_task *t)
{
	atomic_fetch_add(&count[t->index], 1);
	if (t->index % 10 == 5)
		for (;;)
			sleep_ms(1000);
	*(int *)t->out = (int)t->index;
	return 0;
}

Test(pool_life, an_item_that_takes_too_long_fails_alone)
{
	enum { COUNT = 40 };
	int out[COUNT], codes[COUNT];
	count = shared(COUNT * sizeof *count);
	shoal_pool_options po = { .workers = 2, .on_death = SHOAL_RETRY_TASK };
	shoal_pool *p = pool_with(&po);
	shoal_map_options o = { .timeout = SHOAL_MS(100 * HARNESS_SLOW), .codes = codes, .chunk = 8 };
	REQUIRE_EQ(shoal_pool_map(p, sleep_when_odd, NULL, 0, out, sizeof *out, COUNT, &o), 4);
	REQUIRE(strstr(shoal_error(), "longer than it may"));
	for (int i = 0; i < COUNT; i++) {
		REQUIRE_EQ(codes[i], i % 10 == 5 ? -ETIMEDOUT : 0);
		REQUIRE_EQ(atomic_load(&count[i]), 1);
		REQUIRE(codes[i] || out[i] == i);
	}
	shoal_results *it;
	o.codes = NULL;
	REQUIRE_EQ(shoal_pool_imap(p, sleep_when_odd, NULL, 0, sizeof *out, COUNT, &o, &it), 0);
	for (int i = 0; i < COUNT; i++) {
		int value;
		ssize_t rc = shoal_results_next(it, NULL, &value, sizeof value, SHOAL_SEC(10));
		REQUIRE_EQ(rc, i % 10 == 5 ? -ETIMEDOUT : (int)sizeof value);
	}
	shoal_results_free(it);
	finish(p);
}

static int64_t
cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* What this process takes while one sleeps in a task. */
static void
require_sleep(shoal_pool *p, shoal_time timeout, int failed)
{
	shoal_map_options o = { .timeout = timeout };
	int64_t before = cpu_ns();
	REQUIRE_EQ(shoal_pool_map(p, nap, &(int){ 500 }, sizeof(int), NULL, 0, 1, &o), failed);
	REQUIRE(cpu_ns() - before < 250000000);
}

Test(pool_life, no_limit_and_a_tiny_one_let_the_pool_sleep)
{
	shoal_pool *p = pool_of(1);
	require_sleep(p, SHOAL_FOREVER, 0);
	require_sleep(p, SHOAL_FOREVER - 1, 0);
	require_sleep(p, 1, 1);
	require_sleep(p, 0, 0);
	shoal_results *it;
	shoal_map_options o = { .timeout = SHOAL_FOREVER };
	int64_t before = cpu_ns();
	REQUIRE_EQ(shoal_pool_imap(p, nap, &(int){ 500 }, sizeof(int), 0, 1, &o, &it), 0);
	REQUIRE_EQ(shoal_results_next(it, NULL, NULL, 0, SHOAL_SEC(10)), 0);
	REQUIRE(cpu_ns() - before < 250000000);
	shoal_results_free(it);
	finish(p);
}

static int
tell_name(shoal_task *t)
{
	const char *name = shoal_process_name(shoal_process_current());
	return shoal_task_reply(t, name, strlen(name) + 1);
}

static int
try_children(shoal_task *t)
{
	shoal_pool *p = NULL;
	shoal_process *child = NULL;
	if (shoal_pool_create(NULL, &p) != -EPERM || p)
		return -EINVAL;
	bool context = t->context == &answer;
	return context && shoal_process_spawn(set_answer, NULL, NULL, &child) == -EPERM ? 0 : -1;
}

Test(pool_life, workers_are_daemons_with_names_and_no_children)
{
	char name[64];
	shoal_pool_options o = { .workers = 1, .context = &answer };
	shoal_pool *p = pool_with(&o);
	shoal_result *r = sent(p, tell_name, 0);
	REQUIRE(shoal_result_get(r, name, sizeof name, SHOAL_SEC(5)) > 0);
	REQUIRE_STR_EQ(name, "ForkPoolWorker-1");
	shoal_result_free(r);
	REQUIRE_EQ(shoal_pool_apply(p, try_children, NULL, 0, NULL, 0), 0);
	finish(p);
}

static void
on_term(int signo)
{
	(void)signo;
}

Test(pool_life, a_handler_of_the_program_does_not_keep_workers)
{
	signal(SIGTERM, on_term);
	shoal_pool *p = pool_of(2);
	drop(p, nap, 30000);
	sleep_ms(50);
	int64_t began = fair_ns();
	shoal_pool_destroy(p);
	REQUIRE(fair_ns() - began < 90000000 * HARNESS_SLOW);
}

static int
refuse_for_now(void *arg)
{
	(void)arg;
	return -EAGAIN;
}

/* A map of nothing waits for nothing, and tells the code. */
static int
wait_broken(shoal_pool *p)
{
	int rc = 0;
	for (int i = 0; !rc && i < 5000; i++) {
		rc = (int)shoal_pool_map(p, square, NULL, 0, NULL, 0, 0, NULL);
		sleep_ms(1);
	}
	return rc;
}

Test(pool_life, a_pool_whose_code_is_that_of_polling_keeps_nobody_waiting, .timeout = 10)
{
	shoal_pool_options o = { .workers = 1, .initializer = refuse_for_now };
	shoal_results *it;
	shoal_pool *p = pool_with(&o);
	REQUIRE_EQ(wait_broken(p), -EAGAIN);
	REQUIRE_EQ(shoal_pool_apply(p, square, &(int){ 3 }, sizeof(int), NULL, 0), -EAGAIN);
	REQUIRE(strstr(shoal_error(), "initializer"));
	REQUIRE_EQ(shoal_pool_apply_async(p, square, &(int){ 3 }, sizeof(int), NULL, NULL, NULL),
	           -EAGAIN);
	REQUIRE_EQ(shoal_pool_map(p, square, NULL, 0, NULL, 0, 5, NULL), -EAGAIN);
	REQUIRE(strstr(shoal_error(), "initializer"));
	REQUIRE_EQ(shoal_pool_map_async(p, square, NULL, 0, NULL, 0, 5, NULL, NULL, NULL, NULL),
	           -EAGAIN);
	REQUIRE_EQ(shoal_pool_imap(p, square, NULL, 0, 0, 5, NULL, &it), -EAGAIN);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(5)), -EAGAIN);
	shoal_pool_destroy(p);
}

/* No number below is free for a new descriptor. */
static void
require_broken_by_starts(unsigned n)
{
	enum { WORKERS = 10, FEW = 60 };
	shoal_process *workers[WORKERS];
	struct rlimit limit;
	int fd = dup(STDERR_FILENO);
	while (fd < FEW)
		fd = dup(STDERR_FILENO);
	shoal_pool *p = pool_of(n);
	REQUIRE_EQ(shoal_process_children(workers, WORKERS), n);
	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = FEW;
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (unsigned i = 0; i < n; i++)
		kill(shoal_process_pid(workers[i]), SIGKILL);
	int rc = wait_broken(p);
	if (rc == 0) /* one worker's starts alone take five seconds */
		rc = wait_broken(p);
	REQUIRE_EQ(rc, -ECHILD);
	REQUIRE(strstr(shoal_error(), "no worker could be started"));
	limit.rlim_cur = limit.rlim_max;
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(5)), -ECHILD);
	shoal_pool_destroy(p);
}

Test(pool_life, a_pool_breaks_when_no_worker_can_be_started)
{
	require_broken_by_starts(10);
}

/* Workers are numbered as they are started, or are to be, through all pools of a process. */
Test(pool_life, a_pool_breaks_at_the_start_that_the_header_says)
{
	char name[64];
	require_broken_by_starts(1);
	shoal_pool *p = pool_of(1);
	shoal_result *r = sent(p, tell_name, 0);
	REQUIRE(shoal_result_get(r, name, sizeof name, SHOAL_SEC(5)) > 0);
	REQUIRE_STR_EQ(name, "ForkPoolWorker-252");
	shoal_result_free(r);
	finish(p);
}

static int
hang(shoal_task *t)
{
	(void)t;
	atomic_store(count, 1);
	for (;;)
		sleep_ms(1000);
	return 0;
}

/* Nothing is asked of the pool, nor closed, before its worker has been killed. */
static void
until_killed(const shoal_pool *p)
{
	for (int i = 0; i < 5000 && !load_relaxed(&p->deaths); i++)
		sleep_ms(1);
	REQUIRE_EQ(load_relaxed(&p->deaths), 1);
}

static void
require_its_time_kept(bool map, bool closed)
{
	shoal_result *r;
	shoal_results *it;
	shoal_map_options o = { .timeout = SHOAL_MS(100 * HARNESS_SLOW) };
	count = shared(sizeof *count);
	shoal_pool *p = pool_of(1);
	if (map)
		REQUIRE_EQ(shoal_pool_map_async(p, hang, NULL, 0, NULL, 0, 1, &o, NULL, NULL, &r), 0);
	else
		REQUIRE_EQ(shoal_pool_imap(p, hang, NULL, 0, 0, 1, &o, &it), 0);
	while (!atomic_load(count))
		sleep_ms(1);
	if (map)
		shoal_result_free(r);
	else
		shoal_results_free(it);
	if (closed)
		REQUIRE_EQ(shoal_pool_close(p), 0);
	until_killed(p);
	if (!closed)
		REQUIRE_EQ(value_of(p, square, 3), 9);
	finish(p);
}

Test(pool_life, an_item_that_takes_too_long_ends_also_when_nobody_wants_it)
{
	for (int i = 0; i < 4; i++)
		require_its_time_kept(i & 1, i & 2);
}

/* One after another, as the test says; every other one fails. */
static int
take_turns(void *arg)
{
	int turn = atomic_fetch_add(&count[0], 1);
	(void)arg;
	while (atomic_load(&count[1]) < turn)
		sleep_ms(1);
	return turn % 2 ? 0 : -ENXIO;
}

static void
until_working(const shoal_pool *p, uint32_t working)
{
	uint32_t found = 0;
	for (int i = 0; found != working && i < 5000; i++) {
		sleep_ms(1);
		found = 0;
		for (uint32_t k = 1; k <= p->head->workers; k++)
			found += load_acquire(&p->seats[k].phase) == SEAT_WORKING;
	}
	REQUIRE_EQ(found, working);
}

Test(pool_life, initializers_that_fail_while_others_do_not_break_nothing)
{
	enum { WORKERS = 5 };
	count = shared(2 * sizeof *count);
	shoal_pool_options o = { .workers = WORKERS, .initializer = take_turns };
	shoal_pool *p = pool_with(&o);
	for (unsigned i = 1; i < WORKERS; i++) {
		until_stat(p, WORKERS, i);
		atomic_fetch_add(&count[1], 1);
		until_working(p, i);
		atomic_fetch_add(&count[1], 1);
	}
	atomic_store(&count[1], 1000);
	REQUIRE_EQ(value_of(p, square, 7), 49);
	finish(p);
}

Test(pool_life, a_pool_that_breaks_at_deaths_tries_its_initializer_as_often)
{
	count = shared(sizeof *count);
	shoal_pool_options o = { .workers = 1, .initializer = refuse_twice,
		                     .on_death = SHOAL_BREAK_POOL };
	shoal_pool *p = pool_with(&o);
	REQUIRE_EQ(value_of(p, square, 6), 36);
	REQUIRE_EQ(atomic_load(count), 3);
	finish(p);
	o.initializer = refuse;
	o.initializer_arg = &answer;
	atomic_store(count, 0);
	p = pool_with(&o);
	REQUIRE_EQ(wait_broken(p), -ENXIO);
	REQUIRE_EQ(atomic_load(count), 3);
	shoal_pool_destroy(p);
}
