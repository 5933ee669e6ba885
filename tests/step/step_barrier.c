/*
 * Barriers, killed and stopped at each instruction: the last to come, with and without an action,
 * and one between; abort and reset; with one asleep that came before.
 */
#include <errno.h>
#include <unistd.h>

#include "harness.h"
#include "sync_world.h"

static void
setup(struct step_world *w)
{
	sync_setup(w);
	shoal_barrier_init(&sync_page(w)->barrier, 2);
}

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
	sync_holder_ends(w);
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

/* ---- with an action, and of three ---- */

#define DIED 0x40000000u
enum { FIRST_PLACE = 8, PLACES = SHOAL_PARTIES_KNOWN_MAX };

static bool
any_died_inside(struct step_world *w)
{
	volatile uint32_t *words = (volatile uint32_t *)(void *)barrier(w);
	for (int i = 0; i < PLACES; i++)
		if (words[FIRST_PLACE + i] & DIED)
			return true;
	return false;
}

static uint32_t
parties(const struct step_world *w)
{
	return *(const uint32_t *)w->shape;
}

static void
setup_parties(struct step_world *w)
{
	sync_setup(w);
	shoal_barrier_init(barrier(w), parties(w));
}

static int
count(void *half)
{
	++*(volatile uint64_t *)half;
	return 0;
}

static int
refuse(void *half)
{
	++*(volatile uint64_t *)half;
	return -EIO;
}

static volatile uint64_t *
counted(struct step_world *w)
{
	return &sync_page(w)->half[0];
}

/* The action was done once before anybody went on. */
static void
went_on(struct step_world *w, const char *who, int rc)
{
	STEP_REQUIRE(w, rc == -EPIPE || (rc >= 0 && rc < (int)parties(w)), "%s: %d", who, rc);
	STEP_REQUIRE(w, rc < 0 || *counted(w) == 1, "%s goes on after %llu actions", who,
	             (unsigned long long)*counted(w));
}

static int
come(struct step_world *w, shoal_time timeout)
{
	return shoal_barrier_wait_do(barrier(w), count, &sync_page(w)->half[0], timeout);
}

static void
come_do_op(struct step_world *w)
{
	step_mine(w)->result = come(w, SHOAL_SEC(5));
}

static void
come_refuse_op(struct step_world *w)
{
	step_mine(w)->result = shoal_barrier_wait_do(barrier(w), refuse, &sync_page(w)->half[0],
	                                             SHOAL_SEC(5));
}

static void
came_after(struct step_world *w)
{
	int rc = (int)step_mine(w)->result;
	sync_nothing_pending(w);
	if (!sync_stage(w)->stands && rc != -EIO)
		went_on(w, "the victim", rc);
}

static void
come_between(struct step_world *w)
{
	went_on(w, "one beside the victim", come(w, SHOAL_SEC(2)));
}

/* Those who are missing come, one of them last. */
static void
come_waker(struct step_world *w)
{
	pid_t twin = 0;
	if (sync_stage(w)->waked++)
		return;
	if (parties(w) > 2 && shoal_barrier_waiting(barrier(w)) == 1)
		twin = sync_twin(w, come_between);
	went_on(w, "the last to come", come(w, SHOAL_SEC(2)));
	if (twin)
		sync_twin_end(w, twin);
}

static void
sleep_party(struct step_world *w)
{
	sync_warm(w);
	sync_stage(w)->sleeper = getpid();
	step_begin(w, "waiting for the others");
	int rc = come(w, SHOAL_SEC(5));
	step_mine(w)->inside = 0;
	went_on(w, "the first to come", rc);
}

/* Who dies in the call breaks the round at once; who had not come yet is not known. */
static void
rouse_party(struct step_world *w)
{
	bool last = parties(w) == 2 && w->part[STEP_VICTIM].done;
	if (any_died_inside(w) || sync_stage(w)->waked || last)
		sync_must_wake(w, "a party died in the call, or the round is complete");
	shoal_barrier_abort(barrier(w));
	sync_must_wake(w, "it is broken");
}

static void
come_in_time(struct step_world *w)
{
	(void)come(w, SHOAL_SEC(1));
}

static void
check_parties(struct step_world *w)
{
	pid_t twin[4] = { 0 };
	int rc;
	sync_holder_ends(w);
	STEP_WITHIN(w, "reset", shoal_barrier_reset(barrier(w)));
	STEP_REQUIRE(w, !shoal_barrier_broken(barrier(w)) && !shoal_barrier_waiting(barrier(w)),
	             "reset, it is not as new");
	for (uint32_t i = 0; i + 1 < parties(w); i++)
		twin[i] = sync_twin(w, come_in_time);
	*counted(w) = 0;
	STEP_WITHIN(w, "wait", rc = come(w, SHOAL_SEC(2)));
	STEP_REQUIRE(w, rc + 1 == (int)parties(w) && *counted(w) == 1, "the last to come: %d", rc);
	for (uint32_t i = 0; i + 1 < parties(w); i++)
		sync_twin_end(w, twin[i]);
}

/* ---- whom a stopped party holds up: nobody, once the barrier is reset ---- */

static void
keep_breaking(struct step_world *w)
{
	while (sync_victim_waits(w)) {
		shoal_barrier_abort(barrier(w));
		usleep(100);
	}
}

static void
clean_breaker(struct step_world *w)
{
	sync_clean_holder(w, sync_take_nothing, keep_breaking);
}

/* A round of others; a victim that came to this one too, before it stood still, is in their way. */
static bool
try_round(struct step_world *w, int64_t ns)
{
	uint32_t all = shoal_barrier_parties(barrier(w));
	pid_t twin[4] = { 0 };
	shoal_barrier_reset(barrier(w));
	for (uint32_t i = 0; i + 1 < all; i++)
		twin[i] = sync_twin(w, come_in_time);
	int rc = shoal_barrier_wait(barrier(w), ns);
	if (rc < 0)
		shoal_barrier_abort(barrier(w));
	for (uint32_t i = 0; i + 1 < all; i++)
		sync_twin_end(w, twin[i]);
	sync_victim_stands(w);
	return rc < 0;
}

/* One who comes, alone; and who breaks what he finds, and makes it as new. */
static void
meet_come(struct step_world *w)
{
	step_mine(w)->result = shoal_barrier_wait(barrier(w), SHOAL_NOWAIT);
}

static void
meet_reset(struct step_world *w)
{
	shoal_barrier_abort(barrier(w));
	step_mine(w)->result = shoal_barrier_reset(barrier(w));
}

#define MEETS .meet_prepare = sync_warm, .meet = { meet_come, meet_come, meet_reset }
#define PARTIES(n) .shape = &(const uint32_t){ n }, .setup = setup_parties, \
	  .clean = clean_breaker, .prepare = sync_victim_prepare, .waker = come_waker, \
	  .check = check_parties, .sleeper = sleep_party, .rouse = rouse_party, \
	  .role = { { "round", try_round } }, MEETS, .unwatched = true
STEP_CASE(barrier, wait_do, PARTIES(2), .op = come_do_op, .after = came_after)
STEP_CASE(barrier, wait_do_fails, PARTIES(2), .op = come_refuse_op, .after = came_after)
STEP_CASE(barrier, second_of_three, PARTIES(3), .op = come_do_op, .after = came_after)

#define BARRIER .setup = setup, .clean = clean_breaker, .prepare = sync_victim_prepare, \
		.check = check_barrier, .sleeper = sleep_barrier, .rouse = rouse_barrier, \
		.role = { { "round", try_round } }, MEETS
STEP_CASE(barrier, last, BARRIER, .op = come_op)
STEP_CASE(barrier, abort, BARRIER, .op = abort_op)
STEP_CASE(barrier, reset, BARRIER, .op = reset_op)
