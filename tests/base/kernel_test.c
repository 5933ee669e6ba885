/* What the running kernel is found to offer, and what is found when it is forced off. */
#include "base/kernel.h"
#include "base/clock.h"
#include "base/futex.h"
#include "harness.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A machine may be so busy that one try finds nothing. */
static bool
death_wakes(void)
{
	for (int i = 0; i < 10; i++)
		if (futex_death_wakes() == 1)
			return true;
	return false;
}

Test(kernel, a_death_wakes_who_sleeps_on_the_pending_word)
{
	if (kernel_release_at_least(6, 2))
		REQUIRE(death_wakes());
}

enum { TRIALS = 1000 };

/* How many trials told that nobody was woken. */
static int
doubts(void *unused)
{
	int count = 0;
	(void)unused;
	for (int i = 0; i < TRIALS; i++)
		count += futex_death_wakes() == 0;
	return count < 100 ? count : 100;
}

/* One who is stopped and continued sleeps again where it began, out of reach of the death. */
Test(kernel, a_sleeper_that_is_stopped_does_not_doubt_the_rule)
{
	if (!kernel_release_at_least(6, 2))
		return;
	pid_t pid = child(doubts, NULL);
	int status;
	for (int64_t end = clock_deadline(SHOAL_SEC(20)); waitpid(pid, &status, WNOHANG) == 0;) {
		REQUIRE(clock_now() < end);
		kill(pid, SIGSTOP);
		kill(pid, SIGCONT);
	}
	REQUIRE(WIFEXITED(status));
	REQUIRE_EQ(WEXITSTATUS(status), 0);
}

/* On a busy machine one cannot be tried at times: it is lacking then, and tried the next time. */
static uint32_t
features_known(void)
{
	uint32_t has = kernel_features();
	for (int i = 0; i < 10 && load_relaxed(&kernel_known_) >> 16 != KERNEL_ALL; i++)
		has = kernel_features();
	return has;
}

static int
look_for_all(void *names)
{
	if (setenv("SHOAL_WITHOUT", names, 1))
		return 100;
	store_relaxed(&kernel_known_, 0);
	return (int)features_known();
}

Test(kernel, each_feature_can_be_forced_off)
{
	static const struct {
		char names[60];
		uint32_t off;
	} all[] = {
		{ "waitv", KERNEL_WAITV },
		{ "membarrier", KERNEL_MEMBARRIER },
		{ "noexec", KERNEL_NOEXEC_SEAL },
		{ "pending", KERNEL_PENDING_RULE },
		{ "pidfd", KERNEL_PIDFD },
		{ "uring", KERNEL_URING },
		{ "uring,waitv", KERNEL_URING | KERNEL_WAITV },
		{ "waitv,membarrier,noexec,pending,pidfd,uring", KERNEL_ALL },
		{ "", 0 },
		{ "wait,uringx,", 0 },
	};
	uint32_t has = features_known();
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		pid_t pid = child(look_for_all, (void *)(uintptr_t)all[i].names);
		expect_child(pid, (int)(has & ~all[i].off), 5000);
	}
}

Test(kernel, what_was_found_stays)
{
	uint32_t has = features_known();
	REQUIRE_EQ(setenv("SHOAL_WITHOUT", "waitv,uring", 1), 0);
	REQUIRE_EQ(kernel_features(), has);
	REQUIRE_EQ(kernel_has(KERNEL_WAITV), (has & KERNEL_WAITV) != 0);
}

static void *
look_at_its_own_number(void *ended)
{
	*(bool *)ended = kernel_process_ended(kernel_tid(), 0);
	return NULL;
}

Test(kernel, a_threads_number_is_that_of_no_process)
{
	pthread_t p;
	bool ended = false;
	REQUIRE(!kernel_process_ended(getpid(), 0));
	REQUIRE_EQ(pthread_create(&p, NULL, look_at_its_own_number, &ended), 0);
	REQUIRE_EQ(pthread_join(p, NULL), 0);
	REQUIRE(ended);
}
