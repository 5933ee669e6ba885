/* Start methods: what a process knows that executes the program again; functions with names. */
#include "outside.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What goes along: a reference, since a pointer means nothing there, and a number. */
struct parcel {
	shoal_ref answers;
	int number;
};

struct answer {
	int number, variable;
	bool of_parent; /* whether its parent is who started it */
};

static int variable;

static int
answer(void *arg)
{
	const struct parcel *parcel = arg;
	const struct answer is = { parcel->number, variable,
		                       shoal_process_pid(shoal_process_parent()) == getppid() };
	shoal_queue *q;
	CHECK(shoal_queue_at(shoal_process_arena(0), parcel->answers, &q) == 0);
	CHECK(!strcmp(shoal_process_name(shoal_process_current()), "far"));
	return shoal_queue_put(q, &is, sizeof is, SHOAL_SEC(5));
}

static int
by_name(void *arg)
{
	((struct parcel *)arg)->number *= 2;
	return answer(arg);
}
SHOAL_ENTRY(outside_by_name, by_name);

/* In each execution: loads a library that has the name too, and unloads it, as it is told. */
__attribute__((constructor)) static void
load(void)
{
	const char *path = getenv("OUTSIDE_LOADS");
	void *library = path ? dlopen(path, RTLD_NOW) : NULL;
	CHECK(!path || library);
	if (library && getenv("OUTSIDE_UNLOADS"))
		CHECK(dlclose(library) == 0);
}

static int
start(int (*run)(void *), shoal_start_method method, shoal_arena *arena, shoal_queue *answers)
{
	const struct parcel parcel = { shoal_ref_of(arena, answers), 21 };
	shoal_arena *const given[] = { arena };
	const shoal_process_options o = { .name = "far",
		                              .method = method,
		                              .arg_bytes = sizeof parcel,
		                              .arenas = given,
		                              .arena_count = 1 };
	shoal_process *p;
	int code, rc = shoal_process_spawn(run, (void *)&parcel, &o, &p);
	if (rc < 0)
		return rc;
	CHECK(shoal_process_join(p, SHOAL_SEC(10)) == 0);
	CHECK(shoal_process_exitcode(p, &code) == 0 && code == 0 && shoal_process_close(p) == 0);
	return 0;
}

static struct answer
answered(shoal_queue *q)
{
	struct answer is;
	CHECK(shoal_queue_get(q, &is, sizeof is, SHOAL_NOWAIT) == sizeof is);
	return is;
}

/* Only fork has this process's variables; only the fork server's children have another parent. */
static void
methods(shoal_arena *arena, shoal_queue *q)
{
	const shoal_process_options no_copy = { .method = SHOAL_SPAWN };
	struct answer is;
	variable = 5;
	CHECK(start(answer, SHOAL_FORK, arena, q) == 0);
	is = answered(q);
	CHECK(is.number == 21 && is.variable == 5 && is.of_parent);
	CHECK(start(answer, SHOAL_FORKSERVER, arena, q) == 0);
	is = answered(q);
	CHECK(is.number == 21 && is.variable == 0 && !is.of_parent);
	CHECK(start(answer, SHOAL_SPAWN, arena, q) == 0);
	is = answered(q);
	CHECK(is.number == 21 && is.variable == 0 && is.of_parent);
	CHECK(shoal_process_spawn(answer, q, &no_copy, NULL) == -EINVAL);

	CHECK(shoal_start_method_get() == SHOAL_FORK && shoal_start_method_set(SHOAL_SPAWN) == 0);
	CHECK(shoal_start_method_set(SHOAL_FORK) == -EALREADY);
	CHECK(shoal_start_method_get() == SHOAL_SPAWN);
	CHECK(start(answer, SHOAL_START_DEFAULT, arena, q) == 0 && answered(q).variable == 0);
	CHECK(shoal_start_method_set(SHOAL_START_DEFAULT) == 0);
	CHECK(shoal_start_method_get() == SHOAL_FORK);
}

/* A name leads to its function while it is one function's: a library's goes with the library. */
static void
names(shoal_arena *arena, shoal_queue *q)
{
	char path[1024];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof ".so");
	CHECK(n > 0 && (size_t)n < sizeof path - sizeof ".so");
	strcpy(path + n, ".so");
	CHECK(start(by_name, SHOAL_SPAWN, arena, q) == 0 && answered(q).number == 42);
	CHECK(setenv("OUTSIDE_LOADS", path, 1) == 0);
	CHECK(start(by_name, SHOAL_SPAWN, arena, q) == -EEXIST);
	CHECK(strstr(shoal_error(), "outside_by_name") && shoal_queue_empty(q));
	CHECK(setenv("OUTSIDE_UNLOADS", "1", 1) == 0);
	CHECK(start(by_name, SHOAL_SPAWN, arena, q) == 0 && answered(q).number == 42);
	CHECK(unsetenv("OUTSIDE_LOADS") == 0 && unsetenv("OUTSIDE_UNLOADS") == 0);
}

void
starts(shoal_arena *arena)
{
	shoal_queue *q;
	CHECK(shoal_queue_create(arena, NULL, NULL, &q) == 0);
	methods(arena, q);
	names(arena, q);
	CHECK(shoal_queue_destroy(arena, q) == 0);
}
