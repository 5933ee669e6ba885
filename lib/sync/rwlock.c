/*
 * Reader-writer locks: a lock for writers, and a place for each reader.
 *
 *	 0 lock    a lock (lock.h): held by the writer, from before it waits for the readers to go; and
 *	           for a moment by readers that had to wait
 *	48 gate    0, or GATE_ARMED: the lock's holder sleeps for a place to become free (gate.h)
 *	52 12 bytes unused
 *	64 place   16 words: 0, or the mark of the thread that reads (kernel_thread_mark)
 *
 *	reader                                          writer
 *	  place: 0 -> mark          (seq_cst, R1)         takes the lock
 *	  lock held or suspect?     (seq_cst, R1)         fence                            (R2)
 *	    no: it reads                                  each place: wait until it is 0   (acquire, R3)
 *	    yes: place = 0, and gate; takes the lock,
 *	         then a place, gives the lock back
 *	  done: place = 0 (seq_cst, R3), and gate
 *
 * R1 with R2: either the reader sees the writer, or the writer the reader; without one of them both
 * would go in. R3: the writer sees all that the reader did before it left. A second place of the
 * same reader needs no look at the lock: the writer still waits for the first.
 *
 * Crash points. A place is one word that bears a name, so a dead reader is told from its place
 * alone: who waits for places asks the kernel about their threads every 5 ms (a thread may hold too
 * few robust words, and the lock has too little room, for the kernel to tell by itself). A writer
 * that dies, waiting or in, leaves the lock suspect, as any lock. A reader that dies before its
 * wake has pending name the gate; the one who sleeps there also watches the place. Model:
 * tests/model/rwlock.pml.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/kernel.h"
#include "sync/gate.h"
#include "sync/lock.h"
#include "sync/plain.h"
#include "sync/watch.h"
#include <string.h>

#define PLACES SHOAL_READERS_MAX

struct rwlock {
	struct lock lock;
	word32 gate;
	word32 unused[3];
	word32 place[PLACES];
};

_Static_assert(sizeof(struct rwlock) == sizeof(shoal_rwlock), "an rwlock's size is pinned");

static struct rwlock *
rwlock_of(shoal_rwlock *lock)
{
	return (struct rwlock *)(void *)lock;
}

int
shoal_rwlock_init(shoal_rwlock *lock, unsigned flags)
{
	struct rwlock *r = rwlock_of(lock);
	if (flags & ~(unsigned)SHOAL_LOCK_AUTOCLEAN)
		return fail(-EINVAL, "%#x are no flags of an rwlock", flags);
	memset(lock, 0, sizeof *lock);
	return lock_init(&r->lock, flags);
}

/* A place with that word, this thread's usual one first; NULL: none. */
static word32 *
find(struct rwlock *r, const struct shoal_thread *t, uint32_t word)
{
	for (uint32_t i = 0; i < PLACES; i++) {
		word32 *place = &r->place[(t->tid + i) % PLACES];
		if (load_relaxed(place) == word)
			return place;
	}
	return NULL;
}

static word32 *
claim(struct rwlock *r, struct shoal_thread *t)
{
	for (;;) {
		word32 *place = find(r, t, 0);
		if (!place || cas32_seq_cst(place, 0, robust_mark(t)))
			return place;
	}
}

/* As for semaphores: the one who waited for this place may have destroyed it. */
static void
wake(struct rwlock *r, bool named)
{
	struct stay stay = named ? stay_begin(r, STAY_QUICK) : (struct stay){ 0 };
	if (!named || (stay.word && !stay_over(&stay)))
		gate_open(&r->gate);
	stay_end(&stay);
}

static void
leave(struct shoal_thread *t, struct rwlock *r, word32 *place)
{
	bool named = load_relaxed(&r->lock.node.flags) & LOCK_NAMED;
	void *old = robust_pending_set(t, &r->gate);
	store_seq_cst(place, 0);
	if (load_seq_cst(&r->gate))
		wake(r, named);
	robust_pending_restore(t, old);
}

/* ---- waiting for places, holding the lock ---- */

/* One of another thread, or NULL. */
static word32 *
taken(struct rwlock *r, uint32_t *word)
{
	for (uint32_t i = 0; i < PLACES; i++)
		if ((*word = load_acquire(&r->place[i])))
			return &r->place[i];
	return NULL;
}

/* Places of threads that have ended are free again. True: there was one. */
static bool
clear_dead(struct rwlock *r)
{
	bool any = false;
	for (uint32_t i = 0; i < PLACES; i++) {
		uint32_t word = load_relaxed(&r->place[i]);
		if (word && kernel_thread_ended(word, UINT32_MAX))
			any |= cas32_acq_rel(&r->place[i], word, 0);
	}
	return any;
}

/* Until that place is not as seen, at most 5 ms; then it asks for the dead. */
static int
wait_for_place(struct shoal_thread *t, struct rwlock *r, word32 *place, uint32_t word,
               const struct robust_wait *how)
{
	int64_t deadline = how->deadline;
	if (deadline == ROBUST_NOWAIT)
		return clear_dead(r) ? 0 : -ETIMEDOUT;
	if (clock_now() >= deadline)
		return -ETIMEDOUT;
	gate_arm(&r->gate, false);
	if (stay_ended(how->stay)) {
		gate_open_all(&r->gate);
		return -EPIPE;
	}
	if (load_relaxed(place) != word)
		return 0;
	int64_t until = clock_sooner(deadline, FUTEX_SLICE_NS);
	struct futex_watch watch[] = { { &r->gate, GATE_ARMED }, { place, word } };
	int rc = gate_sleep(t, watch, 2, until);
	if (rc == -ECANCELED)
		return rc;
	if (load_relaxed(place) == word)
		clear_dead(r);
	return 0;
}

static int
drain_all(struct shoal_thread *t, struct rwlock *r, const struct robust_wait *how)
{
	word32 *place;
	uint32_t word;
	for (int spins = 0; (place = taken(r, &word));) {
		if (spins++ < 100 && how->deadline != ROBUST_NOWAIT) {
			cpu_relax();
			continue;
		}
		int rc = wait_for_place(t, r, place, word, how);
		if (rc)
			return rc;
	}
	return 0;
}

static int
claim_one(struct shoal_thread *t, struct rwlock *r, const struct robust_wait *how)
{
	while (!claim(r, t)) {
		uint32_t word = 0;
		word32 *place = taken(r, &word);
		int rc = place ? wait_for_place(t, r, place, word, how) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

/* As it was found: a lock that is suspect stays so, and is not lost. */
static void
give_back(struct shoal_thread *t, struct rwlock *r)
{
	if (unlikely(lock_watched))
		watch_given(t, &r->lock);
	PROBE_LOCK_RELEASE(&r->lock);
	robust_release(t, &r->lock.node);
}

/* One of the two; the lock goes back where it fails. */
static int
wait_holding(struct shoal_thread *t, struct rwlock *r, struct robust_wait *how,
             int (*wait)(struct shoal_thread *, struct rwlock *, const struct robust_wait *))
{
	struct stay stay = lock_stay(&r->lock);
	how->stay = &stay;
	int rc = wait(t, r, how);
	how->stay = NULL;
	if (rc)
		give_back(t, r);
	stay_end(&stay);
	return rc;
}

static int
drain(struct shoal_thread *t, struct rwlock *r, struct robust_wait *how)
{
	uint32_t word;
	fence_seq_cst();
	return taken(r, &word) ? wait_holding(t, r, how, drain_all) : 0;
}

static int
claim_waiting(struct shoal_thread *t, struct rwlock *r, struct robust_wait *how)
{
	return claim(r, t) ? 0 : wait_holding(t, r, how, claim_one);
}

/* ---- the calls ---- */

static int
told(shoal_rwlock *lock, int rc, const struct robust_wait *how)
{
	return rc ? lock_fail(lock, &rwlock_of(lock)->lock, rc, how) : 0;
}

static int
write_in_turn(struct shoal_thread *t, struct rwlock *r, struct robust_wait *how)
{
	int rc = lock_take_free(t, &r->lock) ? 0 : lock_take(t, &r->lock, how);
	if (!shoal_have(rc))
		return rc;
	int drained = drain(t, r, how);
	return drained ? drained : rc;
}

/* It would wait for itself. */
static int
fail_reads(shoal_time timeout)
{
	if (timeout <= 0)
		return fail_quiet(-EAGAIN, "this thread reads, and the timeout is 0");
	return fail(-EDEADLK, "this thread reads, and cannot write until it has released that");
}

int
shoal_rwlock_write(shoal_rwlock *lock, shoal_time timeout)
{
	struct rwlock *r = rwlock_of(lock);
	struct shoal_thread *t = thread_self();
	if (unlikely(!t))
		return lock_fail_no_thread();
	if (t->mark && find(r, t, t->mark))
		return fail_reads(timeout);
	struct robust_wait how = lock_wait(timeout);
	return told(lock, write_in_turn(t, r, &how), &how);
}

/*
 * Behind the writers, in turn. A suspect lock stays with the one who found it so, who is alone
 * then.
 */
static int
read_in_turn(struct shoal_thread *t, struct rwlock *r, struct robust_wait *how)
{
	int rc = lock_take(t, &r->lock, how);
	if (!shoal_have(rc))
		return rc;
	int done = rc ? drain(t, r, how) : claim_waiting(t, r, how);
	if (!done && !rc)
		give_back(t, r);
	return done ? done : rc;
}

/* A place, perhaps a dead reader's, or NULL. */
static word32 *
claim_of_dead(struct rwlock *r, struct shoal_thread *t)
{
	clear_dead(r);
	return claim(r, t);
}

/*
 * Who waited for a place as a reader would keep a writer waiting that it waits for, or readers that
 * want a second place too.
 */
static int
fail_no_place(shoal_time timeout)
{
	if (timeout <= 0)
		return fail_quiet(-EAGAIN, "this thread reads, no reader's place is free, and the "
		                  "timeout is 0");
	return fail(-EDEADLK, "this thread reads, and as long as it does it does not wait for another "
	            "of the %d readers' places, which are all taken", PLACES);
}

static int
read_it(struct shoal_thread *t, struct rwlock *r, shoal_rwlock *lock, shoal_time timeout)
{
	bool reads = find(r, t, robust_mark(t));
	word32 *place = claim(r, t);
	if (unlikely(!place && reads && !(place = claim_of_dead(r, t))))
		return fail_no_place(timeout);
	if (likely(place)) {
		if (reads || !(load_seq_cst(&r->lock.node.word) & (FUTEX_TID | FUTEX_DIED)))
			return 0;
		leave(t, r, place);
	}
	struct robust_wait how = lock_wait(timeout);
	return told(lock, read_in_turn(t, r, &how), &how);
}

int
shoal_rwlock_read(shoal_rwlock *lock, shoal_time timeout)
{
	struct rwlock *r = rwlock_of(lock);
	struct shoal_thread *t = thread_self();
	if (unlikely(!t))
		return lock_fail_no_thread();
	if (likely(!lock_watched))
		return read_it(t, r, lock, timeout);
	watch_read(t, &r->lock, timeout);
	int rc = read_it(t, r, lock, timeout);
	if (rc == 0)
		watch_reads(t, &r->lock);
	return rc;
}

int
shoal_rwlock_release(shoal_rwlock *lock)
{
	struct rwlock *r = rwlock_of(lock);
	struct shoal_thread *t = thread_self();
	if (unlikely(!t))
		return lock_fail_no_thread();
	word32 *place = t->mark ? find(r, t, t->mark) : NULL;
	if (place) {
		if (unlikely(lock_watched))
			watch_read_given(t, &r->lock);
		leave(t, r, place);
		return 0;
	}
	if (!lock_is_mine(&r->lock, t))
		return lock_fail_not_held(lock, &r->lock);
	if (!lock_give_simply(t, &r->lock))
		lock_give(t, &r->lock);
	return 0;
}

int
shoal_rwlock_consistent(shoal_rwlock *lock)
{
	return lock_mend(lock, &rwlock_of(lock)->lock);
}

int
shoal_rwlock_stat(const shoal_rwlock *lock, shoal_lock_info *out)
{
	return lock_stat(&((const struct rwlock *)(const void *)lock)->lock, out);
}

/* ---- its end ---- */

void
rwlock_shut(shoal_rwlock *lock)
{
	struct rwlock *r = rwlock_of(lock);
	lock_shut(&r->lock);
	struct robust_head *head = thread_robust();
	void *old = head ? robust_name(head, &r->gate) : NULL;
	gate_open_all(&r->gate);
	if (head)
		robust_name_again(head, old);
}

bool
rwlock_in_use(const shoal_rwlock *lock)
{
	const struct rwlock *r = (const struct rwlock *)(const void *)lock;
	for (uint32_t i = 0; i < PLACES; i++) {
		uint32_t word = load_acquire(&r->place[i]);
		if (word && !kernel_thread_ended(word, UINT32_MAX))
			return true;
	}
	return load_acquire(&r->lock.node.word) & FUTEX_TID;
}
