/*
 * What the running kernel offers: each tried once, when it is first asked for, by using it; the
 * release's number says nothing about filters, nor about what a distribution took over. Each can be
 * forced off for tests with the environment variable SHOAL_WITHOUT=waitv,membarrier,noexec,
 * pending,pidfd,uring: the code then takes the slower way that is right too.
 */
#ifndef BASE_KERNEL_H
#define BASE_KERNEL_H

#include "base/atomic.h"
#include <shoal/base.h>

enum {
	KERNEL_WAITV = 1,          /* futex_waitv, 5.16 */
	KERNEL_MEMBARRIER = 2,     /* membarrier(GLOBAL_EXPEDITED), 4.16; may be refused by a filter */
	KERNEL_NOEXEC_SEAL = 4,    /* memfd_create(MFD_NOEXEC_SEAL), 6.3 */
	/* a death wakes list_op_pending's word whatever its high bits, 6.2 */
	KERNEL_PENDING_RULE = 8,
	KERNEL_PIDFD = 16,         /* pidfd_open, 5.3 */
	KERNEL_URING = 32,         /* io_uring's futex wait, 6.7; where it is allowed */
	KERNEL_ALL = 63,
};

extern word32 kernel_known_; /* what was found; in the upper half what was looked for */
bool kernel_look(uint32_t feature);

static inline bool
kernel_has(uint32_t feature)
{
	uint32_t known = load_relaxed(&kernel_known_);
	return likely(known >> 16 & feature) ? (known & feature) != 0 : kernel_look(feature);
}

/* All of them: those that were never asked for are tried now, in about 200 us. */
uint32_t kernel_features(void);

/* Joins this process, and its forked children, to those that kernel_barrier orders. 0 or -errno. */
int kernel_barrier_join(void);

/*
 * Every running thread of every joined process executes a full memory barrier before this returns.
 * The pair of fence_compiler on the other side: see sync/gate.h.
 */
void kernel_barrier(void);

pid_t kernel_tid(void);
/* A thread of this process. */
bool kernel_sibling_ended(uint32_t tid);

/* The inode that tells PID namespaces apart; 0 when /proc is not mounted. */
uint64_t kernel_pid_namespace(void);

/* Clock ticks after boot at which the process started (field 22 of its stat); 0 when it is gone. */
uint64_t kernel_start_time(pid_t pid);

/* Whether the process of this pid and start time has ended; a zombie has. */
bool kernel_process_ended(pid_t pid, uint64_t start_time);

/*
 * A thread as 32 bits: its id, and 10 bits of when it started, so that a later thread of that id is
 * hardly ever taken for it. The id alone, and 0 for when, where this process cannot read that: it
 * has no descriptor to spare, or no /proc; another one may be able to.
 */
uint32_t kernel_thread_mark(pid_t tid);
#define KERNEL_MARK_TID 0x3fffffu
#define KERNEL_MARK_LOW 0x1fc00000u /* of when, what a mark of 29 bits keeps; never 0 if known */
/*
 * Whether that thread has ended: false also where /proc does not tell. Only the bits in `known`,
 * the id among them and of the others all of KERNEL_MARK_LOW or none, are compared; where a mark
 * has none of when, the id alone. Two system calls and more.
 */
bool kernel_thread_ended(uint32_t mark, uint32_t known);

/*
 * Whether this program runs under ThreadSanitizer, however the library itself was compiled. That
 * has a clone of its own, which takes each child for one with memory of its own, and no thread that
 * it does not know.
 */
bool kernel_clone_is_watched(void);

/* Whether the kernel's release, which says nothing of what was taken over, is at least this one. */
bool kernel_release_at_least(int major, int minor);

/* Bytes of memory that the machine has; UINT64_MAX where that is not known. */
uint64_t kernel_memory(void);

/* How many threads this process has; 0 when /proc does not tell. */
unsigned kernel_threads(void);

/* CPUs that this thread may run on now; those of the whole machine, as it was when first asked. */
unsigned kernel_cpus(void);
unsigned kernel_cpus_online(void);
void kernel_yield(void);

#endif
