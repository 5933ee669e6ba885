/*
 * Locks whose holders, or takers, die: glibc's tst-robust1 to 11, and the two windows of its own
 * mutex.
 */
#include "common.h"
#include "base/clock.h"
#include "sync/lock.h"
#include <stdlib.h>

enum { MANY = 1000 };

struct world {
	shoal_lock lock[MANY + 1];
	word32 reached;
	volatile uint64_t count;
	volatile int64_t got_at[4];
	volatile int result[4];
	volatile int end; /* how it ends: a signal, or 0 for exit, or an exec */
};

static int
hold(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[1], SHOAL_FOREVER), 0);
	reach(&w->reached);
	stay();
	return 0;
}

/* The pid of one that holds lock[0] and lock[1]. */
static pid_t
holder(struct world *w)
{
	uint32_t before = load_acquire(&w->reached);
	pid_t pid = child(hold, w);
	wait_for(&w->reached, before + 1);
	return pid;
}

/* Multiprocessing's fault 1: there acquire hangs, and a timeout says False. */
Test(lock_death, the_next_one_gets_it_at_once)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = holder(w);
	kill_now(pid);
	int64_t at = fair_ns();
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], SHOAL_FOREVER), -EOWNERDEAD);
	REQUIRE(shoal_lock_held(&w->lock[0]));
	REQUIRE(strstr(shoal_error(), "suspect"));
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[1], SHOAL_NOWAIT), -EOWNERDEAD);
	REQUIRE(fair_ns() - at < DEATH_NS);
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(shoal_lock_consistent(&w->lock[i]), 0);
		REQUIRE_EQ(shoal_lock_consistent(&w->lock[i]), -EINVAL);
		REQUIRE_EQ(shoal_lock_release(&w->lock[i]), 0);
		REQUIRE_EQ(shoal_lock_acquire(&w->lock[i], SHOAL_NOWAIT), 0);
		REQUIRE_EQ(shoal_lock_release(&w->lock[i]), 0);
	}
	shoal_lock_info info;
	REQUIRE_EQ(shoal_lock_stat(&w->lock[0], &info), 0);
	REQUIRE(info.deaths == 1 && info.acquisitions == 3);
}

static int
wait_for_it(struct world *w, int i)
{
	reach(&w->reached);
	w->result[i] = shoal_lock_acquire(&w->lock[0], SHOAL_SEC(10));
	w->got_at[i] = fair_ns();
	if (w->result[i] == -EOWNERDEAD)
		REQUIRE_EQ(shoal_lock_consistent(&w->lock[0]), 0);
	return shoal_have(w->result[i]) ? shoal_lock_release(&w->lock[0]) : 0;
}
static int wait_0(void *w) { return wait_for_it(w, 0); }
static int wait_1(void *w) { return wait_for_it(w, 1); }
static int wait_2(void *w) { return wait_for_it(w, 2); }
static int (*const waits[])(void *) = { wait_0, wait_1, wait_2 };

Test(lock_death, those_who_sleep_go_on_at_once)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = holder(w), waiter[3];
	for (int i = 0; i < 3; i++)
		waiter[i] = child(waits[i], w);
	for (int i = 0; i < 3; i++)
		wait_asleep(waiter[i]);
	int64_t at = kill_now(pid);
	int told = 0;
	for (int i = 0; i < 3; i++) {
		expect_child(waiter[i], 0, 5000);
		REQUIRE(w->got_at[i] - at < DEATH_NS);
		told += w->result[i] == -EOWNERDEAD;
	}
	REQUIRE_EQ(told, 1);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], 0), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock[0]), 0);
}

/* tst-robust1: without consistent it is for nobody, and whoever waits is told. */
Test(lock_death, given_back_suspect_it_is_for_nobody)
{
	struct world *w = shared(sizeof *w);
	kill_now(holder(w));
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], 0), -EOWNERDEAD);
	pid_t waiter[3];
	for (int i = 0; i < 3; i++)
		waiter[i] = child(waits[i], w);
	for (int i = 0; i < 3; i++)
		wait_asleep(waiter[i]);
	int64_t at = fair_ns();
	REQUIRE_EQ(shoal_lock_release(&w->lock[0]), 0);
	for (int i = 0; i < 3; i++) {
		expect_child(waiter[i], 0, 5000);
		REQUIRE_EQ(w->result[i], -ENOTRECOVERABLE);
		REQUIRE(w->got_at[i] - at < DEATH_NS);
	}
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], 0), -ENOTRECOVERABLE);
	REQUIRE(!shoal_lock_held(&w->lock[0]));
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], SHOAL_FOREVER), -ENOTRECOVERABLE);
	REQUIRE_EQ(shoal_lock_release(&w->lock[0]), -EPERM);
	REQUIRE_EQ(shoal_lock_consistent(&w->lock[0]), -EPERM);
	REQUIRE_EQ(shoal_lock_init(&w->lock[0]), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], 0), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock[0]), 0);
}

static int
take_and_die(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], 0), -EOWNERDEAD);
	raise(SIGKILL);
	return 0;
}

Test(lock_death, of_the_one_who_repairs_is_told_too)
{
	struct world *w = shared(sizeof *w);
	kill_now(holder(w));
	for (int i = 0; i < 3; i++)
		expect_killed(child(take_and_die, w), SIGKILL, 2000);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], 0), -EOWNERDEAD);
	REQUIRE_EQ(shoal_lock_consistent(&w->lock[0]), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock[0]), 0);
	shoal_lock_info info;
	REQUIRE_EQ(shoal_lock_stat(&w->lock[0], &info), 0);
	REQUIRE_EQ(info.deaths, 4);
}

Test(lock_death, autoclean_is_free_again)
{
	struct world *w = shared(sizeof *w);
	for (int i = 0; i < 2; i++)
		REQUIRE_EQ(shoal_lock_init_with(&w->lock[i], SHOAL_LOCK_AUTOCLEAN), 0);
	pid_t pid = holder(w), waiter = child(wait_0, w);
	wait_asleep(waiter);
	int64_t at = kill_now(pid);
	expect_child(waiter, 0, 5000);
	REQUIRE_EQ(w->result[0], 0);
	REQUIRE(w->got_at[0] - at < DEATH_NS);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[1], 0), 0);
	REQUIRE_EQ(shoal_lock_consistent(&w->lock[1]), -EINVAL);
	REQUIRE_EQ(shoal_lock_release(&w->lock[1]), 0);
	shoal_lock_info info;
	REQUIRE_EQ(shoal_lock_stat(&w->lock[1], &info), 0);
	REQUIRE_EQ(info.deaths, 1);
}

/* ---- other ends than SIGKILL ---- */

static int
end_holding(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], 0), 0);
	if (w->end == 1)
		execl("/bin/sleep", "sleep", "5", (char *)NULL);
	return 0;
}

static void *
end_thread_holding(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], 0), 0);
	return NULL;
}

static void
expect_dead(struct world *w)
{
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], SHOAL_MS(500)), -EOWNERDEAD);
	REQUIRE_EQ(shoal_lock_consistent(&w->lock[0]), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock[0]), 0);
}

Test(lock_death, exit_exec_and_a_threads_end_are_deaths)
{
	struct world *w = shared(sizeof *w);
	expect_child(child(end_holding, w), 0, 2000);
	expect_dead(w);
	w->end = 1;
	pid_t pid = child(end_holding, w);
	while (!w->lock[0].internal_[0])
		sleep_ms(1);
	expect_dead(w);
	kill_now(pid);
	pthread_t p;
	REQUIRE_EQ(pthread_create(&p, NULL, end_thread_holding, w), 0);
	pthread_join(p, NULL);
	expect_dead(w);
}

static int
hold_many(void *arg)
{
	struct world *w = arg;
	for (int i = 0; i < MANY; i++)
		REQUIRE_EQ(shoal_lock_acquire(&w->lock[i], 0), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[MANY], 0), -EOVERFLOW);
	raise(SIGKILL);
	return 0;
}

Test(lock_death, as_many_as_a_thread_may_hold_are_told)
{
	struct world *w = shared(sizeof *w);
	expect_killed(child(hold_many, w), SIGKILL, 2000);
	for (int i = 0; i < MANY; i++)
		REQUIRE_EQ(shoal_lock_acquire(&w->lock[i], 0), -EOWNERDEAD);
	for (int i = 0; i < MANY; i++)
		REQUIRE_EQ(shoal_lock_release(&w->lock[i]), 0);
}

/* ---- the two windows ---- */

/* Woken by the release, and killed before it takes the lock, while another one barges in. */
Test(lock_death, a_wake_is_not_lost_with_the_woken, .timeout = 60 * HARNESS_SLOW)
{
	for (int round = 0; round < 40; round++) {
		struct world *w = shared(sizeof *w);
		REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], 0), 0);
		pid_t waiter[2] = { child(wait_0, w), 0 };
		wait_asleep(waiter[0]);
		waiter[1] = child(wait_1, w);
		wait_asleep(waiter[1]);
		kill(waiter[0], SIGSTOP);
		wait_state(waiter[0], 'T');
		REQUIRE_EQ(shoal_lock_release(&w->lock[0]), 0);
		if (round % 2) {
			int rc = shoal_lock_acquire(&w->lock[0], 0);
			if (rc == 0)
				REQUIRE_EQ(shoal_lock_release(&w->lock[0]), 0);
		}
		int64_t dead = kill_now(waiter[0]);
		expect_child(waiter[1], 0, 5000);
		REQUIRE(w->got_at[1] - dead < DEATH_NS);
	}
}

/* As robust_release leaves it, killed between the store and the wake. */
static int
die_releasing(void *arg)
{
	struct world *w = arg;
	struct shoal_thread *t = thread_self();
	struct lock *l = lock_of(&w->lock[0]);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], 0), 0);
	reach(&w->reached);
	while (futex_sleepers(&l->node.word) < 1)
		sleep_ms(1);
	robust_pending_set(t, &l->node.word);
	robust_pop(t, &l->node);
	if (w->end == 1)
		store_release(&l->node.word, FUTEX_SLEEPERS);
	raise(SIGKILL);
	return 0;
}

Test(lock_death, a_wake_is_not_lost_with_the_releaser)
{
	for (int before = 0; before < 2; before++) {
		struct world *w = shared(sizeof *w);
		w->end = before;
		pid_t pid = child(die_releasing, w);
		wait_for(&w->reached, 1);
		pid_t waiter = child(wait_0, w);
		expect_killed(pid, SIGKILL, 5000);
		int64_t dead = fair_ns();
		expect_child(waiter, 0, 5000);
		REQUIRE(w->got_at[0] - dead < DEATH_NS);
		REQUIRE_EQ(w->result[0], before ? 0 : -EOWNERDEAD);
	}
}

/*
 * Gave up a suspect lock, and died before it woke anybody: the one that its death wakes wakes all.
 */
static int
die_giving_up(void *arg)
{
	struct world *w = arg;
	struct shoal_thread *t = thread_self();
	struct lock *l = lock_of(&w->lock[0]);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock[0], 0), -EOWNERDEAD);
	reach(&w->reached);
	while (futex_sleepers(&l->node.word) < 3)
		sleep_ms(1);
	robust_pending_set(t, &l->node.word);
	fetch_or_relaxed(&l->node.flags, ROBUST_LOST);
	if (w->end == 1) {
		robust_pop(t, &l->node);
		store_release(&l->node.word, FUTEX_SLEEPERS | FUTEX_DIED);
	}
	raise(SIGKILL);
	return 0;
}

Test(lock_death, one_who_dies_giving_it_up_leaves_nobody_asleep)
{
	for (int late = 0; late < 2; late++) {
		struct world *w = shared(sizeof *w);
		w->end = late;
		kill_now(holder(w));
		pid_t pid = child(die_giving_up, w), waiter[3];
		wait_for(&w->reached, 2);
		for (int i = 0; i < 3; i++)
			waiter[i] = child(waits[i], w);
		expect_killed(pid, SIGKILL, 5000);
		int64_t dead = fair_ns();
		for (int i = 0; i < 3; i++) {
			expect_child(waiter[i], 0, 5000);
			REQUIRE_EQ(w->result[i], -ENOTRECOVERABLE);
			REQUIRE(w->got_at[i] - dead < SHOAL_MS(40) * HARNESS_SLOW);
		}
	}
}

/* ---- at random: tst-robust8 ---- */

static int
lock_for_ever(void *arg)
{
	struct world *w = arg;
	unsigned seed = (unsigned)getpid();
	for (;;) {
		int i = rand_r(&seed) % 3;
		int rc = shoal_lock_acquire(&w->lock[i], SHOAL_SEC(10));
		REQUIRE(shoal_have(rc));
		if (rc)
			REQUIRE_EQ(shoal_lock_consistent(&w->lock[i]), 0);
		w->count = w->count + 1;
		REQUIRE_EQ(shoal_lock_release(&w->lock[i]), 0);
	}
	return 0;
}

Test(lock_death, at_random_stops_nobody, .timeout = 60 * HARNESS_SLOW)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[4];
	for (int i = 0; i < 4; i++)
		pid[i] = child(lock_for_ever, w);
	for (int round = 0; round < 200; round++) {
		uint64_t before = w->count;
		for (int i = 0; i < 3000 && w->count == before; i++)
			sleep_ms(1);
		REQUIRE(w->count != before);
		kill_now(pid[round % 4]);
		pid[round % 4] = child(lock_for_ever, w);
	}
	for (int i = 0; i < 4; i++)
		kill_now(pid[i]);
}
