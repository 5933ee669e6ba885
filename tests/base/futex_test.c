#include "base/futex.h"
#include "base/clock.h"
#include "base/kernel.h"
#include "harness.h"
#include <errno.h>
#include <shoal/base.h>
#include <signal.h>

struct words {
	word32 word[3];
	word32 asleep;
	volatile int64_t woken_at;
};

static int
sleep_on_the_last(void *arg)
{
	struct words *w = arg;
	struct futex_watch watch[3];
	for (int i = 0; i < 3; i++)
		watch[i] = (struct futex_watch){ &w->word[i], 0 };
	store_release(&w->asleep, 1);
	while (load_acquire(&w->word[2]) == 0)
		REQUIRE_EQ(futex_wait_any(watch, 3, CLOCK_NEVER), 0);
	w->woken_at = fair_ns();
	return 0;
}

static void
wait_until_asleep(struct words *w)
{
	while (!load_acquire(&w->asleep))
		sleep_ms(1);
	sleep_ms(20);
}

Test(futex, one_watches_several_words)
{
	struct words *w = shared(sizeof *w);
	pid_t pid = child(sleep_on_the_last, w);
	wait_until_asleep(w);
	int64_t at = fair_ns();
	store_release(&w->word[2], 1);
	futex_wake(&w->word[2], 1);
	expect_child(pid, 0, 5000);
	REQUIRE(w->woken_at - at < SHOAL_SEC(2));
}

Test(futex, a_changed_word_is_not_slept_on)
{
	struct words *w = shared(sizeof *w);
	struct futex_watch watch[] = { { &w->word[0], 0 }, { &w->word[1], 7 } };
	REQUIRE_EQ(futex_wait(&w->word[0], 1, CLOCK_NEVER), 0);
	if (kernel_has(KERNEL_WAITV))
		REQUIRE_EQ(futex_wait_any(watch, 2, CLOCK_NEVER), 0);
}

Test(futex, the_deadline_is_kept)
{
	struct words *w = shared(sizeof *w);
	struct futex_watch watch[] = { { &w->word[0], 0 }, { &w->word[1], 0 } };
	int64_t start = clock_now(), deadline = clock_deadline(SHOAL_MS(30));
	REQUIRE_EQ(futex_wait(&w->word[0], 0, deadline), -ETIMEDOUT);
	REQUIRE(clock_now() - start >= SHOAL_MS(30));
	REQUIRE_EQ(futex_wait_any(watch, 2, deadline), -ETIMEDOUT);
	REQUIRE_EQ(futex_wait_any(watch, 1, deadline), -ETIMEDOUT);
}

Test(futex, clear_and_wake_is_one_step)
{
	struct words *w = shared(sizeof *w);
	store_relaxed(&w->word[0], 0x80000000u);
	REQUIRE_EQ(futex_clear_and_wake(&w->word[0], FUTEX_ALL), 0);
	REQUIRE_EQ(load_relaxed(&w->word[0]), 0);
	REQUIRE_EQ(futex_mark_and_wake(&w->word[0], 1), 0);
	REQUIRE_EQ(load_relaxed(&w->word[0]), 0x80000000u);
	store_relaxed(&w->word[0], 0xc0000005u);
	futex_clear_sleepers(&w->word[0]);
	REQUIRE_EQ(load_relaxed(&w->word[0]), 0x40000005u);
}

static int
sleep_while_armed(void *arg)
{
	struct words *w = arg;
	fetch_add_relaxed(&w->asleep, 1);
	while (load_acquire(&w->word[0]) == 0x80000000u)
		futex_wait(&w->word[0], 0x80000000u, CLOCK_NEVER);
	return 0;
}

Test(futex, clear_wakes_everybody)
{
	struct words *w = shared(sizeof *w);
	pid_t pid[4];
	store_relaxed(&w->word[0], 0x80000000u);
	for (int i = 0; i < 4; i++)
		pid[i] = child(sleep_while_armed, w);
	while (load_acquire(&w->asleep) < 4)
		sleep_ms(1);
	sleep_ms(50);
	REQUIRE_EQ(futex_clear_and_wake(&w->word[0], FUTEX_ALL), 4);
	for (int i = 0; i < 4; i++)
		expect_child(pid[i], 0, 5000);
}

Test(futex, sleepers_are_counted_but_not_the_dead)
{
	struct words *w = shared(sizeof *w);
	REQUIRE_EQ(futex_sleepers(&w->word[0]), 0);
	pid_t pid[2] = { child(sleep_on_the_last, w), 0 };
	wait_until_asleep(w);
	pid[1] = child(sleep_on_the_last, w);
	for (int i = 0; i < 3000 && futex_sleepers(&w->word[1]) < 2; i++)
		sleep_ms(1);
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(futex_sleepers(&w->word[i]), kernel_has(KERNEL_WAITV) ? 2 : i ? 0 : 2);
	kill(pid[0], SIGKILL);
	expect_killed(pid[0], SIGKILL, 1000);
	REQUIRE_EQ(futex_sleepers(&w->word[0]), 1);
	store_release(&w->word[2], 1);
	futex_wake(&w->word[2], 1);
	expect_child(pid[1], 0, 5000);
	REQUIRE_EQ(futex_sleepers(&w->word[0]), 0);
}
