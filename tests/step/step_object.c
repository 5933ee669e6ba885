/*
 * Named objects made, opened and destroyed, killed and stopped at each instruction: memory, queues,
 * pipes, locks and what else threads wait on, values, arrays, lists, dicts, namespaces.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "object_kinds.h"
#include "harness.h"

#include <shoal/data.h>
#include <shoal/pipe.h>
#include <shoal/queue.h>
#include <shoal/sync.h>

/* object[0]: one named "old" that setup made, of the case's kind. "new" is what a victim makes. */
static const struct object_kind *
kind_of_case(const struct step_world *w)
{
	return w->shape;
}

static void
setup(struct step_world *w)
{
	void *opened;
	arena_world(w);
	int rc = kind_of_case(w)->create(w, "old", &w->object[0]);
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
	rc = kind_of_case(w)->open(w, "old", SHOAL_NOWAIT, &opened);
	STEP_REQUIRE(w, rc == 0 && opened == w->object[0], "open: %d, %s", rc, shoal_error());
	if (kind_of_case(w)->fill)
		kind_of_case(w)->fill(w);
}

/* Made, or not there at all: gone in any case afterwards. */
static bool
remove_named(struct step_world *w, const char *name)
{
	const struct object_kind *k = kind_of_case(w);
	void *object = NULL;
	int rc;
	STEP_WITHIN(w, "open", rc = k->open(w, name, SHOAL_NOWAIT, &object));
	STEP_REQUIRE(w, rc == 0 || rc == -ENOENT || shoal_timed_out(rc), "open: %d, %s", rc,
	             shoal_error());
	if (rc)
		return false;
	STEP_WITHIN(w, "destroy", rc = k->destroy(w, object));
	STEP_REQUIRE(w, rc == 0, "destroy: %d, %s", rc, shoal_error());
	return true;
}

static void
make_again(struct step_world *w, const char *name)
{
	const struct object_kind *k = kind_of_case(w);
	void *object = NULL;
	int rc;
	STEP_WITHIN(w, "create", rc = k->create(w, name, &object));
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
	STEP_REQUIRE(w, remove_named(w, name), "what was created cannot be opened");
}

/* After everything "old" stays, and "new" is gone. */
static void
check_create(struct step_world *w)
{
	const struct step_part *part = &w->part[STEP_VICTIM];
	bool there = remove_named(w, "new");
	STEP_REQUIRE(w, there || !part->done || part->result != 0, "what was created is not there");
	make_again(w, "new");
}

static void
check_destroy(struct step_world *w)
{
	bool there = remove_named(w, "old");
	STEP_REQUIRE(w, !there || !w->part[STEP_VICTIM].done, "what was destroyed is there");
	make_again(w, "old");
}

static void
check_open(struct step_world *w)
{
	make_again(w, "new");
}

static void
crowd_create(struct step_world *w)
{
	const struct object_kind *k = kind_of_case(w);
	void *object = NULL;
	int rc;
	arena_join(w);
	step_meet(w, 2);
	STEP_WITHIN(w, "create", rc = k->create(w, "new", &object));
	STEP_REQUIRE(w, rc == 0 || rc == -EEXIST, "create: %d, %s", rc, shoal_error());
	STEP_WITHIN(w, "open", rc = k->open(w, "new", SHOAL_MS(OBJECT_TIMEOUT_MS), &object));
	STEP_REQUIRE(w, rc == 0, "open: %d, %s", rc, shoal_error());
}

static void
create_op(struct step_world *w)
{
	void *object = NULL;
	step_mine(w)->result = kind_of_case(w)->create(w, "new", &object);
}

static void
open_op(struct step_world *w)
{
	void *object = NULL;
	step_mine(w)->result = kind_of_case(w)->open(w, "old", SHOAL_NOWAIT, &object);
}

static void
open_new_op(struct step_world *w)
{
	void *object = NULL;
	step_mine(w)->result = kind_of_case(w)->open(w, "new", SHOAL_SEC(1), &object);
}

static void
open_late_op(struct step_world *w)
{
	void *object = NULL;
	step_mine(w)->result = kind_of_case(w)->open(w, "new", SHOAL_MS(2), &object);
}

static void
destroy_op(struct step_world *w)
{
	step_mine(w)->result = kind_of_case(w)->destroy(w, w->object[0]);
}

static void
wake_create(struct step_world *w)
{
	void *object = NULL;
	STEP_REQUIRE(w, kind_of_case(w)->create(w, "new", &object) == 0, "%s", shoal_error());
}

static void
check_open_new(struct step_world *w)
{
	remove_named(w, "new");
	make_again(w, "new");
}

/* ---- one whose owner is gone ---- */

static void *
own(void *world)
{
	struct step_world *w = world;
	shoal_lock *lock;
	int rc = shoal_lock_create(w->arena, "old", SHOAL_WITH_OWNER, &lock);
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
	return NULL;
}

/* In a thread, which leaves in order: no dead member leads anybody to what its process owned. */
static void
setup_orphan(struct step_world *w)
{
	arena_world(w);
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t thread;
		_exit(pthread_create(&thread, NULL, own, w) || pthread_join(thread, NULL));
	}
	int status = 1;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	STEP_REQUIRE(w, status == 0, "the owner ended with %#x", (unsigned)status);
}

static void
create_old_op(struct step_world *w)
{
	void *object = NULL;
	step_mine(w)->result = kind_of_case(w)->create(w, "old", &object);
}

static void
check_orphan(struct step_world *w)
{
	const struct step_part *part = &w->part[STEP_VICTIM];
	int wanted = w->of->op == open_op ? -ENOENT : 0;
	STEP_REQUIRE(w, !part->done || part->result == wanted, "the victim got %d", (int)part->result);
	bool there = remove_named(w, "old");
	STEP_REQUIRE(w, !there || wanted == 0, "what ended with its owner is there");
	make_again(w, "old");
}

/* ---- one asleep until the name is there ---- */

static void
sleep_open(struct step_world *w)
{
	void *object = NULL;
	arena_join(w);
	step_begin(w, "open, before it is made");
	int rc = kind_of_case(w)->open(w, "new", SHOAL_SEC(5), &object);
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, rc == 0, "the sleeping open: %d, %s", rc, shoal_error());
}

static void
sleeper_goes_on(struct step_world *w, const char *why)
{
	volatile int32_t *inside = &w->part[STEP_SLEEPER].inside;
	int64_t began = step_begin(w, why);
	while (*inside && step_now() - began < SHOAL_MS(OBJECT_TIMEOUT_MS))
		usleep(20);
	STEP_REQUIRE(w, !*inside, "it sleeps on: %s", why);
	step_end(w, why, began);
}

/* The victim made it, or somebody else does. */
static void
rouse_open(struct step_world *w)
{
	void *object = NULL;
	int rc;
	STEP_WITHIN(w, "create", rc = kind_of_case(w)->create(w, "new", &object));
	STEP_REQUIRE(w, rc == 0 || rc == -EEXIST, "create: %d, %s", rc, shoal_error());
	sleeper_goes_on(w, "the name is there");
}

/* ---- an event's descriptor ---- */

static shoal_event *
event_of(struct step_world *w)
{
	return w->object[0];
}

static void
fd_prepare(struct step_world *w)
{
	arena_join(w);
	STEP_REQUIRE(w, shoal_event_fd(w->object[1]) >= 0, "fd: %s", shoal_error());
}

/* Asked for, told of a set, and armed again by a wait that finds the event clear. */
static void
fd_op(struct step_world *w)
{
	int rc, fd = shoal_event_fd(event_of(w));
	shoal_event_set(event_of(w));
	shoal_event_clear(event_of(w));
	rc = shoal_event_wait(event_of(w), SHOAL_NOWAIT);
	step_mine(w)->result = fd < 0 ? fd : rc;
}

static void
fd_after(struct step_world *w)
{
	int rc = (int)step_mine(w)->result;
	/* Somebody else may have set it, where the victim stood still. */
	STEP_REQUIRE(w, rc == -EAGAIN || rc == 0, "the victim's descriptor, and wait: %d", rc);
}

static void
poll_set(struct step_world *w)
{
	struct pollfd watch = { .fd = shoal_event_fd(event_of(w)), .events = POLLIN };
	STEP_REQUIRE(w, watch.fd >= 0, "fd: %s", shoal_error());
	step_begin(w, "poll, before it is set");
	int n = poll(&watch, 1, OBJECT_TIMEOUT_MS);
	step_mine(w)->inside = 0;
	STEP_REQUIRE(w, n == 1 && watch.revents == POLLIN, "poll: %d, events %#x", n,
	             (unsigned)watch.revents);
}

/*
 * A set that was cleared before anybody looked may be missed, so it stays set. The looks of one
 * whose kernel has no ring are 5 ms apart.
 */
static void
rouse_poll(struct step_world *w)
{
	shoal_event_set(event_of(w));
	sleeper_goes_on(w, "the event is set");
}

static void
check_fd(struct step_world *w)
{
	struct pollfd watch = { .fd = shoal_event_fd(event_of(w)), .events = POLLIN };
	STEP_REQUIRE(w, watch.fd >= 0, "fd: %s", shoal_error());
	shoal_event_set(event_of(w));
	STEP_REQUIRE(w, poll(&watch, 1, OBJECT_TIMEOUT_MS) == 1, "set, and not readable");
	shoal_event_clear(event_of(w));
	int rc = shoal_event_wait(event_of(w), SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == -EAGAIN && poll(&watch, 1, 0) == 0, "clear, and readable");
}

static bool
try_event(struct step_world *w, int64_t ns)
{
	shoal_event_set(event_of(w));
	return shoal_event_wait(event_of(w), ns) != 0;
}

static bool
try_create(struct step_world *w, int64_t ns)
{
	const struct object_kind *k = kind_of_case(w);
	int64_t began = step_now();
	void *object = NULL;
	int rc = k->create(w, "other", &object);
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
	rc = k->destroy(w, object);
	STEP_REQUIRE(w, rc == 0, "destroy: %d, %s", rc, shoal_error());
	return step_now() - began > ns;
}

#define SURVIVORS(check_) \
	.setup = setup, .prepare = arena_join, .check = check_, .audit = arena_audit, \
	.meet_prepare = arena_join, \
	.meet = { meet_recover, meet_recover }
#define WATCHERS .role = { { "others", try_others }, { "create", try_create } }
#define KIND_CASES(kind_) \
	STEP_CASE(kind_, create, .shape = &step_##kind_##_kind, SURVIVORS(check_create), \
	  .crowd = crowd_create, .op = create_op, \
		  WATCHERS) \
	STEP_CASE(kind_, destroy, .shape = &step_##kind_##_kind, SURVIVORS(check_destroy), \
	  .op = destroy_op, WATCHERS) \
	STEP_CASE(kind_, open, .shape = &step_##kind_##_kind, SURVIVORS(check_open), .op = open_op)

/* The same code makes them: whom it holds up is looked at once for each, by one role. */
#define SYNC_CASES(kind_) \
	STEP_CASE(kind_, create, .shape = &step_##kind_##_kind, SURVIVORS(check_create), \
	  .crowd = crowd_create, .op = create_op, .sleeper = sleep_open, .rouse = rouse_open, \
		  .role = { { "create", try_create } }) \
	STEP_CASE(kind_, destroy, .shape = &step_##kind_##_kind, SURVIVORS(check_destroy), \
	  .op = destroy_op, .role = { { "create", try_create } }) \
	STEP_CASE(kind_, open, .shape = &step_##kind_##_kind, SURVIVORS(check_open), .op = open_op, \
	  .role = { { "create", try_create } })

KIND_CASES(memory)
KIND_CASES(queue)
KIND_CASES(pipe)
KIND_CASES(lock)
KIND_CASES(dict)
KIND_CASES(list)
KIND_CASES(namespace)
SYNC_CASES(rwlock)
SYNC_CASES(semaphore)
SYNC_CASES(condition)
SYNC_CASES(event)
STEP_CASE(event, fd, .shape = &step_event_fd_kind, .setup = setup, .prepare = fd_prepare,
          .op = fd_op, .after = fd_after, .check = check_fd, .audit = arena_audit,
          .sleeper = poll_set, .rouse = rouse_poll, .role = { { "event", try_event } },
          .stepped = true)
KIND_CASES(value)
KIND_CASES(array)
STEP_CASE(memory, open_late, .shape = &step_memory_kind, SURVIVORS(check_open), .op = open_late_op)
STEP_CASE(lock, open_orphan, .shape = &step_lock_kind, .setup = setup_orphan,
          .prepare = arena_join, .check = check_orphan, .audit = arena_audit,
          .meet_prepare = arena_join, .meet = { meet_recover, meet_recover }, .op = open_op,
          .role = { { "create", try_create } })
STEP_CASE(lock, create_orphan, .shape = &step_lock_kind, .setup = setup_orphan,
          .prepare = arena_join, .check = check_orphan, .audit = arena_audit,
          .meet_prepare = arena_join, .meet = { meet_recover, meet_recover },
          .op = create_old_op, .role = { { "create", try_create } })
STEP_CASE(queue, open_asleep, .shape = &step_queue_kind, SURVIVORS(check_open_new),
          .op = open_new_op, .waker = wake_create)
