/*
 * Processes started, waited for and ended, killed at each instruction: what they share is an arena
 * that both use, and the page through which the child tells its exit code. Whatever becomes of the
 * parent, its child ends by itself, and the arena stays whole.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena_world.h"
#include "harness.h"
#include "process/again.h"

#include <shoal/process.h>

enum { CODE = 7, ORPHAN_NS = 1000000000 };

/* ---- orphans ---- */

static pid_t driver;

/* One that ended and was not reaped yet has no memory any more. */
static bool
runs(pid_t pid)
{
	char path[64], text[256] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "r");
	if (!file)
		return false;
	size_t n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	const char *state = n ? strrchr(text, ')') : NULL;
	return state && state[1] == ' ' && state[2] != 'Z' && state[2] != 'X';
}

/* A child of the driver's that is not this process: the driver adopts what the dead leave. */
static pid_t
orphan(void)
{
	char path[64], text[1000] = "";
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)driver, (int)driver);
	FILE *file = fopen(path, "r");
	if (!file)
		return 0;
	size_t n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = 0;
	for (char *at = text, *next; (n = strtoul(at, &next, 10)) > 0; at = next) {
		if ((pid_t)n != getpid() && runs((pid_t)n))
			return (pid_t)n;
	}
	return 0;
}

/* The list leaves some out while others end: twice it must be empty. */
static void
no_orphans(struct step_world *w)
{
	pid_t pid = 0;
	int64_t began = step_now();
	for (int none = 0; none < 2 && step_now() - began < ORPHAN_NS;) {
		pid = orphan();
		none = pid ? 0 : none + 1;
		usleep(200);
	}
	STEP_REQUIRE(w, !pid, "the dead one's child does not end");
}

/*
 * In the driver, who has adopted them: an orphan of the last run would write into the memory that
 * is put back for the next one.
 */
static void
clean(struct step_world *w)
{
	pid_t pid;
	int64_t began = step_now();
	(void)w;
	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 && step_now() - began < ORPHAN_NS)
		if (pid == 0)
			usleep(200);
}

static void
setup(struct step_world *w)
{
	driver = getpid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	arena_world(w);
}

/* ---- what the victim does ---- */

static shoal_process *started_one;
static shoal_arena *arena;

static int
child_run(void *arg)
{
	shoal_arena *a = arg;
	shoal_free(a, shoal_new(a, 100));
	return CODE;
}

static void
create(struct step_world *w)
{
	arena_join(w);
	arena = w->arena;
	int rc = shoal_process_create(child_run, arena, NULL, &started_one);
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
}

static void
start_op(struct step_world *w)
{
	step_mine(w)->result = shoal_process_start(started_one);
}

/* One that inherits nothing has the arena from its options. */
static int
sent_run(void *arg)
{
	(void)arg;
	return child_run(shoal_process_arena(0));
}

static void
create_by(struct step_world *w, shoal_start_method method)
{
	arena_join(w);
	arena = w->arena;
	again_possible(); /* it looks once, at all modules, and shares nothing */
	shoal_process_options o = { .method = method, .arg_bytes = 1, .arenas = &arena,
		                    .arena_count = 1 };
	int rc = shoal_process_create(sent_run, "", &o, &started_one);
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
}

static void
create_by_spawn(struct step_world *w)
{
	create_by(w, SHOAL_SPAWN);
}

/* The server is made by the operation. */
static void
create_first(struct step_world *w)
{
	create_by(w, SHOAL_FORKSERVER);
}

/* The server is there. */
static void
create_next(struct step_world *w)
{
	create_first(w);
	int rc = shoal_process_start(started_one);
	STEP_REQUIRE(w, rc == 0, "start: %d, %s", rc, shoal_error());
	shoal_process_join(started_one, SHOAL_FOREVER);
	shoal_process_close(started_one);
	create_first(w);
}

static void
started_by_server(struct step_world *w)
{
	create_first(w);
	start_op(w);
	STEP_REQUIRE(w, step_mine(w)->result == 0, "start: %s", shoal_error());
}

static void
started(struct step_world *w)
{
	create(w);
	start_op(w);
	STEP_REQUIRE(w, step_mine(w)->result == 0, "start: %s", shoal_error());
}

static void
must_join(struct step_world *w)
{
	int code = -1, rc = shoal_process_join(started_one, SHOAL_SEC(1));
	STEP_REQUIRE(w, rc == 0, "join: %d, %s", rc, shoal_error());
	rc = shoal_process_exitcode(started_one, &code);
	STEP_REQUIRE(w, rc == 0 && code == CODE, "exit code: %d, %d", rc, code);
}

static void
start_after(struct step_world *w)
{
	STEP_REQUIRE(w, step_mine(w)->result == 0, "start: %d", (int)step_mine(w)->result);
	must_join(w);
}

static void
join_op(struct step_world *w)
{
	int code = 0;
	step_mine(w)->result = shoal_process_join(started_one, SHOAL_SEC(1));
	shoal_process_exitcode(started_one, &code);
	shoal_process_children(NULL, 0);
}

static void
terminate_op(struct step_world *w)
{
	step_mine(w)->result = shoal_process_terminate(started_one);
	shoal_process_kill(started_one);
	shoal_process_signal(started_one, 0);
}

static void
spawn_op(struct step_world *w)
{
	step_mine(w)->result = shoal_process_spawn(child_run, w->arena, NULL, &started_one);
}

/* With a block in use, which its user leaks; its magazines and its record go back. */
static void
rich(struct step_world *w)
{
	arena_join(w);
	for (int i = 0; i < 5; i++)
		shoal_free(w->arena, shoal_new(w->arena, (size_t)50 << i));
}

static void
exit_op(struct step_world *w)
{
	(void)w;
	shoal_process_exit(CODE);
}

/* ---- what survivors demand ---- */

static void
check(struct step_world *w)
{
	no_orphans(w);
	for (int i = 0; i < 3; i++) {
		void *p = NULL;
		int rc;
		STEP_WITHIN(w, "alloc", rc = shoal_alloc(w->arena, i == 1 ? 70000 : 100, &p));
		STEP_REQUIRE(w, rc == 0, "alloc: %d, %s", rc, shoal_error());
		STEP_WITHIN(w, "free", shoal_free(w->arena, p));
	}
}

/* What a child that was killed with a block in its hand had got is its user's. */
static void
check_terminated(struct step_world *w)
{
	check(w);
	w->spare = w->base_known;
}

#define PROCESSES(check_, ...) \
	.setup = setup, .clean = clean, .check = check_, .audit = arena_audit, \
	.meet_prepare = arena_join, .meet = { meet_recover, meet_recover }, __VA_ARGS__
#define STARTS PROCESSES(check, .unwatched = true, .stepped = true)

STEP_CASE(process, start, STARTS, .prepare = create, .op = start_op, .after = start_after)
STEP_CASE(process, spawn, STARTS, .prepare = arena_join, .op = spawn_op, .after = start_after)
STEP_CASE(process, join, STARTS, .prepare = started, .op = join_op, .after = must_join)
/* Each kill executes the program once more, for half a minute in all. */
STEP_FULL_CASE(process, start_by_spawn, STARTS, .prepare = create_by_spawn, .op = start_op,
               .after = start_after)
STEP_FULL_CASE(process, start_first_by_server, STARTS, .prepare = create_first, .op = start_op,
               .after = start_after)
STEP_CASE(process, start_next_by_server, STARTS, .prepare = create_next, .op = start_op,
          .after = start_after)
STEP_CASE(process, join_by_server, STARTS, .prepare = started_by_server, .op = join_op,
          .after = must_join)
STEP_CASE(process, terminate, PROCESSES(check_terminated, .unwatched = true, .stepped = true),
          .prepare = started, .op = terminate_op)
STEP_CASE(process, exit, PROCESSES(check, .crowd = NULL), .prepare = rich, .op = exit_op,
          .started = true,
          .role = { { "others", try_others } })
