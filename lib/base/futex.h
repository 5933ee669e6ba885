/*
 * Sleeping and waking on shared words. All words may live in memory shared between processes.
 *
 * futex_wait_any watches several words at once (futex_waitv, Linux 5.16). Where the kernel lacks
 * it, the first word is watched in slices of FUTEX_SLICE_NS, so whatever only the others tell is
 * noticed that much later, never lost.
 *
 * futex_death_wakes looks whether the kernel keeps the rule on which sync/robust.h rests.
 */
#ifndef BASE_FUTEX_H
#define BASE_FUTEX_H

#include "base/atomic.h"

#define FUTEX_SLICE_NS INT64_C(5000000)
#define FUTEX_ALL INT32_MAX

/* The kernel's own bits in a robust word. */
#define FUTEX_TID 0x3fffffffu
#define FUTEX_DIED 0x40000000u
#define FUTEX_SLEEPERS 0x80000000u

struct futex_watch {
	word32 *word;
	uint32_t seen; /* sleep only while it is this */
};

/* 0: woken, changed, or interrupted by a signal: look again. -ETIMEDOUT: the deadline passed. */
int futex_wait(word32 *word, uint32_t seen, int64_t deadline);
int futex_wait_any(const struct futex_watch *watch, unsigned count, int64_t deadline);

/*
 * Of the 32 bits by which the kernel tells sleepers apart, this one marks those in a ring
 * (base/uring.h) who want to be told only when a member dies in a call, or when all are woken.
 */
#define FUTEX_FOR_DEATHS 0x80000000u

/* How many were woken; none of those who are there FOR_DEATHS. */
int futex_wake(word32 *word, int count);

/*
 * How many sleep on the word now: the kernel's own count, in which the dead never are. -1 where
 * this kernel does not tell. A guess by the time it is used.
 */
int futex_sleepers(const word32 *word);

/*
 * In one step that no death can fall into: the word becomes 0 (or bit 31 alone), then `count` are
 * woken.
 */
int futex_clear_and_wake(word32 *word, int count);
int futex_mark_and_wake(word32 *word, int count);
/* Bit 31 is cleared and everybody is woken; the other bits stay. */
void futex_clear_sleepers(word32 *word);

/*
 * A thread dies while its list_op_pending names a word with bits 30 and 31 set, on which the caller
 * sleeps: is it woken? (Linux commit 90d758896787.) 1: yes. 0: no, after 50 ms. -errno: it could
 * not be tried, -EAGAIN also on a machine so busy that the thread did not come to die.
 */
int futex_death_wakes(void);

#endif
