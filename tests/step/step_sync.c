/*
 * Semaphores and events, killed and stopped at each instruction, with those asleep whom the call is
 * to wake, or who sleep beside the victim.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"
#include "sync_world.h"

enum { PERMITS = 2, BOUND = 4 };

static void
setup(struct step_world *w)
{
	sync_setup(w);
	shoal_semaphore_init(&sync_page(w)->semaphore, 0, BOUND);
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

/* One who came upon it took one and died may have it. */
static int
lost_with_second(struct step_world *w)
{
	return w->part[STEP_SECOND].inside && !w->part[STEP_SECOND].done;
}

static void
meet_permit(struct step_world *w)
{
	int rc = shoal_semaphore_acquire(semaphore(w), SHOAL_NOWAIT);
	step_mine(w)->result = rc;
	if (rc == 0)
		shoal_semaphore_release(semaphore(w));
}

static void
acquire_op(struct step_world *w)
{
	step_mine(w)->result = shoal_semaphore_acquire(semaphore(w), SHOAL_SEC(5));
}

static void
acquire_after(struct step_world *w)
{
	STEP_REQUIRE(w, step_mine(w)->result == 0, "the victim's acquire: %d",
	             (int)step_mine(w)->result);
	sync_nothing_pending(w);
}

static void
check_acquire(struct step_world *w)
{
	bool began = w->part[STEP_VICTIM].inside, done = w->part[STEP_VICTIM].done;
	check_permits(w, PERMITS - (began || done) - lost_with_second(w), PERMITS - done);
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
	check_permits(w, slept || lost_with_second(w) ? 0 : done, 1);
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

/* ---- an acquire that sleeps, with another one behind it ---- */

static void
give_permit(struct step_world *w)
{
	__atomic_add_fetch(&sync_stage(w)->given, 1, __ATOMIC_SEQ_CST);
	STEP_REQUIRE(w, shoal_semaphore_release(semaphore(w)) == 0, "release: %s", shoal_error());
}

/* For a victim that was stopped, and goes on to sleep. */
static void
keep_giving(struct step_world *w)
{
	while (sync_victim_waits(w)) {
		if (shoal_semaphore_value(semaphore(w)) == 0)
			give_permit(w);
		usleep(100);
	}
}

static void
clean_giver(struct step_world *w)
{
	sync_clean_holder(w, sync_take_nothing, keep_giving);
}

/* One permit for two: the victim's, who slept first, unless the sleeper was quicker. */
static void
permit_waker(struct step_world *w)
{
	struct sync_stage *s = sync_stage(w);
	if (!s->waked++)
		sync_let_go(w);
	else if (!s->sleeper || sync_sleeps(w))
		return;
	give_permit(w);
}

static void
sleep_behind(struct step_world *w)
{
	sync_warm(w);
	sync_held_back(w);
	int rc = shoal_semaphore_acquire(semaphore(w), SHOAL_SEC(5));
	sync_stage(w)->taken += rc == 0;
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, rc == 0, "the sleeping acquire: %d", rc);
}

/* What the dead one was to have is for the one behind it, at once. */
static void
rouse_behind(struct step_world *w)
{
	if (!sync_stage(w)->waked)
		sync_let_go(w);
	if (shoal_semaphore_value(semaphore(w)) == 0 && sync_sleeps(w))
		give_permit(w);
	sync_must_wake(w, "a permit is there");
}

/* All that were given and not taken are there; one may have gone with the dead. */
static void
check_slept(struct step_world *w)
{
	sync_holder_ends(w);
	const struct step_part *victim = &w->part[STEP_VICTIM];
	int left = (int)sync_stage(w)->given - (int)sync_stage(w)->taken - (victim->done != 0);
	check_permits(w, left - (victim->inside && !victim->done) - lost_with_second(w), left);
}

static bool
try_permit_beside(struct step_world *w, int64_t ns)
{
	give_permit(w);
	sync_victim_stands(w);
	if (shoal_semaphore_acquire(semaphore(w), ns) != 0)
		return true;
	sync_stage(w)->taken++;
	return false;
}

#define MEETS_PERMIT .meet_prepare = sync_warm, .meet = { meet_permit, meet_permit }
STEP_CASE(semaphore, acquire_slept, .setup = setup, .clean = clean_giver,
          .prepare = sync_victim_prepare, .op = acquire_op, .after = acquire_after,
          .check = check_slept, .waker = permit_waker, .sleeper = sleep_behind,
          .rouse = rouse_behind, .role = { { "permit", try_permit_beside } }, .unwatched = true,
          MEETS_PERMIT)
STEP_CASE(semaphore, acquire, .setup = setup_permits, .clean = sync_clean, .prepare = sync_warm,
          .op = acquire_op, .check = check_acquire, .role = { { "permit", try_permit } },
          MEETS_PERMIT)
STEP_CASE(semaphore, release, .setup = setup, .clean = sync_clean, .prepare = sync_warm,
          .op = release_op, .check = check_release, .sleeper = sleep_acquire,
          .rouse = rouse_acquire, .role = { { "permit", try_permit } }, MEETS_PERMIT)

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

/* It changes all that it can. */
static void
meet_event(struct step_world *w)
{
	int rc = shoal_event_wait(event(w), SHOAL_NOWAIT);
	(void)rc;
	shoal_event_clear(event(w));
	shoal_event_set(event(w));
	step_mine(w)->result = shoal_event_wait(event(w), SHOAL_NOWAIT);
}

#define MEETS_EVENT .meet_prepare = sync_warm, .meet = { meet_event, meet_event }
STEP_CASE(event, set, .setup = setup, .clean = sync_clean, .prepare = sync_warm, .op = set_op,
          .check = check_event, .sleeper = sleep_event, .rouse = rouse_event,
          .role = { { "event", try_event } }, MEETS_EVENT)
STEP_CASE(event, clear, .setup = setup, .clean = sync_clean, .prepare = set_prepare,
          .op = clear_op, .check = check_event, .role = { { "event", try_event } }, MEETS_EVENT)

/* ---- a wait that sleeps, with two others behind it ---- */

static void
wait_op(struct step_world *w)
{
	step_mine(w)->result = shoal_event_wait(event(w), SHOAL_SEC(5));
}

static void
wait_after(struct step_world *w)
{
	STEP_REQUIRE(w, step_mine(w)->result == 0, "the victim's wait: %d",
	             (int)step_mine(w)->result);
	sync_nothing_pending(w);
}

static void
wait_when_let(struct step_world *w)
{
	while (!sync_stage(w)->go)
		usleep(100);
	wait_event(w);
}

static void
sleep_event_behind(struct step_world *w)
{
	sync_warm(w);
	pid_t twin = sync_twin(w, wait_when_let);
	sync_held_back(w);
	wait_event(w);
	sync_twin_end(w, twin);
	step_mine(w)->inside = 0;
}

static void
set_waker(struct step_world *w)
{
	if (!sync_stage(w)->waked++)
		sync_let_go(w);
	shoal_event_set(event(w));
}

/*
 * As of a setter that died between its turn and its wake: for it the kernel woke one, the victim,
 * and whoever is woken so wakes the others. Should it die, the kernel wakes the next one.
 */
static void
turn_waker(struct step_world *w)
{
	volatile uint32_t *words = (volatile uint32_t *)(void *)event(w);
	if (!sync_stage(w)->waked++)
		sync_let_go(w);
	if (shoal_event_is_set(event(w)))
		return;
	__atomic_add_fetch(&words[0], 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &words[1], FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void
rouse_event_behind(struct step_world *w)
{
	if (!sync_stage(w)->waked)
		sync_let_go(w);
	if (!shoal_event_is_set(event(w)))
		shoal_event_set(event(w));
	sync_must_wake(w, "it is set");
}

#define WAITS .setup = setup, .clean = sync_clean, .prepare = sync_warm, .op = wait_op, \
	  .after = wait_after, .check = check_event, .sleeper = sleep_event_behind, \
	  .rouse = rouse_event_behind, .role = { { "event", try_event } }, .unwatched = true, \
	  MEETS_EVENT
STEP_CASE(event, wait, WAITS, .waker = set_waker)
STEP_CASE(event, wait_chosen, WAITS, .waker = turn_waker)
