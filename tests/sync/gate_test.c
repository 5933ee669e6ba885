#include "sync/gate.h"
#include "base/clock.h"
#include "base/kernel.h"
#include "harness.h"
#include "sync/robust.h"
#include <errno.h>
#include <pthread.h>
#include <shoal/base.h>
#include <signal.h>

struct world {
	word32 gate, value, asleep, taken;
	bool membarrier;
	volatile int64_t at;
};

static struct world *
world_make(void)
{
	struct world *w = shared(sizeof *w);
	w->membarrier = kernel_has(KERNEL_MEMBARRIER) && kernel_barrier_join() == 0;
	return w;
}

static bool
take(struct world *w)
{
	for (;;) {
		uint32_t v = load_acquire(&w->value);
		if (!v)
			return false;
		if (cas32_acq_rel(&w->value, v, v - 1))
			return true;
	}
}

/* The sleeper's side as sync/gate.h has it. */
static int
take_or_sleep(struct world *w, struct shoal_thread *t, int64_t deadline)
{
	void *old = robust_pending_set(t, &w->gate);
	int rc = 0;
	while (rc == 0 && !take(w)) {
		gate_arm(&w->gate, w->membarrier);
		if (take(w))
			break;
		struct futex_watch watch[] = { { &w->gate, GATE_ARMED }, { &w->value, 0 } };
		fetch_add_relaxed(&w->asleep, 1);
		rc = gate_sleep(t, watch, 2, deadline);
	}
	if (rc == 0 && load_acquire(&w->value))
		gate_open(&w->gate);
	robust_pending_restore(t, old);
	return rc;
}

static void
give(struct world *w, struct shoal_thread *t)
{
	void *old = robust_pending_set(t, &w->gate);
	for (uint32_t v;;) {
		v = load_acquire(&w->value);
		if (cas32_acq_rel(&w->value, v, v + 1))
			break;
	}
	fence_compiler();
	if (load_relaxed(&w->gate))
		gate_open(&w->gate);
	robust_pending_restore(t, old);
}

static int
take_one(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(take_or_sleep(w, thread_self(), clock_deadline(SHOAL_SEC(10))), 0);
	w->at = now_ns();
	fetch_add_relaxed(&w->taken, 1);
	return 0;
}

static int64_t
time_to_let_through(void)
{
	struct world *w = world_make();
	pid_t pid = child(take_one, w);
	while (!load_acquire(&w->asleep))
		sleep_ms(1);
	sleep_ms(5);
	int64_t start = now_ns();
	give(w, thread_self());
	expect_child(pid, 0, 5000);
	return w->at - start;
}

/* By the wake, not by the slice: the machine may be busy, but not at each of many times. */
Test(gate, one_who_sleeps_is_let_through)
{
	int64_t least = INT64_MAX;
	for (int i = 0; i < 15 && least > GATE_SLICE_NS / 5; i++) {
		int64_t took = time_to_let_through();
		least = took < least ? took : least;
	}
	REQUIRE(least < GATE_SLICE_NS / 5);
}

Test(gate, each_of_many_gets_through)
{
	struct world *w = world_make();
	pid_t pid[5];
	for (int i = 0; i < 5; i++)
		pid[i] = child(take_one, w);
	while (load_acquire(&w->asleep) < 5)
		sleep_ms(1);
	for (int i = 0; i < 5; i++)
		give(w, thread_self());
	for (int i = 0; i < 5; i++)
		expect_child(pid[i], 0, 5000);
	REQUIRE_EQ(load_relaxed(&w->taken), 5);
}

/* The one that the wake was for dies: the kernel passes it on, since pending names the gate. */
Test(gate, a_wake_is_not_lost_with_the_woken, .timeout = 60 * HARNESS_SLOW)
{
	for (int round = 0; round < 20; round++) {
		struct world *w = world_make();
		pid_t pid[2] = { child(take_one, w), child(take_one, w) };
		while (load_acquire(&w->asleep) < 2)
			sleep_ms(1);
		sleep_ms(2);
		kill(pid[0], SIGSTOP);
		give(w, thread_self());
		kill(pid[0], SIGKILL);
		expect_killed(pid[0], SIGKILL, 1000);
		expect_child(pid[1], 0, 5000);
	}
}

static int
take_many(void *arg)
{
	struct world *w = arg;
	struct shoal_thread *t = thread_self();
	for (int i = 0; i < 5000; i++)
		REQUIRE_EQ(take_or_sleep(w, t, clock_deadline(SHOAL_SEC(20))), 0);
	return 0;
}

static int
give_many(void *arg)
{
	struct world *w = arg;
	struct shoal_thread *t = thread_self();
	for (int i = 0; i < 5000; i++) {
		give(w, t);
		if (i % 64 == 0)
			sleep_ms(1);
	}
	return 0;
}

Test(gate, nobody_is_forgotten_in_a_crowd, .timeout = 60 * HARNESS_SLOW)
{
	struct world *w = world_make();
	pid_t pid[6];
	for (int i = 0; i < 6; i++)
		pid[i] = child(i % 2 ? give_many : take_many, w);
	for (int i = 0; i < 6; i++)
		expect_child(pid[i], 0, 30000 * HARNESS_SLOW);
	REQUIRE_EQ(load_relaxed(&w->value), 0);
}

Test(gate, the_deadline_is_kept)
{
	struct world *w = world_make();
	int64_t start = clock_now();
	REQUIRE_EQ(take_or_sleep(w, thread_self(), clock_deadline(SHOAL_MS(120))), -ETIMEDOUT);
	REQUIRE(clock_now() - start >= SHOAL_MS(120));
}

static void *
sleep_until_interrupted(void *arg)
{
	struct world *w = arg;
	return (void *)(intptr_t)take_or_sleep(w, thread_self(), clock_deadline(SHOAL_SEC(10)));
}

static shoal_thread *_Atomic sleeper;

static void *
sleep_and_tell(void *arg)
{
	sleeper = thread_self();
	return sleep_until_interrupted(arg);
}

Test(gate, an_interrupt_ends_a_sleep)
{
	struct world *w = world_make();
	pthread_t thread;
	void *rc;
	REQUIRE_EQ(pthread_create(&thread, NULL, sleep_and_tell, w), 0);
	while (!load_acquire(&w->asleep))
		sleep_ms(1);
	shoal_thread_interrupt(sleeper);
	REQUIRE_EQ(pthread_join(thread, &rc), 0);
	REQUIRE_EQ((intptr_t)rc, -ECANCELED);
	/* One that comes before the sleep counts as well. */
	shoal_thread_interrupt(thread_self());
	REQUIRE_EQ(take_or_sleep(w, thread_self(), clock_deadline(SHOAL_SEC(10))), -ECANCELED);
}
