#include "common.h"
#include "base/clock.h"
#include <pthread.h>
#include <shoal/data.h>
#include <shoal/pipe.h>
#include <shoal/queue.h>
#include <shoal/sync.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

Test(named, locks_are_found_by_their_names)
{
	shoal_arena *a = create(NULL, &small);
	shoal_lock *lock, *same;
	REQUIRE_EQ(shoal_lock_open(a, "door", 0, &lock), -ENOENT);
	REQUIRE_EQ(shoal_lock_create(a, "door", SHOAL_LOCK_AUTOCLEAN, &lock), 0);
	REQUIRE_FAILS(shoal_lock_create(a, "door", 0, &same), -EEXIST, "door");
	REQUIRE(!same);
	REQUIRE_EQ(shoal_lock_create(a, "door", SHOAL_OR_OPEN, &same), 0);
	REQUIRE(same == lock);
	REQUIRE_EQ(shoal_lock_open(a, "door", 0, &same), 0);
	REQUIRE(same == lock);
	REQUIRE_FAILS(shoal_lock_release(lock), -EPERM, "'door'");
	REQUIRE_EQ(shoal_lock_create(a, "odd", 8, &same), -EINVAL);
	REQUIRE_EQ(shoal_lock_create(a, "no/name", 0, &same), -EINVAL);
	REQUIRE_EQ(shoal_lock_open(a, "odd", 0, &same), -ENOENT);
	REQUIRE_EQ(shoal_lock_acquire(lock, 0), 0);
	REQUIRE_EQ(shoal_lock_release(lock), 0);
	REQUIRE_EQ(shoal_lock_destroy(a, lock), 0);
	REQUIRE_EQ(shoal_lock_destroy(a, NULL), 0);
	REQUIRE_EQ(shoal_lock_open(a, "door", 0, &same), -ENOENT);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

Test(named, each_kind_is_its_own)
{
	shoal_arena *a = create(NULL, &small);
	shoal_rwlock *rw, *rw2;
	shoal_semaphore *s, *s2;
	shoal_condition *c, *c2;
	shoal_event *e, *e2;
	REQUIRE_EQ(shoal_rwlock_create(a, "rw", 0, &rw), 0);
	REQUIRE_EQ(shoal_semaphore_create(a, "s", 3, 2, &s), -EINVAL);
	s = (shoal_semaphore *)(void *)&s;
	REQUIRE_EQ(shoal_semaphore_create(a, "s", 0, SHOAL_SEMAPHORE_OWNED, &s), -EINVAL);
	REQUIRE(!s);
	REQUIRE_EQ(shoal_semaphore_create(a, "s", 2, 2, &s), 0);
	REQUIRE_EQ(shoal_condition_create(a, "c", &c), 0);
	REQUIRE_EQ(shoal_event_create(a, "e", &e), 0);
	REQUIRE_EQ(shoal_rwlock_open(a, "rw", 0, &rw2), 0);
	REQUIRE_EQ(shoal_semaphore_open(a, "s", 0, &s2), 0);
	REQUIRE_EQ(shoal_condition_open(a, "c", 0, &c2), 0);
	REQUIRE_EQ(shoal_event_open(a, "e", 0, &e2), 0);
	REQUIRE(rw == rw2 && s == s2 && c == c2 && e == e2);
	REQUIRE_EQ(shoal_event_open(a, "s", 0, &e2), -EPROTO);
	REQUIRE_EQ(shoal_semaphore_release(s), -EOVERFLOW);
	REQUIRE_EQ(shoal_rwlock_read(rw, 0), 0);
	REQUIRE_EQ(shoal_rwlock_release(rw), 0);
	shoal_object_info o;
	int n = 0;
	for (uint64_t at = 0; shoal_arena_next(a, &at, &o) == 1; n++)
		REQUIRE(o.kind >= SHOAL_KIND_LOCK && o.size >= 32);
	REQUIRE_EQ(n, 4);
	REQUIRE_EQ(shoal_rwlock_destroy(a, rw), 0);
	REQUIRE_EQ(shoal_semaphore_destroy(a, s), 0);
	REQUIRE_EQ(shoal_condition_destroy(a, c), 0);
	REQUIRE_EQ(shoal_event_destroy(a, e), 0);
	REQUIRE_EQ(shoal_arena_next(a, &(uint64_t){ 0 }, &o), 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

/* Nearly every call on them writes: a watcher would be killed by it. */
Test(named, a_watcher_opens_none)
{
	const char *name = test_name();
	shoal_arena *a = create(name, &small), *w;
	shoal_lock *lock;
	shoal_rwlock *rw;
	shoal_semaphore *s;
	shoal_condition *c;
	shoal_event *e;
	REQUIRE_EQ(shoal_lock_create(a, "lock", 0, &lock), 0);
	REQUIRE_EQ(shoal_rwlock_create(a, "rw", 0, &rw), 0);
	REQUIRE_EQ(shoal_semaphore_create(a, "s", 1, 1, &s), 0);
	REQUIRE_EQ(shoal_condition_create(a, "c", &c), 0);
	REQUIRE_EQ(shoal_event_create(a, "e", &e), 0);
	shoal_ref ref = shoal_ref_of(a, lock);
	REQUIRE_EQ(shoal_arena_attach_readonly(name, 0, &w), 0);
	REQUIRE_FAILS(shoal_lock_open(w, "lock", 0, &lock), -EPERM, "read-only");
	REQUIRE_EQ(shoal_rwlock_open(w, "rw", 0, &rw), -EPERM);
	REQUIRE_EQ(shoal_semaphore_open(w, "s", 0, &s), -EPERM);
	REQUIRE_EQ(shoal_condition_open(w, "c", 0, &c), -EPERM);
	REQUIRE_EQ(shoal_event_open(w, "e", 0, &e), -EPERM);
	REQUIRE(!lock && !rw && !s && !c && !e);
	REQUIRE_EQ(shoal_lock_create(w, "lock", SHOAL_OR_OPEN, &lock), -EPERM);
	/* What only looks works by a reference. */
	shoal_lock_info info;
	REQUIRE_EQ(shoal_lock_stat(shoal_deref(w, ref), &info), 0);
	REQUIRE_EQ(info.owner, 0);
	shoal_arena_close(w);
	shoal_arena_close(a);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
}

static int
open_and_die(void *arg)
{
	shoal_arena *a = attach(arg);
	shoal_lock *lock;
	shoal_event *event;
	REQUIRE_EQ(shoal_lock_open(a, "lock", SHOAL_SEC(5), &lock), 0);
	REQUIRE_EQ(shoal_event_open(a, "event", SHOAL_SEC(5), &event), 0);
	REQUIRE_EQ(shoal_lock_acquire(lock, 0), 0);
	REQUIRE_EQ(shoal_event_set(event), 0);
	for (;;)
		pause();
	return 0;
}

Test(named, they_join_processes_that_share_an_arena)
{
	const char *name = test_name();
	shoal_arena *a = create(name, &small);
	shoal_lock *lock;
	shoal_event *event;
	pid_t pid = child(open_and_die, (void *)(uintptr_t)name);
	sleep_ms(20);
	REQUIRE_EQ(shoal_lock_create(a, "lock", 0, &lock), 0);
	REQUIRE_EQ(shoal_event_create(a, "event", &event), 0);
	REQUIRE_EQ(shoal_event_wait(event, SHOAL_SEC(5)), 0);
	REQUIRE_EQ(shoal_lock_acquire(lock, 0), -EAGAIN);
	kill(pid, SIGKILL);
	REQUIRE_EQ(shoal_lock_acquire(lock, SHOAL_SEC(1)), -EOWNERDEAD);
	REQUIRE_EQ(shoal_lock_consistent(lock), 0);
	REQUIRE_EQ(shoal_lock_release(lock), 0);
	expect_killed(pid, SIGKILL, 1000);
	REQUIRE_EQ(shoal_lock_destroy(a, lock), 0);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

/* Raw clones have no robust list, and so no record, as where memory is short. */
static int
open_without_a_record(shoal_arena *a)
{
	void *p;
	shoal_queue *q;
	shoal_lock *lock;
	int memory = shoal_memory_open(a, "late", SHOAL_MS(20), &p, NULL);
	int queue = shoal_queue_open(a, "late", SHOAL_MS(20), &q);
	int plain = shoal_lock_open(a, "late", SHOAL_MS(20), &lock);
	return memory == -ENOMEM && queue == -ENOMEM && plain == -ENOMEM && !p && !q && !lock ? 0 : 1;
}

Test(named, one_without_a_record_is_told_so)
{
	shoal_arena *a = create(NULL, &small);
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(open_without_a_record(a));
	int status;
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	REQUIRE_EQ(status, 0);
	shoal_arena_close(a);
}

/* ---- opened while they come and go ---- */

struct storm {
	shoal_arena *a;
	void (*turn)(struct storm *); /* makes some and destroys them, in the same entry */
	pthread_t looker;
	word32 turns, over;
};

static struct storm *raging;

/* What is there has just been made: the one who looks stands still until it has gone. */
static void
stand_still(int signo)
{
	(void)signo;
	uint32_t turn = load_acquire(&raging->turns);
	/* Not for ever: it may hold the lock that the other one needs for its next turn. */
	for (int i = 0; i < 20000 && load_acquire(&raging->turns) == turn; i++)
		cpu_relax();
}

static void
there(struct storm *s)
{
	pthread_kill(s->looker, SIGUSR1);
}

static void
gone(struct storm *s)
{
	fetch_add_seq_cst(&s->turns, 1);
}

static void *
come_and_go(void *arg)
{
	struct storm *s = arg;
	while (!load_acquire(&s->over))
		s->turn(s);
	return NULL;
}

/* For 200 ms, and at least until a few have come and gone. */
static void
storm(void (*turn)(struct storm *), void (*look)(shoal_arena *))
{
	static struct storm s;
	s = (struct storm){ .a = create(NULL, &small), .turn = turn, .looker = pthread_self() };
	pthread_t p;
	raging = &s;
	signal(SIGUSR1, stand_still);
	REQUIRE_EQ(pthread_create(&p, NULL, come_and_go, &s), 0);
	int64_t end = clock_now() + SHOAL_MS(200);
	while (clock_now() < end || load_relaxed(&s.turns) < 10)
		look(s.a);
	store_release(&s.over, 1);
	REQUIRE_EQ(pthread_join(p, NULL), 0);
	REQUIRE_EQ(shoal_arena_check(s.a, stderr), 0);
	shoal_arena_close(s.a);
}

static void
turn_locks(struct storm *s)
{
	shoal_lock *lock;
	REQUIRE_EQ(shoal_lock_create(s->a, "lock", SHOAL_OR_OPEN, &lock), 0);
	there(s);
	REQUIRE_EQ(shoal_lock_destroy(s->a, lock), 0);
	gone(s);
}

static void
open_lock(shoal_arena *a)
{
	shoal_lock *lock;
	int rc = shoal_lock_open(a, "lock", 0, &lock);
	REQUIRE(rc == -ENOENT ? !lock : rc == 0 && lock);
}

static void
open_or_create_lock(shoal_arena *a)
{
	shoal_lock *lock;
	REQUIRE_EQ(shoal_lock_create(a, "lock", SHOAL_OR_OPEN, &lock), 0);
	REQUIRE(lock);
}

static void
turn_queues(struct storm *s)
{
	static const shoal_queue_options options = { .capacity = 2, .flags = SHOAL_OR_OPEN };
	shoal_queue *q;
	REQUIRE_EQ(shoal_queue_create(s->a, "queue", &options, &q), 0);
	there(s);
	REQUIRE_EQ(shoal_queue_destroy(s->a, q), 0);
	gone(s);
}

static void
open_queue(shoal_arena *a)
{
	shoal_queue *q;
	int rc = shoal_queue_open(a, "queue", 0, &q);
	REQUIRE(rc == -ENOENT ? !q : rc == 0 && q);
}

static void
open_or_create_queue(shoal_arena *a)
{
	static const shoal_queue_options options = { .capacity = 2, .flags = SHOAL_OR_OPEN };
	shoal_queue *q = NULL;
	REQUIRE_EQ(shoal_queue_create(a, "queue", &options, &q), 0);
	REQUIRE(q);
}

static void
turn_memory(struct storm *s)
{
	void *p;
	REQUIRE_EQ(shoal_memory_create(s->a, "small", 8, NULL, NULL, &p), 0);
	there(s);
	REQUIRE_EQ(shoal_memory_destroy(s->a, p), 0);
	REQUIRE_EQ(shoal_memory_create(s->a, "large", 4000, NULL, NULL, &p), 0);
	gone(s);
	REQUIRE_EQ(shoal_memory_destroy(s->a, p), 0);
}

static void
open_memory(shoal_arena *a)
{
	void *p;
	size_t bytes;
	int rc = shoal_memory_open(a, "small", 0, &p, &bytes);
	REQUIRE(rc == -ENOENT ? !p : rc == 0 && p);
	REQUIRE(rc || bytes == 8);
}

Test(named, a_lock_that_is_opened_is_there)
{
	storm(turn_locks, open_lock);
}

Test(named, also_for_one_who_would_create_it)
{
	storm(turn_locks, open_or_create_lock);
}

Test(named, so_is_a_queue)
{
	storm(turn_queues, open_queue);
	storm(turn_queues, open_or_create_queue);
}

Test(named, memory_that_is_opened_is_not_another_one)
{
	storm(turn_memory, open_memory);
}

static void
turn_pipes(struct storm *s)
{
	static const shoal_pipe_options options = { .flags = SHOAL_PIPE_SHARED_ENDS };
	shoal_pipe_end *left;
	REQUIRE_EQ(shoal_pipe_create(s->a, "pipe", &options, &left, NULL), 0);
	there(s);
	REQUIRE_EQ(shoal_pipe_destroy(s->a, left), 0);
	gone(s);
}

static void
open_pipe(shoal_arena *a)
{
	shoal_pipe_end *end = NULL;
	int rc = shoal_pipe_open(a, "pipe", SHOAL_RIGHT, 0, &end);
	REQUIRE(rc == -ENOENT || (rc == 0 && end));
}

static void
turn_lists(struct storm *s)
{
	shoal_list *l;
	shoal_value *v;
	REQUIRE_EQ(shoal_list_create(s->a, "list", NULL, &l), 0);
	there(s);
	REQUIRE_EQ(shoal_list_destroy(s->a, l), 0);
	REQUIRE_EQ(shoal_value_create(s->a, "value", SHOAL_I64, SHOAL_ANY(7), &v), 0);
	gone(s);
	REQUIRE_EQ(shoal_value_destroy(s->a, v), 0);
}

static void
open_list(shoal_arena *a)
{
	shoal_list *l;
	shoal_value *v;
	int rc = shoal_list_open(a, "list", 0, &l);
	REQUIRE(rc == -ENOENT ? !l : rc == 0 && l);
	rc = shoal_value_open(a, "value", 0, &v);
	REQUIRE(rc == -ENOENT ? !v : rc == 0 && v);
}

Test(named, so_are_a_pipe_a_list_and_a_value)
{
	storm(turn_pipes, open_pipe);
	storm(turn_lists, open_list);
}
