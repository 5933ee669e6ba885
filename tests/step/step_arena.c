/* Memory, membership and recovery in an arena, killed and stopped at each instruction. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena_world.h"
#include "base/thread.h"
#include "harness.h"

#include <shoal/queue.h>

enum { SMALL = 100, LARGE = 70000, HUGE_BYTES = 1200000 };

/*
 * object[0] and [1]: blocks of these sizes that the driver allocated; [2]: one that the victim has
 * in use, and an old slot of its magazine names.
 */
enum { FOREIGN_SMALL, FOREIGN_LARGE, STALE, OBJECTS };

static void
setup(struct step_world *w)
{
	arena_world(w);
	w->object[FOREIGN_SMALL] = shoal_new(w->arena, SMALL);
	w->object[FOREIGN_LARGE] = shoal_new(w->arena, LARGE);
	STEP_REQUIRE(w, w->object[FOREIGN_SMALL] && w->object[FOREIGN_LARGE], "no memory");
	memset(w->object[FOREIGN_SMALL], 0x5a, SMALL);
	memset(w->object[FOREIGN_LARGE], 0x5a, LARGE);
}

/* Nothing is free but what lies ready with the driver: IDLE runs. */
enum { IDLE = 3, IDLE_BYTES = 1000000 };

static void
setup_idle(struct step_world *w)
{
	void *idle[IDLE], *rest;
	setup(w);
	for (int i = 0; i < IDLE; i++) {
		idle[i] = shoal_new(w->arena, IDLE_BYTES);
		STEP_REQUIRE(w, idle[i], "no memory");
	}
	while (shoal_alloc(w->arena, LARGE, &rest) == 0 || shoal_alloc(w->arena, 65536, &rest) == 0)
		continue;
	for (int i = 0; i < IDLE; i++)
		shoal_free(w->arena, idle[i]);
}

static void **
victims_block(struct step_world *w)
{
	return &w->part[STEP_VICTIM].pointer;
}

static void
use(struct step_world *w, size_t bytes)
{
	unsigned char *p = NULL;
	int rc;
	STEP_WITHIN(w, "alloc", rc = shoal_alloc(w->arena, bytes, (void **)&p));
	STEP_REQUIRE(w, rc == 0, "alloc of %zu: %d, %s", bytes, rc, shoal_error());
	for (size_t i = 0; i < bytes; i++)
		STEP_REQUIRE(w, p[i] == 0, "a block of %zu is not zeroed at %zu", bytes, i);
	memset(p, 0x77, bytes);
	STEP_WITHIN(w, "free", shoal_free(w->arena, p));
}

static void
use_all(struct step_world *w)
{
	for (int i = 0; i < 3; i++) {
		use(w, SMALL);
		use(w, LARGE);
		use(w, 3000);
	}
}

static void
unharmed(struct step_world *w, int which, size_t bytes)
{
	const unsigned char *p = w->object[which];
	for (size_t i = 0; i < bytes; i++)
		STEP_REQUIRE(w, p[i] == 0x5a, "another's block of %zu was overwritten at %zu", bytes, i);
}

/*
 * A block that its user, now dead, had got and not given back is the user's leak, not the
 * library's.
 */
static void
check_alloc(struct step_world *w)
{
	const struct step_part *part = &w->part[STEP_VICTIM];
	void *block = *victims_block(w);
	use_all(w);
	unharmed(w, FOREIGN_SMALL, SMALL);
	unharmed(w, FOREIGN_LARGE, LARGE);
	if (part->done && part->result == 0 && block)
		shoal_free(w->arena, block);
	else
		w->spare = block != NULL;
}

/* Nobody gets what the victim has in use, whatever became of the victim. */
static void
check_stale(struct step_world *w)
{
	enum { MOST = 1024 };
	void *block[MOST], *stale = w->object[STALE];
	int n = 0;
	while (n < MOST && shoal_alloc(w->arena, LARGE, &block[n]) == 0)
		n++;
	for (int i = 0; i < n; i++)
		STEP_REQUIRE(w, block[i] != stale, "a block in use was given out again");
	while (n--)
		shoal_free(w->arena, block[n]);
	if (stale)
		shoal_free(w->arena, stale);
	w->object[STALE] = NULL;
	check_alloc(w);
}

/*
 * In a run without a victim it is the checker that frees, so that base is the arena without that
 * block.
 */
static void
check_free(struct step_world *w, void *block)
{
	const struct step_part *part = &w->part[STEP_VICTIM];
	use_all(w);
	if (!w->base_known)
		shoal_free(w->arena, block);
	else
		w->spare = !part->done;
}

static void
check_free_small(struct step_world *w)
{
	check_free(w, w->object[FOREIGN_SMALL]);
	unharmed(w, FOREIGN_LARGE, LARGE);
}

static void
check_free_large(struct step_world *w)
{
	check_free(w, w->object[FOREIGN_LARGE]);
	unharmed(w, FOREIGN_SMALL, SMALL);
}

static void
check_free_own(struct step_world *w)
{
	use_all(w);
	unharmed(w, FOREIGN_SMALL, SMALL);
	w->spare = w->base_known && !w->part[STEP_VICTIM].done;
}

static void
check_use(struct step_world *w)
{
	use_all(w);
	unharmed(w, FOREIGN_SMALL, SMALL);
	unharmed(w, FOREIGN_LARGE, LARGE);
}

/* The first call is an alloc, whose block is the user's until it is freed. */
static void
check_join(struct step_world *w)
{
	check_use(w);
	w->spare = w->base_known && !w->part[STEP_VICTIM].done;
}

static void
crowd(struct step_world *w)
{
	step_meet(w, 2);
	use_all(w);
}

/* ---- what the victim does ---- */

static void
alloc_of(struct step_world *w, size_t bytes)
{
	step_mine(w)->result = shoal_alloc(w->arena, bytes, victims_block(w));
}

static void
alloc_small_op(struct step_world *w)
{
	alloc_of(w, SMALL);
}

static void
alloc_large_op(struct step_world *w)
{
	alloc_of(w, LARGE);
}

static void
alloc_huge_op(struct step_world *w)
{
	alloc_of(w, HUGE_BYTES);
}

/* No block of this class was ever taken: a page is cut up. */
static void
alloc_first_op(struct step_world *w)
{
	alloc_of(w, 3000);
}

static void
own_small(struct step_world *w)
{
	alloc_of(w, SMALL);
}

static void
own_large(struct step_world *w)
{
	arena_join(w);
	alloc_of(w, LARGE);
}

/* In a process of its own: takes all, also what lies ready with the victim, and keeps that. */
static int
take_from_victim(struct step_world *w, void *theirs)
{
	enum { MOST = 1024 };
	void *block[MOST];
	int n = 0, kept = 0;
	while (n < MOST && shoal_alloc(w->arena, LARGE, &block[n]) == 0)
		n++;
	while (n--) {
		if (block[n] == theirs)
			kept = 1;
		else
			shoal_free(w->arena, block[n]);
	}
	return kept ? 0 : 1;
}

/* A run of the victim's went to another one, came back, and is in use: its first slot names it. */
static void
use_what_an_old_slot_names(struct step_world *w)
{
	void *block = shoal_new(w->arena, LARGE);
	int status = 1;
	shoal_free(w->arena, block);
	pid_t pid = fork();
	if (pid == 0)
		_exit(take_from_victim(w, block));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	STEP_REQUIRE(w, status == 0, "the other one did not get the victim's run");
	shoal_free(w->arena, block);
	w->object[STALE] = shoal_new(w->arena, LARGE);
	STEP_REQUIRE(w, w->object[STALE] == block, "the victim's run did not come back");
}

static void
free_own_op(struct step_world *w)
{
	shoal_free(w->arena, *victims_block(w));
}

static void
free_small_op(struct step_world *w)
{
	shoal_free(w->arena, w->object[FOREIGN_SMALL]);
}

static void
free_large_op(struct step_world *w)
{
	shoal_free(w->arena, w->object[FOREIGN_LARGE]);
}

/* As in a signal handler inside another call. */
static void
free_nested_op(struct step_world *w)
{
	thread_here->busy = 1;
	shoal_free(w->arena, w->object[FOREIGN_SMALL]);
	thread_here->busy = 0;
}

/* So many that the magazine overflows and half of it goes back. */
static void
fill_magazine(struct step_world *w)
{
	void *block[40] = { 0 };
	for (int i = 0; i < 40; i++)
		block[i] = shoal_new(w->arena, SMALL);
	alloc_of(w, SMALL);
	for (int i = 0; i < 40; i++)
		shoal_free(w->arena, block[i]);
	for (int i = 0; i < 40; i++)
		block[i] = shoal_new(w->arena, SMALL);
	for (int i = 0; i < 31; i++)
		shoal_free(w->arena, block[i]);
	for (int i = 31; i < 40; i++)
		shoal_free(w->arena, block[i]);
}

static void
join_op(struct step_world *w)
{
	arena_join(w);
}

static void
leave_op(struct step_world *w)
{
	(void)w;
}

static void
close_op(struct step_world *w)
{
	shoal_arena_close(w->arena);
}

static void
recover_op(struct step_world *w)
{
	step_mine(w)->result = shoal_arena_recover(w->arena);
}

static void
look_op(struct step_world *w)
{
	shoal_arena_info info;
	shoal_object_info object;
	uint64_t cursor = 0;
	int rc = shoal_arena_stat(w->arena, &info);
	while (shoal_arena_next(w->arena, &cursor, &object) > 0)
		;
	step_mine(w)->result = rc;
}

#define SURVIVORS(check_) \
	.setup = setup, .check = check_, .crowd = crowd, .audit = arena_audit, \
	.meet_prepare = arena_join, \
	.meet = { meet_recover, meet_recover }, .role = { { "others", try_others } }
#define ALLOC(prepare_, op_) SURVIVORS(check_alloc), .prepare = prepare_, .op = op_
#define FREE(check_, prepare_, op_) SURVIVORS(check_), .prepare = prepare_, .op = op_

STEP_CASE(arena, alloc_small, ALLOC(arena_join, alloc_small_op))
STEP_CASE(arena, alloc_large, ALLOC(arena_join, alloc_large_op))
STEP_CASE(arena, alloc_huge, ALLOC(arena_join, alloc_huge_op))
STEP_CASE(arena, alloc_idle, ALLOC(arena_join, alloc_huge_op), .setup = setup_idle)
STEP_CASE(arena, alloc_stale, SURVIVORS(check_stale), .prepare = use_what_an_old_slot_names,
          .op = alloc_large_op)
STEP_CASE(arena, alloc_first, ALLOC(arena_join, alloc_first_op))
STEP_CASE(arena, free_own_small, FREE(check_free_own, own_small, free_own_op))
STEP_CASE(arena, free_own_large, FREE(check_free_own, own_large, free_own_op))
STEP_CASE(arena, free_own_full, FREE(check_free_own, fill_magazine, free_own_op))
STEP_CASE(arena, free_small, FREE(check_free_small, arena_join, free_small_op))
STEP_CASE(arena, free_nested, FREE(check_free_small, arena_join, free_nested_op))
STEP_CASE(arena, free_large, FREE(check_free_large, arena_join, free_large_op))
STEP_CASE(arena, free_unjoined, FREE(check_free_small, NULL, free_small_op))
STEP_CASE(arena, join, SURVIVORS(check_join), .op = join_op)
STEP_CASE(arena, leave, SURVIVORS(check_use), .prepare = arena_join, .op = leave_op, .thread = true)
STEP_CASE(arena, close, SURVIVORS(check_use), .prepare = arena_join, .op = close_op)
STEP_CASE(arena, look, SURVIVORS(check_use), .prepare = arena_join, .op = look_op)

/* ---- recovery of one who died with everything that a member can hold ---- */

static void
die_rich(struct step_world *w, shoal_queue *q)
{
	shoal_loan loan, more;
	char message[300] = "m";
	arena_join(w);
	bool ok = shoal_queue_put(q, message, 40, SHOAL_NOWAIT) == 0 &&
	          shoal_queue_put(q, message, 300, SHOAL_NOWAIT) == 0;
	ok = ok && shoal_queue_borrow(q, SHOAL_NOWAIT, &loan) == 0 &&
	     shoal_queue_borrow(q, SHOAL_NOWAIT, &loan) == 0;
	ok = ok && shoal_queue_reserve(q, 500, SHOAL_NOWAIT, &more) == 0;
	_exit(ok ? 0 : 1);
}

static void
setup_dead(struct step_world *w)
{
	shoal_queue_options options = { .capacity = 4, .slot_bytes = 48 };
	shoal_queue *q = NULL;
	int status = 1;
	setup(w);
	STEP_REQUIRE(w, shoal_queue_create(w->arena, "q", &options, &q) == 0, "%s", shoal_error());
	pid_t pid = fork();
	if (pid == 0)
		die_rich(w, q);
	/* The driver's alarm may interrupt it. */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	STEP_REQUIRE(w, status == 0, "the one that dies first could not do its work");
}

STEP_CASE(arena, recover, .setup = setup_dead, .check = check_use, .crowd = crowd,
          .audit = arena_audit, .prepare = NULL, .op = recover_op, .meet_prepare = NULL,
          .meet = { meet_recover, meet_recover }, .role = { { "others", try_others } })
