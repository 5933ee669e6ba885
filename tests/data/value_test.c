/* Typed cells: CPython's _TestValue, and what Python has not. */
#include "common.h"
#include <float.h>
#include <math.h>
#include <pthread.h>

static const struct {
	shoal_type type;
	int64_t least, most;
} ints[] = {
	{ SHOAL_I8, INT8_MIN, INT8_MAX }, { SHOAL_U8, 0, UINT8_MAX },
	{ SHOAL_I16, INT16_MIN, INT16_MAX }, { SHOAL_U16, 0, UINT16_MAX },
	{ SHOAL_I32, INT32_MIN, INT32_MAX }, { SHOAL_U32, 0, UINT32_MAX },
	{ SHOAL_I64, INT64_MIN, INT64_MAX }, { SHOAL_U64, 0, INT64_MAX },
	{ SHOAL_BOOL, 0, 1 },
};
enum { INTS = sizeof ints / sizeof *ints };

Test(value, each_type_holds_its_range)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *v;
	for (int i = 0; i < INTS; i++) {
		v = value(a, ints[i].type, SHOAL_ANY(ints[i].least));
		REQUIRE_EQ(shoal_value_type(v), ints[i].type);
		REQUIRE_EQ(shoal_value_get_int(v), ints[i].least);
		shoal_value_set_int(v, ints[i].most);
		REQUIRE_EQ(shoal_value_get_int(v), ints[i].most);
		REQUIRE_EQ(shoal_value_add_int(v, -1), ints[i].most - 1);
		REQUIRE_EQ(shoal_value_exchange_int(v, ints[i].least), ints[i].most - 1);
		int64_t seen = ints[i].most;
		REQUIRE(!shoal_value_compare_exchange_int(v, &seen, 1));
		REQUIRE_EQ(seen, ints[i].least);
		REQUIRE(shoal_value_compare_exchange_int(v, &seen, 1));
		REQUIRE_EQ(shoal_value_get_int(v), 1);
		REQUIRE(shoal_value_get_double(v) == 1);
	}
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

Test(value, create_refuses_what_the_cell_cannot_hold)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *v;
	for (int i = 0; i < INTS; i++) {
		if (ints[i].most < INT64_MAX)
			REQUIRE_FAILS(shoal_value_create(a, NULL, ints[i].type,
			                                 SHOAL_ANY(ints[i].most + 1), &v),
			              -EOVERFLOW, "wide of");
		if (ints[i].least > INT64_MIN)
			REQUIRE_EQ(shoal_value_create(a, NULL, ints[i].type,
			                              SHOAL_ANY(ints[i].least - 1), &v), -EOVERFLOW);
	}
	REQUIRE_FAILS(shoal_value_create(a, NULL, SHOAL_I32, SHOAL_ANY(1.5), &v), -EINVAL, "SHOAL_I32");
	REQUIRE_EQ(shoal_value_create(a, NULL, SHOAL_I32, SHOAL_ANY("1"), &v), -EINVAL);
	REQUIRE_EQ(shoal_value_create(a, NULL, SHOAL_I64, SHOAL_ANY(UINT64_MAX), &v), -EOVERFLOW);
	REQUIRE_EQ(shoal_value_create(a, NULL, SHOAL_F32, SHOAL_ANY(1e39), &v), -EOVERFLOW);
	REQUIRE_EQ(shoal_value_create(a, NULL, (shoal_type)0, SHOAL_NIL, &v), -EINVAL);
	REQUIRE_EQ(shoal_value_create(a, NULL, (shoal_type)12, SHOAL_NIL, &v), -EINVAL);
	REQUIRE(v == NULL);
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	REQUIRE_EQ(info.objects, 0);
	shoal_arena_close(a);
}

Test(value, floating_cells_round_and_take_infinities)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *d = value(a, SHOAL_F64, SHOAL_ANY(2)), *f = value(a, SHOAL_F32, SHOAL_ANY(0.1));
	REQUIRE(shoal_value_get_double(d) == 2);
	REQUIRE(shoal_value_get_double(f) == (double)0.1f);
	REQUIRE(shoal_value_add_double(d, 0.5) == 2.5);
	REQUIRE(shoal_value_add_double(f, 1) == (double)(float)((double)0.1f + 1));
	shoal_value_set_int(d, 7);
	REQUIRE(shoal_value_get_double(d) == 7);
	shoal_value_set_double(f, INFINITY);
	REQUIRE(isinf(shoal_value_get_double(f)));
	shoal_value_set_double(f, NAN);
	REQUIRE(isnan(shoal_value_get_double(f)));
	shoal_value_set_double(f, FLT_MAX);
	REQUIRE(shoal_value_get_double(f) == FLT_MAX);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

/* As a double first it would lie midway between two floats, and go to the even one. */
Test(value, an_int_is_rounded_once)
{
	shoal_arena *a = create(NULL, &small);
	int64_t n = (INT64_C(1) << 60) + (INT64_C(1) << 36) + 1;
	shoal_value *f = value(a, SHOAL_F32, SHOAL_ANY(n)), *d = value(a, SHOAL_F64, SHOAL_ANY(n));
	REQUIRE(shoal_value_get_double(f) == 0x1.000002p60);
	REQUIRE(shoal_value_get_double(d) == 0x1.000001p60);
	shoal_value_set_int(f, 1);
	shoal_value_set_int(f, -n);
	REQUIRE(shoal_value_get_double(f) == -0x1.000002p60);
	shoal_value_set_int(f, INT64_MAX);
	REQUIRE(shoal_value_get_double(f) == 0x1p63);
	shoal_value_set_int(d, n);
	REQUIRE(shoal_value_get_double(d) == 0x1.000001p60);
	shoal_arena_close(a);
}

/* ---- what stops the process ---- */

struct wrong {
	shoal_value *v;
	int which;
};

static int
do_wrong(void *arg)
{
	struct wrong *w = arg;
	int64_t zero = 0;
	switch (w->which) {
	case 0: shoal_value_set_int(w->v, 128); break;
	case 1: shoal_value_add_int(w->v, INT64_MAX); shoal_value_add_int(w->v, INT64_MAX); break;
	case 2: shoal_value_exchange_int(w->v, -129); break;
	case 3: shoal_value_compare_exchange_int(w->v, &zero, 1000); break;
	case 4: shoal_value_set_double(w->v, 1); break;
	case 5: shoal_value_add_double(w->v, 1); break;
	default: (void)shoal_value_get_int(w->v);
	}
	return 0;
}

Test(value, wide_of_the_type_stops)
{
	shoal_arena *a = create(NULL, &small);
	struct wrong w = { value(a, SHOAL_I8, SHOAL_ANY(0)), 0 };
	for (; w.which < 6; w.which++)
		expect_killed(child(do_wrong, &w), SIGABRT, 5000);
	REQUIRE_EQ(shoal_value_get_int(w.v), 0);
	w.v = value(a, SHOAL_F64, SHOAL_ANY(0));
	expect_killed(child(do_wrong, &w), SIGABRT, 5000);
	w.v = value(a, SHOAL_I64, SHOAL_ANY(1));
	w.which = 1;
	expect_killed(child(do_wrong, &w), SIGABRT, 5000);
	shoal_value *gone = value(a, SHOAL_I64, SHOAL_ANY(1));
	REQUIRE_EQ(shoal_value_destroy(a, gone), 0);
	w = (struct wrong){ gone, 6 };
	expect_killed(child(do_wrong, &w), SIGABRT, 5000);
	shoal_arena_close(a);
}

/* ---- processes ---- */

enum { CHANGES = 20000 };

static int
change_in_child(void *arg)
{
	shoal_value **v = arg;
	for (int i = 0; i < INTS; i++)
		shoal_value_set_int(v[i], ints[i].most);
	shoal_value_set_double(v[INTS], -3.5);
	return 0;
}

/* test_value: each code is changed by a child, seen by the parent. */
Test(value, a_child_changes_each_type)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *v[INTS + 1];
	for (int i = 0; i < INTS; i++)
		v[i] = value(a, ints[i].type, SHOAL_NIL);
	v[INTS] = value(a, SHOAL_F64, SHOAL_ANY(2));
	expect_child(child(change_in_child, v), 0, 5000);
	for (int i = 0; i < INTS; i++)
		REQUIRE_EQ(shoal_value_get_int(v[i]), ints[i].most);
	REQUIRE(shoal_value_get_double(v[INTS]) == -3.5);
	shoal_arena_close(a);
}

static int
add_in_child(void *arg)
{
	shoal_value **v = arg;
	for (int i = 0; i < CHANGES; i++) {
		shoal_value_add_int(v[0], 1);
		shoal_value_add_double(v[1], 0.5);
	}
	return 0;
}

/* Python loses some of these. */
Test(value, no_addition_is_lost)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *v[] = { value(a, SHOAL_I64, SHOAL_NIL), value(a, SHOAL_F64, SHOAL_NIL) };
	pid_t pids[3];
	for (int i = 0; i < 3; i++)
		pids[i] = child(add_in_child, v);
	for (int i = 0; i < 3; i++)
		expect_child(pids[i], 0, 10000);
	REQUIRE_EQ(shoal_value_get_int(v[0]), 3 * CHANGES);
	REQUIRE(shoal_value_get_double(v[1]) == 1.5 * CHANGES);
	shoal_arena_close(a);
}

static int
add_under_lock(void *arg)
{
	shoal_value *v = arg;
	for (int i = 0; i < 2000; i++) {
		REQUIRE_EQ(shoal_rlock_acquire(shoal_value_lock(v), SHOAL_FOREVER), 0);
		REQUIRE_EQ(shoal_rlock_acquire(shoal_value_lock(v), SHOAL_NOWAIT), 0);
		shoal_value_set_int(v, shoal_value_get_int(v) + 1);
		REQUIRE_EQ(shoal_rlock_release(shoal_value_lock(v)), 0);
		REQUIRE_EQ(shoal_rlock_release(shoal_value_lock(v)), 0);
	}
	return 0;
}

Test(value, its_lock_covers_several_steps)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *v = value(a, SHOAL_I32, SHOAL_NIL);
	pid_t one = child(add_under_lock, v), two = child(add_under_lock, v);
	expect_child(one, 0, 10000);
	expect_child(two, 0, 10000);
	REQUIRE_EQ(shoal_value_get_int(v), 4000);
	shoal_arena_close(a);
}

/* ---- names, ends ---- */

static int
open_in_child(void *arg)
{
	const char *name = arg;
	shoal_arena *a = attach(name);
	shoal_value *v;
	REQUIRE_EQ(shoal_value_open(a, "v", SHOAL_SEC(5), &v), 0);
	REQUIRE_EQ(shoal_value_add_int(v, 1), 43);
	shoal_arena_close(a);
	return 0;
}

Test(value, it_is_opened_by_name_and_by_reference)
{
	char name[64];
	snprintf(name, sizeof name, "%s", test_name());
	shoal_arena *a = create(name, &small);
	shoal_value *v, *same;
	REQUIRE_EQ(shoal_value_create(a, "v", SHOAL_I64, SHOAL_ANY(42), &v), 0);
	REQUIRE_FAILS(shoal_value_create(a, "v", SHOAL_I64, SHOAL_NIL, &same), -EEXIST, "v");
	expect_child(child(open_in_child, name), 0, 10000);
	REQUIRE_EQ(shoal_value_get_int(v), 43);
	REQUIRE_EQ(shoal_value_at(a, shoal_ref_of(a, v), &same), 0);
	REQUIRE(same == v);
	shoal_array *x;
	REQUIRE_FAILS(shoal_array_open(a, "v", SHOAL_NOWAIT, &x), -EPROTO, "another kind");
	shoal_ref ref = shoal_ref_of(a, v);
	REQUIRE_EQ(shoal_value_destroy(a, v), 0);
	REQUIRE_EQ(shoal_value_destroy(a, NULL), 0);
	REQUIRE_EQ(shoal_value_at(a, ref, &same), -ENOENT);
	REQUIRE_EQ(shoal_value_open(a, "v", SHOAL_NOWAIT, &same), -ENOENT);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	shoal_arena_close(a);
}

static int
take_lock_and_die(void *arg)
{
	if (shoal_rlock_acquire(shoal_value_lock(arg), SHOAL_NOWAIT) == 0)
		raise(SIGKILL);
	return 0;
}

/* The kernel will look there: the memory is not another's before. */
Test(value, a_held_lock_keeps_its_memory)
{
	shoal_arena *a = create(NULL, &small);
	shoal_arena_info info;
	shoal_value *v = value(a, SHOAL_I32, SHOAL_NIL);
	REQUIRE_EQ(shoal_rlock_acquire(shoal_value_lock(v), SHOAL_NOWAIT), 0);
	REQUIRE_EQ(shoal_value_destroy(a, v), 0);
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	REQUIRE_EQ(info.blocks, 1);
	REQUIRE_EQ(shoal_rlock_release(shoal_value_lock(v)), 0);
	REQUIRE_EQ(shoal_arena_recover(a), 0);
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	REQUIRE_EQ(info.blocks, 0);

	v = value(a, SHOAL_I32, SHOAL_NIL);
	expect_killed(child(take_lock_and_die, v), SIGKILL, 5000);
	REQUIRE_EQ(shoal_rlock_acquire(shoal_value_lock(v), SHOAL_SEC(1)), -EOWNERDEAD);
	REQUIRE_EQ(shoal_rlock_consistent(shoal_value_lock(v)), 0);
	REQUIRE_EQ(shoal_rlock_release(shoal_value_lock(v)), 0);
	REQUIRE_EQ(shoal_value_destroy(a, v), 0);
	shoal_arena_recover(a);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

/* ---- who waits for its lock ---- */

struct waiter {
	shoal_rlock *lock;
	int rc;
	int64_t told; /* when */
	pthread_t thread;
};

static void *
wait_for_lock(void *arg)
{
	struct waiter *w = arg;
	w->rc = shoal_rlock_acquire(w->lock, SHOAL_SEC(10));
	w->told = now_ns();
	if (w->rc == 0)
		REQUIRE_EQ(shoal_rlock_release(w->lock), 0);
	return NULL;
}

/* This thread holds the lock, and it sleeps. */
static void
begin_to_wait(struct waiter *w, shoal_rlock *lock)
{
	shoal_lock_info info = { 0 };
	*w = (struct waiter){ .lock = lock, .rc = 1 };
	REQUIRE_EQ(shoal_rlock_acquire(lock, SHOAL_NOWAIT), 0);
	REQUIRE_EQ(pthread_create(&w->thread, NULL, wait_for_lock, w), 0);
	for (int64_t until = now_ns() + SHOAL_SEC(5); !info.waiting && now_ns() < until; sleep_ms(1))
		REQUIRE_EQ(shoal_rlock_stat(lock, &info), 0);
	REQUIRE_EQ(info.waiting, 1);
}

static void
expect_it_is_told(struct waiter *w)
{
	REQUIRE_EQ(pthread_join(w->thread, NULL), 0);
	REQUIRE_EQ(w->rc, -EPIPE);
	REQUIRE_EQ(shoal_rlock_release(w->lock), 0);
}

static void
nothing_is_left(shoal_arena *a)
{
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_recover(a), 0);
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	REQUIRE_EQ(info.objects, 0);
	REQUIRE_EQ(info.blocks, 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

/* Even while its holder has it still. */
Test(value, who_waits_for_its_lock_learns_that_it_is_destroyed)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *v = value(a, SHOAL_I32, SHOAL_NIL);
	struct waiter w;
	begin_to_wait(&w, shoal_value_lock(v));
	REQUIRE_EQ(shoal_value_destroy(a, v), 0);
	expect_it_is_told(&w);
	nothing_is_left(a);
}

static int
compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

/* Woken for it: who sleeps would look by itself only every 50 ms. */
Test(value, who_waits_for_its_lock_learns_it_at_once)
{
	enum { TIMES = 9 };
	int64_t took[TIMES];
	shoal_arena *a = create(NULL, &small);
	for (int i = 0; i < TIMES; i++) {
		shoal_value *v = value(a, SHOAL_I32, SHOAL_NIL);
		struct waiter w;
		begin_to_wait(&w, shoal_value_lock(v));
		int64_t began = now_ns();
		REQUIRE_EQ(shoal_value_destroy(a, v), 0);
		expect_it_is_told(&w);
		took[i] = w.told - began;
	}
	qsort(took, TIMES, sizeof *took, compare_times);
	REQUIRE(took[TIMES / 2] < SHOAL_MS(10));
	nothing_is_left(a);
}

Test(value, so_does_who_waits_for_an_arrays)
{
	shoal_arena *a = create(NULL, &small);
	shoal_array *x = array(a, SHOAL_I32, 5);
	struct waiter w;
	begin_to_wait(&w, shoal_array_lock(x));
	REQUIRE_EQ(shoal_array_destroy(a, x), 0);
	expect_it_is_told(&w);
	nothing_is_left(a);
}

/* A list has it yet: so the lock is as it was. */
Test(value, one_that_something_refers_to_keeps_its_lock)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *v = value(a, SHOAL_I32, SHOAL_NIL);
	shoal_list *l;
	struct waiter w;
	REQUIRE_EQ(shoal_list_create(a, NULL, NULL, &l), 0);
	REQUIRE_EQ(shoal_list_append(l, SHOAL_ANY(v)), 0);
	begin_to_wait(&w, shoal_value_lock(v));
	REQUIRE_EQ(shoal_value_destroy(a, v), 0);
	sleep_ms(100);
	REQUIRE_EQ(shoal_rlock_release(w.lock), 0);
	REQUIRE_EQ(pthread_join(w.thread, NULL), 0);
	REQUIRE_EQ(w.rc, 0);
	begin_to_wait(&w, shoal_value_lock(v));
	REQUIRE_EQ(shoal_list_destroy(a, l), 0);
	expect_it_is_told(&w);
	nothing_is_left(a);
}
