/* Shared data: dynamic values, cells, arrays, lists, dicts, namespaces, one in another. */
#include "outside.h"
#include <string.h>

static void
anys(void)
{
	shoal_any map = SHOAL_MAP("price", 0.25, "bins", SHOAL_LIST(7, 9), "gone", SHOAL_NIL);
	unsigned char cbor[64];
	shoal_any copy, read;
	CHECK(shoal_any_double(shoal_any_find(&map, "price"), 0) == 0.25);
	CHECK(shoal_any_int(shoal_any_at(shoal_any_find(&map, "bins"), 1), 0) == 9);
	CHECK(!shoal_any_find(&map, "none") && shoal_any_int(NULL, 5) == 5);
	CHECK(shoal_any_copy(&map, &copy) == 0 && shoal_any_equal(&map, &copy));
	ssize_t bytes = shoal_any_encode(&copy, cbor, sizeof cbor);
	CHECK(bytes > 0 && shoal_any_decode(cbor, (size_t)bytes, &read) == 0);
	CHECK(shoal_any_equal(&copy, &read) && shoal_any_encode(&copy, cbor, 1) == -EMSGSIZE);
	CHECK(shoal_any_decode("\xff", 1, &copy) == -EINVAL);
	shoal_any_clear(&copy);
	shoal_any_clear(&read);
	shoal_any_clear(&read);
}

static void
cells(shoal_arena *arena)
{
	shoal_value *hits, *same;
	shoal_array *grid;
	shoal_any got;
	int64_t expected = 4;
	double part[2] = { 1.5, 2.5 };
	CHECK(shoal_value_create(arena, "hits", SHOAL_I64, SHOAL_ANY(3), &hits) == 0);
	CHECK(shoal_value_open(arena, "hits", SHOAL_NOWAIT, &same) == 0 && same == hits);
	CHECK(shoal_value_add_int(hits, 2) == 5 && shoal_value_exchange_int(hits, 6) == 5);
	CHECK(!shoal_value_compare_exchange_int(hits, &expected, 7) && expected == 6);
	CHECK(shoal_value_type(hits) == SHOAL_I64 && shoal_value_get_int(hits) == 6);
	CHECK(shoal_rlock_acquire(shoal_value_lock(hits), SHOAL_NOWAIT) == 0);
	CHECK(shoal_rlock_release(shoal_value_lock(hits)) == 0);
	CHECK(shoal_value_destroy(arena, hits) == 0);

	CHECK(shoal_array_create(arena, NULL, SHOAL_F64, 10, &grid) == 0);
	CHECK(shoal_array_write(grid, 8, 2, part) == 0 && shoal_array_count(grid) == 10);
	CHECK(shoal_array_get(grid, -1, &got) == 0 && shoal_any_double(&got, 0) == 2.5);
	CHECK(shoal_array_set(grid, 10, SHOAL_ANY(1)) == -ENOENT);
	CHECK(((double *)shoal_array_data(grid))[8] == 1.5);
	CHECK(shoal_array_destroy(arena, grid) == 0);
}

static void
lists(shoal_arena *arena)
{
	shoal_any got, want = SHOAL_LIST(1, 2, 3);
	shoal_list *l;
	CHECK(shoal_list_create(arena, "list", NULL, &l) == 0);
	CHECK(shoal_list_extend(l, SHOAL_LIST(3, 1)) == 0 && shoal_list_append(l, SHOAL_ANY(2)) == 0);
	CHECK(shoal_list_sort(l, NULL, NULL) == 0 && shoal_list_size(l) == 3);
	CHECK(shoal_list_snapshot(l, &got) == 0 && shoal_any_equal(&got, &want));
	shoal_any_clear(&got);
	CHECK(shoal_list_pop(l, -1, &got) == 0 && shoal_any_int(&got, 0) == 3);
	CHECK(shoal_list_get(l, 2, &got) == -ENOENT && shoal_list_index(l, SHOAL_ANY(2)) == 1);
	CHECK(shoal_list_add_int(l, 0, 41, NULL) == 0 && shoal_list_reverse(l) == 0);
	CHECK(shoal_list_get(l, 1, &got) == 0 && shoal_any_int(&got, 0) == 42);
	CHECK(shoal_list_destroy(arena, l) == 0);
}

static int
count(void *d)
{
	for (int i = 0; i < 1000; i++)
		CHECK(shoal_dict_add_int(d, SHOAL_ANY("hits"), 1, NULL) == 0);
	return 0;
}

static void
dicts(shoal_arena *arena)
{
	const shoal_any *key, *value;
	shoal_cursor at = { 0 };
	shoal_dict *d;
	shoal_list *inner;
	shoal_any got, four = SHOAL_ANY(4);
	int items = 0;
	CHECK(shoal_dict_create(arena, NULL, NULL, &d) == 0);
	in_child(count, d);
	CHECK(shoal_dict_get(d, SHOAL_ANY("hits"), &got) == 0 && shoal_any_int(&got, 0) == 1000);
	CHECK(shoal_dict_get(d, SHOAL_ANY(1), &got) == -ENOENT && shoal_dict_has(d, SHOAL_ANY("hits")));
	CHECK(shoal_dict_update(d, SHOAL_MAP(1, "one", (bool)1, "yes")) == 0);
	CHECK(shoal_dict_size(d) == 3);
	while (shoal_dict_next(d, &at, &key, &value) == 1)
		items++;
	CHECK(items == 3);
	CHECK(shoal_dict_compare_exchange(d, SHOAL_ANY(2), NULL, &four) == 0);
	CHECK(shoal_dict_compare_exchange(d, SHOAL_ANY(2), NULL, &four) == -ECANCELED);
	/* The dict alone keeps the list from here on; what it returns is pinned until it is cleared. */
	CHECK(shoal_list_create(arena, NULL, NULL, &inner) == 0);
	CHECK(shoal_dict_set(d, SHOAL_ANY("inner"), SHOAL_ANY(inner)) == 0);
	CHECK(shoal_list_destroy(arena, inner) == 0);
	CHECK(shoal_dict_pop(d, SHOAL_ANY("inner"), &got) == 0);
	CHECK(shoal_list_append(shoal_any_to_list(&got), SHOAL_ANY(1)) == 0);
	shoal_any_clear(&got);
	CHECK(shoal_dict_set_bytes(d, "k", 1, "value", 6) == 0);
	char text[8];
	CHECK(shoal_dict_get_bytes(d, "k", 1, text, sizeof text) == 6 && !strcmp(text, "value"));
	CHECK(shoal_dict_clear(d) == 0 && shoal_dict_size(d) == 0);
	CHECK(shoal_dict_destroy(arena, d) == 0);
}

void
data(shoal_arena *arena)
{
	shoal_namespace *n;
	shoal_any got;
	anys();
	cells(arena);
	lists(arena);
	dicts(arena);
	CHECK(shoal_namespace_create(arena, "settings", NULL, &n) == 0);
	CHECK(shoal_namespace_set(n, "depth", SHOAL_ANY(3)) == 0);
	CHECK(shoal_namespace_get(n, "depth", &got) == 0 && shoal_any_int(&got, 0) == 3);
	CHECK(shoal_namespace_del(n, "depth") == 0 && shoal_namespace_del(n, "depth") == -ENOENT);
	CHECK(shoal_namespace_destroy(arena, n) == 0);
}
