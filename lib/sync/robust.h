/*
 * Robust words: what a thread holds, so that the kernel tells when it dies.
 *
 * The kernel keeps for each thread the head of a list of lock words ("robust list"); at the
 * thread's death, exec and exit it marks each word on it that still bears the thread's id with
 * FUTEX_DIED and wakes one sleeper. The C library registered one list for its robust mutexes. A
 * node of ours that is laid out like a pthread_mutex_t lives on that same list (glibc's nodes have
 * prev just before next); replacing the list with set_robust_list would disarm every robust mutex
 * of the host program.
 *
 * list_op_pending names one more word, looked at even if it is on no list. If its thread id is 0,
 * the kernel wakes one sleeper at the thread's death. So whoever is about to take, release or wake
 * puts its word there first and restores the old value last: a death in between passes the wake on.
 * It is one place. A signal handler that comes to a thread which was just woken, and calls shoal,
 * puts its own word there for the while, and a death inside it passes nothing of that wake on:
 * those who sleep for that look after their slice, of 50 ms at most.
 *
 * The word of a lock, bit by bit:
 *   29..0  the holder's thread id, or 0. Set by the taker's CAS, cleared by its release or by the
 *          kernel.
 *   30     FUTEX_DIED: the last holder died. Set by the kernel, kept by the next taker until
 *          robust_mend, so a taker that dies too leaves it set.
 *   31     FUTEX_SLEEPERS: there may be sleepers. Set by a sleeper before it sleeps; STICKY: a
 *          taker keeps it, and only a release that woke nobody clears it, in one system call with a
 *          wake of all. May be set with nobody asleep; must never be clear while somebody is. (With
 *          the classic protocol, which drops it at release, a death between release and wake loses
 *          the sleepers.)
 *
 * The kernel's side is kernel/futex/core.c. Needs the rule of Linux 6.2 (commit 90d758896787); on
 * older kernels sleeps are cut into slices. Tests: tests/sync/robust_test.c; the sleeping of gates,
 * which rests on the same rule, has a model, tests/model/gate.pml.
 */
#ifndef SYNC_ROBUST_H
#define SYNC_ROBUST_H

#include "base/futex.h"
#include "base/thread.h"
#include "sync/stay.h"

/* The kernel's struct robust_list_head. */
struct robust_head {
	void *volatile first;
	long offset; /* from a node's `next` to its word */
	void *volatile pending;
};

/* Laid out like pthread_mutex_t; all zero is free. */
struct robust {
	word32 word;
	word32 flags;       /* ROBUST_LOST; the other bits, and `own`, are for whoever embeds it */
	word32 own[4];
	void *prev;
	void *next;
};

/*
 * In flags: it was given back suspect, for nobody. Set by the holder before it releases a word that
 * is still FUTEX_DIED, never cleared but by making the word anew; takers find -ENOTRECOVERABLE.
 */
#define ROBUST_LOST 1u

_Static_assert(offsetof(struct robust, prev) == 24, "the C library's nodes have prev at 24");
_Static_assert(offsetof(struct robust, next) == 32, "the C library's nodes have next at 32");

#define ROBUST_OFFSET (-(long)offsetof(struct robust, next))

/* Names the word that a death of this thread wakes; gives what was named before. */
static inline void *
robust_name(struct robust_head *h, word32 *word)
{
	void *old = h->pending;
	h->pending = (char *)word - ROBUST_OFFSET;
	fence_compiler();
	return old;
}

/* Where nothing is named. */
static inline void
robust_name_only(struct robust_head *h, word32 *word)
{
	h->pending = (char *)word - ROBUST_OFFSET;
	fence_compiler();
}

static inline void
robust_name_again(struct robust_head *h, void *old)
{
	fence_compiler();
	h->pending = old;
}

/*
 * This thread is between the CAS that takes a word and its push, or between pop and release:
 * `pending` alone tells the kernel of that word.
 */
bool robust_is_changing(const struct robust_head *h);

/*
 * As robust_name, by one who may be a signal handler: a word that is told of by nothing else stays
 * named, and this one is not. Its sleepers look again after their slice then, but a word that bears
 * the id of a dead thread and no mark is held for ever. One that bears no id, of a thread that was
 * just woken for it, is replaced: its sleepers have their slice, and this one's are told at once.
 */
static inline void *
robust_name_beside(struct robust_head *h, word32 *word)
{
	return unlikely(h->pending) && robust_is_changing(h) ? h->pending : robust_name(h, word);
}

/* In a signal handler that interrupted a call, or a change of what its thread holds. */
static inline bool
thread_is_nested(const struct shoal_thread *t)
{
	return t && (t->busy || (unlikely(t->robust->pending) && robust_is_changing(t->robust)));
}

static inline void *
robust_pending_set(struct shoal_thread *t, word32 *word)
{
	return robust_name(t->robust, word);
}

/* Unless a word is named already: then that one stays. */
static inline void *
robust_pending_set_first(struct shoal_thread *t, word32 *word)
{
	void *old = t->robust->pending;
	return old ? old : robust_pending_set(t, word);
}

static inline void
robust_pending_restore(struct shoal_thread *t, void *old)
{
	robust_name_again(t->robust, old);
}

/*
 * A death between two of these stores leaves a list that the kernel can walk forward; prev is the C
 * library's: of a node, since its mutexes are taken from the midst of the list by it. The head has
 * one too, which nobody reads. The lowest bit of a link marks a priority-inheritance node.
 */
static inline void **
robust_link(void *p)
{
	return (void **)((uintptr_t)p & ~(uintptr_t)1);
}

static inline void
robust_push(struct shoal_thread *t, struct robust *r)
{
	struct robust_head *h = t->robust;
	void *first = h->first;
	t->held++;
	r->next = first;
	fence_compiler();
	r->prev = (void *)&h->first;
	fence_compiler();
	if (first != (void *)&h->first)
		robust_link(first)[-1] = &r->next;
	fence_compiler();
	h->first = &r->next;
}

static inline void
robust_pop(struct shoal_thread *t, struct robust *r)
{
	void *next = r->next, *prev = r->prev;
	t->held -= t->held > 0; /* it may be a record younger than what the thread holds */
	if (next != (void *)&t->robust->first)
		robust_link(next)[-1] = prev;
	fence_compiler();
	*robust_link(prev) = next;
}

/*
 * This thread for those who ask the kernel whether it has ended, where it holds no word:
 * kernel_thread_mark.
 */
uint32_t robust_mark(struct shoal_thread *t);

/* False where this C library's list is laid out otherwise. */
bool robust_usable(const struct shoal_thread *t);

/* 0 or -EOWNERDEAD: held. -ETIMEDOUT. -EDEADLK: this thread holds it already. */
int robust_take(struct shoal_thread *t, struct robust *r, int64_t deadline);

/* How a taker waits, and what became of it. */
struct robust_wait {
	int64_t deadline;   /* ROBUST_NOWAIT: not at all */
	bool interruptible; /* by shoal_thread_interrupt: -ECANCELED */
	int64_t since;      /* when it first slept; 0: it did not */
	const struct stay *stay; /* where it can be destroyed meanwhile; else NULL */
};

#define ROBUST_NOWAIT INT64_MIN

/*
 * As robust_take, and also -ECANCELED; -ENOTRECOVERABLE: the word is lost; -EPIPE: it is destroyed.
 */
int robust_take_as(struct shoal_thread *t, struct robust *r, struct robust_wait *how);
/* 0 or -EOWNERDEAD: held. -EBUSY: another one holds it. */
int robust_try(struct shoal_thread *t, struct robust *r);
/* The holder found, or made, what the lock guards whole. */
void robust_mend(struct robust *r);
/*
 * A word that was not mended stays suspect: the next taker is told, or, under ROBUST_LOST, nobody.
 */
void robust_release(struct shoal_thread *t, struct robust *r);

/*
 * Whether the thread holds a word within these bytes, of ours or of a robust mutex, other than
 * `except`: they must stay mapped then, or the kernel stops there when it gives back what the
 * thread holds.
 */
bool robust_holds_within(const struct shoal_thread *t, const void *from, uint64_t bytes,
                         const struct robust *except);

/*
 * A word held for life: claim takes it for this thread (false: it is not 0), with FUTEX_SLEEPERS
 * set from the start, so that a death wakes one of those who watch it. drop gives it back as
 * `word`.
 */
bool robust_claim(struct shoal_thread *t, struct robust *r);
void robust_drop(struct shoal_thread *t, struct robust *r);
/*
 * The same for one call, the last that was claimed to be dropped first. Signal handlers may make
 * it, whatever they interrupted: the list is put back as it was, word for word, and no neighbour is
 * written to, so that one who was about to link or unlink there goes on with what it read; the C
 * library is one of those. claim: also false where robust_is_changing.
 */
bool robust_claim_briefly(struct shoal_thread *t, struct robust *r);
void robust_drop_briefly(struct shoal_thread *t, struct robust *r);

#endif
