/* What signal handlers do to an arena inside a first call, and while a thread's record ends. */
#include "arena/member.h"
#include "handled.h"
#include "lock_calls.h"
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#if HAS_STEPS

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

static bool counts;

/* In the child, before what shoal does there. liburcu has blocked signals. */
static void
count_from_here(void)
{
	sigset_t none;
	if (!counts)
		return;
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	steps_begin(at, alloc_it);
}

static int
fork_and_die(void *unused)
{
	int status;
	(void)unused;
	counts = true;
	pid_t pid = fork();
	if (pid == 0) {
		steps_end();
		w->all = steps.came ? 0 : steps.done;
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
	REQUIRE(!thread_epoch());
	at_instructions(fork_and_die, look_for_one_record);
}

/* ---- a child whose parent was inside malloc ---- */

/* As uses of queues and pipes leave them, so large that freeing them takes malloc's lock. */
static bool
give_tables(struct shoal_thread *t)
{
	return t && (t->cursors = calloc(1, 8192)) && (t->pipes = calloc(1, 8192));
}

/* Nobody is there to leave malloc. A child that waits for that has all signals blocked. */
static void
fork_bare(void)
{
	int status = 0;
	pid_t ended = 0, pid = _Fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		take(&w->lock[0]);
		give(&w->lock[0]);
		_exit(shoal_thread_self()->cursors != NULL);
	}
	for (int i = 0; i < 2000 && !ended; i++, sleep_ms(1))
		ended = waitpid(pid, &status, WNOHANG);
	w->rc = ended == pid ? status : -ETIMEDOUT;
}

static void *
fork_in_malloc(void *unused)
{
	REQUIRE(give_tables(thread_self()));
	in_steps(allocate, NULL, fork_bare);
	raise(SIGKILL);
	return unused;
}

static int
fork_in_malloc_and_die(void *unused)
{
	pthread_t thread;
	REQUIRE_EQ(pthread_create(&thread, NULL, fork_in_malloc, NULL), 0);
	pthread_join(thread, NULL);
	return unused != NULL;
}

static void
child_must_have_ended(void)
{
	REQUIRE_EQ(w->rc, 0);
}

Test(handler, forks_inside_malloc)
{
	at_instructions(fork_in_malloc_and_die, child_must_have_ended);
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

static int
free_tables_and_die(void *unused)
{
	REQUIRE(give_tables(thread_self()));
	return end_and_die(unused);
}

Test(handler, allocates_while_its_record_is_freed)
{
	come = alloc_it;
	at_some_of_the_last(free_tables_and_die, must_be_refused_or_done, 900, 9);
}

#endif
