/*
 * Conditions: waiting, with a lock given back, until somebody who holds the lock notifies.
 *
 *	 0 seq      changes with every notify; what sleepers watch, and are woken on
 *	 4 bell     always 0: what list_op_pending names, and sleepers watch too
 *	 8 tickets  the next waiter's number
 *	12 all      waiters with numbers before this one go
 *	16 some     those before this one go while there are grants
 *	20 grants   how many; each is taken off by the waiter that goes, once it has the lock again
 *	24 waiting  how many wait and were not told by `all`; too high by those who died waiting
 *	28 relock   bit 0, a hint: one with a grant is on its way to the lock; bit 1 NAMED: it can be
 *	            destroyed (stay.h), set when it is initialised
 *
 * All but bell and relock are written by the holder of the lock alone; sleepers read them without
 * it, and look again once they hold it. Numbers are compared modulo 2^32: who comes when nobody
 * waits moves `all` up to its own number, and should somebody always wait, everybody is let go once
 * in 2^30 waits (keep_near). All zero is a condition.
 *
 *	waiter                                       notifier, holding the lock
 *	  holds the lock; ticket, waiting + 1          pending = bell
 *	  pending = bell; gives the lock back          all, or some and grants
 *	  s = seq; may it go? no           (C2)        seq + 1               (release, C1)
 *	  sleep while seq == s and bell == 0           wake so many on seq
 *	  may it go? takes the lock; still?            pending restored
 *	  grants - 1, waiting - 1
 *
 * C1 with C2 (acquire): who sees the new seq sees whom it lets go; who saw the old one does not
 * sleep. Without it one could sleep through its own notification.
 *
 * A notification is kept as a grant until its taker holds the lock, so that no death on the way
 * loses it, and nobody goes without one: exactly as many return as were notified, but that a dead
 * waiter still counts as waiting until everybody is notified (a grant for it may go to another).
 *
 * Crash points. Killed while asleep, or just woken: the kernel wakes another one, by the bell.
 * Killed while it waits for the lock again: pending names the lock then, so before it does that it
 * rings for one more sleeper, who waits 5 ms for the grant to go, and then goes itself; where the
 * lock was free it rings for nobody, and one that dies between naming the lock and taking it leaves
 * its grant for whoever looks at the end of a slice. Notifier killed between its stores and its
 * wake: the lock is suspect, and the one whom the kernel wakes wakes all. A bell that wakes one who
 * may not go yet is passed on, once. A holder that dies before it notifies: seen on a slice of
 * 5 ms, as -EOWNERDEAD; who has the lock then tells the others. No wake is possible there: the
 * holder need not have known of the condition, and a lock word that asked for one would make every
 * release of the lock a system call.
 * Model: tests/model/condition.pml.
 */
#include "base/clock.h"
#include "base/error.h"
#include "sync/gate.h"
#include "sync/plain.h"
#include "sync/rlock.h"
#include <string.h>

struct condition {
	word32 seq;
	word32 bell;
	word32 tickets;
	word32 all;
	word32 some;
	word32 grants;
	word32 waiting;
	word32 relock;
};

#define NAMED 2u
#define TICKETS_APART (1u << 30) /* at most, of `all` and the newest */

_Static_assert(sizeof(struct condition) == sizeof(shoal_condition), "its size is pinned");

/* One wait. */
struct waiter {
	struct shoal_thread *t;
	struct condition *c;
	struct lock *lock;
	const void *object; /* the lock as its user knows it */
	uint32_t ticket;
	uint32_t deaths; /* of the lock's holders, when the wait began */
	int64_t deadline;
	int64_t nap_until; /* 0: not napping */
	uint32_t passed;   /* the seq at which it passed a wake on, which it does once */
	struct stay stay;
	struct stay lock_stay;
};

enum release { STAY, GO, GO_BY_GRANT };

static struct condition *
condition_of(shoal_condition *condition)
{
	return (struct condition *)(void *)condition;
}

int
shoal_condition_init(shoal_condition *condition)
{
	memset(condition, 0, sizeof *condition);
	store_release(&condition_of(condition)->relock, stay_is_for(condition) ? NAMED : 0);
	return 0;
}

static bool
before(uint32_t ticket, uint32_t limit)
{
	return (int32_t)(ticket - limit) < 0;
}

static enum release
look(const struct waiter *w)
{
	const struct condition *c = w->c;
	if (before(w->ticket, load_relaxed(&c->all)))
		return GO;
	bool grant = load_relaxed(&c->grants) && before(w->ticket, load_relaxed(&c->some));
	return grant ? GO_BY_GRANT : STAY;
}

/* Of the holder. */
static void
add(word32 *word, uint32_t n)
{
	store_relaxed(word, load_relaxed(word) + n);
}

static void
take_off(word32 *word)
{
	if (load_relaxed(word))
		add(word, UINT32_MAX);
}

static void
set_relock(struct condition *c, uint32_t hint)
{
	store_relaxed(&c->relock, (load_relaxed(&c->relock) & NAMED) | hint);
}

static struct stay
stay(const struct condition *c)
{
	bool named = load_relaxed(&c->relock) & NAMED;
	return named ? stay_begin(c, STAY_JOIN) : (struct stay){ 0 };
}

/* On the lock too: it is given back meanwhile, and whoever destroys it waits for no holder then. */
static void
stay_on_both(struct waiter *w)
{
	w->stay = stay(w->c);
	w->lock_stay = lock_stay(w->lock);
}

static void
leave_both(const struct waiter *w)
{
	stay_end(&w->lock_stay);
	stay_end(&w->stay);
}

static void
give_lock(const struct waiter *w)
{
	if (!lock_give_simply(w->t, w->lock))
		lock_give(w->t, w->lock);
}

static bool
holder_died(const struct waiter *w)
{
	return (load_acquire(&w->lock->node.word) & FUTEX_DIED) ||
	       load_relaxed(&w->lock->node.own[LOCK_DEATHS]) != w->deaths;
}

/* Free, and suspect: whoever was to notify is dead. */
static bool
lock_is_left(const struct waiter *w)
{
	return (load_acquire(&w->lock->node.word) & (FUTEX_TID | FUTEX_DIED)) == FUTEX_DIED;
}

/*
 * Whether to leave the sleep: 0 to try for the lock, or why it ends. One more with a grant than is
 * known to be on its way naps first.
 */
static bool
may_try(struct waiter *w)
{
	enum release now = look(w);
	if (now == STAY)
		w->nap_until = 0;
	if (now != GO_BY_GRANT || !(load_relaxed(&w->c->relock) & 1))
		return now != STAY;
	if (!w->nap_until)
		w->nap_until = clock_sooner(CLOCK_NEVER, FUTEX_SLICE_NS);
	return clock_now() >= w->nap_until;
}

/*
 * Awake, and not let go, while others are: a dead one's wake may have been for one of them. Each
 * does it once for each seq, lest they go on for ever over a grant that only dead ones waited for.
 */
static void
pass_on(struct waiter *w, uint32_t seq)
{
	struct condition *c = w->c;
	if (w->passed == seq || w->nap_until || !load_relaxed(&c->grants))
		return;
	w->passed = seq;
	futex_wake(&c->bell, 1);
}

static int
sleep_until_told(struct waiter *w)
{
	struct condition *c = w->c;
	for (;;) {
		uint32_t seq = load_acquire(&c->seq);
		if (may_try(w))
			return 0;
		if (stay_ended(&w->stay) || stay_ended(&w->lock_stay)) {
			futex_wake(&c->seq, FUTEX_ALL);
			return -EPIPE;
		}
		pass_on(w, seq);
		struct futex_watch watch[] = { { &c->seq, seq }, { &c->bell, 0 } };
		int64_t until = clock_sooner(w->deadline, FUTEX_SLICE_NS);
		if (w->nap_until && w->nap_until < until)
			until = w->nap_until;
		int rc = gate_sleep(w->t, watch, 2, until);
		if (rc == -ECANCELED || (rc && until == w->deadline))
			return rc;
		if (lock_is_left(w))
			return 0;
	}
}

/* The lock again, however long it takes: 0, -EOWNERDEAD; not: -ENOTRECOVERABLE, -EPIPE. */
static int
take_lock(struct waiter *w)
{
	struct condition *c = w->c;
	if (stay_over(&w->lock_stay))
		return -EPIPE;
	if (lock_take_free(w->t, w->lock))
		return 0;
	/* Its notifier may have died before it woke all that it let go. */
	if (holder_died(w))
		futex_wake(&c->seq, FUTEX_ALL);
	if (look(w) == GO_BY_GRANT) {
		set_relock(c, 1);
		if (load_relaxed(&c->waiting) > 1)
			futex_wake(&c->bell, 1);
	}
	const struct stay *stay = w->lock_stay.word ? &w->lock_stay : NULL;
	struct robust_wait how = { .deadline = CLOCK_NEVER, .stay = stay };
	return lock_take_within(w->t, w->lock, &how);
}

/* Another result is told than that of an interrupt, which is for the next wait then. */
static int
outrank(const struct waiter *w, int rc, int by)
{
	if (rc == -ECANCELED)
		store_relaxed(&w->t->interrupt, 1);
	return by;
}

/*
 * Holding the lock: whether the wait is over, with *rc as its result. Who may go by a grant takes
 * it, whatever ended its sleep: of a grant that nobody is left to take, the next notifier would
 * think that it lets one go of those who wait now.
 */
static bool
is_over(struct waiter *w, int *rc)
{
	struct condition *c = w->c;
	enum release now = look(w);
	set_relock(c, 0);
	w->nap_until = 0;
	if (now != STAY) {
		if (*rc != -EOWNERDEAD)
			*rc = outrank(w, *rc, 0);
	} else if (*rc == 0) {
		return false;
	}
	if (now != GO)
		take_off(&c->waiting);
	if (now == GO_BY_GRANT)
		take_off(&c->grants);
	/* One who left without it may have had the wake; one who was passed over naps. */
	if (load_relaxed(&c->grants))
		futex_wake(&c->seq, 1);
	return true;
}

static void let_go(struct shoal_thread *t, struct condition *c, uint32_t waiters);

/*
 * Numbers that are further than 2^31 apart would compare the wrong way round. A grant that is left
 * while nobody waits is one whose taker died.
 */
static void
keep_near(struct shoal_thread *t, struct condition *c)
{
	if (load_relaxed(&c->tickets) - load_relaxed(&c->all) >= TICKETS_APART)
		let_go(t, c, SHOAL_ALL);
	if (load_relaxed(&c->waiting))
		return;
	store_relaxed(&c->grants, 0);
	store_relaxed(&c->all, load_relaxed(&c->tickets));
}

static void
enter(struct waiter *w)
{
	struct condition *c = w->c;
	keep_near(w->t, c);
	w->deaths = load_relaxed(&w->lock->node.own[LOCK_DEATHS]);
	w->ticket = load_relaxed(&c->tickets);
	w->passed = load_relaxed(&c->seq) - 1;
	add(&c->tickets, 1);
	add(&c->waiting, 1);
}

static int
wait_told(struct waiter *w)
{
	void *old = robust_pending_set(w->t, &w->c->bell);
	int rc;
	enter(w);
	do {
		give_lock(w);
		rc = sleep_until_told(w);
		int got = take_lock(w);
		if (got)
			rc = outrank(w, rc, got);
		if (got && got != -EOWNERDEAD)
			break;
	} while (!is_over(w, &rc));
	robust_pending_restore(w->t, old);
	return rc;
}

static int
result(const struct waiter *w, int rc, shoal_time timeout)
{
	if (rc == -ETIMEDOUT && timeout <= 0)
		return fail_quiet(-EAGAIN, "nobody notified, and the timeout is 0");
	if (rc == -ETIMEDOUT)
		return fail_quiet(rc, "nobody notified in time");
	if (rc == -EPIPE)
		return fail_quiet(rc, "the condition was destroyed, or its lock");
	struct robust_wait how = { .deadline = CLOCK_NEVER };
	return rc ? lock_fail(w->object, w->lock, rc, &how) : 0;
}

/* 0 or -EPERM. */
static int
waiter_init(struct waiter *w, shoal_condition *condition, struct lock *l, const void *object)
{
	struct shoal_thread *t = thread_self();
	*w = (struct waiter){ .t = t, .c = condition_of(condition), .lock = l, .object = object };
	return t && lock_is_mine(l, t) ? 0 : lock_fail_not_held(object, l);
}

/* Gives all levels of an rlock back, and takes them again. */
static int
wait_once(struct waiter *w, struct rlock *r)
{
	uint32_t depth = r ? load_relaxed(&r->depth) : 0;
	int rc = wait_told(w);
	if (r && lock_is_mine(w->lock, w->t))
		store_relaxed(&r->depth, depth);
	return rc;
}

static int
wait_until(struct waiter *w, struct rlock *r, shoal_time timeout)
{
	w->deadline = clock_deadline(timeout);
	stay_on_both(w);
	int rc = stay_over(&w->stay) ? -EPIPE : wait_once(w, r);
	leave_both(w);
	return result(w, rc, timeout);
}

int
shoal_condition_wait(shoal_condition *condition, shoal_lock *lock, shoal_time timeout)
{
	struct waiter w;
	int rc = waiter_init(&w, condition, lock_of(lock), lock);
	return rc ? rc : wait_until(&w, NULL, timeout);
}

int
shoal_condition_wait_rlock(shoal_condition *condition, shoal_rlock *lock, shoal_time timeout)
{
	struct waiter w;
	struct rlock *r = rlock_of(lock);
	int rc = waiter_init(&w, condition, &r->lock, lock);
	return rc ? rc : wait_until(&w, r, timeout);
}

/* ---- with a predicate ---- */

static int
wait_true(struct waiter *w, struct rlock *r, bool (*predicate)(void *), void *arg,
          shoal_time timeout)
{
	w->deadline = clock_deadline(timeout);
	while (!predicate(arg)) {
		if (timeout <= 0)
			return fail_quiet(-EAGAIN, "the predicate is false, and the timeout is 0");
		w->nap_until = 0;
		int rc = stay_over(&w->stay) ? -EPIPE : wait_once(w, r);
		if (rc == -ETIMEDOUT && predicate(arg))
			return 0;
		if (rc)
			return result(w, rc, timeout);
	}
	return 0;
}

/* It stays while the predicate is called too, since it comes back to the condition. */
static int
wait_for(struct waiter *w, struct rlock *r, bool (*predicate)(void *), void *arg,
         shoal_time timeout)
{
	if (load_relaxed(&w->lock->node.word) & FUTEX_DIED)
		return result(w, -EOWNERDEAD, timeout);
	stay_on_both(w);
	int rc = wait_true(w, r, predicate, arg, timeout);
	leave_both(w);
	return rc;
}

int
shoal_condition_wait_for(shoal_condition *condition, shoal_lock *lock, bool (*predicate)(void *),
                         void *arg, shoal_time timeout)
{
	struct waiter w;
	int rc = waiter_init(&w, condition, lock_of(lock), lock);
	return rc ? rc : wait_for(&w, NULL, predicate, arg, timeout);
}

int
shoal_condition_wait_for_rlock(shoal_condition *condition, shoal_rlock *lock,
                               bool (*predicate)(void *), void *arg, shoal_time timeout)
{
	struct waiter w;
	struct rlock *r = rlock_of(lock);
	int rc = waiter_init(&w, condition, &r->lock, lock);
	return rc ? rc : wait_for(&w, r, predicate, arg, timeout);
}

/* ---- notify ---- */

/* Crash points: from the first store on the kernel wakes one, which finds whom it lets go. */
static void
let_go(struct shoal_thread *t, struct condition *c, uint32_t waiters)
{
	uint32_t waiting = load_relaxed(&c->waiting), grants = load_relaxed(&c->grants);
	if (!waiters || !waiting)
		return;
	void *old = robust_pending_set(t, &c->bell);
	bool all = grants >= waiting || waiters >= waiting - grants;
	if (all) {
		store_relaxed(&c->all, load_relaxed(&c->tickets));
		store_relaxed(&c->grants, 0);
		store_relaxed(&c->waiting, 0);
	} else {
		store_relaxed(&c->some, load_relaxed(&c->tickets));
		store_relaxed(&c->grants, grants + waiters);
	}
	store_release(&c->seq, load_relaxed(&c->seq) + 1);
	futex_wake(&c->seq, all || waiters > FUTEX_ALL ? FUTEX_ALL : (int)waiters);
	robust_pending_restore(t, old);
}

static int
notify(shoal_condition *condition, struct lock *l, const void *object, uint32_t waiters)
{
	struct waiter w;
	int rc = waiter_init(&w, condition, l, object);
	if (rc)
		return rc;
	w.stay = stay(w.c);
	if (!stay_over(&w.stay))
		let_go(w.t, w.c, waiters);
	stay_end(&w.stay);
	return 0;
}

int
shoal_condition_notify(shoal_condition *condition, shoal_lock *lock, uint32_t waiters)
{
	return notify(condition, lock_of(lock), lock, waiters);
}

int
shoal_condition_notify_rlock(shoal_condition *condition, shoal_rlock *lock, uint32_t waiters)
{
	return notify(condition, &rlock_of(lock)->lock, lock, waiters);
}

/* A notifier may overwrite the change; who sees its seq comes after it, or looks again soon. */
void
condition_shut(shoal_condition *condition)
{
	struct condition *c = condition_of(condition);
	struct robust_head *head = thread_robust();
	void *old = head ? robust_name(head, &c->bell) : NULL;
	fetch_add_seq_cst(&c->seq, 1);
	futex_wake(&c->seq, FUTEX_ALL);
	if (head)
		robust_name_again(head, old);
}
