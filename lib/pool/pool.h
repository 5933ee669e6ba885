/*
 * A pool as its own process, the host, has it.
 *
 * Threads: any of the program's, and three of the pool's: the supervisor (supervisor.c) starts and
 * buries workers; the collector (collector.c) takes the ends of tasks in that nobody waits for; the
 * caller (callback.c) runs callbacks. Each holds the pool by a reference, the handle is one more.
 *
 * Every pending task has a result in `pending`, an RCU table by id. Whoever deletes it from there
 * settles it: a waiter, the collector, one who cancels, terminates or breaks the pool; so each is
 * settled exactly once, by whoever comes first. The slot's state decides in the same way who gives
 * the slot back.
 *
 * Lock order: an iterator's, the pool's, the queue of callbacks' own. Nothing that waits, nothing
 * of the user's runs under them.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include "arena/arena.h"
#include "base/thread.h"
#include "pool/shared.h"
#include <poll.h>
#include <pthread.h>
#include <urcu-bp.h>
#include <urcu/rculfhash.h>
#include <urcu/wfcqueue.h>

#define POOL_HELPER (1u << 20)

enum pool_phase { POOL_OPEN, POOL_CLOSED, POOL_ENDING, POOL_ENDED };

/* A worker's process as the supervisor knows it. */
struct worker {
	shoal_process *process; /* NULL: to be started */
	int64_t again;          /* not before: after a start that failed */
	int fd;
	bool killed;            /* by the supervisor: it was overdue */
	bool untold;            /* it has ended; how is not known yet */
	bool let_in;            /* seen past its initializer, which ended a row of refusals */
};

struct shoal_pool {
	/* never changes */
	uint32_t generation; /* thread_generation() of the host */
	shoal_pool_options options;
	unsigned retries_max;
	shoal_arena *arena;
	struct pool_head *head;
	struct seat *seats; /* from 1 on, as tags name them; seat 0 is the host's */
	struct slot *slots;
	word64 *done;       /* a bit for each slot: DONE, perhaps */
	shoal_queue *queue;
	int kick;           /* an eventfd that wakes the supervisor */
	struct cds_lfht *pending;

	word32 phase; /* enum pool_phase; changes under the lock; ENDED is waited for */
	/* The handle's, iterators' and calls', and POOL_HELPER for each thread of its own. */
	word32 references;
	word64 unsettled; /* results not ready, and iterators not wholly begun; 0 wakes `idle` */
	word32 idle;
	word32 due;       /* of the results not ready: those that end in the thread of callbacks */
	word32 put_again; /* some task or job has no message in the queue */
	word64 shortest;  /* the shortest time that any item was ever given, 0: none */
	word64 done_count, failed_count, deaths; /* the first two without the maps in the table */
	word32 alive;
	bool supervised;  /* the supervisor runs */
	word32 mute;      /* 1: the process ends, no callback is run any more */
	word32 quiet;     /* 1: the collector found nothing pending, and looks no more by itself */
	word32 roused;    /* how often it was told that something is; slept on */

	pthread_mutex_t lock;
	/* under it */
	uint32_t *spare;       /* FREE slots; the last one is taken first */
	uint32_t spare_count;
	uint32_t waiting;      /* threads that wait for one */
	struct map *maps[POOL_JOBS]; /* that run */
	struct map *retired;   /* over, but some worker's seat still names them */
	struct shoal_results *iterators;
	uint64_t job_generation;
	int broken;            /* 0, or the code */
	char reason[TEXT_BYTES];

	/* callbacks */
	struct cds_wfcq_head calls_head;
	struct cds_wfcq_tail calls_tail;
	word32 calls; /* how many were put: slept on */
	word32 over;  /* 1: the helpers are to end */

	/* the supervisor's own */
	struct worker *workers; /* [0] is not used */
	struct pollfd *fds;
	unsigned refusals;      /* failed initializers in a row */
	int refusal;            /* the last one's code */

	struct shoal_pool *next, **link; /* of all pools of this process */
};

/* 0, -EINVAL, -EPERM: whether this process may use the pool. `call` begins the sentence. */
int pool_check(const struct shoal_pool *p, const char *call);
/*
 * No place is free. Not a code, since any may be that of a broken pool, also -EAGAIN: nobody is to
 * wait for a place in that one.
 */
enum { POOL_FULL = 1 };

/* 0, or why no new task is taken. */
int pool_open(struct shoal_pool *p, const char *call);
bool pool_in_callback(const struct shoal_pool *p);
struct shoal_pool *pool_hold(struct shoal_pool *p);
void pool_drop(struct shoal_pool *p);
/*
 * In an RCU section in which the pool was seen to be used: held, or NULL when nothing holds it any
 * more. It is not freed before the section ends.
 */
struct shoal_pool *pool_hold_used(struct shoal_pool *p);
/* Until the RCU sections that have begun are over. */
void pool_await_readers(void);
/* How long an item may run by an option; 0, or longer than the clock goes: 0, no limit. */
shoal_time pool_limit(shoal_time timeout);
/* Some item will have no longer than this: the supervisor is to look so often. */
void pool_time(struct shoal_pool *p, shoal_time timeout);
/* Settles all that is pending with this code. The phase is ENDING already. */
void pool_settle_all(struct shoal_pool *p, int code, const char *text);
/* Begins the end: OPEN or CLOSED -> ENDING. False: somebody else did. */
bool pool_end(struct shoal_pool *p, int code, bool broken, const char *text);
void pool_count(struct shoal_pool *p, uint64_t more);
void pool_uncount(struct shoal_pool *p, uint64_t less);
/* Starts a helper thread: 0 or -errno. It gives the reference back by pool_thread_end. */
int pool_thread(struct shoal_pool *p, void *(*run)(void *));
/* What such a thread begins with: a record in the arena, whoever else calls. */
void pool_thread_begin(struct shoal_pool *p);
void pool_thread_end(struct shoal_pool *p);
/* Waits for all helpers. */
void pool_threads_wait(struct shoal_pool *p, int64_t deadline);

#endif
