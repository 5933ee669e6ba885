/* One process; several are in dict_share_test.c, those that die in dict_storm_test.c. */
#include "dict_common.h"

#include "data/dict_read.h"

Test(dict, holds_what_it_was_given)
{
	struct dict_world w = dict_world(0);
	shoal_any v;
	REQUIRE_EQ(shoal_dict_size(w.dict), 0);
	REQUIRE_EQ(shoal_dict_get(w.dict, SHOAL_ANY("a"), &v), -ENOENT);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY("a"), SHOAL_ANY(1)), 0);
	REQUIRE_EQ(int_of(w.dict, SHOAL_ANY("a")), 1);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY("a"), SHOAL_ANY("text")), 0);
	REQUIRE_EQ(shoal_dict_get(w.dict, SHOAL_ANY("a"), &v), 0);
	REQUIRE_STR_EQ(shoal_any_string(&v, ""), "text");
	shoal_any_clear(&v);
	REQUIRE_EQ(shoal_dict_size(w.dict), 1);
	REQUIRE(shoal_dict_has(w.dict, SHOAL_ANY("a")));
	REQUIRE(!shoal_dict_has(w.dict, SHOAL_ANY("b")));
	REQUIRE_EQ(shoal_dict_pop(w.dict, SHOAL_ANY("a"), &v), 0);
	REQUIRE_STR_EQ(shoal_any_string(&v, ""), "text");
	shoal_any_clear(&v);
	REQUIRE_EQ(shoal_dict_pop(w.dict, SHOAL_ANY("a"), &v), -ENOENT);
	REQUIRE_EQ(shoal_dict_size(w.dict), 0);
	dict_world_end(&w);
}

Test(dict, values_of_every_kind_come_back_equal)
{
	struct dict_world w = dict_world(0);
	char big[100000];
	memset(big, 'x', sizeof big);
	shoal_any value[] = { SHOAL_NIL,
		              SHOAL_ANY((bool)true),
		              SHOAL_ANY(-5),
		              SHOAL_ANY(2.5),
		              SHOAL_ANY(""),
		              SHOAL_ANY("text"),
		              shoal_any_from_bytes(big, sizeof big),
		              SHOAL_LIST(1, "two", SHOAL_NIL),
		              SHOAL_MAP("a", 1, "b", 2.5) };
	for (int round = 0; round < 3; round++)
		for (unsigned i = 0; i < sizeof value / sizeof *value; i++) {
			shoal_any v;
			/* Every kind follows every other one under the key -1. */
			REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY((int)i), value[i]), 0);
			REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(-1), value[(i * (round + 1)) % 9]), 0);
			REQUIRE_EQ(shoal_dict_get(w.dict, SHOAL_ANY((int)i), &v), 0);
			REQUIRE(shoal_any_equal(&v, &value[i]));
			shoal_any_clear(&v);
		}
	REQUIRE_EQ(shoal_dict_size(w.dict), 10);
	dict_world_end(&w);
}

Test(dict, keys_are_the_same_where_kind_and_bytes_are)
{
	struct dict_world w = dict_world(0);
	int64_t one = 1;
	shoal_any key[] = { SHOAL_ANY(1), SHOAL_ANY((bool)true), SHOAL_ANY("1"),
		            shoal_any_from_bytes("1", 1), shoal_any_from_bytes(&one, 8),
		            SHOAL_ANY(""), shoal_any_from_bytes("", 0) };
	int n = sizeof key / sizeof *key;
	char value[8];
	for (int i = 0; i < n; i++)
		REQUIRE_EQ(shoal_dict_set(w.dict, key[i], SHOAL_ANY(i)), 0);
	REQUIRE_EQ(shoal_dict_size(w.dict), n);
	for (int i = 0; i < n; i++)
		REQUIRE_EQ(int_of(w.dict, key[i]), i);
	REQUIRE_EQ(shoal_dict_set_bytes(w.dict, "1", 1, "one", 3), 0);
	REQUIRE_EQ(shoal_dict_size(w.dict), n);
	REQUIRE_EQ(shoal_dict_get_bytes(w.dict, "1", 1, value, sizeof value), 3);
	dict_world_end(&w);
}

/* The copy has the room that it needs, and not a byte less or more of the buffer is touched. */
static void
expect_bytes(shoal_dict *d, const char *key, size_t key_bytes, const char *value, size_t bytes)
{
	char buffer[256];
	memset(buffer, '#', sizeof buffer);
	if (bytes)
		REQUIRE_EQ(shoal_dict_get_bytes(d, key, key_bytes, buffer, bytes - 1), -EMSGSIZE);
	REQUIRE_EQ(shoal_dict_get_bytes(d, key, key_bytes, buffer, bytes), bytes);
	REQUIRE_EQ(memcmp(buffer, value, bytes), 0);
	for (size_t i = bytes; i < sizeof buffer; i++)
		REQUIRE_EQ(buffer[i], '#');
}

Test(dict, bytes_of_all_lengths_come_back)
{
	struct dict_world w = dict_world(0);
	char text[256];
	for (unsigned i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 37 + i / 64);
	for (unsigned n = 0; n < 200; n++)
		REQUIRE_EQ(shoal_dict_set_bytes(w.dict, text, n, text + n % 50, n), 0);
	REQUIRE_EQ(shoal_dict_size(w.dict), 200);
	for (unsigned n = 0; n < 200; n++)
		expect_bytes(w.dict, text, n, text + n % 50, n);
	REQUIRE_EQ(shoal_dict_get_bytes(w.dict, text, 200, text, sizeof text), -ENOENT);
	dict_world_end(&w);
}

static uint64_t
hash_of(shoal_dict *d, uint64_t number)
{
	struct dict_key k;
	dict_read_key(d, &number, sizeof number, &k);
	return k.hash;
}

/* Of one bucket, also after the next ones are born, and with one tag in its slots. */
Test(dict, keys_are_told_apart_where_their_tags_are_not)
{
	struct dict_world w = dict_world(0);
	uint64_t alike = UINT64_C(0xffff00000000000f), key[3] = { 1 }, value = 0;
	uint64_t wanted = hash_of(w.dict, key[0]) & alike;
	for (int n = 1; n < 3; n++) {
		key[n] = key[n - 1] + 1;
		while ((hash_of(w.dict, key[n]) & alike) != wanted)
			key[n]++;
	}
	for (int n = 0; n < 2; n++)
		REQUIRE_EQ(shoal_dict_set_bytes(w.dict, &key[n], 8, &key[n], 8), 0);
	for (int out = 0; out < 3; out++) {
		for (int n = 0; n < 3; n++) {
			bool is = n < 2 && n >= out;
			REQUIRE_EQ(shoal_dict_get_bytes(w.dict, &key[n], 8, &value, 8), is ? 8 : -ENOENT);
			REQUIRE(!is || value == key[n]);
		}
		REQUIRE_EQ(shoal_dict_pop_bytes(w.dict, &key[out], 8), out < 2 ? 0 : -ENOENT);
	}
	dict_world_end(&w);
}

Test(dict, bad_input_changes_nothing)
{
	struct dict_world w = dict_world(0);
	shoal_any v = SHOAL_ANY(1), odd = { .kind = 77 };
	char buffer[4];
	uint64_t version = shoal_dict_version(w.dict);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_NIL, v), -EINVAL);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(1.5), v), -EINVAL);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_LIST(1), v), -EINVAL);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(1), odd), -EINVAL);
	REQUIRE_EQ(shoal_dict_get(w.dict, SHOAL_ANY(1.5), &v), -EINVAL);
	REQUIRE_EQ(shoal_dict_update(w.dict, SHOAL_ANY(1)), -EINVAL);
	REQUIRE_EQ(shoal_dict_popitem(w.dict, NULL, NULL), -ENOENT);
	REQUIRE_EQ(shoal_dict_size(w.dict), 0);
	REQUIRE_EQ(shoal_dict_version(w.dict), version);
	REQUIRE_EQ(shoal_dict_set_bytes(w.dict, "k", 1, "long value", 10), 0);
	REQUIRE_EQ(shoal_dict_get_bytes(w.dict, "k", 1, buffer, sizeof buffer), -EMSGSIZE);
	REQUIRE_EQ(shoal_needed(), 10);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY("int"), SHOAL_ANY(1)), 0);
	REQUIRE_EQ(shoal_dict_get_bytes(w.dict, "int", 3, buffer, sizeof buffer), -ENOENT);
	REQUIRE_EQ(shoal_dict_set(w.dict, shoal_any_from_bytes("int", 3), SHOAL_ANY(1)), 0);
	REQUIRE_EQ(shoal_dict_get_bytes(w.dict, "int", 3, buffer, sizeof buffer), -EPROTO);
	REQUIRE_EQ(shoal_dict_get_bytes(w.dict, NULL, 3, buffer, sizeof buffer), -EINVAL);
	REQUIRE_EQ(shoal_dict_get_bytes(w.dict, "k", UINT32_MAX, buffer, sizeof buffer), -EMSGSIZE);
	shoal_container_options bad = { .flags = 0x1000 }, worse = { .reserved_ = { 0, 1 } };
	shoal_dict *d;
	REQUIRE_EQ(shoal_dict_create(w.arena, "e", &bad, &d), -EINVAL);
	REQUIRE_EQ(shoal_dict_create(w.arena, "e", &worse, &d), -EINVAL);
	REQUIRE_EQ(shoal_dict_create(w.arena, "d", NULL, &d), -EEXIST);
	REQUIRE_EQ(shoal_dict_create(w.arena, "a/b", NULL, &d), -EINVAL);
	REQUIRE_EQ(shoal_dict_open(w.arena, "e", 0, &d), -ENOENT);
	REQUIRE_EQ(shoal_dict_destroy(w.arena, NULL), 0);
	dict_world_end(&w);
}

/* A map with a key that cannot be kept, behind one that can. */
Test(dict, update_sets_each_pair_or_none)
{
	struct dict_world w = dict_world(0);
	REQUIRE_EQ(shoal_dict_update(w.dict, SHOAL_MAP("a", 1, 2.5, 2)), -EINVAL);
	REQUIRE_EQ(shoal_dict_size(w.dict), 0);
	REQUIRE_EQ(shoal_dict_update(w.dict, SHOAL_MAP("a", 1, "b", 2, 3, "three")), 0);
	REQUIRE_EQ(shoal_dict_size(w.dict), 3);
	REQUIRE_EQ(int_of(w.dict, SHOAL_ANY("b")), 2);
	dict_world_end(&w);
}

/* ---- many ---- */

static void
sized(int64_t n, uint32_t reserve)
{
	struct dict_world w = dict_world(reserve);
	dict_fill(w.dict, 0, n);
	REQUIRE_EQ(shoal_dict_size(w.dict), n);
	for (int64_t i = 0; i < n; i++)
		REQUIRE_EQ(int_of(w.dict, SHOAL_ANY(i)), i * 3);
	REQUIRE(!shoal_dict_has(w.dict, SHOAL_ANY(n)));
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	for (int64_t i = 0; i < n; i += 2)
		REQUIRE_EQ(shoal_dict_pop(w.dict, SHOAL_ANY(i), NULL), 0);
	REQUIRE_EQ(shoal_dict_size(w.dict), n / 2);
	for (int64_t i = 0; i < n; i++)
		REQUIRE_EQ(shoal_dict_has(w.dict, SHOAL_ANY(i)), i % 2);
	if (n >= 1000)
		REQUIRE_EQ(shoal_dict_clear(w.dict), 0);
	dict_fill(w.dict, 0, n / 2);
	dict_world_end(&w);
}

Test(dict, of_many_sizes)
{
	int64_t size[] = { 0, 1, 2, 6, 7, 50, 57, 100, 1000, 4000, 30000 };
	for (unsigned i = 0; i < sizeof size / sizeof *size; i++) {
		sized(size[i], 0);
		sized(size[i], (uint32_t)size[i]);
	}
}

Test(dict, of_a_million, .timeout = 60 * HARNESS_SLOW)
{
	struct dict_world w = dict_world(0);
	for (uint32_t i = 0; i < 1000000; i++)
		REQUIRE_EQ(shoal_dict_set_bytes(w.dict, &i, sizeof i, &i, sizeof i), 0);
	REQUIRE_EQ(shoal_dict_size(w.dict), 1000000);
	for (uint32_t i = 0; i < 1000000; i++) {
		uint32_t v = 0;
		REQUIRE_EQ(shoal_dict_get_bytes(w.dict, &i, sizeof i, &v, sizeof v), 4);
		REQUIRE_EQ(v, i);
	}
	dict_world_end(&w);
}

/* A full arena refuses, with all that was there in its place. */
Test(dict, a_full_arena_refuses)
{
	shoal_arena_options small = { .limit_bytes = 4 << 20, .members_max = 8 };
	struct dict_world w;
	char value[3000] = "v";
	int n = 0, rc;
	REQUIRE_EQ(shoal_arena_create(NULL, &small, &w.arena), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, "d", NULL, &w.dict), 0);
	while ((rc = shoal_dict_set_bytes(w.dict, &n, sizeof n, value, sizeof value)) == 0)
		n++;
	REQUIRE_EQ(rc, -ENOMEM);
	REQUIRE_EQ(shoal_dict_size(w.dict), n);
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	for (int i = 0; i < n; i++)
		REQUIRE_EQ(shoal_dict_get_bytes(w.dict, &i, sizeof i, value, sizeof value), 3000);
	for (int i = 0; i < n; i++)
		REQUIRE_EQ(shoal_dict_pop_bytes(w.dict, &i, sizeof i), 0);
	for (int i = 0; i < n; i++)
		REQUIRE_EQ(shoal_dict_set_bytes(w.dict, &i, sizeof i, value, sizeof value), 0);
	dict_world_end(&w);
}

/* ---- order ---- */

Test(dict, popitem_takes_the_newest)
{
	struct dict_world w = dict_world(0);
	dict_fill(w.dict, 0, 50);
	/* A new value keeps its key's place; a key that comes again is new. */
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(10), SHOAL_ANY("text")), 0);
	REQUIRE_EQ(shoal_dict_pop(w.dict, SHOAL_ANY(20), NULL), 0);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(20), SHOAL_ANY(0)), 0);
	int64_t expected[50] = { 20 };
	for (int i = 49, at = 1; i >= 0; i--)
		if (i != 20)
			expected[at++] = i;
	for (int i = 0; i < 50; i++) {
		shoal_any key, value;
		REQUIRE_EQ(shoal_dict_popitem(w.dict, &key, &value), 0);
		REQUIRE_EQ(key.as.integer, expected[i]);
		shoal_any_clear(&value);
	}
	REQUIRE_EQ(shoal_dict_popitem(w.dict, NULL, NULL), -ENOENT);
	dict_world_end(&w);
}

Test(dict, a_snapshot_is_in_the_order_of_insertion)
{
	struct dict_world w = dict_world(0);
	shoal_any map;
	dict_fill(w.dict, 0, 1000);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(0), SHOAL_ANY("text")), 0);
	REQUIRE_EQ(shoal_dict_snapshot(w.dict, &map), 0);
	REQUIRE_EQ(map.kind, SHOAL_ANY_MAP);
	REQUIRE_EQ(map.count, 1000);
	for (int i = 0; i < 1000; i++)
		REQUIRE_EQ(map.as.items[2 * i].as.integer, i);
	shoal_any_clear(&map);
	REQUIRE_EQ(shoal_dict_clear(w.dict), 0);
	REQUIRE_EQ(shoal_dict_snapshot(w.dict, &map), 0);
	REQUIRE_EQ(map.count, 0);
	shoal_any_clear(&map);
	dict_world_end(&w);
}

Test(dict, prints_as_json_in_order)
{
	struct dict_world w = dict_world(0);
	char *text;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY("b"), SHOAL_ANY(1)), 0);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY("a"), SHOAL_LIST(1, "two")), 0);
	REQUIRE_EQ(shoal_dict_print(w.dict, f), 0);
	fclose(f);
	const char *b = strstr(text, "\"b\""), *a = strstr(text, "\"a\"");
	REQUIRE(text[0] == '{' && b && a && b < a && strstr(a, "\"two\""));
	free(text);
	dict_world_end(&w);
}

/* ---- changes that look first ---- */

Test(dict, setdefault_gives_what_is_there)
{
	struct dict_world w = dict_world(0);
	shoal_any v;
	REQUIRE_EQ(shoal_dict_setdefault(w.dict, SHOAL_ANY("k"), SHOAL_ANY("first"), &v), 0);
	REQUIRE_STR_EQ(shoal_any_string(&v, ""), "first");
	shoal_any_clear(&v);
	REQUIRE_EQ(shoal_dict_setdefault(w.dict, SHOAL_ANY("k"), SHOAL_ANY("second"), &v), 0);
	REQUIRE_STR_EQ(shoal_any_string(&v, ""), "first");
	shoal_any_clear(&v);
	REQUIRE_EQ(shoal_dict_setdefault(w.dict, SHOAL_ANY("l"), SHOAL_ANY(2), NULL), 0);
	REQUIRE_EQ(int_of(w.dict, SHOAL_ANY("l")), 2);
	dict_world_end(&w);
}

Test(dict, add_int_counts_from_zero)
{
	struct dict_world w = dict_world(0);
	int64_t sum = 7;
	REQUIRE_EQ(shoal_dict_add_int(w.dict, SHOAL_ANY("n"), 5, &sum), 0);
	REQUIRE_EQ(sum, 5);
	REQUIRE_EQ(shoal_dict_add_int(w.dict, SHOAL_ANY("n"), -7, NULL), 0);
	REQUIRE_EQ(int_of(w.dict, SHOAL_ANY("n")), -2);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY("n"), SHOAL_ANY(INT64_MAX)), 0);
	REQUIRE_EQ(shoal_dict_add_int(w.dict, SHOAL_ANY("n"), 1, &sum), -EOVERFLOW);
	REQUIRE_EQ(int_of(w.dict, SHOAL_ANY("n")), INT64_MAX);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY("n"), SHOAL_ANY("text")), 0);
	REQUIRE_EQ(shoal_dict_add_int(w.dict, SHOAL_ANY("n"), 1, &sum), -EINVAL);
	REQUIRE(strstr(shoal_error(), "of kind string"));
	dict_world_end(&w);
}

Test(dict, compare_exchange_takes_absence_for_a_value)
{
	struct dict_world w = dict_world(0);
	shoal_any one = SHOAL_ANY(1), text = SHOAL_ANY("text"), list = SHOAL_LIST(1, 2);
	shoal_any k = SHOAL_ANY("k");
	shoal_any beyond = SHOAL_ANY(UINT64_MAX);
	REQUIRE_EQ(shoal_dict_compare_exchange(w.dict, k, &beyond, &text), -EOVERFLOW);
	REQUIRE_EQ(shoal_dict_compare_exchange(w.dict, k, &one, &text), -ECANCELED);
	REQUIRE_EQ(shoal_dict_compare_exchange(w.dict, k, NULL, NULL), 0);
	REQUIRE_EQ(shoal_dict_compare_exchange(w.dict, k, NULL, &one), 0);
	REQUIRE_EQ(shoal_dict_compare_exchange(w.dict, k, NULL, &one), -ECANCELED);
	REQUIRE_EQ(shoal_dict_compare_exchange(w.dict, k, &one, &list), 0);
	REQUIRE_EQ(shoal_dict_compare_exchange(w.dict, k, &text, &one), -ECANCELED);
	REQUIRE_EQ(shoal_dict_compare_exchange(w.dict, k, &list, &text), 0);
	REQUIRE_EQ(shoal_dict_compare_exchange(w.dict, k, &text, NULL), 0);
	REQUIRE(!shoal_dict_has(w.dict, k));
	dict_world_end(&w);
}

Test(dict, the_version_rises_with_each_write_alone)
{
	struct dict_world w = dict_world(0);
	uint64_t before = shoal_dict_version(w.dict);
	shoal_any v;
	for (int i = 0; i < 200; i++) {
		REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(i % 100), SHOAL_ANY(i)), 0);
		REQUIRE(shoal_dict_version(w.dict) > before);
		before = shoal_dict_version(w.dict);
		REQUIRE_EQ(shoal_dict_get(w.dict, SHOAL_ANY(i % 100), &v), 0);
		REQUIRE_EQ(shoal_dict_version(w.dict), before);
	}
	REQUIRE_EQ(shoal_dict_clear(w.dict), 0);
	REQUIRE(shoal_dict_version(w.dict) > before);
	dict_world_end(&w);
}

/* ---- cursors ---- */

Test(dict, a_cursor_sees_each_item_once)
{
	struct dict_world w = dict_world(0);
	int64_t size[] = { 0, 1, 100, 5000 }, have = 0;
	static char seen[5000];
	for (unsigned s = 0; s < 4; s++) {
		shoal_cursor cursor = { 0 };
		const shoal_any *key, *value;
		int rc, n = 0;
		dict_fill(w.dict, have, size[s]);
		have = size[s];
		memset(seen, 0, sizeof seen);
		while ((rc = shoal_dict_next(w.dict, &cursor, &key, &value)) == 1) {
			REQUIRE_EQ(value->as.integer, 3 * key->as.integer);
			REQUIRE_EQ(seen[key->as.integer]++, 0);
			n++;
		}
		REQUIRE_EQ(rc, 0);
		REQUIRE_EQ(n, have);
	}
	dict_world_end(&w);
}

/* Even keys stay; odd ones come and go, and the table grows, between any two steps. */
Test(dict, a_cursor_sees_what_stays_while_others_come_and_go)
{
	struct dict_world w = dict_world(0);
	static char seen[1000];
	int64_t odd = 1;
	for (int round = 0; round < 30; round++) {
		shoal_cursor cursor = { 0 };
		const shoal_any *key;
		shoal_dict_clear(w.dict);
		for (int64_t i = 0; i < 1000; i += 2)
			REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(i), SHOAL_ANY("value")), 0);
		memset(seen, 0, sizeof seen);
		while (shoal_dict_next(w.dict, &cursor, &key, NULL) == 1) {
			int64_t k = key->as.integer;
			if (k < 1000 && k % 2 == 0)
				REQUIRE_EQ(seen[k]++, 0);
			for (int i = 0; i < round % 3; i++, odd += 2)
				REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(odd), SHOAL_ANY("o")), 0);
			if (odd > 100)
				(void)shoal_dict_pop(w.dict, SHOAL_ANY(odd - 40), NULL);
		}
		for (int i = 0; i < 1000; i += 2)
			REQUIRE_EQ(seen[i], 1);
	}
	dict_world_end(&w);
}

Test(dict, a_cursor_may_be_left)
{
	struct dict_world w = dict_world(0);
	shoal_cursor cursor = { 0 };
	const shoal_any *key, *value;
	for (int i = 0; i < 100; i++)
		REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(i), SHOAL_LIST("one", "two")), 0);
	REQUIRE_EQ(shoal_dict_next(w.dict, &cursor, &key, &value), 1);
	shoal_cursor_clear(&cursor);
	shoal_cursor_clear(&cursor);
	REQUIRE_EQ(shoal_dict_next(w.dict, &cursor, NULL, NULL), 1);
	shoal_cursor_clear(&cursor);
	dict_world_end(&w);
}

Test(dict, bytes_of_no_address_are_refused)
{
	struct dict_world w = dict_world(0);
	REQUIRE_EQ(shoal_dict_set_bytes(w.dict, "k", 1, NULL, 5), -EINVAL);
	REQUIRE_EQ(shoal_dict_set_bytes(w.dict, NULL, 5, "v", 1), -EINVAL);
	REQUIRE_EQ(shoal_dict_set_bytes(w.dict, "k", 1, NULL, 0), 0);
	REQUIRE_EQ(shoal_dict_set_bytes(w.dict, NULL, 0, NULL, 0), 0);
	dict_world_end(&w);
}

Test(dict, bytes_of_too_many_are_refused)
{
	struct dict_world w = dict_world(0);
	const size_t most = UINT32_MAX - 64;
	REQUIRE_EQ(shoal_dict_set_bytes(w.dict, "k", most + 1, "v", 1), -EMSGSIZE);
	REQUIRE_EQ(shoal_dict_set_bytes(w.dict, "k", 1, "v", most + 1), -EMSGSIZE);
	REQUIRE_EQ(shoal_dict_get_bytes(w.dict, "k", most + 1, NULL, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_needed(), 0);
	REQUIRE_EQ(shoal_dict_pop_bytes(w.dict, "k", most + 1), -EMSGSIZE);
	REQUIRE_EQ(shoal_dict_size(w.dict), 0);
	dict_world_end(&w);
}

/* ---- through a read-only handle ---- */

static int
watches(void *arg)
{
	shoal_arena *a;
	shoal_dict *d;
	shoal_any v;
	REQUIRE_EQ(shoal_arena_attach_readonly(arg, SHOAL_SEC(5), &a), 0);
	REQUIRE_EQ(shoal_dict_open(a, "d", 0, &d), 0);
	REQUIRE_EQ(int_of(d, SHOAL_ANY(1)), 3);
	REQUIRE_EQ(shoal_dict_size(d), 500);
	REQUIRE(!shoal_dict_has(d, SHOAL_ANY(500)));
	REQUIRE_EQ(shoal_dict_snapshot(d, &v), 0);
	REQUIRE_EQ(v.count, 500);
	shoal_any_clear(&v);
	REQUIRE_EQ(shoal_dict_set(d, SHOAL_ANY(1), SHOAL_ANY(4)), -EPERM);
	REQUIRE_EQ(shoal_dict_pop(d, SHOAL_ANY(1), NULL), -EPERM);
	REQUIRE_EQ(shoal_dict_clear(d), -EPERM);
	REQUIRE_EQ(int_of(d, SHOAL_ANY(1)), 3);
	shoal_arena_close(a);
	return 0;
}

Test(dict, can_be_watched)
{
	struct dict_world w;
	char name[40];
	snprintf(name, sizeof name, "dict-test-%d", (int)getpid());
	REQUIRE_EQ(shoal_arena_create(name, NULL, &w.arena), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, "d", NULL, &w.dict), 0);
	dict_fill(w.dict, 0, 500);
	expect_child(child(watches, name), 0, 5000);
	dict_world_end(&w);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
}

/* ---- nested ---- */

Test(dict, what_it_holds_lives_as_long_as_it_does)
{
	struct dict_world w = dict_world(0);
	shoal_dict *inner;
	shoal_any v;
	for (int round = 0; round < 3; round++) {
		REQUIRE_EQ(shoal_dict_create(w.arena, NULL, NULL, &inner), 0);
		REQUIRE_EQ(shoal_dict_set(inner, SHOAL_ANY("k"), SHOAL_ANY(round)), 0);
		REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY("inner"), SHOAL_ANY(inner)), 0);
		REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY("both"), SHOAL_LIST(inner, 1, inner)), 0);
		REQUIRE_EQ(shoal_dict_destroy(w.arena, inner), 0);
		REQUIRE_EQ(shoal_dict_get(w.dict, SHOAL_ANY("inner"), &v), 0);
		REQUIRE_EQ(int_of(shoal_any_to_dict(&v), SHOAL_ANY("k")), round);
		REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
		REQUIRE_EQ(shoal_dict_pop(w.dict, SHOAL_ANY("inner"), NULL), 0);
		REQUIRE_EQ(shoal_dict_pop(w.dict, SHOAL_ANY("both"), NULL), 0);
		/* The pin has it still. */
		REQUIRE_EQ(int_of(shoal_any_to_dict(&v), SHOAL_ANY("k")), round);
		shoal_any_clear(&v);
		REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	}
	dict_world_end(&w);
}

/* Also where the newest came, went, and were overwritten between two of them. */
Test(dict, popitem_among_much_else)
{
	enum { MANY = 3000 };
	struct dict_world w = dict_world(0);
	shoal_any k;
	uint64_t x = 88172645463325252u;
	static int64_t order[2 * MANY];
	size_t n = 0;
	for (int64_t next = 0; next < 2 * MANY;) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		unsigned what = (unsigned)(x >> 33) % 8;
		if (what < 5 || n == 0) {
			REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(next), SHOAL_ANY("value")), 0);
			order[n++] = next++;
		} else if (what == 5) {
			size_t i = (size_t)(x >> 40) % n;
			REQUIRE_EQ(shoal_dict_pop(w.dict, SHOAL_ANY(order[i]), NULL), 0);
			memmove(order + i, order + i + 1, (--n - i) * sizeof *order);
		} else if (what == 6) {
			size_t i = (size_t)(x >> 40) % n;
			REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(order[i]), SHOAL_ANY(0)), 0);
		} else {
			REQUIRE_EQ(shoal_dict_popitem(w.dict, &k, NULL), 0);
			REQUIRE_EQ(shoal_any_int(&k, -1), order[--n]);
		}
	}
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	while (n) {
		REQUIRE_EQ(shoal_dict_popitem(w.dict, &k, NULL), 0);
		REQUIRE_EQ(shoal_any_int(&k, -1), order[--n]);
	}
	REQUIRE_EQ(shoal_dict_popitem(w.dict, NULL, NULL), -ENOENT);
	dict_world_end(&w);
}

/* Its values are as deep as values may be, and itself is one level more. */
Test(dict, a_snapshot_goes_where_a_value_goes)
{
	struct dict_world w = dict_world(0);
	shoal_any v[65], deep, copy;
	shoal_dict *other;
	v[0] = SHOAL_ANY(1);
	for (int i = 1; i < 65; i++)
		v[i] = shoal_any_from_items(&v[i - 1], 1);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(1), v[64]), 0);
	REQUIRE_EQ(shoal_dict_snapshot(w.dict, &deep), 0);
	REQUIRE_EQ(shoal_any_copy(&deep, &copy), 0);
	REQUIRE(shoal_any_equal(&deep, &copy));
	shoal_any_clear(&copy);
	FILE *f = fopen("/dev/null", "w");
	REQUIRE_EQ(shoal_any_print(&deep, f), 0);
	fclose(f);
	unsigned char bytes[100];
	REQUIRE_EQ(shoal_any_encode(&deep, bytes, sizeof bytes), 2 + 64 + 1);
	REQUIRE_EQ(shoal_dict_create(w.arena, NULL, NULL, &other), 0);
	REQUIRE_EQ(shoal_dict_update(other, deep), 0);
	REQUIRE_EQ(shoal_dict_size(other), 1);
	/* As a value it is too deep. */
	REQUIRE_EQ(shoal_dict_set(other, SHOAL_ANY(2), deep), -EINVAL);
	shoal_any_clear(&deep);
	REQUIRE_EQ(shoal_dict_destroy(w.arena, other), 0);
	dict_world_end(&w);
}
