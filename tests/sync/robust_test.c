#include "common.h"
#include "base/clock.h"
#include "base/kernel.h"
#include "sync/robust.h"

/*
 * The kernel tells of a death in about 0.14 ms; on kernels without the rule of 6.2 slices of 5 ms
 * do.
 */
#define SOON (SHOAL_MS(40) * HARNESS_SLOW) /* below the slice that covers up for a lost wake */

struct world {
	struct robust lock[4];
	pthread_mutex_t mutex[3];
	word32 reached;
	volatile uint64_t count;
	volatile int64_t got_at;
	volatile int result;
};

Test(robust, is_taken_and_given_back)
{
	struct world *w = shared(sizeof *w);
	struct shoal_thread *t = thread_self();
	REQUIRE(robust_usable(t));
	for (int i = 0; i < 3; i++) {
		REQUIRE_EQ(robust_take(t, &w->lock[0], CLOCK_NEVER), 0);
		REQUIRE_EQ(load_relaxed(&w->lock[0].word), t->tid);
		REQUIRE_EQ(robust_try(t, &w->lock[1]), 0);
		REQUIRE_EQ(t->held, 2);
		robust_release(t, &w->lock[0]);
		robust_release(t, &w->lock[1]);
		REQUIRE_EQ(load_relaxed(&w->lock[0].word), 0);
	}
	REQUIRE_EQ(t->held, 0);
	REQUIRE(!t->robust->pending);
}

Test(robust, its_holder_cannot_take_it_again)
{
	struct world *w = shared(sizeof *w);
	struct shoal_thread *t = thread_self();
	REQUIRE_EQ(robust_take(t, &w->lock[0], CLOCK_NEVER), 0);
	REQUIRE_EQ(robust_take(t, &w->lock[0], CLOCK_NEVER), -EDEADLK);
	REQUIRE_EQ(robust_try(t, &w->lock[0]), -EBUSY);
	robust_release(t, &w->lock[0]);
}

static int
hold_and_stay(void *arg)
{
	struct world *w = arg;
	struct shoal_thread *t = thread_self();
	for (int i = 0; i < 2; i++)
		REQUIRE(robust_take(t, &w->lock[i], CLOCK_NEVER) == 0);
	reach(&w->reached);
	stay();
	return 0;
}

Test(robust, another_one_waits_to_the_deadline)
{
	struct world *w = shared(sizeof *w);
	struct shoal_thread *t = thread_self();
	pid_t pid = child(hold_and_stay, w);
	wait_for(&w->reached, 1);
	int64_t start = clock_now();
	REQUIRE_EQ(robust_try(t, &w->lock[0]), -EBUSY);
	REQUIRE_EQ(robust_take(t, &w->lock[0], clock_deadline(SHOAL_MS(30))), -ETIMEDOUT);
	REQUIRE(clock_now() - start >= SHOAL_MS(30));
	/* Stopped is not dead. */
	kill(pid, SIGSTOP);
	REQUIRE_EQ(robust_take(t, &w->lock[0], clock_deadline(SHOAL_MS(30))), -ETIMEDOUT);
	kill_now(pid);
}

Test(robust, a_dead_holders_lock_goes_to_the_next_at_once)
{
	struct world *w = shared(sizeof *w);
	struct shoal_thread *t = thread_self();
	pid_t pid = child(hold_and_stay, w);
	wait_for(&w->reached, 1);
	kill_now(pid);
	REQUIRE_EQ(robust_try(t, &w->lock[0]), -EOWNERDEAD);
	REQUIRE_EQ(robust_take(t, &w->lock[1], clock_deadline(0)), -EOWNERDEAD);
	robust_mend(&w->lock[0]);
	robust_release(t, &w->lock[0]);
	REQUIRE_EQ(robust_try(t, &w->lock[0]), 0);
	robust_release(t, &w->lock[0]);
	/* Not mended: the next one is told again. */
	robust_release(t, &w->lock[1]);
	REQUIRE_EQ(robust_try(t, &w->lock[1]), -EOWNERDEAD);
	robust_mend(&w->lock[1]);
	robust_release(t, &w->lock[1]);
}

static int
wait_for_it(void *arg)
{
	struct world *w = arg;
	struct shoal_thread *t = thread_self();
	reach(&w->reached);
	int rc = robust_take(t, &w->lock[0], clock_deadline(SHOAL_SEC(10)));
	REQUIRE(rc == 0 || rc == -EOWNERDEAD);
	if (rc)
		robust_mend(&w->lock[0]);
	w->count++;
	w->got_at = fair_ns();
	robust_release(t, &w->lock[0]);
	return 0;
}

Test(robust, those_who_sleep_are_woken_by_a_death)
{
	struct world *w = shared(sizeof *w);
	pid_t holder = child(hold_and_stay, w), waiter[3];
	wait_for(&w->reached, 1);
	for (int i = 0; i < 3; i++)
		waiter[i] = child(wait_for_it, w);
	wait_for(&w->reached, 4);
	sleep_ms(50);
	int64_t at = fair_ns();
	kill(holder, SIGKILL);
	for (int i = 0; i < 3; i++)
		expect_child(waiter[i], 0, 5000);
	REQUIRE_EQ(w->count, 3);
	REQUIRE(w->got_at - at < SOON);
	expect_killed(holder, SIGKILL, 1000);
	REQUIRE_EQ(load_relaxed(&w->lock[0].word) & ~FUTEX_SLEEPERS, 0);
}

/*
 * One who was woken by the release and is killed before it takes the lock: the next one is woken
 * (window B).
 */
Test(robust, a_wake_is_not_lost_with_the_woken, .timeout = 60 * HARNESS_SLOW)
{
	struct shoal_thread *t = thread_self();
	for (int round = 0; round < 40; round++) {
		struct world *w = shared(sizeof *w);
		REQUIRE_EQ(robust_take(t, &w->lock[0], CLOCK_NEVER), 0);
		pid_t waiter[2];
		for (int i = 0; i < 2; i++)
			waiter[i] = child(wait_for_it, w);
		wait_for(&w->reached, 2);
		while (!(load_acquire(&w->lock[0].word) & FUTEX_SLEEPERS))
			sleep_ms(1);
		sleep_ms(3);
		/* A stopped sleeper is taken off the queue by the wake, and cannot go on. */
		kill(waiter[0], SIGSTOP);
		sleep_ms(2);
		robust_release(t, &w->lock[0]);
		kill(waiter[0], SIGKILL);
		expect_killed(waiter[0], SIGKILL, 1000);
		int64_t dead = fair_ns();
		expect_child(waiter[1], 0, 5000);
		REQUIRE(w->got_at - dead < SOON);
	}
}

/*
 * Killed between the store that frees the lock and the wake (window A): pending passes the wake on.
 */
static int
die_releasing(void *arg)
{
	struct world *w = arg;
	struct shoal_thread *t = thread_self();
	REQUIRE_EQ(robust_take(t, &w->lock[0], CLOCK_NEVER), 0);
	reach(&w->reached);
	while (!(load_acquire(&w->lock[0].word) & FUTEX_SLEEPERS))
		sleep_ms(1);
	sleep_ms(3);
	robust_pending_set(t, &w->lock[0].word);
	store_release(&w->lock[0].word, FUTEX_SLEEPERS);
	raise(SIGKILL);
	return 0;
}

Test(robust, a_wake_is_not_lost_with_the_releaser)
{
	struct world *w = shared(sizeof *w);
	pid_t holder = child(die_releasing, w);
	wait_for(&w->reached, 1);
	pid_t waiter = child(wait_for_it, w);
	expect_killed(holder, SIGKILL, 5000);
	int64_t dead = fair_ns();
	expect_child(waiter, 0, 5000);
	REQUIRE(w->got_at - dead < SOON);
}

/* ---- beside the C library's own ---- */

static int
die_with_both(void *arg)
{
	struct world *w = arg;
	struct shoal_thread *t = thread_self();
	pthread_mutex_lock(&w->mutex[0]);
	REQUIRE_EQ(robust_take(t, &w->lock[0], CLOCK_NEVER), 0);
	pthread_mutex_lock(&w->mutex[1]);
	REQUIRE_EQ(robust_take(t, &w->lock[1], CLOCK_NEVER), 0);
	pthread_mutex_lock(&w->mutex[2]);
	REQUIRE_EQ(robust_take(t, &w->lock[2], CLOCK_NEVER), 0);
	/* Out of the middle of the list, from either side. */
	robust_release(t, &w->lock[1]);
	pthread_mutex_unlock(&w->mutex[1]);
	raise(SIGKILL);
	return 0;
}

static void
mutex_make(pthread_mutex_t *m)
{
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	REQUIRE_EQ(pthread_mutex_init(m, &a), 0);
}

Test(robust, mixes_with_the_c_librarys_mutexes)
{
	struct world *w = shared(sizeof *w);
	struct shoal_thread *t = thread_self();
	for (int i = 0; i < 3; i++)
		mutex_make(&w->mutex[i]);
	expect_killed(child(die_with_both, w), SIGKILL, 5000);
	for (int i = 0; i < 3; i++) {
		REQUIRE_EQ(pthread_mutex_trylock(&w->mutex[i]), i == 1 ? 0 : EOWNERDEAD);
		REQUIRE_EQ(robust_try(t, &w->lock[i]), i == 1 ? 0 : -EOWNERDEAD);
	}
	for (int i = 0; i < 3; i++) {
		pthread_mutex_consistent(&w->mutex[i]);
		REQUIRE_EQ(pthread_mutex_unlock(&w->mutex[i]), 0);
		robust_mend(&w->lock[i]);
		robust_release(t, &w->lock[i]);
	}
	REQUIRE_EQ(t->held, 0);
}

/* ---- many at once ---- */

enum { ROUNDS = 20000 };

static void
take_word(void *word, int round)
{
	(void)round;
	REQUIRE_EQ(robust_take(thread_self(), word, CLOCK_NEVER), 0);
}

static void
give_word(void *word)
{
	robust_release(thread_self(), word);
}

Test(robust, excludes_processes_and_threads, .timeout = 60 * HARNESS_SLOW)
{
	struct world *w = shared(sizeof *w);
	crowd_is_kept_apart(&(struct crowd){ &w->lock[0], take_word, give_word, 3, 2, ROUNDS,
	                                     &w->count });
	REQUIRE_EQ(load_relaxed(&w->lock[0].word) & ~FUTEX_SLEEPERS, 0);
}

static int
increment_for_ever(void *arg)
{
	struct world *w = arg;
	struct shoal_thread *t = thread_self();
	for (;;) {
		int rc = robust_take(t, &w->lock[0], CLOCK_NEVER);
		REQUIRE(rc == 0 || rc == -EOWNERDEAD);
		if (rc)
			robust_mend(&w->lock[0]);
		w->count = w->count + 1;
		robust_release(t, &w->lock[0]);
	}
	return 0;
}

Test(robust, goes_on_whoever_is_killed, .timeout = 60 * HARNESS_SLOW)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[3];
	for (int i = 0; i < 3; i++)
		pid[i] = child(increment_for_ever, w);
	for (int round = 0; round < 150; round++) {
		uint64_t before = w->count;
		for (int i = 0; i < 3000 && w->count == before; i++)
			sleep_ms(1);
		REQUIRE(w->count != before);
		kill_now(pid[round % 3]);
		pid[round % 3] = child(increment_for_ever, w);
	}
	for (int i = 0; i < 3; i++) {
		kill_now(pid[i]);
	}
}

/* ---- words held for life ---- */

static int
claim_and_stay(void *arg)
{
	struct world *w = arg;
	struct shoal_thread *t = thread_self();
	REQUIRE(robust_claim(t, &w->lock[0]));
	reach(&w->reached);
	stay();
	return 0;
}

static int
watch_life(void *arg)
{
	struct world *w = arg;
	uint32_t life;
	reach(&w->reached);
	while (!((life = load_acquire(&w->lock[0].word)) & FUTEX_DIED) && life)
		futex_wait(&w->lock[0].word, life, clock_deadline(SHOAL_SEC(10)));
	w->got_at = fair_ns();
	return life ? 0 : 1;
}

Test(robust, who_watches_a_life_is_told_of_its_end)
{
	struct world *w = shared(sizeof *w);
	pid_t lives = child(claim_and_stay, w);
	wait_for(&w->reached, 1);
	REQUIRE(!robust_claim(thread_self(), &w->lock[0]));
	pid_t watcher = child(watch_life, w);
	wait_for(&w->reached, 2);
	sleep_ms(30);
	int64_t at = fair_ns();
	kill(lives, SIGKILL);
	expect_child(watcher, 0, 5000);
	REQUIRE(w->got_at - at < SOON);
	expect_killed(lives, SIGKILL, 1000);
	REQUIRE(!robust_claim(thread_self(), &w->lock[0]));
}

Test(robust, dropping_wakes_those_who_watch)
{
	struct world *w = shared(sizeof *w);
	struct shoal_thread *t = thread_self();
	REQUIRE(robust_claim(t, &w->lock[0]));
	pid_t watcher[2] = { child(watch_life, w), child(watch_life, w) };
	wait_for(&w->reached, 2);
	sleep_ms(30);
	robust_drop(t, &w->lock[0]);
	for (int i = 0; i < 2; i++)
		expect_child(watcher[i], 1, 5000);
	REQUIRE_EQ(t->held, 0);
	REQUIRE(robust_claim(t, &w->lock[0]));
	robust_drop(t, &w->lock[0]);
}

/* ---- words held for one call ---- */

static int
claim_both_ways_and_die(void *arg)
{
	struct world *w = arg;
	struct shoal_thread *t = thread_self();
	void *first = t->robust->first;
	for (int i = 0; i < 2; i++) {
		REQUIRE(robust_claim_briefly(t, &w->lock[i]));
		REQUIRE(!robust_claim_briefly(t, &w->lock[i]));
	}
	for (int i = 1; i >= 0; i--)
		robust_drop_briefly(t, &w->lock[i]);
	REQUIRE(t->robust->first == first && !t->robust->pending);
	/* As a handler may that joins an arena meanwhile. */
	REQUIRE(robust_claim_briefly(t, &w->lock[0]));
	REQUIRE(robust_claim(t, &w->lock[1]));
	robust_drop_briefly(t, &w->lock[0]);
	REQUIRE_EQ(load_relaxed(&w->lock[0].word), 0);
	REQUIRE_EQ(t->held, 1);
	REQUIRE(robust_claim_briefly(t, &w->lock[2]));
	return raise(SIGKILL);
}

Test(robust, what_is_held_for_one_call_leaves_the_list_as_it_was)
{
	struct world *w = shared(sizeof *w);
	expect_killed(child(claim_both_ways_and_die, w), SIGKILL, 5000);
	REQUIRE_EQ(load_relaxed(&w->lock[0].word), 0);
	for (int i = 1; i < 3; i++)
		REQUIRE(load_relaxed(&w->lock[i].word) & FUTEX_DIED);
}
