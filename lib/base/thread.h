/*
 * What the library keeps for each thread that calls it, found by one load of thread-local storage.
 *
 * A forked child must not take its parent's record for its own: a page that the kernel wipes in the
 * child (MADV_WIPEONFORK) holds the epoch, looked at by every call, since _Fork and raw clone skip
 * pthread_atfork handlers. In the child the first call begins a new record. The page is one of the
 * library's own data, so that a look is one load.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/atomic.h"
#include <shoal/base.h>

#define THREAD_SEATS 256 /* mapped arenas of a process */

/* What a thread sends on, and what it receives from, is mostly what it did last. */
enum thread_last { LAST_SENT, LAST_RECEIVED, LAST_OTHER, LASTS };

struct shoal_thread {
	word32 interrupt; /* 1: the present or next wait ends with -ECANCELED; taken by the waiter */
	uint32_t tid;
	struct robust_head *robust; /* the C library's list of this thread: sync/robust.h */
	/* inside a queue or pipe call: a nested one from a signal handler is refused */
	volatile uint32_t busy;
	/* it joins or leaves an arena, or its record ends: it joins none meanwhile */
	volatile uint32_t passing;
	word64 asleep_on;           /* the address of another word to wake to interrupt it, or 0 */
	uint32_t mark;              /* kernel_thread_mark; 0: not asked for yet */
	uint32_t held;              /* nodes that this thread has on its robust list */
	const void *lonely;         /* the word whose sleepers it told last, and there were none */
	void *cursors;              /* ring/cursor.h */
	void *pipes;                /* ring/pipe.h */
	void *cursor_last[LASTS], *pipe_last[LASTS]; /* of them, those used last, or NULL */
	void *watched;              /* sync/watch.h */
	struct shoal_thread *next;  /* among the spare ones */
	struct shoal_thread *older; /* among all */
	/* this thread's record in each mapped arena: arena/member.h */
	struct member *seat[THREAD_SEATS];
};

extern __thread struct shoal_thread *thread_here __attribute__((tls_model("initial-exec")));

/* As long as a page of memory may be. */
#if defined(__x86_64__)
#define THREAD_PAGE 4096
#else
#define THREAD_PAGE 65536
#endif
/*
 * What a forked child finds 0, from the first call of the process on; alone on its page. In the
 * midst of it, at the end of a line: a load waits for a store just before to any word that has the
 * same place in its page, and locks are at beginnings.
 */
extern struct thread_page {
	_Alignas(THREAD_PAGE) char before[2684];
	word32 epoch;
	word32 beginning; /* a thread of this process begins it, or has begun it */
	_Alignas(LINE) word64 worker; /* a pool's: pool/task.h */
} thread_page __attribute__((visibility("hidden")));

/*
 * What a thread keeps about arenas holds while this number stands still: it is 0 before the first
 * call of a process, and so in a forked child, where it then goes on behind all that its parent
 * had; and it goes on whenever an arena is unmapped or a thread leaves one.
 */
static inline uint32_t
thread_epoch(void)
{
	return load_relaxed(&thread_page.epoch);
}

/*
 * The number that what is found out now is kept under. In a child that a handler begot in the midst
 * of that it is one that there never is: what was found out is the parent's.
 */
#define THREAD_NO_EPOCH UINT32_MAX
static inline uint32_t
thread_epoch_kept(void)
{
	uint32_t epoch = thread_epoch();
	return likely(epoch) ? epoch : THREAD_NO_EPOCH;
}

/*
 * Where a thread looks first for what it keeps of an address, in 1 << bits places. It keeps it
 * there, its home, or beside that, in home ^ 1: two that are used in turn may well have one home.
 */
static ALWAYS_INLINE uint32_t
thread_home(const void *address, unsigned bits)
{
	return (uint32_t)((uintptr_t)address * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits));
}

/* To the next one, which is never 0; but what is 0 stays so. */
void thread_epoch_next(void);

/*
 * Allocates; NULL when memory is short, no key of the C library is left, or the thread's robust
 * list cannot be used.
 */
struct shoal_thread *thread_begin(void);

/* Pairs with begin_child, maybe another thread's: what was the parent's in the record is gone. */
static inline bool
thread_is_begun(void)
{
	return load_acquire(&thread_page.epoch) != 0;
}

/* NULL where there is none yet: for fast ways that make no call. */
static inline struct shoal_thread *
thread_known(void)
{
	struct shoal_thread *t = thread_here;
	return likely(t && thread_is_begun()) ? t : NULL;
}

static inline struct shoal_thread *
thread_self(void)
{
	struct shoal_thread *t = thread_here;
	if (likely(t && thread_is_begun()))
		return t;
	return thread_begin();
}

/*
 * The C library's robust list of this thread; allocates nothing, for calls that signal handlers
 * make. NULL where there is none.
 */
struct robust_head *thread_robust(void);
/*
 * This thread's record, or where it has none *lent, with its id and that list alone; NULL where
 * there is no list. Allocates nothing either.
 */
struct shoal_thread *thread_or_lent(struct shoal_thread *lent);

/* Ends this thread's record now, as its exit would; a later call begins a new one. */
void thread_leave(void);

/* Counts forks of this process's line: what was kept under another number is the parent's. */
uint32_t thread_generation(void);

/*
 * Called when the process is about to end in order, by the thread that ends it, before its record.
 */
extern void (*thread_exit_hook)(struct shoal_thread *);
/* Called at the end of each thread that has a record; arena/member.c leaves its arenas there. */
extern void (*thread_end_hook)(struct shoal_thread *);
/*
 * Called in a forked child before its first call goes on; what it is given is the parent's record,
 * or NULL.
 */
extern void (*thread_fork_hook)(struct shoal_thread *);

/* Takes an interrupt that is due. */
static inline bool
thread_interrupted(struct shoal_thread *t)
{
	return unlikely(load_relaxed(&t->interrupt)) && exchange_acq_rel(&t->interrupt, 0);
}

#endif
