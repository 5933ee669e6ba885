/* Workers that die with a task in their hands: the faults of Python's and loky's lists. */
#include "pool/common.h"
#include "pool/pool.h"
#include "pool/task.h"
#include "steps.h"
#include <sys/syscall.h>
#include <sys/wait.h>

struct board {
	_Atomic int runs[64];
	_Atomic int pid[64];
};
static struct board *board;

static int
count_and_die(shoal_task *t)
{
	int which = *(const int *)t->in;
	atomic_fetch_add(&board->runs[which], 1);
	raise(SIGKILL);
	return 0;
}

static int
die_at_first(shoal_task *t)
{
	int which = *(const int *)t->in;
	if (atomic_fetch_add(&board->runs[which], 1) == 0)
		raise(SIGUSR1);
	return shoal_task_reply(t, &which, sizeof which);
}

static int
leave(shoal_task *t)
{
	int status = *(const int *)t->in;
	if (status < 0)
		shoal_process_exit(-status);
	_exit(status);
}

Test(pool_death, a_task_that_exits_fails_with_its_status)
{
	shoal_pool *p = pool_of(1);
	for (int status = 0; status < 4; status += 3) {
		shoal_result *r = sent(p, leave, status);
		char text[64];
		REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(5)), -EOWNERDEAD);
		snprintf(text, sizeof text, "status %d", status);
		REQUIRE(strstr(shoal_result_error(r), text));
		shoal_result_free(r);
	}
	int gently = -7;
	REQUIRE_EQ(shoal_pool_apply(p, leave, &gently, sizeof gently, NULL, 0), -EOWNERDEAD);
	REQUIRE(strstr(shoal_error(), "status 7"));
	finish(p);
}

Test(pool_death, other_tasks_do_not_notice)
{
	shoal_pool *p = pool_of(2);
	shoal_result *r[40];
	for (int i = 0; i < 40; i++)
		r[i] = i % 4 == 1 ? sent(p, die_by, SIGKILL) : sent(p, square, i);
	for (int i = 0; i < 40; i++) {
		if (i % 4 == 1)
			REQUIRE_EQ(shoal_result_get(r[i], NULL, 0, SHOAL_SEC(10)), -EOWNERDEAD);
		else
			REQUIRE_EQ(gotten(r[i]), i * i);
		shoal_result_free(r[i]);
	}
	until_stat(p, 2, 10);
	finish(p);
}

Test(pool_death, an_idle_worker_is_replaced)
{
	shoal_pool *p = pool_of(1);
	int pid = value_of(p, own_pid, 0);
	kill(pid, SIGKILL);
	until_stat(p, 1, 1);
	REQUIRE(value_of(p, own_pid, 0) != pid);
	shoal_pool_destroy(p);
}

Test(pool_death, retried_tasks_run_again_but_not_for_ever)
{
	board = shared(sizeof *board);
	shoal_pool_options o = { .workers = 2, .on_death = SHOAL_RETRY_TASK, .retries_max = 2 };
	shoal_pool *p = pool_with(&o);
	REQUIRE_EQ(value_of(p, die_at_first, 3), 3);
	REQUIRE_EQ(atomic_load(&board->runs[3]), 2);
	shoal_result *r = sent(p, count_and_die, 4);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)), -EOWNERDEAD);
	REQUIRE_EQ(atomic_load(&board->runs[4]), 3);
	shoal_result_free(r);
	finish(p);
}

#if HAS_STEPS

static void
end_here(void)
{
	raise(SIGKILL);
}

/* Its worker dies so many instructions after it has failed; it would do well the second time. */
static int
fail_at_first(shoal_task *t)
{
	int i = *(const int *)t->in;
	if (i != 3 || atomic_fetch_add(&board->runs[i], 1)) {
		steps_end();
		return shoal_task_reply(t, &i, sizeof i);
	}
	steps_begin((uint32_t)atomic_load(&board->runs[4]), end_here);
	return -EDOM;
}

/*
 * Each time either the failure stands, or the item was run again, and then it is well: what is said
 * of it is of one of the two.
 */
Test(pool_death, an_item_that_failed_is_not_also_run_again)
{
	enum { ITEMS = 8 };
	board = shared(sizeof *board);
	shoal_pool *p = pool_with(&(shoal_pool_options){ .workers = 1, .on_death = SHOAL_RETRY_TASK });
	shoal_pool_info info;
	uint32_t deaths = 0, before = 1;
	for (int at = 0; deaths != before; at += HARNESS_SLOW) {
		int in[ITEMS] = { 0, 1, 2, 3, 4, 5, 6, 7 }, out[ITEMS] = { 0 }, codes[ITEMS];
		shoal_map_options m = { .chunk = ITEMS, .codes = codes };
		atomic_store(&board->runs[3], 0);
		atomic_store(&board->runs[4], at);
		ssize_t failed = shoal_pool_map(p, fail_at_first, in, sizeof *in, out, sizeof *out, ITEMS,
		                                &m);
		bool well = atomic_load(&board->runs[3]) == 2;
		REQUIRE_EQ(failed, !well);
		REQUIRE_EQ(codes[3], well ? 0 : -EDOM);
		REQUIRE_EQ(out[3], well ? 3 : 0);
		REQUIRE(out[2] == 2 && out[7] == 7);
		before = deaths;
		REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
		deaths = info.deaths;
	}
	REQUIRE(deaths > 20);
	shoal_pool_destroy(p);
}

#endif

static int
answer_at_first(shoal_task *t)
{
	char text[200] = "of the first";
	if (atomic_fetch_add(&board->runs[*(const int *)t->in], 1))
		return 0;
	shoal_task_reply(t, text, sizeof text);
	raise(SIGKILL);
	return 0;
}

Test(pool_death, what_a_dead_one_had_answered_is_not_the_next_ones_answer)
{
	char out[200];
	board = shared(sizeof *board);
	shoal_pool *p = pool_with(&(shoal_pool_options){ .workers = 1, .on_death = SHOAL_RETRY_TASK });
	shoal_result *r = sent(p, answer_at_first, 7);
	REQUIRE_EQ(shoal_result_get(r, out, sizeof out, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(atomic_load(&board->runs[7]), 2);
	shoal_result_free(r);
	finish(p);
}

Test(pool_death, a_pool_may_break)
{
	shoal_pool_options o = { .workers = 2, .on_death = SHOAL_BREAK_POOL };
	shoal_pool *p = pool_with(&o);
	shoal_result *r[10];
	for (int i = 0; i < 10; i++)
		r[i] = sent(p, i == 5 ? die_by : nap, i == 5 ? SIGKILL : 20);
	REQUIRE_EQ(shoal_result_get(r[9], NULL, 0, SHOAL_SEC(10)), -EOWNERDEAD);
	REQUIRE(strstr(shoal_result_error(r[9]), "signal 9"));
	REQUIRE_EQ(shoal_pool_apply(p, square, &(int){ 1 }, sizeof(int), NULL, 0), -EOWNERDEAD);
	REQUIRE(strstr(shoal_error(), "broken"));
	for (int i = 0; i < 10; i++)
		shoal_result_free(r[i]);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(5)), -EOWNERDEAD);
	shoal_pool_destroy(p);
}

static int
die_in_the_middle(shoal_task *t)
{
	atomic_fetch_add(&board->runs[t->index % 64], 1);
	if (t->index == 37)
		raise(SIGABRT);
	if (t->index == 60)
		return shoal_task_fail(t, "sixty");
	*(int *)t->out = (int)t->index + 1;
	return 0;
}

Test(pool_death, of_a_chunk_only_the_item_in_hand_is_lost)
{
	for (size_t chunk = 1; chunk < 300; chunk *= 4) {
		enum { COUNT = 64 };
		int out[COUNT], codes[COUNT];
		board = shared(sizeof *board);
		shoal_pool *p = pool_of(2);
		memset(out, 0, sizeof out);
		shoal_map_options o = { .chunk = chunk, .codes = codes };
		REQUIRE_EQ(shoal_pool_map(p, die_in_the_middle, NULL, 0, out, sizeof *out, COUNT, &o), 2);
		REQUIRE(strstr(shoal_error(), "signal 6"));
		for (int i = 0; i < COUNT; i++) {
			REQUIRE_EQ(atomic_load(&board->runs[i]), 1);
			REQUIRE_EQ(codes[i], i == 37 ? -EOWNERDEAD : i == 60 ? -EIO : 0);
			REQUIRE_EQ(out[i], codes[i] ? 0 : i + 1);
		}
		finish(p);
	}
}

/* The only thing that fails in it. */
Test(pool_death, a_map_counts_an_item_that_was_lost)
{
	int in[10] = { 0 }, codes[10];
	shoal_pool *p = pool_of(1);
	in[3] = SIGKILL;
	shoal_map_options o = { .chunk = 10, .codes = codes };
	REQUIRE_EQ(shoal_pool_map(p, die_by, in, sizeof *in, NULL, 0, 10, &o), 1);
	REQUIRE(strstr(shoal_error(), "signal 9"));
	for (int i = 0; i < 10; i++)
		REQUIRE_EQ(codes[i], i == 3 ? -EOWNERDEAD : 0);
	finish(p);
}

Test(pool_death, of_a_batch_of_imap_too)
{
	enum { COUNT = 64 };
	for (size_t chunk = 1; chunk < 70; chunk *= 8) {
		board = shared(sizeof *board);
		shoal_pool *p = pool_of(2);
		shoal_results *it;
		shoal_map_options o = { .chunk = chunk };
		REQUIRE_EQ(shoal_pool_imap(p, die_in_the_middle, NULL, 0, sizeof(int), COUNT, &o, &it), 0);
		for (int i = 0; i < COUNT; i++) {
			size_t index;
			int value = 0;
			ssize_t rc = shoal_results_next(it, &index, &value, sizeof value, SHOAL_SEC(10));
			REQUIRE_EQ(index, i);
			REQUIRE_EQ(rc, i == 37 ? -EOWNERDEAD : i == 60 ? -EIO : (int)sizeof value);
			REQUIRE_EQ(value, rc < 0 ? 0 : i + 1);
			REQUIRE_EQ(atomic_load(&board->runs[i]), 1);
		}
		shoal_results_free(it);
		finish(p);
	}
}

static int
tell_pid_and_nap(shoal_task *t)
{
	int which = *(const int *)t->in;
	atomic_store(&board->pid[which], getpid());
	sleep_ms(30000);
	return 0;
}

static int
wait_pid(int which)
{
	for (int i = 0; i < 5000 && !atomic_load(&board->pid[which]); i++)
		sleep_ms(1);
	REQUIRE(atomic_load(&board->pid[which]));
	return atomic_load(&board->pid[which]);
}

Test(pool_death, a_stopped_worker_keeps_its_task_and_holds_up_nobody)
{
	board = shared(sizeof *board);
	shoal_pool *p = pool_of(2);
	shoal_result *held = sent(p, tell_pid_and_nap, 1);
	int pid = wait_pid(1);
	kill(pid, SIGSTOP);
	for (int i = 0; i < 100; i++)
		REQUIRE_EQ(value_of(p, square, i), i * i);
	REQUIRE(!shoal_result_ready(held));
	int64_t began = fair_ns();
	REQUIRE_EQ(shoal_pool_terminate(p), 0);
	REQUIRE(fair_ns() - began < 1000000000);
	REQUIRE_EQ(shoal_result_code(held), -ECANCELED);
	shoal_result_free(held);
	shoal_pool_destroy(p);
}

static int
deaf(shoal_task *t)
{
	int which = *(const int *)t->in;
	signal(SIGTERM, SIG_IGN);
	atomic_store(&board->pid[which], getpid());
	for (;;)
		sleep_ms(1000);
	return 0;
}

Test(pool_death, terminate_does_not_wait_for_those_who_do_not_listen)
{
	board = shared(sizeof *board);
	shoal_pool *p = pool_of(2);
	drop(p, deaf, 1);
	drop(p, deaf, 2);
	wait_pid(1);
	wait_pid(2);
	int64_t began = fair_ns();
	REQUIRE_EQ(shoal_pool_terminate(p), 0);
	REQUIRE(fair_ns() - began < 1000000000);
	REQUIRE(kill(atomic_load(&board->pid[1]), 0) < 0);
	shoal_pool_destroy(p);
}

/* It had nothing in its hands. */
Test(pool_death, a_pool_does_not_break_by_an_idle_worker)
{
	shoal_pool_options o = { .workers = 1, .on_death = SHOAL_BREAK_POOL };
	shoal_pool *p = pool_with(&o);
	int pid = value_of(p, own_pid, 0);
	kill(pid, SIGKILL);
	until_stat(p, 1, 1);
	REQUIRE(value_of(p, own_pid, 0) != pid);
	finish(p);
}

/* What the C library does at a fork, the second one does without. */
static pid_t
fork_so(bool raw)
{
	return raw ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
}

static int
wait_for_status(pid_t pid)
{
	int status;
	REQUIRE(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int
fork_and_return(shoal_task *t)
{
	atomic_fetch_add(&board->runs[t->index], 1);
	pid_t pid = fork_so(t->context);
	if (!pid)
		return t->index == 1 ? -EIO : 0;
	return wait_for_status(pid) == (t->index == 1) ? 0 : -EPROTO;
}

static void
require_one_worker(void *raw, shoal_time timeout)
{
	shoal_pool_info info;
	shoal_map_options o = { .timeout = timeout };
	board = shared(sizeof *board);
	shoal_pool *p = pool_with(&(shoal_pool_options){ .workers = 1, .context = raw });
	REQUIRE_EQ(shoal_pool_apply(p, fork_and_return, NULL, 0, NULL, 0), 0);
	REQUIRE_EQ(shoal_pool_map(p, fork_and_return, NULL, 0, NULL, 0, 4, &o), 0);
	REQUIRE_EQ(value_of(p, square, 3), 9);
	REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	REQUIRE_EQ(info.deaths, 0);
	REQUIRE_EQ(info.tasks_done, 6);
	for (int i = 0; i < 4; i++)
		REQUIRE_EQ(atomic_load(&board->runs[i]), i ? 1 : 2);
	finish(p);
}

/* Later, in the place of whoever has it then. */
static int
let_child_reply(shoal_task *t)
{
	pid_t pid = fork_so(t->context);
	if (!pid)
		_exit(shoal_task_reply(t, "child", 6) == -EPERM);
	return wait_for_status(pid) ? shoal_task_reply(t, "worker", 7) : -EPROTO;
}

Test(pool_death, a_tasks_child_does_not_reply)
{
	char got[64] = "";
	shoal_result *r;
	for (intptr_t raw = 0; raw < 2; raw++) {
		shoal_pool *p = pool_with(&(shoal_pool_options){ .workers = 1, .context = (void *)raw });
		REQUIRE_EQ(shoal_pool_apply(p, let_child_reply, NULL, 0, got, sizeof got), 0);
		REQUIRE_STR_EQ(got, "worker");
		REQUIRE_EQ(shoal_pool_apply_async(p, let_child_reply, NULL, 0, NULL, NULL, &r), 0);
		REQUIRE_EQ(shoal_result_get(r, got, sizeof got, SHOAL_SEC(5)), 7);
		REQUIRE_STR_EQ(got, "worker");
		shoal_result_free(r);
		finish(p);
	}
}

Test(pool_death, a_tasks_child_does_not_go_on_as_the_worker)
{
	require_one_worker(NULL, 0);
	require_one_worker(NULL, SHOAL_SEC(10));
}

Test(pool_death, nor_does_a_child_that_was_forked_past_the_c_library)
{
	require_one_worker(&board, 0);
	require_one_worker(&board, SHOAL_SEC(10));
}

/* It would wait for tasks. */
static int
fork_and_begin(void *raw)
{
	int status = -1;
	pid_t pid = fork_so(raw);
	if (!pid)
		return 0;
	for (int i = 0; i < 2000 && waitpid(pid, &status, WNOHANG) == 0; i++)
		sleep_ms(1);
	kill(pid, SIGKILL);
	return status == 0 ? 0 : -EPROTO;
}

Test(pool_death, an_initializers_child_ends_where_it_returns)
{
	void *how[] = { NULL, &board };
	for (size_t i = 0; i < 2; i++) {
		shoal_pool *p = pool_with(&(shoal_pool_options){
			.workers = 1, .initializer = fork_and_begin, .initializer_arg = how[i] });
		REQUIRE_EQ(value_of(p, square, 3), 9);
		until_stat(p, 1, 0);
		finish(p);
	}
}

/*
 * ThreadSanitizer ends a forked child of a process with threads that makes some; in
 * AddressSanitizer's the allocator's lock may be one that the parent's threads held.
 */
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)

static int
fork_and_pool(shoal_task *t)
{
	pid_t pid = fork_so(t->context);
	if (pid)
		return wait_for_status(pid) == 0 ? 0 : -EPROTO;
	shoal_pool *p = pool_of(1);
	int out = 0;
	for (int i = 0; i < 3; i++) {
		REQUIRE_EQ(shoal_pool_apply(p, square, &i, sizeof i, &out, sizeof out), 0);
		REQUIRE_EQ(out, i * i);
	}
	finish(p);
	return 0;
}

Test(pool_death, a_tasks_child_has_a_pool_of_its_own)
{
	shoal_pool *p = pool_of(1);
	REQUIRE_EQ(shoal_pool_apply(p, fork_and_pool, NULL, 0, NULL, 0), 0);
	finish(p);
}

#endif

/* ---- the bell ---- */

enum { RUNS, GOES_ON };

/* As a worker that has ended its task and made the bell 0, and has not woken anybody yet. */
static int
ring_without_a_sound(shoal_task *t)
{
	struct self *self = t->internal_[0];
	uint64_t generation = id_generation(self->id);
	word64 *done = arena_at(self->arena, self->head->done);
	atomic_store(&board->pid[0], getpid());
	atomic_store(&board->runs[RUNS], 1);
	while (!atomic_load(&board->runs[GOES_ON]))
		sleep_ms(1);
	cas64_seq_cst(&self->slot->state, slot_word(generation, self->number, SLOT_RUNNING),
	              slot_word(generation, 0, SLOT_DONE));
	fetch_or_seq_cst(&done[0], UINT64_C(1) << id_index(self->id));
	exchange_seq_cst(&self->head->bell, 0);
	raise(*(const int *)t->in);
	return 0;
}

static void
until_slot_is(shoal_pool *p, uint32_t index, enum slot_state state)
{
	for (int i = 0; i < 5000 && slot_state(load_acquire(&p->slots[index].state)) != state; i++)
		sleep_ms(1);
	REQUIRE_EQ(slot_state(load_acquire(&p->slots[index].state)), state);
}

/* Nothing is pending when it comes there, so that the collector sleeps until it is woken. */
static shoal_pool *
pool_whose_bell_made_no_sound(int signo)
{
	shoal_results *it;
	board = shared(sizeof *board);
	shoal_pool *p = pool_of(2);
	REQUIRE_EQ(shoal_pool_imap(p, ring_without_a_sound, &signo, sizeof signo, 0, 1, NULL, &it), 0);
	while (!atomic_load(&board->runs[RUNS]))
		sleep_ms(1);
	shoal_results_free(it);
	for (int i = 0; i < 5000 && !load_acquire(&p->quiet); i++)
		sleep_ms(1);
	REQUIRE_EQ(load_acquire(&p->quiet), 1);
	atomic_store(&board->runs[GOES_ON], 1);
	return p;
}

Test(pool_death, what_a_worker_did_not_live_to_tell_is_taken_in)
{
	shoal_pool *p = pool_whose_bell_made_no_sound(SIGKILL);
	until_slot_is(p, 0, SLOT_FREE);
	finish(p);
}

/* The next task is one that nobody asks for. */
Test(pool_death, a_pool_ends_though_a_worker_stands_still_before_it_tells)
{
	shoal_pool *p = pool_whose_bell_made_no_sound(SIGSTOP);
	for (int i = 0; i < 5000 && load_acquire(&p->head->bell); i++)
		sleep_ms(1);
	shoal_result *r = sent(p, square, 3);
	until_slot_is(p, 1, SLOT_DONE);
	REQUIRE_EQ(shoal_pool_close(p), 0);
	for (int i = 0; i < 5000 && load_acquire(&p->unsettled); i++)
		sleep_ms(1);
	REQUIRE_EQ(load_acquire(&p->unsettled), 0);
	kill(atomic_load(&board->pid[0]), SIGCONT);
	REQUIRE_EQ(gotten(r), 9);
	shoal_result_free(r);
	finish(p);
}
