/* Arenas: private and named, by descriptor and read-only; memory, references, names. */
#include "outside.h"
#include <string.h>
#include <unistd.h>

static int
fill(void *memory, void *text)
{
	memcpy(memory, text, 6);
	return 0;
}

static void
memory(shoal_arena *arena)
{
	void *a, *table, *same;
	size_t bytes;
	CHECK(shoal_alloc(arena, 100, &a) == 0 && (uintptr_t)a % 64 == 0);
	shoal_ref ref = shoal_ref_of(arena, a);
	CHECK(ref && shoal_deref(arena, ref) == a && !shoal_deref(arena, 0));
	shoal_free(arena, a);
	CHECK(shoal_new(arena, SIZE_MAX / 2) == NULL);

	char text[] = "table";
	CHECK(shoal_memory_create(arena, "table", 64, fill, text, &table) == 0);
	CHECK(shoal_memory_create(arena, "table", 64, NULL, NULL, &same) == -EEXIST && !same);
	CHECK(shoal_memory_open(arena, "table", SHOAL_NOWAIT, &same, &bytes) == 0);
	CHECK(same == table && bytes >= 64 && !strcmp(same, "table"));
	CHECK(shoal_memory_open(arena, "chair", SHOAL_NOWAIT, &same, NULL) == -ENOENT);
	CHECK(shoal_memory_destroy(arena, table) == 0 && shoal_memory_destroy(arena, NULL) == 0);
}

static void
look(shoal_arena *arena)
{
	shoal_arena_info info;
	shoal_object_info object;
	shoal_queue *q;
	uint64_t at = 0;
	CHECK(shoal_queue_create(arena, "seen", NULL, &q) == 0);
	CHECK(shoal_arena_next(arena, &at, &object) == 1 && object.kind == SHOAL_KIND_QUEUE);
	CHECK(!strcmp(object.name, "seen") && shoal_arena_next(arena, &at, &object) == 0);
	CHECK(shoal_arena_stat(arena, &info) == 0 && info.objects == 1 && info.members >= 1);
	CHECK(shoal_queue_destroy(arena, q) == 0);
	CHECK(shoal_arena_recover(arena) == 0 && shoal_arena_check(arena, stderr) == 0);
}

void
arenas(void)
{
	const shoal_arena_options small = { .limit_bytes = 16 << 20, .flags = SHOAL_UNLINK_LAST };
	const shoal_arena_options wrong = { .reserved_ = { 1 } };
	shoal_arena *a, *same, *watcher;
	char name[32];
	snprintf(name, sizeof name, "outside-%d", (int)getpid());
	CHECK(shoal_arena_create(name, &small, &a) == 0);
	CHECK(shoal_arena_create(name, &small, &same) == -EEXIST && !same);
	CHECK(shoal_arena_create(NULL, &wrong, &same) == -EINVAL);
	CHECK(shoal_arena_attach(name, SHOAL_NOWAIT, &same) == 0 && same == a);
	shoal_arena_close(same);
	CHECK(shoal_arena_attach_fd(shoal_arena_fd(a), &same) == 0 && same == a);
	shoal_arena_close(same);
	CHECK(shoal_arena_attach_readonly(name, SHOAL_NOWAIT, &watcher) == 0);
	CHECK(shoal_alloc(watcher, 16, &(void *){ NULL }) == -EPERM);
	shoal_arena_close(watcher);
	memory(a);
	look(a);
	CHECK(shoal_arena_unlink(name) == 0 && shoal_arena_unlink(name) == -ENOENT);
	CHECK(shoal_arena_attach(name, SHOAL_NOWAIT, &same) == -ENOENT);
	shoal_arena_close(a);
}
