#include "list_common.h"
#include <unistd.h>

Test(list, append_get_set_pop_at_both_ends)
{
	struct world w = world_make();
	shoal_any v;
	for (int i = 0; i < 200; i++)
		REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(i)), 0);
	REQUIRE_EQ(shoal_list_size(w.list), 200);
	REQUIRE_EQ(int_at(w.list, 0), 0);
	REQUIRE_EQ(int_at(w.list, 199), 199);
	REQUIRE_EQ(int_at(w.list, -1), 199);
	REQUIRE_EQ(int_at(w.list, -200), 0);
	REQUIRE_EQ(shoal_list_get(w.list, 200, &v), -ENOENT);
	REQUIRE_EQ(shoal_list_get(w.list, -201, &v), -ENOENT);
	REQUIRE_EQ(shoal_list_set(w.list, 100, SHOAL_ANY("hundred")), 0);
	REQUIRE_EQ(shoal_list_get(w.list, 100, &v), 0);
	REQUIRE_STR_EQ(shoal_any_string(&v, ""), "hundred");
	shoal_any_clear(&v);
	REQUIRE_EQ(shoal_list_set(w.list, 200, SHOAL_ANY(1)), -ENOENT);
	REQUIRE_EQ(shoal_list_pop(w.list, 0, &v), 0);
	REQUIRE_EQ(shoal_any_int(&v, -1), 0);
	for (int i = 199; i > 100; i--) {
		REQUIRE_EQ(shoal_list_pop(w.list, -1, &v), 0);
		REQUIRE_EQ(shoal_any_int(&v, -1), i);
	}
	REQUIRE_EQ(shoal_list_size(w.list), 100);
	while (shoal_list_size(w.list))
		REQUIRE_EQ(shoal_list_pop(w.list, -1, NULL), 0);
	REQUIRE_EQ(shoal_list_pop(w.list, -1, &v), -ENOENT);
	REQUIRE_EQ(shoal_list_append(w.list, SHOAL_NIL), 0);
	REQUIRE_EQ(shoal_list_get(w.list, 0, &v), 0);
	REQUIRE_EQ(v.kind, SHOAL_ANY_NIL);
	world_end(w);
}

Test(list, every_kind_of_value_comes_back_as_it_was)
{
	struct world w = world_make();
	char long_text[5000];
	memset(long_text, 'x', sizeof long_text);
	long_text[sizeof long_text - 1] = 0;
	shoal_any values[] = { SHOAL_NIL,
		               SHOAL_ANY((bool)true),
		               SHOAL_ANY((bool)false),
		               SHOAL_ANY(-1),
		               SHOAL_ANY(INT64_MAX),
		               SHOAL_ANY(INT64_MIN),
		               SHOAL_ANY((INT64_C(1) << 60) - 1),
		               SHOAL_ANY(INT64_C(1) << 60),
		               SHOAL_ANY(-(INT64_C(1) << 60)),
		               SHOAL_ANY(-(INT64_C(1) << 60) - 1),
		               SHOAL_ANY(0.5),
		               SHOAL_ANY(""),
		               SHOAL_ANY("text"),
		               SHOAL_ANY(long_text),
		               shoal_any_from_bytes("a\0b", 3),
		               SHOAL_LIST(1, "two", SHOAL_LIST(3.0)),
		               SHOAL_MAP("a", 1, "b", SHOAL_NIL) };
	size_t count = sizeof values / sizeof *values;
	for (size_t i = 0; i < count; i++)
		REQUIRE_EQ(shoal_list_append(w.list, values[i]), 0);
	for (size_t i = 0; i < count; i++) {
		shoal_any v;
		REQUIRE_EQ(shoal_list_get(w.list, (ptrdiff_t)i, &v), 0);
		REQUIRE_EQ(v.kind, values[i].kind);
		REQUIRE(shoal_any_equal(&v, &values[i]));
		shoal_any_clear(&v);
	}
	world_end(w);
}

/* The list beside a plain array, through many random calls. */
struct twin {
	struct world w;
	int64_t *item;
	size_t count;
	uint64_t random;
};

static uint64_t
next(struct twin *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random;
}

static void
twin_insert(struct twin *t, size_t at, int64_t value)
{
	memmove(t->item + at + 1, t->item + at, (t->count - at) * sizeof *t->item);
	t->item[at] = value;
	t->count++;
	REQUIRE_EQ(shoal_list_insert(t->w.list, (ptrdiff_t)at, SHOAL_ANY(value)), 0);
}

static void
twin_remove(struct twin *t, size_t at)
{
	shoal_any v;
	REQUIRE_EQ(shoal_list_pop(t->w.list, (ptrdiff_t)at, &v), 0);
	REQUIRE_EQ(shoal_any_int(&v, -1), t->item[at]);
	shoal_any_clear(&v);
	t->count--;
	memmove(t->item + at, t->item + at + 1, (t->count - at) * sizeof *t->item);
}

/* Some ints are too large for a slot and have blocks of their own. */
static int64_t
value_of(uint64_t random)
{
	return random % 4 == 0 ? (int64_t)(random >> 1) | INT64_C(1) << 61 : (int64_t)(random % 1000);
}

static void
step(struct twin *t, unsigned inserts_of_ten)
{
	uint64_t r = next(t);
	if (t->count == 0 || r % 10 < inserts_of_ten)
		twin_insert(t, r / 16 % (t->count + 1), value_of(next(t)));
	else
		twin_remove(t, r / 16 % t->count);
	if (t->count && r % 7 == 0) {
		size_t at = r / 32 % t->count;
		t->item[at] = value_of(next(t));
		REQUIRE_EQ(shoal_list_set(t->w.list, (ptrdiff_t)at, SHOAL_ANY(t->item[at])), 0);
	}
	if (t->count) {
		size_t at = r / 64 % t->count;
		REQUIRE_EQ(int_at(t->w.list, (ptrdiff_t)at), t->item[at]);
	}
}

Test(list, random_inserts_and_removals_are_those_of_an_array)
{
	struct twin t = { .w = world_make(), .random = 88172645463325252u };
	t.item = calloc(20000, sizeof *t.item);
	for (int phase = 0; phase < 6; phase++) {
		for (int i = 0; i < 2500; i++)
			step(&t, phase % 2 ? 2 : 8);
		require_ints(t.w.list, t.item, t.count);
		REQUIRE_EQ(shoal_arena_check(t.w.arena, stderr), 0);
	}
	while (t.count)
		twin_remove(&t, next(&t) % t.count);
	require_ints(t.w.list, t.item, 0);
	free(t.item);
	world_end(t.w);
}

Test(list, removing_from_the_front_and_from_the_end_of_a_large_one)
{
	struct world w = world_make();
	for (int i = 0; i < 10000; i++)
		REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(i)), 0);
	for (int i = 0; i < 4000; i++) {
		REQUIRE_EQ(int_at(w.list, 0), i);
		REQUIRE_EQ(shoal_list_remove_at(w.list, 0), 0);
		REQUIRE_EQ(int_at(w.list, -1), 9999 - i);
		REQUIRE_EQ(shoal_list_remove_at(w.list, -1), 0);
	}
	REQUIRE_EQ(shoal_list_size(w.list), 2000);
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	world_end(w);
}

Test(list, extend_by_few_by_many_and_by_another_list)
{
	struct world w = world_make();
	enum { MANY = 3000 };
	static shoal_any items[MANY];
	static int64_t want[3 * MANY];
	size_t count = 0;
	for (int i = 0; i < MANY; i++)
		items[i] = SHOAL_ANY(i);
	static const size_t steps[] = { 0, 1, 10, 63, 64, 65, 500, 64, 0, 1000 };
	for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
		REQUIRE_EQ(shoal_list_extend(w.list, shoal_any_from_items(items, steps[s])), 0);
		for (size_t i = 0; i < steps[s]; i++)
			want[count++] = (int64_t)i;
		require_ints(w.list, want, count);
		REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	}
	REQUIRE_EQ(shoal_list_extend(w.list, SHOAL_ANY(w.list)), 0);
	memcpy(want + count, want, count * sizeof *want);
	require_ints(w.list, want, 2 * count);
	REQUIRE_EQ(shoal_list_extend(w.list, SHOAL_ANY(5)), -EINVAL);
	REQUIRE_EQ(shoal_list_extend(w.list, shoal_any_from_items(items, SIZE_MAX)), -EMSGSIZE);
	world_end(w);
}

Test(list, slices_are_pythons)
{
	struct world w = world_make();
	for (int i = 0; i < 100; i++)
		REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(i)), 0);
	static const struct {
		ptrdiff_t first, end;
		size_t count;
		int64_t from;
	} cases[] = { { 0, 100, 100, 0 }, { 10, 20, 10, 10 }, { -10, 100, 10, 90 }, { 0, -90, 10, 0 },
		      { 50, 40, 0, 0 },   { 90, 1000, 10, 90 }, { -1000, 5, 5, 0 }, { 100, 200, 0, 0 },
		      { PTRDIFF_MIN, PTRDIFF_MAX, 100, 0 } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		shoal_any got;
		REQUIRE_EQ(shoal_list_slice(w.list, cases[i].first, cases[i].end, &got), 0);
		REQUIRE_EQ(got.count, cases[i].count);
		if (got.count)
			REQUIRE_EQ(shoal_any_int(shoal_any_at(&got, 0), -1), cases[i].from);
		shoal_any_clear(&got);
	}
	world_end(w);
}

Test(list, insert_outside_goes_to_the_end_as_pythons_does)
{
	struct world w = world_make();
	static const int64_t want[] = { 0, 1, 2, 3 };
	REQUIRE_EQ(shoal_list_insert(w.list, 100, SHOAL_ANY(1)), 0);
	REQUIRE_EQ(shoal_list_insert(w.list, -100, SHOAL_ANY(0)), 0);
	REQUIRE_EQ(shoal_list_insert(w.list, 2, SHOAL_ANY(3)), 0);
	REQUIRE_EQ(shoal_list_insert(w.list, -1, SHOAL_ANY(2)), 0);
	require_ints(w.list, want, 4);
	world_end(w);
}

Test(list, index_count_and_remove_go_by_equality)
{
	struct world w = world_make();
	REQUIRE_EQ(shoal_list_extend(w.list, SHOAL_LIST("a", 1, "b", 1.0, SHOAL_LIST(1), "b")), 0);
	REQUIRE_EQ(shoal_list_index(w.list, SHOAL_ANY("b")), 2);
	REQUIRE_EQ(shoal_list_index(w.list, SHOAL_ANY("c")), -ENOENT);
	REQUIRE_EQ(shoal_list_count(w.list, SHOAL_ANY("b")), 2);
	REQUIRE_EQ(shoal_list_count(w.list, SHOAL_ANY(1)), 2);
	REQUIRE_EQ(shoal_list_index(w.list, SHOAL_LIST(1)), 4);
	REQUIRE_EQ(shoal_list_remove(w.list, SHOAL_ANY("b")), 0);
	REQUIRE_EQ(shoal_list_index(w.list, SHOAL_ANY("b")), 4);
	REQUIRE_EQ(shoal_list_remove(w.list, SHOAL_ANY("none")), -ENOENT);
	REQUIRE_EQ(shoal_list_size(w.list), 5);
	world_end(w);
}

static int
by_last_digit(const shoal_any *a, const shoal_any *b, void *arg)
{
	(void)arg;
	return (int)(shoal_any_int(a, 0) % 10 - shoal_any_int(b, 0) % 10);
}

Test(list, sort_is_stable_and_by_value)
{
	struct world w = world_make();
	struct twin t = { .random = 362436069 };
	for (int i = 0; i < 1000; i++)
		REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY((int64_t)(next(&t) % 5000))), 0);
	REQUIRE_EQ(shoal_list_sort(w.list, NULL, NULL), 0);
	for (int i = 1; i < 1000; i++)
		REQUIRE(int_at(w.list, i - 1) <= int_at(w.list, i));
	REQUIRE_EQ(shoal_list_sort(w.list, by_last_digit, NULL), 0);
	for (int i = 1; i < 1000; i++) {
		int64_t a = int_at(w.list, i - 1), b = int_at(w.list, i);
		REQUIRE(a % 10 < b % 10 || (a % 10 == b % 10 && a <= b));
	}
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	world_end(w);
}

Test(list, what_has_no_order_is_not_sorted)
{
	struct world w = world_make();
	static const int64_t want[] = { 3, 1, 2 };
	REQUIRE_EQ(shoal_list_extend(w.list, SHOAL_LIST(3, 1, 2)), 0);
	REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY("x")), 0);
	REQUIRE_EQ(shoal_list_sort(w.list, NULL, NULL), -EINVAL);
	REQUIRE_EQ(shoal_list_pop(w.list, -1, NULL), 0);
	require_ints(w.list, want, 3);
	REQUIRE_EQ(shoal_list_clear(w.list), 0);
	shoal_any lists = SHOAL_LIST(SHOAL_LIST(2), SHOAL_LIST(1, 5), SHOAL_LIST(1));
	REQUIRE_EQ(shoal_list_extend(w.list, lists), 0);
	REQUIRE_EQ(shoal_list_sort(w.list, NULL, NULL), 0);
	REQUIRE_EQ(shoal_list_index(w.list, SHOAL_LIST(2)), 2);
	REQUIRE_EQ(shoal_list_index(w.list, SHOAL_LIST(1)), 0);
	world_end(w);
}

Test(list, ints_and_doubles_compare_without_rounding)
{
	struct world w = world_make();
	int64_t big = (INT64_C(1) << 53) + 1;
	shoal_any numbers = SHOAL_LIST(big, 9007199254740992.0, 0x1p63, INT64_MAX);
	REQUIRE_EQ(shoal_list_extend(w.list, numbers), 0);
	REQUIRE_EQ(shoal_list_sort(w.list, NULL, NULL), 0);
	REQUIRE_EQ(shoal_list_index(w.list, SHOAL_ANY(9007199254740992.0)), 0);
	REQUIRE_EQ(shoal_list_index(w.list, SHOAL_ANY(big)), 1);
	REQUIRE_EQ(int_at(w.list, 2), INT64_MAX);
	world_end(w);
}

Test(list, reverse_and_clear)
{
	struct world w = world_make();
	static int64_t want[500];
	for (int i = 0; i < 500; i++) {
		REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(i)), 0);
		want[499 - i] = i;
	}
	REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY("text")), 0);
	REQUIRE_EQ(shoal_list_reverse(w.list), 0);
	REQUIRE_EQ(shoal_list_pop(w.list, 0, NULL), 0);
	require_ints(w.list, want, 500);
	REQUIRE_EQ(shoal_list_clear(w.list), 0);
	REQUIRE_EQ(shoal_list_size(w.list), 0);
	REQUIRE_EQ(shoal_list_clear(w.list), 0);
	REQUIRE_EQ(shoal_list_reverse(w.list), 0);
	REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(1)), 0);
	REQUIRE_EQ(int_at(w.list, 0), 1);
	world_end(w);
}

Test(list, add_int_adds_to_ints_only)
{
	struct world w = world_make();
	int64_t sum = 0;
	REQUIRE_EQ(shoal_list_extend(w.list, SHOAL_LIST(1, INT64_MAX, "text", (bool)true, 1.5)), 0);
	REQUIRE_EQ(shoal_list_add_int(w.list, 0, 41, &sum), 0);
	REQUIRE_EQ(sum, 42);
	REQUIRE_EQ(int_at(w.list, 0), 42);
	REQUIRE_EQ(shoal_list_add_int(w.list, 1, 1, &sum), -EOVERFLOW);
	REQUIRE_EQ(shoal_list_add_int(w.list, 1, -1, &sum), 0);
	REQUIRE_EQ(sum, INT64_MAX - 1);
	REQUIRE_EQ(shoal_list_add_int(w.list, 2, 1, NULL), -EINVAL);
	REQUIRE_EQ(shoal_list_add_int(w.list, 3, 1, &sum), 0);
	REQUIRE_EQ(sum, 2);
	REQUIRE_EQ(shoal_list_add_int(w.list, 4, 1, &sum), -EINVAL);
	REQUIRE_EQ(shoal_list_add_int(w.list, 5, 1, &sum), -ENOENT);
	world_end(w);
}

Test(list, prints_as_json)
{
	struct world w = world_make();
	char *text = NULL;
	size_t bytes = 0;
	REQUIRE_EQ(shoal_list_extend(w.list, SHOAL_LIST(1, "two", SHOAL_NIL, SHOAL_LIST(0.5))), 0);
	FILE *f = open_memstream(&text, &bytes);
	REQUIRE_EQ(shoal_list_print(w.list, f), 0);
	fclose(f);
	REQUIRE_STR_EQ(text, "[1, \"two\", null, [0.5]]");
	free(text);
	world_end(w);
}

Test(list, bad_input_changes_nothing)
{
	struct world w = world_make();
	shoal_container_options bad = { .reserved_ = { 0, 1 } };
	shoal_list *other;
	shoal_any beyond = SHOAL_ANY(UINT64_MAX), deep = SHOAL_ANY(1), shells[70];
	REQUIRE_EQ(shoal_list_create(w.arena, "o", &bad, &other), -EINVAL);
	bad = (shoal_container_options){ .flags = 1u << 20 };
	REQUIRE_EQ(shoal_list_create(w.arena, "o", &bad, &other), -EINVAL);
	REQUIRE_EQ(shoal_list_create(w.arena, "l", NULL, &other), -EEXIST);
	REQUIRE_EQ(shoal_list_open(w.arena, "none", SHOAL_NOWAIT, &other), -ENOENT);
	REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(1)), 0);
	REQUIRE_EQ(shoal_list_append(w.list, beyond), -EOVERFLOW);
	for (int i = 0; i < 70; i++) {
		shells[i] = deep;
		deep = shoal_any_from_items(&shells[i], 1);
	}
	REQUIRE_EQ(shoal_list_append(w.list, deep), -EINVAL);
	REQUIRE_EQ(shoal_list_extend(w.list, SHOAL_LIST(1, "two", beyond)), -EOVERFLOW);
	REQUIRE_EQ(shoal_list_set(w.list, 0, beyond), -EOVERFLOW);
	REQUIRE_EQ(shoal_list_index(w.list, beyond), -EOVERFLOW);
	REQUIRE_EQ(shoal_list_count(w.list, beyond), -EOVERFLOW);
	REQUIRE_EQ(shoal_list_remove(w.list, beyond), -EOVERFLOW);
	REQUIRE_EQ(shoal_list_size(w.list), 1);
	REQUIRE_EQ(shoal_list_destroy(w.arena, NULL), 0);
	world_end(w);
}

Test(list, a_list_in_a_list_lives_as_long_as_it_is_held)
{
	struct world w = world_make();
	shoal_list *inner;
	shoal_any v, again;
	REQUIRE_EQ(shoal_list_create(w.arena, NULL, NULL, &inner), 0);
	REQUIRE_EQ(shoal_list_append(inner, SHOAL_ANY("inside")), 0);
	REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(inner)), 0);
	REQUIRE_EQ(shoal_list_append(w.list, SHOAL_MAP("again", inner)), 0);
	REQUIRE_EQ(shoal_list_destroy(w.arena, inner), 0);
	REQUIRE_EQ(shoal_list_get(w.list, 0, &v), 0);
	REQUIRE(shoal_any_to_list(&v) == inner);
	REQUIRE_EQ(shoal_list_get(shoal_any_to_list(&v), 0, &again), 0);
	REQUIRE_STR_EQ(shoal_any_string(&again, ""), "inside");
	shoal_any_clear(&again);
	REQUIRE_EQ(shoal_list_remove_at(w.list, 0), 0);
	REQUIRE_EQ(shoal_list_clear(w.list), 0);
	/* Only the any keeps it now. */
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	REQUIRE_EQ(shoal_list_append(w.list, v), 0);
	shoal_any_clear(&v);
	REQUIRE_EQ(shoal_list_get(w.list, 0, &v), 0);
	REQUIRE_EQ(shoal_list_size(shoal_any_to_list(&v)), 1);
	shoal_any_clear(&v);
	world_end(w);
}

Test(list, it_is_found_by_name_and_by_reference)
{
	struct world w = world_make();
	shoal_container_options either = { .flags = SHOAL_OR_OPEN };
	shoal_list *same;
	REQUIRE_EQ(shoal_list_open(w.arena, "l", SHOAL_NOWAIT, &same), 0);
	REQUIRE(same == w.list);
	REQUIRE_EQ(shoal_list_create(w.arena, "l", &either, &same), 0);
	REQUIRE(same == w.list);
	REQUIRE_EQ(shoal_list_at(w.arena, shoal_ref_of(w.arena, w.list), &same), 0);
	REQUIRE(same == w.list);
	world_end(w);
}

static int
appender(void *arg)
{
	struct world *w = arg;
	for (int i = 0; i < 3000; i++) {
		REQUIRE_EQ(shoal_list_append(w->list, SHOAL_ANY(i)), 0);
		if (i % 3 == 0)
			REQUIRE_EQ(shoal_list_append(w->list, SHOAL_ANY("a text that needs a block")), 0);
		if (i % 3 == 1)
			REQUIRE_EQ(shoal_list_pop(w->list, 0, NULL), 0);
	}
	return 0;
}

Test(list, two_processes_append_while_this_one_reads)
{
	struct world w = world_make();
	REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(0)), 0);
	pid_t one = child(appender, &w), two = child(appender, &w);
	for (int i = 0; i < 20000; i++) {
		shoal_any v;
		size_t size = shoal_list_size(w.list);
		int rc = shoal_list_get(w.list, (ptrdiff_t)(size / 2), &v);
		REQUIRE(rc == 0 || rc == -ENOENT);
		if (rc == 0) {
			if (v.kind == SHOAL_ANY_STRING)
				REQUIRE_STR_EQ(shoal_any_string(&v, ""), "a text that needs a block");
			else
				REQUIRE_EQ(v.kind, SHOAL_ANY_INT);
			shoal_any_clear(&v);
		}
	}
	expect_child(one, 0, 15000);
	expect_child(two, 0, 15000);
	REQUIRE_EQ(shoal_list_size(w.list), 1 + 2 * (3000 + 1000 - 1000));
	world_end(w);
}

/* Its memory is that of one which this thread has used, and it is another object. */
Test(list, a_new_one_lies_where_another_was)
{
	enum { MOST = 400 };
	struct world w = world_make();
	shoal_list *was, *list[MOST];
	int n = 0;
	REQUIRE_EQ(shoal_list_create(w.arena, NULL, NULL, &was), 0);
	REQUIRE_EQ(shoal_list_append(was, SHOAL_ANY(1)), 0);
	REQUIRE_EQ(shoal_list_destroy(w.arena, was), 0);
	do
		REQUIRE_EQ(shoal_list_create(w.arena, NULL, NULL, &list[n++]), 0);
	while (list[n - 1] != was && n < MOST);
	REQUIRE(list[n - 1] == was);
	REQUIRE_EQ(shoal_list_append(was, SHOAL_ANY(2)), 0);
	REQUIRE_EQ(int_at(was, 0), 2);
	while (n)
		REQUIRE_EQ(shoal_list_destroy(w.arena, list[--n]), 0);
	world_end(w);
}

Test(list, sorting_by_an_order_that_is_none_loses_nothing)
{
	struct world w = world_make();
	double nan = __builtin_nan("");
	shoal_any all;
	for (int i = 0; i < 500; i++) {
		shoal_any v = i % 3 ? SHOAL_ANY((i * 37) % 500) : SHOAL_ANY(nan);
		REQUIRE_EQ(shoal_list_append(w.list, v), 0);
	}
	REQUIRE_EQ(shoal_list_sort(w.list, NULL, NULL), 0);
	REQUIRE_EQ(shoal_list_snapshot(w.list, &all), 0);
	REQUIRE_EQ(all.count, 500);
	int64_t sum = 0, want = 0;
	for (int i = 0; i < 500; i++) {
		sum += shoal_any_int(shoal_any_at(&all, (size_t)i), 0);
		want += i % 3 ? (i * 37) % 500 : 0;
	}
	REQUIRE_EQ(sum, want);
	shoal_any_clear(&all);
	world_end(w);
}

/* ---- through a read-only handle ---- */

static int
watches(void *name)
{
	shoal_arena *a;
	shoal_list *l;
	shoal_any v;
	REQUIRE_EQ(shoal_arena_attach_readonly(name, SHOAL_SEC(5), &a), 0);
	REQUIRE_EQ(shoal_list_open(a, "l", 0, &l), 0);
	require_ints(l, (int64_t[]){ 7, 8, 9 }, 3);
	REQUIRE_EQ(int_at(l, -1), 9);
	REQUIRE_EQ(shoal_list_slice(l, 1, 3, &v), 0);
	REQUIRE_EQ(v.count, 2);
	shoal_any_clear(&v);
	REQUIRE_EQ(shoal_list_index(l, SHOAL_ANY(8)), 1);
	REQUIRE_EQ(shoal_list_count(l, SHOAL_ANY(5)), 0);
	REQUIRE_EQ(shoal_list_append(l, SHOAL_ANY(4)), -EPERM);
	REQUIRE_EQ(shoal_list_pop(l, 0, &v), -EPERM);
	REQUIRE_EQ(shoal_list_remove(l, SHOAL_ANY(8)), -EPERM);
	REQUIRE_EQ(shoal_list_sort(l, NULL, NULL), -EPERM);
	REQUIRE_EQ(shoal_list_clear(l), -EPERM);
	REQUIRE_EQ(shoal_list_size(l), 3);
	shoal_arena_close(a);
	return 0;
}

Test(list, can_be_watched)
{
	struct world w;
	char name[40];
	snprintf(name, sizeof name, "list-test-%d", (int)getpid());
	REQUIRE_EQ(shoal_arena_create(name, NULL, &w.arena), 0);
	REQUIRE_EQ(shoal_list_create(w.arena, "l", NULL, &w.list), 0);
	for (int i = 7; i < 10; i++)
		REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(i)), 0);
	expect_child(child(watches, name), 0, 5000);
	world_end(w);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
}

/* ---- while the list is sorted ---- */

struct meddler {
	shoal_arena *arena;
	shoal_list *list;
	bool locked;
};

/* Changes the list until the sort keeps writers out, and tries to make containers then. */
static int
meddle(const shoal_any *x, const shoal_any *y, void *arg)
{
	struct meddler *m = arg;
	shoal_list *l;
	shoal_dict *d;
	static const shoal_container_options roomy = { .reserve = 1000 };
	if (!m->locked && shoal_list_set(m->list, 0, SHOAL_ANY(5)) == -EDEADLK) {
		m->locked = true;
		REQUIRE(strstr(shoal_error(), "shoal_list_sort"));
		REQUIRE_EQ(shoal_list_create(m->arena, "made", NULL, &l), -EDEADLK);
		REQUIRE(!l);
		REQUIRE_EQ(shoal_dict_create(m->arena, "made", &roomy, &d), -EDEADLK);
		REQUIRE(!d);
		REQUIRE_EQ(shoal_list_destroy(m->arena, m->list), -EDEADLK);
	}
	return (int)(shoal_any_int(x, 0) - shoal_any_int(y, 0));
}

Test(list, no_container_is_made_inside_a_call)
{
	struct world w = world_make();
	struct meddler m = { w.arena, w.list, false };
	shoal_dict *d;
	for (int i = 5; i > 0; i--)
		REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(i)), 0);
	REQUIRE_EQ(shoal_list_sort(w.list, meddle, &m), 0);
	REQUIRE(m.locked);
	require_ints(w.list, (int64_t[]){ 1, 2, 3, 4, 5 }, 5);
	REQUIRE_EQ(shoal_dict_create(w.arena, "made", NULL, &d), 0);
	REQUIRE_EQ(shoal_dict_destroy(w.arena, d), 0);
	world_end(w);
}
