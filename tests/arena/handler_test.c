/* What signal handlers do to an arena, whatever they interrupted. */
#include "arena/member.h"
#include "handled.h"
#include "lock_calls.h"
#include <pthread.h>
#include <shoal/data.h>
#include <shoal/pipe.h>

#if HAS_STEPS

/* ---- inside a lock's calls, of a thread that has not joined ---- */

static int
take_and_die(void *unused)
{
	(void)unused;
	take(&w->lock[0]);
	in_steps(take, &w->lock[1], come);
	return raise(SIGKILL);
}

static int
give_and_die(void *unused)
{
	(void)unused;
	take(&w->lock[0]);
	take(&w->lock[1]);
	in_steps(give, &w->lock[1], come);
	return raise(SIGKILL);
}

static void
look_at_the_first(void)
{
	must_be_refused_or_done();
	must_be_marked(&w->lock[0]);
	take(&w->lock[1]);
	give(&w->lock[1]);
}

static void
look_at_both(void)
{
	must_be_refused_or_done();
	must_be_marked(&w->lock[0]);
	must_be_marked(&w->lock[1]);
}

Test(handler, frees_inside_a_locks_calls)
{
	come = free_it;
	at_instructions(take_and_die, look_at_both);
	at_instructions(give_and_die, look_at_the_first);
}

Test(handler, allocates_inside_a_locks_calls)
{
	come = alloc_it;
	at_instructions(take_and_die, look_at_both);
	at_instructions(give_and_die, look_at_the_first);
}

/* What has no magazine takes the lock of pages. */
static void
alloc_pages(void)
{
	void *p;
	w->rc = shoal_alloc(arena, 1 << 20, &p);
	shoal_free(arena, p);
}

static int
take_joined_and_die(void *unused)
{
	REQUIRE(shoal_new(arena, 64));
	take(&w->lock[0]);
	in_steps(take, &w->lock[1], come);
	give(&w->lock[0]);
	(void)unused;
	return raise(SIGKILL);
}

static int
give_joined_and_die(void *unused)
{
	REQUIRE(shoal_new(arena, 64));
	return give_and_die(unused);
}

static void
look_at_the_second(void)
{
	must_be_refused_or_done();
	must_be_marked(&w->lock[1]);
	take(&w->lock[0]);
	give(&w->lock[0]);
}

Test(handler, that_allocates_leaves_locks_known)
{
	come = alloc_pages;
	at_the_last_instructions(take_joined_and_die, look_at_the_second);
	at_the_last_instructions(give_joined_and_die, look_at_the_first);
}

/* ---- inside malloc, and while its thread joins ---- */

/* A thread that shoal does not know, in a process with two, where malloc takes locks. */
static void *
free_in_malloc(void *unused)
{
	in_steps(allocate, NULL, free_it);
	raise(SIGKILL);
	return unused;
}

static int
free_in_malloc_and_die(void *unused)
{
	pthread_t thread;
	REQUIRE_EQ(pthread_create(&thread, NULL, free_in_malloc, NULL), 0);
	pthread_join(thread, NULL);
	return unused != NULL;
}

Test(handler, frees_inside_malloc)
{
	at_instructions(free_in_malloc_and_die, nothing);
}

static int
join_and_die(void *unused)
{
	(void)unused;
	REQUIRE(shoal_thread_self());
	in_steps(alloc_op, NULL, come);
	w->members = members();
	return raise(SIGKILL);
}

Test(handler, frees_while_its_thread_joins)
{
	come = free_it;
	at_instructions(join_and_die, look_for_one_record);
}

Test(handler, allocates_while_its_thread_joins)
{
	come = alloc_it;
	at_instructions(join_and_die, look_for_one_record);
}

/* As a call that asks for nothing before. */
static void
join_it(void)
{
	struct shoal_thread *t;
	struct member *me;
	w->rc = member_here(arena, &t, &me);
}

Test(handler, does_not_join_while_its_thread_joins)
{
	come = join_it;
	at_instructions(join_and_die, look_for_one_record);
}

/* ---- what is refused ---- */

static struct {
	shoal_pipe_end *left;
	shoal_listener *listener;
	shoal_loan lent;
} other;

static int
make_calls(void *unused)
{
	shoal_list *list = unused;
	void *p;
	thread_here->busy = 1;
	REQUIRE_EQ(shoal_alloc(arena, 64, &p), -EDEADLK);
	REQUIRE_EQ(shoal_pipe_send(other.left, "x", 1, 0), -EDEADLK);
	REQUIRE_EQ(shoal_listener_accept(other.listener, 0, &other.left), -EDEADLK);
	REQUIRE_EQ(shoal_loan_adopt(&other.lent), -EDEADLK);
	REQUIRE_EQ(shoal_list_create(arena, NULL, NULL, &list), -EDEADLK);
	REQUIRE_EQ(members(), 1);
	thread_here->busy = 0;
	return 0;
}

Test(handler, is_refused_before_its_thread_joins)
{
	shoal_pipe_end *right;
	make();
	REQUIRE(shoal_new(arena, 64));
	REQUIRE_EQ(shoal_pipe_create(arena, NULL, NULL, &other.left, &right), 0);
	REQUIRE_EQ(shoal_listener_create(arena, "listener", NULL, &other.listener), 0);
	REQUIRE_EQ(shoal_pipe_reserve(right, 100, 0, &other.lent), 0);
	expect_child(child(make_calls, NULL), 0, 5000);
	shoal_loan_release(&other.lent);
	shoal_arena_close(arena);
}

/* ---- while it leaves ---- */

/* What it looks up for the first time blocks signals. */
static int
leave_and_die(void *unused)
{
	(void)unused;
	REQUIRE(arena_of(memory) == arena);
	void *p = shoal_new(arena, 64);
	REQUIRE(p);
	shoal_free(arena, p);
	in_steps(end_op, NULL, free_it);
	return raise(SIGKILL);
}

Test(handler, frees_while_its_thread_leaves)
{
	at_instructions(leave_and_die, nothing);
}

#endif
