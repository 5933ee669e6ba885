/*
 * Named memory: an object whose body is the user's.
 *
 * Crash points: until the entry is READY its maker's death takes it away, body and all, whether
 * that falls before, in or after init.
 */
#include "arena/kinds.h"
#include "arena/object.h"
#include "base/clock.h"
#include "base/error.h"

static uint64_t
size(const shoal_arena *a, uint32_t object)
{
	return load_relaxed(&arena_object(a, object)->bytes);
}

const struct kind_ops memory_kind = { .size = size };

/* What its user makes of it before anybody sees it. */
struct wish {
	size_t bytes;
	int (*init)(void *memory, void *arg);
	void *arg;
};

static int
fill(shoal_arena *a, uint32_t index, void *body, const void *arg)
{
	const struct wish *w = arg;
	store_relaxed(&arena_object(a, index)->bytes, w->bytes);
	int rc = w->init ? w->init(body, w->arg) : 0;
	return rc ? fail(rc < 0 ? rc : -ECANCELED, "the memory's init function returned %d", rc) : 0;
}

int
shoal_memory_create(shoal_arena *a, const char *name, size_t bytes,
                    int (*init)(void *memory, void *arg), void *arg, void **out)
{
	struct shoal_thread *t;
	struct member *me;
	struct wish wish = { bytes, init, arg };
	struct object_plan plan = { SHOAL_KIND_MEMORY, 0, bytes, fill, &wish };
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	*out = NULL;
	rc = member_here(a, &t, &me);
	return rc ? rc : object_create(a, t, me, name, &plan, out);
}

int
shoal_memory_open(shoal_arena *a, const char *name, shoal_time timeout, void **out, size_t *bytes)
{
	int64_t deadline = clock_deadline(timeout);
	struct object_found o;
	uint64_t length, whole;
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	*out = NULL;
	do {
		rc = object_open(a, thread_self(), name, SHOAL_KIND_MEMORY, deadline, &o);
		if (rc)
			return rc;
		length = size(a, o.index);
		whole = object_body_bytes(a, o.body);
	} while (!object_is_still(a, o.index, o.word));
	if (length > whole)
		return fail(-EPROTO, "'%s' in arena '%s' has %llu bytes by its entry, more than its block",
		            name, a->name, (unsigned long long)length);
	*out = o.body;
	if (bytes)
		*bytes = length;
	return 0;
}

int
shoal_memory_destroy(shoal_arena *a, void *memory)
{
	struct shoal_thread *t;
	struct member *me;
	if (!memory)
		return 0;
	int rc = member_here(a, &t, &me);
	if (rc)
		return rc;
	return object_destroy(a, t, me, object_of_body(a, memory, SHOAL_KIND_MEMORY));
}
