/*
 * Semaphores whose permits have owners: taken, given back and waited for, killed and stopped at
 * each instruction. Whatever the dead one had comes back.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arena_world.h"
#include "harness.h"
#include "sync_world.h"

enum { PERMITS = 2 };

static shoal_semaphore *
semaphore(struct step_world *w)
{
	return w->object[0];
}

static void
setup(struct step_world *w)
{
	shoal_semaphore *s;
	arena_world(w);
	STEP_REQUIRE(w, shoal_semaphore_create(w->arena, "pool", PERMITS, SHOAL_SEMAPHORE_OWNED,
	                                       &s) == 0, "%s", shoal_error());
	w->object[0] = s;
	w->object[1] = mmap(NULL, sizeof(struct sync_stage), PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	STEP_REQUIRE(w, w->object[1] != MAP_FAILED, "no memory");
}

static void
holder_gives(struct step_world *w)
{
	if (w->of->waker)
		sync_holder_gives(w);
}

static void
take(struct step_world *w, const char *who)
{
	int rc;
	STEP_WITHIN(w, "acquire", rc = shoal_semaphore_acquire(semaphore(w), SHOAL_SEC(2)));
	STEP_REQUIRE(w, rc == 0, "the acquire of %s: %d, %s", who, rc, shoal_error());
}

static void
give(struct step_world *w, const char *who)
{
	int rc = shoal_semaphore_release(semaphore(w));
	STEP_REQUIRE(w, rc == 0, "the release of %s: %d, %s", who, rc, shoal_error());
}

/* No process that had one lives: all are there, and no more. */
static void
check(struct step_world *w)
{
	const struct step_part *victim = &w->part[STEP_VICTIM];
	sync_holder_ends(w);
	STEP_REQUIRE(w, !victim->done || victim->result == 0, "the call returned %lld",
	             (long long)victim->result);
	for (int i = 0; i < PERMITS; i++)
		take(w, "the last");
	int rc = shoal_semaphore_acquire(semaphore(w), SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == -EAGAIN, "one more than there are: %d", rc);
	for (int i = 0; i < PERMITS; i++)
		give(w, "the last");
	rc = shoal_semaphore_release(semaphore(w));
	STEP_REQUIRE(w, rc == -EPERM, "a release of nothing: %d", rc);
}

static void
cycle(struct step_world *w)
{
	take(w, "a survivor");
	give(w, "a survivor");
}

static void
prepare(struct step_world *w)
{
	arena_join(w);
	sync_victim_prepare(w);
}

/* The victim has all of them, and the sleeper sleeps for one. */
static void
prepare_taken(struct step_world *w)
{
	prepare(w);
	for (int i = 0; i < PERMITS; i++)
		take(w, "the victim");
	sync_let_go(w);
}

static void
prepare_slept(struct step_world *w)
{
	prepare(w);
	sync_holder_takes(w);
}

static void
acquire_op(struct step_world *w)
{
	step_mine(w)->result = shoal_semaphore_acquire(semaphore(w), SHOAL_SEC(5));
}

static void
release_op(struct step_world *w)
{
	step_mine(w)->result = shoal_semaphore_release(semaphore(w));
}

static void
after(struct step_world *w)
{
	STEP_REQUIRE(w, step_mine(w)->result == 0, "the victim's call: %d",
	             (int)step_mine(w)->result);
	sync_nothing_pending(w);
}

static void
sleeper(struct step_world *w)
{
	arena_join(w);
	sync_held_back(w);
	int rc = shoal_semaphore_acquire(semaphore(w), SHOAL_SEC(5));
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, rc == 0, "the sleeping acquire: %d, %s", rc, shoal_error());
	give(w, "the sleeper");
}

/* Whoever had a permit gave it back, or is dead. */
static void
rouse(struct step_world *w)
{
	sync_let_go_at_once(w);
	holder_gives(w);
	sync_must_wake(w, "a permit is free");
}

/* ---- a holder that takes all of them, and gives them back ---- */

static void
take_all(struct step_world *w)
{
	for (int i = 0; i < PERMITS; i++)
		take(w, "the holder");
}

static void
give_all(struct step_world *w)
{
	for (int i = 0; i < PERMITS; i++)
		give(w, "the holder");
}

static void
clean_holder(struct step_world *w)
{
	sync_clean_holder(w, take_all, give_all);
}

static void
waker(struct step_world *w)
{
	if (!sync_stage(w)->waked++)
		sync_let_go(w);
	sync_holder_gives(w);
}

static bool
try_permit(struct step_world *w, int64_t ns)
{
	holder_gives(w);
	if (shoal_semaphore_acquire(semaphore(w), ns) != 0)
		return true;
	give(w, "another one");
	return false;
}

#define SURVIVORS .setup = setup, .check = check, .crowd = cycle, .after = after, \
	  .audit = arena_audit, .role = { { "permit", try_permit } }
#define MEETS .meet_prepare = arena_join, .meet = { cycle, meet_recover }
#define SLEEPS .sleeper = sleeper, .rouse = rouse

STEP_CASE(owned, acquire, SURVIVORS, MEETS, .clean = sync_clean, .prepare = prepare,
          .op = acquire_op)
STEP_CASE(owned, release, SURVIVORS, MEETS, SLEEPS, .clean = sync_clean, .prepare = prepare_taken,
          .op = release_op)
STEP_CASE(owned, acquire_slept, SURVIVORS, SLEEPS, .clean = clean_holder, .prepare = prepare_slept,
          .op = acquire_op, .waker = waker, .unwatched = true)
