/*
 * Pools: worker processes that take tasks, as Python's multiprocessing.Pool has them.
 *
 *	static int square(shoal_task *t)
 *	{
 *		int n = *(const int *)t->in;
 *		*(int *)t->out = n * n;
 *		return 0;
 *	}
 *	...
 *	shoal_pool *pool;
 *	int in[1000], out[1000];
 *	shoal_pool_create(NULL, &pool);                     as many workers as processors
 *	shoal_pool_map(pool, square, in, sizeof *in, out, sizeof *out, 1000, NULL);
 *	shoal_pool_destroy(pool);
 *
 * TASKS. A task function is called in a worker with its task: `in` (the worker's to read; 16-byte
 * aligned under apply, while the items of map and imap lie one after another as the caller's do, so
 * that of those only the first of an array or chunk is), `out` and how many bytes are there, the
 * item's `index`, the pool's `context`. It answers in `out`, or by shoal_task_reply, and returns 0,
 * or a negative code when it failed (a positive one counts as 0). Workers live from their first
 * task to their last: what a task leaves in global variables, files or signals is there for the
 * next one.
 *
 * What tasks and the initializer write to stdout and stderr is written out with each task, of a map
 * with each chunk, before it counts as done: SIGTERM, by which workers end, would lose it. Killed
 * there, as by SIGPIPE: as in the last of these tasks.
 *
 * A child that a task forks is no worker: it ends by _exit, or where it returns from the function,
 * with status 0, or 1 for a negative code.
 *
 * Its function is in the program or in a library that was loaded before the pool was made: what is
 * loaded later workers do not have, and the task fails with -ENOENT. A pool takes up to 256
 * different functions in its life, then -ENOMEM.
 *
 * WHO MAY CALL. Any thread of the process that made the pool, at any time; a forked child gets
 * -EPERM from every call. At one time up to 1000 threads that have called and have not ended, the
 * one that made it among them: another one's call may give -EUSERS, and workers are replaced all
 * the same. Only shoal_pool_destroy, shoal_result_free and shoal_results_free must not run against
 * another use of what they free; one iterator is for one thread at a time. Workers are daemons and
 * have no children, so no pool of their own: -EPERM. A pool has three threads in its process, which
 * block all signals: one looks after the workers, one takes results in, one runs callbacks. The
 * process is a threaded one from then on, which matters where it forks.
 *
 * WORKERS are daemon processes named ForkPoolWorker-N, ForkServerPoolWorker-N or SpawnPoolWorker-N,
 * by how they are started. By default they are forked from this process, when the pool is made and
 * whenever one is to be replaced, whether it has threads or not (other than shoal_process_start):
 * so they see its memory as it was then, the globals that tasks look at and what `context` and
 * initializer_arg point to. A replacement is forked while your threads go on, the main one among
 * them, and what they hold then is locked in the new worker for ever: your mutexes, and those
 * inside libraries (the C library's malloc and streams excepted, and shoal's own state). A task
 * that takes one of them hangs, and since nobody died no policy applies to it: the timeout of
 * shoal_map_options and shoal_pool_terminate alone end it. Where tasks or the initializer call what
 * your threads may have locked, choose SHOAL_FORKSERVER or SHOAL_SPAWN (as an option, or by
 * shoal_start_method_set). Their workers see nothing of this process but the options' arena;
 * `context` is to be NULL, the initializer's argument goes by copy, and functions are found there
 * again by build-id and offset.
 *
 * SIGTERM ends workers, whatever handler this process has for it; otherwise signals are as in the
 * thread that made the pool. They end with this process, however it ends, by SIGKILL when it did
 * not end them: at its normal end every pool is terminated first, tasks that have not ended are
 * dropped, and no callback comes any more.
 *
 * WHEN A WORKER IS KILLED, crashes, or calls exit, the task in its hands ends by the pool's policy:
 *	SHOAL_FAIL_TASK   with -EOWNERDEAD, and the signal or exit status in its error text
 *	SHOAL_RETRY_TASK  it is run again, by whichever worker comes, up to retries_max times more; then
 *	                  as above. Only for tasks that may run twice
 *	SHOAL_BREAK_POOL  every pending task gets -EOWNERDEAD, the pool is broken: each later call gives
 *	                  that code and the reason
 * The worker is replaced, by any policy; one that had no task in its hands breaks no pool. What it
 * had finished stands; of a chunk only the item it was at is lost, the rest goes to other workers.
 * Nothing is lost or doubled but by RETRY, and what it held of the pool's memory comes back. Where
 * no worker is left and 250 starts in a row fail, 20 ms apart for each place, the pool is broken
 * with -ECHILD and the last one's reason. A death is noticed by the kernel's own word, in about 0.2
 * ms, never because time has passed. A worker that is STOPPED keeps its task until it goes on, or
 * is overdue, or the pool is terminated; of the others it holds up nobody, except whoever needs
 * exactly what it was stopped in (shoal/queue.h, shoal/arena.h): then new tasks wait. Under
 * FORKSERVER and SPAWN one that is stopped before its initializer, as a fork server that is, holds
 * up whoever starts workers: deaths and times are looked at when it goes on.
 *
 * CALLBACKS (shoal_done_fn) run in this process on the pool's own thread, one at a time, each
 * exactly once, before the result reads as ready. `out` and `error` are valid during the call. One
 * that blocks delays other callbacks, and join, and nothing else. Inside one,
 * shoal_pool_apply_async and _map_async give -EAGAIN rather than wait, and _apply, _map, _join,
 * _destroy, and waiting for a result that is not ready, by shoal_wait too, give -EDEADLK.
 *
 * MEMORY. A pool has an arena of its own; inputs and results up to 64 bytes travel inside a task's
 * place, others in blocks of it. `in` is copied before _apply_async returns. Under map inputs and
 * results are copied once each way, unless they lie in the arena of the options: then workers use
 * them in place, and what a worker wrote before it was killed stays there.
 *
 * PROGRESS. A task costs two wakes when all are asleep; an item of a map a few nanoseconds: workers
 * take chunks by one compare-and-swap. Only calls that say so wait.
 *
 * Sources: CPython 3.11 Lib/multiprocessing/pool.py for what the calls mean; loky and
 * concurrent.futures for what becomes of deaths; Desnoyers' liburcu for the table of pending
 * results.
 */
#ifndef SHOAL_POOL_H
#define SHOAL_POOL_H
#include <shoal/process.h>
SHOAL_BEGIN_

typedef struct shoal_pool shoal_pool;
typedef struct shoal_result shoal_result;
typedef struct shoal_results shoal_results;

/* The longest error text of a task that is kept, with its final zero byte. */
#define SHOAL_TASK_ERROR_BYTES 256

/* ---- what a task sees ---- */

typedef struct {
	const void *in; size_t in_bytes; /* NULL, 0: it was given none */
	/* Where the answer goes; zeroed under apply and imap. NULL, 0: there is no such place: under
	 * apply_async, or where out_bytes was 0. */
	void *out; size_t out_bytes;
	size_t index;    /* which item of map or imap; 0 under apply */
	void *context;   /* of the pool's options: the pointer as it was when the worker was forked */
	void *internal_[2];
} shoal_task;

typedef int shoal_task_fn(shoal_task *);

/*
 * The answer, from wherever it lies: of any length under apply_async, up to out_bytes elsewhere
 * (-EMSGSIZE). It is copied, and takes the place of an earlier one and of what is in `out`, the
 * rest of which is zero then; under map, which knows no lengths, the rest stays as it is. -ENOMEM,
 * -ENOSPC; -EPERM in a process that the task forked. Killed in here: as elsewhere in a task.
 */
int shoal_task_reply(shoal_task *, const void *, size_t);

/*
 * Keeps the text as this task's error, up to SHOAL_TASK_ERROR_BYTES - 1 bytes of it, and gives
 * -EIO, for `return shoal_task_fail(task, …)`. Return another negative code if you like: the text
 * stays. It is not used when the task returns 0.
 */
int shoal_task_fail(shoal_task *, const char *format, ...) SHOAL_PRINTF_(2, 3);

/* ---- the pool ---- */

/* What becomes of the task of a worker that died. */
typedef enum { SHOAL_FAIL_TASK, SHOAL_RETRY_TASK, SHOAL_BREAK_POOL } shoal_death_policy;

/*
 * A task has ended: 0 or its negative code, its result (NULL and 0 when it failed), and its error
 * text (NULL when it did not). For map_async: 0 or the first failed item's code, all of `out`, and
 * the first failed item's text.
 */
typedef void shoal_done_fn(void *arg, int code, const void *out, size_t out_bytes,
                           const char *error);

/* All zero, or NULL, is the default. */
typedef struct {
	unsigned workers;      /* 1 to 1000; 0: as many as shoal_cpu_count() */
	/* Called first in each worker. Where it does not return 0, or the worker dies in it, another
	 * worker is started, by any policy; retries_max times in a row, no other worker having come
	 * through it meanwhile, and the pool is broken, with its code if that was negative (positive:
	 * -ECANCELED; a death: -EOWNERDEAD). */
	int (*initializer)(void *);
	void *initializer_arg;
	/* Tasks (of a map: chunks) after which a worker is replaced; 0: no limit. */
	unsigned tasks_per_worker;
	unsigned queue_depth;  /* tasks that may be pending, up to 2^20; 0: 4096 */
	shoal_death_policy on_death;
	unsigned retries_max;  /* up to 200; 0: 3 */
	shoal_start_method method; /* DEFAULT: what shoal_start_method_set chose, else FORK */
	shoal_arena *arena;    /* where map uses inputs and results in place; it must stay open */
	void *context;         /* given to every task */
	size_t initializer_arg_bytes; /* 0: the pointer itself; else copied, when the pool is made */
	uint64_t reserved_[4]; /* zero */
} shoal_pool_options;

typedef struct {
	unsigned workers;    /* alive */
	/* Tasks that ended with 0, since the pool was made, and with another code; each item of a map
	 * or imap, when its chunk has ended. Also of results that were freed; what was never begun
	 * counts as neither. */
	uint64_t tasks_done;
	uint64_t tasks_failed;
	uint64_t deaths;     /* workers that ended without being told to */
	size_t queued;       /* tasks and items that nobody has begun */
	uint64_t reserved_[8];
} shoal_pool_info;

/*
 * A pool, whose workers are running. Does not wait for their initializers.
 *
 * -EINVAL: an option is out of its range, or a pointer (context, initializer_arg without its bytes)
 * that only forked workers have. -EPERM: this process is a daemon, or `arena` is attached
 * read-only. -EAGAIN, -ENOMEM, -EMFILE and others of shoal_process_start: not all workers could be
 * started, and those that were are ended. -ENOSYS, -EINVAL: the start method.
 */
int shoal_pool_create(const shoal_pool_options *, shoal_pool **out);

/*
 * Runs one task and waits for it: what it returned. Its result is in `out`; the rest of out_bytes
 * is zero. shoal_error() is its text.
 *
 * -EOWNERDEAD: its worker died. -EPIPE: the pool is closed. -ECANCELED: it was terminated, or
 * shoal_thread_interrupt (the task is discarded). -EDEADLK: in a callback of this pool. -EINVAL,
 * -EOVERFLOW: sizes. -ENOMEM, -ENOSPC. -EUSERS: too many threads. Or the code of a broken pool.
 */
int shoal_pool_apply(shoal_pool *, shoal_task_fn *, const void *in, size_t in_bytes, void *out,
                     size_t out_bytes);

/*
 * One task, not waited for. `done` may be NULL, `out` too: then nobody can ask for its result.
 * Waits while queue_depth tasks are pending. What is given out is to be freed.
 *
 * -EPIPE, -ECANCELED, -EINVAL, -EOVERFLOW, -ENOMEM, -ENOSPC, -EUSERS, broken pools as above;
 * -EAGAIN in a callback. Then *out is NULL.
 */
int shoal_pool_apply_async(shoal_pool *, shoal_task_fn *, const void *in, size_t in_bytes,
                           shoal_done_fn *done, void *arg, shoal_result **out);

/* All zero, or NULL, is the default. */
typedef struct {
	/* Items that a worker takes at once. 0: for map a quarter of a worker's share, at least 1; for
	 * imap 1. */
	size_t chunk;
	/* Called with how many of `total` items have ended, from time to time when more have, and at
	 * the end, when they are all: under map by its caller; under map_async as a callback is; items
	 * count by chunks there. Under imap by results_next, for each item that it gives. */
	void (*progress)(void *arg, size_t done, size_t total);
	void *progress_arg;
	/* How long one item may run: when it is over its worker is killed and replaced, and the item
	 * fails with -ETIMEDOUT, whatever the policy. 0, SHOAL_FOREVER: no limit. */
	shoal_time timeout;
	int *codes;      /* map: count of them, one for each item: 0 or its negative code. Or NULL */
	size_t window;   /* imap: items in work and ready at once, in whole chunks, at least one chunk.
	                  * 0: four chunks a worker */
	uint64_t reserved_[4]; /* zero */
} shoal_map_options;

/*
 * Runs the function on each of `count` inputs of in_bytes that lie one after another, and puts the
 * result of input i at out + i * out_bytes. All run, whatever fails. Gives how many failed:
 * shoal_error() is the text of the first of them; what they left in `out` is as it was before,
 * unless it lies in the options' arena. in_bytes 0, out_bytes 0: none.
 *
 * -EINVAL, -EOVERFLOW: sizes. -EPIPE, -ECANCELED, -EDEADLK, -ENOMEM, -ENOSPC, -EUSERS, broken pools
 * as for apply. Then codes are undefined, and so is what lies in the options' arena.
 */
ssize_t shoal_pool_map(shoal_pool *, shoal_task_fn *, const void *in, size_t in_bytes, void *out,
                       size_t out_bytes, size_t count, const shoal_map_options *);

/*
 * The same, not waited for. `in`, `out` and codes must stay valid until the result is ready, or
 * freed; they are written to before that. shoal_result_get gives the number of failed items,
 * shoal_result_code 0 or the first failed item's code.
 *
 * Waits for a place while 64 maps are under way, as shoal_pool_map does: -ECANCELED then
 * (shoal_thread_interrupt), -EAGAIN in a callback. Else as map. Then *result is NULL.
 */
int shoal_pool_map_async(shoal_pool *, shoal_task_fn *, const void *in, size_t in_bytes, void *out,
                         size_t out_bytes, size_t count, const shoal_map_options *,
                         shoal_done_fn *done, void *arg, shoal_result **result);

/*
 * The same, one result after another: in the order of the inputs, or as they come. At most `window`
 * items, but always one chunk, are in work or waiting to be taken at any time, so inputs and memory
 * are used as results are taken; `in` must stay valid until the last one, or until the iterator is
 * freed. out_bytes is the most that an item answers. Of the items of one chunk the first that fails
 * has its text kept.
 */
int shoal_pool_imap(shoal_pool *, shoal_task_fn *, const void *in, size_t in_bytes,
                    size_t out_bytes, size_t count, const shoal_map_options *, shoal_results **it);
int shoal_pool_imap_unordered(shoal_pool *, shoal_task_fn *, const void *in, size_t in_bytes,
                              size_t out_bytes, size_t count, const shoal_map_options *,
                              shoal_results **it);

/*
 * The next result: its length, or out_bytes of imap where the task did not use shoal_task_reply.
 * *index (or NULL) is which item it is of. When that item failed: its own code, and its text in
 * shoal_error(). Items that were not begun when the pool was terminated or broke have -ECANCELED
 * or its code. -EPIPE, and *index is `count`: there are no more.
 *
 * -EAGAIN, -ETIMEDOUT, -ECANCELED (shoal_thread_interrupt): call again; *index is SIZE_MAX then, as
 * with -ENOMEM, -ENOSPC and -EUSERS: nothing that is sent would bring a next one, and there was no
 * room to send any. -EMSGSIZE: longer than out_bytes; it stays, shoal_needed() tells. -EINVAL: out
 * is NULL, and has bytes.
 */
ssize_t shoal_results_next(shoal_results *, size_t *index, void *out, size_t out_bytes,
                           shoal_time timeout);

/* At any time: items that were not begun are dropped, what runs is discarded. NULL is nothing. */
void shoal_results_free(shoal_results *);

/* ---- results ---- */

/* 0: ready. -EAGAIN, -ETIMEDOUT, -ECANCELED (shoal_thread_interrupt), -EDEADLK in a callback. */
int shoal_result_wait(shoal_result *, shoal_time timeout);

/*
 * Waits, and gives the result's length and its bytes, or the task's own negative code, with its
 * text in shoal_error(). As often as one likes. -EMSGSIZE: longer than out_bytes; shoal_needed()
 * tells. -EINVAL: out is NULL, and has bytes. Else as wait. _result_code tells a task's -ETIMEDOUT
 * from this call's.
 */
ssize_t shoal_result_get(shoal_result *, void *out, size_t out_bytes, shoal_time timeout);

/* Whether get would not wait. */
bool shoal_result_ready(const shoal_result *);

/* The task's own code: 0, or negative; no failure of this call's. -EAGAIN: not ready. */
int shoal_result_code(const shoal_result *);

/* Its error text; "" where it has none, or is not ready. Lives as long as the result. */
const char *shoal_result_error(const shoal_result *);

/*
 * 0: the task was not begun and never will be; its code is -ECANCELED, and its callback comes. Of a
 * map_async: the items not begun are cancelled, those that run end as they do, and where none runs
 * all is over. While its results are just being copied, or another thread cancels it too, it waits
 * for that, and nothing else.
 * -EBUSY: it runs. -EALREADY: it has ended. -EPERM.
 */
int shoal_result_cancel(shoal_result *);

/*
 * NULL is nothing. A task whose result is freed before it is ready runs on, or never begins; its
 * callback does not come any more, unless it is running just now: then it is waited for by nobody.
 * Of a map_async whose results are just being copied it waits for that, and nothing else.
 */
void shoal_result_free(shoal_result *);

/* ---- its end ---- */

/* No more tasks by anyone: -EPIPE. What is pending goes on. Any number of times; 0. */
int shoal_pool_close(shoal_pool *);

/*
 * Waits until all tasks have ended, all callbacks have returned and all workers are gone. Items of
 * open iterators count, and are fetched without regard to their windows.
 * -EINVAL: neither closed nor terminated. -EAGAIN, -ETIMEDOUT, -ECANCELED, -EDEADLK. Or the code of
 * a broken pool.
 */
int shoal_pool_join(shoal_pool *, shoal_time timeout);

/*
 * Ends the workers, by SIGTERM and 0.1 s later by SIGKILL; every pending result is -ECANCELED.
 * Returns within a second, whatever the workers do: 0, or -ETIMEDOUT where the kernel keeps one of
 * them for longer. Callbacks of what was pending come later.
 */
int shoal_pool_terminate(shoal_pool *);

/*
 * Terminates it and frees the handle; NULL is nothing. Waits up to a second for a callback that is
 * running. Results that were given out stay valid until they are freed. In a callback of this pool
 * it does nothing (-EDEADLK in shoal_error()). The pool's memory stays mapped until each other
 * thread that called it has ended, or has called another pool, or another arena, for the first
 * time.
 */
void shoal_pool_destroy(shoal_pool *);

/* 0. Each number was true at some moment during the call. */
int shoal_pool_stat(const shoal_pool *, shoal_pool_info *);

/* ---- a ready-made progress callback ---- */

/*
 * A bar on stderr with counts, rate and remaining time, as tqdm has it, after `arg`, a string or
 * NULL; one line that is written over while stderr is a terminal, and one at the end where it is
 * not. More done than there is counts as all of it. Under a pool's calls time and rate are since
 * the call began, elsewhere since the first call of this one.
 */
void shoal_progress_bar(void *arg, size_t done, size_t total);

SHOAL_END_
#endif
