/*
 * Semaphores, events, conditions and barriers, killed and stopped at each instruction, with those
 * asleep whom the call is to wake.
 */
#include <errno.h>
#include <unistd.h>

#include "harness.h"
#include "sync_world.h"

enum { PERMITS = 2, BOUND = 4, WINDOW_MS = 200 };

static void
setup(struct step_world *w)
{
	sync_setup(w);
	shoal_semaphore_init(&sync_page(w)->semaphore, 0, BOUND);
	shoal_barrier_init(&sync_page(w)->barrier, 2);
}

static void
setup_permits(struct step_world *w)
{
	sync_setup(w);
	shoal_semaphore_init(&sync_page(w)->semaphore, PERMITS, BOUND);
}

/* ---- semaphore ---- */

static shoal_semaphore *
semaphore(struct step_world *w)
{
	return &sync_page(w)->semaphore;
}

/* Each permit can be taken, and no more; and as many as the bound come back. */
static void
check_permits(struct step_world *w, int least, int most)
{
	int there = shoal_semaphore_value(semaphore(w)), rc = 0;
	STEP_REQUIRE(w, there >= least && there <= most, "%d permits, not %d to %d", there, least,
	             most);
	for (int i = 0; i < there; i++) {
		STEP_WITHIN(w, "acquire", rc = shoal_semaphore_acquire(semaphore(w), SHOAL_SEC(2)));
		STEP_REQUIRE(w, rc == 0, "acquire: %d, where there is a permit", rc);
	}
	rc = shoal_semaphore_acquire(semaphore(w), SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == -EAGAIN, "acquire: %d, of no permit", rc);
	for (int i = 0; i < BOUND; i++)
		STEP_REQUIRE(w, shoal_semaphore_release(semaphore(w)) == 0, "release %d", i);
	rc = shoal_semaphore_release(semaphore(w));
	STEP_REQUIRE(w, rc == -EOVERFLOW, "release beyond the bound: %d", rc);
}

static void
acquire_op(struct step_world *w)
{
	step_mine(w)->result = shoal_semaphore_acquire(semaphore(w), SHOAL_SEC(5));
}

static void
check_acquire(struct step_world *w)
{
	bool began = w->part[STEP_VICTIM].inside, done = w->part[STEP_VICTIM].done;
	check_permits(w, PERMITS - (began || done), PERMITS - done);
}

static void
release_op(struct step_world *w)
{
	step_mine(w)->result = shoal_semaphore_release(semaphore(w));
}

/* The rouser released one more where the victim had not: a sleeper took what there was. */
static void
check_release(struct step_world *w)
{
	bool slept = sync_stage(w)->sleeper != 0, done = w->part[STEP_VICTIM].done;
	check_permits(w, slept ? 0 : done, 1);
}

static void
sleep_acquire(struct step_world *w)
{
	sync_warm(w);
	sync_stage(w)->sleeper = getpid();
	step_begin(w, "sleeping acquire");
	int rc = shoal_semaphore_acquire(semaphore(w), SHOAL_SEC(5));
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, rc == 0, "the sleeping acquire: %d", rc);
}

static void
rouse_acquire(struct step_world *w)
{
	if (shoal_semaphore_value(semaphore(w)) > 0)
		sync_must_wake(w, "a permit of the dead is there");
	if (sync_sleeps(w) && !w->part[STEP_VICTIM].done)
		shoal_semaphore_release(semaphore(w));
	sync_must_wake(w, "a permit was released");
}

static bool
try_permit(struct step_world *w, int64_t ns)
{
	if (shoal_semaphore_release(semaphore(w)) != 0)
		return true;
	return shoal_semaphore_acquire(semaphore(w), ns) != 0;
}

STEP_CASE(semaphore, acquire, .setup = setup_permits, .clean = sync_clean, .prepare = sync_warm,
          .op = acquire_op, .check = check_acquire, .role = { { "permit", try_permit } })
STEP_CASE(semaphore, release, .setup = setup, .clean = sync_clean, .prepare = sync_warm,
          .op = release_op, .check = check_release, .sleeper = sleep_acquire,
          .rouse = rouse_acquire, .role = { { "permit", try_permit } })

/* ---- event ---- */

static shoal_event *
event(struct step_world *w)
{
	return &sync_page(w)->event;
}

static void
check_event(struct step_world *w)
{
	int rc;
	shoal_event_set(event(w));
	STEP_WITHIN(w, "wait", rc = shoal_event_wait(event(w), SHOAL_SEC(2)));
	STEP_REQUIRE(w, rc == 0 && shoal_event_is_set(event(w)), "wait: %d, of what is set", rc);
	shoal_event_clear(event(w));
	rc = shoal_event_wait(event(w), SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == -EAGAIN, "wait: %d, of what is clear", rc);
}

static void
set_op(struct step_world *w)
{
	step_mine(w)->result = shoal_event_set(event(w));
}

static void
set_prepare(struct step_world *w)
{
	sync_warm(w);
	shoal_event_set(event(w));
}

static void
clear_op(struct step_world *w)
{
	step_mine(w)->result = shoal_event_clear(event(w));
}

static void
wait_event(struct step_world *w)
{
	int rc = shoal_event_wait(event(w), SHOAL_SEC(5));
	STEP_REQUIRE(w, rc == 0, "the sleeping wait: %d", rc);
}

static void
sleep_event(struct step_world *w)
{
	sync_warm(w);
	pid_t twin = sync_twin(w, wait_event);
	step_begin(w, "two sleeping waits");
	wait_event(w);
	sync_twin_end(w, twin);
	step_mine(w)->inside = 0;
}

static void
rouse_event(struct step_world *w)
{
	if (shoal_event_is_set(event(w)))
		sync_must_wake(w, "the dead one set it");
	shoal_event_set(event(w));
	sync_must_wake(w, "it was set");
}

static bool
try_event(struct step_world *w, int64_t ns)
{
	shoal_event_set(event(w));
	return shoal_event_wait(event(w), ns) != 0;
}

STEP_CASE(event, set, .setup = setup, .clean = sync_clean, .prepare = sync_warm, .op = set_op,
          .check = check_event, .sleeper = sleep_event, .rouse = rouse_event,
          .role = { { "event", try_event } })
STEP_CASE(event, clear, .setup = setup, .clean = sync_clean, .prepare = set_prepare,
          .op = clear_op, .check = check_event, .role = { { "event", try_event } })

/* ---- condition ---- */

static shoal_lock *
lock(struct step_world *w)
{
	return (shoal_lock *)(void *)&sync_page(w)->lock;
}

static int
take(struct step_world *w)
{
	int rc = shoal_lock_acquire(lock(w), SHOAL_SEC(2));
	STEP_REQUIRE(w, shoal_have(rc), "acquire: %d", rc);
	if (rc)
		STEP_REQUIRE(w, shoal_lock_consistent(lock(w)) == 0, "consistent");
	return rc;
}

static void
take_prepare(struct step_world *w)
{
	take(w);
}

static void
notify_op(struct step_world *w)
{
	step_mine(w)->result = shoal_condition_notify(&sync_page(w)->condition, lock(w), SHOAL_ALL);
	shoal_lock_release(lock(w));
}

/* Who is told of the death notifies the others in the dead one's stead, as the header asks. */
static void
wait_notified(struct step_world *w)
{
	take(w);
	int rc = shoal_condition_wait(&sync_page(w)->condition, lock(w), SHOAL_SEC(5));
	STEP_REQUIRE(w, shoal_have(rc), "the sleeping wait: %d", rc);
	if (rc) {
		shoal_lock_consistent(lock(w));
		shoal_condition_notify(&sync_page(w)->condition, lock(w), SHOAL_ALL);
	}
	shoal_lock_release(lock(w));
}

static void
sleep_notified(struct step_world *w)
{
	sync_warm(w);
	pid_t twin = sync_twin(w, wait_notified);
	step_begin(w, "two waits for a condition");
	wait_notified(w);
	sync_twin_end(w, twin);
	step_mine(w)->inside = 0;
}

/*
 * A holder that dies before it notifies is noticed within 50 ms, as the header states; so this only
 * demands that all go on in a window, not within the bar.
 */
static void
rouse_notified(struct step_world *w)
{
	sync_must_wake_within(w, WINDOW_MS, "notified, or the notifier is dead");
}

static void
check_condition(struct step_world *w)
{
	int rc;
	STEP_WITHIN(w, "acquire", take(w));
	rc = shoal_condition_wait(&sync_page(w)->condition, lock(w), SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == -EAGAIN, "wait: %d, that nobody notified", rc);
	rc = shoal_condition_notify(&sync_page(w)->condition, lock(w), 1);
	STEP_REQUIRE(w, rc == 0 && shoal_lock_release(lock(w)) == 0, "notify: %d", rc);
}

STEP_CASE(condition, notify_all, .setup = setup, .clean = sync_clean, .prepare = take_prepare,
          .op = notify_op, .check = check_condition, .sleeper = sleep_notified,
          .rouse = rouse_notified)

/* ---- barrier ---- */

static shoal_barrier *
barrier(struct step_world *w)
{
	return &sync_page(w)->barrier;
}

static void
come_second(struct step_world *w)
{
	int rc = shoal_barrier_wait(barrier(w), SHOAL_SEC(2));
	STEP_REQUIRE(w, rc == 0, "the first to come: %d", rc);
}

/* Reset, it is as new: two come, and have different numbers. */
static void
check_barrier(struct step_world *w)
{
	int rc;
	STEP_WITHIN(w, "reset", shoal_barrier_reset(barrier(w)));
	STEP_REQUIRE(w, !shoal_barrier_broken(barrier(w)) && !shoal_barrier_waiting(barrier(w)),
	             "reset, it is not as new");
	pid_t twin = sync_twin(w, come_second);
	for (int64_t began = step_now(); !shoal_barrier_waiting(barrier(w)) &&
	     step_now() - began < 1000000000;)
		usleep(50);
	STEP_WITHIN(w, "wait", rc = shoal_barrier_wait(barrier(w), SHOAL_SEC(2)));
	STEP_REQUIRE(w, rc == 1, "the last to come: %d", rc);
	sync_twin_end(w, twin);
}

static void
come_op(struct step_world *w)
{
	step_mine(w)->result = shoal_barrier_wait(barrier(w), SHOAL_NOWAIT);
}

static void
abort_op(struct step_world *w)
{
	step_mine(w)->result = shoal_barrier_abort(barrier(w));
}

static void
reset_op(struct step_world *w)
{
	step_mine(w)->result = shoal_barrier_reset(barrier(w));
}

static void
sleep_barrier(struct step_world *w)
{
	sync_warm(w);
	step_begin(w, "waiting for the others");
	int rc = shoal_barrier_wait(barrier(w), SHOAL_SEC(5));
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, rc == 0 || rc == -EPIPE, "the first to come: %d", rc);
}

static void
rouse_barrier(struct step_world *w)
{
	if (shoal_barrier_waiting(barrier(w)) != 1)
		sync_must_wake(w, "the round is over, or its last is dead");
	shoal_barrier_abort(barrier(w));
	sync_must_wake(w, "it is broken");
}

#define BARRIER .setup = setup, .clean = sync_clean, .prepare = sync_warm, \
		.check = check_barrier, .sleeper = sleep_barrier, .rouse = rouse_barrier
STEP_CASE(barrier, last, BARRIER, .op = come_op)
STEP_CASE(barrier, abort, BARRIER, .op = abort_op)
STEP_CASE(barrier, reset, BARRIER, .op = reset_op)
