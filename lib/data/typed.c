#include "data/typed.h"
#include "arena/object.h"
#include "base/error.h"
#include "data/any.h"
#include "sync/name.h"
#include "sync/rlock.h"
#include <float.h>
#include <string.h>

static const struct type {
	const char *name;
	size_t bytes;
	int64_t least, most;
} types[] = {
	[SHOAL_I8] = { "SHOAL_I8", 1, INT8_MIN, INT8_MAX },
	[SHOAL_U8] = { "SHOAL_U8", 1, 0, UINT8_MAX },
	[SHOAL_I16] = { "SHOAL_I16", 2, INT16_MIN, INT16_MAX },
	[SHOAL_U16] = { "SHOAL_U16", 2, 0, UINT16_MAX },
	[SHOAL_I32] = { "SHOAL_I32", 4, INT32_MIN, INT32_MAX },
	[SHOAL_U32] = { "SHOAL_U32", 4, 0, UINT32_MAX },
	[SHOAL_I64] = { "SHOAL_I64", 8, INT64_MIN, INT64_MAX },
	[SHOAL_U64] = { "SHOAL_U64", 8, 0, INT64_MAX },
	[SHOAL_F32] = { "SHOAL_F32", 4, 0, 0 },
	[SHOAL_F64] = { "SHOAL_F64", 8, 0, 0 },
	[SHOAL_BOOL] = { "SHOAL_BOOL", 1, 0, 1 },
};

static bool
is_type(uint32_t type)
{
	return type >= SHOAL_I8 && type <= SHOAL_BOOL;
}

size_t
typed_bytes(uint32_t type)
{
	return is_type(type) ? types[type].bytes : 0;
}

const char *
typed_name(uint32_t type)
{
	return is_type(type) ? types[type].name : "no type";
}

bool
typed_holds(uint32_t type, int64_t n)
{
	return is_type(type) && n >= types[type].least && n <= types[type].most;
}

/* What rounds to more than the largest float is wide; infinities and NaN are themselves. */
bool
typed_round(uint32_t type, double *x)
{
	if (type != SHOAL_F32)
		return true;
	bool finite = *x >= -DBL_MAX && *x <= DBL_MAX;
	double half_beyond = 0x1.ffffffp127;
	if (finite && (*x >= half_beyond || *x <= -half_beyond))
		return false;
	*x = (double)(float)*x;
	return true;
}

/* ---- from and to anys ---- */

static int
wide(uint32_t type)
{
	return fail(-EOVERFLOW, "the number is wide of %s", typed_name(type));
}

static int
real_from_any(uint32_t type, const shoal_any *v, union typed *out)
{
	if (v->kind == SHOAL_ANY_DOUBLE)
		out->real = v->as.real;
	else
		out->real = typed_real_of(type, shoal_any_int(v, 0));
	return typed_round(type, &out->real) ? 0 : wide(type);
}

int
typed_from_any(uint32_t type, const shoal_any *v, bool nil_is_zero, union typed *out)
{
	struct any_size size;
	int rc = any_measure(v, &size);
	out->bits = 0;
	if (rc || (v->kind == SHOAL_ANY_NIL && nil_is_zero))
		return rc;
	if (v->kind != SHOAL_ANY_INT && v->kind != SHOAL_ANY_BOOL &&
	    !(v->kind == SHOAL_ANY_DOUBLE && typed_is_real(type)))
		return fail(-EINVAL, "a cell of %s takes no value of kind %s", typed_name(type),
		            any_kind_name(v->kind));
	if (typed_is_real(type))
		return real_from_any(type, v, out);
	out->integer = shoal_any_int(v, 0);
	return typed_holds(type, out->integer) ? 0 : wide(type);
}

/* ---- in memory ---- */

static uint64_t
load(const void *cell, size_t bytes)
{
	switch (bytes) {
	case 1:
		return load_acquire((const word8 *)cell);
	case 2:
		return load_acquire((const word16 *)cell);
	case 4:
		return load_acquire((const word32 *)cell);
	default:
		return load_acquire((const word64 *)cell);
	}
}

static void
store(void *cell, size_t bytes, uint64_t to)
{
	switch (bytes) {
	case 1:
		store_release((word8 *)cell, (uint8_t)to);
		break;
	case 2:
		store_release((word16 *)cell, (uint16_t)to);
		break;
	case 4:
		store_release((word32 *)cell, (uint32_t)to);
		break;
	default:
		store_release((word64 *)cell, to);
	}
}

void
typed_store(uint32_t type, void *cell, union typed to)
{
	if (type == SHOAL_F32) {
		float f = (float)to.real;
		uint32_t bits;
		memcpy(&bits, &f, sizeof bits);
		to.bits = bits;
	}
	store(cell, typed_bytes(type), to.bits);
}

static double
real_of(uint32_t type, uint64_t bits)
{
	double x;
	float f;
	uint32_t low = (uint32_t)bits;
	if (type == SHOAL_F64)
		return memcpy(&x, &bits, sizeof x), x;
	return memcpy(&f, &low, sizeof f), (double)f;
}

int
typed_load(uint32_t type, const void *cell, shoal_any *out)
{
	size_t bytes = typed_bytes(type);
	uint64_t bits = load(cell, bytes);
	unsigned shift = 64 - 8 * (unsigned)bytes;
	if (typed_is_real(type)) {
		*out = shoal_any_from_double(real_of(type, bits));
		return 0;
	}
	if (type == SHOAL_BOOL) {
		*out = shoal_any_from_bool(bits != 0);
		return 0;
	}
	if (type == SHOAL_U64 && bits > INT64_MAX)
		return fail(-EOVERFLOW, "the cell has %llu, more than an any holds",
		            (unsigned long long)bits);
	/* The signed ones are those whose least number is below 0: the sign bit is spread. */
	if (types[type].least < 0)
		bits = (uint64_t)((int64_t)(bits << shift) >> shift);
	*out = shoal_any_from_int((int64_t)bits);
	return 0;
}

/* ---- many ---- */

/* So many bytes at the front until cells can be taken eight bytes at a time. */
static size_t
ragged(const void *cells, size_t bytes)
{
	size_t head = -(uintptr_t)cells & 7;
	return head < bytes ? head : bytes;
}

static void
out_each(char *own, const char *cells, size_t bytes, size_t each)
{
	for (size_t i = 0; i < bytes; i += each) {
		uint64_t bits = load(cells + i, each);
		memcpy(own + i, &bits, each);
	}
}

static void
in_each(char *cells, const char *own, size_t bytes, size_t each)
{
	for (size_t i = 0; i < bytes; i += each) {
		uint64_t bits = 0;
		memcpy(&bits, own + i, each);
		store(cells + i, each, bits);
	}
}

void
typed_copy_out(void *own, const void *cells, size_t bytes, size_t each)
{
	size_t head = ragged(cells, bytes), middle = (bytes - head) & ~(size_t)7;
	out_each(own, cells, head, each);
	out_each((char *)own + head, (const char *)cells + head, middle, 8);
	out_each((char *)own + head + middle, (const char *)cells + head + middle,
	         bytes - head - middle, each);
}

void
typed_copy_in(void *cells, const void *own, size_t bytes, size_t each)
{
	size_t head = ragged(cells, bytes), middle = (bytes - head) & ~(size_t)7;
	in_each(cells, own, head, each);
	in_each((char *)cells + head, (const char *)own + head, middle, 8);
	in_each((char *)cells + head + middle, (const char *)own + head + middle,
	        bytes - head - middle, each);
}

/* ---- values and arrays as objects ---- */

static shoal_rlock *
lock_in(void *body)
{
	return (shoal_rlock *)(void *)((char *)body + KIND_LOCK_AT);
}

shoal_rlock *
typed_lock(void *body)
{
	const shoal_arena *a = arena_of(body);
	if (likely(!a || !a->readonly))
		return lock_in(body);
	fail(-EPERM, "arena '%s' is attached read-only, and to take a lock is to write: attach it with "
	     "shoal_arena_attach", a->name);
	return NULL;
}

/* Named in this record meanwhile, so that the lock is still there to wake those who wait for it. */
static int
destroy(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index, shoal_rlock *l)
{
	struct lock *lock = &rlock_of(l)->lock;
	struct stay stay = lock_stay(lock);
	int rc = object_destroy(a, t, me, index);
	if (stay.name && stay.alive && stay_over(&stay))
		lock_shut(lock);
	stay_end(&stay);
	if (stay.name)
		object_sweep(a, t, me);
	return rc;
}

int
typed_destroy(shoal_arena *a, void *body, uint32_t kind)
{
	struct shoal_thread *t;
	struct member *me;
	int rc = body ? member_here(a, &t, &me) : 0;
	if (rc || !body)
		return rc;
	uint32_t index = object_of_body(a, body, kind);
	name_forget(lock_in(body));
	return destroy(a, t, me, index, lock_in(body));
}

bool
typed_kept(shoal_arena *a, uint32_t object)
{
	void *body = object_body_at(a, object);
	return body && rlock_in_use(lock_in(body));
}
