/* What the tests of dicts share. */
#ifndef TESTS_DATA_DICT_COMMON_H
#define TESTS_DATA_DICT_COMMON_H

#include "harness.h"
#include <errno.h>
#include <shoal/data.h>
#include <shoal/shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct dict_world {
	shoal_arena *arena;
	shoal_dict *dict;
};

static inline struct dict_world
dict_world(uint32_t reserve)
{
	struct dict_world w;
	shoal_container_options options = { .reserve = reserve };
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &w.arena), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, "d", &options, &w.dict), 0);
	return w;
}

/* Every block is accounted for, with the dict and after it. */
static inline void
dict_world_end(struct dict_world *w)
{
	REQUIRE_EQ(shoal_arena_check(w->arena, stderr), 0);
	REQUIRE_EQ(shoal_dict_destroy(w->arena, w->dict), 0);
	REQUIRE_EQ(shoal_arena_check(w->arena, stderr), 0);
	shoal_arena_close(w->arena);
}

/* Each key from `from` to before `to` has three times itself. */
static inline void
dict_fill(shoal_dict *d, int64_t from, int64_t to)
{
	for (int64_t i = from; i < to; i++)
		REQUIRE_EQ(shoal_dict_set(d, SHOAL_ANY(i), SHOAL_ANY(i * 3)), 0);
}

/* What the key has, which must be an int. */
static inline int64_t
int_of(shoal_dict *d, shoal_any key)
{
	shoal_any v;
	REQUIRE_EQ(shoal_dict_get(d, key, &v), 0);
	REQUIRE_EQ(v.kind, SHOAL_ANY_INT);
	return v.as.integer;
}

#endif
