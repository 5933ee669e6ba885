/* loky's list of crashes and deadlocks, under each start method: BEHAVIOURS.md. */
#include "pool/methods.h"
#include "pool/pool.h"
#include <pthread.h>

/* Whatever handler a sanitizer has for it. */
static int
crash_by(shoal_task *t)
{
	int signo = *(const int *)t->in;
	signal(signo, SIG_DFL);
	raise(signo);
	return 0;
}

static int
leave(shoal_task *t)
{
	int status = *(const int *)t->in;
	if (status > 100)
		shoal_process_exit(status - 100);
	_exit(status);
}

static int
answer_and_crash(shoal_task *t)
{
	char large[3000] = "lost";
	shoal_task_reply(t, large, sizeof large);
	return crash_by(t);
}

static int
give_back(shoal_task *t)
{
	return *(const int *)t->in;
}

static int
fail_in_silence(shoal_task *t)
{
	shoal_task_fail(t, "%s", "");
	return *(const int *)t->in;
}

/* ---- each way in which a task may end ---- */

static const struct ending {
	shoal_task_fn *task;
	int in, code;
	const char *text;
} endings[] = {
	{ crash_by, SIGSEGV, -EOWNERDEAD, "signal 11" },
	{ crash_by, SIGABRT, -EOWNERDEAD, "signal 6" },
	{ crash_by, SIGTERM, -EOWNERDEAD, "signal 15" },
	{ crash_by, SIGKILL, -EOWNERDEAD, "signal 9" },
	{ leave, 0, -EOWNERDEAD, "status 0" },
	{ leave, 42, -EOWNERDEAD, "status 42" },
	{ leave, 107, -EOWNERDEAD, "status 7" },
	{ answer_and_crash, SIGSEGV, -EOWNERDEAD, "signal 11" },
	{ fail_by, -ENOENT, -ENOENT, "told to return -2" },
	{ give_back, -ENXIO, -ENXIO, "" },
	{ fail_in_silence, -EIO, -EIO, "" },
	{ give_back, 5, 0, "" },
	{ give_back, 0, 0, "" },
};

static void
require_ending(shoal_pool *p, const struct ending *e)
{
	shoal_result *r = sent(p, e->task, e->in);
	REQUIRE_EQ(code_of(r), e->code);
	REQUIRE(strstr(shoal_result_error(r), e->text));
	REQUIRE((e->code < 0) == (shoal_result_error(r)[0] != '\0'));
	REQUIRE_EQ(value_of(p, square, 12), 144);
	shoal_result_free(r);
}

EACH_METHOD(each_end_of_a_task_is_told_and_others_go_on)
{
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = 2 });
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
		require_ending(p, &endings[i]);
	until_stat(p, 2, 8);
	shoal_pool_info info;
	REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	REQUIRE_EQ(info.deaths, 8);
	finish(p);
}

static shoal_pool *here;
static _Atomic int ended;

static void
note_end(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	const struct ending *e = arg;
	(void)out, (void)out_bytes;
	REQUIRE_EQ(code, e->code);
	REQUIRE(code == 0 || strstr(error, e->text));
	atomic_fetch_add(&ended, 1);
}

static void
send_ending(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	const struct ending *e = arg;
	(void)out, (void)out_bytes, (void)error;
	REQUIRE_EQ(code, 0);
	REQUIRE_EQ(shoal_pool_apply_async(here, e->task, &e->in, sizeof e->in, note_end, arg, NULL), 0);
}

EACH_METHOD(tasks_sent_by_callbacks_end_the_same)
{
	enum { COUNT = sizeof endings / sizeof *endings };
	here = pool_so((shoal_pool_options){ .workers = 2 });
	for (size_t i = 0; i < COUNT; i++)
		REQUIRE_EQ(shoal_pool_apply_async(here, nap, &(int){ 2 }, sizeof(int), send_ending,
		                                  (void *)(uintptr_t)&endings[i], NULL), 0);
	for (int i = 0; i < 10000 && atomic_load(&ended) < COUNT; i++)
		sleep_ms(1);
	REQUIRE_EQ(atomic_load(&ended), COUNT);
	finish(here);
}

/* What it had answered before it died comes back to the pool. */
EACH_METHOD(answers_of_the_dead_take_no_memory)
{
	shoal_arena_info before, now = { 0 };
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = 1 });
	for (int i = 0; i < 6; i++) {
		shoal_result *r = sent(p, answer_and_crash, SIGKILL);
		REQUIRE_EQ(code_of(r), -EOWNERDEAD);
		shoal_result_free(r);
		REQUIRE_EQ(value_of(p, square, 5), 25);
		shoal_arena_recover(p->arena);
		REQUIRE_EQ(shoal_arena_stat(p->arena, i ? &now : &before), 0);
	}
	REQUIRE(now.used_bytes <= before.used_bytes);
	finish(p);
}

/* ---- workers that die when they have nothing in their hands ---- */

static int
answer_and_die_later(shoal_task *t)
{
	signal(SIGALRM, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	ualarm(20000, 0);
	return square(t);
}

EACH_METHOD(an_answer_outlives_its_worker_and_no_task_fails)
{
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = 1 });
	REQUIRE_EQ(value_of(p, answer_and_die_later, 5), 25);
	until_stat(p, 1, 1);
	for (int i = 0; i < 20; i++)
		REQUIRE_EQ(value_of(p, square, i), i * i);
	int pid = value_of(p, own_pid, 0);
	kill(pid, SIGKILL);
	REQUIRE(value_of(p, own_pid, 0) != pid);
	finish(p);
}

/* ---- workers that kill one another ---- */

static int
kill_it(shoal_task *t)
{
	kill(*(const int *)t->in, SIGKILL);
	return 0;
}

static void
fratricide(unsigned workers)
{
	shoal_process *children[16];
	int pids[16], codes[16];
	shoal_pool_info info;
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = workers });
	REQUIRE_EQ(shoal_process_children(children, 16), workers);
	for (unsigned i = 0; i < workers; i++)
		pids[i] = shoal_process_pid(children[workers - 1 - i]);
	shoal_map_options o = { .chunk = 1, .codes = codes };
	ssize_t failed = shoal_pool_map(p, kill_it, pids, sizeof *pids, NULL, 0, workers, &o);
	REQUIRE(failed >= 0 && failed <= workers);
	for (unsigned i = 0; i < workers; i++)
		REQUIRE(codes[i] == 0 || codes[i] == -EOWNERDEAD);
	until_stat(p, workers, 1);
	REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	REQUIRE(info.deaths <= workers);
	for (int i = 0; i < 30; i++)
		REQUIRE_EQ(value_of(p, square, i), i * i);
	finish(p);
}

EACH_METHOD(workers_that_kill_one_another_are_replaced)
{
	fratricide(1);
	fratricide(2);
	if (method != SHOAL_SPAWN)
		fratricide(5);
	if (method == SHOAL_FORK)
		fratricide(13);
}

/* ---- a full queue ---- */

static _Atomic int good, bad;

static void
count_end(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	(void)arg, (void)out, (void)out_bytes, (void)error;
	atomic_fetch_add(code ? &bad : &good, 1);
}

EACH_METHOD(a_full_queue_of_tasks_that_fail_and_die_moves_on)
{
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = 1, .queue_depth = 4 });
	for (int i = 0; i < 200; i++) {
		shoal_task_fn *fn = i < 100 ? (i % 20 == 7 ? die_by : fail_by) : square;
		int in = i < 100 ? (i % 20 == 7 ? SIGKILL : -EIO) : i;
		REQUIRE_EQ(shoal_pool_apply_async(p, fn, &in, sizeof in, count_end, NULL, NULL), 0);
	}
	finish(p);
	REQUIRE_EQ(atomic_load(&bad), 100);
	REQUIRE_EQ(atomic_load(&good), 100);
}

/* ---- deaths while the pool ends ---- */

EACH_METHOD(a_closed_pool_survives_a_crash_and_ends)
{
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = 1 });
	shoal_result *first = sent(p, nap, 20), *crashing = sent(p, crash_by, SIGSEGV), *r[10];
	for (int i = 0; i < 10; i++)
		r[i] = sent(p, square, i);
	REQUIRE_EQ(shoal_pool_close(p), 0);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(shoal_result_code(first), 0);
	REQUIRE_EQ(shoal_result_code(crashing), -EOWNERDEAD);
	REQUIRE(strstr(shoal_result_error(crashing), "signal 11"));
	for (int i = 0; i < 10; i++) {
		REQUIRE_EQ(gotten(r[i]), i * i);
		shoal_result_free(r[i]);
	}
	shoal_result_free(first);
	shoal_result_free(crashing);
	shoal_pool_destroy(p);
}

EACH_METHOD(workers_killed_just_before_close_keep_nobody_waiting)
{
	for (int round = 0; round < rounds(5); round++) {
		shoal_pool *p = pool_so((shoal_pool_options){ .workers = 2 });
		int pid = value_of(p, own_pid, 0);
		shoal_result *r[6];
		for (int i = 0; i < 6; i++)
			r[i] = sent(p, nap, 1);
		kill(pid, SIGKILL);
		REQUIRE_EQ(shoal_pool_close(p), 0);
		REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(10)), 0);
		for (int i = 0; i < 6; i++) {
			REQUIRE(shoal_result_ready(r[i]));
			shoal_result_free(r[i]);
		}
		shoal_pool_destroy(p);
	}
}

/* More tasks than workers, and closed at once; then with one cancelled just before. */
EACH_METHOD(a_pool_closed_at_once_ends)
{
	int in[3] = { 1, 2, 3 }, out[3] = { 0 };
	for (int round = 0; round < rounds(5); round++) {
		shoal_result *map, *running, *cancelled;
		shoal_pool *p = pool_so((shoal_pool_options){ .workers = 2 });
		REQUIRE_EQ(shoal_pool_map_async(p, square, in, sizeof *in, out, sizeof *out, 3, NULL, NULL,
		                                NULL, &map), 0);
		running = sent(p, nap, 5);
		cancelled = sent(p, nap, 30000);
		int rc = shoal_result_cancel(cancelled);
		REQUIRE(rc == 0 || rc == -EBUSY);
		if (rc == 0)
			finish(p);
		else
			shoal_pool_destroy(p);
		REQUIRE_EQ(shoal_result_code(cancelled), -ECANCELED);
		REQUIRE(rc == -EBUSY || (shoal_result_code(map) == 0 && out[2] == 9));
		REQUIRE(rc == -EBUSY || shoal_result_code(running) == 0);
		shoal_result_free(map);
		shoal_result_free(running);
		shoal_result_free(cancelled);
	}
}

/* The worker has the first one in its hands: the death of an idle one breaks nothing. */
static void
until_queued(shoal_pool *p, size_t queued)
{
	shoal_pool_info info = { 0 };
	for (int i = 0; i < 5000 && info.queued != queued; i++) {
		REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
		sleep_ms(1);
	}
	REQUIRE_EQ(info.queued, queued);
}

/* A cancelled one among the pending must not keep the others from being told. */
EACH_METHOD(a_pool_that_breaks_tells_all_but_the_cancelled)
{
	enum { COUNT = 30 };
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = 1, .on_death = SHOAL_BREAK_POOL });
	int pid = value_of(p, own_pid, 0);
	shoal_result *r[COUNT];
	for (int i = 0; i < COUNT; i++)
		r[i] = sent(p, nap, 30000);
	for (int i = 10; i < COUNT; i += 2)
		REQUIRE_EQ(shoal_result_cancel(r[i]), 0);
	until_queued(p, COUNT - (COUNT - 10) / 2 - 1);
	kill(pid, SIGTERM);
	for (int i = 0; i < COUNT; i++) {
		REQUIRE_EQ(code_of(r[i]), i >= 10 && i % 2 == 0 ? -ECANCELED : -EOWNERDEAD);
		REQUIRE(i != 0 || strstr(shoal_result_error(r[i]), "signal 15"));
		shoal_result_free(r[i]);
	}
	REQUIRE_EQ(shoal_pool_apply(p, square, &(int){ 1 }, sizeof(int), NULL, 0), -EOWNERDEAD);
	shoal_pool_destroy(p);
}

static int
ignore_and_nap(shoal_task *t)
{
	signal(SIGTERM, SIG_IGN);
	return nap(t);
}

EACH_METHOD(terminate_ends_those_who_do_not_listen)
{
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = 3 });
	shoal_result *deaf = sent(p, ignore_and_nap, 30000), *stopped = sent(p, own_pid, 0);
	kill(gotten(stopped), SIGSTOP);
	int64_t began = fair_ns();
	REQUIRE_EQ(shoal_pool_terminate(p), 0);
	REQUIRE(fair_ns() - began < 1000000000);
	REQUIRE_EQ(shoal_result_code(deaf), -ECANCELED);
	shoal_result_free(deaf);
	shoal_result_free(stopped);
	shoal_pool_destroy(p);
	REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
}

/* ---- the host's end ---- */

static int
make_pool_and(void *pids)
{
	_Atomic int *slots = pids;
	shoal_process *children[3];
	shoal_pool *p = pool_so((shoal_pool_options){ .workers = 3 });
	int how = atomic_load(&slots[3]);
	for (int i = 0; i < 10; i++)
		drop(p, nap, 30000);
	REQUIRE_EQ(shoal_process_children(children, 3), 3);
	for (int i = 0; i < 3; i++)
		atomic_store(&slots[i], shoal_process_pid(children[i]));
	if (how == 1)
		REQUIRE_EQ(shoal_pool_close(p), 0);
	if (how == 2)
		kill(getpid(), SIGKILL);
	exit(3);
}

/* With tasks running: left alone, closed, killed. */
EACH_METHOD(workers_end_with_their_host_however_it_ends)
{
	_Atomic int *slots = shared(4 * sizeof *slots);
	for (int how = 0; how < 3; how++) {
		atomic_store(&slots[3], how);
		pid_t pid = child(make_pool_and, (void *)(uintptr_t)slots);
		if (how == 2)
			expect_killed(pid, SIGKILL, 10000);
		else
			expect_child(pid, 3, 10000);
		for (int i = 0; i < 3; i++) {
			for (int k = 0; k < 5000 && kill(atomic_load(&slots[i]), 0) == 0; k++)
				sleep_ms(1);
			REQUIRE(kill(atomic_load(&slots[i]), 0) < 0);
		}
	}
}

/* ---- initializers ---- */

static int
refuse(void *arg)
{
	int how = *(const int *)arg;
	if (how > 0)
		raise(how);
	return how;
}

EACH_METHOD(an_initializer_that_fails_or_dies_breaks_the_pool)
{
	static const int hows[] = { -ENXIO, SIGKILL };
	for (size_t i = 0; i < sizeof hows / sizeof *hows; i++) {
		int how = hows[i], code = how < 0 ? how : -EOWNERDEAD;
		shoal_pool *p = pool_so((shoal_pool_options){
			.workers = 1, .initializer = refuse, .initializer_arg = &how,
			.initializer_arg_bytes = sizeof how });
		shoal_result *r = NULL;
		int rc = shoal_pool_apply_async(p, square, &how, sizeof how, NULL, NULL, &r);
		REQUIRE_EQ(rc ? rc : code_of(r), code);
		shoal_result_free(r);
		REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(10)), code);
		REQUIRE(strstr(shoal_error(), "initializer"));
		shoal_pool_destroy(p);
	}
}
