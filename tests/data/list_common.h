/* An arena with one list, fresh for each test. */
#ifndef TESTS_LIST_COMMON_H
#define TESTS_LIST_COMMON_H

#include "harness.h"
#include <errno.h>
#include <shoal/shoal.h>
#include <stdlib.h>
#include <string.h>

struct world {
	shoal_arena *arena;
	shoal_list *list;
};

static inline struct world
world_make(void)
{
	struct world w;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &w.arena), 0);
	REQUIRE_EQ(shoal_list_create(w.arena, "l", NULL, &w.list), 0);
	return w;
}

/* What every test ends with: nothing is wrong, and nothing is left but the list. */
static inline void
world_end(struct world w)
{
	shoal_arena_info after;
	REQUIRE(shoal_arena_recover(w.arena) >= 0);
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	REQUIRE_EQ(shoal_list_destroy(w.arena, w.list), 0);
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	REQUIRE_EQ(shoal_arena_stat(w.arena, &after), 0);
	REQUIRE_EQ(after.blocks, 0);
	shoal_arena_close(w.arena);
}

static inline int64_t
int_at(shoal_list *l, ptrdiff_t index)
{
	shoal_any v;
	REQUIRE_EQ(shoal_list_get(l, index, &v), 0);
	REQUIRE_EQ(v.kind, SHOAL_ANY_INT);
	return shoal_any_int(&v, 0);
}

/* The list is these ints. */
static inline void
require_ints(shoal_list *l, const int64_t *want, size_t count)
{
	shoal_any all;
	REQUIRE_EQ(shoal_list_size(l), count);
	REQUIRE_EQ(shoal_list_snapshot(l, &all), 0);
	REQUIRE_EQ(all.kind, SHOAL_ANY_LIST);
	REQUIRE_EQ(all.count, count);
	for (size_t i = 0; i < count; i++)
		REQUIRE_EQ(shoal_any_int(shoal_any_at(&all, i), INT64_MIN), want[i]);
	shoal_any_clear(&all);
}

#endif
