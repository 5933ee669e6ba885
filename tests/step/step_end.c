/*
 * Named objects destroyed while others wait for them: who destroys is killed, who waits is killed,
 * and both, one after the other. Whoever is left learns that it is over, the name is free, and all
 * memory comes back.
 *
 * Locks are held meanwhile by the stage's holder, who gives a lock back although it is destroyed.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness.h"
#include "object_kinds.h"
#include "people.h"
#include "sync_world.h"

#include <shoal/data.h>
#include <shoal/pipe.h>
#include <shoal/queue.h>

/* object[0]: one named "old"; object[1]: the stage. */
struct kind {
	const struct object_kind *names; /* create and destroy */
	int (*open)(struct step_world *w, void **out);
	int (*wait)(struct step_world *w, shoal_time timeout);
	int (*take)(struct step_world *w);
	int (*give)(struct step_world *w);
	/* Who recovers a dead destroyer finds that nothing refers to it: until then it goes on. */
	bool lasts;
};

enum { WAIT_MS = 2 };

static const struct kind *
kind(const struct step_world *w)
{
	return w->shape;
}

/* ---- the kinds ---- */

#define OPEN(kind_) \
	static int open_##kind_(struct step_world *w, void **out) \
	{ \
		return shoal_##kind_##_open(w->arena, "old", SHOAL_NOWAIT, (shoal_##kind_ **)out); \
	}
OPEN(lock)
OPEN(rwlock)
OPEN(semaphore)
OPEN(condition)
OPEN(event)
OPEN(queue)
OPEN(value)

static int
open_pipe(struct step_world *w, void **out)
{
	return shoal_pipe_open(w->arena, "old", SHOAL_LEFT, SHOAL_NOWAIT, (shoal_pipe_end **)out);
}

static int
take_lock(struct step_world *w)
{
	return shoal_lock_acquire(w->object[0], SHOAL_NOWAIT);
}

static int
give_lock(struct step_world *w)
{
	return shoal_lock_release(w->object[0]);
}

static int
take_rwlock(struct step_world *w)
{
	return shoal_rwlock_read(w->object[0], SHOAL_NOWAIT);
}

static int
give_rwlock(struct step_world *w)
{
	return shoal_rwlock_release(w->object[0]);
}

static int
wait_lock(struct step_world *w, shoal_time timeout)
{
	return shoal_lock_acquire(w->object[0], timeout);
}

static int
wait_rwlock(struct step_world *w, shoal_time timeout)
{
	return shoal_rwlock_write(w->object[0], timeout);
}

static int
wait_semaphore(struct step_world *w, shoal_time timeout)
{
	return shoal_semaphore_acquire(w->object[0], timeout);
}

static int
wait_condition(struct step_world *w, shoal_time timeout)
{
	static shoal_lock own;
	int rc = shoal_lock_acquire(&own, SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == 0, "a lock of its own: %d", rc);
	rc = shoal_condition_wait(w->object[0], &own, timeout);
	shoal_lock_release(&own);
	return rc;
}

static int
wait_event(struct step_world *w, shoal_time timeout)
{
	return shoal_event_wait(w->object[0], timeout);
}

static int
wait_queue(struct step_world *w, shoal_time timeout)
{
	char message[40];
	return (int)shoal_queue_get(w->object[0], message, sizeof message, timeout);
}

static int
wait_pipe(struct step_world *w, shoal_time timeout)
{
	char message[40];
	return (int)shoal_pipe_recv(w->object[0], message, sizeof message, timeout);
}

static int
create_semaphore(struct step_world *w, const char *name, void **out)
{
	return shoal_semaphore_create(w->arena, name, 0, 1, (shoal_semaphore **)out);
}

static int
destroy_semaphore(struct step_world *w, void *object)
{
	return shoal_semaphore_destroy(w->arena, object);
}

/* Several wait at its left end. */
static int
create_pipe(struct step_world *w, const char *name, void **out)
{
	static const shoal_pipe_options options = { .ring_bytes = 4096,
		                                    .flags = SHOAL_PIPE_SHARED_ENDS };
	return shoal_pipe_create(w->arena, name, &options, (shoal_pipe_end **)out, NULL);
}

static int
destroy_pipe(struct step_world *w, void *object)
{
	return shoal_pipe_destroy(w->arena, object);
}

/* A value's own lock, in object[2]: it is waited for when the value is none any more. */
static int
create_value(struct step_world *w, const char *name, void **out)
{
	int rc = step_value_kind.create(w, name, out);
	if (rc == 0 && !w->object[2])
		w->object[2] = shoal_value_lock(*out);
	return rc;
}

static int
destroy_value(struct step_world *w, void *object)
{
	return step_value_kind.destroy(w, object);
}

static int
take_value(struct step_world *w)
{
	return shoal_rlock_acquire(w->object[2], SHOAL_NOWAIT);
}

static int
give_value(struct step_world *w)
{
	return shoal_rlock_release(w->object[2]);
}

static int
wait_value(struct step_world *w, shoal_time timeout)
{
	return shoal_rlock_acquire(w->object[2], timeout);
}

static const struct object_kind locked_value = { .create = create_value, .destroy = destroy_value };
static const struct object_kind empty_semaphore = { .create = create_semaphore,
	                                            .destroy = destroy_semaphore };
static const struct object_kind shared_pipe = { .create = create_pipe, .destroy = destroy_pipe };

static const struct kind lock_kind = { .names = &step_lock_kind,
	                               .open = open_lock,
	                               .wait = wait_lock,
	                               .take = take_lock,
	                               .give = give_lock };
static const struct kind rwlock_kind = { .names = &step_rwlock_kind,
	                                 .open = open_rwlock,
	                                 .wait = wait_rwlock,
	                                 .take = take_rwlock,
	                                 .give = give_rwlock };
static const struct kind semaphore_kind = { .names = &empty_semaphore,
	                                    .open = open_semaphore,
	                                    .wait = wait_semaphore };
static const struct kind condition_kind = { .names = &step_condition_kind,
	                                    .open = open_condition,
	                                    .wait = wait_condition };
static const struct kind event_kind = { .names = &step_event_kind,
	                                .open = open_event,
	                                .wait = wait_event };
static const struct kind queue_kind = { .names = &step_queue_kind,
	                                .open = open_queue,
	                                .wait = wait_queue };
static const struct kind pipe_kind = { .names = &shared_pipe,
	                               .open = open_pipe,
	                               .wait = wait_pipe };
static const struct kind value_kind = { .names = &locked_value,
	                                .open = open_value,
	                                .wait = wait_value,
	                                .take = take_value,
	                                .give = give_value,
	                                .lasts = true };

/* ---- the stage ---- */

static void
setup(struct step_world *w)
{
	arena_world(w);
	int rc = kind(w)->names->create(w, "old", &w->object[0]);
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
	w->object[1] = mmap(NULL, sizeof(struct sync_stage), PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	STEP_REQUIRE(w, w->object[1] != MAP_FAILED, "no memory");
}

static void
holder_takes(struct step_world *w)
{
	int rc = kind(w)->take(w);
	STEP_REQUIRE(w, rc == 0, "the holder's acquire: %d, %s", rc, shoal_error());
}

/* It leaves the arena, so that nobody counts it however slowly it ends. */
static void
holder_gives(struct step_world *w)
{
	int rc = kind(w)->give(w);
	STEP_REQUIRE(w, rc == 0, "the holder's release: %d, %s", rc, shoal_error());
	shoal_arena_close(w->arena);
}

static void
clean(struct step_world *w)
{
	if (kind(w)->take)
		sync_clean_holder(w, holder_takes, holder_gives);
	else
		sync_clean(w);
}

static void
prepare(struct step_world *w)
{
	arena_join(w);
	if (kind(w)->take)
		sync_holder_takes(w);
}

/* ---- who destroys, and who waits ---- */

static void
destroy_prepare(struct step_world *w)
{
	prepare(w);
	sync_let_go(w);
}

static void
destroy_op(struct step_world *w)
{
	step_mine(w)->result = kind(w)->names->destroy(w, w->object[0]);
}

static void
wait_op(struct step_world *w)
{
	step_mine(w)->result = kind(w)->wait(w, SHOAL_SEC(5));
}

static void
wait_after(struct step_world *w)
{
	STEP_REQUIRE(w, step_mine(w)->result == -EPIPE, "the victim's wait: %d",
	             (int)step_mine(w)->result);
	sync_nothing_pending(w);
}

static void
destroy(struct step_world *w)
{
	int rc;
	STEP_WITHIN(w, "destroy", rc = kind(w)->names->destroy(w, w->object[0]));
	STEP_REQUIRE(w, rc == 0, "destroy: %d, %s", rc, shoal_error());
}

/* Another one waits behind the victim, then it is over. */
static void
wait_waker(struct step_world *w)
{
	if (sync_stage(w)->waked++)
		return;
	sync_let_go(w);
	destroy(w);
}

static void
wait_over(struct step_world *w)
{
	int rc = kind(w)->wait(w, SHOAL_SEC(5));
	STEP_REQUIRE(w, rc == -EPIPE, "the wait for what is destroyed: %d", rc);
}

/* In the arena already: what it does once it is let go is to wait. */
static void
wait_when_let(struct step_world *w)
{
	arena_join(w);
	while (!sync_stage(w)->go)
		usleep(100);
	sync_stage(w)->met = 1;
	wait_over(w);
}

/* Two, of whom the kernel may wake one; the first one sleeps when the second one begins. */
static void
sleepers(struct step_world *w)
{
	struct sync_stage *s = sync_stage(w);
	arena_join(w);
	pid_t twin = sync_twin(w, wait_when_let);
	s->sleeper = getpid();
	step_begin(w, "two wait for what is destroyed");
	while (!s->go)
		usleep(100);
	for (int seen = 0; seen < 3; sched_yield())
		seen = s->met && people_sleeps(twin) ? seen + 1 : 0;
	s->calling = 1;
	wait_over(w);
	sync_twin_end(w, twin);
	step_mine(w)->inside = 0;
}

/* ---- what survivors demand ---- */

static bool
is_there(struct step_world *w)
{
	void *object = NULL;
	int rc;
	STEP_WITHIN(w, "open", rc = kind(w)->open(w, &object));
	STEP_REQUIRE(w, rc == 0 || rc == -ENOENT || shoal_timed_out(rc), "open: %d, %s", rc,
	             shoal_error());
	return rc == 0;
}

/* Who waits learns of it within a slice of 50 ms, also where nobody tells. */
static void
rouse(struct step_world *w)
{
	int32_t inside = sync_sleeps(w);
	bool there = is_there(w);
	if (!sync_stage(w)->go) {
		sync_let_go(w);
		inside = 1;
	}
	STEP_REQUIRE(w, inside || !there, "it goes, and nobody destroyed what it waits for");
	if (there)
		destroy(w);
	else if (kind(w)->lasts)
		STEP_WITHIN(w, "recover", (void)shoal_arena_recover(w->arena));
	sync_must_wake_within(w, SYNC_TIMEOUT_MS, "what it waits for is destroyed");
}

static void
check(struct step_world *w)
{
	void *object = NULL;
	if (kind(w)->take && sync_stage(w)->wanted) {
		sync_holder_gives(w);
		sync_holder_ends(w);
	}
	bool there = is_there(w);
	STEP_REQUIRE(w, !there || !w->part[STEP_VICTIM].done, "what was destroyed is there");
	if (there)
		destroy(w);
	int rc;
	STEP_WITHIN(w, "create", rc = kind(w)->names->create(w, "old", &object));
	STEP_REQUIRE(w, rc == 0 && is_there(w), "create: %d, %s", rc, shoal_error());
	STEP_WITHIN(w, "destroy", rc = kind(w)->names->destroy(w, object));
	STEP_REQUIRE(w, rc == 0, "destroy: %d, %s", rc, shoal_error());
}

/* ---- those who come upon the dead ---- */

static void
meet_wait(struct step_world *w)
{
	step_mine(w)->result = is_there(w) ? kind(w)->wait(w, SHOAL_MS(WAIT_MS)) : 0;
}

static void
meet_destroy(struct step_world *w)
{
	if (is_there(w))
		destroy_op(w);
}

#define ENDS(kind_) \
	.shape = &kind_##_kind, .setup = setup, .clean = clean, .check = check, \
	.audit = arena_audit, .sleeper = sleepers, .rouse = rouse, .meet_prepare = arena_join, \
	.meet = { meet_recover, meet_wait, meet_destroy }, .slept = true
#define END_CASES(kind_, ...) \
	STEP_CASE(end, kind_##_destroy, ENDS(kind_), .prepare = destroy_prepare, .op = destroy_op, \
	          __VA_ARGS__) \
	STEP_CASE(end, kind_##_wait, ENDS(kind_), .prepare = prepare, .op = wait_op, \
	          .after = wait_after, .waker = wait_waker, .unwatched = true)

END_CASES(lock, .unwatched = true)
END_CASES(rwlock, .unwatched = true)
END_CASES(semaphore, .unwatched = false)
END_CASES(condition, .unwatched = false)
END_CASES(event, .unwatched = false)
END_CASES(queue, .unwatched = false)
END_CASES(pipe, .unwatched = false)
END_CASES(value, .unwatched = true)
