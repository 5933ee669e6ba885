/* limits.c - what this machine cannot do faster */
#include "limits.h"

#include "clock.h"
#include "spin.h"
#include "subject.h"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ADDITIONS = 8000000,
	HOPS = 20000,
	HOPS_QUICK = 2000,
	WAKES = 200,
	CALLS = 2000,
	COPIED = 64 * MEBI,
	HANDED = 256 * MEBI,
	SLOTS = 4, /* of a hand-over: one is written, one is read, and neither side waits at once */
};

#define ASLEEP_NS 60000ull /* so long after it went to wait is the other one asleep */
/* One core's two halves, two cores with one cache, two without: 13, 33 and 155 ns on an EPYC. */
#define FARTHER 2.0
#define PATIENCE_NS 2000000000ull

struct board {
	_Alignas(128) _Atomic uint32_t there;
	_Alignas(128) _Atomic uint32_t back;
	_Alignas(128) _Atomic uint64_t woke_ns;
};

/* How far both sides of a hand-over are, in messages. */
struct counts {
	_Alignas(128) _Atomic uint32_t written;
	_Alignas(128) _Atomic uint32_t read;
	_Alignas(4096) char slots[];
};

static const struct {
	const char *name, *unit;
} limits[LIMITS] = {
	[WORK_ALONE] = { "additions, one processor at work", "/ns" },
	[WORK_BOTH] = { "additions, each of two at work", "/ns" },
	[LINE_HOP] = { "a line's way to the other processor", "ns" },
	[TWO_LINE_TRIP] = { "a round trip on two lines", "ns" },
	[FUTEX_HOP] = { "a futex wake, to the sleeper's return", "ns" },
	[COPY_SMALL] = { "64 KiB copied in and out", "GB/s" },
	[COPY_LARGE] = { "1 MiB copied in and out", "GB/s" },
	[HAND_SMALL] = { "64 KiB from one processor to the other", "GB/s" },
	[HAND_LARGE] = { "1 MiB from one processor to the other", "GB/s" },
	[MEMBARRIER] = { "membarrier(2), expedited", "ns" },
	[CLOCK] = { "a look at the clock", "ns" },
	[SYSCALL] = { "a system call", "ns" },
};

const char *
limit_name(enum limit l)
{
	return limits[l].name;
}

const char *
limit_unit(enum limit l)
{
	return limits[l].unit;
}

/* Until it counts so far. False when it took so long that the other process must be gone. */
static bool
wait_for(_Atomic uint32_t *word, uint32_t value)
{
	uint64_t deadline = clock_ns() + PATIENCE_NS;
	unsigned waits = 0;

	for (uint32_t looks = 1; atomic_load_explicit(word, memory_order_acquire) < value; looks++) {
		spin_a_little(&waits);
		if (looks % 1024 == 0 && clock_ns() > deadline)
			return false;
	}
	return true;
}

/* Sixteen a turn, in four chains: four at once at most. */
static void
add(uint64_t additions)
{
	uint64_t chain[4] = { 0 };

	for (uint64_t i = 0; i < additions; i += 16) {
#pragma GCC unroll 16
		for (int j = 0; j < 16; j++) {
			chain[j % 4]++;
			__asm__ volatile("" : "+r"(chain[j % 4]));
		}
	}
}

static double
additions(void)
{
	uint64_t began;

	add(ADDITIONS);
	began = clock_ns();
	add(ADDITIONS);
	return (double)ADDITIONS / (double)(clock_ns() - began);
}

static double
additions_beside(void)
{
	struct board *b = shared_memory(sizeof *b);
	double rate = 0;
	pid_t pid;

	if (!b || (pid = fork_bound()) < 0)
		return 0;
	if (pid == 0) {
		pin_to(1);
		for (;;) {
			add(ADDITIONS);
			atomic_store(&b->there, 1);
		}
	}
	if (wait_for(&b->there, 1))
		rate = additions();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(b, sizeof *b);
	return rate;
}

/* The other side of the hops: answers on the same line (0), or on one of its own. */
static void
echo(struct board *b, bool own_line, uint32_t count)
{
	_Atomic uint32_t *out = own_line ? &b->back : &b->there;

	pin_to(1);
	for (uint32_t i = 1; i <= count; i++) {
		if (!wait_for(&b->there, 2 * i - 1))
			return;
		atomic_store_explicit(out, 2 * i, memory_order_release);
	}
}

static double
hops(bool own_line, uint32_t count)
{
	struct board *b = shared_memory(sizeof *b);
	_Atomic uint32_t *in = own_line ? &b->back : &b->there;
	uint64_t began = 0;
	bool ok = true;
	pid_t pid;

	if (!b || (pid = fork_bound()) < 0)
		return 0;
	if (pid == 0) {
		echo(b, own_line, count);
		_exit(0);
	}
	for (uint32_t i = 1; i <= count && ok; i++) {
		if (i == count / 4)
			began = clock_ns();
		atomic_store_explicit(&b->there, 2 * i - 1, memory_order_release);
		ok = wait_for(in, 2 * i);
	}
	began = clock_ns() - began;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(b, sizeof *b);
	return ok ? (double)began / (count - count / 4) : 0;
}

static long
futex(_Atomic uint32_t *word, int call, uint32_t value)
{
	return syscall(SYS_futex, word, call, value, NULL, NULL, 0);
}

static void
sleeper(struct board *b)
{
	pin_to(1);
	for (uint32_t i = 0; i < WAKES; i++) {
		atomic_store(&b->back, i + 1);
		while (atomic_load(&b->there) == i)
			futex(&b->there, FUTEX_WAIT, i);
		atomic_store(&b->woke_ns, clock_ns());
	}
	atomic_store(&b->back, WAKES + 1);
}

static double
wake(void)
{
	struct board *b = shared_memory(sizeof *b);
	double took[WAKES] = { 0 };
	uint32_t count = 0;
	pid_t pid;

	if (!b || (pid = fork_bound()) < 0)
		return 0;
	if (pid == 0) {
		sleeper(b);
		_exit(0);
	}
	while (count < WAKES && wait_for(&b->back, count + 1)) {
		uint64_t until = clock_ns() + ASLEEP_NS, began;

		while (clock_ns() < until)
			pause_once();
		began = clock_ns();
		atomic_store(&b->there, count + 1);
		futex(&b->there, FUTEX_WAKE, 1);
		if (!wait_for(&b->back, count + 2))
			break;
		took[count++] = (double)(atomic_load(&b->woke_ns) - began);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(b, sizeof *b);
	return percentile(took, count, 0.5);
}

/* Bytes of messages, as everywhere: each is copied twice. */
static double
copy(size_t bytes)
{
	char *from = malloc(bytes), *to = malloc(bytes), *shared = shared_memory(bytes);
	uint64_t began = 0;
	size_t turns = COPIED / bytes;

	if (!from || !to || !shared)
		return 0;
	memset(from, 1, bytes);
	memset(to, 2, bytes);
	for (size_t i = 0; i < turns + turns / 4; i++) {
		if (i == turns / 4)
			began = clock_ns();
		memcpy(shared, from, bytes);
		memcpy(to, shared, bytes);
		__asm__ volatile("" ::"r"(to), "r"(from) : "memory");
	}
	began = clock_ns() - began;
	munmap(shared, bytes);
	free(from);
	free(to);
	return (double)turns * (double)bytes / (double)began;
}

static void
hand_over(struct counts *c, size_t bytes, uint32_t turns)
{
	char *from = malloc(bytes);

	pin_to(1);
	if (!from)
		return;
	memset(from, 1, bytes);
	for (uint32_t i = 0; i < turns; i++) {
		if (i >= SLOTS && !wait_for(&c->read, i - SLOTS + 1))
			return;
		memcpy(c->slots + i % SLOTS * bytes, from, bytes);
		atomic_store_explicit(&c->written, i + 1, memory_order_release);
	}
}

/*
 * What is left of a message when it needs no length, no place in a ring, no sleep, and nobody may
 * die: the lines' way. A queue or pipe that copies cannot be faster.
 */
static double
handed(size_t bytes)
{
	size_t size = sizeof(struct counts) + SLOTS * bytes;
	struct counts *c = shared_memory(size);
	uint32_t turns = (uint32_t)(HANDED / bytes);
	char *to = malloc(bytes);
	uint64_t began = 0;
	bool ok = true;
	pid_t pid;

	if (!c || !to || (pid = fork_bound()) < 0)
		return 0;
	if (pid == 0) {
		hand_over(c, bytes, turns);
		_exit(0);
	}
	for (uint32_t i = 0; i < turns && ok; i++) {
		if (i == turns / 4)
			began = clock_ns();
		ok = wait_for(&c->written, i + 1);
		memcpy(to, c->slots + i % SLOTS * bytes, bytes);
		__asm__ volatile("" ::"r"(to) : "memory");
		atomic_store_explicit(&c->read, i + 1, memory_order_release);
	}
	began = clock_ns() - began;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(c, size);
	free(to);
	return ok ? (double)(turns - turns / 4) * (double)bytes / (double)began : 0;
}

static double
calls(long number, long first)
{
	uint64_t began;

	syscall(number, first, 0, 0);
	began = clock_ns();
	for (int i = 0; i < CALLS; i++)
		if (syscall(number, first, 0, 0) < 0)
			return 0;
	return (double)(clock_ns() - began) / CALLS;
}

static double
membarriers(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) < 0)
		return 0;
	return calls(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

static double
looks(void)
{
	uint64_t began = clock_ns();

	for (int i = 0; i < CALLS; i++)
		clock_ns();
	return (double)(clock_ns() - began) / CALLS;
}

static void
measure_all(double out[LIMITS])
{
	pin_to(0);
	out[WORK_ALONE] = additions();
	out[WORK_BOTH] = additions_beside();
	out[LINE_HOP] = hops(false, HOPS) / 2;
	out[TWO_LINE_TRIP] = hops(true, HOPS);
	out[FUTEX_HOP] = wake();
	out[COPY_SMALL] = copy(64 * KIBI);
	out[COPY_LARGE] = copy(MEBI);
	out[HAND_SMALL] = handed(64 * KIBI);
	out[HAND_LARGE] = handed(MEBI);
	out[MEMBARRIER] = membarriers();
	out[CLOCK] = looks();
	out[SYSCALL] = calls(SYS_getppid, 0);
}

static void
measure_line(double out[1])
{
	pin_to(0);
	out[0] = hops(false, HOPS_QUICK) / 2;
}

/* In a process of its own: nothing of it stays, such as a place on one processor. */
static void
apart(void (*measure)(double *), double *values, size_t count)
{
	double *out = shared_memory(sizeof(double) * count);
	pid_t pid = out ? fork_bound() : -1;

	if (pid == 0) {
		measure(out);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
	for (size_t i = 0; i < count; i++)
		values[i] = pid > 0 ? out[i] : 0;
	if (out)
		munmap(out, sizeof(double) * count);
}

void
limits_measure(struct limits *all)
{
	double values[LIMITS];

	if (all->reps == LIMIT_REPS_MAX)
		return;
	apart(measure_all, values, LIMITS);
	for (int i = 0; i < LIMITS; i++)
		all->value[i][all->reps] = values[i];
	all->reps++;
}

double
limits_line(void)
{
	double ns;

	apart(measure_line, &ns, 1);
	return ns;
}

bool
limits_same_line(double one_ns, double other_ns)
{
	return one_ns <= FARTHER * other_ns && other_ns <= FARTHER * one_ns;
}

struct spread
limits_spread(const struct limits *all, enum limit l)
{
	double values[LIMIT_REPS_MAX];

	memcpy(values, all->value[l], sizeof values);
	return spread_of(values, all->reps);
}

struct spread
limits_ratio(const struct limits *all, enum limit one, enum limit other)
{
	double values[LIMIT_REPS_MAX];

	for (unsigned i = 0; i < all->reps; i++)
		values[i] = all->value[other][i] > 0 ? all->value[one][i] / all->value[other][i] : 0;
	return spread_of(values, all->reps);
}
