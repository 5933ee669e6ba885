#include "common.h"
#include "sync/gate.h"
#include "sync/robust.h"

struct world {
	shoal_event e;
	word32 reached;
	volatile int result[5];
	volatile int64_t at[5];
};

/* CPython's _TestEvent. */
Test(event, is_set_or_clear)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(sizeof(shoal_event), 32);
	REQUIRE(!shoal_event_is_set(&w->e));
	REQUIRE_EQ(shoal_event_wait(&w->e, 0), -EAGAIN);
	int64_t start = now_ns();
	REQUIRE_EQ(shoal_event_wait(&w->e, SHOAL_MS(30)), -ETIMEDOUT);
	REQUIRE(now_ns() - start >= SHOAL_MS(30));
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(shoal_event_set(&w->e), 0);
		REQUIRE(shoal_event_is_set(&w->e));
		REQUIRE_EQ(shoal_event_wait(&w->e, 0), 0);
		REQUIRE_EQ(shoal_event_wait(&w->e, SHOAL_FOREVER), 0);
	}
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(shoal_event_clear(&w->e), 0);
		REQUIRE(!shoal_event_is_set(&w->e));
	}
	REQUIRE_EQ(shoal_event_set(&w->e), 0);
	REQUIRE_EQ(shoal_event_init(&w->e), 0);
	REQUIRE(!shoal_event_is_set(&w->e));
}

static int
await(struct world *w, int i)
{
	reach(&w->reached);
	w->result[i] = shoal_event_wait(&w->e, SHOAL_SEC(10));
	w->at[i] = fair_ns();
	return w->result[i];
}
static int await_0(void *w) { return await(w, 0); }
static int await_1(void *w) { return await(w, 1); }
static int await_2(void *w) { return await(w, 2); }
static int await_3(void *w) { return await(w, 3); }
static int await_4(void *w) { return await(w, 4); }
static int (*const waits[])(void *) = { await_0, await_1, await_2, await_3, await_4 };

/* bpo-11149 (test_set_and_clear): those who waited go on though it is clear again. */
Test(event, a_set_that_is_cleared_at_once_lets_all_go_on)
{
	for (int round = 0; round < 10; round++) {
		struct world *w = shared(sizeof *w);
		pid_t pid[5];
		for (int i = 0; i < 5; i++)
			pid[i] = child(waits[i], w);
		for (int i = 0; i < 5; i++)
			wait_asleep(pid[i]);
		int64_t start = fair_ns();
		REQUIRE_EQ(shoal_event_set(&w->e), 0);
		REQUIRE_EQ(shoal_event_clear(&w->e), 0);
		for (int i = 0; i < 5; i++) {
			expect_child(pid[i], 0, 2000);
			REQUIRE(w->at[i] - start < SHOAL_MS(40) * HARNESS_SLOW);
		}
		REQUIRE(!shoal_event_is_set(&w->e));
	}
}

Test(event, signals_do_not_cut_the_wait_and_an_interrupt_does)
{
	struct world *w = shared(sizeof *w);
	struct moment start = storm_begin();
	REQUIRE_EQ(shoal_event_wait(&w->e, SHOAL_MS(200)), -ETIMEDOUT);
	storm_changed_nothing(start);
	pthread_t p = interrupt_me();
	REQUIRE_EQ(shoal_event_wait(&w->e, SHOAL_SEC(10)), -ECANCELED);
	pthread_join(p, NULL);
	REQUIRE_EQ(shoal_event_wait(&w->e, SHOAL_MS(20)), -ETIMEDOUT);
}

/* Multiprocessing's fault 4: there set hangs for ever. */
Test(event, killed_waiters_are_in_nobodys_way)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[3];
	for (int i = 0; i < 3; i++)
		wait_asleep(pid[i] = child(waits[i], w));
	kill_now(pid[0]);
	kill_now(pid[1]);
	int64_t start = fair_ns();
	REQUIRE_EQ(shoal_event_set(&w->e), 0);
	REQUIRE(fair_ns() - start < DEATH_NS);
	expect_child(pid[2], 0, 2000);
	REQUIRE(w->at[2] - start < DEATH_NS);
	REQUIRE_EQ(shoal_event_clear(&w->e), 0);
	REQUIRE_EQ(shoal_event_wait(&w->e, 0), -EAGAIN);
}

static int
die_before_the_wake(void *arg)
{
	struct world *w = arg;
	word32 *turns = (word32 *)(void *)&w->e, *gate = turns + 1;
	robust_pending_set(thread_self(), gate);
	REQUIRE(cas32_seq_cst(turns, 0, 1));
	raise(SIGKILL);
	return 0;
}

/* The kernel wakes one, and that one all others; also when it dies in between. */
Test(event, a_setter_that_dies_before_its_wake_lets_all_go_on)
{
	for (int round = 0; round < 10; round++) {
		struct world *w = shared(sizeof *w);
		pid_t pid[5];
		for (int i = 0; i < 5; i++)
			wait_asleep(pid[i] = child(waits[i], w));
		expect_killed(child(die_before_the_wake, w), SIGKILL, 2000);
		int64_t at = fair_ns();
		for (int i = 0; i < 5; i++) {
			expect_child(pid[i], 0, 2000);
			REQUIRE(w->at[i] - at < SHOAL_MS(40) * HARNESS_SLOW);
		}
	}
}

/* Stopped between its change and its wake: another set, of what is set, tells. */
Test(event, a_second_set_tells_for_one_that_was_stopped)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = child(await_0, w);
	wait_asleep(pid);
	word32 *turns = (word32 *)(void *)&w->e;
	store_release(turns, 1);
	int64_t at = fair_ns();
	REQUIRE_EQ(shoal_event_set(&w->e), 0);
	expect_child(pid, 0, 2000);
	REQUIRE(w->at[0] - at < SHOAL_MS(40) * HARNESS_SLOW);
}

static shoal_event *handled;
static void
set_it(int signo)
{
	(void)signo;
	shoal_event_set(handled);
}

/* Multiprocessing's fault 16. */
Test(event, a_handler_may_set_what_it_interrupts)
{
	struct world *w = shared(sizeof *w);
	handled = &w->e;
	signal(SIGUSR1, set_it);
	pid_t pid = child(await_0, w);
	wait_asleep(pid);
	int64_t at = fair_ns();
	kill(pid, SIGUSR1);
	expect_child(pid, 0, 2000);
	REQUIRE(w->at[0] - at < DEATH_NS);
}

/* ---- there and back, many times: no set is missed ---- */

static void
set_side(void *both, int side)
{
	REQUIRE_EQ(shoal_event_set((shoal_event *)both + side), 0);
}

static void
await_side(void *both, int side)
{
	REQUIRE_EQ(shoal_event_wait((shoal_event *)both + side, SHOAL_SEC(20)), 0);
	REQUIRE_EQ(shoal_event_clear((shoal_event *)both + side), 0);
}

Test(event, misses_no_turn, .timeout = 60 * HARNESS_SLOW)
{
	shoal_event *both = shared(2 * sizeof *both);
	rally_loses_nothing(&(struct rally){ both, set_side, await_side, 3000 });
}

/* ---- clear, look, wait ---- */

static int
set_event(void *e)
{
	return shoal_event_set(e);
}

/* Else who clears just then might see neither the set nor what was written before it. */
Test(event, a_set_of_what_is_set_is_in_order_with_a_clear)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_event_set(&w->e), 0);
	is_written_by(&w->e, set_event);
	for (int i = 0; i < 3; i++) {
		REQUIRE_EQ(shoal_event_set(&w->e), 0);
		REQUIRE(shoal_event_is_set(&w->e));
	}
	REQUIRE_EQ(shoal_event_clear(&w->e), 0);
	REQUIRE_EQ(shoal_event_wait(&w->e, 0), -EAGAIN);
}
