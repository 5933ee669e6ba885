/* What the tests of this floor share. */
#ifndef TESTS_ARENA_COMMON_H
#define TESTS_ARENA_COMMON_H

#include "arena/arena.h"
#include "harness.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Asks for the code, and for a sentence that has the word in it. */
#define REQUIRE_FAILS(call, code, word) \
	do { \
		REQUIRE_EQ(call, code); \
		if (!strstr(shoal_error(), word)) \
			test_fail(__FILE__, __LINE__, "the sentence lacks '%s'", word); \
	} while (0)

static const shoal_arena_options small __attribute__((unused)) = {
	.limit_bytes = 4 << 20, .members_max = 16,
};

/* A name that no other test has. The next call reuses it. */
static inline const char *
test_name(void)
{
	static char name[32];
	static int n;
	snprintf(name, sizeof name, "test-%d-%d", (int)getpid(), n++);
	return name;
}

static inline const char *
path_of(const char *name)
{
	static char path[128];
	snprintf(path, sizeof path, "/dev/shm/shoal-%u/%s", (unsigned)geteuid(), name);
	return path;
}

static inline bool
exists(const char *name)
{
	struct stat s;
	return lstat(path_of(name), &s) == 0;
}

static inline shoal_arena *
create(const char *name, const shoal_arena_options *o)
{
	shoal_arena *a;
	REQUIRE_EQ(shoal_arena_create(name, o, &a), 0);
	return a;
}

static inline shoal_arena *
attach(const char *name)
{
	shoal_arena *a;
	REQUIRE_EQ(shoal_arena_attach(name, SHOAL_SEC(5), &a), 0);
	return a;
}

#endif
