/* What CPython's tests ask of a manager's dict: _TestContainers. */
#include "dict_common.h"

static int
by_key(const void *a, const void *b)
{
	int64_t x = shoal_any_int((const shoal_any *)a, 0), y = shoal_any_int((const shoal_any *)b, 0);
	return (x > y) - (x < y);
}

static void
letters(shoal_dict *d)
{
	for (int i = 65; i < 70; i++)
		REQUIRE_EQ(shoal_dict_set(d, SHOAL_ANY(i), SHOAL_ANY(((char[]){ (char)i, 0 }))), 0);
}

/* The pairs 65: "A" to 69: "E", in this order. */
static void
require_letters(const shoal_any *pairs, size_t count)
{
	REQUIRE_EQ(count, 5);
	for (int i = 0; i < 5; i++) {
		REQUIRE_EQ(shoal_any_int(&pairs[2 * i], 0), 65 + i);
		REQUIRE_STR_EQ(shoal_any_string(&pairs[2 * i + 1], ""), ((char[]){ (char)(65 + i), 0 }));
	}
}

/* test_dict: copy, keys, values, items */
Test(dict_python, dict)
{
	struct dict_world w = dict_world(0);
	shoal_any all, seen[10];
	const shoal_any *key, *value;
	shoal_cursor cursor = { 0 };
	size_t n = 0;
	letters(w.dict);
	REQUIRE_EQ(shoal_dict_snapshot(w.dict, &all), 0);
	require_letters(all.as.items, all.count);
	shoal_any_clear(&all);
	while (shoal_dict_next(w.dict, &cursor, &key, &value) == 1) {
		REQUIRE(n < 5);
		REQUIRE_EQ(shoal_any_copy(key, &seen[2 * n]), 0);
		REQUIRE_EQ(shoal_any_copy(value, &seen[2 * n + 1]), 0);
		n++;
	}
	qsort(seen, n, 2 * sizeof *seen, by_key);
	require_letters(seen, n);
	for (size_t i = 0; i < 2 * n; i++)
		shoal_any_clear(&seen[i]);
	dict_world_end(&w);
}

/* test_dict_iter: each once, and a dict that is cleared meanwhile */
Test(dict_python, dict_iter)
{
	struct dict_world w = dict_world(0);
	const shoal_any *key, *value;
	shoal_cursor cursor = { 0 };
	int n = 0;
	letters(w.dict);
	while (shoal_dict_next(w.dict, &cursor, &key, &value) == 1)
		n++;
	REQUIRE_EQ(n, 5);
	/* Python raises where it changes size; a cursor goes on with what there is. */
	REQUIRE_EQ(shoal_dict_next(w.dict, &cursor, &key, &value), 1);
	REQUIRE_EQ(shoal_dict_clear(w.dict), 0);
	for (n = 0; shoal_dict_next(w.dict, &cursor, &key, &value) == 1; n++)
		REQUIRE(n < 5);
	dict_world_end(&w);
}

static shoal_dict *
dict_of(shoal_arena *a, const char *k1, int v1, const char *k2, int v2)
{
	shoal_dict *d;
	REQUIRE_EQ(shoal_dict_create(a, NULL, NULL, &d), 0);
	REQUIRE_EQ(shoal_dict_update(d, SHOAL_MAP(k1, v1, k2, v2)), 0);
	return d;
}

static int64_t
int_in(shoal_dict *d, const char *key)
{
	shoal_any v;
	REQUIRE_EQ(shoal_dict_get(d, SHOAL_ANY(key), &v), 0);
	int64_t n = shoal_any_int(&v, INT64_MIN);
	shoal_any_clear(&v);
	return n;
}

/* d[name], for as long as *pin is not cleared. */
static shoal_dict *
dict_in(shoal_dict *d, const char *name, shoal_any *pin)
{
	REQUIRE_EQ(shoal_dict_get(d, SHOAL_ANY(name), pin), 0);
	REQUIRE(shoal_any_to_dict(pin) != NULL);
	return shoal_any_to_dict(pin);
}

/* d['supplies'][key] = n, and both see it. */
static void
supply(shoal_dict *d, shoal_dict *supplies, const char *key, int n)
{
	shoal_any pin;
	REQUIRE_EQ(shoal_dict_set(dict_in(d, "supplies", &pin), SHOAL_ANY(key), SHOAL_ANY(n)), 0);
	if (supplies)
		REQUIRE_EQ(int_in(supplies, key), n);
	REQUIRE_EQ(int_in(shoal_any_to_dict(&pin), key), n);
	shoal_any_clear(&pin);
}

/* test_dict_proxy_nested: what is inside lives by being inside, and by being in somebody's hands */
Test(dict_python, dict_proxy_nested)
{
	struct dict_world w = dict_world(0);
	shoal_dict *d = w.dict, *pets = dict_of(w.arena, "ferrets", 2, "hamsters", 4);
	shoal_dict *supplies = dict_of(w.arena, "water", 10, "feed", 3);
	shoal_any pin, other;
	REQUIRE_EQ(shoal_dict_update(d, SHOAL_MAP("pets", pets, "supplies", supplies)), 0);
	REQUIRE_EQ(int_in(supplies, "water"), 10);
	REQUIRE_EQ(int_in(dict_in(d, "supplies", &pin), "water"), 10);
	shoal_any_clear(&pin);
	supply(d, supplies, "blankets", 5);
	supply(d, supplies, "water", 7);
	/* del pets, supplies */
	REQUIRE_EQ(shoal_dict_destroy(w.arena, pets), 0);
	REQUIRE_EQ(shoal_dict_destroy(w.arena, supplies), 0);
	REQUIRE_EQ(int_in(dict_in(d, "pets", &pin), "ferrets"), 2);
	shoal_any_clear(&pin);
	supply(d, NULL, "blankets", 11);
	pets = dict_in(d, "pets", &pin);
	supplies = dict_in(d, "supplies", &other);
	supply(d, supplies, "water", 7);
	REQUIRE_EQ(shoal_dict_clear(d), 0);
	REQUIRE_EQ(shoal_dict_size(d), 0);
	REQUIRE_EQ(int_in(supplies, "water"), 7);
	REQUIRE_EQ(int_in(pets, "hamsters"), 4);
	shoal_any_clear(&pin);
	shoal_any_clear(&other);
	dict_world_end(&w);
}

/* test_nested_queue */
Test(dict_python, nested_queue)
{
	struct dict_world w = dict_world(0);
	shoal_queue *q;
	shoal_any pin, v;
	REQUIRE_EQ(shoal_queue_create(w.arena, NULL, NULL, &q), 0);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(0), SHOAL_ANY(q)), 0);
	REQUIRE_EQ(shoal_dict_get(w.dict, SHOAL_ANY(0), &pin), 0);
	REQUIRE_EQ(shoal_queue_put_any(shoal_any_to_queue(&pin), SHOAL_ANY(456), 0), 0);
	shoal_any_clear(&pin);
	REQUIRE_EQ(shoal_dict_get(w.dict, SHOAL_ANY(0), &pin), 0);
	REQUIRE_EQ(shoal_queue_get_any(shoal_any_to_queue(&pin), &v, 0), 0);
	REQUIRE_EQ(shoal_any_int(&v, 0), 456);
	shoal_any_clear(&pin);
	REQUIRE_EQ(shoal_dict_clear(w.dict), 0);
	REQUIRE_EQ(shoal_queue_destroy(w.arena, q), 0);
	dict_world_end(&w);
}

/* in, del, get, pop, popitem, setdefault, len, ==: what the proxy exposes beside these */
Test(dict_python, what_the_proxy_exposes)
{
	struct dict_world w = dict_world(0);
	shoal_any k, v;
	letters(w.dict);
	REQUIRE(shoal_dict_has(w.dict, SHOAL_ANY(65)) && !shoal_dict_has(w.dict, SHOAL_ANY(70)));
	REQUIRE_EQ(shoal_dict_size(w.dict), 5);
	REQUIRE_EQ(shoal_dict_get(w.dict, SHOAL_ANY("none"), &v), -ENOENT);
	REQUIRE_EQ(shoal_dict_pop(w.dict, SHOAL_ANY("none"), NULL), -ENOENT);
	REQUIRE_EQ(shoal_dict_setdefault(w.dict, SHOAL_ANY(65), SHOAL_ANY("new"), &v), 0);
	REQUIRE_STR_EQ(shoal_any_string(&v, ""), "A");
	shoal_any_clear(&v);
	/* popitem is the last in, also after an overwrite, which moves no key. */
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(66), SHOAL_ANY("again")), 0);
	for (int i = 69; i >= 65; i--) {
		REQUIRE_EQ(shoal_dict_popitem(w.dict, &k, &v), 0);
		REQUIRE_EQ(shoal_any_int(&k, 0), i);
		shoal_any_clear(&v);
	}
	REQUIRE_EQ(shoal_dict_popitem(w.dict, &k, &v), -ENOENT);
	dict_world_end(&w);
}
