/*
 * Values: one cell of 64 bits, an int64_t or the bits of a double, whatever its type: the type only
 * says what it may become.
 *
 * Crash points: each change is one store or compare-and-swap. A value is never entered
 * (member->call): what its users hold in it is its lock, which keeps the memory (typed_kept), and
 * who waits for that lock, or destroys the value, names it in its record (sync/stay.h).
 */
#include "arena/object.h"
#include "base/clock.h"
#include "base/error.h"
#include "data/kinds.h"
#include "data/typed.h"
#include "sync/name.h"
#include "sync/rlock.h"

/* type: VALUE_MARK | shoal_type while it lives, 0 afterwards. */
#define VALUE_MARK 0x56414c00u

struct shoal_value {
	/* line 1: the cell */
	_Alignas(SPACING) word64 cell;
	word32 type;
	/* line 3: what more than one step is done under */
	_Alignas(SPACING) shoal_rlock lock;
};
_Static_assert(offsetof(struct shoal_value, lock) == KIND_LOCK_AT, "where it is looked for");

/* ---- what it may become ---- */

static uint32_t
type_of(const shoal_value *v)
{
	uint32_t type = load_relaxed(&v->type);
	if (unlikely((type & ~0xffu) != VALUE_MARK || !typed_bytes(type & 0xff)))
		stop("%p is no value, or was destroyed", (const void *)v);
	return type & 0xff;
}

static void
want_int(const shoal_value *v)
{
	uint32_t type = type_of(v);
	if (unlikely(typed_is_real(type)))
		stop("the value at %p has the type %s: it is read and changed as a double",
		     (const void *)v, typed_name(type));
}

static void
want_real(const shoal_value *v)
{
	uint32_t type = type_of(v);
	if (unlikely(!typed_is_real(type)))
		stop("the value at %p has the type %s: it is changed as an int", (const void *)v,
		     typed_name(type));
}

static uint64_t
fitting_int(const shoal_value *v, int64_t n)
{
	if (unlikely(!typed_holds(type_of(v), n)))
		stop("%lld is wide of the value at %p, which has the type %s", (long long)n,
		     (const void *)v, typed_name(type_of(v)));
	return (uint64_t)n;
}

static uint64_t
fitting_real(const shoal_value *v, double x)
{
	union typed u = { .real = x };
	if (unlikely(!typed_round(type_of(v), &u.real)))
		stop("%g is wide of the value at %p, which has the type %s", x, (const void *)v,
		     typed_name(type_of(v)));
	return u.bits;
}

/* ---- the calls ---- */

int64_t
shoal_value_get_int(const shoal_value *v)
{
	want_int(v);
	return (int64_t)load_seq_cst(&v->cell);
}

void
shoal_value_set_int(shoal_value *v, int64_t to)
{
	if (typed_is_real(type_of(v)))
		shoal_value_set_double(v, typed_real_of(type_of(v), to));
	else
		store_seq_cst(&v->cell, fitting_int(v, to));
}

int64_t
shoal_value_add_int(shoal_value *v, int64_t delta)
{
	int64_t sum;
	uint64_t seen;
	want_int(v);
	do {
		seen = load_relaxed(&v->cell);
		if (unlikely(__builtin_add_overflow((int64_t)seen, delta, &sum)))
			stop("%lld and %lld more is wide of the value at %p", (long long)seen,
			     (long long)delta, (void *)v);
	} while (!cas64_seq_cst(&v->cell, seen, fitting_int(v, sum)));
	return sum;
}

int64_t
shoal_value_exchange_int(shoal_value *v, int64_t to)
{
	want_int(v);
	return (int64_t)exchange_seq_cst(&v->cell, fitting_int(v, to));
}

bool
shoal_value_compare_exchange_int(shoal_value *v, int64_t *expected, int64_t desired)
{
	want_int(v);
	uint64_t to = fitting_int(v, desired), seen;
	do {
		if (cas64_seq_cst(&v->cell, (uint64_t)*expected, to))
			return true;
		seen = load_seq_cst(&v->cell);
		/* It may have become so since. */
	} while (seen == (uint64_t)*expected);
	*expected = (int64_t)seen;
	return false;
}

double
shoal_value_get_double(const shoal_value *v)
{
	union typed u = { .bits = load_seq_cst(&v->cell) };
	return typed_is_real(type_of(v)) ? u.real : (double)u.integer;
}

void
shoal_value_set_double(shoal_value *v, double to)
{
	want_real(v);
	store_seq_cst(&v->cell, fitting_real(v, to));
}

double
shoal_value_add_double(shoal_value *v, double delta)
{
	union typed seen, sum;
	want_real(v);
	do {
		seen.bits = load_relaxed(&v->cell);
		sum.bits = fitting_real(v, seen.real + delta);
	} while (!cas64_seq_cst(&v->cell, seen.bits, sum.bits));
	return sum.real;
}

shoal_type
shoal_value_type(const shoal_value *v)
{
	return (shoal_type)type_of(v);
}

shoal_rlock *
shoal_value_lock(shoal_value *v)
{
	(void)type_of(v);
	return typed_lock(v);
}

/* ---- the object ---- */

struct first {
	uint32_t type;
	union typed cell;
};

static int
fill(shoal_arena *a, uint32_t index, void *body, const void *arg)
{
	shoal_value *v = body;
	const struct first *first = arg;
	(void)a;
	(void)index;
	store_relaxed(&v->cell, first->cell.bits);
	store_relaxed(&v->type, VALUE_MARK | first->type);
	return shoal_rlock_init(&v->lock, 0);
}

static int
found(const char *name, shoal_value *v, shoal_value **out)
{
	*out = v;
	if (v && name)
		(void)name_give(&v->lock, name);
	return v ? 0 : -EPROTO;
}

int
shoal_value_create(shoal_arena *a, const char *name, shoal_type type, shoal_any first,
                   shoal_value **out)
{
	struct shoal_thread *t;
	struct member *me;
	struct first as = { .type = type };
	struct object_plan plan = { SHOAL_KIND_VALUE, 0, sizeof(struct shoal_value), fill, &as };
	void *body;
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	*out = NULL;
	if (!typed_bytes(type))
		return fail(-EINVAL, "a value: %d is no shoal_type", (int)type);
	rc = typed_from_any(type, &first, true, &as.cell);
	if (rc == 0)
		rc = member_here(a, &t, &me);
	if (rc == 0)
		rc = object_create(a, t, me, name, &plan, &body);
	return rc ? rc : found(name, body, out);
}

int
shoal_value_open(shoal_arena *a, const char *name, shoal_time timeout, shoal_value **out)
{
	struct object_found o;
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	*out = NULL;
	rc = object_open(a, thread_self(), name, SHOAL_KIND_VALUE, clock_deadline(timeout), &o);
	return rc ? rc : found(name, o.body, out);
}

int
shoal_value_at(shoal_arena *a, shoal_ref ref, shoal_value **out)
{
	uint32_t index;
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	*out = NULL;
	rc = object_at(a, ref, SHOAL_KIND_VALUE, &index);
	return rc ? rc : found(NULL, object_body_at(a, index), out);
}

int
shoal_value_destroy(shoal_arena *a, shoal_value *v)
{
	return typed_destroy(a, v, SHOAL_KIND_VALUE);
}

/* ---- its kind ---- */

/* Calls after this one know that it is none. */
static void
empty(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object)
{
	shoal_value *v = object_body_at(a, object);
	(void)t, (void)me;
	if (v)
		store_release(&v->type, 0);
}

static uint64_t
size(const shoal_arena *a, uint32_t object)
{
	const shoal_value *v = object_body_at(a, object);
	return v ? typed_bytes(load_relaxed(&v->type) & 0xff) : 0;
}

static int
check(shoal_arena *a, uint32_t object, uint64_t parts, FILE *report)
{
	const shoal_value *v = object_body_at(a, object);
	(void)parts;
	uint32_t type = v ? load_relaxed(&v->type) : 0;
	union typed cell = { .bits = v ? load_relaxed(&v->cell) : 0 };
	bool fits = typed_is_real(type & 0xff) ? typed_round(type & 0xff, &cell.real)
	                                       : typed_holds(type & 0xff, cell.integer);
	if ((type & ~0xffu) == VALUE_MARK && fits)
		return 0;
	if (report)
		fprintf(report, "value %u has the type 0x%x and the bits 0x%llx\n", object, type,
		        (unsigned long long)cell.bits);
	return 1;
}

const struct kind_ops value_kind = {
	.lasts = true,
	.locked = true,
	.empty = empty,
	.kept = typed_kept,
	.size = size,
	.check = check,
};
