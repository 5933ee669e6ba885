/* What CPython's tests ask of a manager's list: _TestContainers and TestSyncManagerTypes. */
#include "list_common.h"

static shoal_list *
list_of_range(shoal_arena *a, int n)
{
	shoal_list *l;
	REQUIRE_EQ(shoal_list_create(a, NULL, NULL, &l), 0);
	for (int i = 0; i < n; i++)
		REQUIRE_EQ(shoal_list_append(l, SHOAL_ANY(i)), 0);
	return l;
}

static void
require_range(shoal_list *l, int64_t n)
{
	int64_t want[16];
	for (int i = 0; i < n; i++)
		want[i] = i;
	require_ints(l, want, (size_t)n);
}

/* a[i] is a list: this one, for as long as *pin is not cleared. */
static shoal_list *
list_at(shoal_list *a, ptrdiff_t i, shoal_any *pin)
{
	REQUIRE_EQ(shoal_list_get(a, i, pin), 0);
	REQUIRE(shoal_any_to_list(pin) != NULL);
	return shoal_any_to_list(pin);
}

/* test_list */
Test(list_python, list)
{
	struct world w = world_make();
	static const int64_t twice[] = { 0, 1, 2, 3, 4, 0, 1, 2, 3, 4 };
	shoal_list *a = list_of_range(w.arena, 10), *b = list_of_range(w.arena, 0), *e = w.list;
	shoal_any v, pin, want = SHOAL_LIST(2, 3, 4);
	require_range(a, 10);
	require_range(b, 0);
	REQUIRE_EQ(shoal_list_extend(b, SHOAL_LIST(0, 1, 2, 3, 4)), 0);
	require_range(b, 5);
	REQUIRE_EQ(int_at(b, 2), 2);
	REQUIRE_EQ(shoal_list_slice(b, 2, 10, &v), 0);
	REQUIRE(shoal_any_equal(&v, &want));
	shoal_any_clear(&v);
	/* b *= 2 */
	REQUIRE_EQ(shoal_list_extend(b, SHOAL_ANY(b)), 0);
	require_ints(b, twice, 10);
	require_range(a, 10);
	/* Lists of lists, by reference: f = [a]; a.append('hello') is seen in f[0]. */
	REQUIRE_EQ(shoal_list_extend(e, SHOAL_LIST(a, b)), 0);
	require_range(list_at(e, 0, &pin), 10);
	shoal_any_clear(&pin);
	require_ints(list_at(e, 1, &pin), twice, 10);
	shoal_any_clear(&pin);
	REQUIRE_EQ(shoal_list_append(a, SHOAL_ANY("hello")), 0);
	REQUIRE_EQ(shoal_list_get(list_at(e, 0, &pin), 10, &v), 0);
	REQUIRE_STR_EQ(shoal_any_string(&v, ""), "hello");
	shoal_any_clear(&v);
	shoal_any_clear(&pin);
	REQUIRE_EQ(shoal_list_destroy(w.arena, a), 0);
	REQUIRE_EQ(shoal_list_destroy(w.arena, b), 0);
	world_end(w);
}

/* test_list_iter: an index for the iterator. */
Test(list_python, list_iter)
{
	struct world w = world_make();
	shoal_any v;
	ptrdiff_t i = 0;
	for (int n = 0; n < 10; n++)
		REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(n)), 0);
	for (; shoal_list_get(w.list, i, &v) == 0; i++)
		REQUIRE_EQ(shoal_any_int(&v, -1), i);
	REQUIRE_EQ(i, 10);
	REQUIRE_EQ(shoal_list_get(w.list, i, &v), -ENOENT);
	REQUIRE_EQ(shoal_list_set(w.list, 0, SHOAL_ANY(100)), 0);
	REQUIRE_EQ(int_at(w.list, 0), 100);
	world_end(w);
}

/* test_list_proxy_in_list */
Test(list_python, list_proxy_in_list)
{
	struct world w = world_make();
	static const int64_t changed[] = { 0, 1, 55 };
	shoal_any pin, v;
	for (int i = 0; i < 3; i++) {
		shoal_list *inner = list_of_range(w.arena, 3);
		REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(inner)), 0);
		REQUIRE_EQ(shoal_list_destroy(w.arena, inner), 0);
	}
	REQUIRE_EQ(shoal_list_set(list_at(w.list, 0, &pin), -1, SHOAL_ANY(55)), 0);
	require_ints(shoal_any_to_list(&pin), changed, 3);
	shoal_any_clear(&pin);
	for (int i = 1; i < 3; i++) {
		require_range(list_at(w.list, i, &pin), 3);
		shoal_any_clear(&pin);
	}
	REQUIRE_EQ(shoal_list_pop(list_at(w.list, 1, &pin), -1, &v), 0);
	REQUIRE_EQ(shoal_any_int(&v, -1), 2);
	REQUIRE_EQ(shoal_list_size(shoal_any_to_list(&pin)), 2);
	shoal_any_clear(&pin);
	for (int i = 0; i < 3; i += 2) {
		REQUIRE_EQ(shoal_list_size(list_at(w.list, i, &pin)), 3);
		shoal_any_clear(&pin);
	}
	world_end(w);
}

/* b.append(b): a cycle, which goes when its reference is taken out. */
Test(list_python, a_list_that_contains_itself)
{
	struct world w = world_make();
	shoal_any pin, again;
	REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(w.list)), 0);
	REQUIRE(list_at(w.list, 0, &pin) == w.list);
	REQUIRE(list_at(shoal_any_to_list(&pin), -1, &again) == w.list);
	shoal_any_clear(&pin);
	shoal_any_clear(&again);
	REQUIRE_EQ(shoal_list_clear(w.list), 0);
	world_end(w);
}

/* _test_list of TestSyncManagerTypes, in a child. */
static int
works_on_it(void *arg)
{
	shoal_list *o = arg;
	shoal_any v;
	REQUIRE_EQ(int_at(o, 0), 5);
	REQUIRE_EQ(shoal_list_count(o, SHOAL_ANY(5)), 1);
	REQUIRE_EQ(shoal_list_index(o, SHOAL_ANY(5)), 0);
	REQUIRE_EQ(shoal_list_sort(o, NULL, NULL), 0);
	REQUIRE_EQ(shoal_list_reverse(o), 0);
	REQUIRE_EQ(shoal_list_size(o), 1);
	REQUIRE_EQ(shoal_list_pop(o, 0, &v), 0);
	REQUIRE_EQ(shoal_any_int(&v, -1), 5);
	return 0;
}

Test(list_python, made_in_the_parent_and_worked_on_in_a_child)
{
	struct world w = world_make();
	REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(5)), 0);
	expect_child(child(works_on_it, w.list), 0, 5000);
	REQUIRE_EQ(shoal_list_size(w.list), 0);
	world_end(w);
}

/* ---- as deep as a value may be ---- */

Test(list_python, a_container_of_the_deepest_values_is_read_whole)
{
	enum { DEEPEST = 64 };
	struct world w = world_make();
	shoal_any deep = SHOAL_ANY(1), shells[DEEPEST], all, copy;
	shoal_dict *d;
	for (int i = 0; i < DEEPEST; i++) {
		shells[i] = deep;
		deep = shoal_any_from_items(&shells[i], 1);
	}
	FILE *nowhere = fopen("/dev/null", "w");
	REQUIRE(nowhere);
	REQUIRE_EQ(shoal_list_append(w.list, deep), 0);
	REQUIRE_EQ(shoal_list_snapshot(w.list, &all), 0);
	REQUIRE_EQ(shoal_list_snapshot(w.list, &copy), 0);
	REQUIRE(shoal_any_equal(&all, &copy));
	REQUIRE_EQ(shoal_list_print(w.list, nowhere), 0);
	REQUIRE_EQ(shoal_list_extend(w.list, SHOAL_ANY(w.list)), 0);
	REQUIRE_EQ(shoal_list_size(w.list), 2);
	REQUIRE_EQ(shoal_list_append(w.list, all), -EINVAL);
	shoal_any_clear(&copy);
	shoal_any_clear(&all);
	REQUIRE_EQ(shoal_dict_create(w.arena, NULL, NULL, &d), 0);
	REQUIRE_EQ(shoal_dict_set(d, SHOAL_ANY(1), deep), 0);
	REQUIRE_EQ(shoal_dict_snapshot(d, &all), 0);
	REQUIRE_EQ(shoal_dict_print(d, nowhere), 0);
	shoal_any_clear(&all);
	REQUIRE_EQ(shoal_dict_destroy(w.arena, d), 0);
	fclose(nowhere);
	world_end(w);
}
