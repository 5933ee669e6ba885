/*
 * Locks and the like under names: objects whose bodies are the plain structs of shoal/sync.h.
 *
 * They are made in place before the name appears. How those who wait learn that one is destroyed,
 * and who is inside a call on it, is in sync/stay.h and arena/inside.c. A destroyed lock that is
 * held stays where it is until its holder, who may release it, has done so or died.
 *
 * Crash points: until the entry is READY its maker's death takes it away, body and all. The
 * destroyer's are in sync/stay.h.
 */
#include "arena/kinds.h"
#include "arena/object.h"
#include "base/clock.h"
#include "base/error.h"
#include "sync/lock.h"
#include "sync/name.h"
#include "sync/plain.h"

static uint64_t
size(const shoal_arena *a, uint32_t object)
{
	return load_relaxed(&arena_object(a, object)->bytes);
}

static uint32_t
kind(const shoal_arena *a, uint32_t object)
{
	return load_relaxed(&arena_object(a, object)->kind);
}

static void
shut(shoal_arena *a, uint32_t object)
{
	void *body = object_body_at(a, object);
	if (!body)
		return;
	switch (kind(a, object)) {
	case SHOAL_KIND_LOCK:
		lock_shut(body);
		break;
	case SHOAL_KIND_RWLOCK:
		rwlock_shut(body);
		break;
	case SHOAL_KIND_SEMAPHORE:
		semaphore_shut(body);
		break;
	case SHOAL_KIND_CONDITION:
		condition_shut(body);
		break;
	default:
		event_shut(body);
	}
}

/* By the kernel's count, on whichever of its words. */
static bool
somebody_sleeps(const void *body, size_t bytes)
{
	const word32 *word = body;
	for (size_t i = 0; i < bytes / sizeof *word; i++)
		if (futex_sleepers(&word[i]) > 0)
			return true;
	return false;
}

static bool
is_kept(shoal_arena *a, uint32_t object)
{
	void *body = object_body_at(a, object);
	if (!body)
		return false;
	if (kind(a, object) == SHOAL_KIND_LOCK && (load_acquire((word32 *)body) & FUTEX_TID))
		return true;
	if (kind(a, object) == SHOAL_KIND_RWLOCK && rwlock_in_use(body))
		return true;
	uint64_t bytes = size(a, object), whole = object_body_bytes(a, body);
	if (kind(a, object) == SHOAL_KIND_SEMAPHORE && semaphore_in_use(body, whole))
		return true;
	return somebody_sleeps(body, bytes < whole ? bytes : whole);
}

const struct kind_ops plain_kind = { .size = size, .shut = shut, .kept = is_kept };

/* What a new one is to be. */
struct shape {
	uint32_t kind;
	size_t bytes;
	unsigned flags;
	uint32_t value, bound;
};

static int
init(void *body, const struct shape *s)
{
	unsigned flags = s->flags & ~(unsigned)(SHOAL_OR_OPEN | SHOAL_WITH_OWNER);
	switch (s->kind) {
	case SHOAL_KIND_LOCK:
		return shoal_lock_init_with(body, flags);
	case SHOAL_KIND_RWLOCK:
		return shoal_rwlock_init(body, flags);
	case SHOAL_KIND_SEMAPHORE:
		if (s->bytes == sizeof(shoal_semaphore))
			return shoal_semaphore_init(body, s->value, s->bound);
		owned_init(body, s->value);
		return 0;
	case SHOAL_KIND_CONDITION:
		return shoal_condition_init(body);
	default:
		return shoal_event_init(body);
	}
}

/* Known by its name in this process's sentences too. */
static void
found(void *body, const char *name, void **out)
{
	if (name)
		(void)name_give(body, name);
	*out = body;
}

static int
fill(shoal_arena *a, uint32_t index, void *body, const void *shape)
{
	const struct shape *s = shape;
	store_relaxed(&arena_object(a, index)->bytes, s->bytes);
	return init(body, s);
}

static int
create(const char *call, shoal_arena *a, const char *name, const struct shape *s, void **out)
{
	struct shoal_thread *t;
	struct member *me;
	struct object_plan plan = { s->kind, s->flags, s->bytes, fill, s };
	void *body;
	int rc = arena_asked(call, a, out);
	if (rc)
		return rc;
	*out = NULL;
	rc = member_here(a, &t, &me);
	if (rc == 0)
		rc = object_create(a, t, me, name, &plan, &body);
	if (rc == 0)
		found(body, name, out);
	return rc;
}

static int
open(const char *call, shoal_arena *a, const char *name, uint32_t kind, shoal_time timeout,
     void **out)
{
	struct object_found o;
	int rc = arena_asked(call, a, out);
	if (rc)
		return rc;
	*out = NULL;
	/* Their calls store before they could ask where they are. */
	if (a->readonly)
		return fail(-EPERM,
		            "arena '%s' is attached read-only, and to use '%s' is to write: attach it "
		            "with shoal_arena_attach", a->name, name ? name : "");
	rc = object_open(a, thread_self(), name, kind, clock_deadline(timeout), &o);
	if (rc == 0)
		found(o.body, name, out);
	return rc;
}

static int
destroy(shoal_arena *a, void *body, uint32_t kind)
{
	struct shoal_thread *t;
	struct member *me;
	if (!body)
		return 0;
	int rc = member_here(a, &t, &me);
	if (rc)
		return rc;
	uint32_t index = object_of_body(a, body, kind);
	name_forget(body);
	return object_destroy(a, t, me, index);
}

/* ---- lock ---- */

int
shoal_lock_create(shoal_arena *a, const char *name, unsigned flags, shoal_lock **out)
{
	struct shape s = { SHOAL_KIND_LOCK, sizeof(shoal_lock), flags, 0, 0 };
	return create(__func__, a, name, &s, (void **)out);
}

int
shoal_lock_open(shoal_arena *a, const char *name, shoal_time timeout, shoal_lock **out)
{
	return open(__func__, a, name, SHOAL_KIND_LOCK, timeout, (void **)out);
}

int
shoal_lock_destroy(shoal_arena *a, shoal_lock *lock)
{
	return destroy(a, lock, SHOAL_KIND_LOCK);
}

/* ---- rwlock ---- */

int
shoal_rwlock_create(shoal_arena *a, const char *name, unsigned flags, shoal_rwlock **out)
{
	struct shape s = { SHOAL_KIND_RWLOCK, sizeof(shoal_rwlock), flags, 0, 0 };
	return create(__func__, a, name, &s, (void **)out);
}

int
shoal_rwlock_open(shoal_arena *a, const char *name, shoal_time timeout, shoal_rwlock **out)
{
	return open(__func__, a, name, SHOAL_KIND_RWLOCK, timeout, (void **)out);
}

int
shoal_rwlock_destroy(shoal_arena *a, shoal_rwlock *lock)
{
	return destroy(a, lock, SHOAL_KIND_RWLOCK);
}

/* ---- semaphore ---- */

int
shoal_semaphore_create(shoal_arena *a, const char *name, uint32_t value, uint32_t bound,
                       shoal_semaphore **out)
{
	struct shape s = { SHOAL_KIND_SEMAPHORE, sizeof(shoal_semaphore), 0, value, bound };
	if (out)
		*out = NULL;
	if (bound != SHOAL_ALL && bound & SHOAL_SEMAPHORE_OWNED) {
		int rc = owned_check(value, bound);
		if (rc)
			return rc;
		s.bytes = owned_bytes(value);
	}
	return create(__func__, a, name, &s, (void **)out);
}

int
shoal_semaphore_open(shoal_arena *a, const char *name, shoal_time timeout, shoal_semaphore **out)
{
	return open(__func__, a, name, SHOAL_KIND_SEMAPHORE, timeout, (void **)out);
}

int
shoal_semaphore_destroy(shoal_arena *a, shoal_semaphore *semaphore)
{
	return destroy(a, semaphore, SHOAL_KIND_SEMAPHORE);
}

/* ---- condition ---- */

int
shoal_condition_create(shoal_arena *a, const char *name, shoal_condition **out)
{
	struct shape s = { SHOAL_KIND_CONDITION, sizeof(shoal_condition), 0, 0, 0 };
	return create(__func__, a, name, &s, (void **)out);
}

int
shoal_condition_open(shoal_arena *a, const char *name, shoal_time timeout, shoal_condition **out)
{
	return open(__func__, a, name, SHOAL_KIND_CONDITION, timeout, (void **)out);
}

int
shoal_condition_destroy(shoal_arena *a, shoal_condition *condition)
{
	return destroy(a, condition, SHOAL_KIND_CONDITION);
}

/* ---- event ---- */

int
shoal_event_create(shoal_arena *a, const char *name, shoal_event **out)
{
	struct shape s = { SHOAL_KIND_EVENT, sizeof(shoal_event), 0, 0, 0 };
	return create(__func__, a, name, &s, (void **)out);
}

int
shoal_event_open(shoal_arena *a, const char *name, shoal_time timeout, shoal_event **out)
{
	return open(__func__, a, name, SHOAL_KIND_EVENT, timeout, (void **)out);
}

int
shoal_event_destroy(shoal_arena *a, shoal_event *event)
{
	return destroy(a, event, SHOAL_KIND_EVENT);
}
