/*
 * Locks, rlocks and rwlocks, killed and stopped at each instruction: taken free and contended,
 * given back, mended, lost; with one asleep for them, and one who barges in before it.
 */
#include <errno.h>
#include <unistd.h>
#include <sys/wait.h>

#include "harness.h"
#include "sync_world.h"

enum { ROUNDS = 20 };

struct way {
	int (*take)(void *lock, shoal_time timeout);
	int (*give)(void *lock);
	int (*mend)(void *lock);
	int (*init)(void *lock, unsigned flags);
};

static int
lock_take(void *lock, shoal_time timeout)
{
	return shoal_lock_acquire(lock, timeout);
}

static int
lock_give(void *lock)
{
	return shoal_lock_release(lock);
}

static int
lock_mend(void *lock)
{
	return shoal_lock_consistent(lock);
}

static int
lock_init(void *lock, unsigned flags)
{
	return shoal_lock_init_with(lock, flags);
}

static int
rlock_take(void *lock, shoal_time timeout)
{
	return shoal_rlock_acquire(lock, timeout);
}

static int
rlock_give(void *lock)
{
	return shoal_rlock_release(lock);
}

static int
rlock_mend(void *lock)
{
	return shoal_rlock_consistent(lock);
}

static int
rlock_init(void *lock, unsigned flags)
{
	return shoal_rlock_init(lock, flags);
}

static int
rw_write(void *lock, shoal_time timeout)
{
	return shoal_rwlock_write(lock, timeout);
}

static int
rw_read(void *lock, shoal_time timeout)
{
	return shoal_rwlock_read(lock, timeout);
}

static int
rw_give(void *lock)
{
	return shoal_rwlock_release(lock);
}

static int
rw_mend(void *lock)
{
	return shoal_rwlock_consistent(lock);
}

static int
rw_init(void *lock, unsigned flags)
{
	return shoal_rwlock_init(lock, flags);
}

static const struct way lock_way = { lock_take, lock_give, lock_mend, lock_init };
static const struct way rlock_way = { rlock_take, rlock_give, rlock_mend, rlock_init };
static const struct way write_way = { rw_write, rw_give, rw_mend, rw_init };
static const struct way read_way = { rw_read, rw_give, rw_mend, rw_init };

struct lock_shape {
	const struct way *mine;    /* how the victim takes it */
	const struct way *alone;   /* how survivors do */
	const struct way *sleeper; /* who sleeps for it, where that is not as survivors do */
	const struct way *holder;  /* for whom the victim sleeps */
	unsigned flags;
	bool suspect; /* setup leaves it with a dead holder */
	bool keeps;   /* the victim's call leaves it held, alone */
	bool ends;    /* the victim's thread ends with it */
	bool loses;   /* the victim's call gives it back suspect */
	bool barges;  /* the rouser takes it again and again, so long as another one sleeps */
};

static const struct lock_shape *
shape(const struct step_world *w)
{
	return w->shape;
}

static void *
lock_of(struct step_world *w)
{
	return &sync_page(w)->lock;
}

/* A process takes it and ends. */
static void
leave_suspect(struct step_world *w)
{
	int status = 1;
	pid_t pid = fork();
	if (pid == 0)
		_exit(shape(w)->alone->take(lock_of(w), SHOAL_NOWAIT) ? 1 : 0);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	STEP_REQUIRE(w, status == 0, "setup cannot take it");
}

static void
setup(struct step_world *w)
{
	sync_setup(w);
	STEP_REQUIRE(w, shape(w)->alone->init(lock_of(w), shape(w)->flags) == 0, "init");
	if (shape(w)->suspect)
		leave_suspect(w);
}

/* ---- what survivors demand ---- */

/* Held, and what it guards is whole. */
static void
held(struct step_world *w, const struct way *way, int rc)
{
	uint64_t *half = sync_page(w)->half;
	STEP_REQUIRE(w, shoal_have(rc), "acquire: %d, %s", rc, shoal_error());
	STEP_REQUIRE(w, rc == 0 || !(shape(w)->flags & SHOAL_LOCK_AUTOCLEAN),
	             "a death is told of an autoclean lock");
	if (rc == -EOWNERDEAD) {
		sync_stage(w)->met = 1;
		half[1] = half[0];
		rc = way->mend(lock_of(w));
		STEP_REQUIRE(w, rc == 0, "consistent: %d", rc);
	}
	STEP_REQUIRE(w, half[0] == half[1] || (shape(w)->flags & SHOAL_LOCK_AUTOCLEAN),
	             "half of a change is left, and no death is told");
}

/* One after another: two that are at it at once see it as the other's change. */
static void
turn(struct step_world *w)
{
	const struct way *way = shape(w)->alone;
	volatile uint64_t *half = sync_page(w)->half;
	int rc;
	STEP_WITHIN(w, "acquire", rc = way->take(lock_of(w), SHOAL_MS(SYNC_TIMEOUT_MS)));
	held(w, way, rc);
	uint64_t was = half[0];
	half[0] = was + 1;
	for (int i = 0; i < 50; i++)
		STEP_REQUIRE(w, half[0] == was + 1, "two hold it");
	half[1] = was + 1;
	rc = way->give(lock_of(w));
	STEP_REQUIRE(w, rc == 0, "release: %d, %s", rc, shoal_error());
}

static void
told_right(struct step_world *w)
{
	const struct step_part *victim = &w->part[STEP_VICTIM];
	/* One who met it first was told, and died itself once it had mended it. */
	bool second = w->part[STEP_SECOND].result == -EOWNERDEAD;
	bool met = sync_stage(w)->met || second;
	/* Of whose death anybody may be told. */
	bool died = w->part[STEP_SECOND].inside && !w->part[STEP_SECOND].done;
	if (shape(w)->suspect || (shape(w)->flags & SHOAL_LOCK_AUTOCLEAN))
		return;
	if (shape(w)->keeps && w->killed && victim->done == 1 && shoal_have((int)victim->result))
		STEP_REQUIRE(w, met, "it died with the lock, and nobody is told");
	if (victim->done == 2 && shape(w)->ends)
		STEP_REQUIRE(w, met, "its thread ended with the lock, and nobody is told");
	else if (victim->done == 2)
		STEP_REQUIRE(w, !met || died || (shape(w)->keeps && w->killed),
		             "a death is told of the living");
}

static void
check(struct step_world *w)
{
	shoal_lock_info info;
	turn(w);
	told_right(w);
	for (int i = 0; i < 3; i++)
		turn(w);
	shoal_lock_stat(lock_of(w), &info);
	STEP_REQUIRE(w, info.owner == 0, "%d holds a lock that was given back", (int)info.owner);
	STEP_REQUIRE(w, info.waiting == 0, "%u wait for a free lock", info.waiting);
}

static void
crowd(struct step_world *w)
{
	sync_warm(w);
	step_meet(w, 2);
	for (int i = 0; i < ROUNDS; i++)
		turn(w);
}

/* Lost from the moment that release returned, until it is made anew. */
static void
check_lost(struct step_world *w)
{
	const struct way *way = shape(w)->alone;
	int rc;
	STEP_WITHIN(w, "acquire", rc = way->take(lock_of(w), SHOAL_MS(SYNC_TIMEOUT_MS)));
	STEP_REQUIRE(w, rc == -ENOTRECOVERABLE || (shoal_have(rc) && !w->part[STEP_VICTIM].done),
	             "acquire: %d of a lock that was given back suspect", rc);
	if (shoal_have(rc)) {
		held(w, way, rc);
		rc = way->give(lock_of(w));
		STEP_REQUIRE(w, rc == 0, "release: %d", rc);
	}
	rc = way->init(lock_of(w), 0);
	STEP_REQUIRE(w, rc == 0, "init: %d", rc);
	check(w);
}

/* ---- the victim ---- */

static void
take_op(struct step_world *w)
{
	step_mine(w)->result = shape(w)->mine->take(lock_of(w), SHOAL_SEC(5));
}

static void
take_after(struct step_world *w)
{
	int rc = (int)step_mine(w)->result;
	STEP_REQUIRE(w, shoal_have(rc), "the victim's acquire: %d", rc);
	sync_nothing_pending(w);
	if (rc == -EOWNERDEAD)
		shape(w)->mine->mend(lock_of(w));
	rc = shape(w)->mine->give(lock_of(w));
	STEP_REQUIRE(w, rc == 0, "the victim's release: %d", rc);
}

/* It holds it; then one falls asleep for it, where there is one. */
static void
hold_prepare(struct step_world *w)
{
	int rc = shape(w)->mine->take(lock_of(w), SHOAL_NOWAIT);
	STEP_REQUIRE(w, shoal_have(rc), "prepare cannot take it: %d", rc);
	sync_let_go(w);
}

static void
give_op(struct step_world *w)
{
	step_mine(w)->result = shape(w)->mine->give(lock_of(w));
}

static void
give_after(struct step_world *w)
{
	STEP_REQUIRE(w, step_mine(w)->result == 0, "the victim's release: %d",
	             (int)step_mine(w)->result);
	sync_nothing_pending(w);
}

static void
mend_op(struct step_world *w)
{
	step_mine(w)->result = shape(w)->mine->mend(lock_of(w));
}

static void
mend_after(struct step_world *w)
{
	give_after(w);
	shape(w)->mine->give(lock_of(w));
}

static void
cycle_op(struct step_world *w)
{
	volatile uint64_t *half = sync_page(w)->half;
	void *lock = lock_of(w);
	const struct way *way = shape(w)->mine;
	step_mine(w)->result = way->take(lock, SHOAL_SEC(5));
	half[0]++;
	half[1]++;
	way->give(lock);
}

/* Its thread ends, and the process stays. */
static void
end_op(struct step_world *w)
{
	step_mine(w)->result = 0;
}

/* An rlock twice. */
static void
again_op(struct step_world *w)
{
	volatile uint64_t *half = sync_page(w)->half;
	void *lock = lock_of(w);
	const struct way *way = shape(w)->mine;
	step_mine(w)->result = way->take(lock, SHOAL_SEC(5));
	half[0]++;
	(void)way->take(lock, SHOAL_SEC(5));
	half[1]++;
	way->give(lock);
	way->give(lock);
}

/* ---- the holder, for whom the victim sleeps ---- */

static void
holder_take(struct step_world *w)
{
	int rc = shape(w)->holder->take(lock_of(w), SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == 0, "the holder's acquire: %d", rc);
}

static void
holder_give(struct step_world *w)
{
	int rc = shape(w)->holder->give(lock_of(w));
	STEP_REQUIRE(w, rc == 0, "the holder's release: %d", rc);
}

static void
clean_holder(struct step_world *w)
{
	sync_clean_holder(w, holder_take, holder_give);
}

static void
slept_prepare(struct step_world *w)
{
	sync_warm(w);
	sync_stage(w)->victim = getpid();
	sync_holder_takes(w);
}

/* A sleeper comes behind the victim: what wakes a victim that dies must wake it. */
static void
slept_waker(struct step_world *w)
{
	if (!sync_stage(w)->waked++)
		sync_let_go(w);
	sync_holder_gives(w);
}

/* ---- sleepers ---- */

static void
sleeper(struct step_world *w)
{
	const struct way *way = shape(w)->sleeper ? shape(w)->sleeper : shape(w)->alone;
	sync_warm(w);
	sync_held_back(w);
	int rc = way->take(lock_of(w), SHOAL_SEC(5));
	step_mine(w)->inside = 0;
	step_mine(w)->result = rc;
	if (shape(w)->loses && rc == -ENOTRECOVERABLE)
		return;
	held(w, way, rc);
	rc = way->give(lock_of(w));
	STEP_REQUIRE(w, rc == 0, "the sleeper's release: %d", rc);
}

static void
barge(struct step_world *w)
{
	const struct way *way = shape(w)->alone;
	int rc = way->take(lock_of(w), SHOAL_NOWAIT);
	if (rc == -EAGAIN)
		return;
	held(w, way, rc);
	way->give(lock_of(w));
}

static void
rouse(struct step_world *w)
{
	sync_let_go_at_once(w);
	int64_t began = step_begin(w, "one barges in, and it sleeps on");
	while (shape(w)->barges && sync_sleeps(w) && step_now() - began < 1000000000) {
		barge(w);
		usleep(30);
	}
	if (shape(w)->barges)
		step_end(w, "the lock is free, and one barges in", began);
	sync_must_wake(w, "the lock is free");
}

/* ---- those who come upon the dead, and those whom a stopped one may hold up ---- */

static void
meet_by(struct step_world *w, const struct way *way)
{
	int rc = way->take(lock_of(w), SHOAL_MS(SYNC_TIMEOUT_MS));
	step_mine(w)->result = rc;
	if (rc == -EOWNERDEAD) {
		sync_page(w)->half[1] = sync_page(w)->half[0];
		way->mend(lock_of(w));
	}
	if (shoal_have(rc))
		way->give(lock_of(w));
}

static void
meet_cycle(struct step_world *w)
{
	meet_by(w, shape(w)->alone);
}

static void
meet_as_victim(struct step_world *w)
{
	meet_by(w, shape(w)->mine);
}

static bool
try_take(struct step_world *w, int64_t ns)
{
	const struct way *way = shape(w)->alone;
	sync_holder_gives(w);
	int rc = way->take(lock_of(w), ns);
	if (!shoal_have(rc))
		return rc != -ENOTRECOVERABLE;
	if (rc == -EOWNERDEAD) {
		sync_page(w)->half[1] = sync_page(w)->half[0];
		way->mend(lock_of(w));
	}
	way->give(lock_of(w));
	return false;
}

/* It takes no lock. */
static bool
try_stat(struct step_world *w, int64_t ns)
{
	shoal_lock_info info;
	int64_t began = step_now();
	sync_holder_gives(w);
	shoal_lock_stat(lock_of(w), &info);
	return step_now() - began > ns;
}

#define SHAPE(...) .shape = &(const struct lock_shape){ __VA_ARGS__ }
#define SURVIVORS .setup = setup, .clean = sync_clean, .check = check, .crowd = crowd
#define MEETS .meet_prepare = sync_warm, .meet = { meet_cycle, meet_cycle, meet_as_victim }
#define HELD .role = { { "stat", try_stat }, { "acquire", try_take } }
#define GIVEN .role = { { "acquire", try_take }, { "stat", try_stat } }
#define TAKE SURVIVORS, .prepare = sync_warm, .op = take_op, .after = take_after, HELD
#define CYCLE SURVIVORS, .prepare = sync_warm, .op = cycle_op, GIVEN
#define GIVE SURVIVORS, .prepare = hold_prepare, .op = give_op, .after = give_after, \
			.sleeper = sleeper, .rouse = rouse, GIVEN
#define SLEPT .setup = setup, .clean = clean_holder, .check = check, .prepare = slept_prepare, \
	  .op = take_op, .after = take_after, .waker = slept_waker, .sleeper = sleeper, \
	  .rouse = rouse, .unwatched = true, HELD, MEETS

#define LOCK .mine = &lock_way, .alone = &lock_way
STEP_CASE(lock, acquire, SHAPE(LOCK, .keeps = true), TAKE, MEETS)
STEP_CASE(lock, acquire_suspect, SHAPE(LOCK, .keeps = true, .suspect = true), TAKE, MEETS)
STEP_CASE(lock, acquire_slept, SHAPE(LOCK, .keeps = true, .holder = &lock_way), SLEPT)
STEP_CASE(lock, cycle, SHAPE(LOCK), CYCLE, MEETS)
STEP_CASE(lock, autoclean, SHAPE(LOCK, .flags = SHOAL_LOCK_AUTOCLEAN), CYCLE, MEETS)
STEP_CASE(lock, release, SHAPE(LOCK), GIVE, MEETS)
STEP_CASE(lock, release_barger, SHAPE(LOCK, .barges = true), GIVE)
STEP_CASE(lock, release_autoclean, SHAPE(LOCK, .flags = SHOAL_LOCK_AUTOCLEAN), GIVE, MEETS)
STEP_CASE(lock, release_suspect, SHAPE(LOCK, .suspect = true, .loses = true), .setup = setup,
          .clean = sync_clean, .prepare = hold_prepare, .op = give_op, .after = give_after,
          .sleeper = sleeper, .rouse = rouse, .check = check_lost, GIVEN)
STEP_CASE(lock, consistent, SHAPE(LOCK, .keeps = true, .suspect = true), SURVIVORS,
          .prepare = hold_prepare, .op = mend_op, .after = mend_after, .sleeper = sleeper,
          .rouse = rouse, HELD, MEETS)

STEP_CASE(lock, thread_end, SHAPE(LOCK, .ends = true), SURVIVORS, .prepare = hold_prepare,
          .op = end_op, .sleeper = sleeper, .rouse = rouse, HELD, MEETS, .thread = true)

#define RLOCK .mine = &rlock_way, .alone = &rlock_way
STEP_CASE(rlock, acquire, SHAPE(RLOCK, .keeps = true), TAKE, MEETS)
STEP_CASE(rlock, acquire_slept, SHAPE(RLOCK, .keeps = true, .holder = &rlock_way), SLEPT)
STEP_CASE(rlock, again, SHAPE(RLOCK), SURVIVORS, .prepare = sync_warm, .op = again_op, GIVEN, MEETS)
STEP_CASE(rlock, release, SHAPE(RLOCK, .barges = true), GIVE, MEETS)
STEP_CASE(rlock, consistent, SHAPE(RLOCK, .keeps = true, .suspect = true), SURVIVORS,
          .prepare = hold_prepare, .op = mend_op, .after = mend_after, .sleeper = sleeper,
          .rouse = rouse, HELD, MEETS)

/* Which place a reader takes depends on its thread id, so no two runs are alike. */
#define WRITE .mine = &write_way, .alone = &write_way
#define READ .mine = &read_way, .alone = &write_way
STEP_CASE(rwlock, write, SHAPE(WRITE, .keeps = true), TAKE, MEETS)
STEP_CASE(rwlock, write_release, SHAPE(WRITE, .sleeper = &read_way), GIVE, MEETS)
STEP_CASE(rwlock, write_release_writer, SHAPE(WRITE, .barges = true), GIVE)
STEP_CASE(rwlock, write_consistent, SHAPE(WRITE, .keeps = true, .suspect = true), SURVIVORS,
          .prepare = hold_prepare, .op = mend_op, .after = mend_after, .sleeper = sleeper,
          .rouse = rouse, HELD, MEETS)
STEP_CASE(rwlock, read, SHAPE(READ), TAKE, MEETS, .unwatched = true)
STEP_CASE(rwlock, read_release, SHAPE(READ), GIVE, MEETS, .unwatched = true)
STEP_CASE(rwlock, read_release_barger, SHAPE(READ, .barges = true), GIVE, .unwatched = true)
STEP_CASE(rwlock, read_thread_end, SHAPE(READ), SURVIVORS, .prepare = hold_prepare, .op = end_op,
          .sleeper = sleeper, .rouse = rouse, HELD, MEETS, .thread = true, .unwatched = true)
STEP_CASE(rwlock, write_slept, SHAPE(WRITE, .keeps = true, .holder = &read_way), SLEPT)
STEP_CASE(rwlock, write_slept_writer, SHAPE(WRITE, .keeps = true, .holder = &write_way), SLEPT)
STEP_CASE(rwlock, read_slept, SHAPE(READ, .holder = &write_way), SLEPT)
