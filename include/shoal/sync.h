/*
 * Locks and what else threads of any process wait on, in any shared memory.
 *
 *	struct account { shoal_lock lock; long balance; } *a = ...;     // MAP_SHARED, or in an arena
 *	shoal_lock_init(&a->lock);                                      // once, before others use it
 *
 *	int rc = shoal_lock_acquire(&a->lock, SHOAL_SEC(1));
 *	if (rc == -EOWNERDEAD)                     // held; its last holder died in the middle
 *		repair(a), shoal_lock_consistent(&a->lock);
 *	else if (rc)
 *		return rc;                             // not held
 *	a->balance += 10;
 *	shoal_lock_release(&a->lock);
 *
 * PLAIN OBJECTS. Each is a struct to embed in memory that its users share (MAP_SHARED, an arena's,
 * or a process's own, for its threads). Its fields are internal, its size is pinned, and it is
 * aligned to 8 bytes. All zero is a free lock, rlock or rwlock, a clear event, and a condition; the
 * others need their init. Init is for one thread, before anybody else uses the object; it is what
 * makes a lock new that was given up. There is nothing to destroy: when nobody uses an object any
 * more its memory is free for anything. A call that releases a lock, or a semaphore, is over for
 * that once another thread has taken it: one who takes the last lock, or waits for the last permit,
 * may use the memory for something else, though the releaser's call has not returned; a semaphore's
 * must stay mapped until it has. Of the others each call must have returned, shoal_event_set's too.
 *
 * THE MEMORY OF A HELD LOCK must stay mapped, and must not be used for anything else: the kernel
 * looks there when the holder dies. Where it is unmapped first, the locks that its holder had taken
 * before may stay held for ever after its death.
 *
 * A holder is a thread. At its death (also its end, and exec) by whatever way the kernel marks what
 * it holds and wakes one who waits, in about 0.14 ms. A forked child holds nothing of its parent's.
 * A process made by vfork, and one that shares only the memory (CLONE_VM), must not make these
 * calls. All users of an object must be in one PID namespace; those of an rwlock or a barrier in
 * one time namespace too, with a /proc of theirs: by it they tell whether a thread has ended. One
 * who has no descriptor free sees that only once the thread's process has been waited for.
 *
 * TIME. One deadline on the monotonic clock for the whole call. 0 tries once: -EAGAIN. Signals
 * never cut a wait short; shoal_thread_interrupt ends it: -ECANCELED, once, and the object is as if
 * the call had not been made. Waits are no cancellation points.
 *
 * LOOKING FOR A DEADLOCK. SHOAL_LOCKS in the environment, a list of: order (a warning when two
 * locks are taken in an order in which this family of processes took them the other way round),
 * deadlock (a warning when threads wait for one another in a circle, with their names and
 * processes), refuse (the same, and the wait that would close the circle is -EDEADLK; not where a
 * condition's wait takes its lock again). Locks of all kinds; circles as long as they lie in one
 * file or shared memory, however it is mapped, and lead by way of no reader of an rwlock; no waits
 * with a timeout of 0. Set it for all processes that share the locks: each call then takes
 * the long way. Where no log is set (shoal_log_set), warnings go to stderr.
 *
 * PROGRESS. What need not wait makes no system call. Nobody waits for a dead thread. A STOPPED one
 * holds up those who need what it holds, and nobody else, but where it says so below; and one
 * that was woken for a lock or a permit, and is stopped before it takes it, keeps the next sleeper
 * for 50 ms.
 * An interrupt that comes just as a thread falls asleep for a lock is noticed after 50 ms; and what
 * one was woken for who then dies in a signal handler is passed on within 50 ms. Without
 * futex_waitv (Linux before 5.16) others are after 5 ms; before 6.2 whatever a death passes on is.
 */
#ifndef SHOAL_SYNC_H
#define SHOAL_SYNC_H
#include <shoal/base.h>
SHOAL_BEGIN_

#define SHOAL_PLAIN_(name, words) typedef struct { uint64_t internal_[words]; } name
SHOAL_PLAIN_(shoal_lock, 6);
SHOAL_PLAIN_(shoal_rlock, 8);
SHOAL_PLAIN_(shoal_rwlock, 16);
SHOAL_PLAIN_(shoal_semaphore, 4);
SHOAL_PLAIN_(shoal_condition, 4);
SHOAL_PLAIN_(shoal_event, 4);
SHOAL_PLAIN_(shoal_barrier, 16);
#define SHOAL_ALL UINT32_MAX

/* ---- lock ---- */

/*
 * AUTOCLEAN: a dead holder's lock is simply free again, for what can be used as it was left; deaths
 * are counted.
 */
enum { SHOAL_LOCK_AUTOCLEAN = 1 };

/*
 * So many locks of these kinds one thread may hold: the kernel gives back 2048 words at a death,
 * and the C library has a share in them. One more is -EOVERFLOW. Each arena that it is a member of
 * (shoal/arena.h) counts as one.
 */
enum { SHOAL_LOCKS_HELD_MAX = 1000 };

/* Free. init_with: -EINVAL for unknown flags. */
int shoal_lock_init(shoal_lock *lock);
int shoal_lock_init_with(shoal_lock *lock, unsigned flags);

/* Whether the call that returned this holds the lock: 0 or -EOWNERDEAD. */
static inline bool shoal_have(int rc) { return rc == 0 || rc == -EOWNERDEAD; }

/*
 * 0: held. What the last holder wrote is seen.
 *   -EOWNERDEAD       held; the last holder died with it, or gave up a lock that was suspect:
 *                     repair what it guards, then shoal_lock_consistent
 *   -ENOTRECOVERABLE  it was given back suspect, without consistent: for nobody, until it is
 *                     initialised anew. Whoever waits is told too
 *   -EAGAIN, -ETIMEDOUT, -ECANCELED
 *   -EDEADLK          this thread holds it already (with a timeout of 0: -EAGAIN); or see above
 *   -EPIPE            it was destroyed (under names, below); so for all that wait
 *   -EOVERFLOW        this thread holds SHOAL_LOCKS_HELD_MAX locks
 * A death inside the call: the lock is taken and its holder dead, or not taken at all; if it had
 * been woken, another one is.
 *
 * The order of those who wait is the kernel's, first come first, but one who comes just then may
 * get it first.
 */
SHOAL_CHECK_ int shoal_lock_acquire(shoal_lock *lock, shoal_time timeout);

/*
 * -EPERM: this thread does not hold it. A death inside the call: given back, or the lock of a dead
 * holder. One stopped inside it holds up nobody that it does not hold up before.
 */
int shoal_lock_release(shoal_lock *lock);

/*
 * After -EOWNERDEAD: what it guards is whole again. -EINVAL: it is not suspect. -EPERM: not held.
 */
int shoal_lock_consistent(shoal_lock *lock);

/* Whether this thread holds it. */
bool shoal_lock_held(const shoal_lock *lock);

typedef struct {
	uint64_t acquisitions; /* those that died before they counted themselves are missing */
	uint64_t contended;    /* of these, found it held; modulo 2^32 */
	uint64_t deaths;       /* holders found dead; modulo 2^32 */
	shoal_time wait_max;   /* the longest sleep for it, in steps of a microsecond, to 71 minutes */
	pid_t owner;           /* the holder's thread id (gettid); 0: free */
	uint32_t waiting;      /* threads asleep for it now, as the kernel counts them */
	uint64_t reserved_[4];
} shoal_lock_info;

/*
 * 0, or -EINVAL: out is NULL. Each number was true at some moment during the call. Takes no lock,
 * writes nothing.
 */
int shoal_lock_stat(const shoal_lock *lock, shoal_lock_info *out);

/*
 * For the sentences of shoal_error, in this process and in children that it forks from now on: up
 * to 63 bytes. Init takes it away, and NULL does. -EINVAL, -ENOMEM.
 */
int shoal_lock_name(shoal_lock *lock, const char *name);

/* ---- rlock: its holder may take it again ---- */

/*
 * As lock. The holder takes it again at once, and releases as often. -EOVERFLOW: held 2^32 - 1
 * times. After -EOWNERDEAD it is held once.
 */
int shoal_rlock_init(shoal_rlock *lock, unsigned flags);
SHOAL_CHECK_ int shoal_rlock_acquire(shoal_rlock *lock, shoal_time timeout);
int shoal_rlock_release(shoal_rlock *lock);
int shoal_rlock_consistent(shoal_rlock *lock);
/* As shoal_lock_stat; taken again, it does not count again. */
int shoal_rlock_stat(const shoal_rlock *lock, shoal_lock_info *out);

/* ---- rwlock: one writer alone, or up to SHOAL_READERS_MAX readers ---- */

/* The next reader waits until one is done. */
enum { SHOAL_READERS_MAX = 16 };

/* Flags as for a lock. */
int shoal_rwlock_init(shoal_rwlock *lock, unsigned flags);

/*
 * Results as for a lock. A reader that died is no reader: those who wait for it go on within 10 ms
 * (5 ms of a slice, since the kernel does not tell of readers by itself). One that replaced itself
 * by exec is a reader until it ends. A writer that died leaves the lock suspect, also when it was
 * still waiting for readers: -EOWNERDEAD from either call, which holds it as a writer then, alone.
 * Writers go before readers that come later. A reader may read again, and releases as often;
 * -EDEADLK: a reader would write, or a writer read or write again; or a reader would read again,
 * and SHOAL_READERS_MAX are being read, since it might wait for itself (timeout 0: -EAGAIN).
 * One STOPPED on its way holds up whom it would hold up when it was through.
 */
SHOAL_CHECK_ int shoal_rwlock_read(shoal_rwlock *lock, shoal_time timeout);
SHOAL_CHECK_ int shoal_rwlock_write(shoal_rwlock *lock, shoal_time timeout);

/* What this thread holds. -EPERM: nothing. */
int shoal_rwlock_release(shoal_rwlock *lock);
int shoal_rwlock_consistent(shoal_rwlock *lock);
/*
 * As shoal_lock_stat, of its writers: `owner` is the one that writes, or waits for readers to be
 * done. Readers write nothing that is counted, but those that found a writer and went in after it.
 */
int shoal_rwlock_stat(const shoal_rwlock *lock, shoal_lock_info *out);

/* ---- semaphore: a number of permits ---- */

/*
 * Or-ed to the bound of shoal_semaphore_create: permits have owners, as a pool of resources wants
 * it. The thread that took one releases it (-EPERM for others), or its death, exit or exec does:
 * those who wait have it within 10 ms (5 ms of a slice, since the kernel does not tell of owners by
 * itself). All of its permits are there from the beginning: `value` is 1 to
 * SHOAL_PERMITS_OWNED_MAX, and the rest of the bound 0 or the same. They count as locks held
 * (SHOAL_LOCKS_HELD_MAX, else -EOVERFLOW), a forked child owns none of its parent's, and signal
 * handlers do not release them.
 */
#define SHOAL_SEMAPHORE_OWNED 0x80000000u
enum { SHOAL_PERMITS_OWNED_MAX = 126 };

/*
 * `value` permits at first; a release beyond `bound` is refused. 0 or SHOAL_ALL: no bound but
 * INT32_MAX. -EINVAL: a larger bound, or value beyond it; or SHOAL_SEMAPHORE_OWNED, which has no
 * room in the struct. All zero has none yet, and no bound.
 */
int shoal_semaphore_init(shoal_semaphore *semaphore, uint32_t value, uint32_t bound);

/*
 * Takes a permit: 0, -EAGAIN, -ETIMEDOUT, -ECANCELED. A permit is nobody's: whoever likes releases
 * it, and one that a dead thread had taken stays taken (but see SHOAL_SEMAPHORE_OWNED). A death
 * inside the call takes one or takes none, and its wake goes to another one.
 */
SHOAL_CHECK_ int shoal_semaphore_acquire(shoal_semaphore *semaphore, shoal_time timeout);

/*
 * One permit more. -EOVERFLOW: it has as many as its bound; exact, whoever releases at the same
 * time. -EPERM: permits have owners, and this thread has none. Signal handlers may call it,
 * whatever they interrupt. A death inside the call: released and told (within 50 ms, where it is in
 * a signal handler that interrupted the taking or giving back of a lock, or a wait at a barrier),
 * or not at all. One stopped inside it delays the one who sleeps for this permit by at most 50 ms.
 */
int shoal_semaphore_release(shoal_semaphore *semaphore);

/* How many permits there are now. */
int shoal_semaphore_value(const shoal_semaphore *semaphore);

/* ---- condition: to wait, with a lock given back, until somebody notifies ---- */

/*
 *	shoal_lock_acquire(&q->lock, SHOAL_FOREVER);
 *	while (q->count == 0)
 *		shoal_condition_wait(&q->filled, &q->lock, SHOAL_FOREVER);   // results looked at, in life
 *	q->count--;
 *	shoal_lock_release(&q->lock);
 *
 * All who use one condition use one lock with it. Nobody wakes unnotified, but that after a
 * waiter's death a notification meant for it may go to another one, and that all go on once in 2^30
 * waits if there was never a moment without a waiter: look at the predicate again, or use wait_for.
 */
int shoal_condition_init(shoal_condition *condition);

/*
 * Gives the lock back (of an rlock: all its levels), waits, and holds it again (as often) when it
 * returns, however long that takes.
 *   0                 notified
 *   -EOWNERDEAD       held; a holder died meanwhile, the lock is suspect: as shoal_lock_acquire.
 *                     Outranks the others
 *   -ETIMEDOUT, -EAGAIN, -ECANCELED   held
 *   -EPERM            this thread does not hold the lock: nothing was done
 *   -ENOTRECOVERABLE  not held: the lock was given back suspect meanwhile, or by this call, which
 *                     was made holding it suspect
 * One that waits and is killed at any moment loses no notification of the others: it goes to the
 * next one at once, and where it was killed waiting for the lock again, after 5 ms. One STOPPED
 * that was notified keeps the next one 5 ms to 10 ms from being taken for it. Those who wait for a
 * holder that dies before it notifies return -EOWNERDEAD within a slice of 5 ms, unless somebody
 * has the lock by then; who does that notifies them in its stead.
 */
SHOAL_CHECK_ int shoal_condition_wait(shoal_condition *condition, shoal_lock *lock,
                                      shoal_time timeout);
SHOAL_CHECK_ int shoal_condition_wait_rlock(shoal_condition *condition, shoal_rlock *lock,
                                            shoal_time timeout);

/*
 * Waits until the predicate, called holding the lock, is true: 0; one deadline for all of it.
 * -EAGAIN, -ETIMEDOUT: it is false. The others as above; it is not called when the lock is suspect.
 */
SHOAL_CHECK_ int shoal_condition_wait_for(shoal_condition *condition, shoal_lock *lock,
                                          bool (*predicate)(void *), void *arg, shoal_time timeout);
SHOAL_CHECK_ int shoal_condition_wait_for_rlock(shoal_condition *condition, shoal_rlock *lock,
                                                bool (*predicate)(void *), void *arg,
                                                shoal_time timeout);

/*
 * Lets so many go on of those who wait now (SHOAL_ALL: all of them). 0, also when nobody waits.
 * -EPERM: this thread does not hold the lock. A death inside the call: some or all of them go on,
 * or none; the lock is suspect.
 */
int shoal_condition_notify(shoal_condition *condition, shoal_lock *lock, uint32_t waiters);
int shoal_condition_notify_rlock(shoal_condition *condition, shoal_rlock *lock, uint32_t waiters);

/* ---- event: it is set, or clear ---- */

/* Clear. */
int shoal_event_init(shoal_event *event);

/*
 * Everybody who waits goes on, and nobody waits any more until clear; what was written before set
 * is seen by those who went on. 0. Signal handlers may call these, also when they interrupt a wait
 * for the same event. A death inside set: set and told (within 50 ms, where it is in a signal
 * handler, as for a semaphore), or not at all; once anybody made a descriptor of the event, whom
 * the kernel may wake first, those who sleep look every 5 ms. One stopped inside set delays those
 * who sleep by at most 50 ms.
 */
int shoal_event_set(shoal_event *event);
int shoal_event_clear(shoal_event *event);
bool shoal_event_is_set(const shoal_event *event);

/*
 * 0: it is set, or was set since the call began, though it may be clear again. -EAGAIN, -ETIMEDOUT,
 * -ECANCELED. (Of 2^31 sets within one moment of a wait that end in a clear, one is missed.)
 */
SHOAL_CHECK_ int shoal_event_wait(shoal_event *event, shoal_time timeout);

/*
 * A descriptor for poll and epoll, of an event in an arena: readable while it is set, also when the
 * one who set it died in the middle. Level-triggered, close-on-exec, the library's own: never read
 * or close it. After a clear it is readable for nothing until shoal_event_wait with SHOAL_NOWAIT
 * gives -EAGAIN, which re-arms it; a set that is cleared before anybody looked may be missed. Made
 * by each process for itself: ask again after fork. While it is not readable a thread of the
 * library's own looks every 5 ms. -EINVAL: it is in no mapped arena; -EPERM: in one that is
 * attached read-only; -EMFILE, -ENOMEM. Not for signal handlers.
 */
int shoal_event_fd(shoal_event *event);

/* ---- barrier: so many parties wait for one another, round by round ---- */

/*
 * So many threads does a barrier know by their places in it, from their first wait to its next
 * reset. Of the death of one more only a deadline tells.
 */
enum { SHOAL_PARTIES_KNOWN_MAX = 24 };

/* -EINVAL: no parties, or more than 65535. */
int shoal_barrier_init(shoal_barrier *barrier, uint32_t parties);

/*
 * Waits until as many threads as there are parties have come, and gives each a different number
 * from 0 on, in the order in which they came. What each wrote before is seen by all.
 *   -EPIPE       the barrier is broken, or was while this one waited: by a death, a deadline, an
 *                interrupt, abort, reset, or an action
 *   -ETIMEDOUT, -ECANCELED   this one broke it, for all; or nothing has changed: it had not come
 *                yet, since the round before was complete and not over (see shoal_barrier_broken)
 *   -EAGAIN      timeout 0, and this would not be the last to come: nothing has changed
 * A party that dies in the call breaks the round at once; where it died just when the round became
 * complete, the next one. So does one that has waited here before and dies, or ends, outside of the
 * call: noticed within 10 ms (5 ms of a slice; 50 ms where one of those who wait is STOPPED) by
 * those who wait. One that never came is not known.
 * An orderly end counts too, unlike in Python, where the others would wait for ever: threads that
 * take the places of others that have ended need a shoal_barrier_reset first.
 * One STOPPED holds up the others as one that does not come does: also the last to come, between
 * its coming and the end of the round.
 */
int shoal_barrier_wait(shoal_barrier *barrier, shoal_time timeout);

/*
 * The last to come calls the action before anybody goes on. Where it returns other than 0 the
 * barrier is broken; a negative result comes back to its caller.
 */
int shoal_barrier_wait_do(shoal_barrier *barrier, int (*action)(void *), void *arg,
                          shoal_time timeout);

/*
 * As new, without its dead; those who wait get -EPIPE. Nobody is known until it waits again. One
 * that dies in it may leave the barrier broken. 0.
 */
int shoal_barrier_reset(shoal_barrier *barrier);
/* Broken until reset; those who wait get -EPIPE. 0. */
int shoal_barrier_abort(shoal_barrier *barrier);

uint32_t shoal_barrier_parties(const shoal_barrier *barrier);
/* How many have come to the present round. */
uint32_t shoal_barrier_waiting(const shoal_barrier *barrier);
bool shoal_barrier_broken(const shoal_barrier *barrier);

/* ---- under names, in an arena ---- */

/*
 * The same objects as blocks of an arena, found by their names (shoal/arena.h): whole before the
 * name appears. NULL is no name. create: -EEXIST, or, with SHOAL_OR_OPEN in flags (a semaphore has
 * none: its bound is a number), the one that exists; -EINVAL, -EPROTO another kind, -ENOMEM,
 * -ENOSPC, -EUSERS, -EPERM. SHOAL_WITH_OWNER in flags: shoal/base.h. open waits for the creator up
 * to `timeout`: -ENOENT, -EPROTO, -ECANCELED; -EPERM from a read-only handle, since nearly every
 * call on these writes. So no call may be made on one that a reference of a read-only handle leads
 * to, but shoal_lock_stat and the like, shoal_semaphore_value and shoal_event_is_set; waits for an
 * event there give -EPERM.
 *
 * destroy: the name goes at once, and those who wait return -EPIPE: from a condition's wait holding
 * the lock, unless that was destroyed too (shoal_lock_held). The memory is used again when no
 * member is inside a call on it and nobody holds it: who holds a lock or rlock, or reads, may
 * release it still. No other call may begin on it; a wait that does gives -EPIPE while the memory
 * is not used again. NULL is 0. To destroy twice is a mistake: -ENOENT while another one destroys
 * it or its memory is kept; later it stops the process. A death in the midst of it: not destroyed,
 * or destroyed; those who wait learn it within 50 ms. A descriptor of the event is readable from
 * then on. To wait for one that has a name makes a thread a member of its arena; where it cannot be
 * one it waits all the same.
 */
int shoal_lock_create(shoal_arena *arena, const char *name, unsigned flags, shoal_lock **out);
int shoal_lock_open(shoal_arena *arena, const char *name, shoal_time timeout, shoal_lock **out);
int shoal_lock_destroy(shoal_arena *arena, shoal_lock *lock);
int shoal_rwlock_create(shoal_arena *arena, const char *name, unsigned flags, shoal_rwlock **out);
int shoal_rwlock_open(shoal_arena *arena, const char *name, shoal_time timeout, shoal_rwlock **out);
int shoal_rwlock_destroy(shoal_arena *arena, shoal_rwlock *lock);
int shoal_semaphore_create(shoal_arena *arena, const char *name, uint32_t value, uint32_t bound,
                           shoal_semaphore **out);
int shoal_semaphore_open(shoal_arena *arena, const char *name, shoal_time timeout,
                         shoal_semaphore **out);
int shoal_semaphore_destroy(shoal_arena *arena, shoal_semaphore *semaphore);
int shoal_condition_create(shoal_arena *arena, const char *name, shoal_condition **out);
int shoal_condition_open(shoal_arena *arena, const char *name, shoal_time timeout,
                         shoal_condition **out);
int shoal_condition_destroy(shoal_arena *arena, shoal_condition *condition);
int shoal_event_create(shoal_arena *arena, const char *name, shoal_event **out);
int shoal_event_open(shoal_arena *arena, const char *name, shoal_time timeout, shoal_event **out);
int shoal_event_destroy(shoal_arena *arena, shoal_event *event);

SHOAL_END_
#endif
