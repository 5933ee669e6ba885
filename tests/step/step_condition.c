/*
 * Conditions, killed and stopped at each instruction: notifying those who wait, and waiting, with
 * another one that waits behind the victim and must get what the dead one was notified of.
 */
#include <errno.h>
#include <unistd.h>

#include "harness.h"
#include "sync_world.h"

enum { WINDOW_MS = 1000, LEVELS = 2 };

struct condition_shape {
	bool recursive; /* the lock is an rlock, and a victim that waits holds it twice */
	bool predicate; /* wait_for: there is an item, which is taken */
	bool relocks;   /* the notifier keeps the lock until the victim sleeps for it */
};

static const struct condition_shape *
shape(const struct step_world *w)
{
	return w->shape;
}

static void
setup(struct step_world *w)
{
	sync_setup(w);
}

static shoal_condition *
condition(struct step_world *w)
{
	return &sync_page(w)->condition;
}

/* ---- the lock, of either kind ---- */

static shoal_lock *
lock(struct step_world *w)
{
	return (shoal_lock *)(void *)&sync_page(w)->lock;
}

static shoal_rlock *
rlock(struct step_world *w)
{
	return (shoal_rlock *)(void *)&sync_page(w)->lock;
}

static int
acquire(struct step_world *w, shoal_time timeout)
{
	return shape(w)->recursive ? shoal_rlock_acquire(rlock(w), timeout)
	                           : shoal_lock_acquire(lock(w), timeout);
}

static int
release(struct step_world *w)
{
	return shape(w)->recursive ? shoal_rlock_release(rlock(w)) : shoal_lock_release(lock(w));
}

static int
mend(struct step_world *w)
{
	return shape(w)->recursive ? shoal_rlock_consistent(rlock(w)) : shoal_lock_consistent(lock(w));
}

static int
take(struct step_world *w)
{
	int rc = acquire(w, SHOAL_SEC(2));
	STEP_REQUIRE(w, shoal_have(rc), "acquire: %d", rc);
	if (rc)
		STEP_REQUIRE(w, mend(w) == 0, "consistent");
	return rc;
}

static void
give(struct step_world *w)
{
	int rc = release(w);
	STEP_REQUIRE(w, rc == 0, "release: %d, %s", rc, shoal_error());
}

/* ---- waiting and notifying ---- */

static volatile uint64_t *
items(struct step_world *w)
{
	return &sync_page(w)->half[0];
}

static bool
is_there(void *arg)
{
	return *items(arg) > 0;
}

/* Held; with an item, where the predicate asks for one. */
static int
wait_for_item(struct step_world *w, shoal_time timeout)
{
	int rc = shape(w)->recursive
	             ? shoal_condition_wait_for_rlock(condition(w), rlock(w), is_there, w, timeout)
	             : shoal_condition_wait_for(condition(w), lock(w), is_there, w, timeout);
	if (rc == 0)
		--*items(w);
	return rc;
}

static int
wait_told(struct step_world *w, shoal_time timeout)
{
	if (shape(w)->predicate)
		return wait_for_item(w, timeout);
	return shape(w)->recursive ? shoal_condition_wait_rlock(condition(w), rlock(w), timeout)
	                           : shoal_condition_wait(condition(w), lock(w), timeout);
}

/* Holding the lock. */
static int
notify(struct step_world *w, uint32_t waiters)
{
	return shape(w)->recursive ? shoal_condition_notify_rlock(condition(w), rlock(w), waiters)
	                           : shoal_condition_notify(condition(w), lock(w), waiters);
}

static void
tell(struct step_world *w, uint32_t waiters)
{
	take(w);
	*items(w) += shape(w)->predicate;
	STEP_REQUIRE(w, notify(w, waiters) == 0, "notify: %s", shoal_error());
	give(w);
}

static void
wait_one(struct step_world *w)
{
	take(w);
	int rc = wait_told(w, SHOAL_SEC(2));
	STEP_REQUIRE(w, rc == 0, "the wait of one that is notified: %d", rc);
	give(w);
}

/* As good as new: nobody goes unnotified, and who is notified goes. */
static void
check(struct step_world *w)
{
	sync_holder_ends(w);
	STEP_WITHIN(w, "acquire", take(w));
	*items(w) = 0;
	int rc = wait_told(w, SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == -EAGAIN, "wait: %d, that nobody notified", rc);
	rc = notify(w, 1);
	STEP_REQUIRE(w, rc == 0 && release(w) == 0, "notify: %d", rc);
	pid_t twin = sync_twin(w, wait_one);
	tell(w, 1);
	STEP_WITHIN(w, "one is notified", sync_twin_end(w, twin));
}

/* ---- the holder, for a victim that was stopped and goes on ---- */

static void
holder_take(struct step_world *w)
{
	int rc;
	while ((rc = acquire(w, SHOAL_NOWAIT)) == -EAGAIN)
		usleep(50);
	STEP_REQUIRE(w, shoal_have(rc), "the holder's acquire: %d", rc);
	if (rc)
		mend(w);
	*items(w) += shape(w)->predicate;
	notify(w, 1);
}

static void
holder_give(struct step_world *w)
{
	give(w);
	while (sync_victim_waits(w)) {
		usleep(200);
		int rc = acquire(w, SHOAL_NOWAIT);
		if (!shoal_have(rc))
			continue;
		if (rc)
			mend(w);
		*items(w) += shape(w)->predicate;
		notify(w, SHOAL_ALL);
		give(w);
	}
}

static void
clean(struct step_world *w)
{
	sync_clean_holder(w, holder_take, holder_give);
}

/* ---- notifying ---- */

static void
notify_prepare(struct step_world *w)
{
	sync_stage(w)->victim = getpid();
	take(w);
}

static void
notify_all_op(struct step_world *w)
{
	step_mine(w)->result = notify(w, SHOAL_ALL);
	release(w);
}

static void
notify_one_op(struct step_world *w)
{
	step_mine(w)->result = notify(w, 1);
	release(w);
}

/* Who is told of the death notifies the others in the dead one's stead, as the header asks. */
static void
wait_notified(struct step_world *w)
{
	take(w);
	int rc = wait_told(w, SHOAL_SEC(5));
	STEP_REQUIRE(w, shoal_have(rc), "the sleeping wait: %d", rc);
	if (rc) {
		mend(w);
		notify(w, SHOAL_ALL);
	}
	sync_stage(w)->taken++;
	give(w);
}

static void
two_sleepers(struct step_world *w)
{
	sync_warm(w);
	pid_t twin = sync_twin(w, wait_notified);
	step_begin(w, "two waits for a condition");
	wait_notified(w);
	sync_twin_end(w, twin);
	step_mine(w)->inside = 0;
}

/* A holder that dies before it notifies is noticed within a slice of 5 ms. */
static void
rouse_all(struct step_world *w)
{
	sync_must_wake(w, "notified, or the notifier is dead");
}

/* Of two, one goes: the victim held the lock, so it notified, or is known to be dead. */
static void
rouse_one(struct step_world *w)
{
	int64_t began = step_begin(w, "one is notified, or the notifier is dead");
	while (!sync_stage(w)->taken && step_now() - began < SHOAL_MS(WINDOW_MS))
		usleep(20);
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, sync_stage(w)->taken, "both sleep on");
	if (w->part[STEP_VICTIM].done) {
		usleep(10000);
		STEP_REQUIRE(w, sync_stage(w)->taken == 1, "one was notified, and two go");
	}
	tell(w, 1);
	sync_must_wake_within(w, WINDOW_MS, "the second is notified");
}

/* ---- waiting ---- */

/* A first sleep of this process, so that what it looks up is not part of what is watched. */
static void
warm_sleep(struct step_world *w)
{
	shoal_lock own = { { 0 } };
	shoal_condition told = { { 0 } };
	int rc = shoal_lock_acquire(&own, SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == 0, "a lock of its own: %d", rc);
	rc = shoal_condition_wait(&told, &own, SHOAL_MS(1));
	STEP_REQUIRE(w, rc == -ETIMEDOUT && shoal_lock_release(&own) == 0, "wait: %d", rc);
}

/* It holds the lock, twice where it can. */
static void
wait_prepare(struct step_world *w)
{
	warm_sleep(w);
	sync_stage(w)->victim = getpid();
	for (int i = 0; i < (shape(w)->recursive ? LEVELS : 1); i++)
		take(w);
}

static void
wait_op(struct step_world *w)
{
	step_mine(w)->result = wait_told(w, SHOAL_SEC(5));
}

/* Another one sleeps for the lock, and gets it for as long as the victim waits: no time at all. */
static void
pass_op(struct step_world *w)
{
	step_mine(w)->result = wait_told(w, SHOAL_NOWAIT);
}

static void
wait_after(struct step_world *w)
{
	int rc = (int)step_mine(w)->result;
	/* One who tried the lock while the victim stood still may have been killed with it. */
	if (rc == -EOWNERDEAD && sync_stage(w)->stands)
		rc = mend(w);
	STEP_REQUIRE(w, rc == 0, "the victim's wait: %d", rc);
	sync_nothing_pending(w);
	for (int i = 0; i < (shape(w)->recursive ? LEVELS : 1); i++)
		give(w);
	rc = release(w);
	STEP_REQUIRE(w, rc == -EPERM, "the lock is held once more than before the wait: %d", rc);
}

static void
pass_after(struct step_world *w)
{
	int rc = (int)step_mine(w)->result;
	if (rc == -EOWNERDEAD && sync_stage(w)->stands)
		mend(w);
	STEP_REQUIRE(w, rc == -EAGAIN || sync_stage(w)->stands, "wait: %d", rc);
	give(w);
}

/*
 * The sleeper comes behind the victim, then one of them is notified: the victim, who slept first;
 * and once more, if the sleeper was quicker by the end of its slice.
 */
static void
waker(struct step_world *w)
{
	struct sync_stage *s = sync_stage(w);
	if (!s->waked++)
		sync_let_go(w);
	else if (!s->sleeper || sync_sleeps(w))
		return;
	tell(w, 1);
}

static void
waker_keeps_lock(struct step_world *w)
{
	struct sync_stage *s = sync_stage(w);
	switch (s->waked++) {
	case 0:
		sync_let_go(w);
		sync_holder_takes(w);
		break;
	case 1:
		sync_holder_gives(w);
		break;
	default:
		if (s->sleeper && !sync_sleeps(w))
			tell(w, 1);
	}
}

static void
sleeper(struct step_world *w)
{
	sync_warm(w);
	sync_held_back(w);
	take(w);
	int rc = wait_told(w, SHOAL_SEC(5));
	while (shape(w)->predicate && rc == -EOWNERDEAD) {
		mend(w);
		rc = wait_told(w, SHOAL_SEC(5));
	}
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, shoal_have(rc), "the sleeping wait: %d", rc);
	if (rc)
		mend(w);
	give(w);
}

/* Whether what the victim was notified of is still to be had: it died before its call returned. */
static bool
is_left(struct step_world *w)
{
	if (!sync_stage(w)->waked)
		return false;
	return shape(w)->predicate ? *items(w) > 0 : !w->part[STEP_VICTIM].done;
}

static void
rouse(struct step_world *w)
{
	if (!sync_stage(w)->waked)
		sync_let_go(w);
	if (is_left(w)) {
		sync_must_wake(w, "the dead one's notification is left");
		return;
	}
	if (!sync_stage(w)->waked)
		STEP_REQUIRE(w, sync_sleeps(w), "it goes, and nobody notified it");
	tell(w, 1);
	sync_must_wake(w, "it is notified, or the victim died with the lock");
}

/* ---- one asleep for the lock, while the victim gives it back for a moment ---- */

static void
sleep_for_lock(struct step_world *w)
{
	sync_warm(w);
	sync_held_back(w);
	take(w);
	step_mine(w)->inside = 0;
	give(w);
}

static void
pass_prepare(struct step_world *w)
{
	wait_prepare(w);
	sync_let_go(w);
}

static void
rouse_for_lock(struct step_world *w)
{
	sync_let_go_at_once(w);
	sync_must_wake(w, "the lock is free");
}

/* ---- those who come upon the dead, and those whom a stopped one may hold up ---- */

static void
meet(struct step_world *w)
{
	int rc = acquire(w, SHOAL_MS(SYNC_TIMEOUT_MS));
	if (rc == -EOWNERDEAD)
		mend(w);
	notify(w, SHOAL_ALL);
	step_mine(w)->result = wait_told(w, SHOAL_NOWAIT);
	if (shoal_have(rc))
		release(w);
}

/* It takes no lock. */
static bool
try_stat(struct step_world *w, int64_t ns)
{
	shoal_lock_info info;
	sync_victim_stands(w);
	int64_t began = step_now();
	shoal_lock_stat(lock(w), &info);
	return step_now() - began > ns;
}

static bool
try_lock(struct step_world *w, int64_t ns)
{
	sync_victim_stands(w);
	if (acquire(w, ns) != 0)
		return true;
	give(w);
	return false;
}

static bool
try_wait(struct step_world *w, int64_t ns)
{
	sync_victim_stands(w);
	if (acquire(w, ns) != 0)
		return true;
	int rc = wait_told(w, ns);
	give(w);
	return rc != 0;
}

#define SHAPE(...) .shape = &(const struct condition_shape){ __VA_ARGS__ }
#define WATCHERS .role = { { "lock", try_lock }, { "wait", try_wait } }
#define HELD .role = { { "stat", try_stat }, { "lock", try_lock }, { "wait", try_wait } }
#define MEETS .meet_prepare = sync_warm, .meet = { meet, meet }
#define NOTIFY .setup = setup, .clean = clean, .prepare = notify_prepare, .check = check, \
	  .sleeper = two_sleepers, WATCHERS, MEETS
#define WAIT .setup = setup, .clean = clean, .prepare = wait_prepare, .op = wait_op, \
	  .after = wait_after, .check = check, .sleeper = sleeper, .rouse = rouse, HELD, MEETS, \
	  .unwatched = true

STEP_CASE(condition, notify_all, SHAPE(.recursive = false), NOTIFY, .op = notify_all_op,
          .rouse = rouse_all)
STEP_CASE(condition, notify_one, SHAPE(.recursive = false), NOTIFY, .op = notify_one_op,
          .rouse = rouse_one)
STEP_CASE(condition, notify_rlock, SHAPE(.recursive = true), NOTIFY, .op = notify_one_op,
          .rouse = rouse_one)
STEP_CASE(condition, wait, SHAPE(.recursive = false), WAIT, .waker = waker)
STEP_CASE(condition, wait_relock, SHAPE(.relocks = true), WAIT, .waker = waker_keeps_lock)
STEP_CASE(condition, wait_rlock, SHAPE(.recursive = true), WAIT, .waker = waker)
STEP_CASE(condition, wait_for, SHAPE(.predicate = true), WAIT, .waker = waker)
STEP_CASE(condition, wait_for_rlock, SHAPE(.predicate = true, .recursive = true), WAIT,
          .waker = waker)
STEP_CASE(condition, wait_not, SHAPE(.recursive = false), .setup = setup, .clean = clean,
          .prepare = pass_prepare, .op = pass_op, .after = pass_after, .check = check,
          .sleeper = sleep_for_lock, .rouse = rouse_for_lock, HELD, MEETS)
