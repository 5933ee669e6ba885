/* Arenas: private and named, by descriptor and read-only; memory, references, names. */
#include "outside.h"
#include <signal.h>
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
	shoal_arena_info before, info;
	void *a, *table, *same;
	size_t bytes;
	CHECK(shoal_arena_stat(arena, &before) == 0);
	CHECK(shoal_alloc(arena, 100, &a) == 0 && (uintptr_t)a % 64 == 0);
	CHECK(shoal_arena_stat(arena, &info) == 0 && info.blocks == before.blocks + 1);
	shoal_ref ref = shoal_ref_of(arena, a);
	CHECK(ref && shoal_deref(arena, ref) == a && !shoal_deref(arena, 0));
	shoal_free(arena, a);
	CHECK(shoal_arena_stat(arena, &info) == 0 && info.blocks == before.blocks);
	CHECK(shoal_new(arena, SIZE_MAX / 2) == NULL);

	char text[] = "table";
	CHECK(shoal_memory_create(arena, "table", 64, fill, text, &table) == 0);
	CHECK(shoal_memory_create(arena, "table", 64, NULL, NULL, &same) == -EEXIST && !same);
	CHECK(shoal_memory_open(arena, "table", SHOAL_NOWAIT, &same, &bytes) == 0);
	CHECK(same == table && bytes >= 64 && !strcmp(same, "table"));
	CHECK(shoal_memory_open(arena, "chair", SHOAL_NOWAIT, &same, NULL) == -ENOENT);
	CHECK(shoal_memory_destroy(arena, table) == 0 && shoal_memory_destroy(arena, NULL) == 0);
}

static int
die_with_a_block(void *arena)
{
	CHECK(shoal_new(arena, 100));
	raise(SIGKILL);
	return 0;
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
	to_death(die_with_a_block, arena);
	CHECK(shoal_arena_recover(arena) == 1 && shoal_arena_recover(arena) == 0);
	CHECK(shoal_arena_stat(arena, &info) == 0 && info.deaths == 1 && info.recoveries == 1);
	CHECK(shoal_arena_check(arena, stderr) == 0);
}

/* What was written over by mistake is told of, in words too; whole again it is sound. */
static void
damaged(void)
{
	shoal_arena *arena;
	shoal_queue *q;
	char kept[64];
	FILE *paper = tmpfile();
	CHECK(paper && shoal_arena_create(NULL, NULL, &arena) == 0);
	CHECK(shoal_queue_create(arena, NULL, NULL, &q) == 0);
	memcpy(kept, q, sizeof kept);
	memset((void *)q, 0xff, sizeof kept);
	CHECK(shoal_arena_check(arena, paper) == 1 && shoal_arena_check(arena, NULL) == 1);
	CHECK(fseek(paper, 0, SEEK_END) == 0 && ftell(paper) > 0 && fclose(paper) == 0);
	memcpy((void *)q, kept, sizeof kept);
	CHECK(shoal_arena_check(arena, stderr) == 0 && shoal_queue_destroy(arena, q) == 0);
	shoal_arena_close(arena);
}

/* Makes an object that is to go with its process, says so, and waits to be killed. */
static int
own(void *arena)
{
	const shoal_queue_options mine = { .flags = SHOAL_WITH_OWNER };
	shoal_queue *q;
	CHECK(shoal_queue_create(arena, "mine", &mine, &q) == 0);
	return pause();
}

static void
owners(shoal_arena *arena)
{
	shoal_object_info object;
	shoal_process *owner;
	shoal_queue *q;
	uint64_t at = 0;
	char text[4];
	CHECK(shoal_process_spawn(own, arena, NULL, &owner) == 0);
	CHECK(shoal_queue_open(arena, "mine", SHOAL_SEC(10), &q) == 0);
	CHECK(shoal_arena_next(arena, &at, &object) == 1);
	CHECK(object.owner == shoal_process_pid(owner));
	CHECK(shoal_queue_put(q, "x", 1, SHOAL_NOWAIT) == 0);
	CHECK(shoal_queue_get(q, text, sizeof text, SHOAL_NOWAIT) == 1);
	CHECK(shoal_process_kill(owner) == 0);
	CHECK(shoal_queue_get(q, text, sizeof text, SHOAL_SEC(10)) == -EPIPE);
	CHECK(shoal_queue_open(arena, "mine", SHOAL_NOWAIT, &q) == -ENOENT);
	CHECK(shoal_process_join(owner, SHOAL_SEC(10)) == 0 && shoal_process_close(owner) == 0);
}

/* The one that exists, with its own options; then a new one, since there is none. */
static void
or_attach(const char *name, shoal_arena *a)
{
	const shoal_arena_options either = { .limit_bytes = 8 << 20, .flags = SHOAL_OR_ATTACH };
	shoal_arena_info info;
	shoal_arena *same;
	CHECK(shoal_arena_create(name, &either, &same) == 0 && same == a);
	CHECK(shoal_arena_stat(same, &info) == 0 && info.limit_bytes == 16 << 20);
	shoal_arena_close(same);
	CHECK(shoal_arena_unlink(name) == 0 && shoal_arena_unlink(name) == -ENOENT);
	CHECK(shoal_arena_attach(name, SHOAL_NOWAIT, &same) == -ENOENT);
	CHECK(shoal_arena_create(name, &either, &same) == 0 && same != a);
	CHECK(shoal_arena_stat(same, &info) == 0 && info.limit_bytes == 8 << 20);
	CHECK(shoal_arena_unlink(name) == 0);
	shoal_arena_close(same);
}

/* Under UNLINK_LAST the name goes with the last one who closes it. */
static void
unlink_last(const char *name)
{
	const shoal_arena_options last = { .flags = SHOAL_UNLINK_LAST };
	shoal_arena *a;
	CHECK(shoal_arena_create(name, &last, &a) == 0);
	shoal_arena_close(a);
	CHECK(shoal_arena_attach(name, SHOAL_NOWAIT, &a) == -ENOENT);
}

void
arenas(void)
{
	const shoal_arena_options small = { .limit_bytes = 16 << 20 };
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
	owners(a);
	or_attach(name, a);
	shoal_arena_close(a);
	unlink_last(name);
	damaged();
}
