/* What signal handlers do to an arena, whatever they interrupted. */
#include "arena/member.h"
#include "common.h"
#include "lock_calls.h"
#include "steps.h"
#include <pthread.h>
#include <sched.h>
#include <shoal/data.h>
#include <shoal/pipe.h>
#include <shoal/sync.h>
#include <sys/wait.h>

#if HAS_STEPS

struct world {
	shoal_lock lock[2];
	uint32_t all;     /* how many instructions the operation has, where it has not so many */
	int rc;           /* of what the handler called */
	uint32_t members; /* before the child died */
	uint32_t left;    /* the same when the thread has ended */
};

static struct world *w;
static shoal_arena *arena;
static void *memory;
static uint32_t at;

static uint32_t
members(void)
{
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(arena, &info), 0);
	return info.members;
}

static void
make(void)
{
	w = shared(sizeof *w);
	arena = create(NULL, &small);
}

/* All that died are reaped, nothing is lost, and the next one is served. */
static int
take_its_place(void *unused)
{
	void *p[40];
	(void)unused;
	for (int i = 0; i < 40; i++)
		REQUIRE_EQ(shoal_alloc(arena, 64, &p[i]), 0);
	for (int i = 0; i < 40; i++)
		shoal_free(arena, p[i]);
	return raise(SIGKILL);
}

static void
must_be_sound(void)
{
	for (int i = 0; i < 2; i++) {
		shoal_arena_recover(arena);
		REQUIRE_EQ(members(), 1);
		REQUIRE_EQ(shoal_arena_check(arena, stderr), 0);
		expect_killed(child(take_its_place, NULL), SIGKILL, 5000);
	}
	shoal_arena_recover(arena);
}

/* In a child that dies then. */
static void
once(int (*run)(void *), void (*look)(void))
{
	memory = shoal_new(arena, 64);
	w->all = w->rc = 0;
	expect_killed(child(run, NULL), SIGKILL, 5000);
	look();
	must_be_sound();
}

/* At all of the first instructions, and the further on, the fewer. */
static void
at_instructions(int (*run)(void *), void (*look)(void))
{
	make();
	for (at = 0; !w->all; at += (1 + at / 16) * HARNESS_SLOW)
		once(run, look);
	REQUIRE(at > 10);
	shoal_arena_close(arena);
}

/* Of the last `most` instructions every one of `apart`. */
static void
at_some_of_the_last(int (*run)(void *), void (*look)(void), uint32_t most, uint32_t apart)
{
	make();
	at = UINT32_MAX;
	once(run, look);
	uint32_t all = w->all;
	REQUIRE(all > most);
	for (at = all - most; at < all; at += apart * HARNESS_SLOW)
		once(run, look);
	shoal_arena_close(arena);
}

static void
at_the_last_instructions(int (*run)(void *), void (*look)(void))
{
	at_some_of_the_last(run, look, 60, 1);
}

/* To be called in the child. */
static void
in_steps(void (*op)(void *), void *arg, void (*what)(void))
{
	if (!steps_into(op, arg, at, what))
		w->all = steps.done;
}

static void
free_it(void)
{
	shoal_free(arena, memory);
}

static void
alloc_it(void)
{
	void *p;
	w->rc = shoal_alloc(arena, 64, &p);
}

static void
must_be_refused_or_done(void)
{
	REQUIRE(w->rc == 0 || w->rc == -EDEADLK);
}

/* ---- inside a lock's calls, of a thread that has not joined ---- */

static void (*come)(void);

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

/* ---- inside malloc, and a first call ---- */

static void
nothing(void)
{
}

static void
allocate(void *unused)
{
	void *volatile p = malloc(3000);
	(void)unused;
	free(p);
}

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

static void
alloc_op(void *unused)
{
	void *p;
	(void)unused;
	REQUIRE_EQ(shoal_alloc(arena, 100, &p), 0);
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

static void
look_for_one_record(void)
{
	must_be_refused_or_done();
	REQUIRE_EQ(w->members, 2);
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

/* ---- inside a first call, of a thread or of a forked child ---- */

static void *
begin_in_steps(void *unused)
{
	in_steps(alloc_op, NULL, come);
	w->members = members();
	return unused;
}

/* In a process with two threads, where malloc takes locks. */
static int
begin_and_die(void *unused)
{
	pthread_t thread;
	(void)unused;
	REQUIRE_EQ(pthread_create(&thread, NULL, begin_in_steps, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	w->left = members();
	return raise(SIGKILL);
}

static void
look_for_none_left(void)
{
	look_for_one_record();
	REQUIRE_EQ(w->left, 1);
}

Test(handler, allocates_while_its_thread_begins)
{
	come = alloc_it;
	at_instructions(begin_and_die, look_for_none_left);
}

static int
fork_bare_and_die(void *unused)
{
	int status;
	pid_t pid = _Fork();
	if (pid == 0) {
		begin_in_steps(unused);
		raise(SIGKILL);
	}
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	REQUIRE(WIFSIGNALED(status));
	return raise(SIGKILL);
}

Test(handler, allocates_while_its_process_begins)
{
	come = alloc_it;
	at_instructions(fork_bare_and_die, look_for_one_record);
}

/* In the child, before what shoal does there. liburcu has blocked signals. */
static void
count_from_here(void)
{
	sigset_t none;
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	steps.done = 0;
	steps.at = at;
}

static void
fork_op(void *pid)
{
	*(pid_t *)pid = fork();
}

static int
fork_and_die(void *unused)
{
	int status;
	pid_t pid;
	(void)unused;
	bool came = steps_into(fork_op, &pid, UINT32_MAX, alloc_it);
	if (pid == 0) {
		w->all = came ? 0 : steps.done;
		alloc_op(NULL);
		w->members = members();
		raise(SIGKILL);
	}
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	REQUIRE(WIFSIGNALED(status));
	return raise(SIGKILL);
}

Test(handler, allocates_while_fork_begins_its_process)
{
	REQUIRE_EQ(pthread_atfork(NULL, NULL, count_from_here), 0);
	REQUIRE(!thread_wiped);
	at_instructions(fork_and_die, look_for_one_record);
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

static void
end_op(void *unused)
{
	(void)unused;
	thread_leave();
}

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

/* ---- while its thread's own record ends ---- */

static word32 turn;
static struct shoal_thread *its;

static void *
begin_in_turn(void *unused)
{
	while (load_acquire(&turn) != 1)
		sched_yield();
	its = thread_self();
	REQUIRE(its && !member_seat(arena, its));
	store_release(&turn, 2);
	pause();
	return unused;
}

static void
let_another_begin(void)
{
	store_release(&turn, 1);
	while (load_acquire(&turn) != 2)
		sched_yield();
	REQUIRE(thread_here != its);
}

/* The other one finds the record that this one leaves. */
static int
end_and_die(void *unused)
{
	pthread_t thread;
	(void)unused;
	REQUIRE_EQ(pthread_create(&thread, NULL, begin_in_turn, NULL), 0);
	REQUIRE(shoal_thread_self());
	in_steps(end_op, NULL, come);
	if (!load_relaxed(&turn))
		let_another_begin();
	REQUIRE(!thread_known() || thread_known() != its);
	return raise(SIGKILL);
}

Test(handler, does_not_come_into_another_threads_record)
{
	come = let_another_begin;
	at_the_last_instructions(end_and_die, nothing);
}

Test(handler, joins_in_no_record_that_ends)
{
	come = alloc_it;
	at_the_last_instructions(end_and_die, must_be_refused_or_done);
}

/* Tables as uses of queues and pipes leave them, so large that freeing them takes malloc's lock. */
static int
free_tables_and_die(void *unused)
{
	struct shoal_thread *t = thread_self();
	REQUIRE(t && (t->cursors = calloc(1, 8192)) && (t->pipes = calloc(1, 8192)));
	return end_and_die(unused);
}

Test(handler, allocates_while_its_record_is_freed)
{
	come = alloc_it;
	at_some_of_the_last(free_tables_and_die, must_be_refused_or_done, 900, 9);
}

#endif
