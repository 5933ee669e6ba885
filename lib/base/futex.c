#include "base/futex.h"
#include "base/clock.h"
#include "base/kernel.h"
#include "base/probe.h"
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#define WATCH_MAX 128

/* The kernel's struct futex_waitv, which older headers lack. */
struct kernel_watch {
	uint64_t value, address;
	uint32_t flags, reserved;
};
#define WATCH_32 2

static long
futex(word32 *word, int op, uint32_t value, const void *timeout, word32 *other, uint32_t value3)
{
	return syscall(SYS_futex, word, op, value, timeout, other, value3);
}

static int
outcome(long rc)
{
	return rc < 0 && errno == ETIMEDOUT ? -ETIMEDOUT : 0;
}

int
futex_wait(word32 *word, uint32_t seen, int64_t deadline)
{
	struct timespec at = clock_timespec(deadline);
	PROBE_PARK(word, deadline);
	int rc = outcome(futex(word, FUTEX_WAIT_BITSET, seen, deadline == CLOCK_NEVER ? NULL : &at,
	                       NULL, FUTEX_BITSET_MATCH_ANY));
	PROBE_UNPARK(word, rc);
	return rc;
}

static int
wait_slice(const struct futex_watch *watch, int64_t deadline)
{
	int64_t slice = clock_sooner(deadline, FUTEX_SLICE_NS);
	int rc = futex_wait(watch->word, watch->seen, slice);
	return slice < deadline ? 0 : rc;
}

int
futex_wait_any(const struct futex_watch *watch, unsigned count, int64_t deadline)
{
	if (count == 1)
		return futex_wait(watch->word, watch->seen, deadline);
	if (!kernel_has(KERNEL_WAITV))
		return wait_slice(watch, deadline);
	struct kernel_watch list[WATCH_MAX];
	if (count > WATCH_MAX)
		count = WATCH_MAX;
	for (unsigned i = 0; i < count; i++)
		list[i] = (struct kernel_watch){ .value = watch[i].seen,
			                         .address = (uintptr_t)watch[i].word,
			                         .flags = WATCH_32 };
	struct timespec at = clock_timespec(deadline);
	PROBE_PARK(watch->word, deadline);
	int rc = outcome(syscall(SYS_futex_waitv, list, count, 0, deadline == CLOCK_NEVER ? NULL : &at,
	                         CLOCK_MONOTONIC));
	PROBE_UNPARK(watch->word, rc);
	return rc;
}

int
futex_wake(word32 *word, int count)
{
	int woken = (int)futex(word, FUTEX_WAKE_BITSET, (uint32_t)count, NULL, NULL, ~FUTEX_FOR_DEATHS);
	PROBE_WAKE(word, woken);
	return woken;
}

/* Asks for all sleepers to be moved to where they are: nothing happens, but they are counted. */
int
futex_sleepers(const word32 *word)
{
	word32 *w = (word32 *)(uintptr_t)word;
	for (;;) {
		uint32_t seen = load_relaxed(w);
		long n = syscall(SYS_futex, w, FUTEX_CMP_REQUEUE, 0, (long)FUTEX_ALL, w, seen);
		if (n >= 0 || errno != EAGAIN)
			return n < 0 ? -1 : (int)n;
	}
}

/*
 * What was written before is seen by one who reads what the kernel is about to store.
 * ThreadSanitizer knows no fences.
 */
static void
publish(word32 *word)
{
#if defined(__SANITIZE_THREAD__)
	atomic_fetch_or_explicit(&word->w, 0, memory_order_release);
#else
	(void)word;
	atomic_thread_fence(memory_order_release);
#endif
}

/* FUTEX_WAKE_OP with both addresses the same: the store and the wake are one system call. */
static int
store_and_wake(word32 *word, int count, uint32_t op)
{
	publish(word);
	int woken = (int)futex(word, FUTEX_WAKE_OP, (uint32_t)count, NULL, word, op);
	PROBE_WAKE(word, woken);
	return woken;
}

int
futex_clear_and_wake(word32 *word, int count)
{
	return store_and_wake(word, count, FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_EQ, 0));
}

int
futex_mark_and_wake(word32 *word, int count)
{
	uint32_t set_bit_31 =
		FUTEX_OP((FUTEX_OP_SET | (uint32_t)FUTEX_OP_OPARG_SHIFT), 31, FUTEX_OP_CMP_EQ, 0);
	return store_and_wake(word, count, set_bit_31);
}

void
futex_clear_sleepers(word32 *word)
{
	uint32_t clear_bit_31 =
		FUTEX_OP((FUTEX_OP_ANDN | (uint32_t)FUTEX_OP_OPARG_SHIFT), 31, FUTEX_OP_CMP_EQ, 0);
	store_and_wake(word, FUTEX_ALL, clear_bit_31);
}
