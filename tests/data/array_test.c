/* Typed arrays: CPython's _TestArray, and bounds. */
#include "common.h"

static int64_t
int_at(const shoal_array *x, ptrdiff_t i)
{
	shoal_any v;
	REQUIRE_EQ(shoal_array_get(x, i, &v), 0);
	REQUIRE_EQ(v.kind, SHOAL_ANY_INT);
	return v.as.integer;
}

/* Each cell is the sum up to there, in a child. */
static int
prefix_sums(void *arg)
{
	int32_t *cell = shoal_array_data(arg);
	for (size_t i = 1; i < shoal_array_count(arg); i++)
		cell[i] += cell[i - 1];
	return 0;
}

/* test_array */
Test(array, a_child_reckons_in_it)
{
	static const int32_t seq[] = { 680, 626, 934, 821, 150, 233, 548, 982, 714, 831 };
	shoal_arena *a = create(NULL, &small);
	shoal_array *x = array(a, SHOAL_I32, 10);
	int32_t cells[10];
	int64_t sum = 0;
	REQUIRE_EQ(shoal_array_count(x), 10);
	REQUIRE_EQ(shoal_array_type(x), SHOAL_I32);
	REQUIRE_EQ(shoal_array_write(x, 0, 10, seq), 0);
	REQUIRE_EQ(int_at(x, 3), 821);
	REQUIRE_EQ(int_at(x, -1), 831);
	REQUIRE_EQ(shoal_array_read(x, 2, 5, cells), 0);
	REQUIRE(memcmp(cells, seq + 2, 20) == 0);
	REQUIRE_EQ(shoal_array_set(x, 4, SHOAL_ANY(seq[4])), 0);
	expect_child(child(prefix_sums, x), 0, 5000);
	for (int i = 0; i < 10; i++)
		REQUIRE_EQ(int_at(x, i), sum += seq[i]);
	shoal_arena_close(a);
}

/* test_array_from_size: zero, also in memory that was another's. */
Test(array, it_is_zero_at_first)
{
	shoal_arena *a = create(NULL, &small);
	for (int round = 0; round < 3; round++) {
		shoal_array *x = array(a, SHOAL_I32, 10);
		for (int i = 0; i < 10; i++)
			REQUIRE_EQ(int_at(x, i), 0);
		memset(shoal_array_data(x), 0xff, 40);
		REQUIRE_EQ(shoal_array_destroy(a, x), 0);
	}
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

Test(array, any_length_aligned)
{
	static const size_t counts[] = { 0, 1, 3, 100, 5000, 300000 };
	shoal_arena *a = create(NULL, &small);
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		shoal_array *x = array(a, SHOAL_F64, counts[i]);
		double *cell = shoal_array_data(x);
		REQUIRE_EQ((uintptr_t)cell % 128, 0);
		for (size_t j = 0; j < counts[i]; j++)
			cell[j] = (double)j;
		REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
		REQUIRE_EQ(shoal_array_destroy(a, x), 0);
	}
	shoal_array *x;
	REQUIRE_FAILS(shoal_array_create(a, NULL, SHOAL_F64, SIZE_MAX / 8 + 2, &x), -ENOMEM, "limit");
	REQUIRE_EQ(shoal_array_create(a, NULL, SHOAL_U8, 1 << 30, &x), -ENOMEM);
	REQUIRE_EQ(shoal_array_create(a, NULL, (shoal_type)77, 1, &x), -EINVAL);
	REQUIRE(x == NULL);
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	REQUIRE_EQ(info.objects, 0);
	shoal_arena_close(a);
}

Test(array, outside_is_refused)
{
	shoal_arena *a = create(NULL, &small);
	shoal_array *x = array(a, SHOAL_I16, 7);
	int16_t cells[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	shoal_any v;
	REQUIRE_FAILS(shoal_array_get(x, 7, &v), -ENOENT, "7 cells");
	REQUIRE_EQ(shoal_array_get(x, -8, &v), -ENOENT);
	REQUIRE_EQ(shoal_array_get(x, PTRDIFF_MIN, &v), -ENOENT);
	REQUIRE_EQ(v.kind, SHOAL_ANY_NIL);
	REQUIRE_EQ(shoal_array_set(x, 7, SHOAL_ANY(1)), -ENOENT);
	REQUIRE_EQ(shoal_array_write(x, 0, 8, cells), -ENOENT);
	REQUIRE_EQ(shoal_array_write(x, 8, 0, cells), -ENOENT);
	REQUIRE_EQ(shoal_array_write(x, 7, 0, cells), 0);
	REQUIRE_EQ(shoal_array_read(x, SIZE_MAX, 2, cells), -ENOENT);
	REQUIRE_EQ(shoal_array_read(x, 1, SIZE_MAX, cells), -ENOENT);
	for (int i = 0; i < 7; i++)
		REQUIRE_EQ(int_at(x, i), 0);
	REQUIRE_EQ(shoal_array_write(x, 1, 6, cells), 0);
	REQUIRE_EQ(int_at(x, 0), 0);
	REQUIRE_EQ(int_at(x, 6), 6);
	shoal_arena_close(a);
}

/* Each type at both ends of its range, and beyond. */
Test(array, cells_of_each_type)
{
	static const struct { shoal_type type; int64_t least, most; } t[] = {
		{ SHOAL_I8, INT8_MIN, INT8_MAX }, { SHOAL_U8, 0, UINT8_MAX },
		{ SHOAL_I16, INT16_MIN, INT16_MAX }, { SHOAL_U16, 0, UINT16_MAX },
		{ SHOAL_I32, INT32_MIN, INT32_MAX }, { SHOAL_U32, 0, UINT32_MAX },
		{ SHOAL_I64, INT64_MIN, INT64_MAX }, { SHOAL_U64, 0, INT64_MAX },
	};
	shoal_arena *a = create(NULL, &small);
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		shoal_array *x = array(a, t[i].type, 3);
		REQUIRE_EQ(shoal_array_set(x, 0, SHOAL_ANY(t[i].least)), 0);
		REQUIRE_EQ(shoal_array_set(x, 1, SHOAL_ANY(t[i].most)), 0);
		REQUIRE_EQ(int_at(x, 0), t[i].least);
		REQUIRE_EQ(int_at(x, 1), t[i].most);
		REQUIRE_EQ(int_at(x, 2), 0);
		if (t[i].most < INT64_MAX)
			REQUIRE_FAILS(shoal_array_set(x, 1, SHOAL_ANY(t[i].most + 1)), -EOVERFLOW, "wide");
		if (t[i].least > INT64_MIN)
			REQUIRE_EQ(shoal_array_set(x, 1, SHOAL_ANY(t[i].least - 1)), -EOVERFLOW);
		REQUIRE_EQ(shoal_array_set(x, 1, SHOAL_ANY(0.5)), -EINVAL);
		REQUIRE_EQ(shoal_array_set(x, 1, SHOAL_NIL), -EINVAL);
		REQUIRE_EQ(int_at(x, 1), t[i].most);
	}
	shoal_any v;
	shoal_array *u = array(a, SHOAL_U64, 1);
	memset(shoal_array_data(u), 0xff, 8);
	REQUIRE_EQ(shoal_array_get(u, 0, &v), -EOVERFLOW);
	shoal_arena_close(a);
}

Test(array, floating_and_bool_cells)
{
	shoal_arena *a = create(NULL, &small);
	shoal_array *f = array(a, SHOAL_F32, 2), *d = array(a, SHOAL_F64, 2);
	shoal_array *b = array(a, SHOAL_BOOL, 2);
	shoal_any v;
	REQUIRE_EQ(shoal_array_set(f, 0, SHOAL_ANY(0.1)), 0);
	REQUIRE_EQ(shoal_array_set(d, 1, SHOAL_ANY(3)), 0);
	REQUIRE_EQ(shoal_array_set(b, 1, SHOAL_ANY(true)), 0);
	REQUIRE_EQ(shoal_array_set(b, 0, SHOAL_ANY(2)), -EOVERFLOW);
	REQUIRE_EQ(shoal_array_set(f, 1, SHOAL_ANY(1e39)), -EOVERFLOW);
	REQUIRE_EQ(shoal_array_set(f, 1, SHOAL_ANY("x")), -EINVAL);
	REQUIRE(*(float *)shoal_array_data(f) == 0.1f);
	REQUIRE_EQ(shoal_array_get(f, 0, &v), 0);
	REQUIRE(v.kind == SHOAL_ANY_DOUBLE && v.as.real == (double)0.1f);
	REQUIRE_EQ(shoal_array_set(f, 0, SHOAL_ANY((INT64_C(1) << 60) + (INT64_C(1) << 36) + 1)), 0);
	REQUIRE(*(float *)shoal_array_data(f) == 0x1.000002p60f);
	REQUIRE_EQ(shoal_array_get(d, -1, &v), 0);
	REQUIRE(v.kind == SHOAL_ANY_DOUBLE && v.as.real == 3);
	REQUIRE_EQ(shoal_array_get(b, 1, &v), 0);
	REQUIRE(v.kind == SHOAL_ANY_BOOL && v.as.boolean);
	shoal_arena_close(a);
}

/* All lengths and offsets, so that the ragged ends are met. */
Test(array, parts_are_copied_whole)
{
	shoal_arena *a = create(NULL, &small);
	unsigned char in[40], out[40], plain[40];
	for (unsigned i = 0; i < 40; i++)
		in[i] = (unsigned char)(i + 1);
	shoal_array *x = array(a, SHOAL_U8, 40);
	for (size_t first = 0; first < 20; first++)
		for (size_t count = 0; first + count <= 40; count++) {
			memset(plain, 0, 40);
			memset(shoal_array_data(x), 0, 40);
			memcpy(plain + first, in, count);
			REQUIRE_EQ(shoal_array_write(x, first, count, in), 0);
			REQUIRE(memcmp(shoal_array_data(x), plain, 40) == 0);
			memset(out, 0, 40);
			REQUIRE_EQ(shoal_array_read(x, first, count, out), 0);
			REQUIRE(memcmp(out, in, count) == 0);
		}
	shoal_arena_close(a);
}

static int
read_only(void *arg)
{
	const char *name = arg;
	shoal_arena *a;
	shoal_array *x;
	int32_t cells[4] = { 0 };
	REQUIRE_EQ(shoal_arena_attach_readonly(name, SHOAL_NOWAIT, &a), 0);
	REQUIRE_EQ(shoal_array_open(a, "x", SHOAL_NOWAIT, &x), 0);
	REQUIRE_EQ(int_at(x, 2), 5);
	REQUIRE_FAILS(shoal_array_set(x, 2, SHOAL_ANY(6)), -EPERM, "read-only");
	REQUIRE_EQ(shoal_array_write(x, 0, 4, cells), -EPERM);
	REQUIRE_EQ(shoal_array_read(x, 0, 4, cells), 0);
	REQUIRE_EQ(cells[2], 5);
	/* Whose lock would be written. */
	shoal_value *v;
	REQUIRE(shoal_array_lock(x) == NULL);
	REQUIRE(strstr(shoal_error(), "read-only"));
	REQUIRE_EQ(shoal_value_open(a, "v", SHOAL_NOWAIT, &v), 0);
	REQUIRE_EQ(shoal_value_get_int(v), 7);
	REQUIRE(shoal_value_lock(v) == NULL);
	shoal_arena_close(a);
	return 0;
}

Test(array, a_watcher_reads_it)
{
	char name[64];
	snprintf(name, sizeof name, "%s", test_name());
	shoal_arena *a = create(name, &small);
	shoal_array *x, *same;
	REQUIRE_EQ(shoal_array_create(a, "x", SHOAL_I32, 4, &x), 0);
	REQUIRE_EQ(shoal_array_create(a, "x", SHOAL_I32, 4, &same), -EEXIST);
	REQUIRE_EQ(shoal_array_set(x, 2, SHOAL_ANY(5)), 0);
	REQUIRE_EQ(shoal_array_at(a, shoal_ref_of(a, x), &same), 0);
	REQUIRE(same == x);
	shoal_value *v;
	REQUIRE_EQ(shoal_value_create(a, "v", SHOAL_I32, SHOAL_ANY(7), &v), 0);
	expect_child(child(read_only, name), 0, 5000);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	shoal_arena_close(a);
}

/* What its header says is not believed beyond its block. */
Test(array, a_damaged_header_reaches_no_further)
{
	shoal_arena *a = create(NULL, &small);
	shoal_array *x = array(a, SHOAL_I32, 4);
	uint64_t *words = (uint64_t *)(void *)x;
	shoal_any v;
	words[1] = UINT64_C(1) << 40;
	REQUIRE_FAILS(shoal_array_get(x, 1 << 30, &v), -EPROTO, "block");
	REQUIRE_EQ(shoal_array_set(x, 100000, SHOAL_ANY(1)), -EPROTO);
	REQUIRE_EQ(shoal_arena_check(a, NULL), 1);
	shoal_arena_close(a);
}

static int
sum_under_lock(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		REQUIRE_EQ(shoal_rlock_acquire(shoal_array_lock(arg), SHOAL_FOREVER), 0);
		int64_t n = int_at(arg, 0) + 1;
		REQUIRE_EQ(shoal_array_set(arg, 0, SHOAL_ANY(n)), 0);
		REQUIRE_EQ(shoal_rlock_release(shoal_array_lock(arg)), 0);
	}
	return 0;
}

Test(array, its_lock_covers_several_steps)
{
	shoal_arena *a = create(NULL, &small);
	shoal_array *x = array(a, SHOAL_I64, 1);
	pid_t one = child(sum_under_lock, x), two = child(sum_under_lock, x);
	expect_child(one, 0, 10000);
	expect_child(two, 0, 10000);
	REQUIRE_EQ(int_at(x, 0), 2000);
	shoal_arena_close(a);
}
