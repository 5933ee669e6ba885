/* Locks and signals: plain ones in a struct of the program's own, and such with names. */
#include "outside.h"
#include <poll.h>
#include <signal.h>

struct account {
	shoal_lock lock;
	shoal_rlock rlock;
	shoal_rwlock rwlock;
	shoal_semaphore permits;
	shoal_condition changed;
	shoal_event opened;
	shoal_barrier start;
	long balance;
	bool closed;
};

static int
die_with_the_lock(void *arg)
{
	struct account *a = arg;
	CHECK(shoal_lock_acquire(&a->lock, SHOAL_SEC(5)) == 0);
	a->balance = -1;
	raise(SIGKILL);
	return 0;
}

static void
a_death(struct account *a)
{
	shoal_process *victim;
	shoal_lock_info info;
	CHECK(shoal_process_spawn(die_with_the_lock, a, NULL, &victim) == 0);
	CHECK(shoal_process_join(victim, SHOAL_SEC(10)) == 0 && shoal_process_close(victim) == 0);
	int rc = shoal_lock_acquire(&a->lock, SHOAL_SEC(1));
	CHECK(rc == -EOWNERDEAD && shoal_have(rc) && shoal_lock_held(&a->lock));
	a->balance = 0;
	CHECK(shoal_lock_consistent(&a->lock) == 0 && shoal_lock_release(&a->lock) == 0);
	CHECK(shoal_lock_release(&a->lock) == -EPERM);
	CHECK(shoal_lock_stat(&a->lock, &info) == 0 && info.deaths == 1 && info.owner == 0);
}

static int
deposit(struct account *a, long amount)
{
	SHOAL_HOLD(&a->lock);
	if (a->closed)
		return -EPIPE;
	a->balance += amount;
	return 0;
}

static void
locking(struct account *a)
{
	CHECK(shoal_lock_init(&a->lock) == 0 && shoal_lock_name(&a->lock, "account") == 0);
	a_death(a);
	CHECK(deposit(a, 10) == 0 && a->balance == 10 && !shoal_lock_held(&a->lock));
	{
		SHOAL_HOLD_AS(h, &a->lock, SHOAL_MS(100));
		CHECK(h.rc == 0 && shoal_lock_acquire(&a->lock, SHOAL_NOWAIT) == -EAGAIN);
	}
	CHECK(shoal_rlock_init(&a->rlock, 0) == 0);
	CHECK(shoal_rlock_acquire(&a->rlock, SHOAL_NOWAIT) == 0);
	CHECK(shoal_rlock_acquire(&a->rlock, SHOAL_NOWAIT) == 0);
	CHECK(shoal_rlock_release(&a->rlock) == 0 && shoal_rlock_release(&a->rlock) == 0);
	CHECK(shoal_rlock_release(&a->rlock) == -EPERM);
	CHECK(shoal_rwlock_init(&a->rwlock, SHOAL_LOCK_AUTOCLEAN) == 0);
	CHECK(shoal_rwlock_read(&a->rwlock, SHOAL_NOWAIT) == 0);
	CHECK(shoal_rwlock_write(&a->rwlock, SHOAL_MS(1)) == -EDEADLK);
	CHECK(shoal_rwlock_release(&a->rwlock) == 0);
	CHECK(shoal_rwlock_write(&a->rwlock, SHOAL_NOWAIT) == 0);
	CHECK(shoal_rwlock_release(&a->rwlock) == 0);
}

static bool
is_open(void *arg)
{
	return !((struct account *)arg)->closed;
}

/* Waits at the barrier with its parent, takes a permit, opens the account and says so. */
static int
partner(void *arg)
{
	struct account *a = arg;
	CHECK(shoal_barrier_wait(&a->start, SHOAL_SEC(5)) >= 0);
	CHECK(shoal_semaphore_acquire(&a->permits, SHOAL_SEC(5)) == 0);
	CHECK(shoal_lock_acquire(&a->lock, SHOAL_SEC(5)) == 0);
	a->closed = false;
	CHECK(shoal_condition_notify(&a->changed, &a->lock, SHOAL_ALL) == 0);
	CHECK(shoal_lock_release(&a->lock) == 0);
	return shoal_event_set(&a->opened);
}

static void
signals(struct account *a)
{
	shoal_process *child;
	CHECK(shoal_semaphore_init(&a->permits, 0, 1) == 0 && shoal_condition_init(&a->changed) == 0);
	CHECK(shoal_event_init(&a->opened) == 0 && shoal_barrier_init(&a->start, 2) == 0);
	CHECK(shoal_barrier_init(&a->start, 0) == -EINVAL && shoal_barrier_parties(&a->start) == 2);
	a->closed = true;
	CHECK(shoal_process_spawn(partner, a, NULL, &child) == 0);
	CHECK(shoal_barrier_wait(&a->start, SHOAL_SEC(5)) >= 0 && !shoal_barrier_broken(&a->start));
	CHECK(shoal_semaphore_release(&a->permits) == 0);
	CHECK(shoal_lock_acquire(&a->lock, SHOAL_SEC(5)) == 0);
	CHECK(shoal_condition_wait_for(&a->changed, &a->lock, is_open, a, SHOAL_SEC(5)) == 0);
	CHECK(shoal_lock_release(&a->lock) == 0);
	CHECK(shoal_event_wait(&a->opened, SHOAL_SEC(5)) == 0 && shoal_event_is_set(&a->opened));
	struct pollfd set = { .fd = shoal_event_fd(&a->opened), .events = POLLIN };
	CHECK(set.fd >= 0 && poll(&set, 1, 5000) == 1 && shoal_event_clear(&a->opened) == 0);
	CHECK(shoal_process_join(child, SHOAL_SEC(5)) == 0 && shoal_process_close(child) == 0);
	CHECK(shoal_semaphore_value(&a->permits) == 0);
	CHECK(shoal_semaphore_release(&a->permits) == 0);
	CHECK(shoal_semaphore_release(&a->permits) == -EOVERFLOW);
	CHECK(shoal_condition_wait(&a->changed, &a->lock, SHOAL_NOWAIT) == -EPERM);
	CHECK(shoal_barrier_abort(&a->start) == 0 && shoal_barrier_broken(&a->start));
	CHECK(shoal_barrier_wait(&a->start, SHOAL_SEC(5)) == -EPIPE);
	CHECK(shoal_barrier_reset(&a->start) == 0 && shoal_barrier_waiting(&a->start) == 0);
}

static void
named(shoal_arena *arena)
{
	shoal_lock *lock, *same;
	shoal_rwlock *rwlock;
	shoal_semaphore *semaphore;
	shoal_condition *condition;
	shoal_event *event;
	CHECK(shoal_lock_create(arena, "lock", 0, &lock) == 0);
	CHECK(shoal_lock_open(arena, "lock", SHOAL_NOWAIT, &same) == 0 && same == lock);
	CHECK(shoal_lock_create(arena, "lock", SHOAL_OR_OPEN, &same) == 0 && same == lock);
	CHECK(shoal_event_open(arena, "lock", SHOAL_NOWAIT, &event) == -EPROTO);
	CHECK(shoal_lock_destroy(arena, lock) == 0);
	CHECK(shoal_rwlock_create(arena, NULL, 0, &rwlock) == 0);
	CHECK(shoal_rwlock_destroy(arena, rwlock) == 0);
	CHECK(shoal_semaphore_create(arena, NULL, 2, 0, &semaphore) == 0);
	CHECK(shoal_semaphore_value(semaphore) == 2);
	CHECK(shoal_semaphore_destroy(arena, semaphore) == 0);
	CHECK(shoal_condition_create(arena, NULL, &condition) == 0);
	CHECK(shoal_condition_destroy(arena, condition) == 0);
	CHECK(shoal_event_create(arena, NULL, &event) == 0);
	CHECK(shoal_event_destroy(arena, event) == 0);
}

void
locks(shoal_arena *arena)
{
	struct account *a = shoal_new(arena, sizeof *a);
	CHECK(a);
	locking(a);
	signals(a);
	named(arena);
	shoal_free(arena, a);
}
