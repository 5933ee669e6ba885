#include "common.h"
#include "base/thread.h"

struct world {
	shoal_lock lock, many[SHOAL_LOCKS_HELD_MAX + 1];
	word32 reached;
	volatile uint64_t count;
	volatile int result;
};

Test(lock, is_free_when_all_zero)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(sizeof(shoal_lock), 48);
	REQUIRE(!shoal_lock_held(&w->lock));
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	REQUIRE(shoal_lock_held(&w->lock));
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	REQUIRE(!shoal_lock_held(&w->lock));
	REQUIRE_EQ(thread_self()->held, 0);
}

/* CPython's _TestLock.test_lock; but a release by whoever does not hold it is -EPERM here. */
Test(lock, is_taken_once)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_lock_init(&w->lock), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock), -EPERM);
	REQUIRE(strstr(shoal_error(), "nobody holds"));
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_NOWAIT), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_NOWAIT), -EAGAIN);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, -5), -EAGAIN);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_MS(1)), -EDEADLK);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), -EDEADLK);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock), -EPERM);
}

Test(lock, refuses_unknown_flags)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_lock_init_with(&w->lock, SHOAL_LOCK_AUTOCLEAN), 0);
	REQUIRE_EQ(shoal_lock_init_with(&w->lock, 2), -EINVAL);
	REQUIRE_EQ(shoal_lock_consistent(&w->lock), -EPERM);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_lock_consistent(&w->lock), -EINVAL);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
}

static int
hold(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	reach(&w->reached);
	stay();
	return 0;
}

Test(lock, another_one_waits_to_the_deadline)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = child(hold, w);
	wait_for(&w->reached, 1);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), -EAGAIN);
	REQUIRE_EQ(shoal_lock_release(&w->lock), -EPERM);
	char holder[40];
	snprintf(holder, sizeof holder, "thread %d holds", (int)pid);
	REQUIRE(strstr(shoal_error(), holder));
	int64_t fair = fair_ns(), start = now_ns();
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_MS(30)), -ETIMEDOUT);
	REQUIRE(now_ns() - start >= SHOAL_MS(30));
	REQUIRE(fair_ns() - fair < SHOAL_MS(500));
	/* Stopped is not dead. */
	kill(pid, SIGSTOP);
	wait_state(pid, 'T');
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_MS(30)), -ETIMEDOUT);
	kill_now(pid);
}

Test(lock, signals_do_not_cut_the_wait)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = child(hold, w);
	wait_for(&w->reached, 1);
	struct moment start = storm_begin();
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_MS(200)), -ETIMEDOUT);
	storm_changed_nothing(start);
	kill_now(pid);
}

Test(lock, an_interrupt_ends_the_wait_once)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = child(hold, w);
	wait_for(&w->reached, 1);
	pthread_t p = interrupt_me();
	int64_t start = fair_ns();
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_SEC(10)), -ECANCELED);
	REQUIRE(fair_ns() - start < SHOAL_SEC(2));
	pthread_join(p, NULL);
	/* The next wait, when there is none now. */
	shoal_thread_interrupt(shoal_thread_self());
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_SEC(10)), -ECANCELED);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_MS(20)), -ETIMEDOUT);
	kill_now(pid);
}

static int
is_not_the_holder(void *arg)
{
	struct world *w = arg;
	REQUIRE(!shoal_lock_held(&w->lock));
	REQUIRE_EQ(shoal_lock_release(&w->lock), -EPERM);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), -EAGAIN);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_MS(5)), -ETIMEDOUT);
	return 0;
}

/* tst-robust-fork: nor does its death free what the parent holds. */
Test(lock, a_forked_child_holds_nothing)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	expect_child(child(is_not_the_holder, w), 0, 2000);
	pid_t raw = _Fork();
	if (raw == 0)
		_exit(is_not_the_holder(w));
	expect_child(raw, 0, 2000);
	REQUIRE(shoal_lock_held(&w->lock));
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
}

static void *
is_not_the_holder_either(void *arg)
{
	is_not_the_holder(arg);
	return NULL;
}

/* CPython's test_different_thread; another thread may release there, here a semaphore of 1 is. */
Test(lock, is_its_threads_alone)
{
	struct world *w = shared(sizeof *w);
	pthread_t p;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), 0);
	REQUIRE_EQ(pthread_create(&p, NULL, is_not_the_holder_either, w), 0);
	pthread_join(p, NULL);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
}

static int
hold_for_a_moment(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	reach(&w->reached);
	sleep_ms(50);
	return shoal_lock_release(&w->lock);
}

/* CPython's test_state_after_timeout: who ran out of time has changed nothing. */
Test(lock, is_as_before_after_a_deadline)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = child(hold_for_a_moment, w);
	wait_for(&w->reached, 1);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_MS(5)), -ETIMEDOUT);
	expect_child(pid, 0, 2000);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_MS(5)), 0);
	expect_child(child(is_not_the_holder, w), 0, 2000);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	REQUIRE_EQ(thread_self()->held, 0);
}

/* A timeout that ends after the clock does is no deadline in the past; the least one is. */
Test(lock, takes_any_number_for_a_timeout)
{
	static const shoal_time longest[] = { INT64_MAX - 1, INT64_MAX / 2, SHOAL_FOREVER };
	for (int i = 0; i < 3; i++) {
		struct world *w = shared(sizeof *w);
		pid_t pid = child(hold_for_a_moment, w);
		wait_for(&w->reached, 1);
		int64_t start = fair_ns();
		REQUIRE_EQ(shoal_lock_acquire(&w->lock, INT64_MIN), -EAGAIN);
		REQUIRE(fair_ns() - start < SHOAL_MS(40) * HARNESS_SLOW);
		REQUIRE_EQ(shoal_lock_acquire(&w->lock, longest[i]), 0);
		REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
		expect_child(pid, 0, 2000);
	}
}

static void *
take_it_once(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_SEC(10)), 0);
	w->count = w->count + 1;
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	return NULL;
}

/* CPython's test_thread_leak. */
Test(lock, is_taken_by_threads_that_come_and_go)
{
	struct world *w = shared(sizeof *w);
	for (int i = 0; i < 60; i++) {
		pthread_t p;
		REQUIRE_EQ(pthread_create(&p, NULL, take_it_once, w), 0);
		pthread_join(p, NULL);
	}
	REQUIRE_EQ(w->count, 60);
	shoal_lock_info i;
	REQUIRE_EQ(shoal_lock_stat(&w->lock, &i), 0);
	REQUIRE(i.acquisitions == 60 && i.deaths == 0 && i.owner == 0);
}

Test(lock, a_thread_holds_so_many_and_no_more)
{
	struct world *w = shared(sizeof *w);
	for (int i = 0; i < SHOAL_LOCKS_HELD_MAX; i++)
		REQUIRE_EQ(shoal_lock_acquire(&w->many[i], 0), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), -EOVERFLOW);
	REQUIRE_EQ(shoal_lock_release(&w->many[500]), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->many[500], 0), -EOVERFLOW);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	for (int i = 0; i < SHOAL_LOCKS_HELD_MAX; i++)
		REQUIRE_EQ(shoal_lock_release(&w->many[i]), i == 500 ? -EPERM : 0);
	REQUIRE_EQ(thread_self()->held, 0);
}

static int
take_and_give(void *arg)
{
	struct world *w = arg;
	w->result = shoal_lock_acquire(&w->lock, SHOAL_SEC(10));
	return shoal_have(w->result) ? shoal_lock_release(&w->lock) : 0;
}

Test(lock, tells_its_statistics)
{
	struct world *w = shared(sizeof *w);
	shoal_lock_info i;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_lock_stat(&w->lock, &i), 0);
	REQUIRE(i.acquisitions == 2 && i.contended == 0 && i.deaths == 0 && i.wait_max == 0);
	REQUIRE(i.owner == getpid() && i.waiting == 0);
	pid_t pid[2] = { child(take_and_give, w), child(take_and_give, w) };
	/* Each looks around every 50 ms, and may be awake just now. */
	for (int k = 0; k < 2000 * HARNESS_SLOW && i.waiting < 2; k++) {
		sleep_ms(1);
		REQUIRE_EQ(shoal_lock_stat(&w->lock, &i), 0);
	}
	REQUIRE_EQ(i.waiting, 2);
	sleep_ms(20);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	for (int k = 0; k < 2; k++)
		expect_child(pid[k], 0, 2000);
	REQUIRE_EQ(shoal_lock_stat(&w->lock, &i), 0);
	REQUIRE(i.acquisitions == 4 && i.contended >= 1 && i.owner == 0 && i.waiting == 0);
	REQUIRE(i.wait_max >= SHOAL_MS(20) && i.wait_max < SHOAL_SEC(5));
}

Test(lock, bears_a_name_in_what_is_told)
{
	struct world *w = shared(sizeof *w);
	char longest[64] = "";
	memset(longest, 'n', 63);
	REQUIRE_EQ(shoal_lock_name(&w->lock, "accounts"), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock), -EPERM);
	REQUIRE(strstr(shoal_error(), "'accounts'"));
	REQUIRE_EQ(shoal_lock_name(&w->lock, longest), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock), -EPERM);
	REQUIRE(strstr(shoal_error(), longest));
	char longer[65] = "";
	memset(longer, 'n', 64);
	REQUIRE_EQ(shoal_lock_name(&w->lock, longer), -EINVAL);
	REQUIRE_EQ(shoal_lock_name(&w->lock, NULL), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock), -EPERM);
	REQUIRE(!strstr(shoal_error(), "nnn"));
	REQUIRE_EQ(shoal_lock_name(&w->lock, "again"), 0);
	REQUIRE_EQ(shoal_lock_init(&w->lock), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock), -EPERM);
	REQUIRE(!strstr(shoal_error(), "again"));
}

/* ---- many at once ---- */

enum { ROUNDS = 20000 };

static void
take_lock(void *lock, int round)
{
	REQUIRE_EQ(shoal_lock_acquire(lock, round % 3 ? SHOAL_FOREVER : SHOAL_SEC(20)), 0);
}

static void
give_lock(void *lock)
{
	REQUIRE_EQ(shoal_lock_release(lock), 0);
}

static struct crowd
crowd(struct world *w, int processes, int threads, int rounds)
{
	return (struct crowd){ &w->lock, take_lock, give_lock, processes, threads, rounds, &w->count };
}

/* Of 1 to 8 processes, of 1 to 8 threads: few, and as many as there are CPUs, and more. */
Test(lock, excludes_processes_and_threads, .timeout = 60 * HARNESS_SLOW)
{
	static const int shape[][2] = { { 1, 2 }, { 1, 8 }, { 2, 1 }, { 3, 2 }, { 8, 1 } };
	for (size_t k = 0; k < sizeof shape / sizeof *shape; k++) {
		struct world *w = shared(sizeof *w);
		struct crowd c = crowd(w, shape[k][0], shape[k][1], ROUNDS / 2);
		crowd_is_kept_apart(&c);
		shoal_lock_info i;
		REQUIRE_EQ(shoal_lock_stat(&w->lock, &i), 0);
		REQUIRE(i.acquisitions == w->count && i.owner == 0 && i.waiting == 0);
	}
}

/* Some give up, some are interrupted: nobody is left asleep over a free lock. */
static void *
try_for_a_moment(void *arg)
{
	struct world *w = arg;
	for (int i = 0; i < 3000; i++) {
		int rc = shoal_lock_acquire(&w->lock, i % 5 * 2000);
		if (rc == 0)
			REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
		else
			REQUIRE(shoal_timed_out(rc) || rc == -ECANCELED);
		if (i % 7 == 0)
			shoal_thread_interrupt(shoal_thread_self());
	}
	int rc = shoal_lock_acquire(&w->lock, SHOAL_MS(1));
	return rc == 0 ? (void *)(intptr_t)shoal_lock_release(&w->lock) : NULL;
}

Test(lock, loses_no_wake_by_those_who_give_up, .timeout = 60 * HARNESS_SLOW)
{
	struct world *w = shared(sizeof *w);
	pthread_t p[2];
	struct crowd c = crowd(w, 1, 2, ROUNDS);
	pid_t pid = child(crowd_process, &c);
	for (int i = 0; i < 2; i++)
		REQUIRE_EQ(pthread_create(&p[i], NULL, try_for_a_moment, w), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(p[i], NULL);
	expect_child(pid, 0, 30000);
	shoal_lock_info i;
	REQUIRE_EQ(shoal_lock_stat(&w->lock, &i), 0);
	REQUIRE(i.owner == 0 && w->count == 2 * ROUNDS);
	/* Below the slice of a second that covers up for a lost wake. */
	REQUIRE(i.wait_max < SHOAL_MS(900) * HARNESS_SLOW);
}

static int
hold_nearly_always(void *arg)
{
	struct world *w = arg;
	for (;;) {
		int rc = shoal_lock_acquire(&w->lock, SHOAL_FOREVER);
		/* The other one was killed first, with the lock: it is this one's turn to be. */
		while (rc == -EOWNERDEAD)
			pause();
		REQUIRE_EQ(rc, 0);
		int64_t until = now_ns() + SHOAL_MS(1);
		while (now_ns() < until)
			;
		REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
		reach(&w->reached);
	}
	return 0;
}

/* nsync's mu_starvation: others give it back only to take it again at once. */
Test(lock, nobody_starves_beside_those_who_hold_it_nearly_always, .timeout = 60 * HARNESS_SLOW)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[2] = { child(hold_nearly_always, w), child(hold_nearly_always, w) };
	wait_for(&w->reached, 10);
	for (int i = 0; i < 10; i++) {
		REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_SEC(10)), 0);
		REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	}
	for (int i = 0; i < 2; i++)
		kill_now(pid[i]);
}
