#include "common.h"
#include "sync/gate.h"
#include "sync/robust.h"

struct world {
	shoal_semaphore s;
	word32 reached;
	volatile int inside;
	volatile int result[4];
	volatile int64_t at[4];
};

/* CPython's _TestSemaphore: 2, 1, 0, none left, 1, 2, 3, 4. */
Test(semaphore, counts)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(sizeof(shoal_semaphore), 32);
	REQUIRE_EQ(shoal_semaphore_init(&w->s, 2, 0), 0);
	REQUIRE_EQ(shoal_semaphore_value(&w->s), 2);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->s, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->s, SHOAL_NOWAIT), 0);
	REQUIRE_EQ(shoal_semaphore_value(&w->s), 0);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->s, SHOAL_NOWAIT), -EAGAIN);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->s, -1), -EAGAIN);
	for (int i = 1; i <= 4; i++) {
		REQUIRE_EQ(shoal_semaphore_release(&w->s), 0);
		REQUIRE_EQ(shoal_semaphore_value(&w->s), i);
	}
}

Test(semaphore, keeps_to_its_bound)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_semaphore_init(&w->s, 2, 2), 0);
	REQUIRE_EQ(shoal_semaphore_release(&w->s), -EOVERFLOW);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->s, 0), 0);
	REQUIRE_EQ(shoal_semaphore_release(&w->s), 0);
	REQUIRE_EQ(shoal_semaphore_release(&w->s), -EOVERFLOW);
	REQUIRE_EQ(shoal_semaphore_value(&w->s), 2);
	REQUIRE_EQ(shoal_semaphore_init(&w->s, 3, 2), -EINVAL);
	REQUIRE_EQ(shoal_semaphore_init(&w->s, 0, 1u << 31), -EINVAL);
	REQUIRE_EQ(shoal_semaphore_value(&w->s), 2);
	REQUIRE_EQ(shoal_semaphore_init(&w->s, INT32_MAX, SHOAL_ALL), 0);
	REQUIRE_EQ(shoal_semaphore_release(&w->s), -EOVERFLOW);
}

Test(semaphore, waits_to_the_deadline_whatever_signals_come)
{
	struct world *w = shared(sizeof *w);
	struct moment storm = storm_begin();
	REQUIRE_EQ(shoal_semaphore_acquire(&w->s, SHOAL_MS(200)), -ETIMEDOUT);
	storm_changed_nothing(storm);
	/* CPython's test_timeout: what is not in the future is no wait. */
	int64_t start = fair_ns();
	REQUIRE_EQ(shoal_semaphore_acquire(&w->s, 0), -EAGAIN);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->s, -SHOAL_SEC(1)), -EAGAIN);
	REQUIRE(fair_ns() - start < SHOAL_MS(40) * HARNESS_SLOW);
}

Test(semaphore, an_interrupt_ends_the_wait_once)
{
	struct world *w = shared(sizeof *w);
	pthread_t p = interrupt_me();
	REQUIRE_EQ(shoal_semaphore_acquire(&w->s, SHOAL_SEC(10)), -ECANCELED);
	pthread_join(p, NULL);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->s, SHOAL_MS(20)), -ETIMEDOUT);
}

static int
take(struct world *w, int i)
{
	w->result[i] = shoal_semaphore_acquire(&w->s, SHOAL_SEC(10));
	w->at[i] = fair_ns();
	reach(&w->reached);
	return w->result[i];
}
static int take_0(void *w) { return take(w, 0); }
static int take_1(void *w) { return take(w, 1); }
static int take_2(void *w) { return take(w, 2); }
static int (*const takes[])(void *) = { take_0, take_1, take_2 };

Test(semaphore, each_release_lets_one_go_on)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[3];
	for (int i = 0; i < 3; i++)
		wait_asleep(pid[i] = child(takes[i], w));
	for (uint32_t i = 1; i <= 3; i++) {
		int64_t start = fair_ns();
		REQUIRE_EQ(shoal_semaphore_release(&w->s), 0);
		wait_for(&w->reached, i);
		REQUIRE(fair_ns() - start < SHOAL_MS(40) * HARNESS_SLOW);
		sleep_ms(5);
		REQUIRE_EQ(load_acquire(&w->reached), i);
	}
	for (int i = 0; i < 3; i++)
		expect_child(pid[i], 0, 2000);
	REQUIRE_EQ(shoal_semaphore_value(&w->s), 0);
}

/* CPython's test_multirelease: one after the other, before any of the woken has run. */
Test(semaphore, several_releases_let_several_go_on)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[3];
	for (int i = 0; i < 3; i++)
		wait_asleep(pid[i] = child(takes[i], w));
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(shoal_semaphore_release(&w->s), 0);
	for (int i = 0; i < 3; i++)
		expect_child(pid[i], 0, 2000);
	REQUIRE_EQ(shoal_semaphore_value(&w->s), 0);
	word32 *value = (word32 *)(void *)&w->s;
	REQUIRE_EQ(futex_sleepers(value), 0);
}

/* Multiprocessing's fault 4, and sem_t's: a waiter that is killed swallows a wake. */
Test(semaphore, a_wake_is_not_lost_with_the_woken, .timeout = 60 * HARNESS_SLOW)
{
	for (int round = 0; round < 30; round++) {
		struct world *w = shared(sizeof *w);
		pid_t pid[2];
		for (int i = 0; i < 2; i++)
			wait_asleep(pid[i] = child(takes[i], w));
		kill(pid[0], SIGSTOP);
		wait_state(pid[0], 'T');
		REQUIRE_EQ(shoal_semaphore_release(&w->s), 0);
		int64_t at = kill_now(pid[0]);
		expect_child(pid[1], 0, 2000);
		REQUIRE(w->at[1] - at < SHOAL_MS(40) * HARNESS_SLOW);
	}
}

static void
die_here(int signo)
{
	(void)signo;
	raise(SIGKILL);
}

/*
 * The release up to its wake, as in the source; the sleepers' slice of 50 ms must not be what
 * helps.
 */
static int
die_before_the_wake(void *arg)
{
	struct world *w = arg;
	word32 *value = (word32 *)(void *)&w->s, *gate = value + 1;
	robust_pending_set(thread_self(), gate);
	REQUIRE(cas32_seq_cst(value, 0, 1));
	die_here(0);
	return 0;
}

Test(semaphore, a_wake_is_not_lost_with_the_releaser)
{
	for (int round = 0; round < 10; round++) {
		struct world *w = shared(sizeof *w);
		pid_t pid = child(take_0, w);
		wait_asleep(pid);
		expect_killed(child(die_before_the_wake, w), SIGKILL, 2000);
		int64_t at = fair_ns();
		expect_child(pid, 0, 2000);
		REQUIRE(w->at[0] - at < SHOAL_MS(40) * HARNESS_SLOW);
	}
}

static int
take_and_die(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_semaphore_acquire(&w->s, 0), 0);
	die_here(0);
	return 0;
}

/* A permit is nobody's. */
Test(semaphore, a_dead_takers_permit_stays_taken)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_semaphore_init(&w->s, 2, 2), 0);
	expect_killed(child(take_and_die, w), SIGKILL, 2000);
	REQUIRE_EQ(shoal_semaphore_value(&w->s), 1);
	REQUIRE_EQ(shoal_semaphore_release(&w->s), 0);
	REQUIRE_EQ(shoal_semaphore_release(&w->s), -EOVERFLOW);
}

static shoal_semaphore *handled;
static void
release_it(int signo)
{
	(void)signo;
	shoal_semaphore_release(handled);
}

/* Multiprocessing's fault 16: there the handler deadlocks. */
Test(semaphore, a_handler_may_release_what_it_interrupts)
{
	struct world *w = shared(sizeof *w);
	handled = &w->s;
	signal(SIGUSR1, release_it);
	pid_t pid = child(take_0, w);
	wait_asleep(pid);
	int64_t at = fair_ns();
	kill(pid, SIGUSR1);
	expect_child(pid, 0, 2000);
	REQUIRE(w->at[0] - at < DEATH_NS);
}

enum { ROUNDS = 20000, PERMITS = 3 };

static int
use(void *arg)
{
	struct world *w = arg;
	for (int i = 0; i < ROUNDS; i++) {
		REQUIRE_EQ(shoal_semaphore_acquire(&w->s, SHOAL_SEC(20)), 0);
		int now = __atomic_add_fetch(&w->inside, 1, __ATOMIC_SEQ_CST);
		REQUIRE(now <= PERMITS);
		__atomic_sub_fetch(&w->inside, 1, __ATOMIC_SEQ_CST);
		REQUIRE_EQ(shoal_semaphore_release(&w->s), 0);
	}
	return 0;
}

Test(semaphore, so_many_and_no_more_at_once, .timeout = 60 * HARNESS_SLOW)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_semaphore_init(&w->s, PERMITS, PERMITS), 0);
	pid_t pid[5];
	for (int i = 0; i < 5; i++)
		pid[i] = child(use, w);
	for (int i = 0; i < 5; i++)
		expect_child(pid[i], 0, 30000);
	REQUIRE_EQ(shoal_semaphore_value(&w->s), PERMITS);
}

static void
give_permit(void *both, int side)
{
	REQUIRE_EQ(shoal_semaphore_release((shoal_semaphore *)both + side), 0);
}

static void
take_permit(void *both, int side)
{
	REQUIRE_EQ(shoal_semaphore_acquire((shoal_semaphore *)both + side, SHOAL_SEC(20)), 0);
}

Test(semaphore, hands_over_without_a_slice, .timeout = 60 * HARNESS_SLOW)
{
	shoal_semaphore *both = shared(2 * sizeof *both);
	rally_loses_nothing(&(struct rally){ both, give_permit, take_permit, 2000 });
}

/* ---- take, look, take ---- */

static int
release_one(void *s)
{
	return shoal_semaphore_release(s);
}

/* Else who takes the permit just then might see neither the release nor what was written before. */
Test(semaphore, a_release_that_is_refused_is_in_order_with_a_taker)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_semaphore_init(&w->s, 1, 1), 0);
	is_written_by(&w->s, release_one);
	REQUIRE_EQ(shoal_semaphore_release(&w->s), -EOVERFLOW);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->s, 0), 0);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->s, 0), -EAGAIN);
}
