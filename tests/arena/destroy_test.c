/*
 * Locks and the like that are destroyed while others wait for them, hold them, or are just about to
 * wake somebody.
 */
#include "common.h"
#include "arena/object.h"
#include "arena/slab.h"
#include "sync/gate.h"
#include <pthread.h>
#include <sched.h>
#include <shoal/sync.h>
#include <signal.h>

enum { WAITERS = 3 };
/*
 * All at once is far below the slice of 50 ms in which each would notice by itself. On a busy
 * machine it may take several tries to see that.
 */
#define AT_ONCE_NS (SHOAL_MS(10) * HARNESS_SLOW)
enum { TRIES = 8 };

struct scene {
	shoal_arena *arena;
	shoal_lock *lock;
	shoal_rwlock *rwlock;
	shoal_semaphore *semaphore;
	shoal_condition *condition;
	shoal_event *event;
	word32 reached, told;
	volatile int result[2 * WAITERS];
	volatile int64_t at[2 * WAITERS];
	volatile bool held[2 * WAITERS];
};

static struct scene *
set_the_scene(void)
{
	struct scene *s = shared(sizeof *s);
	s->arena = create(NULL, &small);
	REQUIRE_EQ(shoal_lock_create(s->arena, "lock", 0, &s->lock), 0);
	REQUIRE_EQ(shoal_rwlock_create(s->arena, "rwlock", 0, &s->rwlock), 0);
	REQUIRE_EQ(shoal_semaphore_create(s->arena, "semaphore", 0, 0, &s->semaphore), 0);
	REQUIRE_EQ(shoal_condition_create(s->arena, "condition", &s->condition), 0);
	REQUIRE_EQ(shoal_event_create(s->arena, "event", &s->event), 0);
	return s;
}

static size_t
blocks_of(shoal_arena *a)
{
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	return info.blocks;
}

/* What was destroyed gave its memory back, as soon as somebody looked. */
static void
the_memory_is_back(shoal_arena *a, size_t blocks)
{
	shoal_arena_recover(a);
	REQUIRE_EQ(blocks_of(a), blocks);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
}

/* ---- those who wait ---- */

static int
await(struct scene *s, int kind)
{
	switch (kind) {
	case SHOAL_KIND_LOCK:
		return shoal_lock_acquire(s->lock, SHOAL_SEC(10));
	case SHOAL_KIND_RWLOCK:
		return shoal_rwlock_write(s->rwlock, SHOAL_SEC(10));
	case SHOAL_KIND_SEMAPHORE:
		return shoal_semaphore_acquire(s->semaphore, SHOAL_SEC(10));
	case SHOAL_KIND_EVENT:
		return shoal_event_wait(s->event, SHOAL_SEC(10));
	default:
		REQUIRE_EQ(shoal_lock_acquire(s->lock, SHOAL_SEC(10)), 0);
		return shoal_condition_wait(s->condition, s->lock, SHOAL_SEC(10));
	}
}

static int
wait_and_tell(void *arg, int kind)
{
	struct scene *s = arg;
	uint32_t i = fetch_add_seq_cst(&s->reached, 1);
	s->result[i] = await(s, kind);
	s->at[i] = fair_ns();
	s->held[i] = shoal_lock_held(s->lock);
	if (s->held[i])
		REQUIRE_EQ(shoal_lock_release(s->lock), 0);
	fetch_add_seq_cst(&s->told, 1);
	return 0;
}
static int await_lock(void *s) { return wait_and_tell(s, SHOAL_KIND_LOCK); }
static int await_rwlock(void *s) { return wait_and_tell(s, SHOAL_KIND_RWLOCK); }
static int await_semaphore(void *s) { return wait_and_tell(s, SHOAL_KIND_SEMAPHORE); }
static int await_event(void *s) { return wait_and_tell(s, SHOAL_KIND_EVENT); }
static int await_condition(void *s) { return wait_and_tell(s, SHOAL_KIND_CONDITION); }

/*
 * By the kernel's count on the word that each kind sleeps on, also where it can watch but one: the
 * gates are second.
 */
static void
all_asleep(struct scene *s, int (*run)(void *), const void *on, pid_t *pid)
{
	bool gate = run == await_semaphore || run == await_event;
	const word32 *word = (const word32 *)on + gate;
	/* Of those who want to write, one has the lock, and sleeps for a place. */
	int n = run == await_rwlock ? WAITERS - 1 : WAITERS;
	store_relaxed(&s->reached, 0);
	for (int i = 0; i < WAITERS; i++)
		pid[i] = child(run, s);
	int asleep = 0;
	for (int i = 0; i < 5000 * HARNESS_SLOW && (asleep = futex_sleepers(word)) < n; i++)
		sleep_ms(1);
	REQUIRE_EQ(asleep, n);
	sleep_ms(2);
}

/* True: at once. */
static bool
all_are_told(struct scene *s, pid_t *pid, int64_t since, bool held)
{
	bool at_once = true;
	for (int i = 0; i < WAITERS; i++)
		expect_child(pid[i], 0, 5000);
	for (int i = 0; i < WAITERS; i++) {
		REQUIRE_EQ(s->result[i], -EPIPE);
		REQUIRE_EQ(s->held[i], held);
		at_once = at_once && s->at[i] - since < AT_ONCE_NS;
	}
	return at_once;
}

static bool
in_some_try(bool (*once)(void))
{
	for (int i = 0; i < TRIES; i++)
		if (once())
			return true;
	return false;
}

static bool
once_a_lock(void)
{
	struct scene *s = set_the_scene();
	size_t blocks = blocks_of(s->arena);
	pid_t pid[WAITERS];
	REQUIRE_EQ(shoal_lock_acquire(s->lock, 0), 0);
	all_asleep(s, await_lock, s->lock, pid);
	int64_t at = fair_ns();
	REQUIRE_EQ(shoal_lock_destroy(s->arena, s->lock), 0);
	bool at_once = all_are_told(s, pid, at, false);
	/* The holder's it is still, and then nobody's. */
	shoal_lock *same;
	REQUIRE_EQ(shoal_lock_open(s->arena, "lock", 0, &same), -ENOENT);
	the_memory_is_back(s->arena, blocks);
	REQUIRE_EQ(shoal_lock_acquire(s->lock, SHOAL_MS(10)), -EPIPE);
	REQUIRE_EQ(shoal_lock_release(s->lock), 0);
	the_memory_is_back(s->arena, blocks - 1);
	shoal_arena_close(s->arena);
	return at_once;
}

Test(destroy, those_who_wait_for_a_lock_are_told, .timeout = 60 * HARNESS_SLOW)
{
	REQUIRE(in_some_try(once_a_lock));
}

static bool
once_readers(void)
{
	struct scene *s = set_the_scene();
	size_t blocks = blocks_of(s->arena);
	pid_t pid[WAITERS];
	REQUIRE_EQ(shoal_rwlock_read(s->rwlock, 0), 0);
	all_asleep(s, await_rwlock, s->rwlock, pid);
	int64_t at = fair_ns();
	REQUIRE_EQ(shoal_rwlock_destroy(s->arena, s->rwlock), 0);
	bool at_once = all_are_told(s, pid, at, false);
	the_memory_is_back(s->arena, blocks);
	REQUIRE_EQ(shoal_rwlock_release(s->rwlock), 0);
	the_memory_is_back(s->arena, blocks - 1);
	shoal_arena_close(s->arena);
	return at_once;
}

Test(destroy, those_who_wait_for_readers_are_told, .timeout = 60 * HARNESS_SLOW)
{
	REQUIRE(in_some_try(once_readers));
}

static bool
once_a_permit(void)
{
	struct scene *s = set_the_scene();
	size_t blocks = blocks_of(s->arena);
	pid_t pid[WAITERS];
	all_asleep(s, await_semaphore, s->semaphore, pid);
	int64_t at = fair_ns();
	REQUIRE_EQ(shoal_semaphore_destroy(s->arena, s->semaphore), 0);
	bool at_once = all_are_told(s, pid, at, false);
	the_memory_is_back(s->arena, blocks - 1);
	shoal_arena_close(s->arena);
	return at_once;
}

Test(destroy, those_who_wait_for_a_permit_are_told, .timeout = 60 * HARNESS_SLOW)
{
	REQUIRE(in_some_try(once_a_permit));
}

static bool
once_an_event(void)
{
	struct scene *s = set_the_scene();
	size_t blocks = blocks_of(s->arena);
	pid_t pid[WAITERS];
	all_asleep(s, await_event, s->event, pid);
	int64_t at = fair_ns();
	REQUIRE_EQ(shoal_event_destroy(s->arena, s->event), 0);
	bool at_once = all_are_told(s, pid, at, false);
	the_memory_is_back(s->arena, blocks - 1);
	shoal_arena_close(s->arena);
	return at_once;
}

Test(destroy, those_who_wait_for_an_event_are_told, .timeout = 60 * HARNESS_SLOW)
{
	REQUIRE(in_some_try(once_an_event));
}

/* With the lock held, as every return but three says. */
static bool
once_a_notification(void)
{
	struct scene *s = set_the_scene();
	size_t blocks = blocks_of(s->arena);
	pid_t pid[WAITERS];
	all_asleep(s, await_condition, s->condition, pid);
	int64_t at = fair_ns();
	REQUIRE_EQ(shoal_condition_destroy(s->arena, s->condition), 0);
	bool at_once = all_are_told(s, pid, at, true);
	the_memory_is_back(s->arena, blocks - 1);
	REQUIRE_EQ(shoal_lock_acquire(s->lock, 0), 0);
	REQUIRE_EQ(shoal_lock_release(s->lock), 0);
	shoal_arena_close(s->arena);
	return at_once;
}

Test(destroy, those_who_wait_for_a_notification_are_told, .timeout = 60 * HARNESS_SLOW)
{
	REQUIRE(in_some_try(once_a_notification));
}

/* They come back to the lock: until then its memory is nobody else's, though nobody holds it. */
Test(destroy, nor_do_they_take_what_was_their_lock, .timeout = 60 * HARNESS_SLOW)
{
	struct scene *s = set_the_scene();
	size_t blocks = blocks_of(s->arena);
	pid_t pid[WAITERS];
	all_asleep(s, await_condition, s->condition, pid);
	for (int i = 0; i < WAITERS; i++)
		kill(pid[i], SIGSTOP);
	REQUIRE_EQ(shoal_lock_destroy(s->arena, s->lock), 0);
	the_memory_is_back(s->arena, blocks);
	for (int i = 0; i < WAITERS; i++)
		kill(pid[i], SIGCONT);
	all_are_told(s, pid, fair_ns(), false);
	the_memory_is_back(s->arena, blocks - 1);
	shoal_arena_close(s->arena);
}

/* First the lock, for which some wait again; then the condition. */
Test(destroy, a_condition_and_its_lock_may_go_together)
{
	struct scene *s = set_the_scene();
	size_t blocks = blocks_of(s->arena);
	pid_t pid[WAITERS];
	all_asleep(s, await_condition, s->condition, pid);
	REQUIRE_EQ(shoal_lock_acquire(s->lock, 0), 0);
	REQUIRE_EQ(shoal_condition_notify(s->condition, s->lock, 1), 0);
	sleep_ms(20);
	REQUIRE_EQ(shoal_lock_destroy(s->arena, s->lock), 0);
	REQUIRE_EQ(shoal_condition_destroy(s->arena, s->condition), 0);
	all_are_told(s, pid, 0, false);
	REQUIRE_EQ(shoal_lock_release(s->lock), 0);
	the_memory_is_back(s->arena, blocks - 2);
	shoal_arena_close(s->arena);
}

/* Its memory is nobody else's yet: then there is nothing to wait for, and no reason to hang. */
Test(destroy, one_who_comes_when_it_is_over_is_told)
{
	struct scene *s = set_the_scene();
	REQUIRE_EQ(shoal_semaphore_destroy(s->arena, s->semaphore), 0);
	REQUIRE_EQ(shoal_event_destroy(s->arena, s->event), 0);
	REQUIRE_EQ(shoal_condition_destroy(s->arena, s->condition), 0);
	REQUIRE_EQ(shoal_semaphore_acquire(s->semaphore, SHOAL_SEC(5)), -EPIPE);
	REQUIRE_EQ(shoal_event_wait(s->event, SHOAL_SEC(5)), -EPIPE);
	REQUIRE_EQ(shoal_lock_acquire(s->lock, 0), 0);
	REQUIRE_EQ(shoal_condition_wait(s->condition, s->lock, SHOAL_SEC(5)), -EPIPE);
	REQUIRE_EQ(shoal_lock_release(s->lock), 0);
	shoal_arena_close(s->arena);
}

static bool
never(void *arg)
{
	(void)arg;
	return false;
}

static void *
destroy_soon(void *arg)
{
	struct scene *s = arg;
	sleep_ms(30);
	REQUIRE_EQ(shoal_condition_destroy(s->arena, s->condition), 0);
	return NULL;
}

Test(destroy, one_who_waits_for_a_predicate_is_told)
{
	struct scene *s = set_the_scene();
	pthread_t p;
	REQUIRE_EQ(shoal_lock_acquire(s->lock, 0), 0);
	REQUIRE_EQ(pthread_create(&p, NULL, destroy_soon, s), 0);
	REQUIRE_FAILS(shoal_condition_wait_for(s->condition, s->lock, never, NULL, SHOAL_SEC(10)),
	              -EPIPE, "destroyed");
	REQUIRE(shoal_lock_held(s->lock));
	REQUIRE_EQ(shoal_lock_release(s->lock), 0);
	pthread_join(p, NULL);
	shoal_arena_close(s->arena);
}

/* ---- destroyers that die ---- */

/* As object_destroy leaves it, killed before it wakes anybody. */
static int
die_destroying(void *arg)
{
	struct scene *s = arg;
	struct shoal_thread *t;
	struct member *me;
	uint32_t index;
	REQUIRE_EQ(member_here(s->arena, &t, &me), 0);
	REQUIRE_EQ(object_find_body(s->arena, s->condition, SHOAL_KIND_CONDITION, &index), 0);
	struct object *o = arena_object(s->arena, index);
	uint64_t word = load_acquire(&o->word) >> 32 << 32;
	store_relaxed(&me->making, index);
	store_release(&o->word, word | (uint64_t)OBJECT_DYING << 28 | member_tag(s->arena, me));
	raise(SIGKILL);
	return 0;
}

/* They find out by themselves: nobody does anything for them. */
Test(destroy, a_destroyers_death_leaves_nobody_asleep)
{
	struct scene *s = set_the_scene();
	size_t blocks = blocks_of(s->arena);
	pid_t pid[WAITERS];
	all_asleep(s, await_condition, s->condition, pid);
	expect_killed(child(die_destroying, s), SIGKILL, 2000);
	all_are_told(s, pid, 0, true);
	the_memory_is_back(s->arena, blocks - 1);
	shoal_arena_close(s->arena);
}

/* ---- the memory ---- */

/* A stopped one is inside: its memory stays, and then it learns what happened. */
Test(destroy, the_memory_waits_for_one_who_is_stopped_in_a_call)
{
	struct scene *s = set_the_scene();
	size_t blocks = blocks_of(s->arena);
	pid_t pid[WAITERS];
	all_asleep(s, await_semaphore, s->semaphore, pid);
	kill(pid[0], SIGSTOP);
	sleep_ms(5);
	REQUIRE_EQ(shoal_semaphore_destroy(s->arena, s->semaphore), 0);
	for (int i = 1; i < WAITERS; i++)
		expect_child(pid[i], 0, 5000);
	the_memory_is_back(s->arena, blocks);
	REQUIRE_EQ(shoal_semaphore_value(s->semaphore), 0);
	kill(pid[0], SIGCONT);
	expect_child(pid[0], 0, 5000);
	for (int i = 0; i < WAITERS; i++)
		REQUIRE_EQ(s->result[i], -EPIPE);
	the_memory_is_back(s->arena, blocks - 1);
	shoal_arena_close(s->arena);
}

/* One that is killed in the call is in nobody's way. */
Test(destroy, the_memory_does_not_wait_for_the_dead)
{
	struct scene *s = set_the_scene();
	size_t blocks = blocks_of(s->arena);
	pid_t pid[WAITERS];
	all_asleep(s, await_event, s->event, pid);
	kill(pid[0], SIGSTOP);
	sleep_ms(5);
	REQUIRE_EQ(shoal_event_destroy(s->arena, s->event), 0);
	kill(pid[0], SIGKILL);
	expect_killed(pid[0], SIGKILL, 2000);
	for (int i = 1; i < WAITERS; i++)
		expect_child(pid[i], 0, 5000);
	the_memory_is_back(s->arena, blocks - 1);
	shoal_arena_close(s->arena);
}

static int
hold_until_killed(void *arg)
{
	struct scene *s = arg;
	REQUIRE_EQ(shoal_lock_acquire(s->lock, 0), 0);
	REQUIRE_EQ(shoal_rwlock_read(s->rwlock, 0), 0);
	fetch_add_seq_cst(&s->reached, 1);
	for (;;)
		pause();
	return 0;
}

Test(destroy, what_a_dead_one_held_is_free)
{
	struct scene *s = set_the_scene();
	size_t blocks = blocks_of(s->arena);
	pid_t pid = child(hold_until_killed, s);
	for (int i = 0; i < 5000 && !load_acquire(&s->reached); i++)
		sleep_ms(1);
	shoal_ref lock = shoal_ref_of(s->arena, s->lock);
	REQUIRE(shoal_deref(s->arena, lock) == s->lock);
	REQUIRE_EQ(shoal_lock_destroy(s->arena, s->lock), 0);
	REQUIRE_EQ(shoal_rwlock_destroy(s->arena, s->rwlock), 0);
	the_memory_is_back(s->arena, blocks);
	REQUIRE(!shoal_deref(s->arena, lock));
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 2000);
	the_memory_is_back(s->arena, blocks - 2);
	shoal_arena_close(s->arena);
}

/* Where the body of what was destroyed stood: a user's now, as if it were the body still. */
static word32 *
user_in_its_place(shoal_arena *a, const void *body, const uint32_t words[4])
{
	word32 *user = NULL;
	for (int i = 0; i < 1000 && (const void *)user != body; i++)
		REQUIRE((user = shoal_new(a, SLAB_SPACED)));
	REQUIRE((const void *)user == body);
	for (int i = 0; i < 4; i++)
		store_relaxed(&user[i], words[i]);
	return user;
}

/*
 * A release, or a set, that stood still just before its wake: the object is gone, and what is there
 * looks like a gate at which somebody sleeps.
 */
Test(destroy, a_late_wake_leaves_what_came_after_alone)
{
	struct scene *s = set_the_scene();
	REQUIRE_EQ(shoal_semaphore_destroy(s->arena, s->semaphore), 0);
	word32 *user = user_in_its_place(s->arena, s->semaphore, (uint32_t[]){ 0, GATE_ARMED, 0, 1 });
	REQUIRE_EQ(shoal_semaphore_release(s->semaphore), 0);
	REQUIRE_EQ(load_relaxed(&user[1]), GATE_ARMED);
	REQUIRE_EQ(shoal_event_destroy(s->arena, s->event), 0);
	user = user_in_its_place(s->arena, s->event, (uint32_t[]){ 1, GATE_ARMED, 0, 1 });
	REQUIRE_EQ(shoal_event_set(s->event), 0);
	REQUIRE_EQ(load_relaxed(&user[1]), GATE_ARMED);
	shoal_arena_close(s->arena);
}

/* Init makes a named one new that was given up; it can be destroyed as before. */
Test(destroy, a_lock_made_anew_is_still_one_with_a_name)
{
	struct scene *s = set_the_scene();
	pid_t pid[WAITERS];
	REQUIRE_EQ(shoal_lock_init(s->lock), 0);
	REQUIRE_EQ(shoal_lock_acquire(s->lock, 0), 0);
	all_asleep(s, await_lock, s->lock, pid);
	REQUIRE_EQ(shoal_lock_destroy(s->arena, s->lock), 0);
	all_are_told(s, pid, 0, false);
	REQUIRE_EQ(shoal_lock_release(s->lock), 0);
	shoal_arena_close(s->arena);
}

/* ---- made, waited for and destroyed, over and over ---- */

enum { ROUNDS = 600 / HARNESS_SLOW };

struct rounds {
	shoal_arena *arena;
	word32 round;
	shoal_semaphore *semaphore;
	word32 through[WAITERS], next;
	volatile int wrong;
};

static int
wait_each_round(void *arg)
{
	struct rounds *r = arg;
	uint32_t me = fetch_add_seq_cst(&r->next, 1);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		while (load_acquire(&r->round) < i)
			sched_yield();
		int rc = shoal_semaphore_acquire(r->semaphore, SHOAL_SEC(10));
		if (rc != 0 && rc != -EPIPE)
			r->wrong = rc;
		store_release(&r->through[me], i);
	}
	return 0;
}

static void
all_sleep(const shoal_semaphore *semaphore)
{
	const word32 *word = (const word32 *)(const void *)semaphore;
	/* Each looks around every 50 ms, and may be awake just now. */
	int asleep = 0;
	int64_t end = now_ns() + SHOAL_SEC(5);
	while ((asleep = futex_sleepers(&word[1])) < WAITERS && now_ns() < end)
		sched_yield();
	REQUIRE_EQ(asleep, WAITERS);
}

/* Destroyed while one has just been woken to take a permit; its memory is a user's at once. */
static void
one_round(struct rounds *r, uint32_t round)
{
	unsigned char *user[4];
	REQUIRE_EQ(shoal_semaphore_create(r->arena, "any", 0, 0, &r->semaphore), 0);
	store_release(&r->round, round);
	all_sleep(r->semaphore);
	if (round % 2)
		REQUIRE_EQ(shoal_semaphore_release(r->semaphore), 0);
	REQUIRE_EQ(shoal_semaphore_destroy(r->arena, r->semaphore), 0);
	for (int k = 0; k < 4; k++) {
		REQUIRE((user[k] = shoal_new(r->arena, SLAB_SPACED)));
		memset(user[k], 0xff, SLAB_SPACED);
	}
	for (int i = 0; i < WAITERS; i++)
		while (load_acquire(&r->through[i]) < round)
			sched_yield();
	for (int k = 0; k < 4; k++) {
		for (unsigned i = 0; i < SLAB_SPACED; i++)
			REQUIRE_EQ(user[k][i], 0xff);
		shoal_free(r->arena, user[k]);
	}
}

Test(destroy, over_and_over_what_comes_after_stays_whole, .timeout = 60 * HARNESS_SLOW)
{
	struct rounds *r = shared(sizeof *r);
	pid_t pid[WAITERS];
	r->arena = create(NULL, &small);
	size_t blocks = blocks_of(r->arena);
	for (int i = 0; i < WAITERS; i++)
		pid[i] = child(wait_each_round, r);
	for (uint32_t i = 1; i <= ROUNDS; i++)
		one_round(r, i);
	for (int i = 0; i < WAITERS; i++)
		expect_child(pid[i], 0, 20000);
	REQUIRE_EQ(r->wrong, 0);
	the_memory_is_back(r->arena, blocks);
	shoal_arena_close(r->arena);
}
