/* Conditions: who is interrupted, and the lock that is taken again. */
#include "common.h"
#include <shoal/arena.h>

struct world {
	shoal_lock lock;
	shoal_condition c;
	word32 reached, gone;
};

static void
notify(struct world *w, uint32_t n)
{
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_condition_notify(&w->c, &w->lock, n), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
}

struct interrupted {
	struct world *w;
	word32 thread; /* 1: it holds the lock, or waits */
	shoal_thread *self;
	int first, second;
};

static void *
wait_twice(void *arg)
{
	struct interrupted *i = arg;
	struct world *w = i->w;
	i->self = shoal_thread_self();
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	store_release(&i->thread, 1);
	i->first = shoal_condition_wait(&w->c, &w->lock, SHOAL_SEC(10));
	if (i->first == -EOWNERDEAD)
		REQUIRE_EQ(shoal_lock_consistent(&w->lock), 0);
	i->second = shoal_condition_wait(&w->c, &w->lock, SHOAL_MS(20));
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	return NULL;
}

/* Their sleep has ended by it, and they wait for the lock again, which another one has. */
static void
interrupt_so_many_that_have_to_wait(struct interrupted *i, uint32_t count)
{
	shoal_lock_info info = { 0 };
	for (uint32_t k = 0; k < count; k++)
		shoal_thread_interrupt(i[k].self);
	for (int n = 0; n < 5000 && info.waiting < count; n++) {
		REQUIRE_EQ(shoal_lock_stat(&i->w->lock, &info), 0);
		sleep_ms(1);
	}
	REQUIRE_EQ(info.waiting, count);
}

static void
interrupt_one_that_has_to_wait(struct interrupted *i)
{
	interrupt_so_many_that_have_to_wait(i, 1);
}

Test(condition, an_interrupt_that_a_notification_outran_is_for_the_next_wait)
{
	struct interrupted i = { .w = shared(sizeof(struct world)) };
	pthread_t p;
	REQUIRE_EQ(pthread_create(&p, NULL, wait_twice, &i), 0);
	wait_for(&i.thread, 1);
	REQUIRE_EQ(shoal_lock_acquire(&i.w->lock, SHOAL_FOREVER), 0);
	interrupt_one_that_has_to_wait(&i);
	REQUIRE_EQ(shoal_condition_notify(&i.w->c, &i.w->lock, SHOAL_ALL), 0);
	REQUIRE_EQ(shoal_lock_release(&i.w->lock), 0);
	REQUIRE_EQ(pthread_join(p, NULL), 0);
	REQUIRE_EQ(i.first, 0);
	REQUIRE_EQ(i.second, -ECANCELED);
}

static int
hold_until_killed(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	reach(&w->reached);
	stay();
	return 0;
}

Test(condition, and_so_is_one_that_a_death_outran)
{
	struct interrupted i = { .w = shared(sizeof(struct world)) };
	pthread_t p;
	REQUIRE_EQ(pthread_create(&p, NULL, wait_twice, &i), 0);
	wait_for(&i.thread, 1);
	pid_t pid = child(hold_until_killed, i.w);
	wait_for(&i.w->reached, 1);
	interrupt_one_that_has_to_wait(&i);
	kill_now(pid);
	REQUIRE_EQ(pthread_join(p, NULL), 0);
	REQUIRE_EQ(i.first, -EOWNERDEAD);
	REQUIRE_EQ(i.second, -ECANCELED);
}

/* Interrupts two, notifies one of them, and waits itself, from before they have the lock again. */
struct notifier {
	struct world *w;
	struct interrupted *two;
};

static void *
interrupt_notify_and_wait(void *arg)
{
	struct notifier *n = arg;
	struct world *w = n->w;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	interrupt_so_many_that_have_to_wait(n->two, 2);
	REQUIRE_EQ(shoal_condition_notify(&w->c, &w->lock, 1), 0);
	REQUIRE_EQ(shoal_condition_wait(&w->c, &w->lock, SHOAL_SEC(10)), 0);
	reach(&w->gone);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	return NULL;
}

static void *
wait_once(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	reach(&w->reached);
	REQUIRE_EQ(shoal_condition_wait(&w->c, &w->lock, SHOAL_SEC(10)), 0);
	reach(&w->gone);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	return NULL;
}

/* Of the two one goes by it, and its interrupt is for its next wait. */
Test(condition, a_notification_of_who_is_interrupted_lets_no_later_one_go)
{
	struct world *w = shared(sizeof *w);
	struct interrupted two[2] = { { .w = w }, { .w = w } };
	struct notifier n = { w, two };
	pthread_t p[4];
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(pthread_create(&p[i], NULL, wait_twice, &two[i]), 0);
		wait_for(&two[i].thread, 1);
	}
	REQUIRE_EQ(pthread_create(&p[2], NULL, interrupt_notify_and_wait, &n), 0);
	for (int i = 0; i < 2; i++)
		REQUIRE_EQ(pthread_join(p[i], NULL), 0);
	REQUIRE_EQ(pthread_create(&p[3], NULL, wait_once, w), 0);
	wait_for(&w->reached, 1);
	notify(w, 1);
	wait_for(&w->gone, 1);
	sleep_ms(50);
	REQUIRE_EQ(load_acquire(&w->gone), 1);
	notify(w, 1);
	for (int i = 2; i < 4; i++)
		REQUIRE_EQ(pthread_join(p[i], NULL), 0);
	REQUIRE_EQ(two[0].first + two[1].first, -ECANCELED);
	for (int i = 0; i < 2; i++)
		REQUIRE_EQ(two[i].second, two[i].first ? -ETIMEDOUT : -ECANCELED);
}

/* ---- as many locks as a thread may hold ---- */

struct holder {
	shoal_lock *lock;
	shoal_condition *c;
	shoal_lock many[SHOAL_LOCKS_HELD_MAX];
};

/* To wait it joins the arena, which holds one word more. */
static void *
wait_holding_many(void *arg)
{
	struct holder *h = arg;
	for (int i = 1; i < SHOAL_LOCKS_HELD_MAX; i++)
		REQUIRE_EQ(shoal_lock_acquire(&h->many[i], 0), 0);
	REQUIRE_EQ(shoal_lock_acquire(h->lock, 0), 0);
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(shoal_condition_wait(h->c, h->lock, SHOAL_MS(10)), -ETIMEDOUT);
		REQUIRE(shoal_lock_held(h->lock));
	}
	REQUIRE_EQ(shoal_lock_acquire(&h->many[0], 0), -EOVERFLOW);
	REQUIRE_EQ(shoal_lock_release(h->lock), 0);
	for (int i = 1; i < SHOAL_LOCKS_HELD_MAX; i++)
		REQUIRE_EQ(shoal_lock_release(&h->many[i]), 0);
	return NULL;
}

Test(condition, the_lock_is_taken_again_however_many_are_held)
{
	struct holder *h = shared(sizeof *h);
	shoal_arena *a;
	pthread_t p;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_lock_create(a, NULL, 0, &h->lock), 0);
	REQUIRE_EQ(shoal_condition_create(a, NULL, &h->c), 0);
	REQUIRE_EQ(pthread_create(&p, NULL, wait_holding_many, h), 0);
	REQUIRE_EQ(pthread_join(p, NULL), 0);
	shoal_arena_close(a);
}
