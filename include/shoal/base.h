/*
 * shoal/base.h: what every other header of shoal builds on: results, time, errors, threads, loans.
 *
 * RESULTS. Every call gives 0, a count or a length, or a NEGATIVE errno; errno itself tells
 * nothing, and may have changed. A call that fails has changed nothing, unless its description says
 * what it has done.
 *
 *	-EAGAIN            it would have to wait, and the timeout was 0
 *	-ETIMEDOUT         it waited to its deadline (shoal_timed_out(rc) is true for both)
 *	-EPIPE             closed, destroyed, or the other side is gone and nothing is left to receive
 *	-EMSGSIZE          your buffer is too small: the message stays, shoal_needed() tells its length;
 *	                   or more than the object takes
 *	-ENOMEM, -ENOSPC   the arena's limit is reached; there is no memory behind it (a full tmpfs)
 *	-EUSERS, -EMFILE   the arena has no place for another member; no file descriptor is left
 *	-ECANCELED         shoal_thread_interrupt ended the wait
 *	-EPROTO            not an arena, another layout version, another kind of object
 *	-EDEADLK           called by a signal handler that interrupted another call of the same kind,
 *	                   or, where its thread has yet to join the arena, any call
 *	-EINVAL -EPERM -EBUSY -EOVERFLOW -EALREADY -ENOENT -EEXIST -ECHILD -ENOSYS   as their names say
 *
 * shoal_error() is the last failure of this thread as one sentence, with names, numbers and what to
 * do; for what polling gives each time (-EAGAIN, -ETIMEDOUT, -EPIPE) a fixed one. Misuse that would
 * corrupt shared memory (freeing what is not yours, a wrong kind of pointer) stops the process with
 * such a sentence, in every build. NULL for an arena, or for the place of the object that a create,
 * open or attach gives, is -EINVAL; closing, freeing and destroying NULL, and giving back a NULL
 * loan or cursor, does nothing. Other pointers may be NULL where a header says so.
 *
 * TIME is relative and in nanoseconds; negative counts as 0; SHOAL_FOREVER is no limit. A call has
 * one deadline on the monotonic clock. Signals never cut a wait short.
 *
 * THREADS. Any call may be made from any thread on any object at once, except where a header says
 * so. No call is a cancellation point, but for what writes to a stream that it is given.
 *
 * FUNCTIONS that a call takes (shoal_condition_wait_for's and _barrier_wait_do's, what fills a
 * memory that _memory_create makes, an order for _list_sort, what a process runs, tasks and a
 * pool's other functions, the log's) return: they must not throw, nor leave by longjmp or
 * pthread_exit. What the library has begun would never be ended. Those that a process or a worker
 * runs may exit.
 *
 * DEATH. Any process may be killed at any instruction. Nobody else waits for what it held longer
 * than 10 ms; 50 ms where it died closing or destroying that, or was its owner. The kernel's own
 * notice takes about 0.14 ms. Each header says what becomes of what the dead one held. What only
 * the dead one would have put, sent, notified or set never comes: give such a wait a time, or wait
 * for the process too (shoal_wait). A process that is STOPPED is not dead: nobody takes its things
 * away.
 */
#ifndef SHOAL_BASE_H
#define SHOAL_BASE_H
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
/* Around the declarations of every public header: C linkage, and visible outside libshoal.so. */
#ifdef __cplusplus
#define SHOAL_BEGIN_ extern "C" { _Pragma("GCC visibility push(default)")
#define SHOAL_END_ _Pragma("GCC visibility pop") }
#else
#define SHOAL_BEGIN_ _Pragma("GCC visibility push(default)")
#define SHOAL_END_ _Pragma("GCC visibility pop")
#endif
#define SHOAL_CHECK_ __attribute__((warn_unused_result))
#define SHOAL_PRINTF_(f, a) __attribute__((format(printf, f, a)))
#define SHOAL_VERSION 0x000100
SHOAL_BEGIN_

/*
 * major << 16 | minor << 8 | patch, of the library that runs; SHOAL_VERSION is that of these
 * headers.
 */
unsigned shoal_version(void);

/* ---- time ---- */

/* Nanoseconds: a length of time, or a moment on CLOCK_MONOTONIC. */
typedef int64_t shoal_time;
#define SHOAL_NOWAIT ((shoal_time)0)
#define SHOAL_FOREVER ((shoal_time)INT64_MAX)
#define SHOAL_MS(n) ((shoal_time)((n) * INT64_C(1000000)))
#define SHOAL_SEC(n) ((shoal_time)((n) * INT64_C(1000000000)))

/* The monotonic clock now; and what is left until a moment of it, at least 0. */
shoal_time shoal_now(void);
shoal_time shoal_left(shoal_time deadline);

/* ---- results ---- */

/* A fixed sentence for a code, of either sign. */
const char *shoal_strerror(int code);
/* This thread's last failure; valid until its next one. Never NULL. */
const char *shoal_error(void);
/* "what: sentence" on stderr. */
void shoal_perror(const char *what);
/* After -EMSGSIZE: the bytes that the message has. */
size_t shoal_needed(void);
static inline bool shoal_timed_out(ssize_t rc) { return rc == -ETIMEDOUT || rc == -EAGAIN; }

/* ---- threads ---- */

/* A thread as shoal knows it; valid until the thread ends. NULL when memory is short. */
typedef struct shoal_thread shoal_thread;
shoal_thread *shoal_thread_self(void);
/*
 * That thread's present wait, or its next one, returns -ECANCELED, once. From any thread of the
 * process, and from a signal handler.
 */
void shoal_thread_interrupt(shoal_thread *);

/* ---- log ---- */

/*
 * Lines up to `level` (1 errors, 2 warnings, 3 information, 4 debugging; 0 none, as at the start)
 * go to fn, or to stderr when it is NULL.
 */
typedef void shoal_log_fn(void *arg, int level, const char *line);
void shoal_log_set(int level, shoal_log_fn *, void *arg);

/* ---- what the other headers share ---- */

/*
 * Offset in an arena, with the arena's mark and a generation: valid in every process, and in shared
 * memory. 0 is none.
 */
typedef uint64_t shoal_ref;

typedef struct shoal_arena shoal_arena;
typedef struct shoal_queue shoal_queue;
typedef struct shoal_pipe_end shoal_pipe_end;
typedef struct shoal_listener shoal_listener;
typedef struct shoal_value shoal_value;
typedef struct shoal_array shoal_array;
typedef struct shoal_list shoal_list;
typedef struct shoal_dict shoal_dict;
typedef struct shoal_namespace shoal_namespace;
typedef struct shoal_process shoal_process;
typedef struct shoal_any shoal_any;

/*
 * Flags of every object's options. WITH_OWNER: destroyed when the process that made it dies or
 * leaves the arena, by the next one who looks: who creates or opens under its name, who waits for
 * it (within 50 ms; not at a barrier), and shoal_arena_recover. Its users are told by -EPIPE from
 * their waits; as after any destroy, no call may begin on it then.
 * OR_OPEN: create opens what exists under the name instead of failing with -EEXIST.
 */
#ifdef __cplusplus
/* Of no enum: C++20 warns where constants of two are joined by |, and C++26 refuses that. */
constexpr unsigned SHOAL_WITH_OWNER = 1u << 30, SHOAL_OR_OPEN = 1u << 29;
#else
enum { SHOAL_WITH_OWNER = 1 << 30, SHOAL_OR_OPEN = 1 << 29 };
#endif

/*
 * Memory of a queue or pipe lent to a thread: to write a message in place (reserve … commit) or to
 * read one in place (borrow … release). data is aligned to 64 bytes when it is to be written.
 *
 * A loan is its thread's: -EPERM from another one and from a forked child; a thread has at most 32
 * (-EBUSY). Loans end in any order. When their thread dies, what was to be sent vanishes; what was
 * borrowed is dropped, or delivered again under SHOAL_QUEUE_REDELIVER.
 */
typedef struct {
	void *data;
	size_t bytes;        /* may be lowered before commit */
	uint32_t deliveries; /* of a borrowed message: 1 at first; of returns 32 count */
	uint32_t kind;       /* 0: ended */
	uint64_t internal_[5];
} shoal_loan;

/*
 * Sends what reserve gave, as put or send would, but without a copy: it may wait for a place. After
 * -EAGAIN, -ETIMEDOUT, -ECANCELED and -EPIPE the loan stands. -EINVAL: it has ended, or was
 * borrowed.
 */
SHOAL_CHECK_ int shoal_loan_commit(shoal_loan *, shoal_time timeout);
/*
 * Done reading what borrow gave, or never mind what reserve gave. An ended loan is left alone. In a
 * signal handler inside another call, and in another thread, it is not ended: `kind` stays, and
 * shoal_error() says why.
 */
void shoal_loan_release(shoal_loan *);
/* release and task_done in one call; for a message borrowed from a JOINABLE queue. */
int shoal_loan_finish(shoal_loan *);
/*
 * Gives a message borrowed from a REDELIVER queue back, to be delivered again, before others and
 * out of order.
 */
int shoal_loan_return(shoal_loan *);
/*
 * Moves a loan of another thread of this process to this thread; the other one must not use it
 * meanwhile. What came in a block, from a JOINABLE queue without REDELIVER, stays the other one's
 * to report, by task_done: finish is -EOVERFLOW here.
 */
int shoal_loan_adopt(shoal_loan *);

SHOAL_END_
#endif
