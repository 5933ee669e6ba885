#include "data/any.h"
#include "harness.h"
#include <limits.h>
#include <math.h>
#include <shoal/shoal.h>
#include <stdlib.h>
#include <string.h>

/* What SHOAL_LIST and the others give has no address. */
static int
copy_of(shoal_any v, shoal_any *out)
{
	return shoal_any_copy(&v, out);
}

static int
keys_differ(shoal_any map)
{
	return any_keys_differ(&map);
}

static bool
same(shoal_any a, shoal_any b)
{
	REQUIRE_EQ(shoal_any_equal(&a, &b), shoal_any_equal(&b, &a));
	return shoal_any_equal(&a, &b);
}

Test(any, each_type_of_c_becomes_its_kind)
{
	char text[] = "text";
	const char *constant = "constant";
	REQUIRE_EQ(SHOAL_ANY((bool)true).kind, SHOAL_ANY_BOOL);
	REQUIRE_EQ(SHOAL_ANY((char)-1).as.integer, (char)-1);
	REQUIRE_EQ(SHOAL_ANY((signed char)-1).as.integer, -1);
	REQUIRE_EQ(SHOAL_ANY((unsigned char)255).as.integer, 255);
	REQUIRE_EQ(SHOAL_ANY((short)-2).as.integer, -2);
	REQUIRE_EQ(SHOAL_ANY((unsigned short)65535).as.integer, 65535);
	REQUIRE_EQ(SHOAL_ANY(-3).as.integer, -3);
	REQUIRE_EQ(SHOAL_ANY(4000000000u).as.integer, 4000000000);
	REQUIRE_EQ(SHOAL_ANY(LONG_MIN).as.integer, INT64_MIN);
	REQUIRE_EQ(SHOAL_ANY((unsigned long)INT64_MAX).as.integer, INT64_MAX);
	REQUIRE(SHOAL_ANY(0.5f).as.real == 0.5);
	REQUIRE(SHOAL_ANY(0.1).as.real == 0.1);
	REQUIRE_STR_EQ(SHOAL_ANY(text).as.string, "text");
	REQUIRE_STR_EQ(SHOAL_ANY(constant).as.string, "constant");
	REQUIRE_EQ(SHOAL_ANY("literal").count, 7);
	REQUIRE_EQ(SHOAL_ANY(SHOAL_NIL).kind, SHOAL_ANY_NIL);
	REQUIRE_EQ(shoal_any_from_bytes("a\0b", 3).count, 3);
}

Test(any, null_is_nil)
{
	REQUIRE_EQ(shoal_any_from_string(NULL).kind, SHOAL_ANY_NIL);
	REQUIRE_EQ(SHOAL_ANY((shoal_list *)NULL).kind, SHOAL_ANY_NIL);
	REQUIRE_EQ(shoal_any_from_items(NULL, 0).kind, SHOAL_ANY_LIST);
	REQUIRE_EQ(shoal_any_from_items(NULL, 1).kind, SHOAL_ANY_NIL);
	REQUIRE_EQ(shoal_any_from_bytes(NULL, 0).kind, SHOAL_ANY_BYTES);
}

Test(any, lists_and_maps_lie_within_each_other)
{
	shoal_any v = SHOAL_MAP("price", 0.25, "bins", SHOAL_LIST(7, SHOAL_NIL, "nine"), 3, true);
	REQUIRE_EQ(v.kind, SHOAL_ANY_MAP);
	REQUIRE_EQ(v.count, 3);
	REQUIRE(shoal_any_double(shoal_any_find(&v, "price"), 0) == 0.25);
	const shoal_any *bins = shoal_any_find(&v, "bins");
	REQUIRE_EQ(bins->count, 3);
	REQUIRE_EQ(shoal_any_int(shoal_any_at(bins, 0), 0), 7);
	REQUIRE_EQ(shoal_any_at(bins, 1)->kind, SHOAL_ANY_NIL);
	REQUIRE_STR_EQ(shoal_any_string(shoal_any_at(bins, 2), ""), "nine");
	REQUIRE(!shoal_any_at(bins, 3));
	REQUIRE(!shoal_any_at(&v, 0));
	REQUIRE(!shoal_any_find(&v, "none"));
	REQUIRE(!shoal_any_find(bins, "bins"));
	REQUIRE_EQ(SHOAL_LIST(1, 2, 3, 4, 5, 6, 7, 8).count, 8);
	shoal_any most = SHOAL_LIST(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
	                            20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, SHOAL_LIST(32));
	REQUIRE_EQ(most.count, 32);
	for (size_t i = 0; i < 31; i++)
		REQUIRE_EQ(shoal_any_int(shoal_any_at(&most, (long)i), 0), i + 1);
	REQUIRE_EQ(shoal_any_at(&most, 31)->kind, SHOAL_ANY_LIST);
	REQUIRE_EQ(SHOAL_MAP(1, 2, 3, 4, 5, 6, 7, 8, 9, SHOAL_MAP("ten", 10)).count, 5);
}

Test(any, the_last_of_two_equal_keys_counts)
{
	shoal_any v = SHOAL_MAP("a", 1, "a", 2);
	REQUIRE_EQ(shoal_any_int(shoal_any_find(&v, "a"), 0), 2);
	REQUIRE(same(v, SHOAL_MAP("a", 2)));
	REQUIRE_EQ(keys_differ(v), -EINVAL);
	REQUIRE_EQ(keys_differ(SHOAL_MAP("a", 1, "b", 2)), 0);
	/* A key is its kind and its value. */
	REQUIRE_EQ(keys_differ(SHOAL_MAP(1, 1, (bool)true, 1, "1", 1)), 0);
}

Test(any, what_it_is_not_gives_what_was_asked_for)
{
	shoal_any yes = SHOAL_ANY((bool)true), one = SHOAL_ANY(1), half = SHOAL_ANY(0.5);
	REQUIRE_EQ(shoal_any_int(&yes, 7), 1);
	REQUIRE_EQ(shoal_any_int(&half, 7), 7);
	REQUIRE_EQ(shoal_any_int(NULL, 7), 7);
	REQUIRE(shoal_any_bool(&one, false));
	REQUIRE(!shoal_any_bool(&half, false));
	REQUIRE(shoal_any_bool(NULL, true));
	REQUIRE(shoal_any_double(&one, 7) == 1);
	REQUIRE(shoal_any_double(NULL, 7) == 7);
	REQUIRE_STR_EQ(shoal_any_string(&one, "no"), "no");
	REQUIRE(!shoal_any_to_list(&one) && !shoal_any_to_dict(NULL) && !shoal_any_to_queue(&yes));
}

Test(any, beyond_int64_max_is_no_value)
{
	shoal_any most = SHOAL_ANY((unsigned long)INT64_MAX), more = SHOAL_ANY(INT64_MAX + 1ul), out;
	REQUIRE_EQ(shoal_any_int(&most, 0), INT64_MAX);
	REQUIRE_EQ(shoal_any_int(&more, 7), 7);
	REQUIRE(shoal_any_double(&more, 0) == 0x1p63);
	REQUIRE_EQ(shoal_any_copy(&more, &out), -EOVERFLOW);
	REQUIRE_STR_EQ(shoal_error(), "9223372036854775808 is more than INT64_MAX");
	REQUIRE_EQ(copy_of(SHOAL_LIST(1, more), &out), -EOVERFLOW);
	REQUIRE_EQ(copy_of(SHOAL_MAP(more, 1), &out), -EOVERFLOW);
	REQUIRE(!same(more, SHOAL_ANY(INT64_MIN)));
	REQUIRE(same(more, SHOAL_ANY(0x1p63)));
}

/* ---- equal: as Python's == ---- */

Test(any, numbers_are_equal_by_value)
{
	REQUIRE(same(SHOAL_ANY(1), SHOAL_ANY(1.0)));
	REQUIRE(same(SHOAL_ANY((bool)true), SHOAL_ANY(1)));
	REQUIRE(same(SHOAL_ANY((bool)false), SHOAL_ANY(0.0)));
	REQUIRE(same(SHOAL_ANY(0.0), SHOAL_ANY(-0.0)));
	REQUIRE(!same(SHOAL_ANY(1), SHOAL_ANY(1.5)));
	REQUIRE(!same(SHOAL_ANY((1l << 53) + 1), SHOAL_ANY(0x1p53)));
	REQUIRE(!same(SHOAL_ANY(INT64_MAX), SHOAL_ANY(0x1p63)));
	REQUIRE(same(SHOAL_ANY(INT64_MIN), SHOAL_ANY(-0x1p63)));
	REQUIRE(!same(SHOAL_ANY(NAN), SHOAL_ANY(NAN)));
	REQUIRE(!same(SHOAL_ANY(1), SHOAL_ANY(INFINITY)));
}

Test(any, others_are_equal_in_kind_and_value)
{
	REQUIRE(same(SHOAL_NIL, SHOAL_NIL));
	REQUIRE(!same(SHOAL_NIL, SHOAL_ANY(0)));
	REQUIRE(same(SHOAL_ANY("a"), SHOAL_ANY("a")));
	REQUIRE(!same(SHOAL_ANY("a"), shoal_any_from_bytes("a", 1)));
	REQUIRE(!same(SHOAL_ANY("a"), SHOAL_ANY("ab")));
	REQUIRE(same(SHOAL_LIST(1, "a"), SHOAL_LIST(1.0, "a")));
	REQUIRE(!same(SHOAL_LIST(1, 2), SHOAL_LIST(2, 1)));
	REQUIRE(!same(SHOAL_LIST(1), SHOAL_MAP(1, 1)));
	REQUIRE(same(SHOAL_MAP("a", 1, "b", 2), SHOAL_MAP("b", 2, "a", 1)));
	REQUIRE(!same(SHOAL_MAP("a", 1, "b", 2), SHOAL_MAP("a", 1)));
	REQUIRE(!same(SHOAL_MAP("a", 1), SHOAL_MAP("a", 2)));
	REQUIRE(!same(SHOAL_MAP("a", 1), SHOAL_MAP("b", 1)));
	REQUIRE(shoal_any_equal(NULL, NULL) && !shoal_any_equal(&SHOAL_NIL, NULL));
}

/* Each value within is reached by one way only, however deep. */
static shoal_any
nested(shoal_any *store, unsigned depth, bool map)
{
	shoal_any v = SHOAL_NIL;
	for (unsigned i = 0; i < depth; i++) {
		store[2 * i] = map ? SHOAL_ANY("k") : v;
		store[2 * i + 1] = v;
		v = map ? shoal_any_from_pairs(&store[2 * i], 1) : shoal_any_from_items(&store[2 * i], 1);
	}
	return v;
}

Test(any, equal_is_quick_however_deep)
{
	shoal_any a[128], b[128];
	REQUIRE(same(nested(a, 64, true), nested(b, 64, true)));
	REQUIRE(same(nested(a, 64, false), nested(b, 64, false)));
	/* One that holds itself: whatever comes out, something does. */
	a[0] = shoal_any_from_items(a, 1);
	b[0] = shoal_any_from_items(b, 1);
	REQUIRE(!shoal_any_equal(a, b));
}

Test(any, long_maps_are_equal_whatever_their_order)
{
	enum { N = 20000 };
	shoal_any *a = calloc(2 * N, sizeof *a), *b = calloc(2 * N, sizeof *b);
	for (int i = 0; i < N; i++) {
		a[2 * i] = b[2 * (N - 1 - i)] = SHOAL_ANY(i);
		a[2 * i + 1] = b[2 * (N - 1 - i) + 1] = SHOAL_ANY(i / 2);
	}
	REQUIRE(same(shoal_any_from_pairs(a, N), shoal_any_from_pairs(b, N)));
	b[1] = SHOAL_ANY("other");
	REQUIRE(!same(shoal_any_from_pairs(a, N), shoal_any_from_pairs(b, N)));
	b[0] = b[2];
	REQUIRE(!same(shoal_any_from_pairs(a, N), shoal_any_from_pairs(b, N)));
	REQUIRE_EQ(keys_differ(shoal_any_from_pairs(b, N)), -EINVAL);
	free(a);
	free(b);
}

/* ---- owning ---- */

Test(any, a_copy_owns_all_of_it)
{
	char text[] = "text", bytes[] = "\0x";
	shoal_any list[] = { SHOAL_ANY(text), shoal_any_from_bytes(bytes, 2), SHOAL_ANY(1) };
	shoal_any map[] = { SHOAL_ANY(text), shoal_any_from_items(list, 3), SHOAL_ANY(7), SHOAL_NIL };
	shoal_any v = shoal_any_from_pairs(map, 2), copy;
	REQUIRE_EQ(shoal_any_copy(&v, &copy), 0);
	REQUIRE(shoal_any_equal(&v, &copy));
	memset(text, 'z', 4);
	memset(bytes, 'z', 2);
	memset(map, 0, sizeof map);
	memset(list, 0, sizeof list);
	const shoal_any *items = shoal_any_find(&copy, "text");
	REQUIRE_STR_EQ(shoal_any_string(shoal_any_at(items, 0), ""), "text");
	REQUIRE(memcmp(shoal_any_at(items, 1)->as.bytes, "\0x", 3) == 0);
	REQUIRE_EQ(copy.as.items[2].as.integer, 7);
	/* What lies within is not given back by itself. */
	shoal_any inner = *items;
	shoal_any_clear(&inner);
	REQUIRE_EQ(inner.kind, SHOAL_ANY_NIL);
	REQUIRE_EQ(shoal_any_find(&copy, "text")->count, 3);
	shoal_any_clear(&copy);
	REQUIRE_EQ(copy.kind, SHOAL_ANY_NIL);
	shoal_any_clear(&copy);
	shoal_any_clear(NULL);
}

Test(any, copies_of_the_small_and_the_empty)
{
	shoal_any values[] = { SHOAL_NIL,      SHOAL_ANY(1),
		               SHOAL_ANY(0.5), SHOAL_ANY(""),
		               SHOAL_ANY("x"), shoal_any_from_bytes(NULL, 0),
		               SHOAL_LIST(""), shoal_any_from_items(NULL, 0),
		               SHOAL_LIST(1),  shoal_any_from_pairs(NULL, 0) };
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		shoal_any copy, again;
		REQUIRE_EQ(shoal_any_copy(&values[i], &copy), 0);
		REQUIRE_EQ(shoal_any_copy(&copy, &again), 0);
		REQUIRE(shoal_any_equal(&values[i], &copy));
		shoal_any_clear(&copy);
		REQUIRE(shoal_any_equal(&values[i], &again));
		shoal_any_clear(&again);
	}
}

Test(any, a_copy_refuses_what_is_no_value)
{
	shoal_any store[132], out = SHOAL_ANY(5), v;
	v = nested(store, 64, false);
	REQUIRE_EQ(shoal_any_copy(&v, &out), 0);
	shoal_any_clear(&out);
	v = nested(store, 65, false);
	REQUIRE_EQ(shoal_any_copy(&v, &out), -EINVAL);
	REQUIRE_EQ(copy_of(SHOAL_MAP(SHOAL_LIST(1), 1), &out), -EINVAL);
	REQUIRE_EQ(copy_of(SHOAL_MAP(SHOAL_NIL, 1), &out), -EINVAL);
	REQUIRE_EQ(copy_of(SHOAL_MAP(0.5, 1), &out), -EINVAL);
	REQUIRE_EQ(copy_of((shoal_any){ .kind = 77 }, &out), -EINVAL);
	REQUIRE_EQ(out.kind, SHOAL_ANY_NIL);
}

Test(any, a_failed_copy_leaves_nil)
{
	shoal_any out = SHOAL_ANY(5);
	REQUIRE_EQ(copy_of(SHOAL_ANY(UINT64_MAX), &out), -EOVERFLOW);
	REQUIRE_EQ(out.kind, SHOAL_ANY_NIL);
	out = SHOAL_ANY(5);
	REQUIRE_EQ(copy_of(SHOAL_MAP(0.5, 1), &out), -EINVAL);
	REQUIRE_EQ(out.kind, SHOAL_ANY_NIL);
}

Test(any, of_two_equal_keys_a_copy_has_the_last_one)
{
	enum { N = 1000 };
	static shoal_any pairs[4 * N];
	shoal_any v = SHOAL_MAP("a", 1, "b", SHOAL_LIST("x"), "a", SHOAL_MAP(1, 2, 1, 3)), copy;
	REQUIRE_EQ(shoal_any_copy(&v, &copy), 0);
	REQUIRE_EQ(copy.count, 2);
	REQUIRE(shoal_any_equal(&v, &copy));
	REQUIRE_EQ(shoal_any_find(&copy, "a")->count, 1);
	REQUIRE_EQ(shoal_any_find(&copy, "a")->as.items[1].as.integer, 3);
	REQUIRE_STR_EQ(shoal_any_string(&copy.as.items[0], ""), "b");
	shoal_any_clear(&copy);
	for (int i = 0; i < 2 * N; i++) {
		pairs[2 * i] = SHOAL_ANY(i % N);
		pairs[2 * i + 1] = SHOAL_ANY(i);
	}
	v = shoal_any_from_pairs(pairs, 2 * N);
	REQUIRE_EQ(shoal_any_copy(&v, &copy), 0);
	REQUIRE_EQ(copy.count, N);
	for (int i = 0; i < N; i++) {
		REQUIRE_EQ(copy.as.items[2 * i].as.integer, i);
		REQUIRE_EQ(copy.as.items[2 * i + 1].as.integer, N + i);
	}
	shoal_any_clear(&copy);
}

/* By name, and by SHOAL_ANY, which chooses them: the same. */
Test(any, objects_and_large_numbers_are_what_they_were_made_from)
{
	shoal_arena *a;
	shoal_queue *q;
	shoal_pipe_end *left, *right;
	shoal_namespace *n;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_queue_create(a, NULL, NULL, &q), 0);
	REQUIRE_EQ(shoal_pipe_create(a, NULL, NULL, &left, &right), 0);
	REQUIRE_EQ(shoal_namespace_create(a, NULL, NULL, &n), 0);
	REQUIRE(same(shoal_any_from_queue(q), SHOAL_ANY(q)));
	REQUIRE(same(shoal_any_from_pipe(right), SHOAL_ANY(right)));
	REQUIRE(!same(shoal_any_from_pipe(left), shoal_any_from_pipe(right)));
	REQUIRE(same(shoal_any_from_namespace(n), SHOAL_ANY(n)));
	REQUIRE(!same(shoal_any_from_namespace(n), shoal_any_from_queue(q)));
	REQUIRE(same(shoal_any_from_bool(true), SHOAL_ANY((bool)true)));
	REQUIRE_EQ(shoal_any_from_uint(INT64_MAX).as.integer, INT64_MAX);
	shoal_any beyond = shoal_any_self(shoal_any_from_uint(UINT64_MAX)), copy;
	REQUIRE_EQ(shoal_any_copy(&beyond, &copy), -EOVERFLOW);
	shoal_arena_close(a);
}
