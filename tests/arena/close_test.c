/* Arenas that are closed by a thread that holds locks in them. */
#include "common.h"
#include "arena/close.h"
#include "steps.h"
#include <pthread.h>
#include <shoal/sync.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

struct scene {
	shoal_arena *arena;
	shoal_lock *lock;
	shoal_lock *elsewhere;
	volatile bool *done;
};

static struct scene
set_the_scene(void)
{
	struct scene s = { .arena = create(NULL, &small), .done = shared(1) };
	s.elsewhere = shared(sizeof *s.elsewhere);
	REQUIRE_EQ(shoal_lock_create(s.arena, "lock", 0, &s.lock), 0);
	return s;
}

/* The lock of the arena stands before the other one on the list that the kernel walks. */
static void
close_holding(const struct scene *s)
{
	REQUIRE_EQ(shoal_lock_acquire(s->elsewhere, 0), 0);
	REQUIRE_EQ(shoal_lock_acquire(s->lock, 0), 0);
	shoal_arena_close(s->arena);
}

static int
close_holding_and_die(void *arg)
{
	close_holding(arg);
	raise(SIGKILL);
	return 0;
}

static void
both_are_told(const struct scene *s)
{
	int64_t start = fair_ns();
	REQUIRE_EQ(shoal_lock_acquire(s->lock, SHOAL_SEC(2)), -EOWNERDEAD);
	REQUIRE_EQ(shoal_lock_acquire(s->elsewhere, SHOAL_SEC(2)), -EOWNERDEAD);
	REQUIRE(fair_ns() - start < SHOAL_MS(100) * HARNESS_SLOW);
	REQUIRE_EQ(shoal_lock_consistent(s->lock), 0);
	REQUIRE_EQ(shoal_lock_release(s->lock), 0);
	REQUIRE_EQ(shoal_lock_consistent(s->elsewhere), 0);
	REQUIRE_EQ(shoal_lock_release(s->elsewhere), 0);
}

Test(close, locks_held_over_it_are_given_back_at_a_death)
{
	struct scene s = set_the_scene();
	expect_killed(child(close_holding_and_die, &s), SIGKILL, 2000);
	both_are_told(&s);
	shoal_arena_close(s.arena);
}

static void *
close_holding_and_end(void *arg)
{
	close_holding(arg);
	return NULL;
}

static int
live_on(void *arg)
{
	struct scene *s = arg;
	pthread_t p;
	REQUIRE_EQ(pthread_create(&p, NULL, close_holding_and_end, s), 0);
	pthread_join(p, NULL);
	*s->done = true;
	for (;;)
		pause();
	return 0;
}

Test(close, locks_held_over_it_are_given_back_when_the_thread_ends)
{
	struct scene s = set_the_scene();
	pid_t pid = child(live_on, &s);
	for (int i = 0; i < 2000 * HARNESS_SLOW && !*s.done; i++)
		sleep_ms(1);
	REQUIRE(*s.done);
	both_are_told(&s);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 2000);
	shoal_arena_close(s.arena);
}

static void
keep_line(void *arg, int level, const char *line)
{
	if (level == 2)
		snprintf(arg, 256, "%s", line);
}

static void *
close_and_release(void *arg)
{
	const struct scene *s = arg;
	char line[256] = "";
	shoal_log_set(2, keep_line, line);
	close_holding(s);
	shoal_log_set(0, NULL, NULL);
	REQUIRE(strstr(line, "holds locks in it"));
	REQUIRE_EQ(shoal_lock_release(s->lock), 0);
	REQUIRE_EQ(shoal_lock_release(s->elsewhere), 0);
	return NULL;
}

static int
is_mapped(const void *p)
{
	const uintptr_t page = (uintptr_t)p & ~(uintptr_t)4095;
	unsigned char in;
	return mincore((void *)page, 4096, &in) == 0;
}

static int
see_it_go(void *arg)
{
	struct scene *s = arg;
	pthread_t p;
	REQUIRE_EQ(pthread_create(&p, NULL, close_and_release, s), 0);
	pthread_join(p, NULL);
	REQUIRE(!is_mapped(s->lock));
	return 0;
}

Test(close, locks_held_over_it_can_be_released_and_then_it_goes_with_the_thread)
{
	struct scene s = set_the_scene();
	expect_child(child(see_it_go, &s), 0, 5000);
	REQUIRE_EQ(shoal_lock_acquire(s.lock, 0), 0);
	REQUIRE_EQ(shoal_lock_release(s.lock), 0);
	shoal_arena_close(s.arena);
	REQUIRE(!is_mapped(s.lock));
}

/* ---- the end of a process ---- */

/* As exit does, in the library's destructor. */
static int
make_and_exit(void *name)
{
	shoal_arena_options o = small;
	shoal_arena *a;
	o.flags = SHOAL_UNLINK_LAST;
	REQUIRE_EQ(shoal_arena_create(name, &o, &a), 0);
	arena_end_all();
	/* What still runs can still use it. */
	char *p = shoal_new(a, 100);
	REQUIRE(p != NULL);
	shoal_free(a, p);
	return 0;
}

static int
attach_and_exit(void *name)
{
	shoal_arena *a;
	REQUIRE_EQ(shoal_arena_attach(name, 0, &a), 0);
	REQUIRE(shoal_new(a, 100) != NULL);
	arena_end_all();
	return 0;
}

Test(close, one_that_exits_takes_the_name_along_if_it_is_the_last)
{
	char name[64];
	shoal_arena *a;
	shoal_arena_options o = small;
	snprintf(name, sizeof name, "test-exit-%d", (int)getpid());
	expect_child(child(make_and_exit, name), 0, 5000);
	REQUIRE_EQ(shoal_arena_unlink(name), -ENOENT);
	o.flags = SHOAL_UNLINK_LAST;
	REQUIRE_EQ(shoal_arena_create(name, &o, &a), 0);
	expect_child(child(attach_and_exit, name), 0, 5000);
	expect_child(child(attach_and_exit, name), 0, 5000);
	shoal_arena_close(a);
	REQUIRE_EQ(shoal_arena_unlink(name), -ENOENT);
}

struct together {
	char name[64];
	word32 attached;
};

static int
attach_and_end_together(void *arg)
{
	struct together *t = arg;
	shoal_arena *a;
	shoal_arena_options o = small;
	o.flags = SHOAL_UNLINK_LAST | SHOAL_OR_ATTACH;
	REQUIRE_EQ(shoal_arena_create(t->name, &o, &a), 0);
	fetch_add_relaxed(&t->attached, 1);
	while (load_relaxed(&t->attached) < 2)
		;
	exit(0);
}

/* By the end of main: neither is the last while the other one is there. */
Test(close, of_two_that_exit_together_one_takes_the_name_along)
{
	struct together *t = shared(sizeof *t);
	for (int i = 0; i < 50; i++) {
		snprintf(t->name, sizeof t->name, "test-together-%d-%d", (int)getpid(), i);
		store_relaxed(&t->attached, 0);
		pid_t one = child(attach_and_end_together, t), other = child(attach_and_end_together, t);
		expect_child(one, 0, 5000);
		expect_child(other, 0, 5000);
		REQUIRE_EQ(shoal_arena_unlink(t->name), -ENOENT);
	}
}

/* ---- handlers that fork ---- */

#if HAS_STEPS

static void
attach_and_close(void *arena)
{
	shoal_arena *again;
	REQUIRE_EQ(shoal_arena_attach_fd(shoal_arena_fd(arena), &again), 0);
	REQUIRE(again == arena);
	shoal_arena_close(again);
}

static int
fork_in_each_place(void *unused)
{
	(void)unused;
	shoal_arena *a;
	uint32_t n = 0;
	REQUIRE_EQ(shoal_arena_create(NULL, &small, &a), 0);
	while (steps_into(attach_and_close, a, n, steps_fork))
		n += 17;
	REQUIRE(n > 200);
	shoal_arena_close(a);
	return 0;
}

Test(close, a_handler_may_fork_while_it_attaches)
{
	expect_child(child(fork_in_each_place, NULL), 0, 15000);
}

#endif
