/*
 * What the tests of locks and the like share: a world in shared memory, and processes that die in
 * it.
 */
#ifndef TESTS_SYNC_COMMON_H
#define TESTS_SYNC_COMMON_H

#include "base/atomic.h"
#include "harness.h"
#include <errno.h>
#include <pthread.h>
#include <shoal/sync.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The bar of a death: who waits goes on within this. */
#define DEATH_NS (SHOAL_MS(100) * HARNESS_SLOW)

static inline void
reach(word32 *count)
{
	fetch_add_seq_cst(count, 1);
}

static inline void
wait_for(word32 *count, uint32_t n)
{
	for (int i = 0; i < 5000 * HARNESS_SLOW && load_acquire(count) < n; i++)
		sleep_ms(1);
	REQUIRE(load_acquire(count) >= n);
}

static inline void
stay(void)
{
	for (;;)
		pause();
}

/* Killed, and gone. Gives the moment of the kill. */
static inline int64_t
kill_now(pid_t pid)
{
	int64_t at = now_ns();
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 1000);
	return at;
}

/* In its state as the kernel prints it: 'S' asleep, 'T' stopped. */
static inline char
state_of(pid_t pid)
{
	char path[40], text[512] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	char *at = strrchr(text, ')');
	return at && at[1] ? at[2] : 0;
}

static inline void
wait_state(pid_t pid, char state)
{
	/* Seen once is enough: a sleeper looks around now and then. */
	char seen = 0;
	for (int i = 0; i < 2000 * HARNESS_SLOW && (seen = state_of(pid)) != state; i++)
		sleep_ms(1);
	REQUIRE_EQ(seen, state);
}

/* Asleep, and as good as surely in the call. */
static inline void
wait_asleep(pid_t pid)
{
	wait_state(pid, 'S');
	sleep_ms(2);
	wait_state(pid, 'S');
}

static inline void
nothing(int signo)
{
	(void)signo;
}

/* SIGALRM every millisecond, until storm_end. */
static inline void
storm_begin(void)
{
	struct sigaction a = { .sa_handler = nothing };
	sigaction(SIGALRM, &a, NULL);
	struct itimerspec every = { { 0, 1000000 }, { 0, 1000000 } };
	timer_t timer;
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	REQUIRE_EQ(timer_create(CLOCK_MONOTONIC, &e, &timer), 0);
	REQUIRE_EQ(timer_settime(timer, 0, &every, NULL), 0);
}

static inline void *
interrupt_soon(void *thread)
{
	sleep_ms(30);
	shoal_thread_interrupt(thread);
	return NULL;
}

/* Another thread interrupts this one in 30 ms. */
static inline pthread_t
interrupt_me(void)
{
	pthread_t p;
	REQUIRE_EQ(pthread_create(&p, NULL, interrupt_soon, shoal_thread_self()), 0);
	return p;
}

#endif
