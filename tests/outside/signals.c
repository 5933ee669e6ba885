/* Signals: semaphores, conditions, events and barriers, plain and with names. */
#include "outside.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

struct door {
	shoal_lock lock;
	shoal_rlock rlock;
	shoal_semaphore permits;
	shoal_condition changed, moved;
	shoal_event opened;
	shoal_barrier start;
	bool open;
	int steps;
};

static bool
is_open(void *arg)
{
	return ((struct door *)arg)->open;
}

/* Waits at the barrier with its parent. For each permit it makes a step, the second one opens. */
static int
partner(void *arg)
{
	struct door *d = arg;
	CHECK(shoal_barrier_wait(&d->start, SHOAL_SEC(5)) >= 0);
	while (d->steps < 2) {
		CHECK(shoal_semaphore_acquire(&d->permits, SHOAL_SEC(5)) == 0);
		CHECK(shoal_lock_acquire(&d->lock, SHOAL_SEC(5)) == 0);
		d->open = ++d->steps == 2;
		CHECK(shoal_condition_notify(&d->changed, &d->lock, SHOAL_ALL) == 0);
		CHECK(shoal_lock_release(&d->lock) == 0);
	}
	return shoal_event_set(&d->opened);
}

static void
with_a_partner(struct door *d)
{
	shoal_process *child;
	/* Whatever the memory was before. */
	memset(&d->permits, 0xff, sizeof d->permits);
	memset(&d->changed, 0xff, sizeof d->changed);
	memset(&d->opened, 0xff, sizeof d->opened);
	memset(&d->start, 0xff, sizeof d->start);
	CHECK(shoal_semaphore_init(&d->permits, 0, 1) == 0 && shoal_condition_init(&d->changed) == 0);
	CHECK(shoal_event_init(&d->opened) == 0 && shoal_barrier_init(&d->start, 2) == 0);
	CHECK(shoal_process_spawn(partner, d, NULL, &child) == 0);
	CHECK(shoal_barrier_wait(&d->start, SHOAL_SEC(5)) >= 0 && !shoal_barrier_broken(&d->start));
	CHECK(shoal_lock_acquire(&d->lock, SHOAL_SEC(5)) == 0);
	CHECK(shoal_semaphore_release(&d->permits) == 0);
	CHECK(shoal_condition_wait(&d->changed, &d->lock, SHOAL_SEC(5)) == 0 && d->steps == 1);
	CHECK(shoal_semaphore_release(&d->permits) == 0 && !d->open);
	CHECK(shoal_condition_wait_for(&d->changed, &d->lock, is_open, d, SHOAL_SEC(5)) == 0);
	CHECK(d->open);
	CHECK(shoal_lock_release(&d->lock) == 0);
	CHECK(shoal_event_wait(&d->opened, SHOAL_SEC(5)) == 0 && shoal_event_is_set(&d->opened));
	struct pollfd set = { .fd = shoal_event_fd(&d->opened), .events = POLLIN };
	CHECK(set.fd > STDERR_FILENO && poll(&set, 1, 5000) == 1);
	CHECK(shoal_event_clear(&d->opened) == 0 && !shoal_event_is_set(&d->opened));
	CHECK(shoal_event_wait(&d->opened, SHOAL_NOWAIT) == -EAGAIN && poll(&set, 1, 0) == 0);
	CHECK(shoal_process_join(child, SHOAL_SEC(5)) == 0 && shoal_process_close(child) == 0);
	CHECK(shoal_semaphore_value(&d->permits) == 0);
	CHECK(shoal_semaphore_release(&d->permits) == 0);
	CHECK(shoal_semaphore_release(&d->permits) == -EOVERFLOW);
	CHECK(shoal_condition_wait(&d->changed, &d->lock, SHOAL_NOWAIT) == -EPERM);
}

/* ---- a condition with an rlock that is held twice ---- */

static void *
walk(void *arg)
{
	struct door *d = arg;
	for (int i = 0; i < 2; i++) {
		CHECK(shoal_event_wait(&d->opened, SHOAL_SEC(5)) == 0);
		CHECK(shoal_rlock_acquire(&d->rlock, SHOAL_SEC(5)) == 0);
		CHECK(shoal_event_clear(&d->opened) == 0);
		d->steps++;
		CHECK(shoal_condition_notify_rlock(&d->moved, &d->rlock, 1) == 0);
		CHECK(shoal_rlock_release(&d->rlock) == 0);
	}
	CHECK(shoal_condition_notify_rlock(&d->moved, &d->rlock, 1) == -EPERM);
	return NULL;
}

static bool
two_steps(void *arg)
{
	return ((struct door *)arg)->steps == 2;
}

/* All levels are given back while it waits, and held again when it returns. */
static void
with_an_rlock(struct door *d)
{
	pthread_t thread;
	d->steps = 0;
	CHECK(shoal_condition_init(&d->moved) == 0 && shoal_rlock_init(&d->rlock, 0) == 0);
	CHECK(shoal_event_init(&d->opened) == 0);
	CHECK(shoal_condition_wait_rlock(&d->moved, &d->rlock, SHOAL_NOWAIT) == -EPERM);
	CHECK(pthread_create(&thread, NULL, walk, d) == 0);
	CHECK(shoal_rlock_acquire(&d->rlock, SHOAL_SEC(5)) == 0);
	CHECK(shoal_rlock_acquire(&d->rlock, SHOAL_SEC(5)) == 0);
	CHECK(shoal_condition_wait_rlock(&d->moved, &d->rlock, SHOAL_MS(1)) == -ETIMEDOUT);
	CHECK(shoal_event_set(&d->opened) == 0);
	CHECK(shoal_condition_wait_rlock(&d->moved, &d->rlock, SHOAL_SEC(5)) == 0 && d->steps == 1);
	CHECK(shoal_event_set(&d->opened) == 0);
	CHECK(shoal_condition_wait_for_rlock(&d->moved, &d->rlock, two_steps, d, SHOAL_SEC(5)) == 0);
	CHECK(d->steps == 2);
	CHECK(shoal_rlock_release(&d->rlock) == 0 && shoal_rlock_release(&d->rlock) == 0);
	CHECK(shoal_rlock_release(&d->rlock) == -EPERM && pthread_join(thread, NULL) == 0);
}

/* ---- barriers ---- */

static int
count_step(void *arg)
{
	((struct door *)arg)->steps++;
	return 0;
}

static int
refuse(void *unused)
{
	(void)unused;
	return -ERANGE;
}

/* Two rounds: in both the action has run, once, before anybody goes on; the second one breaks. */
static int
come_with(struct door *d)
{
	int place = shoal_barrier_wait_do(&d->start, count_step, d, SHOAL_SEC(5));
	CHECK((place == 0 || place == 1) && d->steps == 1);
	int rc = shoal_barrier_wait_do(&d->start, refuse, NULL, SHOAL_SEC(5));
	CHECK((rc == -EPIPE || rc == -ERANGE) && shoal_barrier_broken(&d->start));
	return place << 1 | (rc == -ERANGE);
}

static int
come(void *d)
{
	return come_with(d);
}

/* Waits until somebody breaks the barrier. */
static void *
wait_in_vain(void *arg)
{
	struct door *d = arg;
	CHECK(shoal_barrier_wait(&d->start, SHOAL_SEC(10)) == -EPIPE);
	return NULL;
}

static void
broken(struct door *d)
{
	pthread_t thread;
	shoal_time deadline = shoal_now() + SHOAL_SEC(10);
	CHECK(shoal_barrier_wait(&d->start, SHOAL_NOWAIT) == -EAGAIN);
	CHECK(shoal_barrier_waiting(&d->start) == 0);
	CHECK(pthread_create(&thread, NULL, wait_in_vain, d) == 0);
	while (shoal_barrier_waiting(&d->start) == 0)
		CHECK(shoal_left(deadline) > 0);
	CHECK(shoal_barrier_waiting(&d->start) == 1 && shoal_barrier_abort(&d->start) == 0);
	CHECK(pthread_join(thread, NULL) == 0 && shoal_barrier_broken(&d->start));
	CHECK(shoal_barrier_wait(&d->start, SHOAL_SEC(5)) == -EPIPE);
	CHECK(shoal_barrier_reset(&d->start) == 0 && shoal_barrier_waiting(&d->start) == 0);
	CHECK(shoal_barrier_wait(&d->start, SHOAL_MS(1)) == -ETIMEDOUT);
	CHECK(shoal_barrier_broken(&d->start));
}

static void
barriers(struct door *d)
{
	shoal_process *child;
	int code;
	CHECK(shoal_barrier_init(&d->start, 0) == -EINVAL && shoal_barrier_init(&d->start, 2) == 0);
	CHECK(shoal_barrier_parties(&d->start) == 2);
	d->steps = 0;
	CHECK(shoal_process_spawn(come, d, NULL, &child) == 0);
	int mine = come_with(d);
	CHECK(shoal_process_join(child, SHOAL_SEC(5)) == 0);
	CHECK(shoal_process_exitcode(child, &code) == 0 && shoal_process_close(child) == 0);
	CHECK((code ^ mine) == 3);
	CHECK(shoal_barrier_reset(&d->start) == 0 && !shoal_barrier_broken(&d->start));
	broken(d);
}

/* ---- under names ---- */

static int
die_with_a_permit(void *semaphore)
{
	CHECK(shoal_semaphore_acquire(semaphore, SHOAL_SEC(5)) == 0);
	raise(SIGKILL);
	return 0;
}

static void
named(shoal_arena *arena)
{
	shoal_semaphore *semaphore, *its;
	shoal_condition *condition, *one;
	shoal_event *event, *same;
	CHECK(shoal_semaphore_create(arena, "permits", 2, 0, &semaphore) == 0);
	CHECK(shoal_semaphore_open(arena, "permits", SHOAL_NOWAIT, &its) == 0 && its == semaphore);
	to_death(die_with_a_permit, semaphore);
	CHECK(shoal_semaphore_value(semaphore) == 1 && shoal_event_open(arena, "permits", SHOAL_NOWAIT,
	                                                                &event) == -EPROTO);
	CHECK(shoal_semaphore_destroy(arena, semaphore) == 0);

	/* A permit that has an owner is back when that one dies, and nobody else gives it back. */
	CHECK(shoal_semaphore_create(arena, NULL, 1, SHOAL_SEMAPHORE_OWNED, &semaphore) == 0);
	CHECK(shoal_semaphore_release(semaphore) == -EPERM);
	to_death(die_with_a_permit, semaphore);
	CHECK(shoal_semaphore_acquire(semaphore, SHOAL_SEC(5)) == 0);
	CHECK(shoal_semaphore_value(semaphore) == 0 && shoal_semaphore_release(semaphore) == 0);
	CHECK(shoal_semaphore_value(semaphore) == 1);
	CHECK(shoal_semaphore_destroy(arena, semaphore) == 0);

	CHECK(shoal_condition_create(arena, "condition", &condition) == 0);
	CHECK(shoal_condition_open(arena, "condition", SHOAL_NOWAIT, &one) == 0 && one == condition);
	CHECK(shoal_condition_destroy(arena, condition) == 0);
	CHECK(shoal_condition_open(arena, "condition", SHOAL_NOWAIT, &one) == -ENOENT);
	CHECK(shoal_event_create(arena, "event", &event) == 0);
	CHECK(shoal_event_open(arena, "event", SHOAL_NOWAIT, &same) == 0 && same == event);
	CHECK(shoal_event_destroy(arena, event) == 0);
	CHECK(shoal_event_open(arena, "event", SHOAL_NOWAIT, &same) == -ENOENT);
}

void
signals(shoal_arena *arena)
{
	struct door *d = shoal_new(arena, sizeof *d);
	CHECK(d);
	with_a_partner(d);
	with_an_rlock(d);
	barriers(d);
	named(arena);
	shoal_free(arena, d);
}
