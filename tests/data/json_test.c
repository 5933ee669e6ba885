#include "harness.h"
#include <locale.h>
#include <math.h>
#include <shoal/shoal.h>
#include <stdlib.h>
#include <string.h>

static void
expect(shoal_any v, const char *want)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	REQUIRE_EQ(shoal_any_print(&v, f), 0);
	fclose(f);
	REQUIRE_STR_EQ(text, want);
	free(text);
}

Test(json, each_kind_is_printed)
{
	expect(SHOAL_NIL, "null");
	expect(SHOAL_ANY((bool)true), "true");
	expect(SHOAL_ANY((bool)false), "false");
	expect(SHOAL_ANY(INT64_MIN), "-9223372036854775808");
	expect(SHOAL_ANY(UINT64_MAX), "18446744073709551615");
	expect(SHOAL_ANY("text"), "\"text\"");
	expect(SHOAL_LIST(42, SHOAL_NIL, "hello"), "[42, null, \"hello\"]");
	expect(SHOAL_MAP("a", 1, "b", SHOAL_LIST(0.5)), "{\"a\": 1, \"b\": [0.5]}");
	expect(shoal_any_from_items(NULL, 0), "[]");
	expect(shoal_any_from_pairs(NULL, 0), "{}");
}

Test(json, a_double_reads_back_as_itself)
{
	expect(SHOAL_ANY(1.0), "1.0");
	expect(SHOAL_ANY(-0.0), "-0.0");
	expect(SHOAL_ANY(0.1), "0.1");
	expect(SHOAL_ANY(1.0 / 3), "0.3333333333333333");
	expect(SHOAL_ANY(0.1 + 0.2), "0.30000000000000004");
	expect(SHOAL_ANY(1e300), "1e+300");
	expect(SHOAL_ANY(5e-324), "4.94065645841247e-324");
	expect(SHOAL_ANY(NAN), "null");
	expect(SHOAL_ANY(INFINITY), "1e999");
	expect(SHOAL_ANY(-INFINITY), "-1e999");
}

/* Any locale that has a comma will do; where there is none, this shows nothing. */
Test(json, a_comma_is_no_point)
{
	if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
		return;
	expect(SHOAL_LIST(0.5, 1.0, 1.5e300), "[0.5, 1.0, 1.5e+300]");
}

Test(json, strings_are_escaped)
{
	expect(SHOAL_ANY("\"\\/\b\f\n\r\t\1\x1f\x7f"),
	       "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\"");
	expect(SHOAL_ANY("\u00fc \u6c34 \U00010151"), "\"\u00fc \u6c34 \U00010151\"");
	shoal_any v = SHOAL_ANY("a\0b");
	v.count = 3;
	expect(v, "\"a\\u0000b\"");
}

#define BAD "\xef\xbf\xbd"

Test(json, what_is_no_utf_8_is_replaced)
{
	expect(SHOAL_ANY("\xff" "a"), "\"" BAD "a\"");
	expect(SHOAL_ANY("\xc3"), "\"" BAD "\"");
	expect(SHOAL_ANY("\xc3\""), "\"" BAD "\\\"\"");
	expect(SHOAL_ANY("\xc0\x80"), "\"" BAD BAD "\"");
	expect(SHOAL_ANY("\xe0\x80\x80"), "\"" BAD BAD BAD "\"");
	expect(SHOAL_ANY("\xed\xa0\x80"), "\"" BAD BAD BAD "\"");
	expect(SHOAL_ANY("\xf4\x90\x80\x80"), "\"" BAD BAD BAD BAD "\"");
	expect(SHOAL_ANY("\x80"), "\"" BAD "\"");
}

Test(json, bytes_are_base64)
{
	expect(shoal_any_from_bytes("", 0), "{\"$bytes\": \"\"}");
	expect(shoal_any_from_bytes("f", 1), "{\"$bytes\": \"Zg==\"}");
	expect(shoal_any_from_bytes("fo", 2), "{\"$bytes\": \"Zm8=\"}");
	expect(shoal_any_from_bytes("foo", 3), "{\"$bytes\": \"Zm9v\"}");
	expect(shoal_any_from_bytes("\xfb\xff\xfe", 3), "{\"$bytes\": \"+//+\"}");
}

Test(json, keys_are_strings)
{
	expect(SHOAL_MAP(1, 2, (bool)true, 3, "k", 4, shoal_any_from_bytes("f", 1), 5),
	       "{\"1\": 2, \"true\": 3, \"k\": 4, \"Zg==\": 5}");
}

Test(json, objects_have_their_names)
{
	shoal_arena *a;
	shoal_queue *q, *nameless;
	char want[100];
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_queue_create(a, "jobs", NULL, &q), 0);
	REQUIRE_EQ(shoal_queue_create(a, NULL, NULL, &nameless), 0);
	expect(SHOAL_LIST(q), "[{\"$queue\": \"jobs\"}]");
	snprintf(want, sizeof want, "{\"$queue\": \"%llu\"}",
	         (unsigned long long)shoal_ref_of(a, nameless));
	expect(SHOAL_ANY(nameless), want);
	shoal_arena_close(a);
}

Test(json, what_is_no_value_is_not_printed)
{
	shoal_any deep[70] = { SHOAL_NIL };
	for (int i = 1; i < 70; i++)
		deep[i] = shoal_any_from_items(&deep[i - 1], 1);
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	REQUIRE_EQ(shoal_any_print(&deep[69], f), -EINVAL);
	REQUIRE_EQ(shoal_any_print(&(shoal_any){ .kind = 99 }, f), -EINVAL);
	fclose(f);
	REQUIRE_EQ(n, 0);
	free(text);
	f = fopen("/dev/full", "w");
	setbuf(f, NULL);
	REQUIRE_EQ(shoal_any_print(&deep[1], f), -EIO);
	fclose(f);
}

static void
expect_none(const shoal_any *v)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	REQUIRE_EQ(shoal_any_print(v, f), -EINVAL);
	fclose(f);
	REQUIRE_EQ(n, 0);
	free(text);
}

/* Such a number is printed; what stands behind it is looked at all the same. */
Test(json, a_number_beyond_int64_hides_nothing)
{
	shoal_any beyond = SHOAL_ANY(UINT64_MAX), nil = SHOAL_NIL;
	shoal_any bad_key[] = { SHOAL_ANY("a"), beyond, SHOAL_LIST(1, 2), SHOAL_ANY(1) };
	shoal_any endless[] = { beyond, nil };
	shoal_any map = shoal_any_from_pairs(bad_key, 2);
	expect_none(&map);
	endless[1] = shoal_any_from_items(endless, 2);
	expect_none(&endless[1]);
	expect(SHOAL_MAP(beyond, SHOAL_LIST(beyond, 1)),
	       "{\"18446744073709551615\": [18446744073709551615, 1]}");
	/* The same 64 bits, and another key. */
	expect(SHOAL_MAP(-1, "minus", beyond, "most"),
	       "{\"-1\": \"minus\", \"18446744073709551615\": \"most\"}");
	shoal_any minus[] = { SHOAL_ANY(-1), nil }, most[] = { beyond, nil };
	shoal_any a = shoal_any_from_pairs(minus, 1), b = shoal_any_from_pairs(most, 1);
	REQUIRE(!shoal_any_equal(&a, &b) && shoal_any_equal(&b, &b));
}

Test(json, of_two_equal_keys_the_last_one_is_printed)
{
	expect(SHOAL_MAP("a", 1, "b", 2, "a", SHOAL_MAP(1, 2, 1, 3)),
	       "{\"b\": 2, \"a\": {\"1\": 3}}");
	expect(SHOAL_LIST(SHOAL_MAP("a", 1, "a", 2), SHOAL_LIST(3)), "[{\"a\": 2}, [3]]");
}

/* Its name went with its destruction, and may be another's by now. */
Test(json, what_was_destroyed_has_no_name)
{
	shoal_arena *a;
	shoal_list *l, *other;
	shoal_dict *d;
	shoal_any held;
	char want[100];
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_dict_create(a, NULL, NULL, &d), 0);
	REQUIRE_EQ(shoal_list_create(a, "jobs", NULL, &l), 0);
	REQUIRE_EQ(shoal_dict_set(d, SHOAL_ANY(1), SHOAL_ANY(l)), 0);
	REQUIRE_EQ(shoal_dict_get(d, SHOAL_ANY(1), &held), 0);
	expect(held, "{\"$list\": \"jobs\"}");
	snprintf(want, sizeof want, "{\"$list\": \"%llu\"}", (unsigned long long)shoal_ref_of(a, l));
	REQUIRE_EQ(shoal_list_destroy(a, l), 0);
	REQUIRE_EQ(shoal_list_create(a, "jobs", NULL, &other), 0);
	expect(held, want);
	expect(SHOAL_ANY(other), "{\"$list\": \"jobs\"}");
	shoal_any_clear(&held);
	shoal_arena_close(a);
}
