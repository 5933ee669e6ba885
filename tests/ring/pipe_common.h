/* An arena with one pipe, fresh for each test. */
#ifndef TESTS_PIPE_COMMON_H
#define TESTS_PIPE_COMMON_H

#include "harness.h"
#include "left.h"
#include <errno.h>
#include <shoal/shoal.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct world {
	shoal_arena *arena;
	shoal_pipe_end *left, *right;
};

static inline struct world
world_make(uint32_t ring_bytes, unsigned flags)
{
	struct world w;
	shoal_pipe_options o = { .ring_bytes = ring_bytes, .flags = flags };
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &w.arena), 0);
	REQUIRE_EQ(shoal_pipe_create(w.arena, "p", &o, &w.left, &w.right), 0);
	return w;
}

/* What every test ends with: nothing is wrong, and nothing is left but the pipe. */
static inline void
world_end(struct world w)
{
	shoal_arena_info info;
	REQUIRE(shoal_arena_recover(w.arena) >= 0);
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	REQUIRE_EQ(shoal_arena_stat(w.arena, &info), 0);
	REQUIRE_EQ(info.members, 1);
	REQUIRE_EQ(shoal_pipe_destroy(w.arena, w.left), 0);
	REQUIRE_EQ(blocks_in_the_end(w.arena, 0), 0);
	shoal_arena_close(w.arena);
}

static inline void
send_text(shoal_pipe_end *end, const char *text)
{
	REQUIRE_EQ(shoal_pipe_send(end, text, strlen(text) + 1, 0), 0);
}

static inline void
recv_text(shoal_pipe_end *end, const char *text)
{
	char got[256] = "";
	REQUIRE_EQ(shoal_pipe_recv(end, got, sizeof got, SHOAL_SEC(5)), (ssize_t)strlen(text) + 1);
	REQUIRE_STR_EQ(got, text);
}

#endif
