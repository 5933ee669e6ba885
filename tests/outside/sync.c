/* Locks: plain ones in a struct of the program's own, such with names, and what a death leaves. */
#include "outside.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>

struct account {
	shoal_lock lock;
	shoal_rlock rlock;
	shoal_rwlock rwlock;
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
	shoal_lock_info info;
	to_death(die_with_the_lock, a);
	int rc = shoal_lock_acquire(&a->lock, SHOAL_SEC(1));
	CHECK(rc == -EOWNERDEAD && shoal_have(rc) && shoal_lock_held(&a->lock));
	a->balance = 0;
	CHECK(shoal_lock_consistent(&a->lock) == 0 && shoal_lock_consistent(&a->lock) == -EINVAL);
	CHECK(shoal_lock_release(&a->lock) == 0);
	CHECK(shoal_lock_release(&a->lock) == -EPERM && strstr(shoal_error(), "account"));
	CHECK(shoal_lock_stat(&a->lock, &info) == 0 && info.deaths == 1 && info.owner == 0);

	/* Given back suspect it is for nobody, until it is initialised anew. */
	to_death(die_with_the_lock, a);
	CHECK(shoal_lock_acquire(&a->lock, SHOAL_SEC(1)) == -EOWNERDEAD);
	CHECK(shoal_lock_release(&a->lock) == 0);
	CHECK(shoal_lock_acquire(&a->lock, SHOAL_SEC(1)) == -ENOTRECOVERABLE);
	CHECK(!shoal_have(-ENOTRECOVERABLE) && shoal_lock_init(&a->lock) == 0);

	/* Where it does not matter how things were left, it is free again. */
	CHECK(shoal_lock_init_with(&a->lock, 1 << 7) == -EINVAL);
	CHECK(shoal_lock_init_with(&a->lock, SHOAL_LOCK_AUTOCLEAN) == 0);
	to_death(die_with_the_lock, a);
	CHECK(shoal_lock_acquire(&a->lock, SHOAL_SEC(1)) == 0 && a->balance == -1);
	CHECK(shoal_lock_stat(&a->lock, &info) == 0 && info.deaths == 1 && info.owner > 0);
	CHECK(shoal_lock_release(&a->lock) == 0 && shoal_lock_init(&a->lock) == 0);
	a->balance = 0;
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

static int
save(void *arg)
{
	for (int i = 0; i < 1000; i++)
		CHECK(deposit(arg, 1) == 0);
	return 0;
}

static void *
save_too(void *arg)
{
	save(arg);
	return NULL;
}

/* Two threads of this process, and another one: nothing is lost. */
static void
together(struct account *a)
{
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, save_too, a) == 0);
	in_child(save, a);
	save(a);
	CHECK(pthread_join(thread, NULL) == 0 && a->balance == 3000);
	a->balance = 0;
}

/* ---- rlock ---- */

static void *
end_with_the_rlock(void *arg)
{
	struct account *a = arg;
	CHECK(shoal_rlock_acquire(&a->rlock, SHOAL_NOWAIT) == 0);
	CHECK(shoal_rlock_acquire(&a->rlock, SHOAL_NOWAIT) == 0);
	return NULL;
}

static void *
finds_it_held(void *arg)
{
	struct account *a = arg;
	CHECK(shoal_rlock_acquire(&a->rlock, SHOAL_NOWAIT) == -EAGAIN);
	CHECK(shoal_rlock_release(&a->rlock) == -EPERM);
	return NULL;
}

static void
again_and_again(struct account *a)
{
	CHECK(shoal_rlock_init(&a->rlock, 0) == 0);
	CHECK(shoal_rlock_acquire(&a->rlock, SHOAL_NOWAIT) == 0);
	CHECK(shoal_rlock_acquire(&a->rlock, SHOAL_NOWAIT) == 0);
	CHECK(shoal_rlock_release(&a->rlock) == 0);
	in_thread(finds_it_held, a);
	CHECK(shoal_rlock_release(&a->rlock) == 0 && shoal_rlock_release(&a->rlock) == -EPERM);

	/* The end of a thread is a death of what it holds. */
	in_thread(end_with_the_rlock, a);
	CHECK(shoal_rlock_acquire(&a->rlock, SHOAL_SEC(1)) == -EOWNERDEAD);
	CHECK(shoal_rlock_consistent(&a->rlock) == 0);
	CHECK(shoal_rlock_consistent(&a->rlock) == -EINVAL);
	CHECK(shoal_rlock_release(&a->rlock) == 0 && shoal_rlock_release(&a->rlock) == -EPERM);
	CHECK(shoal_rlock_acquire(&a->rlock, SHOAL_NOWAIT) == 0);
	CHECK(shoal_rlock_release(&a->rlock) == 0);
	shoal_lock_info info;
	CHECK(shoal_rlock_stat(&a->rlock, &info) == 0 && info.deaths == 1 && info.owner == 0);
}

/* ---- rwlock ---- */

static int
reads_too(void *arg)
{
	struct account *a = arg;
	CHECK(shoal_rwlock_write(&a->rwlock, SHOAL_MS(1)) == -ETIMEDOUT);
	CHECK(shoal_rwlock_read(&a->rwlock, SHOAL_NOWAIT) == 0);
	return shoal_rwlock_release(&a->rwlock);
}

static int
die_reading(void *arg)
{
	struct account *a = arg;
	CHECK(shoal_rwlock_read(&a->rwlock, SHOAL_NOWAIT) == 0);
	raise(SIGKILL);
	return 0;
}

static int
die_writing(void *arg)
{
	struct account *a = arg;
	CHECK(shoal_rwlock_write(&a->rwlock, SHOAL_NOWAIT) == 0);
	raise(SIGKILL);
	return 0;
}

static void
readers_and_a_writer(struct account *a)
{
	CHECK(shoal_rwlock_init(&a->rwlock, 0) == 0);
	CHECK(shoal_rwlock_read(&a->rwlock, SHOAL_NOWAIT) == 0);
	CHECK(shoal_rwlock_write(&a->rwlock, SHOAL_MS(1)) == -EDEADLK);
	in_child(reads_too, a);
	CHECK(shoal_rwlock_release(&a->rwlock) == 0 && shoal_rwlock_release(&a->rwlock) == -EPERM);
	to_death(die_reading, a);
	CHECK(shoal_rwlock_write(&a->rwlock, SHOAL_SEC(1)) == 0);
	CHECK(shoal_rwlock_consistent(&a->rwlock) == -EINVAL);
	CHECK(shoal_rwlock_release(&a->rwlock) == 0);

	/* Whoever comes next holds it alone, to repair what it guards. */
	to_death(die_writing, a);
	CHECK(shoal_rwlock_read(&a->rwlock, SHOAL_SEC(1)) == -EOWNERDEAD);
	shoal_lock_info info;
	CHECK(shoal_rwlock_stat(&a->rwlock, &info) == 0 && info.deaths == 1 && info.owner > 0);
	CHECK(shoal_rwlock_consistent(&a->rwlock) == 0 && shoal_rwlock_release(&a->rwlock) == 0);
	CHECK(shoal_rwlock_read(&a->rwlock, SHOAL_NOWAIT) == 0);
	CHECK(shoal_rwlock_release(&a->rwlock) == 0);
	CHECK(shoal_rwlock_init(&a->rwlock, SHOAL_LOCK_AUTOCLEAN) == 0);
	to_death(die_writing, a);
	CHECK(shoal_rwlock_write(&a->rwlock, SHOAL_SEC(1)) == 0);
	CHECK(shoal_rwlock_release(&a->rwlock) == 0);
}

/* ---- under names ---- */

static void
named(shoal_arena *arena)
{
	shoal_lock *lock, *same;
	shoal_rwlock *rwlock, *other;
	CHECK(shoal_lock_create(arena, "lock", 0, &lock) == 0);
	CHECK(shoal_lock_open(arena, "lock", SHOAL_NOWAIT, &same) == 0 && same == lock);
	CHECK(shoal_lock_create(arena, "lock", 0, &same) == -EEXIST);
	CHECK(shoal_lock_create(arena, "lock", SHOAL_OR_OPEN, &same) == 0 && same == lock);
	CHECK(shoal_rwlock_open(arena, "lock", SHOAL_NOWAIT, &rwlock) == -EPROTO);
	CHECK(shoal_lock_destroy(arena, lock) == 0);
	CHECK(shoal_lock_open(arena, "lock", SHOAL_NOWAIT, &same) == -ENOENT);
	CHECK(shoal_rwlock_create(arena, "rwlock", 0, &rwlock) == 0);
	CHECK(shoal_rwlock_open(arena, "rwlock", SHOAL_NOWAIT, &other) == 0 && other == rwlock);
	CHECK(shoal_rwlock_destroy(arena, rwlock) == 0);
	CHECK(shoal_rwlock_open(arena, "rwlock", SHOAL_NOWAIT, &other) == -ENOENT);
}

void
locks(shoal_arena *arena)
{
	struct account *a = shoal_new(arena, sizeof *a);
	CHECK(a);
	/* Whatever the memory was before. */
	memset(&a->lock, 0xff, sizeof a->lock);
	memset(&a->rlock, 0xff, sizeof a->rlock);
	memset(&a->rwlock, 0xff, sizeof a->rwlock);
	CHECK(shoal_lock_init(&a->lock) == 0 && shoal_lock_name(&a->lock, "account") == 0);
	a_death(a);
	CHECK(deposit(a, 10) == 0 && a->balance == 10 && !shoal_lock_held(&a->lock));
	a->balance = 0;
	{
		SHOAL_HOLD_AS(h, &a->lock, SHOAL_MS(100));
		CHECK(h.rc == 0 && shoal_lock_acquire(&a->lock, SHOAL_NOWAIT) == -EAGAIN);
	}
	together(a);
	again_and_again(a);
	readers_and_a_writer(a);
	named(arena);
	shoal_free(arena, a);
}
