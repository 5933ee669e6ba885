/* Shared data of a type: values, and arrays. */
#include "outside.h"
#include <pthread.h>

static int
hit(void *value)
{
	for (int i = 0; i < 1000; i++)
		shoal_value_add_int(value, 1);
	return 0;
}

static void *
hit_too(void *value)
{
	hit(value);
	return NULL;
}

static void
ints(shoal_arena *arena)
{
	shoal_value *hits, *same;
	pthread_t thread;
	int64_t expected = 4;
	CHECK(shoal_value_create(arena, "hits", SHOAL_U8, SHOAL_ANY(256), &hits) == -EOVERFLOW);
	CHECK(shoal_value_create(arena, "hits", SHOAL_I64, SHOAL_ANY(3), &hits) == 0);
	CHECK(shoal_value_open(arena, "hits", SHOAL_NOWAIT, &same) == 0 && same == hits);
	shoal_ref ref = shoal_ref_of(arena, hits);
	CHECK(shoal_value_at(arena, ref, &same) == 0 && same == hits);
	CHECK(shoal_value_type(hits) == SHOAL_I64 && shoal_value_get_int(hits) == 3);
	CHECK(shoal_value_add_int(hits, 2) == 5 && shoal_value_exchange_int(hits, 6) == 5);
	CHECK(!shoal_value_compare_exchange_int(hits, &expected, 7) && expected == 6);
	CHECK(shoal_value_compare_exchange_int(hits, &expected, 7) && shoal_value_get_int(hits) == 7);
	shoal_value_set_int(hits, -1000);
	CHECK(shoal_value_get_int(hits) == -1000);
	CHECK(pthread_create(&thread, NULL, hit_too, hits) == 0);
	in_child(hit, hits);
	CHECK(pthread_join(thread, NULL) == 0 && shoal_value_get_int(hits) == 1000);
	CHECK(shoal_rlock_acquire(shoal_value_lock(hits), SHOAL_NOWAIT) == 0);
	CHECK(shoal_rlock_release(shoal_value_lock(hits)) == 0);
	CHECK(shoal_value_destroy(arena, hits) == 0);
	CHECK(shoal_value_at(arena, ref, &same) == -ENOENT && !same);
}

static void
doubles(shoal_arena *arena)
{
	shoal_value *mean;
	CHECK(shoal_value_create(arena, NULL, SHOAL_F64, SHOAL_ANY(0.5), &mean) == 0);
	CHECK(shoal_value_type(mean) == SHOAL_F64 && shoal_value_get_double(mean) == 0.5);
	CHECK(shoal_value_add_double(mean, 0.25) == 0.75);
	shoal_value_set_double(mean, -2.5);
	CHECK(shoal_value_get_double(mean) == -2.5);
	CHECK(shoal_value_destroy(arena, mean) == 0);
}

/* What each type holds, to its limits, and what it does not. */
static void
types(shoal_arena *arena)
{
	const struct {
		shoal_type type;
		int64_t least, most;
	} all[] = {
		{ SHOAL_I8, INT8_MIN, INT8_MAX },    { SHOAL_U8, 0, UINT8_MAX },
		{ SHOAL_I16, INT16_MIN, INT16_MAX }, { SHOAL_U16, 0, UINT16_MAX },
		{ SHOAL_I32, INT32_MIN, INT32_MAX }, { SHOAL_U32, 0, UINT32_MAX },
		{ SHOAL_I64, INT64_MIN, INT64_MAX }, { SHOAL_U64, 0, INT64_MAX },
		{ SHOAL_BOOL, 0, 1 },
	};
	shoal_array *a;
	shoal_any got;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		CHECK(shoal_array_create(arena, NULL, all[i].type, 2, &a) == 0);
		CHECK(shoal_array_type(a) == all[i].type);
		CHECK(shoal_array_set(a, 0, SHOAL_ANY(all[i].least)) == 0);
		CHECK(shoal_array_set(a, 1, SHOAL_ANY(all[i].most)) == 0);
		CHECK(shoal_array_get(a, 0, &got) == 0 && shoal_any_int(&got, 7) == all[i].least);
		CHECK(shoal_array_get(a, 1, &got) == 0 && shoal_any_int(&got, 7) == all[i].most);
		if (all[i].most < INT64_MAX)
			CHECK(shoal_array_set(a, 0, SHOAL_ANY(all[i].most + 1)) == -EOVERFLOW);
		if (all[i].least > INT64_MIN)
			CHECK(shoal_array_set(a, 0, SHOAL_ANY(all[i].least - 1)) == -EOVERFLOW);
		CHECK(shoal_array_set(a, 0, SHOAL_ANY(0.5)) == -EINVAL);
		CHECK(shoal_array_destroy(arena, a) == 0);
	}
	CHECK(shoal_array_create(arena, NULL, SHOAL_F32, 1, &a) == 0);
	CHECK(shoal_array_set(a, 0, SHOAL_ANY(0.1)) == 0 && ((float *)shoal_array_data(a))[0] == 0.1f);
	CHECK(shoal_array_destroy(arena, a) == 0);
}

static int
finds_it_locked(void *array)
{
	CHECK(shoal_rlock_acquire(shoal_array_lock(array), SHOAL_NOWAIT) == -EAGAIN);
	((double *)shoal_array_data(array))[0] = 4.5;
	return 0;
}

static void
arrays(shoal_arena *arena)
{
	shoal_array *grid, *same;
	shoal_value *other;
	shoal_any got;
	double part[2] = { 1.5, 2.5 }, read[3];
	CHECK(shoal_array_create(arena, "grid", SHOAL_F64, 10, &grid) == 0);
	CHECK(shoal_array_open(arena, "grid", SHOAL_NOWAIT, &same) == 0 && same == grid);
	CHECK(shoal_value_open(arena, "grid", SHOAL_NOWAIT, &other) == -EPROTO);
	shoal_ref ref = shoal_ref_of(arena, grid);
	CHECK(shoal_array_at(arena, ref, &same) == 0 && same == grid);
	CHECK(shoal_value_at(arena, ref, &other) == -EPROTO);
	CHECK(shoal_array_type(grid) == SHOAL_F64 && shoal_array_count(grid) == 10);
	CHECK(shoal_array_write(grid, 8, 2, part) == 0);
	CHECK(shoal_array_read(grid, 7, 3, read) == 0 && read[0] == 0 && read[2] == 2.5);
	CHECK(shoal_array_read(grid, 8, 3, read) == -ENOENT && read[1] == 1.5);
	CHECK(shoal_array_write(grid, 9, 2, part) == -ENOENT);
	CHECK(shoal_array_get(grid, -1, &got) == 0 && shoal_any_double(&got, 0) == 2.5);
	CHECK(shoal_array_set(grid, 1, SHOAL_ANY(1)) == 0);
	CHECK(shoal_array_set(grid, 10, SHOAL_ANY(1)) == -ENOENT);
	CHECK(((double *)shoal_array_data(grid))[1] == 1 &&
	      ((double *)shoal_array_data(grid))[8] == 1.5);
	CHECK(shoal_rlock_acquire(shoal_array_lock(grid), SHOAL_NOWAIT) == 0);
	in_child(finds_it_locked, grid);
	CHECK(shoal_rlock_release(shoal_array_lock(grid)) == 0);
	CHECK(shoal_array_get(grid, 0, &got) == 0 && shoal_any_double(&got, 0) == 4.5);
	CHECK(shoal_array_destroy(arena, grid) == 0);
	CHECK(shoal_array_at(arena, ref, &same) == -ENOENT);
}

void
cells(shoal_arena *arena)
{
	ints(arena);
	doubles(arena);
	types(arena);
	arrays(arena);
}
