#include "object_kinds.h"

#include <errno.h>
#include <string.h>

#include <shoal/data.h>
#include <shoal/pipe.h>
#include <shoal/queue.h>
#include <shoal/sync.h>

enum { BYTES = 5000 };

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
	rc = shoal_lock_acquire(*out, SHOAL_MS(OBJECT_TIMEOUT_MS));
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
	rc = shoal_rwlock_write(*out, SHOAL_MS(OBJECT_TIMEOUT_MS));
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

const struct object_kind step_rwlock_kind = { rwlock_create, rwlock_open, rwlock_destroy, NULL };
const struct object_kind step_semaphore_kind = { semaphore_create, semaphore_open,
	                                         semaphore_destroy, NULL };
const struct object_kind step_condition_kind = { condition_create, condition_open,
	                                         condition_destroy, NULL };
const struct object_kind step_event_kind = { event_create, event_open, event_destroy, NULL };

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

const struct object_kind step_value_kind = { value_create, value_open, value_destroy, NULL };
const struct object_kind step_array_kind = { array_create, array_open, array_destroy, NULL };

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

static int
list_create(struct step_world *w, const char *name, void **out)
{
	return shoal_list_create(w->arena, name, NULL, (shoal_list **)out);
}

/* By its reference too, and nobody finds one that cannot be written to. */
static int
list_open(struct step_world *w, const char *name, shoal_time timeout, void **out)
{
	shoal_list *same = NULL;
	int rc = shoal_list_open(w->arena, name, timeout, (shoal_list **)out);
	if (rc)
		return rc;
	rc = shoal_list_at(w->arena, shoal_ref_of(w->arena, *out), &same);
	STEP_REQUIRE(w, rc == 0 && same == *out, "its reference names another one: %d", rc);
	/* One that has items has as many blocks afterwards. */
	rc = shoal_list_size(*out) ? shoal_list_set(*out, 0, SHOAL_ANY("text"))
	                           : shoal_list_append(*out, SHOAL_ANY("text"));
	STEP_REQUIRE(w, rc == 0, "a list that is not made: %s", shoal_error());
	return rc;
}

static void
list_fill(struct step_world *w)
{
	for (int i = 0; i < 4; i++)
		STEP_REQUIRE(w, shoal_list_append(w->object[0], SHOAL_ANY("text")) == 0,
		             "setup cannot append");
}

static int
list_destroy(struct step_world *w, void *object)
{
	return shoal_list_destroy(w->arena, object);
}

static int
namespace_create(struct step_world *w, const char *name, void **out)
{
	return shoal_namespace_create(w->arena, name, NULL, (shoal_namespace **)out);
}

static int
namespace_open(struct step_world *w, const char *name, shoal_time timeout, void **out)
{
	int rc = shoal_namespace_open(w->arena, name, timeout, (shoal_namespace **)out);
	STEP_REQUIRE(w, rc || shoal_namespace_set(*out, "x", SHOAL_ANY("text")) == 0,
	             "a namespace that is not made: %s", shoal_error());
	return rc;
}

static void
namespace_fill(struct step_world *w)
{
	STEP_REQUIRE(w, shoal_namespace_set(w->object[0], "y", SHOAL_ANY("text")) == 0,
	             "setup cannot set");
}

static int
namespace_destroy(struct step_world *w, void *object)
{
	return shoal_namespace_destroy(w->arena, object);
}

const struct object_kind step_list_kind = { list_create, list_open, list_destroy, list_fill };
const struct object_kind step_namespace_kind = { namespace_create, namespace_open,
	                                         namespace_destroy, namespace_fill };
const struct object_kind step_dict_kind = { dict_create, dict_open, dict_destroy, dict_fill };
const struct object_kind step_lock_kind = { lock_create, lock_open, lock_destroy, NULL };
const struct object_kind step_memory_kind = { memory_create, memory_open, memory_destroy, NULL };
const struct object_kind step_queue_kind = { queue_create, queue_open, queue_destroy, queue_fill };
const struct object_kind step_pipe_kind = { pipe_create, pipe_open, pipe_destroy, NULL };

/* Another one, so that what makes a process's descriptors is there when the victim is watched. */
static void
event_fill(struct step_world *w)
{
	STEP_REQUIRE(w, event_create(w, "other", &w->object[1]) == 0, "create: %s", shoal_error());
}

const struct object_kind step_event_fd_kind = { event_create, event_open, event_destroy,
	                                        event_fill };
