/* Containers of dynamic values: lists, dicts, namespaces, one in another. */
#include "outside.h"
#include <string.h>

/* The list as it is must be equal to this one, and is printed so. */
static void
is(shoal_list *l, shoal_any want, const char *text)
{
	FILE *paper = tmpfile();
	shoal_any got;
	CHECK(shoal_list_snapshot(l, &got) == 0 && shoal_any_equal(&got, &want));
	CHECK(shoal_list_size(l) == want.count);
	shoal_any_clear(&got);
	CHECK(paper && shoal_list_print(l, paper) == 0 && wrote(paper, text));
}

static int
downwards(const shoal_any *a, const shoal_any *b, void *calls)
{
	++*(int *)calls;
	return (int)(shoal_any_int(b, 0) - shoal_any_int(a, 0));
}

static void
items(shoal_list *l)
{
	shoal_any got, part = SHOAL_LIST(1, 2);
	int calls = 0;
	CHECK(shoal_list_extend(l, SHOAL_LIST(3, 1)) == 0 && shoal_list_append(l, SHOAL_ANY(2)) == 0);
	CHECK(shoal_list_sort(l, NULL, NULL) == 0);
	is(l, SHOAL_LIST(1, 2, 3), "[1, 2, 3]");
	CHECK(shoal_list_slice(l, 0, -1, &got) == 0 && shoal_any_equal(&got, &part));
	shoal_any_clear(&got);
	CHECK(shoal_list_insert(l, 0, SHOAL_ANY("a")) == 0);
	CHECK(shoal_list_insert(l, 99, SHOAL_ANY("z")) == 0);
	CHECK(shoal_list_insert(l, -1, SHOAL_ANY(2)) == 0);
	is(l, SHOAL_LIST("a", 1, 2, 3, 2, "z"), "[\"a\", 1, 2, 3, 2, \"z\"]");
	CHECK(shoal_list_count(l, SHOAL_ANY(2)) == 2 && shoal_list_index(l, SHOAL_ANY(2)) == 2);
	CHECK(shoal_list_count(l, SHOAL_ANY(9)) == 0 && shoal_list_index(l, SHOAL_ANY(9)) == -ENOENT);
	CHECK(shoal_list_sort(l, NULL, NULL) == -EINVAL && shoal_list_remove(l, SHOAL_ANY(2)) == 0);
	CHECK(shoal_list_remove(l, SHOAL_ANY(9)) == -ENOENT && shoal_list_remove_at(l, 0) == 0);
	CHECK(shoal_list_remove_at(l, 4) == -ENOENT);
	is(l, SHOAL_LIST(1, 3, 2, "z"), "[1, 3, 2, \"z\"]");
	CHECK(shoal_list_set(l, -1, SHOAL_ANY(0.5)) == 0 && shoal_list_set(l, 4, part) == -ENOENT);
	CHECK(shoal_list_pop(l, -1, &got) == 0 && shoal_any_double(&got, 0) == 0.5);
	CHECK(shoal_list_sort(l, downwards, &calls) == 0 && calls >= 2);
	CHECK(shoal_list_reverse(l) == 0 && shoal_list_set(l, 1, part) == 0);
	is(l, SHOAL_LIST(1, SHOAL_LIST(1, 2), 3), "[1, [1, 2], 3]");
}

static void
lists(shoal_arena *arena)
{
	shoal_list *l, *same;
	shoal_dict *other;
	shoal_any got;
	int64_t sum = 0;
	CHECK(shoal_list_create(arena, "list", NULL, &l) == 0);
	CHECK(shoal_list_open(arena, "list", SHOAL_NOWAIT, &same) == 0 && same == l);
	shoal_ref ref = shoal_ref_of(arena, l);
	CHECK(shoal_list_at(arena, ref, &same) == 0 && same == l);
	CHECK(shoal_dict_at(arena, ref, &other) == -EPROTO);
	items(l);
	CHECK(shoal_list_add_int(l, 0, 41, &sum) == 0 && sum == 42);
	CHECK(shoal_list_get(l, 0, &got) == 0 && shoal_any_int(&got, 0) == 42);
	CHECK(shoal_list_add_int(l, 1, 1, NULL) == -EINVAL && shoal_list_get(l, 3, &got) == -ENOENT);
	CHECK(shoal_list_clear(l) == 0 && shoal_list_pop(l, 0, NULL) == -ENOENT);
	is(l, shoal_any_from_items(NULL, 0), "[]");
	CHECK(shoal_list_destroy(arena, l) == 0);
	CHECK(shoal_list_at(arena, ref, &same) == -ENOENT);
	CHECK(shoal_list_open(arena, "list", SHOAL_NOWAIT, &same) == -ENOENT);
}

/* ---- dicts ---- */

static int
count(void *d)
{
	for (int i = 0; i < 1000; i++)
		CHECK(shoal_dict_add_int(d, SHOAL_ANY("hits"), 1, NULL) == 0);
	return 0;
}

static void
keys(shoal_dict *d)
{
	shoal_any got, four = SHOAL_ANY(4);
	int64_t sum = 0;
	in_child(count, d);
	CHECK(shoal_dict_get(d, SHOAL_ANY("hits"), &got) == 0 && shoal_any_int(&got, 0) == 1000);
	CHECK(shoal_dict_add_int(d, SHOAL_ANY("hits"), -1, &sum) == 0 && sum == 999);
	CHECK(shoal_dict_get(d, SHOAL_ANY(1), &got) == -ENOENT && shoal_dict_has(d, SHOAL_ANY("hits")));
	uint64_t version = shoal_dict_version(d);
	CHECK(shoal_dict_version(d) == version);
	CHECK(shoal_dict_update(d, SHOAL_MAP(1, "one", (bool)1, "yes")) == 0);
	CHECK(shoal_dict_size(d) == 3 && shoal_dict_version(d) != version);
	CHECK(shoal_dict_setdefault(d, SHOAL_ANY(1), SHOAL_ANY("other"), &got) == 0);
	CHECK(!strcmp(shoal_any_string(&got, ""), "one"));
	shoal_any_clear(&got);
	CHECK(shoal_dict_setdefault(d, SHOAL_ANY(3), SHOAL_ANY(33), &got) == 0);
	CHECK(shoal_any_int(&got, 0) == 33 && shoal_dict_pop(d, SHOAL_ANY(3), NULL) == 0);
	CHECK(shoal_dict_pop(d, SHOAL_ANY(3), NULL) == -ENOENT);
	CHECK(shoal_dict_compare_exchange(d, SHOAL_ANY(2), NULL, &four) == 0);
	CHECK(shoal_dict_compare_exchange(d, SHOAL_ANY(2), NULL, &four) == -ECANCELED);
}

/* As they are after keys(): all at one moment, one after the other, and taken out at the end. */
static void
all_items(shoal_dict *d)
{
	const shoal_any *key, *value;
	shoal_cursor at = { 0 };
	shoal_any got, its, want = SHOAL_MAP("hits", 999, 1, "one", (bool)1, "yes", 2, 4);
	int seen = 0;
	FILE *paper = tmpfile();
	CHECK(shoal_dict_snapshot(d, &got) == 0 && shoal_any_equal(&got, &want));
	CHECK(got.count == 4 && shoal_any_int(&got.as.items[6], 0) == 2);
	shoal_any_clear(&got);
	while (shoal_dict_next(d, &at, &key, &value) == 1)
		seen++;
	CHECK(seen == 4 && shoal_dict_next(d, &at, &key, &value) == 1);
	shoal_cursor_clear(&at);
	shoal_cursor_clear(&at);
	for (seen = 0; shoal_dict_next(d, &at, &key, &value) == 1; seen++)
		continue;
	CHECK(seen == 4 && shoal_dict_popitem(d, &got, &its) == 0);
	CHECK(shoal_any_int(&got, 0) == 2 && shoal_any_int(&its, 0) == 4);
	CHECK(shoal_dict_popitem(d, NULL, NULL) == 0 && shoal_dict_size(d) == 2);
	CHECK(paper && shoal_dict_print(d, paper) == 0);
	CHECK(wrote(paper, "{\"hits\": 999, \"1\": \"one\"}"));
	CHECK(shoal_dict_clear(d) == 0 && shoal_dict_size(d) == 0);
	CHECK(shoal_dict_popitem(d, &got, &its) == -ENOENT);
}

/* The dict alone keeps the list; what it returns is pinned until it is cleared. */
static void
nested(shoal_arena *arena, shoal_dict *d)
{
	shoal_list *inner;
	shoal_any got;
	CHECK(shoal_list_create(arena, NULL, NULL, &inner) == 0);
	shoal_ref ref = shoal_ref_of(arena, inner);
	CHECK(shoal_dict_set(d, SHOAL_ANY("inner"), SHOAL_ANY(inner)) == 0);
	CHECK(shoal_list_destroy(arena, inner) == 0 && shoal_deref(arena, ref) == inner);
	CHECK(shoal_dict_pop(d, SHOAL_ANY("inner"), &got) == 0);
	CHECK(shoal_list_append(shoal_any_to_list(&got), SHOAL_ANY(1)) == 0);
	shoal_any_clear(&got);
	CHECK(shoal_deref(arena, ref) == NULL);
}

static void
dicts(shoal_arena *arena)
{
	shoal_dict *d, *same;
	char text[8];
	CHECK(shoal_dict_create(arena, "dict", NULL, &d) == 0);
	CHECK(shoal_dict_open(arena, "dict", SHOAL_NOWAIT, &same) == 0 && same == d);
	shoal_ref ref = shoal_ref_of(arena, d);
	CHECK(shoal_dict_at(arena, ref, &same) == 0 && same == d);
	keys(d);
	all_items(d);
	nested(arena, d);
	CHECK(shoal_dict_set_bytes(d, "k", 1, "value", 6) == 0);
	CHECK(shoal_dict_get_bytes(d, "k", 1, text, 2) == -EMSGSIZE && shoal_needed() == 6);
	CHECK(shoal_dict_get_bytes(d, "k", 1, text, sizeof text) == 6 && !strcmp(text, "value"));
	CHECK(!shoal_dict_has(d, SHOAL_ANY("k")));
	CHECK(shoal_dict_pop_bytes(d, "k", 1) == 0 && shoal_dict_pop_bytes(d, "k", 1) == -ENOENT);
	CHECK(shoal_dict_size(d) == 0 && shoal_dict_destroy(arena, d) == 0);
	CHECK(shoal_dict_at(arena, ref, &same) == -ENOENT);
}

static void
namespaces(shoal_arena *arena)
{
	shoal_namespace *n, *same;
	shoal_any got;
	FILE *paper = tmpfile();
	CHECK(shoal_namespace_create(arena, "settings", NULL, &n) == 0);
	CHECK(shoal_namespace_open(arena, "settings", SHOAL_NOWAIT, &same) == 0 && same == n);
	CHECK(shoal_namespace_set(n, "depth", SHOAL_ANY(3)) == 0);
	CHECK(shoal_namespace_set(n, "name", SHOAL_ANY("x")) == 0);
	CHECK(shoal_namespace_get(n, "depth", &got) == 0 && shoal_any_int(&got, 0) == 3);
	CHECK(paper && shoal_namespace_print(n, paper) == 0);
	CHECK(wrote(paper, "{\"depth\": 3, \"name\": \"x\"}"));
	CHECK(shoal_namespace_del(n, "depth") == 0 && shoal_namespace_del(n, "depth") == -ENOENT);
	CHECK(shoal_namespace_get(n, "depth", &got) == -ENOENT);
	CHECK(shoal_namespace_destroy(arena, n) == 0);
	CHECK(shoal_namespace_open(arena, "settings", SHOAL_NOWAIT, &same) == -ENOENT);
}

void
containers(shoal_arena *arena)
{
	lists(arena);
	dicts(arena);
	namespaces(arena);
}
