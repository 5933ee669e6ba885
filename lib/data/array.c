/*
 * Arrays: typed memory behind a header, in one block.
 *
 * The header is read where others may write. Whatever it says, get, set, read and write reach no
 * further than the block whose word names the array.
 *
 * Crash points: one cell is one store; a write of many is as far as it came.
 */
#include "arena/object.h"
#include "base/clock.h"
#include "base/error.h"
#include "data/kinds.h"
#include "data/typed.h"
#include "sync/name.h"
#include "sync/rlock.h"

/* type: ARRAY_MARK | shoal_type while it lives, 0 afterwards. */
#define ARRAY_MARK 0x41525200u

struct shoal_array {
	/* line 1: never changes while it lives */
	_Alignas(SPACING) word32 type;
	uint32_t unused;
	uint64_t count;
	/* line 3 */
	_Alignas(SPACING) shoal_rlock lock;
	/* line 5 … */
	_Alignas(SPACING) char cells[];
};
_Static_assert(offsetof(struct shoal_array, lock) == KIND_LOCK_AT, "where it is looked for");
_Static_assert(offsetof(struct shoal_array, cells) == 2 * SPACING, "cells begin on a line");

static uint32_t
type_of(const shoal_array *x)
{
	uint32_t type = load_relaxed(&x->type);
	if (unlikely((type & ~0xffu) != ARRAY_MARK || !typed_bytes(type & 0xff)))
		stop("%p is no array, or was destroyed", (const void *)x);
	return type & 0xff;
}

void *
shoal_array_data(shoal_array *x)
{
	(void)type_of(x);
	return x->cells;
}

size_t
shoal_array_count(const shoal_array *x)
{
	(void)type_of(x);
	return x->count;
}

shoal_type
shoal_array_type(const shoal_array *x)
{
	return (shoal_type)type_of(x);
}

shoal_rlock *
shoal_array_lock(shoal_array *x)
{
	(void)type_of(x);
	return typed_lock(x);
}

/* ---- cells ---- */

/* Where cells of an array lie, and how many there are: what the block has room for at most. */
struct reach {
	shoal_arena *arena;
	uint32_t type;
	size_t each, count;
};

static int
reach(const shoal_array *x, struct reach *out)
{
	shoal_arena *a = out->arena = arena_of(x);
	out->type = type_of(x);
	out->each = typed_bytes(out->type);
	out->count = x->count;
	size_t bytes = a ? object_body_bytes(a, x) : 0;
	if (unlikely(bytes < sizeof *x || out->count > (bytes - sizeof *x) / out->each))
		return fail(-EPROTO, "the array at %p has %zu cells by its header, more than its block",
		            (const void *)x, out->count);
	return 0;
}

static int
may_write(const shoal_array *x, const struct reach *r)
{
	if (likely(!r->arena->readonly))
		return 0;
	return fail(-EPERM, "the array at %p is attached read-only", (const void *)x);
}

static int
seek(const shoal_array *x, const struct reach *r, ptrdiff_t index, size_t *at)
{
	*at = index < 0 ? (size_t)index + r->count : (size_t)index;
	if (likely(*at < r->count))
		return 0;
	return fail(-ENOENT, "index %td is outside of the array at %p, which has %zu cells", index,
	            (const void *)x, r->count);
}

int
shoal_array_get(const shoal_array *x, ptrdiff_t index, shoal_any *out)
{
	struct reach r;
	size_t at;
	*out = SHOAL_NIL;
	int rc = reach(x, &r);
	if (rc == 0)
		rc = seek(x, &r, index, &at);
	return rc ? rc : typed_load(r.type, x->cells + at * r.each, out);
}

int
shoal_array_set(shoal_array *x, ptrdiff_t index, shoal_any value)
{
	struct reach r;
	union typed cell;
	size_t at;
	int rc = reach(x, &r);
	if (rc == 0)
		rc = may_write(x, &r);
	if (rc == 0)
		rc = seek(x, &r, index, &at);
	if (rc == 0)
		rc = typed_from_any(r.type, &value, false, &cell);
	if (rc == 0)
		typed_store(r.type, x->cells + at * r.each, cell);
	return rc;
}

static int
seek_all(const shoal_array *x, const struct reach *r, size_t first, size_t count)
{
	if (likely(first <= r->count && count <= r->count - first))
		return 0;
	return fail(-ENOENT,
	            "%zu cells from %zu on are not all within the array at %p, which has %zu", count,
	            first, (const void *)x, r->count);
}

int
shoal_array_read(const shoal_array *x, size_t first, size_t count, void *out)
{
	struct reach r;
	int rc = reach(x, &r);
	if (rc == 0)
		rc = seek_all(x, &r, first, count);
	if (rc == 0)
		typed_copy_out(out, x->cells + first * r.each, count * r.each, r.each);
	return rc;
}

int
shoal_array_write(shoal_array *x, size_t first, size_t count, const void *in)
{
	struct reach r;
	int rc = reach(x, &r);
	if (rc == 0)
		rc = may_write(x, &r);
	if (rc == 0)
		rc = seek_all(x, &r, first, count);
	if (rc == 0)
		typed_copy_in(x->cells + first * r.each, in, count * r.each, r.each);
	return rc;
}

/* ---- the object ---- */

struct cells {
	uint32_t type;
	size_t count;
};

static int
fill(shoal_arena *a, uint32_t index, void *body, const void *arg)
{
	shoal_array *x = body;
	const struct cells *cells = arg;
	(void)a;
	(void)index;
	x->count = cells->count;
	store_relaxed(&x->type, ARRAY_MARK | cells->type);
	return shoal_rlock_init(&x->lock, 0);
}

static int
found(const char *name, shoal_array *x, shoal_array **out)
{
	*out = x;
	if (x && name)
		(void)name_give(&x->lock, name);
	return x ? 0 : -EPROTO;
}

static int
check_shape(const shoal_arena *a, shoal_type type, size_t count)
{
	if (!typed_bytes(type))
		return fail(-EINVAL, "an array: %d is no shoal_type", (int)type);
	if (count > arena_limit(a) / typed_bytes(type))
		return fail(-ENOMEM, "%zu cells of %s are more than the arena's limit of %llu bytes",
		            count, typed_name(type), (unsigned long long)arena_limit(a));
	return 0;
}

int
shoal_array_create(shoal_arena *a, const char *name, shoal_type type, size_t count,
                   shoal_array **out)
{
	struct shoal_thread *t;
	struct member *me;
	struct cells cells = { type, count };
	void *body;
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	*out = NULL;
	rc = check_shape(a, type, count);
	if (rc == 0)
		rc = member_here(a, &t, &me);
	if (rc)
		return rc;
	size_t bytes = sizeof(struct shoal_array) + count * typed_bytes(type);
	struct object_plan plan = { SHOAL_KIND_ARRAY, 0, bytes, fill, &cells };
	rc = object_create(a, t, me, name, &plan, &body);
	return rc ? rc : found(name, body, out);
}

int
shoal_array_open(shoal_arena *a, const char *name, shoal_time timeout, shoal_array **out)
{
	struct object_found o;
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	*out = NULL;
	rc = object_open(a, thread_self(), name, SHOAL_KIND_ARRAY, clock_deadline(timeout), &o);
	return rc ? rc : found(name, o.body, out);
}

int
shoal_array_at(shoal_arena *a, shoal_ref ref, shoal_array **out)
{
	uint32_t index;
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	*out = NULL;
	rc = object_at(a, ref, SHOAL_KIND_ARRAY, &index);
	return rc ? rc : found(NULL, object_body_at(a, index), out);
}

int
shoal_array_destroy(shoal_arena *a, shoal_array *x)
{
	return typed_destroy(a, x, SHOAL_KIND_ARRAY);
}

/* ---- its kind ---- */

/* Calls after this one know that it is none. */
static void
empty(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object)
{
	shoal_array *x = object_body_at(a, object);
	(void)t, (void)me;
	if (x)
		store_release(&x->type, 0);
}

static uint64_t
size(const shoal_arena *a, uint32_t object)
{
	const shoal_array *x = object_body_at(a, object);
	return x ? x->count : 0;
}

static int
check(shoal_arena *a, uint32_t object, uint64_t parts, FILE *report)
{
	const shoal_array *x = object_body_at(a, object);
	(void)parts;
	uint32_t type = x ? load_relaxed(&x->type) : 0;
	size_t each = typed_bytes(type & 0xff);
	uint64_t count = x ? x->count : 0;
	if (x && (type & ~0xffu) == ARRAY_MARK && each &&
	    count <= (object_body_bytes(a, x) - sizeof *x) / each)
		return 0;
	if (report)
		fprintf(report, "array %u has the type 0x%x and %llu cells\n", object, type,
		        (unsigned long long)count);
	return 1;
}

const struct kind_ops array_kind = {
	.lasts = true,
	.locked = true,
	.empty = empty,
	.kept = typed_kept,
	.size = size,
	.check = check,
};
