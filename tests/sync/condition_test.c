#include "common.h"
#include "base/thread.h"
#include "sync/lock.h"

enum { WAITERS = 6 };

struct world {
	shoal_lock lock;
	shoal_rlock rlock;
	shoal_condition c;
	word32 reached, gone;
	volatile int count;
	volatile int result[WAITERS];
	volatile int64_t at[WAITERS], died;
	volatile shoal_time timeout;
};

static int
await(struct world *w, int i)
{
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	reach(&w->reached);
	w->result[i] = shoal_condition_wait(&w->c, &w->lock, w->timeout ? w->timeout : SHOAL_SEC(10));
	w->at[i] = fair_ns();
	reach(&w->gone);
	REQUIRE(shoal_lock_held(&w->lock));
	if (w->result[i] == -EOWNERDEAD)
		REQUIRE_EQ(shoal_lock_consistent(&w->lock), 0);
	return shoal_lock_release(&w->lock);
}
static int await_0(void *w) { return await(w, 0); }
static int await_1(void *w) { return await(w, 1); }
static int await_2(void *w) { return await(w, 2); }
static int await_3(void *w) { return await(w, 3); }
static int await_4(void *w) { return await(w, 4); }
static int await_5(void *w) { return await(w, 5); }
static int (*const waits[])(void *) = { await_0, await_1, await_2, await_3, await_4, await_5 };

static void
gather(struct world *w, pid_t *pid, int n)
{
	for (int i = 0; i < n; i++)
		pid[i] = child(waits[i], w);
	/* Those with a timeout may have come and gone. */
	for (int i = 0; i < n && !w->timeout; i++)
		wait_asleep(pid[i]);
	wait_for(&w->reached, (uint32_t)n);
}

static void
notify(struct world *w, uint32_t n)
{
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_condition_notify(&w->c, &w->lock, n), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
}

static bool
never(void *arg)
{
	++*(int *)arg;
	return false;
}

Test(condition, needs_the_lock)
{
	struct world *w = shared(sizeof *w);
	int calls = 0;
	REQUIRE_EQ(sizeof(shoal_condition), 32);
	REQUIRE_EQ(shoal_condition_init(&w->c), 0);
	REQUIRE_EQ(shoal_condition_wait(&w->c, &w->lock, SHOAL_FOREVER), -EPERM);
	REQUIRE_EQ(shoal_condition_wait_rlock(&w->c, &w->rlock, SHOAL_FOREVER), -EPERM);
	REQUIRE_EQ(shoal_condition_wait_for(&w->c, &w->lock, never, &calls, SHOAL_FOREVER), -EPERM);
	REQUIRE_EQ(shoal_condition_notify(&w->c, &w->lock, 1), -EPERM);
	REQUIRE_EQ(shoal_condition_notify_rlock(&w->c, &w->rlock, SHOAL_ALL), -EPERM);
	REQUIRE_EQ(calls, 0);
}

/* CPython's test_timeout and test_waitfor_timeout. */
Test(condition, waits_to_the_deadline_whatever_signals_come)
{
	struct world *w = shared(sizeof *w);
	int calls = 0;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), 0);
	struct moment start = storm_begin();
	REQUIRE_EQ(shoal_condition_wait(&w->c, &w->lock, SHOAL_MS(200)), -ETIMEDOUT);
	storm_changed_nothing(start);
	REQUIRE(shoal_lock_held(&w->lock));
	REQUIRE_EQ(shoal_condition_wait(&w->c, &w->lock, 0), -EAGAIN);
	REQUIRE_EQ(shoal_condition_wait_for(&w->c, &w->lock, never, &calls, SHOAL_MS(30)), -ETIMEDOUT);
	REQUIRE(calls >= 2);
	REQUIRE_EQ(shoal_condition_wait_for(&w->c, &w->lock, never, &calls, 0), -EAGAIN);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
}

Test(condition, an_interrupt_ends_the_wait_and_the_lock_is_held)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), 0);
	pthread_t p = interrupt_me();
	REQUIRE_EQ(shoal_condition_wait(&w->c, &w->lock, SHOAL_SEC(10)), -ECANCELED);
	pthread_join(p, NULL);
	REQUIRE(shoal_lock_held(&w->lock));
	REQUIRE_EQ(shoal_condition_wait(&w->c, &w->lock, SHOAL_MS(20)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
}

/* CPython's test_notify_n: exactly so many, and what is too many is not kept. */
Test(condition, so_many_go_on_as_were_notified)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[WAITERS];
	notify(w, 3);
	gather(w, pid, WAITERS);
	notify(w, 0);
	notify(w, 2);
	wait_for(&w->gone, 2);
	sleep_ms(70); /* longer than the slices in which sleepers look again */
	REQUIRE_EQ(load_acquire(&w->gone), 2);
	notify(w, 1);
	notify(w, 2);
	wait_for(&w->gone, 5);
	sleep_ms(70);
	REQUIRE_EQ(load_acquire(&w->gone), 5);
	notify(w, 3);
	for (int i = 0; i < WAITERS; i++) {
		expect_child(pid[i], 0, 2000);
		REQUIRE_EQ(w->result[i], 0);
	}
	/* Nothing is left of the three for one who waits later. */
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_condition_wait(&w->c, &w->lock, SHOAL_MS(20)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
}

/* CPython's test_notify_all: six that time out, then six that are told. */
Test(condition, all_go_on)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[WAITERS];
	w->timeout = SHOAL_MS(50);
	for (int i = 0; i < WAITERS; i++)
		pid[i] = child(waits[i], w);
	for (int i = 0; i < WAITERS; i++) {
		expect_child(pid[i], 0, 2000);
		REQUIRE_EQ(w->result[i], -ETIMEDOUT);
	}
	w->timeout = 0;
	store_release(&w->reached, 0);
	gather(w, pid, WAITERS);
	int64_t start = fair_ns();
	notify(w, SHOAL_ALL);
	for (int i = 0; i < WAITERS; i++) {
		expect_child(pid[i], 0, 2000);
		REQUIRE_EQ(w->result[i], 0);
		REQUIRE(w->at[i] - start < SHOAL_MS(40) * HARNESS_SLOW);
	}
}

static void *
await_in_a_thread(void *w)
{
	return (void *)(intptr_t)await(w, 1);
}

/* CPython's test_notify: a process and a thread, and each notification is for one. */
Test(condition, a_process_and_a_thread_are_told_one_by_one)
{
	struct world *w = shared(sizeof *w);
	pthread_t p;
	pid_t pid = child(await_0, w);
	REQUIRE_EQ(pthread_create(&p, NULL, await_in_a_thread, w), 0);
	wait_asleep(pid);
	word32 *seq = (word32 *)(void *)&w->c;
	for (int i = 0; i < 2000 && futex_sleepers(seq) < 2; i++)
		sleep_ms(1);
	REQUIRE_EQ(load_acquire(&w->gone), 0);
	for (uint32_t i = 1; i <= 2; i++) {
		notify(w, 1);
		wait_for(&w->gone, i);
		sleep_ms(10);
		REQUIRE_EQ(load_acquire(&w->gone), i);
	}
	expect_child(pid, 0, 2000);
	REQUIRE_EQ(pthread_join(p, NULL), 0);
	/* Its invariant after each test: nobody counts as waiting, and nobody sleeps. */
	REQUIRE_EQ(load_relaxed(&seq[6]), 0);
	REQUIRE_EQ(futex_sleepers(seq), 0);
}

static bool
counted_four(void *arg)
{
	struct world *w = arg;
	return w->count == 4;
}

static int
wait_for_four(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_rlock_acquire(&w->rlock, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_rlock_acquire(&w->rlock, SHOAL_FOREVER), 0);
	w->count = 0;
	reach(&w->reached);
	REQUIRE_EQ(shoal_condition_wait_for_rlock(&w->c, &w->rlock, counted_four, w, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(shoal_rlock_release(&w->rlock), 0);
	REQUIRE_EQ(shoal_rlock_release(&w->rlock), 0);
	return shoal_rlock_release(&w->rlock) == -EPERM ? 0 : 1;
}

/* CPython's test_waitfor, with all levels of an rlock given back and taken again. */
Test(condition, a_predicate_is_waited_for_with_an_rlock)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = child(wait_for_four, w);
	wait_for(&w->reached, 1);
	for (int i = 0; i < 4; i++) {
		sleep_ms(5);
		REQUIRE_EQ(shoal_rlock_acquire(&w->rlock, SHOAL_SEC(5)), 0);
		w->count++;
		REQUIRE_EQ(shoal_condition_notify_rlock(&w->c, &w->rlock, 1), 0);
		REQUIRE_EQ(shoal_rlock_release(&w->rlock), 0);
	}
	expect_child(pid, 0, 2000);
}

/* ---- numbers that wrap ---- */

enum { TICKETS = 2, ALL = 3, WAITING = 6 }; /* words of a condition */

static void
let_nobody_go(struct world *w)
{
	REQUIRE_EQ(shoal_condition_wait(&w->c, &w->lock, SHOAL_MS(1)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_condition_wait(&w->c, &w->lock, 0), -EAGAIN);
}

/* As they are after so many waits, and no notification but the first. */
Test(condition, nobody_goes_unnotified_after_any_number_of_waits)
{
	struct world *w = shared(sizeof *w);
	word32 *word = (word32 *)(void *)&w->c;
	static const uint32_t all[] = { 0, 7, UINT32_MAX - 1 }, apart[] = { 1u << 30, 1u << 31 };
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), 0);
	for (int i = 0; i < 12; i++) {
		store_relaxed(&word[ALL], all[i % 3]);
		store_relaxed(&word[TICKETS], all[i % 3] + apart[i / 3 % 2] - 3);
		/* With the dead that count as waiting `all` stays, to a bound. */
		store_relaxed(&word[WAITING], i / 6);
		for (int turn = 0; turn < 3; turn++)
			let_nobody_go(w);
		REQUIRE(load_relaxed(&word[TICKETS]) - load_relaxed(&word[ALL]) < 1u << 30);
	}
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
}

/* One waits all the while: it goes on, once, and later ones do not. */
Test(condition, at_the_bound_all_who_wait_are_let_go)
{
	struct world *w = shared(sizeof *w);
	word32 *word = (word32 *)(void *)&w->c;
	pid_t pid[1];
	gather(w, pid, 1);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	store_relaxed(&word[TICKETS], load_relaxed(&word[ALL]) + (1u << 30) - 1);
	let_nobody_go(w);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	expect_child(pid[0], 0, 2000);
	REQUIRE_EQ(w->result[0], 0);
}

/* ---- deaths ---- */

/* Multiprocessing's fault 4: there notify hangs, and so does the C library's. */
Test(condition, killed_waiters_are_in_nobodys_way)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[WAITERS];
	gather(w, pid, WAITERS);
	for (int i = 0; i < 3; i++)
		kill_now(pid[i]);
	int64_t start = fair_ns();
	notify(w, 1);
	REQUIRE(fair_ns() - start < DEATH_NS);
	wait_for(&w->gone, 1);
	notify(w, SHOAL_ALL);
	for (int i = 3; i < WAITERS; i++) {
		expect_child(pid[i], 0, 2000);
		REQUIRE_EQ(w->result[i], 0);
	}
	REQUIRE(fair_ns() - start < DEATH_NS);
}

Test(condition, a_notification_is_not_lost_with_the_notified, .timeout = 60 * HARNESS_SLOW)
{
	for (int round = 0; round < 20; round++) {
		struct world *w = shared(sizeof *w);
		pid_t pid[2];
		for (int i = 0; i < 2; i++)
			wait_asleep(pid[i] = child(waits[i], w));
		kill(pid[0], SIGSTOP);
		wait_state(pid[0], 'T');
		notify(w, 1);
		int64_t at = fair_ns();
		kill_now(pid[0]);
		expect_child(pid[1], 0, 2000);
		REQUIRE_EQ(w->result[1], 0);
		REQUIRE(w->at[1] - at < DEATH_NS);
	}
}

/* Notified, awake, and killed while it waits for the lock again: the next one goes within 10 ms. */
Test(condition, nor_with_one_that_waits_for_the_lock_again, .timeout = 60 * HARNESS_SLOW)
{
	for (int round = 0; round < 10; round++) {
		struct world *w = shared(sizeof *w);
		pid_t pid[3];
		for (int i = 0; i < 3; i++)
			wait_asleep(pid[i] = child(waits[i], w));
		REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), 0);
		REQUIRE_EQ(shoal_condition_notify(&w->c, &w->lock, 1), 0);
		shoal_lock_info info;
		for (int i = 0; i < 1000; i++) {
			REQUIRE_EQ(shoal_lock_stat(&w->lock, &info), 0);
			if (info.waiting)
				break;
			sleep_ms(1);
		}
		kill_now(pid[0]);
		REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
		int64_t at = fair_ns();
		wait_for(&w->gone, 1);
		REQUIRE(fair_ns() - at < SHOAL_MS(40) * HARNESS_SLOW);
		notify(w, SHOAL_ALL);
		for (int i = 1; i < 3; i++) {
			expect_child(pid[i], 0, 2000);
			REQUIRE_EQ(w->result[i], 0);
		}
	}
}

static int
hold_and_die(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	w->died = fair_ns();
	raise(SIGKILL);
	return 0;
}

/* tst-robust7: wait returns -EOWNERDEAD, and holds it. */
Test(condition, waiters_learn_that_the_holder_died)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[1];
	gather(w, pid, 1);
	expect_killed(child(hold_and_die, w), SIGKILL, 2000);
	int64_t at = fair_ns();
	expect_child(pid[0], 0, 2000);
	REQUIRE_EQ(w->result[0], -EOWNERDEAD);
	REQUIRE(w->at[0] - at < DEATH_NS);
}

/*
 * Only a slice tells, of 5 ms. A busy machine may keep one that was woken from running, so one
 * quick round is enough. Of a slice of 50 ms, begun just before, most would be to go each time.
 */
Test(condition, and_learn_it_within_a_short_slice)
{
	int64_t best = INT64_MAX;
	for (int round = 0; round < 40 && best >= SHOAL_MS(20); round++) {
		struct world *w = shared(sizeof *w);
		pid_t pid[1];
		gather(w, pid, 1);
		expect_killed(child(hold_and_die, w), SIGKILL, 2000);
		expect_child(pid[0], 0, 2000);
		REQUIRE_EQ(w->result[0], -EOWNERDEAD);
		best = w->at[0] - w->died < best ? w->at[0] - w->died : best;
	}
	REQUIRE(best < SHOAL_MS(20));
}

/* As notify leaves it, killed before its wake. */
static int
die_notifying_all(void *arg)
{
	struct world *w = arg;
	word32 *word = (word32 *)(void *)&w->c;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	robust_pending_set(thread_self(), &word[1]);
	store_relaxed(&word[3], load_relaxed(&word[2]));
	store_relaxed(&word[6], 0);
	store_release(&word[0], load_relaxed(&word[0]) + 1);
	raise(SIGKILL);
	return 0;
}

Test(condition, a_notifier_that_dies_before_its_wake_leaves_nobody_asleep)
{
	for (int round = 0; round < 5; round++) {
		struct world *w = shared(sizeof *w);
		pid_t pid[4];
		gather(w, pid, 4);
		expect_killed(child(die_notifying_all, w), SIGKILL, 2000);
		int64_t at = fair_ns();
		int told = 0;
		for (int i = 0; i < 4; i++) {
			expect_child(pid[i], 0, 2000);
			REQUIRE(w->at[i] - at < SHOAL_MS(40) * HARNESS_SLOW);
			told += w->result[i] == -EOWNERDEAD;
		}
		REQUIRE_EQ(told, 1);
	}
}

Test(condition, a_suspect_lock_is_given_up_by_waiting_with_it)
{
	struct world *w = shared(sizeof *w);
	int calls = 0;
	expect_killed(child(hold_and_die, w), SIGKILL, 2000);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), -EOWNERDEAD);
	REQUIRE_EQ(shoal_condition_wait_for(&w->c, &w->lock, never, &calls, SHOAL_SEC(1)),
	           -EOWNERDEAD);
	REQUIRE_EQ(calls, 0);
	REQUIRE_EQ(shoal_condition_wait(&w->c, &w->lock, SHOAL_MS(10)), -ENOTRECOVERABLE);
	REQUIRE(!shoal_lock_held(&w->lock));
}

/* ---- there and back ---- */

enum { ROUNDS = 3000 };

static int
bounce(struct world *w, int parity)
{
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	while (w->count < ROUNDS) {
		if (w->count % 2 == parity) {
			w->count++;
			REQUIRE_EQ(shoal_condition_notify(&w->c, &w->lock, 1), 0);
		} else {
			REQUIRE_EQ(shoal_condition_wait(&w->c, &w->lock, SHOAL_SEC(10)), 0);
		}
	}
	return shoal_lock_release(&w->lock);
}

static int
bounce_odd(void *arg)
{
	return bounce(arg, 1);
}

Test(condition, misses_no_turn, .timeout = 60 * HARNESS_SLOW)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = child(bounce_odd, w);
	int64_t start = fair_ns();
	REQUIRE_EQ(bounce(w, 0), 0);
	expect_child(pid, 0, 2000);
	REQUIRE(fair_ns() - start < SHOAL_SEC(10));
}
