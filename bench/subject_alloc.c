/*
 * subject_alloc.c - shoal's blocks beside the C library's
 *
 * shoal_alloc gives zeroed memory and malloc does not; the bar is on the call as it is, so ours
 * pays for the zeros. Both are called through a pointer.
 */
#include "subject.h"

#include <shoal/arena.h>
#include <stdlib.h>

static int
arena_open(struct opening *o)
{
	shoal_arena *arena;
	int rc = shoal_arena_create(NULL, NULL, &arena);

	if (rc == 0)
		o->arena = arena;
	return rc;
}

static void *
arena_allocate(void *arena, size_t bytes)
{
	void *block;

	return shoal_alloc(arena, bytes, &block) < 0 ? NULL : block;
}

static void
arena_give(void *arena, void *block)
{
	shoal_free(arena, block);
}

static int
heap_open(struct opening *o)
{
	(void)o;
	return 0;
}

static void *
heap_allocate(void *arena, size_t bytes)
{
	(void)arena;
	return malloc(bytes);
}

static void
heap_give(void *arena, void *block)
{
	(void)arena;
	free(block);
}

const struct subject subject_alloc = {
	.name = "shoal_alloc",
	.about = "shoal_alloc, shoal_free in a private arena",
	.traits = SUBJECT_ALLOCATES,
	.bytes_max = 64 * KIBI,
	.open = arena_open,
	.close = close_arena,
	.allocate = arena_allocate,
	.give = arena_give,
};

const struct subject subject_malloc = {
	.name = "malloc",
	.about = "malloc, free of the C library",
	.traits = SUBJECT_ALLOCATES,
	.bytes_max = 64 * KIBI,
	.open = heap_open,
	.allocate = heap_allocate,
	.give = heap_give,
};
