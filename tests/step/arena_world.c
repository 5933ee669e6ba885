#include "arena_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Where the file is mapped in this process. */
static bool
mapping_of(const struct stat *file, char **at, size_t *bytes)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[600];
	*at = NULL;
	*bytes = 0;
	while (maps && fgets(line, sizeof line, maps)) {
		unsigned long from, to, inode;
		if (sscanf(line, "%lx-%lx %*s %*x %*x:%*x %lu", &from, &to, &inode) != 3)
			continue;
		if (inode != file->st_ino)
			continue;
		if (!*at)
			*at = (char *)from;
		*bytes = to - (unsigned long)*at;
	}
	if (maps)
		fclose(maps);
	return *at != NULL;
}

void
arena_world_watch(struct step_world *w, struct shoal_arena *arena)
{
	struct stat file;
	char *at;
	size_t bytes;
	int fd = shoal_arena_fd(arena);
	STEP_REQUIRE(w, fd >= 0 && fstat(fd, &file) == 0, "the arena has no fd");
	STEP_REQUIRE(w, mapping_of(&file, &at, &bytes), "the arena is not mapped");
	if (bytes > (size_t)file.st_size)
		bytes = (size_t)file.st_size;
	step_watch(at, bytes, fd);
}

void
arena_world(struct step_world *w)
{
	shoal_arena_options options = { .limit_bytes = WORLD_LIMIT, .members_max = WORLD_MEMBERS };
	int rc = shoal_arena_create(NULL, &options, &w->arena);
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
	arena_world_watch(w, w->arena);
	arena_join(w);
}

void
arena_join(struct step_world *w)
{
	shoal_free(w->arena, shoal_new(w->arena, 64));
}

static void
audit_compare(struct step_world *w, const shoal_arena_info *info)
{
	static const char *const name[] = { "used bytes", "blocks", "members", "objects" };
	uint64_t now[] = { info->used_bytes, info->blocks, info->members, info->objects };
	for (size_t i = 0; i < 4; i++) {
		if (!w->base_known)
			w->base[i] = now[i];
		if (w->spare && i < 2 && now[i] > w->base[i])
			continue;
		STEP_REQUIRE(w, now[i] == w->base[i], "leak: %s %llu, not %llu", name[i],
		             (unsigned long long)now[i], (unsigned long long)w->base[i]);
	}
	w->base_known = true;
}

void
arena_audit(struct step_world *w)
{
	char *text = NULL;
	size_t bytes = 0;
	shoal_arena_info info = { 0 };
	int rc;
	STEP_WITHIN(w, "recover", rc = shoal_arena_recover(w->arena));
	STEP_REQUIRE(w, rc >= 0, "recover: %d", rc);
	FILE *report = open_memstream(&text, &bytes);
	rc = shoal_arena_check(w->arena, report);
	fclose(report);
	if (text && strchr(text, '\n'))
		*strchr(text, '\n') = 0;
	STEP_REQUIRE(w, rc == 0, "check: %d: %s", rc, text ? text : "");
	free(text);
	rc = shoal_arena_stat(w->arena, &info);
	STEP_REQUIRE(w, rc == 0, "stat: %d", rc);
	audit_compare(w, &info);
}

void
meet_recover(struct step_world *w)
{
	step_mine(w)->extra = 3;
	step_mine(w)->result = shoal_arena_recover(w->arena);
}

static int64_t
others_took(struct step_world *w)
{
	shoal_arena_info info;
	int64_t began = step_now();
	void *small = NULL, *large = NULL;
	STEP_REQUIRE(w, shoal_alloc(w->arena, 100, &small) == 0, "alloc of 100 bytes fails");
	shoal_free(w->arena, small);
	STEP_REQUIRE(w, shoal_alloc(w->arena, 100000, &large) == 0, "alloc of 100000 bytes fails");
	shoal_free(w->arena, large);
	STEP_REQUIRE(w, shoal_arena_recover(w->arena) >= 0, "recover fails");
	shoal_arena_stat(w->arena, &info);
	return step_now() - began;
}

/*
 * None of these calls has a time to wait: one that is held up is late each time, a busy machine is
 * not.
 */
bool
try_others(struct step_world *w, int64_t ns)
{
	(void)ns;
	for (int i = 0; i < 4; i++) {
		if (others_took(w) < 5000000)
			return false;
	}
	return true;
}

bool
try_list(struct step_world *w, int64_t ns)
{
	int64_t began = step_now();
	shoal_list *list;
	bool ok = shoal_list_create(w->arena, NULL, NULL, &list) == 0 &&
	          shoal_list_destroy(w->arena, list) == 0;
	STEP_REQUIRE(w, ok, "create, destroy: %s", shoal_error());
	return step_now() - began > ns;
}
