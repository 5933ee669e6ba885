/* When two anys are the same value. */
#include "base/error.h"
#include "data/any.h"
#include <stdlib.h>
#include <string.h>

/* Maps of up to so many pairs are compared each with each; longer ones are sorted first. */
#define SORTED_FROM 16u

int
any_key_check(const shoal_any *key)
{
	if (!any_is_key(key))
		return fail(-EINVAL, "a key is an int, a bool, a string or bytes");
	if (key->kind == SHOAL_ANY_INT && key->internal_ & ANY_BEYOND)
		return fail(-EOVERFLOW, "%llu as a key is more than INT64_MAX",
		            (unsigned long long)key->as.integer);
	return 0;
}

/* What lies beyond INT64_MAX comes after all others. */
static int
compare_ints(const shoal_any *a, const shoal_any *b)
{
	bool beyond = a->internal_ & ANY_BEYOND;
	if (beyond != (bool)(b->internal_ & ANY_BEYOND))
		return beyond ? 1 : -1;
	return (a->as.integer > b->as.integer) - (a->as.integer < b->as.integer);
}

static int
compare_text(const shoal_any *a, const shoal_any *b)
{
	size_t least = a->count < b->count ? a->count : b->count;
	int order = least ? memcmp(a->as.bytes, b->as.bytes, least) : 0;
	return order ? order : (a->count > b->count) - (a->count < b->count);
}

int
any_key_compare(const shoal_any *a, const shoal_any *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == SHOAL_ANY_INT)
		return compare_ints(a, b);
	if (a->kind == SHOAL_ANY_BOOL)
		return a->as.boolean - b->as.boolean;
	return any_is_text(a) ? compare_text(a, b) : 0;
}

/* ---- the pairs of a map in the order of their keys ---- */

/* Of equal keys the later one comes first. */
static int
compare_pairs(const void *x, const void *y)
{
	const shoal_any *a = *(const shoal_any *const *)x, *b = *(const shoal_any *const *)y;
	int order = any_key_compare(a, b);
	return order ? order : (a < b) - (a > b);
}

/* Pointers to the keys, sorted, each key once: *count of them. NULL: no memory. */
static const shoal_any **
sort_pairs(const shoal_any *map, size_t *count)
{
	const shoal_any **keys = malloc((map->count ? map->count : 1) * sizeof *keys);
	if (!keys)
		return NULL;
	for (size_t i = 0; i < map->count; i++)
		keys[i] = &map->as.items[2 * i];
	qsort(keys, map->count, sizeof *keys, compare_pairs);
	*count = 0;
	for (size_t i = 0; i < map->count; i++)
		if (i == 0 || any_key_compare(keys[*count - 1], keys[i]) != 0)
			keys[(*count)++] = keys[i];
	return keys;
}

static const shoal_any *
find(const shoal_any *map, const shoal_any *key)
{
	for (size_t i = map->count; i-- > 0;)
		if (any_key_compare(&map->as.items[2 * i], key) == 0)
			return &map->as.items[2 * i + 1];
	return NULL;
}

int
any_keys_differ(const shoal_any *map)
{
	size_t count;
	const shoal_any **keys = map->count > 1 ? sort_pairs(map, &count) : NULL;
	if (!keys && map->count > 1)
		return fail(-ENOMEM, "no memory to look at the keys of a map of %zu pairs", map->count);
	bool differ = !keys || count == map->count;
	free(keys);
	return differ ? 0 : fail(-EINVAL, "a key comes twice in a map of %zu pairs", map->count);
}

static int
by_place(const void *x, const void *y)
{
	const shoal_any *a = *(const shoal_any *const *)x, *b = *(const shoal_any *const *)y;
	return (a > b) - (a < b);
}

static size_t
add_pair(shoal_any *to, size_t n, const shoal_any *key)
{
	to[2 * n] = key[0];
	to[2 * n + 1] = key[1];
	return n + 1;
}

/* Where memory is short the long way is slow, and right. */
size_t
any_pairs_once(const shoal_any *map, shoal_any *to)
{
	size_t count = 0, n = 0;
	const shoal_any **keys = map->count > SORTED_FROM ? sort_pairs(map, &count) : NULL;
	if (keys)
		qsort(keys, count, sizeof *keys, by_place);
	for (size_t i = 0; i < count; i++)
		n = add_pair(to, n, keys[i]);
	for (size_t i = 0; !keys && i < map->count; i++)
		if (find(map, &map->as.items[2 * i]) == &map->as.items[2 * i + 1])
			n = add_pair(to, n, &map->as.items[2 * i]);
	free(keys);
	return n;
}

static bool
has_twice(const shoal_any *map)
{
	size_t count = map->count;
	const shoal_any **keys = count > SORTED_FROM ? sort_pairs(map, &count) : NULL;
	bool twice = count != map->count;
	free(keys);
	for (size_t i = 0; !keys && !twice && i < map->count; i++)
		twice = find(map, &map->as.items[2 * i]) != &map->as.items[2 * i + 1];
	return twice;
}

bool
any_has_twice(const shoal_any *v)
{
	bool twice = v->kind == SHOAL_ANY_MAP && has_twice(v);
	for (uint64_t i = 0; !twice && i < any_items(v); i++)
		twice = any_has_twice(&v->as.items[i]);
	return twice;
}

/* ---- equal ---- */

static bool equal(const shoal_any *a, const shoal_any *b, unsigned depth);

/* Each key of a has the same value in b. What a later key of a replaces is not looked at. */
static bool
is_within(const shoal_any *a, const shoal_any *b, unsigned depth)
{
	for (size_t i = 0; i < a->count; i++) {
		const shoal_any *key = &a->as.items[2 * i], *other = find(b, key);
		if (!other || (find(a, key) == key + 1 && !equal(key + 1, other, depth)))
			return false;
	}
	return true;
}

static bool
has_keys_of(const shoal_any *a, const shoal_any *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (!find(a, &b->as.items[2 * i]))
			return false;
	return true;
}

static bool
sorted_equal(const shoal_any **a, size_t count, const shoal_any **b, size_t others, unsigned depth)
{
	if (count != others)
		return false;
	for (size_t i = 0; i < count; i++)
		if (any_key_compare(a[i], b[i]) != 0 || !equal(a[i] + 1, b[i] + 1, depth))
			return false;
	return true;
}

/* Where memory is short the long way is slow, and right. */
static bool
maps_equal(const shoal_any *a, const shoal_any *b, unsigned depth)
{
	const shoal_any **x = NULL, **y = NULL;
	size_t count, others;
	if (a->count > SORTED_FROM || b->count > SORTED_FROM) {
		x = sort_pairs(a, &count);
		y = x ? sort_pairs(b, &others) : NULL;
	}
	bool is = y ? sorted_equal(x, count, y, others, depth)
	            : has_keys_of(a, b) && is_within(a, b, depth);
	free(x);
	free(y);
	return is;
}

static bool
items_equal(const shoal_any *a, const shoal_any *b, unsigned depth)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!equal(&a->as.items[i], &b->as.items[i], depth))
			return false;
	return true;
}

/* ---- numbers ---- */

static bool
is_number(const shoal_any *v)
{
	return v->kind == SHOAL_ANY_BOOL || v->kind == SHOAL_ANY_INT || v->kind == SHOAL_ANY_DOUBLE;
}

/* Exactly: 2^53 + 1 is no double. */
static bool
double_is_int(double d, const shoal_any *v)
{
	if (v->kind == SHOAL_ANY_INT && v->internal_ & ANY_BEYOND)
		return d >= 0x1p63 && d < 0x1p64 && (uint64_t)d == (uint64_t)v->as.integer;
	return d >= -0x1p63 && d < 0x1p63 && (double)(int64_t)d == d &&
	       (int64_t)d == shoal_any_int(v, 0);
}

static bool
numbers_equal(const shoal_any *a, const shoal_any *b)
{
	if (a->kind == SHOAL_ANY_DOUBLE && b->kind == SHOAL_ANY_DOUBLE)
		return a->as.real == b->as.real;
	if (a->kind == SHOAL_ANY_DOUBLE)
		return double_is_int(a->as.real, b);
	if (b->kind == SHOAL_ANY_DOUBLE)
		return double_is_int(b->as.real, a);
	bool beyond = a->kind == SHOAL_ANY_INT && a->internal_ & ANY_BEYOND;
	if (beyond != (b->kind == SHOAL_ANY_INT && b->internal_ & ANY_BEYOND))
		return false;
	return beyond ? a->as.integer == b->as.integer : shoal_any_int(a, 0) == shoal_any_int(b, 0);
}

static bool
equal(const shoal_any *a, const shoal_any *b, unsigned depth)
{
	if (is_number(a) && is_number(b))
		return numbers_equal(a, b);
	if (a->kind != b->kind)
		return false;
	if (any_is_text(a))
		return compare_text(a, b) == 0;
	if (a->kind == SHOAL_ANY_OBJECT)
		return a->as.object == b->as.object;
	if (a->kind == SHOAL_ANY_NIL)
		return true;
	/* Deeper than a whole container can be: two views, which may even hold themselves. */
	if (depth > ANY_DEPTH_MAX)
		return false;
	return a->kind == SHOAL_ANY_LIST ? items_equal(a, b, depth + 1) : maps_equal(a, b, depth + 1);
}

bool
shoal_any_equal(const shoal_any *a, const shoal_any *b)
{
	return a && b ? equal(a, b, 0) : a == b;
}
