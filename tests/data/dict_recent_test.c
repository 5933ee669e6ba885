/* Dicts in a full arena. */
#include "dict_common.h"

static void
fill_arena(shoal_arena *a)
{
	void *p;
	for (size_t bytes = 1 << 19; bytes >= 16; bytes /= 2)
		while (shoal_alloc(a, bytes, &p) == 0)
			;
}

/* There is no memory for what says which is the newest. */
Test(dict, popitem_needs_no_memory)
{
	struct dict_world w;
	shoal_arena_options small = { .limit_bytes = 1 << 20 };
	shoal_any key;
	REQUIRE_EQ(shoal_arena_create(NULL, &small, &w.arena), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, NULL, NULL, &w.dict), 0);
	for (int i = 0; i < 200; i++)
		REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(i), SHOAL_ANY("x")), 0);
	fill_arena(w.arena);
	for (int i = 200; i--;) {
		REQUIRE_EQ(shoal_dict_popitem(w.dict, &key, NULL), 0);
		REQUIRE_EQ(shoal_any_int(&key, -1), i);
	}
	REQUIRE_EQ(shoal_dict_popitem(w.dict, NULL, NULL), -ENOENT);
	dict_world_end(&w);
}

/* Others may find none to take out, and change nothing. */
Test(dict, clear_needs_memory_for_an_empty_table)
{
	struct dict_world w;
	shoal_arena_options small = { .limit_bytes = 1 << 20 };
	REQUIRE_EQ(shoal_arena_create(NULL, &small, &w.arena), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, NULL, NULL, &w.dict), 0);
	dict_fill(w.dict, 0, 200);
	fill_arena(w.arena);
	REQUIRE_EQ(shoal_dict_clear(w.dict), -ENOMEM);
	REQUIRE(strstr(shoal_error(), "limit of 1048576 bytes"));
	REQUIRE_EQ(shoal_dict_size(w.dict), 200);
	dict_world_end(&w);
}
