/*
 * Named objects made, opened and destroyed, killed and stopped at each instruction: memory, queues,
 * pipes, locks and what else threads wait on, values, arrays.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "arena_world.h"
#include "harness.h"

#include <shoal/data.h>
#include <shoal/pipe.h>
#include <shoal/queue.h>
#include <shoal/sync.h>

enum { BYTES = 5000, TIMEOUT_MS = 300 };

/* object[0]: one named "old" that setup made, of the case's kind. "new" is what a victim makes. */
struct kind {
	int (*create)(struct step_world *, const char *name, void **out);
	int (*open)(struct step_world *, const char *name, shoal_time timeout, void **out);
	int (*destroy)(struct step_world *, void *object);
	void (*fill)(struct step_world *); /* setup's, with something of its own */
};

static const struct kind *
kind_of_case(const struct step_world *w)
{
	return w->shape;
}

static int
memory_init(void *memory, void *arg)
{
	(void)arg;
	memset(memory, 0x33, BYTES);
	return 0;
}

static int
memory_create(struct step_world *w, const char *name, void **out)
{
	return shoal_memory_create(w->arena, name, BYTES, memory_init, NULL, out);
}

/* Nobody sees it half-made. */
static int
memory_open(struct step_world *w, const char *name, shoal_time timeout, void **out)
{
	size_t bytes = 0;
	int rc = shoal_memory_open(w->arena, name, timeout, out, &bytes);
	if (rc)
		return rc;
	const unsigned char *p = *out;
	STEP_REQUIRE(w, bytes >= BYTES, "named memory of %zu bytes", bytes);
	for (size_t i = 0; i < BYTES; i++)
		STEP_REQUIRE(w, p[i] == 0x33, "named memory is not made at %zu", i);
	return 0;
}

static int
memory_destroy(struct step_world *w, void *object)
{
	return shoal_memory_destroy(w->arena, object);
}

static int
queue_create(struct step_world *w, const char *name, void **out)
{
	static const shoal_queue_options options = { .capacity = 4,
		                                     .slot_bytes = 40,
		                                     .flags = SHOAL_QUEUE_JOINABLE };
	return shoal_queue_create(w->arena, name, &options, (shoal_queue **)out);
}

static int
queue_open(struct step_world *w, const char *name, shoal_time timeout, void **out)
{
	return shoal_queue_open(w->arena, name, timeout, (shoal_queue **)out);
}

/* A message in a block, which goes with the queue. */
static void
queue_fill(struct step_world *w)
{
	char message[300] = "a message";
	STEP_REQUIRE(w, shoal_queue_put(w->object[0], message, sizeof message, SHOAL_NOWAIT) == 0,
	             "setup cannot put");
}

static int
queue_destroy(struct step_world *w, void *object)
{
	return shoal_queue_destroy(w->arena, object);
}

static int
pipe_create(struct step_world *w, const char *name, void **out)
{
	static const shoal_pipe_options options = { .ring_bytes = 4096 };
	shoal_pipe_end *right;
	return shoal_pipe_create(w->arena, name, &options, (shoal_pipe_end **)out, &right);
}

static int
pipe_open(struct step_world *w, const char *name, shoal_time timeout, void **out)
{
	return shoal_pipe_open(w->arena, name, SHOAL_LEFT, timeout, (shoal_pipe_end **)out);
}

static int
pipe_destroy(struct step_world *w, void *object)
{
	return shoal_pipe_destroy(w->arena, object);
}

static int
lock_create(struct step_world *w, const char *name, void **out)
{
	return shoal_lock_create(w->arena, name, 0, (shoal_lock **)out);
}

/* Nobody finds one that is not free. */
static int
lock_open(struct step_world *w, const char *name, shoal_time timeout, void **out)
{
	int rc = shoal_lock_open(w->arena, name, timeout, (shoal_lock **)out);
	if (rc)
		return rc;
	rc = shoal_lock_acquire(*out, SHOAL_MS(TIMEOUT_MS));
	STEP_REQUIRE(w, rc == 0 || rc == -EOWNERDEAD, "acquire: %d", rc);
	if (rc == -EOWNERDEAD)
		rc = shoal_lock_consistent(*out);
	STEP_REQUIRE(w, rc == 0, "consistent: %d", rc);
	return shoal_lock_release(*out);
}

static int
lock_destroy(struct step_world *w, void *object)
{
	return shoal_lock_destroy(w->arena, object);
}

static int
rwlock_create(struct step_world *w, const char *name, void **out)
{
	return shoal_rwlock_create(w->arena, name, 0, (shoal_rwlock **)out);
}

static int
rwlock_open(struct step_world *w, const char *name, shoal_time timeout, void **out)
{
	int rc = shoal_rwlock_open(w->arena, name, timeout, (shoal_rwlock **)out);
	if (rc)
		return rc;
	rc = shoal_rwlock_write(*out, SHOAL_MS(TIMEOUT_MS));
	STEP_REQUIRE(w, rc == 0 || rc == -EOWNERDEAD, "write: %d", rc);
	if (rc == -EOWNERDEAD)
		rc = shoal_rwlock_consistent(*out);
	STEP_REQUIRE(w, rc == 0, "consistent: %d", rc);
	return shoal_rwlock_release(*out);
}

static int
rwlock_destroy(struct step_world *w, void *object)
{
	return shoal_rwlock_destroy(w->arena, object);
}

enum { PERMITS = 3 };

static int
semaphore_create(struct step_world *w, const char *name, void **out)
{
	return shoal_semaphore_create(w->arena, name, PERMITS, PERMITS, (shoal_semaphore **)out);
}

/* Nobody finds one with another number, or bound, than it was made with. */
static int
semaphore_open(struct step_world *w, const char *name, shoal_time timeout, void **out)
{
	int rc = shoal_semaphore_open(w->arena, name, timeout, (shoal_semaphore **)out);
	if (rc)
		return rc;
	int value = shoal_semaphore_value(*out);
	STEP_REQUIRE(w, value == PERMITS, "a new semaphore of %d permits", value);
	rc = shoal_semaphore_release(*out);
	STEP_REQUIRE(w, rc == -EOVERFLOW, "release beyond the bound: %d", rc);
	return 0;
}

static int
semaphore_destroy(struct step_world *w, void *object)
{
	return shoal_semaphore_destroy(w->arena, object);
}

static int
condition_create(struct step_world *w, const char *name, void **out)
{
	return shoal_condition_create(w->arena, name, (shoal_condition **)out);
}

/* Nobody finds one that does not work: a wait for no time has no other reason to end. */
static int
condition_open(struct step_world *w, const char *name, shoal_time timeout, void **out)
{
	shoal_lock lock;
	int rc = shoal_condition_open(w->arena, name, timeout, (shoal_condition **)out);
	if (rc)
		return rc;
	STEP_REQUIRE(w, shoal_lock_init(&lock) == 0, "init fails");
	rc = shoal_lock_acquire(&lock, SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == 0, "acquire: %d", rc);
	rc = shoal_condition_wait(*out, &lock, SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == -EAGAIN, "wait: %d, for a new condition", rc);
	return shoal_lock_release(&lock);
}

static int
condition_destroy(struct step_world *w, void *object)
{
	return shoal_condition_destroy(w->arena, object);
}

static int
event_create(struct step_world *w, const char *name, void **out)
{
	return shoal_event_create(w->arena, name, (shoal_event **)out);
}

static int
event_open(struct step_world *w, const char *name, shoal_time timeout, void **out)
{
	int rc = shoal_event_open(w->arena, name, timeout, (shoal_event **)out);
	if (rc)
		return rc;
	rc = shoal_event_wait(*out, SHOAL_NOWAIT);
	STEP_REQUIRE(w, rc == -EAGAIN, "wait: %d, for a new event", rc);
	return 0;
}

static int
event_destroy(struct step_world *w, void *object)
{
	return shoal_event_destroy(w->arena, object);
}

static const struct kind rwlock_kind = { rwlock_create, rwlock_open, rwlock_destroy, NULL };
static const struct kind semaphore_kind = { semaphore_create, semaphore_open, semaphore_destroy,
	                                    NULL };
static const struct kind condition_kind = { condition_create, condition_open, condition_destroy,
	                                    NULL };
static const struct kind event_kind = { event_create, event_open, event_destroy, NULL };

static int
value_create(struct step_world *w, const char *name, void **out)
{
	return shoal_value_create(w->arena, name, SHOAL_I32, SHOAL_ANY(42), (shoal_value **)out);
}

/* Nobody finds one that is not what its maker said. */
static int
value_open(struct step_world *w, const char *name, shoal_time timeout, void **out)
{
	int rc = shoal_value_open(w->arena, name, timeout, (shoal_value **)out);
	STEP_REQUIRE(w, rc || shoal_value_get_int(*out) == 42, "a value that is not made");
	return rc;
}

static int
value_destroy(struct step_world *w, void *object)
{
	return shoal_value_destroy(w->arena, object);
}

static int
array_create(struct step_world *w, const char *name, void **out)
{
	return shoal_array_create(w->arena, name, SHOAL_U16, 700, (shoal_array **)out);
}

static int
array_open(struct step_world *w, const char *name, shoal_time timeout, void **out)
{
	shoal_any last;
	int rc = shoal_array_open(w->arena, name, timeout, (shoal_array **)out);
	STEP_REQUIRE(w, rc || (shoal_array_count(*out) == 700 &&
	             shoal_array_get(*out, -1, &last) == 0 && shoal_any_int(&last, 1) == 0),
	             "an array that is not made");
	return rc;
}

static int
array_destroy(struct step_world *w, void *object)
{
	return shoal_array_destroy(w->arena, object);
}

static const struct kind value_kind = { value_create, value_open, value_destroy, NULL };
static const struct kind array_kind = { array_create, array_open, array_destroy, NULL };

static int
dict_create(struct step_world *w, const char *name, void **out)
{
	return shoal_dict_create(w->arena, name, NULL, (shoal_dict **)out);
}

/* Nobody finds one that cannot be written to. */
static int
dict_open(struct step_world *w, const char *name, shoal_time timeout, void **out)
{
	int rc = shoal_dict_open(w->arena, name, timeout, (shoal_dict **)out);
	STEP_REQUIRE(w, rc || shoal_dict_set(*out, SHOAL_ANY(1), SHOAL_ANY("text")) == 0,
	             "a dict that is not made: %s", shoal_error());
	return rc;
}

/* Items, in blocks of their own. */
static void
dict_fill(struct step_world *w)
{
	for (int i = 0; i < 4; i++)
		STEP_REQUIRE(w, shoal_dict_set(w->object[0], SHOAL_ANY(i), SHOAL_ANY("text")) == 0,
		             "setup cannot set");
}

static int
dict_destroy(struct step_world *w, void *object)
{
	return shoal_dict_destroy(w->arena, object);
}

static const struct kind dict_kind = { dict_create, dict_open, dict_destroy, dict_fill };
static const struct kind lock_kind = { lock_create, lock_open, lock_destroy, NULL };
static const struct kind memory_kind = { memory_create, memory_open, memory_destroy, NULL };
static const struct kind queue_kind = { queue_create, queue_open, queue_destroy, queue_fill };
static const struct kind pipe_kind = { pipe_create, pipe_open, pipe_destroy, NULL };

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
	const struct kind *k = kind_of_case(w);
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
	const struct kind *k = kind_of_case(w);
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
	const struct kind *k = kind_of_case(w);
	void *object = NULL;
	int rc;
	arena_join(w);
	step_meet(w, 2);
	STEP_WITHIN(w, "create", rc = k->create(w, "new", &object));
	STEP_REQUIRE(w, rc == 0 || rc == -EEXIST, "create: %d, %s", rc, shoal_error());
	STEP_WITHIN(w, "open", rc = k->open(w, "new", SHOAL_MS(TIMEOUT_MS), &object));
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
	while (*inside && step_now() - began < SHOAL_MS(TIMEOUT_MS))
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

/* Another one, so that what makes a process's descriptors is there when the victim is watched. */
static void
fd_fill(struct step_world *w)
{
	STEP_REQUIRE(w, event_create(w, "other", &w->object[1]) == 0, "create: %s", shoal_error());
}

static const struct kind event_fd_kind = { event_create, event_open, event_destroy, fd_fill };

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
	int n = poll(&watch, 1, TIMEOUT_MS);
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
	STEP_REQUIRE(w, poll(&watch, 1, TIMEOUT_MS) == 1, "set, and not readable");
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
	const struct kind *k = kind_of_case(w);
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
	STEP_CASE(kind_, create, .shape = &kind_##_kind, SURVIVORS(check_create), \
	  .crowd = crowd_create, .op = create_op, \
		  WATCHERS) \
	STEP_CASE(kind_, destroy, .shape = &kind_##_kind, SURVIVORS(check_destroy), \
	  .op = destroy_op, WATCHERS) \
	STEP_CASE(kind_, open, .shape = &kind_##_kind, SURVIVORS(check_open), .op = open_op)

/* The same code makes them: whom it holds up is looked at once for each, by one role. */
#define SYNC_CASES(kind_) \
	STEP_CASE(kind_, create, .shape = &kind_##_kind, SURVIVORS(check_create), \
	  .crowd = crowd_create, .op = create_op, .sleeper = sleep_open, .rouse = rouse_open, \
		  .role = { { "create", try_create } }) \
	STEP_CASE(kind_, destroy, .shape = &kind_##_kind, SURVIVORS(check_destroy), \
	  .op = destroy_op, .role = { { "create", try_create } }) \
	STEP_CASE(kind_, open, .shape = &kind_##_kind, SURVIVORS(check_open), .op = open_op, \
	  .role = { { "create", try_create } })

KIND_CASES(memory)
KIND_CASES(queue)
KIND_CASES(pipe)
KIND_CASES(lock)
KIND_CASES(dict)
SYNC_CASES(rwlock)
SYNC_CASES(semaphore)
SYNC_CASES(condition)
SYNC_CASES(event)
STEP_CASE(event, fd, .shape = &event_fd_kind, .setup = setup, .prepare = fd_prepare, .op = fd_op,
          .after = fd_after, .check = check_fd, .audit = arena_audit, .sleeper = poll_set,
          .rouse = rouse_poll, .role = { { "event", try_event } }, .stepped = true)
KIND_CASES(value)
KIND_CASES(array)
STEP_CASE(memory, open_late, .shape = &memory_kind, SURVIVORS(check_open), .op = open_late_op)
STEP_CASE(queue, open_asleep, .shape = &queue_kind, SURVIVORS(check_open_new), .op = open_new_op,
          .waker = wake_create)
