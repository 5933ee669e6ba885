/* An object of a kind that lasts, and the words that a value block that refers to it would have. */
#ifndef TESTS_ARENA_REFERRED_H
#define TESTS_ARENA_REFERRED_H

#include "arena/hold.h"
#include "arena/object.h"
#include "arena/pin.h"
#include "common.h"
#include <shoal/data.h>
#include <signal.h>

struct here {
	struct shoal_thread *t;
	struct member *me;
};

static inline struct here
here(shoal_arena *a)
{
	struct here h;
	REQUIRE_EQ(member_here(a, &h.t, &h.me), 0);
	return h;
}

static inline shoal_value *
new_value(shoal_arena *a, const char *name, int64_t n)
{
	shoal_value *v;
	REQUIRE_EQ(shoal_value_create(a, name, SHOAL_I64, SHOAL_ANY(n), &v), 0);
	return v;
}

static inline uint32_t
index_of(const shoal_arena *a, const void *body, uint32_t kind)
{
	return object_of_body(a, body, kind);
}

static inline word32 *
new_progress(shoal_arena *a)
{
	word32 *w = shoal_new(a, 16);
	REQUIRE(w != NULL);
	return w;
}

static inline int
hold(shoal_arena *a, uint32_t object, int delta, word32 *progress, uint32_t to)
{
	struct here h = here(a);
	return hold_change(a, h.t, h.me, object, delta, progress, to);
}

static inline void
sweep(shoal_arena *a)
{
	struct here h = here(a);
	object_sweep(a, h.t, h.me);
}

static inline uint32_t
holds_of(const shoal_arena *a, uint32_t object)
{
	return load_acquire(&arena_object(a, object)->holds);
}

static inline enum object_state
state_of(const shoal_arena *a, uint32_t object)
{
	return object_state(load_acquire(&arena_object(a, object)->word));
}

#endif
