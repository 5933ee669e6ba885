/* A child dies after a signal handler came before a chosen instruction of what it did. */
#ifndef TESTS_HANDLED_H
#define TESTS_HANDLED_H

#include "common.h"
#include "steps.h"

#if HAS_STEPS

#include <shoal/sync.h>

struct world {
	shoal_lock lock[2];
	uint32_t all;     /* how many instructions the operation has, where it has not so many */
	int rc;           /* of what the handler called */
	uint32_t members; /* before the child died */
	uint32_t left;    /* the same when the thread has ended */
};

static struct world *w;
static shoal_arena *arena;
static void *memory; /* what free_it frees */
static uint32_t at;

static inline uint32_t
members(void)
{
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(arena, &info), 0);
	return info.members;
}

static inline void
make(void)
{
	w = shared(sizeof *w);
	arena = create(NULL, &small);
}

/* All that died are reaped, nothing is lost, and the next one is served. */
static inline int
take_its_place(void *unused)
{
	void *p[40];
	(void)unused;
	for (int i = 0; i < 40; i++)
		REQUIRE_EQ(shoal_alloc(arena, 64, &p[i]), 0);
	for (int i = 0; i < 40; i++)
		shoal_free(arena, p[i]);
	return raise(SIGKILL);
}

static inline void
must_be_sound(void)
{
	for (int i = 0; i < 2; i++) {
		shoal_arena_recover(arena);
		REQUIRE_EQ(members(), 1);
		REQUIRE_EQ(shoal_arena_check(arena, stderr), 0);
		expect_killed(child(take_its_place, NULL), SIGKILL, 5000);
	}
	shoal_arena_recover(arena);
}

/* In a child that dies then. */
static inline void
once(int (*run)(void *), void (*look)(void))
{
	memory = shoal_new(arena, 64);
	w->all = w->rc = 0;
	expect_killed(child(run, NULL), SIGKILL, 5000);
	look();
	must_be_sound();
}

/* At all of the first instructions, and the further on, the fewer. */
static inline void
at_instructions(int (*run)(void *), void (*look)(void))
{
	make();
	for (at = 0; !w->all; at = steps_last() + (1 + at / 16) * HARNESS_SLOW)
		once(run, look);
	REQUIRE(at > 10);
	shoal_arena_close(arena);
}

/* Of the last `most` instructions every one of `apart`. */
static inline void
at_some_of_the_last(int (*run)(void *), void (*look)(void), uint32_t most, uint32_t apart)
{
	make();
	at = UINT32_MAX;
	once(run, look);
	uint32_t all = w->all;
	REQUIRE(all > 10);
	for (at = all - (all < most ? all : most); at < all; at = steps_last() + apart * HARNESS_SLOW)
		once(run, look);
	shoal_arena_close(arena);
}

static inline void
at_the_last_instructions(int (*run)(void *), void (*look)(void))
{
	at_some_of_the_last(run, look, 60, 1);
}

/* To be called in the child. */
static inline void
in_steps(void (*op)(void *), void *arg, void (*what)(void))
{
	steps.others_wait = true;
	if (!steps_into(op, arg, at, what))
		w->all = steps.done;
}

static inline void
free_it(void)
{
	shoal_free(arena, memory);
}

static inline void
alloc_it(void)
{
	void *p;
	w->rc = shoal_alloc(arena, 64, &p);
}

static inline void
must_be_refused_or_done(void)
{
	REQUIRE(w->rc == 0 || w->rc == -EDEADLK);
}

static void (*come)(void);

static inline void
nothing(void)
{
}

static inline void
allocate(void *unused)
{
	void *volatile p = malloc(3000);
	(void)unused;
	free(p);
}

static inline void
alloc_op(void *unused)
{
	void *p;
	(void)unused;
	REQUIRE_EQ(shoal_alloc(arena, 100, &p), 0);
}

static inline void
end_op(void *unused)
{
	(void)unused;
	thread_leave();
}

static inline void
look_for_one_record(void)
{
	must_be_refused_or_done();
	REQUIRE_EQ(w->members, 2);
}

#endif

#endif
