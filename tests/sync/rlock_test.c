#include "common.h"
#include "base/thread.h"

struct world {
	shoal_rlock lock;
	word32 reached;
	volatile int result;
};

/* CPython's test_rlock: three times, then one release too many. */
Test(rlock, is_taken_again_by_its_holder)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(sizeof(shoal_rlock), 64);
	REQUIRE_EQ(shoal_rlock_init(&w->lock, 0), 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++)
			REQUIRE_EQ(shoal_rlock_acquire(&w->lock, i % 2 ? SHOAL_FOREVER : 0), 0);
		for (int i = 0; i < 3; i++)
			REQUIRE_EQ(shoal_rlock_release(&w->lock), 0);
		REQUIRE_EQ(shoal_rlock_release(&w->lock), -EPERM);
	}
	REQUIRE_EQ(thread_self()->held, 0);
	REQUIRE_EQ(shoal_rlock_init(&w->lock, 4), -EINVAL);
	REQUIRE_EQ(shoal_rlock_consistent(&w->lock), -EPERM);
}

Test(rlock, is_held_so_often_and_no_more)
{
	struct world *w = shared(sizeof *w);
	word32 *depth = (word32 *)(void *)&w->lock + sizeof(shoal_lock) / sizeof *depth;
	REQUIRE_EQ(shoal_rlock_acquire(&w->lock, 0), 0);
	REQUIRE_EQ(load_relaxed(depth), 1);
	store_relaxed(depth, UINT32_MAX - 1);
	REQUIRE_EQ(shoal_rlock_acquire(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_rlock_acquire(&w->lock, SHOAL_FOREVER), -EOVERFLOW);
	REQUIRE_EQ(load_relaxed(depth), UINT32_MAX);
	REQUIRE_EQ(shoal_rlock_release(&w->lock), 0);
	store_relaxed(depth, 1);
	REQUIRE_EQ(shoal_rlock_release(&w->lock), 0);
	REQUIRE_EQ(shoal_rlock_release(&w->lock), -EPERM);
}

Test(rlock, bad_flags_change_nothing)
{
	struct world *w = shared(sizeof *w);
	for (int i = 0; i < 2; i++)
		REQUIRE_EQ(shoal_rlock_acquire(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_rlock_init(&w->lock, 4), -EINVAL);
	for (int i = 0; i < 2; i++)
		REQUIRE_EQ(shoal_rlock_release(&w->lock), 0);
	REQUIRE_EQ(shoal_rlock_release(&w->lock), -EPERM);
}

Test(rlock, counts_what_was_not_taken_again)
{
	struct world *w = shared(sizeof *w);
	shoal_lock_info info;
	for (int i = 0; i < 3; i++) {
		REQUIRE_EQ(shoal_rlock_acquire(&w->lock, 0), 0);
		REQUIRE_EQ(shoal_rlock_acquire(&w->lock, 0), 0);
		REQUIRE_EQ(shoal_rlock_stat(&w->lock, &info), 0);
		REQUIRE(info.acquisitions == (uint64_t)i + 1 && info.owner == gettid());
		REQUIRE_EQ(shoal_rlock_release(&w->lock), 0);
		REQUIRE_EQ(shoal_rlock_release(&w->lock), 0);
	}
	REQUIRE_EQ(shoal_rlock_stat(&w->lock, &info), 0);
	REQUIRE(info.owner == 0 && info.deaths == 0 && info.contended == 0);
	REQUIRE_EQ(shoal_rlock_stat(&w->lock, NULL), -EINVAL);
}

static int
is_not_the_holder(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_rlock_release(&w->lock), -EPERM);
	REQUIRE_EQ(shoal_rlock_acquire(&w->lock, 0), -EAGAIN);
	REQUIRE_EQ(shoal_rlock_acquire(&w->lock, SHOAL_MS(5)), -ETIMEDOUT);
	return 0;
}

static void *
is_not_the_holder_either(void *arg)
{
	is_not_the_holder(arg);
	return NULL;
}

Test(rlock, is_its_threads_alone)
{
	struct world *w = shared(sizeof *w);
	pthread_t p;
	REQUIRE_EQ(shoal_rlock_acquire(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_rlock_acquire(&w->lock, 0), 0);
	expect_child(child(is_not_the_holder, w), 0, 2000);
	REQUIRE_EQ(pthread_create(&p, NULL, is_not_the_holder_either, w), 0);
	pthread_join(p, NULL);
	REQUIRE_EQ(shoal_rlock_release(&w->lock), 0);
	expect_child(child(is_not_the_holder, w), 0, 2000);
	REQUIRE_EQ(shoal_rlock_release(&w->lock), 0);
}

static int
hold_thrice(void *arg)
{
	struct world *w = arg;
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(shoal_rlock_acquire(&w->lock, SHOAL_FOREVER), 0);
	reach(&w->reached);
	stay();
	return 0;
}

Test(rlock, of_a_dead_holder_is_held_once)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = child(hold_thrice, w);
	wait_for(&w->reached, 1);
	REQUIRE_EQ(shoal_rlock_acquire(&w->lock, 0), -EAGAIN);
	kill_now(pid);
	REQUIRE_EQ(shoal_rlock_acquire(&w->lock, SHOAL_SEC(1)), -EOWNERDEAD);
	REQUIRE_EQ(shoal_rlock_consistent(&w->lock), 0);
	REQUIRE_EQ(shoal_rlock_release(&w->lock), 0);
	REQUIRE_EQ(shoal_rlock_release(&w->lock), -EPERM);
	pid = child(hold_thrice, w);
	wait_for(&w->reached, 2);
	kill_now(pid);
	/* Given back suspect at its last release only. */
	REQUIRE_EQ(shoal_rlock_acquire(&w->lock, 0), -EOWNERDEAD);
	REQUIRE_EQ(shoal_rlock_acquire(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_rlock_release(&w->lock), 0);
	REQUIRE_EQ(shoal_rlock_release(&w->lock), 0);
	REQUIRE_EQ(shoal_rlock_acquire(&w->lock, 0), -ENOTRECOVERABLE);
	REQUIRE_EQ(shoal_rlock_init(&w->lock, SHOAL_LOCK_AUTOCLEAN), 0);
	pid = child(hold_thrice, w);
	wait_for(&w->reached, 3);
	kill_now(pid);
	REQUIRE_EQ(shoal_rlock_acquire(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_rlock_release(&w->lock), 0);
}
