#include "dict_common.h"

Test(namespace, has_attributes)
{
	shoal_arena *a;
	shoal_namespace *n, *again;
	shoal_any v;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_namespace_create(a, "n", NULL, &n), 0);
	REQUIRE_EQ(shoal_namespace_open(a, "n", 0, &again), 0);
	REQUIRE(n == again);
	REQUIRE_EQ(shoal_namespace_get(n, "x", &v), -ENOENT);
	REQUIRE_EQ(shoal_namespace_set(n, "x", SHOAL_ANY(1)), 0);
	REQUIRE_EQ(shoal_namespace_set(n, "x", SHOAL_LIST(1, "two")), 0);
	REQUIRE_EQ(shoal_namespace_get(n, "x", &v), 0);
	REQUIRE_EQ(v.count, 2);
	shoal_any_clear(&v);
	REQUIRE_EQ(shoal_namespace_set(n, "", SHOAL_ANY(1)), -EINVAL);
	REQUIRE_EQ(shoal_namespace_get(n, NULL, &v), -EINVAL);
	REQUIRE_EQ(shoal_namespace_del(n, "x"), 0);
	REQUIRE_EQ(shoal_namespace_del(n, "x"), -ENOENT);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	REQUIRE_EQ(shoal_namespace_destroy(a, n), 0);
	REQUIRE_EQ(shoal_namespace_destroy(a, NULL), 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

Test(namespace, prints_as_json)
{
	shoal_arena *a;
	shoal_namespace *n;
	char *text = NULL;
	size_t bytes = 0;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_namespace_create(a, NULL, NULL, &n), 0);
	REQUIRE_EQ(shoal_namespace_set(n, "x", SHOAL_ANY(1)), 0);
	REQUIRE_EQ(shoal_namespace_set(n, "y", SHOAL_LIST("two", SHOAL_NIL)), 0);
	FILE *f = open_memstream(&text, &bytes);
	REQUIRE_EQ(shoal_namespace_print(n, f), 0);
	fclose(f);
	REQUIRE_STR_EQ(text, "{\"x\": 1, \"y\": [\"two\", null]}");
	free(text);
	shoal_arena_close(a);
}

Test(namespace, is_no_dict)
{
	shoal_arena *a;
	shoal_namespace *n;
	shoal_dict *d;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_namespace_create(a, "n", NULL, &n), 0);
	REQUIRE_EQ(shoal_dict_open(a, "n", 0, &d), -EPROTO);
	REQUIRE_EQ(shoal_namespace_destroy(a, n), 0);
	shoal_arena_close(a);
}
