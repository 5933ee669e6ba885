/*
 * Processes: started, named, watched, joined and ended, as Python's multiprocessing does it.
 *
 *	static int work(void *arg)
 *	{
 *		return shoal_queue_put(arg, "hello", 5, SHOAL_FOREVER) < 0;
 *	}
 *	...
 *	shoal_process *p;
 *	int code, rc = shoal_process_spawn(work, queue, NULL, &p);
 *	if (rc < 0)
 *		return shoal_perror("spawn"), 1;
 *	shoal_process_join(p, SHOAL_FOREVER);
 *	shoal_process_exitcode(p, &code);
 *	shoal_process_close(p);
 *
 * START METHODS. FORK copies this process, with everything in it. FORKSERVER and SPAWN execute this
 * program again, but run your function instead of main, when all constructors have run: FORKSERVER
 * once, in a process of one thread that does nothing but fork, SPAWN for each process. They cost
 * the same however much memory this process has, and no lock is copied that another thread holds.
 * Their processes know what the options say, and else only what a program knows that has just been
 * executed: pointers, handles and static variables of this process mean nothing there. So the
 * argument goes by copy (refs in it, not pointers), and what is to be shared is in the arenas of
 * the options.
 *
 *	                   FORK                  FORKSERVER            SPAWN
 *	argument           pointer or copy       copy                  copy
 *	memory, variables  the parent's          as constructors left  as constructors left
 *	                                         them in the server    them
 *	descriptors        all                   0 (empty), 1, 2; its arenas'; the library's
 *	signal handlers    the parent's          default               default
 *	signals ignored    as the parent's       as the parent's when  as the parent's
 *	                                         the server was made
 *	signal mask, directory                   the parent's, under all three
 *	environment,       the parent's          as they were when     the parent's
 *	limits, umask, ids                       the server was made
 *
 * A function is found again by its module's build-id and its place in the module, static or not;
 * in a shared library, too, if the program is linked with it (SHOAL_ENTRY, below, for others).
 * These methods ask for: the program, or the library that it is linked with, contains libshoal
 * (which is not there by dlopen); it has a build-id, as linkers of distributions give it; it has no
 * privileges of its own (set-user-id), and its effective ids are its real ones when it is executed;
 * /proc is mounted. Otherwise -ENOSYS or -EINVAL, and DEFAULT is FORK. Constructors run in each
 * execution: one that starts threads has them in the server, too.
 *
 * The fork server is made at the first start that needs it, for this process alone, and again when
 * it has died; it ends with this process, takes no SIGINT, and is no child that wait() sees, but
 * where orphans come to this process (PID 1, a subreaper). The children of one that died go on, and
 * are joined as ever. Its children go to the directory by its name: where that leads nowhere the
 * start fails, and where the directory was removed they stay in the server's.
 *
 * Who may call: any thread, at any time; only shoal_process_close must not run against another use
 * of its handle. A handle belongs to the process that made it: in a forked child every call but
 * _pid and _name gives -EPERM. A child forked by other means than this header is the first of a
 * family of its own: "MainProcess", without parent, children or cleanups.
 *
 * Death: nothing here waits for what a dead process alone could do. That a child, or the parent,
 * has ended is learned from the kernel by a pidfd, so it cannot be confused with another process
 * of the same number, and other descriptors that a grandchild inherited do not delay it. No signal
 * handler is installed and SIGCHLD is not touched: a program may ignore it, or reap all its
 * children.
 *
 * Progress: one lock of this process guards the handles; nothing is awaited under it and no
 * function of yours runs under it. Only _join waits, and _start for the child to begin; starts by
 * the fork server are one at a time, and wait while it is stopped. No call is for signal handlers.
 *
 * Sources: CPython 3.11 Lib/multiprocessing (process.py, popen_fork.py, popen_forkserver.py,
 * popen_spawn_posix.py, forkserver.py, util.py); pidfd_open(2), waitid(2), clone(2).
 */
#ifndef SHOAL_PROCESS_H
#define SHOAL_PROCESS_H
#include <shoal/base.h>
#include <shoal/sync.h>
/* shoal/pool.h: what a task of a pool will give. */
typedef struct shoal_result shoal_result;
SHOAL_BEGIN_

/*
 * DEFAULT is what shoal_start_method_set chose; else FORK, but FORKSERVER when the argument goes by
 * copy and this process has more than one thread. With a pointer as argument it is FORK always.
 */
typedef enum { SHOAL_START_DEFAULT, SHOAL_FORK, SHOAL_FORKSERVER, SHOAL_SPAWN } shoal_start_method;

/* All zero is the default. The strings and the list are copied when the process is created. */
typedef struct {
	/* 1 to 63 bytes of A-Z a-z 0-9 . _ - and colon. NULL: "Process-N" for the N-th that the
	 * first process creates, "Process-N:M" for the M-th of that one, and so on. Need not be
	 * unique. */
	const char *name;

	/* Sent SIGTERM when its parent ends, in whatever way, and not allowed children of its own.
	 * It keeps one descriptor open for that; if it closes that one, only a normal end of its
	 * parent ends it. */
	bool daemon;

	/* FORKSERVER and SPAWN: -EINVAL when arg_bytes is 0. */
	shoal_start_method method;

	/* 0: the child is given the pointer `arg` as it is. Otherwise a copy of that many bytes,
	 * made by _start: until then `arg` must stay valid, afterwards it is yours again. The copy
	 * is aligned as malloc does it and is the child's own until its end. */
	size_t arg_bytes;

	/* Up to 255 arenas, which shoal_process_arena gives in the child, in this order. They must
	 * be open when the process starts. */
	shoal_arena *const *arenas; size_t arena_count;

	uint64_t reserved_[4]; /* zero */
} shoal_process_options;

/*
 * Makes a handle; nothing runs yet. `run` is what the child will do; what it returns, & 0xff, is
 * the exit code. It must not leave by pthread_exit: under FORK that is 0, but under the others it
 * crashes, since main, behind which it would end, has not begun there. `options` may be NULL. The
 * handle is yours to close.
 *
 * -EINVAL: run or out is NULL, or an option is out of its range. -ENOMEM.
 */
int shoal_process_create(int (*run)(void *), void *arg, const shoal_process_options *options,
                         shoal_process **out);

/*
 * Starts it, once. Buffered output is written out before the fork: of every stream when this
 * thread is the process's only one, else of stdout and stderr (another thread may hold the lock of
 * a stream for as long as it reads from it); flush others yourself, and in such a child close the
 * streams that you open. The child has one thread, this one's signal mask, and an empty standard
 * input.
 *
 * With FORKSERVER and SPAWN it returns when the new process has all that it needs, just before
 * `run`.
 *
 * 0: the child is running, or has run. Otherwise there is no child, `run` was not called, and the
 * handle is as it was, so the start may be tried again: -EAGAIN or -ENOMEM from fork (a limit on
 * processes, memory), -EMFILE or -ENFILE (a start needs a descriptor, that of a daemon three, of
 * which two stay; FORKSERVER and SPAWN one more, the first of FORKSERVER six, of which two stay),
 * -EALREADY: started before. -EPERM: this process is a daemon, or the handle is another's. -EINVAL:
 * NULL. Of FORKSERVER and SPAWN also -ENOSYS, -EINVAL: see above; -ENOENT: the function's module is
 * not loaded in the new process; -EPROTO: it is another build there; -ECHILD: the new process ended
 * before `run`, by a constructor or a signal; -ECONNRESET: the server was killed, three times; and
 * errors of shoal_arena_attach_fd.
 *
 * Killed in here: the parent leaves either no child or one that runs; a child that dies early has
 * ended.
 */
int shoal_process_start(shoal_process *);

/*
 * create and start in one; if it fails there is no handle. With `out` NULL the library keeps the
 * handle, and forgets it when the process has ended (at the next start, or at this process's end).
 */
int shoal_process_spawn(int (*run)(void *), void *arg, const shoal_process_options *options,
                         shoal_process **out);

/*
 * Waits until the process has ended, `timeout` nanoseconds at most; again whenever one likes.
 * Several threads may wait for the same one. Signal handlers run and do not cut it short.
 *
 * 0: ended. -EAGAIN: running, and the timeout was 0 or less. -ETIMEDOUT. -ECANCELED:
 * shoal_thread_interrupt (noticed within 10 ms). -ECHILD: not started. -EDEADLK:
 * shoal_process_current(). -EPERM, -EINVAL as above. The parent's handle can be joined too, also
 * -EMFILE then.
 *
 * A process that is being traced has ended when its tracer lets it go.
 */
int shoal_process_join(shoal_process *, shoal_time timeout);

/* True from its start to its end. False for NULL and for another process's handle, too. */
bool shoal_process_is_alive(shoal_process *);

/*
 * How it ended: 0 to 255 as it exited, or minus the signal that ended it, in `code`.
 *
 * -EAGAIN: it is running. -ECHILD: not started; or the parent's, which nobody can know; or the
 * code was lost: the program ignores SIGCHLD or reaped the child itself (under FORKSERVER: the
 * server was killed), *and* the child ended by a signal or by a bare _exit, *and* the kernel is
 * older than 6.15. Otherwise neither of the first two does harm. Of a child of a fork server that
 * is stopped just then the end is known a second late, and its code is lost. -EINVAL: `code` is
 * NULL.
 */
int shoal_process_exitcode(shoal_process *, int *code);

/*
 * SIGTERM, SIGKILL, or any signal (0: none, only the checks). No cleanups run in a process that
 * dies so; its own children live on, but for its daemons.
 *
 * 0, also when it has ended already. -ECHILD: not started, or no child of this process. -EINVAL:
 * there is no such signal. -EPERM: it runs as another user by now.
 */
int shoal_process_terminate(shoal_process *);
int shoal_process_kill(shoal_process *);
int shoal_process_signal(shoal_process *, int signo);

/* 0 before the start, and for NULL. After its end the number may be another's. */
pid_t shoal_process_pid(const shoal_process *);

/* Lives as long as the handle. NULL for NULL. */
const char *shoal_process_name(const shoal_process *);

/*
 * Its pidfd, for poll and its like: readable from its end on. It is close-on-exec and the
 * library's: do not close it; it goes with the handle. -ECHILD: not started, or the current
 * process's. -EMFILE: the parent's, which is opened when it is first asked for.
 */
int shoal_process_fd(const shoal_process *);

/*
 * Frees the handle. 0, also for NULL. -EBUSY: it is running. -EPERM: current's and parent's are
 * the library's.
 */
int shoal_process_close(shoal_process *);

/* This process: "MainProcess" in the first. Never NULL; the library's. */
shoal_process *shoal_process_current(void);

/*
 * The process that started this one; NULL in the first. Joining it waits for its end. The
 * library's.
 */
shoal_process *shoal_process_parent(void);

/* The arena at that place of the options that this process was started with; NULL beyond them. */
shoal_arena *shoal_process_arena(size_t index);

/*
 * How many children are running; the first `room` of them, in the order of their starts, in `out`.
 * Collects those that have ended. Handles that the library keeps (spawn without `out`) stay valid
 * from here on until you close them or this process ends.
 */
size_t shoal_process_children(shoal_process **out, size_t room);

/*
 * Ends this process from anywhere, as a return from `run` does: the cleanups of priority 0 and up;
 * SIGTERM to its daemons; waits for all its children; the other cleanups; writes out buffered
 * output, leaves the arenas, and _exit(status & 0xff). Handlers of atexit do not run, other
 * threads end with it.
 *
 * In the first process it is exit(status & 0xff), and there exit, or a return from main, does the
 * same for children and cleanups once a process was started or a cleanup given. Nothing of it
 * happens at _exit, or when a signal ends the process: daemons get their SIGTERM even so.
 *
 * Waits without limit for a child that does not end. A second thread that calls it waits for the
 * first; a cleanup that calls it ends the process at once, with its own status.
 */
__attribute__((noreturn)) void shoal_process_exit(int status);

/*
 * A cleanup for the end of this very process (not of its forked children): higher priorities
 * first, among equals the latest first. Those below 0 run when the children have ended. A cleanup
 * may add others.
 *
 * -EINVAL: no function. -ENOMEM.
 */
int shoal_process_at_exit(void (*)(void *), void *arg, int priority);

/*
 * What DEFAULT means from now on, here and in the processes that are started from here. It is set
 * once, as in Python: -EALREADY when a method is set; DEFAULT, the library's own choice, takes the
 * setting back. -EINVAL: no such method. The second says what is set, FORK when nothing is.
 */
int shoal_start_method_set(shoal_start_method);
shoal_start_method shoal_start_method_get(void);

/*
 * Gives a function a name by which other processes find it, also those of another program, or of
 * another build of this one; at file scope, once a name:
 *
 *	static int work(void *arg) { … }
 *	SHOAL_ENTRY(work, work);
 *
 * Without it a function is found by its module's build-id and its place in the module, so both must
 * run the same build. `name` is an identifier of C; two functions of one name in one process are
 * refused when either is looked for (-EEXIST). Works in shared libraries too, from their dlopen to
 * their dlclose.
 */
#define SHOAL_ENTRY(name_, fn_) \
	static struct shoal_entry_ shoal_entry_##name_ = { #name_, (void (*)(void))(fn_), 0 }; \
	__attribute__((constructor)) static void shoal_entry_begin_##name_(void) \
	{ \
		shoal_entry_add_(&shoal_entry_##name_); \
	} \
	__attribute__((destructor)) static void shoal_entry_end_##name_(void) \
	{ \
		shoal_entry_remove_(&shoal_entry_##name_); \
	} \
	struct shoal_entry_

struct shoal_entry_ { const char *name; void (*fn)(void); struct shoal_entry_ *next; };
void shoal_entry_add_(struct shoal_entry_ *);
void shoal_entry_remove_(struct shoal_entry_ *);

/* The CPUs that this thread may run on, as sched_getaffinity has it; 1 where that is not known. */
unsigned shoal_cpu_count(void);

/* ---- waiting for several things at once ---- */

/*
 * One of the things that a wait is for, made by the functions below:
 *
 *	shoal_waitable on[] = { shoal_on_queue(work), shoal_on_process(child) };
 *	int n = shoal_wait(on, 2, SHOAL_SEC(10));
 *	if (n > 0 && on[1].ready)
 *		...
 *
 * The same one may be in a list twice. It owns nothing; what it names must not be closed or freed
 * by this process while a wait is for it.
 */
typedef struct {
	uint32_t kind;
	uint32_t ready; /* 1 or 0, after a wait that did not fail */
	union {
		void *object;
		int fd;
	} on;
} shoal_waitable;

static inline shoal_waitable
shoal_on_(uint32_t kind, void *object)
{
	shoal_waitable w;
	w.kind = kind;
	w.ready = 0;
	w.on.object = object;
	return w;
}

/* A get would not wait: there is a message, or the queue is closed or destroyed. */
static inline shoal_waitable shoal_on_queue(shoal_queue *q) { return shoal_on_(1, q); }
/* As shoal_pipe_poll: there is a message, or the end of them. */
static inline shoal_waitable shoal_on_pipe(shoal_pipe_end *end) { return shoal_on_(2, end); }
/* It has ended, in whatever way. The wait does not collect it; shoal_process_exitcode does. */
static inline shoal_waitable shoal_on_process(shoal_process *p) { return shoal_on_(3, p); }
/* It is set, or destroyed. One in memory that is no arena's is noticed by shoal_wait, too. */
static inline shoal_waitable shoal_on_event(shoal_event *event) { return shoal_on_(4, event); }
/* There is an answer, or there never will be. */
static inline shoal_waitable shoal_on_result(shoal_result *r) { return shoal_on_(5, r); }
/* A descriptor of any kind: readable, hung up or in error, as poll says. */
static inline shoal_waitable
shoal_on_fd(int fd)
{
	shoal_waitable w = shoal_on_(6, NULL);
	w.on.fd = fd;
	return w;
}

/*
 * Waits until at least one of `count` items is ready, `timeout` nanoseconds at most. How many are:
 * `ready` is 1 in each of those and 0 in the others; 0 when none was in time, and at once when
 * count is 0. A negative timeout counts as 0. Nothing is taken: what is ready for this one may be
 * taken by another before it comes to take it, so take with SHOAL_NOWAIT where others may do so
 * too.
 *
 * Signal handlers run and do not cut it short. An object that is destroyed meanwhile, by whatever
 * process, is ready; what a process that dies leaves unfinished makes nobody wait: a pipe's end
 * becomes ready when its peer dies, a queue when a dead putter had put.
 *
 * -ECANCELED: shoal_thread_interrupt. The other errors name the index of the item, and no `ready`
 * was changed: -EINVAL (no such kind, NULL, no object of a mapped arena), -EPROTO (no queue there,
 * or no pipe), -EPERM (the right end of a SIMPLEX pipe; a read-only arena; another process's
 * handle), -EBUSY (another process's end), -ECHILD (a process that was not started, or this one),
 * -EBADF, and what shoal_process_fd gives. -EDEADLK: in a signal handler inside a call on a queue
 * or pipe; and where it would sleep for a result in a callback of that one's pool. -ENOMEM.
 *
 * Any number of items. A list of queues, pipe ends, events and results alone, of which 25 queues,
 * 31 ends or 63 events fit, sleeps in one call of the kernel on words in memory and needs nothing
 * else. With more, or with a process or descriptor among them, the objects' own descriptors are
 * polled: each object that this process waits for so has two open from the first such wait on (a
 * pipe's end whose other end is another process's, three), as after shoal_queue_fd, and whoever
 * sleeps on it looks every 5 ms from then on; where none is to be had the wait looks every 5 ms
 * itself. Then an interrupt is noticed within 10 ms.
 *
 * Slices, where nothing else tells: 5 ms for REDELIVER queues, for objects WITH_OWNER, for those of
 * which descriptors were made, and on kernels without futex_waitv (Linux 5.16); 50 ms, as for all
 * sleepers, until something is noticed that one has done who was stopped before he told it.
 *
 * Death in here: nothing is held. Progress: each look waits for nobody but for those who recover
 * the dead.
 *
 * Source: multiprocessing.connection.wait of CPython 3.11; futex_waitv(2).
 */
int shoal_wait(shoal_waitable *items, size_t count, shoal_time timeout);

SHOAL_END_
#endif
