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
#include <sys/mman.h>
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

/* Killed, and gone. Gives the moment of the kill by the fair clock. */
static inline int64_t
kill_now(pid_t pid)
{
	int64_t at = fair_ns();
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

/* By the clock for lower bounds, and by that for upper ones. */
struct moment {
	int64_t now, fair;
};

/* SIGALRM every millisecond, until the process ends. Gives the present moment. */
static inline struct moment
storm_begin(void)
{
	struct sigaction a = { .sa_handler = nothing };
	sigaction(SIGALRM, &a, NULL);
	struct itimerspec every = { { 0, 1000000 }, { 0, 1000000 } };
	timer_t timer;
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	REQUIRE_EQ(timer_create(CLOCK_MONOTONIC, &e, &timer), 0);
	REQUIRE_EQ(timer_settime(timer, 0, &every, NULL), 0);
	int64_t fair = fair_ns();
	return (struct moment){ now_ns(), fair };
}

/* A wait of 200 ms that began then was neither cut short nor drawn out. */
static inline void
storm_changed_nothing(struct moment since)
{
	REQUIRE(now_ns() - since.now >= SHOAL_MS(200));
	REQUIRE(fair_ns() - since.fair < SHOAL_MS(300) * HARNESS_SLOW);
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

/* ---- many at once ---- */

/* Many threads of many processes that count one number up, each time holding what they share. */
struct crowd {
	void *object;
	void (*take)(void *object, int round);
	void (*give)(void *object);
	int processes, threads, rounds;
	volatile uint64_t *count; /* shared, and 0 at first */
};

static inline void *
crowd_thread(void *arg)
{
	const struct crowd *c = arg;
	for (int i = 0; i < c->rounds; i++) {
		c->take(c->object, i);
		*c->count = *c->count + 1;
		c->give(c->object);
	}
	return NULL;
}

static inline int
crowd_process(void *arg)
{
	const struct crowd *c = arg;
	pthread_t thread[8];
	for (int i = 1; i < c->threads; i++)
		REQUIRE_EQ(pthread_create(&thread[i], NULL, crowd_thread, arg), 0);
	crowd_thread(arg);
	for (int i = 1; i < c->threads; i++)
		REQUIRE_EQ(pthread_join(thread[i], NULL), 0);
	return 0;
}

/* This process is one of them. */
static inline void
crowd_is_kept_apart(const struct crowd *c)
{
	struct crowd copy = *c;
	pid_t pid[8];
	for (int i = 1; i < c->processes; i++)
		pid[i] = child(crowd_process, &copy);
	crowd_process(&copy);
	for (int i = 1; i < c->processes; i++)
		expect_child(pid[i], 0, 30000);
	REQUIRE_EQ(*c->count, (uint64_t)c->processes * (uint64_t)c->threads * (uint64_t)c->rounds);
}

/* ---- what writes, be it what is there ---- */

enum { FAULTED = 77 };

static inline void
exit_faulted(int signo)
{
	(void)signo;
	_exit(FAULTED);
}

struct written {
	void *object; /* at the beginning of a page */
	int (*call)(void *object);
};

static inline int
call_where_nothing_is_written(void *arg)
{
	const struct written *w = arg;
	REQUIRE(signal(SIGSEGV, exit_faulted) != SIG_ERR);
	REQUIRE_EQ(mprotect(w->object, (size_t)sysconf(_SC_PAGESIZE), PROT_READ), 0);
	return w->call(w->object);
}

/*
 * A load can be done before the caller's own stores are seen by others, on x86 too; what reads and
 * writes in one step comes after them. Where nothing may be written it is a fault, whatever it
 * would write.
 */
static inline void
is_written_by(void *object, int (*call)(void *object))
{
	expect_child(child(call_where_nothing_is_written, &(struct written){ object, call }), FAULTED,
	             2000);
}

/* ---- there and back ---- */

/* Two that tell each other in turn: each lost wake would cost a slice of 50 ms. */
struct rally {
	void *object;
	void (*tell)(void *object, int side);
	void (*await)(void *object, int side); /* what that side tells */
	int rounds;
};

static inline int
rally_answer(void *arg)
{
	const struct rally *r = arg;
	for (int i = 0; i < r->rounds; i++) {
		r->await(r->object, 0);
		r->tell(r->object, 1);
	}
	return 0;
}

static inline void
rally_loses_nothing(const struct rally *r)
{
	struct rally copy = *r;
	pid_t pid = child(rally_answer, &copy);
	int64_t start = fair_ns();
	for (int i = 0; i < r->rounds; i++) {
		r->tell(r->object, 0);
		r->await(r->object, 1);
	}
	expect_child(pid, 0, 2000);
	REQUIRE(fair_ns() - start < SHOAL_SEC(10));
}

#endif
