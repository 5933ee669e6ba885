/*
 * CPython's TestSyncManagerTypes, of the types that hold data: made here, used in a child that
 * finds them by name in an arena of its own, looked at here again.
 */
#include "harness.h"
#include <errno.h>
#include <shoal/shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static shoal_arena *arena;

static void
set_up(void)
{
	snprintf(path, sizeof path, "/shoal-manager-%d", (int)getpid());
	REQUIRE_EQ(shoal_arena_create(path, NULL, &arena), 0);
}

static int
in_child(void *arg)
{
	void (*test)(shoal_arena *) = *(void (**)(shoal_arena *))arg;
	shoal_arena *own;
	REQUIRE_EQ(shoal_arena_attach(path, SHOAL_SEC(1), &own), 0);
	test(own);
	shoal_arena_close(own);
	return 0;
}

/* run_worker */
static void
run(void (*test)(shoal_arena *))
{
	expect_child(child(in_child, &test), 0, 5000);
}

static void
tear_down(void)
{
	REQUIRE(shoal_arena_recover(arena) >= 0);
	REQUIRE_EQ(shoal_arena_check(arena, stderr), 0);
	shoal_arena_close(arena);
	(void)shoal_arena_unlink(path);
}

static void
use_dict(shoal_arena *a)
{
	shoal_dict *d;
	shoal_any v, k, want = SHOAL_MAP("foo", 5);
	const shoal_any *key, *value;
	shoal_cursor cursor = { 0 };
	REQUIRE_EQ(shoal_dict_open(a, "o", 0, &d), 0);
	REQUIRE_EQ(shoal_dict_size(d), 1);
	REQUIRE_EQ(shoal_dict_get(d, SHOAL_ANY("foo"), &v), 0);
	REQUIRE_EQ(shoal_any_int(&v, 0), 5);
	REQUIRE_EQ(shoal_dict_next(d, &cursor, &key, &value), 1);
	REQUIRE_STR_EQ(shoal_any_string(key, ""), "foo");
	REQUIRE_EQ(shoal_any_int(value, 0), 5);
	REQUIRE_EQ(shoal_dict_next(d, &cursor, &key, &value), 0);
	REQUIRE_EQ(shoal_dict_snapshot(d, &v), 0);
	REQUIRE(shoal_any_equal(&v, &want));
	shoal_any_clear(&v);
	REQUIRE_EQ(shoal_dict_popitem(d, &k, &v), 0);
	REQUIRE_STR_EQ(shoal_any_string(&k, ""), "foo");
	REQUIRE_EQ(shoal_any_int(&v, 0), 5);
	shoal_any_clear(&k);
}

Test(manager_types, dict)
{
	shoal_dict *d;
	set_up();
	REQUIRE_EQ(shoal_dict_create(arena, "o", NULL, &d), 0);
	REQUIRE_EQ(shoal_dict_set(d, SHOAL_ANY("foo"), SHOAL_ANY(5)), 0);
	run(use_dict);
	REQUIRE_EQ(shoal_dict_size(d), 0);
	tear_down();
}

static void
use_list(shoal_arena *a)
{
	shoal_list *l;
	shoal_any v;
	REQUIRE_EQ(shoal_list_open(a, "o", 0, &l), 0);
	REQUIRE_EQ(shoal_list_get(l, 0, &v), 0);
	REQUIRE_EQ(shoal_any_int(&v, 0), 5);
	REQUIRE_EQ(shoal_list_count(l, SHOAL_ANY(5)), 1);
	REQUIRE_EQ(shoal_list_index(l, SHOAL_ANY(5)), 0);
	REQUIRE_EQ(shoal_list_sort(l, NULL, NULL), 0);
	REQUIRE_EQ(shoal_list_reverse(l), 0);
	REQUIRE_EQ(shoal_list_size(l), 1);
	REQUIRE_EQ(shoal_list_pop(l, 0, &v), 0);
	REQUIRE_EQ(shoal_any_int(&v, 0), 5);
}

Test(manager_types, list)
{
	shoal_list *l;
	set_up();
	REQUIRE_EQ(shoal_list_create(arena, "o", NULL, &l), 0);
	REQUIRE_EQ(shoal_list_append(l, SHOAL_ANY(5)), 0);
	run(use_list);
	REQUIRE_EQ(shoal_list_size(l), 0);
	tear_down();
}

static void
use_value(shoal_arena *a)
{
	shoal_value *v;
	REQUIRE_EQ(shoal_value_open(a, "o", 0, &v), 0);
	REQUIRE_EQ(shoal_value_get_int(v), 1);
	shoal_value_set_int(v, 2);
}

Test(manager_types, value)
{
	shoal_value *v;
	set_up();
	REQUIRE_EQ(shoal_value_create(arena, "o", SHOAL_I32, SHOAL_ANY(1), &v), 0);
	run(use_value);
	REQUIRE_EQ(shoal_value_get_int(v), 2);
	tear_down();
}

static void
use_array(shoal_arena *a)
{
	shoal_array *array;
	REQUIRE_EQ(shoal_array_open(a, "o", 0, &array), 0);
	REQUIRE_EQ(shoal_array_count(array), 2);
	int32_t *cell = shoal_array_data(array);
	REQUIRE(cell[0] == 0 && cell[1] == 1);
	cell[1] = 7;
}

Test(manager_types, array)
{
	shoal_array *array;
	set_up();
	REQUIRE_EQ(shoal_array_create(arena, "o", SHOAL_I32, 2, &array), 0);
	((int32_t *)shoal_array_data(array))[1] = 1;
	run(use_array);
	REQUIRE_EQ(((int32_t *)shoal_array_data(array))[1], 7);
	tear_down();
}

static void
use_namespace(shoal_arena *a)
{
	shoal_namespace *n;
	shoal_any v;
	REQUIRE_EQ(shoal_namespace_open(a, "o", 0, &n), 0);
	REQUIRE_EQ(shoal_namespace_get(n, "x", &v), 0);
	REQUIRE_EQ(shoal_any_int(&v, -1), 0);
	REQUIRE_EQ(shoal_namespace_get(n, "y", &v), 0);
	REQUIRE_EQ(shoal_any_int(&v, -1), 1);
	REQUIRE_EQ(shoal_namespace_del(n, "y"), 0);
}

Test(manager_types, namespace)
{
	shoal_namespace *n;
	shoal_any v;
	set_up();
	REQUIRE_EQ(shoal_namespace_create(arena, "o", NULL, &n), 0);
	REQUIRE_EQ(shoal_namespace_set(n, "x", SHOAL_ANY(0)), 0);
	REQUIRE_EQ(shoal_namespace_set(n, "y", SHOAL_ANY(1)), 0);
	run(use_namespace);
	REQUIRE_EQ(shoal_namespace_get(n, "y", &v), -ENOENT);
	tear_down();
}

static void
use_queue(shoal_arena *a)
{
	shoal_queue *q;
	shoal_any v;
	REQUIRE_EQ(shoal_queue_open(a, "o", 0, &q), 0);
	REQUIRE_EQ(shoal_queue_size(q), 2);
	REQUIRE_EQ(shoal_queue_put_any(q, SHOAL_ANY(7), 0), -EAGAIN);
	for (int i = 5; i <= 6; i++) {
		REQUIRE_EQ(shoal_queue_get_any(q, &v, 0), 0);
		REQUIRE_EQ(shoal_any_int(&v, 0), i);
		REQUIRE_EQ(shoal_queue_task_done(q), 0);
	}
	REQUIRE_EQ(shoal_queue_size(q), 0);
}

/* test_queue, test_joinable_queue */
Test(manager_types, queue)
{
	shoal_queue_options options = { .capacity = 2, .flags = SHOAL_QUEUE_JOINABLE };
	shoal_queue *q;
	set_up();
	REQUIRE_EQ(shoal_queue_create(arena, "o", &options, &q), 0);
	for (int i = 5; i <= 6; i++)
		REQUIRE_EQ(shoal_queue_put_any(q, SHOAL_ANY(i), 0), 0);
	run(use_queue);
	REQUIRE_EQ(shoal_queue_join(q, 0), 0);
	REQUIRE_EQ(shoal_queue_size(q), 0);
	tear_down();
}
