/* An arena with one queue, fresh for each test. */
#ifndef TESTS_QUEUE_COMMON_H
#define TESTS_QUEUE_COMMON_H

#include "harness.h"
#include "left.h"
#include <errno.h>
#include <shoal/shoal.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct world {
	shoal_arena *arena;
	shoal_queue *queue;
};

static inline struct world
world_make(uint32_t capacity, uint32_t slot_bytes, unsigned flags)
{
	struct world w;
	shoal_queue_options o = { .capacity = capacity, .slot_bytes = slot_bytes, .flags = flags };
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &w.arena), 0);
	REQUIRE_EQ(shoal_queue_create(w.arena, "q", &o, &w.queue), 0);
	return w;
}

/* What every test ends with: nothing is wrong, and nothing is left but the queue. */
static inline void
world_end(struct world w)
{
	shoal_arena_info before;
	REQUIRE(shoal_arena_recover(w.arena) >= 0);
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	REQUIRE_EQ(shoal_arena_stat(w.arena, &before), 0);
	REQUIRE_EQ(before.members, 1);
	REQUIRE_EQ(shoal_queue_destroy(w.arena, w.queue), 0);
	REQUIRE_EQ(blocks_in_the_end(w.arena, 0), 0);
	shoal_arena_close(w.arena);
}

static inline void
put_text(shoal_queue *q, const char *text)
{
	REQUIRE_EQ(shoal_queue_put(q, text, strlen(text) + 1, 0), 0);
}

static inline void
get_text(shoal_queue *q, const char *text)
{
	char got[256] = "";
	REQUIRE_EQ(shoal_queue_get(q, got, sizeof got, SHOAL_SEC(5)), (ssize_t)strlen(text) + 1);
	REQUIRE_STR_EQ(got, text);
}

#endif
