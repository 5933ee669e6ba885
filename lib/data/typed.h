/*
 * The types of cells: how wide they are, what they hold, how a cell lies in memory; and how the
 * objects end that have cells and a lock.
 *
 * Outside of memory a cell's content is 64 bits: an int64_t, or the bits of a double where the type
 * is a floating one.
 */
#ifndef DATA_TYPED_H
#define DATA_TYPED_H

#include "base/atomic.h"
#include <shoal/data.h>

union typed {
	int64_t integer;
	double real;
	uint64_t bits;
};

/* 1 to 8; 0 where there is no such type. */
size_t typed_bytes(uint32_t type);
const char *typed_name(uint32_t type);

static inline bool
typed_is_real(uint32_t type)
{
	return type == SHOAL_F32 || type == SHOAL_F64;
}

/* Whether a cell that is not floating holds the number. */
bool typed_holds(uint32_t type, int64_t n);

/* As a floating cell has it: rounded. False: it is finite, and wide of the type. */
bool typed_round(uint32_t type, double *x);

/* Of a floating type: rounded once, to what its cell holds. */
static inline double
typed_real_of(uint32_t type, int64_t n)
{
	return type == SHOAL_F32 ? (double)(float)n : (double)n;
}

/* What an any is in a cell: 0, -EINVAL, -EOVERFLOW. Nil is 0 where nil_is_zero. */
int typed_from_any(uint32_t type, const shoal_any *v, bool nil_is_zero, union typed *out);

/* One atomic access; the cell is aligned to its bytes. */
void typed_store(uint32_t type, void *cell, union typed to);
/* 0 or -EOVERFLOW: a U64 beyond INT64_MAX. */
int typed_load(uint32_t type, const void *cell, shoal_any *out);

/*
 * Copies cells of `each` bytes, between shared memory and memory of this thread's own: every cell
 * is read, or written, in one access.
 */
void typed_copy_out(void *own, const void *cells, size_t bytes, size_t each);
void typed_copy_in(void *cells, const void *own, size_t bytes, size_t each);

/* ---- values and arrays as objects, their lock at KIND_LOCK_AT ---- */

/* NULL is 0. Those who wait for its lock are told. */
int typed_destroy(shoal_arena *a, void *body, uint32_t kind);
/* NULL with -EPERM in words where the handle is read-only. */
shoal_rlock *typed_lock(void *body);
/* For kind_ops.kept. */
bool typed_kept(shoal_arena *a, uint32_t object);

#endif
