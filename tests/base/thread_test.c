#include "base/thread.h"
#include "harness.h"
#include "steps.h"
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <shoal/sync.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int forks_told;
static void *told;

static void
note_fork(struct shoal_thread *parents)
{
	forks_told++;
	told = parents;
}

Test(thread, has_one_record)
{
	struct shoal_thread *t = thread_self();
	REQUIRE(t);
	REQUIRE(thread_self() == t);
	REQUIRE(shoal_thread_self() == t);
	REQUIRE_EQ(t->tid, syscall(SYS_gettid));
	REQUIRE(t->robust);
}

static void *
look_at_self(void *arg)
{
	(void)arg;
	return thread_self();
}

Test(thread, others_have_their_own)
{
	pthread_t thread;
	void *theirs, *mine = thread_self();
	REQUIRE_EQ(pthread_create(&thread, NULL, look_at_self, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, &theirs), 0);
	REQUIRE(theirs && theirs != mine);
}

static struct shoal_thread *ended;

static void
note_end(struct shoal_thread *t)
{
	ended = t;
}

Test(thread, its_end_is_told)
{
	pthread_t thread;
	void *theirs;
	thread_end_hook = note_end;
	REQUIRE_EQ(pthread_create(&thread, NULL, look_at_self, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, &theirs), 0);
	REQUIRE(ended == theirs);
	thread_end_hook = NULL;
}

Test(thread, one_that_left_begins_anew)
{
	struct shoal_thread *t = thread_self();
	thread_end_hook = note_end;
	thread_leave();
	REQUIRE(ended == t);
	thread_leave();
	thread_end_hook = NULL;
	REQUIRE(thread_self());
	REQUIRE_EQ(thread_self()->held, 0);
}

static int
look_in_child(void *arg)
{
	struct shoal_thread *parents = arg, *t = thread_self();
	REQUIRE_EQ(forks_told, 1);
	REQUIRE(told == parents);
	REQUIRE_EQ(t->tid, syscall(SYS_gettid));
	REQUIRE(!t->seat[3] && !t->busy && !load_relaxed(&t->interrupt));
	REQUIRE_EQ(thread_generation(), 1);
	return 0;
}

Test(thread, a_forked_child_begins_anew)
{
	struct shoal_thread *t = thread_self();
	struct member *seat = (struct member *)(void *)t;
	thread_fork_hook = note_fork;
	t->seat[3] = seat;
	t->busy = 1;
	shoal_thread_interrupt(t);
	expect_child(child(look_in_child, t), 0, 5000);
	/* The parent keeps what it had. */
	REQUIRE(thread_self() == t && t->seat[3] == seat);
	REQUIRE_EQ(forks_told, 0);
	t->seat[3] = NULL;
	t->busy = 0;
	thread_fork_hook = NULL;
}

/* The fork of a thread that never called the library, in a process whose other threads did. */
static void *
fork_unknown(void *arg)
{
	(void)arg;
	pid_t pid = fork();
	if (pid == 0) {
		bool first = forks_told == 1 && !told && thread_self();
		bool second = thread_self() && forks_told == 1;
		_exit(first && second ? 0 : CHILD_FAILED);
	}
	int status;
	waitpid(pid, &status, 0);
	return (void *)(intptr_t)status;
}

Test(thread, the_fork_of_an_unknown_thread_is_told_too)
{
	pthread_t thread;
	void *status;
	REQUIRE(thread_self());
	thread_fork_hook = note_fork;
	REQUIRE_EQ(pthread_create(&thread, NULL, fork_unknown, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, &status), 0);
	REQUIRE_EQ((intptr_t)status, 0);
	thread_fork_hook = NULL;
}

enum { FIRST = 3 };
static word32 ready;

/* Slow, so that the others come while it is at it. */
static void
note_fork_slowly(struct shoal_thread *parents)
{
	sleep_ms(2);
	note_fork(parents);
}

static void *
begin_with_others(void *arg)
{
	(void)arg;
	fetch_add_seq_cst(&ready, 1);
	while (load_acquire(&ready) < FIRST)
		sched_yield();
	bool first = thread_self() && forks_told == 1 && thread_generation() == 1;
	return first ? NULL : (void *)1;
}

static int
begin_at_once(void)
{
	pthread_t thread[FIRST];
	void *bad[FIRST];
	for (int i = 0; i < FIRST; i++)
		REQUIRE_EQ(pthread_create(&thread[i], NULL, begin_with_others, NULL), 0);
	for (int i = 0; i < FIRST; i++)
		REQUIRE_EQ(pthread_join(thread[i], &bad[i]), 0);
	return bad[0] || bad[1] || bad[2] || forks_told != 1;
}

/* Nobody tells the child of _Fork: its threads find out, and one of them begins the process. */
Test(thread, first_calls_of_several_threads_begin_a_child_once, .disabled = NOT_SEEN_BY_TSAN)
{
	pthread_t thread;
	thread_fork_hook = note_fork_slowly;
	REQUIRE_EQ(pthread_create(&thread, NULL, look_at_self, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	for (int i = 0; i < 10; i++) {
		pid_t pid = _Fork();
		if (pid == 0)
			_exit(begin_at_once());
		expect_child(pid, 0, 5000);
	}
	thread_fork_hook = NULL;
}

static int
begin_behind_both(void *parents)
{
	thread_self();
	return thread_epoch() <= *(uint32_t *)parents + 1;
}

static int
begin_behind(void *parents)
{
	uint32_t before = *(uint32_t *)parents;
	REQUIRE(thread_self());
	REQUIRE(thread_epoch() > before && thread_epoch() < before + 10);
	expect_child(untold_child(begin_behind_both, parents), 0, 3000);
	return 0;
}

/* So that nothing that its parent kept under a number is taken for the child's. */
Test(thread, a_childs_epochs_are_none_of_its_parents, .disabled = NOT_SEEN_BY_TSAN)
{
	REQUIRE(thread_self());
	for (int i = 0; i < 3; i++) {
		uint32_t before = thread_epoch();
		expect_child(untold_child(begin_behind, &before), 0, 5000);
		thread_epoch_next();
		REQUIRE_EQ(thread_epoch(), before + 1);
	}
}

static int
begin_after_another(shoal_lock *parents, shoal_lock *free)
{
	pthread_t thread;
	REQUIRE_EQ(pthread_create(&thread, NULL, look_at_self, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	/* It takes locks as itself, and gives back nothing that its parent holds. */
	REQUIRE_EQ(shoal_lock_acquire(free, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_lock_release(parents), -EPERM);
	REQUIRE(shoal_lock_held(free) && !shoal_lock_held(parents));
	REQUIRE_EQ(shoal_lock_acquire(parents, 0), -EAGAIN);
	struct shoal_thread *t = thread_self();
	REQUIRE(t && !t->seat[3] && !t->busy);
	REQUIRE_EQ(t->tid, syscall(SYS_gettid));
	return 0;
}

/* The forking thread's record is still its parent's then, and the epoch begun. */
Test(thread, of_a_child_that_another_thread_began_begins_anew, .disabled = NOT_SEEN_BY_TSAN)
{
	struct shoal_thread *t = thread_self();
	t->seat[3] = (struct member *)(void *)t;
	t->busy = 1;
	shoal_lock *locks = shared(2 * sizeof *locks);
	REQUIRE_EQ(shoal_lock_acquire(&locks[0], SHOAL_FOREVER), 0);
	pid_t pid = _Fork();
	if (pid == 0)
		_exit(begin_after_another(&locks[0], &locks[1]));
	expect_child(pid, 0, 5000);
	REQUIRE(thread_self() == t && t->seat[3]);
	REQUIRE(shoal_lock_held(&locks[0]));
	REQUIRE_EQ(shoal_lock_release(&locks[0]), 0);
	/* The child died with it. */
	REQUIRE_EQ(shoal_lock_acquire(&locks[1], SHOAL_SEC(5)), -EOWNERDEAD);
	REQUIRE_EQ(shoal_lock_release(&locks[1]), 0);
	t->seat[3] = NULL;
	t->busy = 0;
}

static volatile uint32_t seen_tid;

static void
see_tid(int signo)
{
	(void)signo;
	seen_tid = thread_known() ? thread_known()->tid : 0;
}

static void
raise_at_fork(struct shoal_thread *parents)
{
	(void)parents;
	raise(SIGUSR1);
}

/* It comes once signals are no longer blocked. */
Test(thread, a_handler_in_a_childs_first_call_finds_its_own_id)
{
	REQUIRE(thread_self());
	signal(SIGUSR1, see_tid);
	thread_fork_hook = raise_at_fork;
	pid_t pid = _Fork();
	if (pid == 0)
		_exit(!thread_self() || seen_tid != (uint32_t)syscall(SYS_gettid));
	expect_child(pid, 0, 5000);
	thread_fork_hook = NULL;
}

/* Without pthread_atfork's handlers; and with no robust list, so that nothing can be held. */
Test(thread, a_raw_clone_is_noticed)
{
	struct shoal_thread *t = thread_self();
	t->seat[3] = (struct member *)(void *)t;
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		bool none = !thread_self() && !thread_self();
		_exit(none ? 0 : CHILD_FAILED);
	}
	int status;
	REQUIRE_EQ(waitpid((pid_t)pid, &status, 0), pid);
	REQUIRE_EQ(status, 0);
	t->seat[3] = NULL;
}

Test(thread, an_interrupt_is_taken_once)
{
	struct shoal_thread *t = thread_self();
	REQUIRE(!thread_interrupted(t));
	shoal_thread_interrupt(t);
	shoal_thread_interrupt(t);
	REQUIRE(thread_interrupted(t));
	REQUIRE(!thread_interrupted(t));
}

/* ---- where its end would not be told ---- */

static pthread_key_t
take_keys(int most)
{
	pthread_key_t key = 0;
	while (most-- && pthread_key_create(&key, NULL) == 0)
		continue;
	return key;
}

static int
begin_without_a_key(void *unused)
{
	(void)unused;
	REQUIRE(!thread_epoch());
	pthread_key_t last = take_keys(PTHREAD_KEYS_MAX);
	void *others = pthread_getspecific(0);
	REQUIRE(!thread_self() && !shoal_thread_self());
	REQUIRE(pthread_getspecific(0) == others);
	REQUIRE_EQ(pthread_key_delete(last), 0);
	REQUIRE(thread_self());
	return 0;
}

Test(thread, does_not_begin_without_a_key)
{
	expect_child(child(begin_without_a_key, NULL), 0, 5000);
}

static void *
take_all_memory(void)
{
	void **last = NULL, **next;
	for (size_t bytes = 1 << 20; bytes >= sizeof *last; bytes /= 2)
		for (; (next = malloc(bytes)); last = next)
			*next = last;
	return last;
}

static void
give_back(void **last)
{
	for (void **next; last; last = next) {
		next = *last;
		free(last);
	}
}

/* The C library allocates for keys beyond the first ones; a record is spare. */
static int
begin_without_room_at_the_key(void *unused)
{
	pthread_t thread;
	struct rlimit limit;
	(void)unused;
	take_keys(40);
	REQUIRE_EQ(pthread_create(&thread, NULL, look_at_self, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	REQUIRE_EQ(getrlimit(RLIMIT_AS, &limit), 0);
	limit.rlim_cur = 4096;
	REQUIRE_EQ(setrlimit(RLIMIT_AS, &limit), 0);
	void *memory = take_all_memory();
	bool has_begun = thread_self();
	give_back(memory);
	REQUIRE(!has_begun);
	REQUIRE(thread_self());
	return 0;
}

/* Sanitizers' malloc is another, and ends the process where it has no memory. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

Test(thread, does_not_begin_without_room_at_the_key, .disabled = SANITIZED)
{
	expect_child(child(begin_without_room_at_the_key, NULL), 0, 5000);
}

/* ---- inside a first call ---- */

#if HAS_STEPS

static struct shoal_thread *handlers;
static bool *is_at_end;

static void
find_itself(void)
{
	handlers = thread_self();
}

static void
begin_op(void *unused)
{
	(void)unused;
	REQUIRE(thread_self());
}

static int
begin_the_process(void *at)
{
	REQUIRE(!thread_epoch());
	*is_at_end = !steps_into(begin_op, NULL, *(uint32_t *)at, find_itself);
	REQUIRE(*is_at_end || thread_self() == handlers);
	return 0;
}

Test(thread, a_handler_in_a_processs_first_call_has_its_threads_record)
{
	is_at_end = shared(sizeof *is_at_end);
	for (uint32_t at = 0; !*is_at_end; at = steps_last() + (1 + at / 16) * HARNESS_SLOW)
		expect_child(child(begin_the_process, &at), 0, 5000);
}

#endif
