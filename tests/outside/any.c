/* Dynamic values: views of each kind by name and by macro, looking, copies, JSON, CBOR. */
#include "outside.h"
#include <string.h>

static void
scalars(void)
{
	shoal_any yes = shoal_any_from_bool(true), five = shoal_any_from_int(5);
	shoal_any half = shoal_any_from_double(0.5), text = shoal_any_from_string("text");
	shoal_any raw = shoal_any_from_bytes("a\0b", 3), none = shoal_any_from_string(NULL), out;
	shoal_any large = shoal_any_from_uint(UINT64_MAX), small = shoal_any_from_uint(5);
	CHECK(yes.kind == SHOAL_ANY_BOOL && shoal_any_bool(&yes, false) && shoal_any_int(&yes, 7) == 1);
	CHECK(five.kind == SHOAL_ANY_INT && shoal_any_int(&five, 0) == 5);
	CHECK(shoal_any_bool(&five, false) && shoal_any_double(&five, 0) == 5);
	CHECK(half.kind == SHOAL_ANY_DOUBLE && shoal_any_double(&half, 0) == 0.5);
	CHECK(shoal_any_int(&half, 7) == 7 && !shoal_any_bool(&half, false));
	CHECK(text.count == 4 && !strcmp(shoal_any_string(&text, ""), "text"));
	CHECK(!strcmp(shoal_any_string(&five, "none"), "none") && !shoal_any_string(NULL, NULL));
	CHECK(raw.kind == SHOAL_ANY_BYTES && raw.count == 3 && !memcmp(raw.as.bytes, "a\0b", 3));
	CHECK(none.kind == SHOAL_ANY_NIL && shoal_any_bool(&none, true) && shoal_any_int(NULL, 5) == 5);
	CHECK(shoal_any_equal(&small, &five) && !shoal_any_equal(&text, &raw));
	CHECK(shoal_any_copy(&large, &out) == -EOVERFLOW && out.kind == SHOAL_ANY_NIL);
	five = shoal_any_self(half);
	CHECK(shoal_any_equal(&five, &half));
}

static void
lists_and_maps(void)
{
	const shoal_any items[] = { shoal_any_from_int(7), shoal_any_from_int(9) };
	const shoal_any pairs[] = { SHOAL_ANY("price"), SHOAL_ANY(0.25), SHOAL_ANY("bins"),
		                        shoal_any_from_items(items, 2) };
	shoal_any map = shoal_any_from_pairs(pairs, 2);
	shoal_any same = SHOAL_MAP("bins", SHOAL_LIST(7, 9), "price", 0.25);
	shoal_any with_nil = SHOAL_LIST(SHOAL_NIL, (bool)1, -1.5, "\"", SHOAL_MAP(1, 2));
	const shoal_any *bins = shoal_any_find(&map, "bins");
	CHECK(map.kind == SHOAL_ANY_MAP && map.count == 2 && shoal_any_equal(&map, &same));
	CHECK(shoal_any_double(shoal_any_find(&map, "price"), 0) == 0.25);
	CHECK(bins && bins->kind == SHOAL_ANY_LIST && bins->count == 2);
	CHECK(shoal_any_int(shoal_any_at(bins, 1), 0) == 9 && !shoal_any_at(bins, 2));
	CHECK(!shoal_any_find(&map, "none") && !shoal_any_at(&map, 0));
	FILE *paper = tmpfile();
	CHECK(paper && shoal_any_print(&map, paper) == 0);
	CHECK(wrote(paper, "{\"price\": 0.25, \"bins\": [7, 9]}"));
	paper = tmpfile();
	CHECK(paper && shoal_any_print(&with_nil, paper) == 0);
	CHECK(wrote(paper, "[null, true, -1.5, \"\\\"\", {\"1\": 2}]"));
}

static void
owned(void)
{
	char text[] = "mine";
	shoal_any map = SHOAL_MAP("price", 0.25, "name", text, "gone", SHOAL_NIL);
	unsigned char cbor[64];
	shoal_any copy, read;
	CHECK(shoal_any_copy(&map, &copy) == 0 && shoal_any_equal(&map, &copy));
	text[0] = 'f';
	CHECK(!shoal_any_equal(&map, &copy));
	CHECK(!strcmp(shoal_any_string(shoal_any_find(&copy, "name"), ""), "mine"));
	ssize_t bytes = shoal_any_encode(&copy, cbor, sizeof cbor);
	CHECK(bytes > 0 && cbor[0] == 0xa3 && shoal_any_decode(cbor, (size_t)bytes, &read) == 0);
	CHECK(shoal_any_equal(&copy, &read) && shoal_any_encode(&copy, cbor, 1) == -EMSGSIZE);
	CHECK(shoal_needed() == (size_t)bytes);
	shoal_any_clear(&copy);
	CHECK(copy.kind == SHOAL_ANY_NIL);
	CHECK(shoal_any_decode("\xff", 1, &copy) == -EINVAL && copy.kind == SHOAL_ANY_NIL);
	shoal_any_clear(&read);
	shoal_any_clear(&read);
}

/* Each kind of object goes into a list and comes out of it as itself. */
static void
objects(shoal_arena *arena)
{
	shoal_queue *queue;
	shoal_pipe_end *end;
	shoal_value *value;
	shoal_array *array;
	shoal_list *list, *all;
	shoal_dict *dict;
	shoal_namespace *space;
	shoal_any got;
	CHECK(shoal_queue_create(arena, NULL, NULL, &queue) == 0);
	CHECK(shoal_pipe_create(arena, NULL, NULL, &end, NULL) == 0);
	CHECK(shoal_value_create(arena, NULL, SHOAL_BOOL, SHOAL_NIL, &value) == 0);
	CHECK(shoal_array_create(arena, NULL, SHOAL_U8, 1, &array) == 0);
	CHECK(shoal_list_create(arena, NULL, NULL, &list) == 0);
	CHECK(shoal_list_create(arena, NULL, NULL, &all) == 0);
	CHECK(shoal_dict_create(arena, NULL, NULL, &dict) == 0);
	CHECK(shoal_namespace_create(arena, NULL, NULL, &space) == 0);
	const shoal_any named[] = { shoal_any_from_queue(queue), shoal_any_from_pipe(end),
		                        shoal_any_from_value(value), shoal_any_from_array(array),
		                        shoal_any_from_list(list),   shoal_any_from_dict(dict),
		                        shoal_any_from_namespace(space) };
	const shoal_any by_macro = SHOAL_LIST(queue, end, value, array, list, dict, space);
	const shoal_any view = shoal_any_from_items(named, 7);
	CHECK(named[0].kind == SHOAL_ANY_OBJECT && shoal_any_equal(&view, &by_macro));
	CHECK(!shoal_any_equal(&named[4], &named[5]));
	CHECK(shoal_list_extend(all, view) == 0 && shoal_list_snapshot(all, &got) == 0);
	CHECK(shoal_any_equal(&got, &view));
	CHECK(shoal_any_to_queue(shoal_any_at(&got, 0)) == queue);
	CHECK(shoal_any_to_list(shoal_any_at(&got, 4)) == list);
	CHECK(shoal_any_to_dict(shoal_any_at(&got, 5)) == dict);
	CHECK(!shoal_any_to_queue(shoal_any_at(&got, 4)) && !shoal_any_to_list(NULL));
	CHECK(!shoal_any_to_dict(shoal_any_at(&got, 6)));
	shoal_any_clear(&got);
	CHECK(shoal_list_destroy(arena, all) == 0 && shoal_list_destroy(arena, list) == 0);
	CHECK(shoal_queue_destroy(arena, queue) == 0 && shoal_pipe_destroy(arena, end) == 0);
	CHECK(shoal_value_destroy(arena, value) == 0 && shoal_array_destroy(arena, array) == 0);
	CHECK(shoal_dict_destroy(arena, dict) == 0 && shoal_namespace_destroy(arena, space) == 0);
}

void
anys(shoal_arena *arena)
{
	scalars();
	lists_and_maps();
	owned();
	objects(arena);
}
