/* Objects WITH_OWNER, whose owner dies: for who waits on them, and who looks for them. */
#include "common.h"
#include "base/atomic.h"
#include <poll.h>
#include <shoal/data.h>
#include <shoal/pipe.h>
#include <shoal/process.h>
#include <shoal/queue.h>
#include <shoal/sync.h>
#include <signal.h>

static int
make_and_die(void *arg)
{
	shoal_arena *a = attach(arg);
	shoal_lock *lock;
	shoal_rwlock *rwlock;
	shoal_list *list;
	shoal_container_options o = { .flags = SHOAL_WITH_OWNER };
	REQUIRE_EQ(shoal_list_create(a, "my-list", &o, &list), 0);
	REQUIRE_EQ(shoal_lock_create(a, "mine", SHOAL_WITH_OWNER, &lock), 0);
	REQUIRE_EQ(shoal_rwlock_create(a, "mine-too", SHOAL_WITH_OWNER, &rwlock), 0);
	REQUIRE_EQ(shoal_lock_acquire(lock, 0), 0);
	raise(SIGKILL);
	return 0;
}

Test(owner, death_destroys_what_it_owned)
{
	const char *name = test_name();
	shoal_arena *a = create(name, &small);
	shoal_lock *lock;
	shoal_arena_info before, after;
	REQUIRE_EQ(shoal_arena_stat(a, &before), 0);
	expect_killed(child(make_and_die, (void *)(uintptr_t)name), SIGKILL, 5000);
	REQUIRE(shoal_arena_recover(a) >= 0);
	REQUIRE_EQ(shoal_lock_open(a, "mine", 0, &lock), -ENOENT);
	shoal_arena_recover(a);
	REQUIRE_EQ(shoal_arena_stat(a, &after), 0);
	REQUIRE_EQ(after.blocks, before.blocks);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	shoal_arena_close(a);
}

/* A watcher cannot destroy it; what has no owner any more is not there all the same. */
Test(owner, what_it_owned_is_absent_for_watchers_too)
{
	const char *name = test_name();
	shoal_arena *a = create(name, &small), *watched;
	shoal_lock *lock;
	shoal_list *list;
	REQUIRE_EQ(shoal_arena_attach_readonly(name, 0, &watched), 0);
	expect_killed(child(make_and_die, (void *)(uintptr_t)name), SIGKILL, 5000);
	int64_t began = fair_ns();
	REQUIRE_EQ(shoal_list_open(watched, "my-list", SHOAL_MS(10), &list), -ENOENT);
	REQUIRE(fair_ns() - began < SHOAL_SEC(2));
	REQUIRE_EQ(shoal_lock_open(a, "mine", 0, &lock), -ENOENT);
	shoal_arena_close(watched);
	REQUIRE_EQ(shoal_arena_unlink(name), 0);
	shoal_arena_close(a);
}

struct estate {
	shoal_arena *arena;
	shoal_lock *lock;
	shoal_rwlock *rwlock;
	shoal_queue *queue, *tasks;
	shoal_pipe_end *left, *right;
	shoal_pipe_end *mine, *other; /* of a pipe that its owner does not use */
	word32 made, waiting;
	volatile int64_t told; /* when shoal_wait returned */
};

static int
own_all(void *arg)
{
	struct estate *e = arg;
	shoal_queue_options queue = { .flags = SHOAL_WITH_OWNER };
	shoal_queue_options tasks = { .flags = SHOAL_WITH_OWNER | SHOAL_QUEUE_JOINABLE };
	shoal_pipe_options pipe = { .flags = SHOAL_WITH_OWNER | SHOAL_PIPE_SHARED_ENDS };
	shoal_pipe_options plain = { .ring_bytes = 4096, .flags = SHOAL_WITH_OWNER };
	REQUIRE_EQ(shoal_lock_create(e->arena, "lock", SHOAL_WITH_OWNER, &e->lock), 0);
	REQUIRE_EQ(shoal_rwlock_create(e->arena, "rwlock", SHOAL_WITH_OWNER, &e->rwlock), 0);
	REQUIRE_EQ(shoal_queue_create(e->arena, "queue", &queue, &e->queue), 0);
	REQUIRE_EQ(shoal_queue_create(e->arena, "tasks", &tasks, &e->tasks), 0);
	REQUIRE_EQ(shoal_pipe_create(e->arena, "pipe", &pipe, &e->left, &e->right), 0);
	REQUIRE_EQ(shoal_pipe_create(e->arena, "plain", &plain, &e->mine, &e->other), 0);
	store_release(&e->made, 1);
	for (;;)
		pause();
	return 0;
}

/* None of them is told by a word that the owner's death changes. */
static int
wait_for_lock(void *arg)
{
	struct estate *e = arg;
	fetch_add_seq_cst(&e->waiting, 1);
	return shoal_lock_acquire(e->lock, SHOAL_SEC(10)) != -EPIPE;
}

static int
wait_to_write(void *arg)
{
	struct estate *e = arg;
	fetch_add_seq_cst(&e->waiting, 1);
	return shoal_rwlock_write(e->rwlock, SHOAL_SEC(10)) != -EPIPE;
}

static int
wait_for_message(void *arg)
{
	struct estate *e = arg;
	char c;
	fetch_add_seq_cst(&e->waiting, 1);
	return shoal_queue_get(e->queue, &c, 1, SHOAL_SEC(10)) != -EPIPE;
}

static int
wait_at_pipe(void *arg)
{
	struct estate *e = arg;
	shoal_pipe_end *end;
	char c;
	REQUIRE_EQ(shoal_pipe_open(e->arena, "pipe", SHOAL_RIGHT, 0, &end), 0);
	fetch_add_seq_cst(&e->waiting, 1);
	return shoal_pipe_recv(end, &c, 1, SHOAL_SEC(10)) != -EPIPE;
}

static int
wait_to_join(void *arg)
{
	struct estate *e = arg;
	REQUIRE_EQ(shoal_queue_put(e->tasks, NULL, 0, 0), 0);
	fetch_add_seq_cst(&e->waiting, 1);
	return shoal_queue_join(e->tasks, SHOAL_SEC(10)) != -EPIPE;
}

/* Not one call waits: they are told in time all the same. */
static int
ask_for_message(void *arg)
{
	struct estate *e = arg;
	ssize_t rc = -EAGAIN;
	char c;
	fetch_add_seq_cst(&e->waiting, 1);
	for (int i = 0; rc == -EAGAIN && i < 5000; i++, sleep_ms(1))
		rc = shoal_queue_get(e->queue, &c, 1, 0);
	return rc != -EPIPE;
}

static int
ask_at_pipe(void *arg)
{
	struct estate *e = arg;
	ssize_t rc = -EAGAIN;
	fetch_add_seq_cst(&e->waiting, 1);
	for (int i = 0; rc == -EAGAIN && i < 5000; i++, sleep_ms(1))
		rc = shoal_pipe_recv(e->other, NULL, 0, 0);
	return rc != -EPIPE;
}

static int
ask_to_join(void *arg)
{
	struct estate *e = arg;
	int rc = -EAGAIN;
	REQUIRE_EQ(shoal_queue_put(e->tasks, NULL, 0, 0), 0);
	fetch_add_seq_cst(&e->waiting, 1);
	for (int i = 0; rc == -EAGAIN && i < 5000; i++, sleep_ms(1))
		rc = shoal_queue_join(e->tasks, 0);
	return rc != -EPIPE;
}

static int
wait_for_any(struct estate *e, shoal_waitable on)
{
	fetch_add_seq_cst(&e->waiting, 1);
	int n = shoal_wait(&on, 1, SHOAL_SEC(10));
	e->told = now_ns();
	return n != 1;
}

static int
wait_for_queue(void *arg)
{
	struct estate *e = arg;
	return wait_for_any(e, shoal_on_queue(e->queue)) ||
	       shoal_queue_get(e->queue, NULL, 0, 0) != -EPIPE;
}

static int
wait_for_pipe(void *arg)
{
	struct estate *e = arg;
	return wait_for_any(e, shoal_on_pipe(e->other)) ||
	       shoal_pipe_recv(e->other, NULL, 0, 0) != -EPIPE;
}

/* Readable at last, and the call tells why; it may be readable for nothing. */
static int
poll_until_over(struct estate *e, int fd, ssize_t (*call)(struct estate *))
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t rc;
	REQUIRE(fd >= 0);
	while ((rc = call(e)) >= 0)
		continue;
	fetch_add_seq_cst(&e->waiting, 1);
	while (rc == -EAGAIN && poll(&p, 1, 10000) == 1)
		rc = call(e);
	return rc != -EPIPE;
}

static ssize_t
get_one(struct estate *e)
{
	return shoal_queue_get(e->queue, NULL, 0, 0);
}

static ssize_t
put_one(struct estate *e)
{
	return shoal_queue_put(e->queue, NULL, 0, 0);
}

static ssize_t
recv_one(struct estate *e)
{
	return shoal_pipe_recv(e->other, NULL, 0, 0);
}

static ssize_t
send_one(struct estate *e)
{
	return shoal_pipe_send(e->other, NULL, 0, 0);
}

static int
poll_queue(void *arg)
{
	struct estate *e = arg;
	return poll_until_over(e, shoal_queue_fd(e->queue), get_one);
}

static int
poll_room(void *arg)
{
	struct estate *e = arg;
	return poll_until_over(e, shoal_queue_room_fd(e->queue), put_one);
}

static int
poll_pipe(void *arg)
{
	struct estate *e = arg;
	return poll_until_over(e, shoal_pipe_fd(e->other), recv_one);
}

static int
poll_pipes_room(void *arg)
{
	struct estate *e = arg;
	return poll_until_over(e, shoal_pipe_room_fd(e->other), send_one);
}

static pid_t
owner_of(struct estate *e)
{
	store_relaxed(&e->made, 0);
	pid_t pid = child(own_all, e);
	for (int i = 0; i < 5000 && !load_acquire(&e->made); i++)
		sleep_ms(1);
	return pid;
}

/*
 * Alone: who waits for a pipe's other side looks after all that its owner had. How long it took
 * where shoal_wait was told.
 */
static int64_t
is_told_of_the_owners_death(int (*wait)(void *))
{
	struct estate *e = shared(sizeof *e);
	e->arena = create(NULL, &small);
	pid_t owner = owner_of(e);
	REQUIRE_EQ(shoal_lock_acquire(e->lock, 0), 0);
	REQUIRE_EQ(shoal_rwlock_read(e->rwlock, 0), 0);
	REQUIRE_EQ(shoal_pipe_recv(e->mine, NULL, 0, 0), -EAGAIN);
	pid_t waiter = child(wait, e);
	for (int i = 0; i < 5000 && !load_acquire(&e->waiting); i++)
		sleep_ms(1);
	sleep_ms(20);
	int64_t fair = fair_ns(), at = now_ns();
	kill(owner, SIGKILL);
	expect_killed(owner, SIGKILL, 1000);
	expect_child(waiter, 0, 5000);
	REQUIRE(fair_ns() - fair < SHOAL_SEC(1) * HARNESS_SLOW);
	REQUIRE_EQ(shoal_lock_release(e->lock), 0);
	REQUIRE_EQ(shoal_rwlock_release(e->rwlock), 0);
	shoal_arena_close(e->arena);
	return e->told - at;
}

/* The death comes 20 ms after the wait began, which otherwise looks after 50. */
static void
is_told_soon(int (*wait)(void *))
{
	int64_t best = INT64_MAX;
	for (int i = 0; i < 10 && best >= SHOAL_MS(15); i++) {
		int64_t took = is_told_of_the_owners_death(wait);
		best = took < best ? took : best;
	}
	REQUIRE(best < SHOAL_MS(15));
}

Test(owner, those_who_wait_are_told_of_the_owners_death)
{
	is_told_of_the_owners_death(wait_for_lock);
	is_told_of_the_owners_death(wait_to_write);
	is_told_of_the_owners_death(wait_for_message);
	is_told_of_the_owners_death(wait_at_pipe);
	is_told_of_the_owners_death(wait_to_join);
}

Test(owner, those_who_never_sleep_in_a_call_are_told_too)
{
	is_told_of_the_owners_death(ask_for_message);
	is_told_of_the_owners_death(ask_at_pipe);
	is_told_of_the_owners_death(ask_to_join);
}

Test(owner, those_who_wait_for_several_things_are_told_too)
{
	is_told_soon(wait_for_queue);
	is_told_soon(wait_for_pipe);
}

Test(owner, descriptors_tell_of_the_owners_death)
{
	is_told_of_the_owners_death(poll_queue);
	is_told_of_the_owners_death(poll_room);
	is_told_of_the_owners_death(poll_pipe);
	is_told_of_the_owners_death(poll_pipes_room);
}

/* By a member, so that it is no newcomer that looks after all the dead. */
Test(owner, whoever_opens_or_creates_looks_for_the_owner)
{
	struct estate *e = shared(sizeof *e);
	void *block;
	e->arena = create(NULL, &small);
	REQUIRE_EQ(shoal_alloc(e->arena, 16, &block), 0);
	for (int round = 0; round < 2; round++) {
		pid_t owner = owner_of(e);
		kill(owner, SIGKILL);
		expect_killed(owner, SIGKILL, 1000);
		REQUIRE_EQ(shoal_lock_open(e->arena, "lock", 0, &e->lock), -ENOENT);
		REQUIRE_EQ(shoal_queue_open(e->arena, "queue", 0, &e->queue), -ENOENT);
		REQUIRE_EQ(shoal_rwlock_create(e->arena, "rwlock", 0, &e->rwlock), 0);
		REQUIRE_EQ(shoal_rwlock_destroy(e->arena, e->rwlock), 0);
		shoal_arena_recover(e->arena);
	}
	shoal_arena_close(e->arena);
}
