/*
 * Named arenas made, attached, left and unlinked, killed and stopped at each instruction. The
 * driver has none of them open as an arena, so that a victim is a newcomer: it maps the file by
 * itself, to put it back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena_world.h"
#include "harness.h"

enum { THING = 600, PROCESSES = 3, TIMEOUT_MS = 300 };

/* `kept` is the file of `old` by another name, so that `old` can be had again once it is gone. */
static char old[64], new[64], kept[64];
static int kept_fd;

static const shoal_arena_options shape = { .limit_bytes = WORLD_LIMIT, .members_max = PROCESSES };
static const shoal_arena_options last = { .limit_bytes = WORLD_LIMIT,
	                                  .members_max = PROCESSES,
	                                  .flags = SHOAL_UNLINK_LAST };

static const shoal_arena_options *
options_of(const struct step_world *w)
{
	return w->shape;
}

static void
name_files(pid_t driver)
{
	snprintf(old, sizeof old, "/dev/shm/step-%d-old", (int)driver);
	snprintf(new, sizeof new, "/dev/shm/step-%d-new", (int)driver);
	snprintf(kept, sizeof kept, "/dev/shm/step-%d-kept", (int)driver);
}

static int
thing_init(void *memory, void *arg)
{
	(void)arg;
	memset(memory, 0x44, THING);
	return 0;
}

/* Under UNLINK_LAST the maker dies instead of leaving, since the arena would go with it. */
__attribute__((noreturn)) static void
make_old(struct step_world *w)
{
	shoal_arena *a = NULL;
	void *thing;
	int rc = shoal_arena_create(old, options_of(w), &a);
	if (rc == 0)
		rc = shoal_memory_create(a, "thing", THING, thing_init, NULL, &thing);
	if (rc == 0)
		rc = link(old, kept);
	if (rc == 0 && !(options_of(w)->flags & SHOAL_UNLINK_LAST))
		shoal_arena_close(a);
	_exit(rc ? 1 : 0);
}

static void
setup(struct step_world *w)
{
	int status = 1;
	struct stat file;
	name_files(getpid());
	pid_t pid = fork();
	if (pid == 0)
		make_old(w);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	kept_fd = open(kept, O_RDWR | O_CLOEXEC);
	STEP_REQUIRE(w, status == 0 && kept_fd >= 0 && fstat(kept_fd, &file) == 0, "no arena %s", old);
	size_t bytes = (size_t)file.st_size;
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, kept_fd, 0);
	STEP_REQUIRE(w, at != MAP_FAILED, "no mapping of %s", kept);
	step_watch_file(at, bytes, kept_fd);
}

static void
clean(struct step_world *w)
{
	(void)w;
	unlink(new);
	unlink(old);
	if (link(kept, old) != 0)
		perror(old);
}

static void
end(pid_t driver)
{
	name_files(driver);
	unlink(new);
	unlink(old);
	unlink(kept);
}

/* ---- what survivors demand ---- */

static shoal_arena *
must_attach(struct step_world *w, const char *name)
{
	shoal_arena *a = NULL;
	int rc;
	STEP_WITHIN(w, "attach", rc = shoal_arena_attach(name, SHOAL_MS(TIMEOUT_MS), &a));
	STEP_REQUIRE(w, rc == 0, "attach: %d, %s", rc, shoal_error());
	return a;
}

static void
use(struct step_world *w, shoal_arena *a)
{
	int rc;
	for (int i = 0; i < 3; i++) {
		void *p = NULL;
		STEP_WITHIN(w, "alloc", rc = shoal_alloc(a, i == 1 ? 70000 : 100, &p));
		STEP_REQUIRE(w, rc == 0, "alloc: %d, %s", rc, shoal_error());
		STEP_WITHIN(w, "free", shoal_free(a, p));
	}
}

static void
thing_stands(struct step_world *w, shoal_arena *a)
{
	void *p = NULL;
	size_t bytes = 0;
	int rc;
	STEP_WITHIN(w, "open", rc = shoal_memory_open(a, "thing", SHOAL_NOWAIT, &p, &bytes));
	STEP_REQUIRE(w, rc == 0, "open: %d, %s", rc, shoal_error());
	for (size_t i = 0; i < THING; i++)
		STEP_REQUIRE(w, ((unsigned char *)p)[i] == 0x44, "the object is damaged at %zu", i);
}

/* Used, left, and sound. */
static void
use_and_leave(struct step_world *w, shoal_arena *a)
{
	use(w, a);
	STEP_WITHIN(w, "close", shoal_arena_close(a));
}

static void
check_old(struct step_world *w)
{
	shoal_arena *a = must_attach(w, old);
	thing_stands(w, a);
	use_and_leave(w, a);
}

/* Two at once: with the victim's record given back, there is room for as many as ever. */
static void
crowd_old(struct step_world *w)
{
	step_meet(w, 2);
	shoal_arena *a = must_attach(w, old);
	thing_stands(w, a);
	use(w, a);
	w->part[step_me].extra = 1;
	for (int64_t began = step_now(); step_now() - began < 20000000;) {
		if (w->part[STEP_LEFT].extra && w->part[STEP_RIGHT].extra)
			break;
	}
	STEP_WITHIN(w, "close", shoal_arena_close(a));
}

static void
audit_old(struct step_world *w)
{
	w->arena = must_attach(w, old);
	arena_audit(w);
}

/* The name is free, or its arena can be used and unlinked: then it is free. */
static void
take_name(struct step_world *w, const char *name, bool may_stand)
{
	shoal_arena *a = NULL;
	int rc;
	STEP_WITHIN(w, "attach", rc = shoal_arena_attach(name, SHOAL_NOWAIT, &a));
	STEP_REQUIRE(w, rc == -ENOENT || (rc == 0 && may_stand), "attach: %d, %s", rc, shoal_error());
	if (rc == 0) {
		use_and_leave(w, a);
		STEP_WITHIN(w, "unlink", rc = shoal_arena_unlink(name));
		STEP_REQUIRE(w, rc == 0 || (rc == -ENOENT && options_of(w) == &last), "unlink: %d, %s", rc,
		             shoal_error());
	}
	STEP_WITHIN(w, "create", rc = shoal_arena_create(name, options_of(w), &a));
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
	w->arena = a;
	use(w, a);
	STEP_REQUIRE(w, shoal_arena_check(a, NULL) == 0, "the new arena is not sound");
	STEP_WITHIN(w, "unlink", rc = shoal_arena_unlink(name));
	STEP_REQUIRE(w, rc == 0, "unlink: %d, %s", rc, shoal_error());
}

/*
 * What the victim did stands, unless a second one came, who may have made or removed the same name.
 */
static bool
is_as_told(const struct step_world *w)
{
	return w->part[STEP_VICTIM].done && !w->part[STEP_SECOND].inside;
}

static void
check_create(struct step_world *w)
{
	const struct step_part *part = &w->part[STEP_VICTIM];
	/* Under UNLINK_LAST it ends with the victim. */
	if (options_of(w) == &shape) {
		if (is_as_told(w) && part->result == 0)
			use_and_leave(w, must_attach(w, new));
		check_old(w);
	}
	take_name(w, new, true);
}

static void
check_gone(struct step_world *w)
{
	take_name(w, old, !is_as_told(w));
}

/* Several at once may find an arena dead, and another one's new one in its place. */
static void
crowd_create(struct step_world *w, const char *name)
{
	shoal_arena_options options = *options_of(w);
	shoal_arena *a = NULL;
	int rc;
	options.flags |= SHOAL_OR_ATTACH;
	step_meet(w, 2);
	STEP_WITHIN(w, "create or attach", rc = shoal_arena_create(name, &options, &a));
	STEP_REQUIRE(w, rc == 0, "create or attach: %d, %s", rc, shoal_error());
	use_and_leave(w, a);
}

static void
crowd_create_new(struct step_world *w)
{
	crowd_create(w, new);
}

static void
crowd_create_old(struct step_world *w)
{
	crowd_create(w, old);
}

/* ---- what the victim does ---- */

static shoal_arena *mine;

static void
attach_op(struct step_world *w)
{
	step_mine(w)->result = shoal_arena_attach(old, SHOAL_NOWAIT, &mine);
}

static void
attach_fd_op(struct step_world *w)
{
	step_mine(w)->result = shoal_arena_attach_fd(kept_fd, &mine);
}

static void
attach_readonly_op(struct step_world *w)
{
	shoal_arena_info info;
	int rc = shoal_arena_attach_readonly(old, SHOAL_NOWAIT, &mine);
	if (rc == 0)
		rc = shoal_arena_stat(mine, &info);
	step_mine(w)->result = rc;
}

static void
attached(struct step_world *w)
{
	attach_op(w);
	if (mine)
		shoal_free(mine, shoal_new(mine, 64));
}

static void
close_op(struct step_world *w)
{
	shoal_arena_close(mine);
	step_mine(w)->result = 0;
}

static void
unlink_op(struct step_world *w)
{
	step_mine(w)->result = shoal_arena_unlink(old);
}

static void
create_op(struct step_world *w)
{
	step_mine(w)->result = shoal_arena_create(new, options_of(w), &mine);
}

/* The old one is over, since its maker died: it is removed, and made anew. */
static void
create_over_op(struct step_world *w)
{
	step_mine(w)->result = shoal_arena_create(old, options_of(w), &mine);
}

/* The only one in it. */
static void
attached_alone(struct step_world *w)
{
	create_over_op(w);
	STEP_REQUIRE(w, mine, "create: %s", shoal_error());
	shoal_free(mine, shoal_new(mine, 64));
}

static void
check_op(struct step_world *w)
{
	step_mine(w)->result = shoal_arena_check(mine, NULL);
}

static void
meet_attach(struct step_world *w)
{
	attach_op(w);
}

/* Whoever comes next makes the name's arena, or joins it. */
static void
meet_at(struct step_world *w, const char *name)
{
	shoal_arena_options options = *options_of(w);
	options.flags |= SHOAL_OR_ATTACH;
	step_mine(w)->result = shoal_arena_create(name, &options, &mine);
}

static void
meet_new(struct step_world *w)
{
	meet_at(w, new);
}

static void
meet_old(struct step_world *w)
{
	meet_at(w, old);
}

/* And the one who removes it. */
static void
meet_unlink_new(struct step_world *w)
{
	step_mine(w)->result = shoal_arena_unlink(new);
}

static void
meet_unlink_old(struct step_world *w)
{
	step_mine(w)->result = shoal_arena_unlink(old);
}

/* ---- whom a stopped one may hold up ---- */

static bool
try_attach(struct step_world *w, int64_t ns)
{
	shoal_arena *a = NULL;
	int64_t began = step_now();
	int rc = shoal_arena_attach(old, ns, &a);
	if (rc != 0)
		return true;
	use_and_leave(w, a);
	return step_now() - began > ns;
}

/* Its name is not removed at the end, so that the same is tried by the next. */
static bool
try_create(struct step_world *w, int64_t ns)
{
	shoal_arena_options options = *options_of(w);
	shoal_arena *a = NULL;
	int64_t began = step_now();
	options.flags |= SHOAL_OR_ATTACH;
	int rc = shoal_arena_create(old, &options, &a);
	if (rc != 0)
		return true;
	use_and_leave(w, a);
	return step_now() - began > ns;
}

#define NAMED(shape_, check_, crowd_, audit_, ...) \
	.shape = &shape_, .setup = setup, .clean = clean, .end = end, .check = check_, \
	.crowd = crowd_, .audit = audit_, __VA_ARGS__
#define ATTACH(...) \
	NAMED(shape, check_old, crowd_old, audit_old, .meet = { meet_attach }, \
	      .role = { { "attach", try_attach } }, __VA_ARGS__)

STEP_CASE(named, attach, ATTACH(.op = attach_op))
STEP_CASE(named, attach_fd, ATTACH(.op = attach_fd_op))
STEP_CASE(named, attach_readonly, ATTACH(.op = attach_readonly_op))
STEP_CASE(named, check, ATTACH(.prepare = attached, .op = check_op))
STEP_CASE(named, close, ATTACH(.prepare = attached, .op = close_op))
STEP_CASE(named, unlink,
          NAMED(shape, check_gone, NULL, NULL, .op = unlink_op, .unwatched = true,
                .meet = { meet_old, meet_unlink_old, meet_attach }))
STEP_CASE(named, create,
          NAMED(shape, check_create, crowd_create_new, NULL, .op = create_op, .unwatched = true,
                .meet = { meet_new, meet_unlink_new }))

/* The last one to leave takes the name away. */
STEP_CASE(named, create_last,
          NAMED(last, check_create, crowd_create_new, NULL, .op = create_op, .unwatched = true,
                .meet = { meet_new, meet_unlink_new }))
STEP_CASE(named, create_over,
          NAMED(last, check_gone, crowd_create_old, NULL, .op = create_over_op, .unwatched = true,
                .meet = { meet_old, meet_unlink_old, meet_attach }))
STEP_CASE(named, close_last,
          NAMED(last, check_gone, crowd_create_old, NULL, .prepare = attached_alone,
                .op = close_op, .unwatched = true, .role = { { "create", try_create } },
                .meet = { meet_old, meet_unlink_old, meet_attach }))
