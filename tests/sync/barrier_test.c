#include "common.h"
#include "sync/robust.h"
#include <shoal/arena.h>
#include <shoal/data.h>
#include <shoal/queue.h>

enum { PARTIES = 5 };

struct world {
	shoal_barrier b;
	word32 reached, gone, came[PARTIES];
	volatile int calls, action;
	volatile int result[PARTIES];
	volatile int64_t at[PARTIES];
	volatile shoal_time timeout;
};

static int
party(struct world *w, int i)
{
	reach(&w->reached);
	w->result[i] = shoal_barrier_wait(&w->b, w->timeout ? w->timeout : SHOAL_SEC(10));
	w->at[i] = fair_ns();
	reach(&w->gone);
	return 0;
}
static int party_0(void *w) { return party(w, 0); }
static int party_1(void *w) { return party(w, 1); }
static int party_2(void *w) { return party(w, 2); }
static int party_3(void *w) { return party(w, 3); }
static int party_4(void *w) { return party(w, 4); }
static int (*const waits[])(void *) = { party_0, party_1, party_2, party_3, party_4 };

static void
gather(struct world *w, pid_t *pid, int n)
{
	for (int i = 0; i < n; i++)
		pid[i] = child(waits[i], w);
	for (int i = 0; i < 3000 && shoal_barrier_waiting(&w->b) < (uint32_t)n; i++)
		sleep_ms(1);
	for (int i = 0; i < n; i++)
		wait_asleep(pid[i]);
	REQUIRE_EQ(shoal_barrier_waiting(&w->b), n);
}

static void
expect_all(struct world *w, pid_t *pid, int n, int result)
{
	for (int i = 0; i < n; i++) {
		expect_child(pid[i], 0, 2000);
		REQUIRE_EQ(w->result[i], result);
	}
}

Test(barrier, is_for_so_many)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(sizeof(shoal_barrier), 128);
	REQUIRE_EQ(shoal_barrier_init(&w->b, 0), -EINVAL);
	REQUIRE_EQ(shoal_barrier_init(&w->b, 65536), -EINVAL);
	REQUIRE_EQ(shoal_barrier_init(&w->b, 1), 0);
	REQUIRE_EQ(shoal_barrier_parties(&w->b), 1);
	REQUIRE_EQ(shoal_barrier_waiting(&w->b), 0);
	/* CPython's test_single_thread. */
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(shoal_barrier_wait(&w->b, i ? SHOAL_FOREVER : 0), 0);
	REQUIRE(!shoal_barrier_broken(&w->b));
	REQUIRE_EQ(shoal_barrier_init(&w->b, 2), 0);
	REQUIRE_EQ(shoal_barrier_wait(&w->b, 0), -EAGAIN);
	REQUIRE_EQ(shoal_barrier_waiting(&w->b), 0);
	REQUIRE(!shoal_barrier_broken(&w->b));
}

enum { ROUNDS = 1000 };

static int
in_step(struct world *w, int i)
{
	for (uint32_t r = 1; r <= ROUNDS; r++) {
		store_release(&w->came[i], r);
		int rc = shoal_barrier_wait(&w->b, SHOAL_SEC(20));
		REQUIRE(rc >= 0 && rc < PARTIES);
		for (int k = 0; k < PARTIES; k++) {
			uint32_t other = load_acquire(&w->came[k]);
			REQUIRE(other == r || other == r + 1);
		}
		/* Exactly one has each number. */
		fetch_add_seq_cst(&w->gone, 1u << (4 * rc));
		rc = shoal_barrier_wait(&w->b, SHOAL_SEC(20));
		REQUIRE(rc >= 0);
		if (rc == 0) {
			REQUIRE_EQ(load_acquire(&w->gone), 0x11111);
			store_release(&w->gone, 0);
		}
		REQUIRE(shoal_barrier_wait(&w->b, SHOAL_SEC(20)) >= 0);
	}
	/* Nobody ends before all are through: the end of a party is a death to those who wait. */
	fetch_add_seq_cst(&w->reached, 1);
	while (load_acquire(&w->reached) < PARTIES)
		sleep_ms(1);
	return 0;
}
static int step_0(void *w) { return in_step(w, 0); }
static int step_1(void *w) { return in_step(w, 1); }
static int step_2(void *w) { return in_step(w, 2); }
static int step_3(void *w) { return in_step(w, 3); }
static int step_4(void *w) { return in_step(w, 4); }
static int (*const steps[])(void *) = { step_0, step_1, step_2, step_3, step_4 };

/* CPython's test_thousand and test_wait_return. */
Test(barrier, keeps_parties_in_step, .timeout = 60 * HARNESS_SLOW)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[PARTIES];
	REQUIRE_EQ(shoal_barrier_init(&w->b, PARTIES), 0);
	for (int i = 0; i < PARTIES; i++)
		pid[i] = child(steps[i], w);
	for (int i = 0; i < PARTIES; i++)
		expect_child(pid[i], 0, 40000);
}

static int
act(void *arg)
{
	struct world *w = arg;
	w->calls = w->calls + 1;
	REQUIRE_EQ(shoal_barrier_waiting(&w->b), 0);
	return w->action;
}

static int
wait_acting(void *arg)
{
	struct world *w = arg;
	int rc = shoal_barrier_wait_do(&w->b, act, w, SHOAL_SEC(10));
	w->result[0] = rc;
	if (rc >= 0)
		REQUIRE_EQ(w->calls, 1);
	return 0;
}

Test(barrier, the_last_one_acts_before_anybody_goes_on)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_barrier_init(&w->b, 3), 0);
	for (int good = 1; good >= 0; good--) {
		w->calls = 0;
		w->action = good ? 0 : -ENODATA;
		pid_t pid[2] = { child(wait_acting, w), child(wait_acting, w) };
		for (int i = 0; i < 3000 && shoal_barrier_waiting(&w->b) < 2; i++)
			sleep_ms(1);
		REQUIRE_EQ(shoal_barrier_wait_do(&w->b, act, w, SHOAL_SEC(10)), good ? 2 : -ENODATA);
		REQUIRE_EQ(w->calls, 1);
		for (int i = 0; i < 2; i++)
			expect_child(pid[i], 0, 2000);
		if (!good)
			REQUIRE_EQ(w->result[0], -EPIPE);
		REQUIRE_EQ(shoal_barrier_broken(&w->b), !good);
		if (good)
			REQUIRE_EQ(shoal_barrier_reset(&w->b), 0);
	}
}

/* CPython's test_abort, test_reset, test_abort_and_reset. */
Test(barrier, is_aborted_and_reset)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[3];
	REQUIRE_EQ(shoal_barrier_init(&w->b, 3), 0);
	gather(w, pid, 2);
	int64_t start = fair_ns();
	REQUIRE_EQ(shoal_barrier_abort(&w->b), 0);
	expect_all(w, pid, 2, -EPIPE);
	REQUIRE(fair_ns() - start < SHOAL_SEC(1));
	REQUIRE(shoal_barrier_broken(&w->b));
	REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_FOREVER), -EPIPE);
	REQUIRE_EQ(shoal_barrier_abort(&w->b), 0);
	REQUIRE_EQ(shoal_barrier_reset(&w->b), 0);
	REQUIRE(!shoal_barrier_broken(&w->b));
	gather(w, pid, 2);
	REQUIRE_EQ(shoal_barrier_reset(&w->b), 0);
	expect_all(w, pid, 2, -EPIPE);
	REQUIRE(!shoal_barrier_broken(&w->b));
	REQUIRE_EQ(shoal_barrier_reset(&w->b), 0);
	gather(w, pid, 2);
	REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_SEC(5)), 2);
	for (int i = 0; i < 2; i++) {
		expect_child(pid[i], 0, 2000);
		REQUIRE(w->result[i] == 0 || w->result[i] == 1);
	}
}

/* CPython's test_timeout: one that runs out of time breaks it for all. */
Test(barrier, a_deadline_or_an_interrupt_breaks_it)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[2];
	REQUIRE_EQ(shoal_barrier_init(&w->b, 4), 0);
	gather(w, pid, 2);
	struct moment start = storm_begin();
	REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_MS(200)), -ETIMEDOUT);
	storm_changed_nothing(start);
	expect_all(w, pid, 2, -EPIPE);
	REQUIRE(shoal_barrier_broken(&w->b));
	REQUIRE_EQ(shoal_barrier_reset(&w->b), 0);
	pthread_t p = interrupt_me();
	REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_SEC(10)), -ECANCELED);
	pthread_join(p, NULL);
	REQUIRE(shoal_barrier_broken(&w->b));
}

/* ---- deaths ---- */

/* Multiprocessing's fault 5: there the dead one counts, or the others hang, deadline or not. */
Test(barrier, a_party_that_dies_waiting_breaks_it_at_once, .timeout = 60 * HARNESS_SLOW)
{
	for (int round = 0; round < 10; round++) {
		struct world *w = shared(sizeof *w);
		pid_t pid[3];
		REQUIRE_EQ(shoal_barrier_init(&w->b, 4), 0);
		gather(w, pid, 3);
		int64_t at = kill_now(pid[round % 3]);
		for (int i = 0; i < 3; i++) {
			if (i == round % 3)
				continue;
			expect_child(pid[i], 0, 2000);
			REQUIRE_EQ(w->result[i], -EPIPE);
			REQUIRE(w->at[i] - at < DEATH_NS);
		}
		REQUIRE(shoal_barrier_broken(&w->b));
	}
}

Test(barrier, one_that_died_waiting_alone_is_not_counted)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[1];
	REQUIRE_EQ(shoal_barrier_init(&w->b, 2), 0);
	gather(w, pid, 1);
	kill_now(pid[0]);
	int64_t start = fair_ns();
	REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_FOREVER), -EPIPE);
	REQUIRE(fair_ns() - start < DEATH_NS);
	/* After a reset it is forgotten. */
	REQUIRE_EQ(shoal_barrier_reset(&w->b), 0);
	gather(w, pid, 1);
	REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_SEC(5)), 1);
	expect_child(pid[0], 0, 2000);
}

static int
pass_and_stay(void *arg)
{
	struct world *w = arg;
	REQUIRE(shoal_barrier_wait(&w->b, SHOAL_SEC(10)) >= 0);
	reach(&w->reached);
	stay();
	return 0;
}

Test(barrier, one_that_dies_between_its_rounds_breaks_it_at_once)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_barrier_init(&w->b, 3), 0);
	pid_t pid = child(pass_and_stay, w), waiter[1];
	for (int i = 0; i < 3000 && shoal_barrier_waiting(&w->b) < 1; i++)
		sleep_ms(1);
	waiter[0] = child(pass_and_stay, w);
	REQUIRE(shoal_barrier_wait(&w->b, SHOAL_SEC(10)) >= 0);
	wait_for(&w->reached, 2);
	pid_t sleeper[1];
	gather(w, sleeper, 1);
	sleep_ms(30);
	REQUIRE_EQ(w->at[0], 0);
	/* Stopped is not dead. */
	kill(pid, SIGSTOP);
	sleep_ms(30);
	REQUIRE_EQ(w->at[0], 0);
	int64_t at = kill_now(pid);
	expect_child(sleeper[0], 0, 2000);
	REQUIRE_EQ(w->result[0], -EPIPE);
	REQUIRE(w->at[0] - at < DEATH_NS);
	kill_now(waiter[0]);
}

static int
pass_and_end(void *arg)
{
	struct world *w = arg;
	return shoal_barrier_wait(&w->b, SHOAL_SEC(10)) < 0;
}

/*
 * An end is an end, also an orderly one: the barrier cannot know that others come instead. So
 * those who come instead are let in by a reset.
 */
Test(barrier, another_generation_needs_a_reset)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_barrier_init(&w->b, 2), 0);
	for (int generation = 0; generation < 3; generation++) {
		pid_t pid[2] = { child(pass_and_end, w), child(pass_and_end, w) };
		for (int i = 0; i < 2; i++)
			expect_child(pid[i], 0, 5000);
		REQUIRE(!shoal_barrier_broken(&w->b));
		if (generation == 2)
			break;
		REQUIRE_EQ(shoal_barrier_reset(&w->b), 0);
	}
	REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_FOREVER), -EPIPE);
	REQUIRE(shoal_barrier_broken(&w->b));
}

static int
die_acting(void *arg)
{
	struct world *w = arg;
	reach(&w->reached);
	if (w->action) {
		/* Inside a nested call, which names another word. */
		static word32 other[16];
		robust_pending_set(thread_self(), other);
	}
	raise(SIGKILL);
	return 0;
}

static int
wait_and_die_acting(void *arg)
{
	struct world *w = arg;
	return shoal_barrier_wait_do(&w->b, die_acting, w, SHOAL_SEC(10));
}

Test(barrier, one_that_dies_in_its_action_breaks_it)
{
	for (int nested = 0; nested < 2; nested++) {
		struct world *w = shared(sizeof *w);
		pid_t pid[2];
		w->action = nested;
		REQUIRE_EQ(shoal_barrier_init(&w->b, 3), 0);
		gather(w, pid, 2);
		expect_killed(child(wait_and_die_acting, w), SIGKILL, 2000);
		int64_t at = fair_ns();
		expect_all(w, pid, 2, -EPIPE);
		REQUIRE(w->at[0] - at < DEATH_NS && w->at[1] - at < DEATH_NS);
	}
}

static shoal_arena *joined, *other;
static shoal_queue *queue;
static shoal_dict *dict;

static int
call_everything(void *unused)
{
	void *p;
	(void)unused;
	REQUIRE_EQ(shoal_alloc(joined, 200, &p), 0);
	REQUIRE_EQ(shoal_alloc(joined, 1 << 20, &p), 0);
	REQUIRE_EQ(shoal_alloc(other, 64, &p), 0);
	REQUIRE_EQ(shoal_queue_put(queue, "x", 1, 0), 0);
	REQUIRE_EQ(shoal_dict_set(dict, SHOAL_ANY(1), SHOAL_ANY(2)), 0);
	return 0;
}

Test(barrier, an_actions_calls_are_as_any_others)
{
	shoal_barrier b;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &joined), 0);
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &other), 0);
	REQUIRE_EQ(shoal_queue_create(joined, NULL, NULL, &queue), 0);
	REQUIRE_EQ(shoal_dict_create(joined, NULL, NULL, &dict), 0);
	REQUIRE_EQ(shoal_barrier_init(&b, 1), 0);
	REQUIRE_EQ(shoal_barrier_wait_do(&b, call_everything, NULL, 0), 0);
	shoal_arena_close(other);
	shoal_arena_close(joined);
}

/* The last one as be_last leaves it, killed before its wake: the round was complete. */
static int
die_before_the_wake(void *arg)
{
	struct world *w = arg;
	word64 *state = (word64 *)(void *)&w->b;
	word32 *place = (word32 *)(void *)&w->b + 8 + PARTIES;
	struct shoal_thread *t = thread_self();
	robust_pending_set(t, place);
	store_release(place, FUTEX_SLEEPERS | t->tid);
	store_release(state, 1);
	raise(SIGKILL);
	return 0;
}

Test(barrier, one_that_dies_before_its_wake_leaves_nobody_asleep)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[4];
	REQUIRE_EQ(shoal_barrier_init(&w->b, PARTIES + 1), 0);
	gather(w, pid, 4);
	expect_killed(child(die_before_the_wake, w), SIGKILL, 2000);
	int64_t at = fair_ns();
	for (int i = 0; i < 4; i++) {
		expect_child(pid[i], 0, 2000);
		REQUIRE(w->result[i] >= 0 && w->result[i] < 4);
		REQUIRE(w->at[i] - at < DEATH_NS);
	}
	REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_SEC(1)), -EPIPE);
}

Test(barrier, more_parties_than_places_pass_too)
{
	struct world *w = shared(sizeof *w);
	enum { MANY = SHOAL_PARTIES_KNOWN_MAX + 3 };
	pid_t pid[MANY];
	REQUIRE_EQ(shoal_barrier_init(&w->b, MANY + 1), 0);
	for (int i = 0; i < MANY; i++)
		pid[i] = child(pass_and_stay, w);
	REQUIRE(shoal_barrier_wait(&w->b, SHOAL_SEC(10)) >= 0);
	wait_for(&w->reached, MANY);
	for (int i = 0; i < MANY; i++)
		kill_now(pid[i]);
}

static int
look_in(void *arg)
{
	struct world *w = arg;
	return shoal_barrier_wait(&w->b, SHOAL_NOWAIT) != -EAGAIN;
}

Test(barrier, one_that_only_looked_in_is_no_party)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[1];
	REQUIRE_EQ(shoal_barrier_init(&w->b, 2), 0);
	expect_child(child(look_in, w), 0, 2000);
	gather(w, pid, 1);
	/* It asks the kernel about those whom it knows. */
	sleep_ms(50);
	REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_SEC(5)), 1);
	expect_all(w, pid, 1, 0);
}

Test(barrier, a_reset_forgets_who_took_part)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[1];
	REQUIRE_EQ(shoal_barrier_init(&w->b, 2), 0);
	pid_t known = child(pass_and_stay, w);
	REQUIRE(shoal_barrier_wait(&w->b, SHOAL_SEC(10)) >= 0);
	wait_for(&w->reached, 1);
	REQUIRE_EQ(shoal_barrier_reset(&w->b), 0);
	kill_now(known);
	gather(w, pid, 1);
	/* It asks the kernel about those whom it knows. */
	sleep_ms(50);
	REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_SEC(5)), 1);
	expect_all(w, pid, 1, 0);
}
