/*
 * Data that processes share: typed cells and arrays; lists, dicts and namespaces of dynamic values.
 *
 *	shoal_value *hits;
 *	int rc = shoal_value_create(arena, "hits", SHOAL_I64, SHOAL_ANY(0), &hits);
 *	...
 *	shoal_value_add_int(hits, 1);              // from any process: no update is ever lost
 *
 *	shoal_array *grid;
 *	rc = shoal_array_create(arena, "grid", SHOAL_F64, 1000, &grid);
 *	double *cell = shoal_array_data(grid);     // the memory itself
 *
 * NAMES, OPENING, DESTROYING are as for every object of an arena (shoal/arena.h): create gives
 * -EEXIST where the name is taken (NULL: no name), and what a creator that died left half-made
 * counts as absent; open waits for the creator up to the timeout (-ENOENT, -EPROTO: another kind of
 * object, -ECANCELED). Pointers are valid in this process and its forked children; a reference
 * (shoal_ref_of) reaches the others.
 *
 * LIFETIME. An object lives while its maker has not destroyed it, and while a container or a
 * message holds it, or an any that a call filled. When its maker destroys it the name goes at once.
 * Nothing may use a pointer to it afterwards but through one of those.
 *
 * ERRORS. 0 or a negative errno, with a sentence in shoal_error(); calls that fail leave everything
 * as it was, and *out NULL or nil. -EPERM: a call that writes, on a read-only handle.
 *
 * DEATHS. A process that dies inside a call has done all of it or nothing, but where it says so.
 */
#ifndef SHOAL_DATA_H
#define SHOAL_DATA_H
#include <shoal/any.h>
#include <shoal/sync.h>
SHOAL_BEGIN_

/* ---- cells ---- */

/* A bool is 1 byte, 0 or 1. */
typedef enum {
	SHOAL_I8 = 1,
	SHOAL_U8,
	SHOAL_I16,
	SHOAL_U16,
	SHOAL_I32,
	SHOAL_U32,
	SHOAL_I64,
	SHOAL_U64,
	SHOAL_F32,
	SHOAL_F64,
	SHOAL_BOOL
} shoal_type;

/* ---- value: one cell ---- */

/*
 * `first`: an int, a bool or a double that the cell takes, or nil for 0.
 *   -EINVAL     no such type, or `first` is of another kind
 *   -EOVERFLOW  `first` is wide of the type
 *   -EEXIST, -ENOMEM, -ENOSPC, -EUSERS
 */
int shoal_value_create(shoal_arena *arena, const char *name, shoal_type type, shoal_any first,
                       shoal_value **out);
int shoal_value_open(shoal_arena *arena, const char *name, shoal_time timeout, shoal_value **out);
/* From a reference. -ENOENT: it was destroyed; -EPROTO: another kind. */
int shoal_value_at(shoal_arena *arena, shoal_ref ref, shoal_value **out);
/* NULL is 0. While somebody holds its lock, its memory waits for that. */
int shoal_value_destroy(shoal_arena *arena, shoal_value *value);
shoal_type shoal_value_type(const shoal_value *value);

/*
 * Each is one atomic step, without waiting, that all processes see in one order; what was written
 * before a set, add or exchange is seen by whoever reads its result. Since they have no way to
 * fail, what the cell cannot hold stops the process with a sentence, in every build: a number wide
 * of its type (SHOAL_U64: above INT64_MAX; SHOAL_BOOL: other than 0 and 1), the int calls but set
 * on a floating cell, the double calls but get on another one, a value that was destroyed. Floating
 * cells take infinities and NaN, and round (SHOAL_F32). On a read-only handle only get may be
 * called.
 */
int64_t shoal_value_get_int(const shoal_value *value);
void shoal_value_set_int(shoal_value *value, int64_t to);
/* The new value. */
int64_t shoal_value_add_int(shoal_value *value, int64_t delta);
/* The old value. */
int64_t shoal_value_exchange_int(shoal_value *value, int64_t to);
/* Where it is not *expected, false, and *expected is what it is. */
bool shoal_value_compare_exchange_int(shoal_value *value, int64_t *expected, int64_t desired);
double shoal_value_get_double(const shoal_value *value);
void shoal_value_set_double(shoal_value *value, double to);
double shoal_value_add_double(shoal_value *value, double delta);

/*
 * The value's own lock, for what is more than one step. The calls above do not take it: they are
 * as atomic with it as without.
 */
shoal_rlock *shoal_value_lock(shoal_value *value);

/* ---- array: cells side by side ---- */

/*
 * `count` cells, 0 at first; it never changes. -EINVAL: no such type; -ENOMEM: more than the
 * arena's limit.
 */
int shoal_array_create(shoal_arena *arena, const char *name, shoal_type type, size_t count,
                       shoal_array **out);
int shoal_array_open(shoal_arena *arena, const char *name, shoal_time timeout, shoal_array **out);
int shoal_array_at(shoal_arena *arena, shoal_ref ref, shoal_array **out);
int shoal_array_destroy(shoal_arena *arena, shoal_array *array);

/*
 * The cells themselves, as a C array of the type, aligned to 128 bytes. How to keep processes from
 * writing at once is the user's affair: shoal_array_lock, atomics, or a part for each.
 */
void *shoal_array_data(shoal_array *array);
size_t shoal_array_count(const shoal_array *array);
shoal_type shoal_array_type(const shoal_array *array);

/*
 * Index from 0, negative from the end; -ENOENT outside. Get gives an int, a bool or a double. Set
 * takes an int or a bool, for a floating cell a double too (-EINVAL for others), that the cell can
 * hold (-EOVERFLOW). One cell is read, or written, in one step.
 */
int shoal_array_get(const shoal_array *array, ptrdiff_t index, shoal_any *out);
int shoal_array_set(shoal_array *array, ptrdiff_t index, shoal_any value);

/*
 * `count` cells from `first` on, to or from memory of the type. Each cell is whole; all of them are
 * of one moment only where a lock sees to it, and a death in a write leaves part of it. -ENOENT:
 * they are not all within the array; nothing is done.
 */
int shoal_array_read(const shoal_array *array, size_t first, size_t count, void *out);
int shoal_array_write(shoal_array *array, size_t first, size_t count, const void *in);

shoal_rlock *shoal_array_lock(shoal_array *array);

SHOAL_END_

#endif
