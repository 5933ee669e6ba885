/* Semaphores whose permits have owners. */
#include "arena/block.h"
#include "common.h"
#include "steps.h"
#include "sync/gate.h"
#include <pthread.h>
#include <shoal/arena.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { PERMITS = 3 };

struct world {
	shoal_arena *arena;
	shoal_semaphore *s;
	word32 reached;
	volatile int result;
	volatile int64_t at;
};

static struct world *
world_make(uint32_t permits)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &w->arena), 0);
	REQUIRE_EQ(shoal_semaphore_create(w->arena, "pool", permits, SHOAL_SEMAPHORE_OWNED, &w->s),
	           0);
	return w;
}

Test(owned, permits_are_given_back_by_who_took_them)
{
	struct world *w = world_make(PERMITS);
	REQUIRE_EQ(shoal_semaphore_value(w->s), PERMITS);
	REQUIRE_EQ(shoal_semaphore_release(w->s), -EPERM);
	for (int i = PERMITS; i > 0; i--) {
		REQUIRE_EQ(shoal_semaphore_value(w->s), i);
		REQUIRE_EQ(shoal_semaphore_acquire(w->s, SHOAL_NOWAIT), 0);
	}
	REQUIRE_EQ(shoal_semaphore_value(w->s), 0);
	REQUIRE_EQ(shoal_semaphore_acquire(w->s, SHOAL_NOWAIT), -EAGAIN);
	REQUIRE_EQ(shoal_semaphore_acquire(w->s, SHOAL_MS(20)), -ETIMEDOUT);
	for (int i = 0; i < PERMITS; i++)
		REQUIRE_EQ(shoal_semaphore_release(w->s), 0);
	REQUIRE_EQ(shoal_semaphore_release(w->s), -EPERM);
	REQUIRE_EQ(shoal_semaphore_value(w->s), PERMITS);
	shoal_arena_close(w->arena);
}

static void *
release_of_another(void *s)
{
	return (void *)(intptr_t)shoal_semaphore_release(s);
}

static int
child_owns_nothing(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_semaphore_release(w->s), -EPERM);
	REQUIRE_EQ(shoal_semaphore_value(w->s), PERMITS - 1);
	return 0;
}

Test(owned, nobody_else_gives_a_permit_back)
{
	struct world *w = world_make(PERMITS);
	pthread_t p;
	void *rc;
	REQUIRE_EQ(shoal_semaphore_acquire(w->s, SHOAL_NOWAIT), 0);
	REQUIRE_EQ(pthread_create(&p, NULL, release_of_another, w->s), 0);
	pthread_join(p, &rc);
	REQUIRE_EQ((intptr_t)rc, -EPERM);
	expect_child(child(child_owns_nothing, w), 0, 1000);
	REQUIRE_EQ(shoal_semaphore_value(w->s), PERMITS - 1);
	REQUIRE_EQ(shoal_semaphore_release(w->s), 0);
	shoal_arena_close(w->arena);
}

static int
take_all_and_stay(void *arg)
{
	struct world *w = arg;
	for (int i = 0; i < PERMITS; i++)
		REQUIRE_EQ(shoal_semaphore_acquire(w->s, SHOAL_NOWAIT), 0);
	reach(&w->reached);
	stay();
	return 0;
}

static int
take_one(void *arg)
{
	struct world *w = arg;
	w->result = shoal_semaphore_acquire(w->s, SHOAL_SEC(10));
	return 0;
}

Test(owned, a_death_gives_all_of_them_back)
{
	struct world *w = world_make(PERMITS);
	pid_t owner = child(take_all_and_stay, w);
	wait_for(&w->reached, 1);
	REQUIRE_EQ(shoal_semaphore_acquire(w->s, SHOAL_NOWAIT), -EAGAIN);
	pid_t waiter = child(take_one, w);
	wait_asleep(waiter);
	int64_t at = kill_now(owner);
	expect_child(waiter, 0, 1000);
	REQUIRE(fair_ns() - at < DEATH_NS);
	REQUIRE_EQ(w->result, 0);
	/* And the waiter's, who ended with one. */
	REQUIRE_EQ(shoal_semaphore_value(w->s), PERMITS);
	for (int i = 0; i < PERMITS; i++)
		REQUIRE_EQ(shoal_semaphore_acquire(w->s, SHOAL_NOWAIT), 0);
	REQUIRE_EQ(shoal_arena_check(w->arena, stderr), 0);
	for (int i = 0; i < PERMITS; i++)
		REQUIRE_EQ(shoal_semaphore_release(w->s), 0);
	shoal_arena_close(w->arena);
}

static void *
take_and_end(void *s)
{
	return (void *)(intptr_t)shoal_semaphore_acquire(s, SHOAL_NOWAIT);
}

Test(owned, a_thread_that_ends_gives_its_permit_back)
{
	struct world *w = world_make(1);
	for (int i = 0; i < 3; i++) {
		pthread_t p;
		void *rc;
		REQUIRE_EQ(pthread_create(&p, NULL, take_and_end, w->s), 0);
		pthread_join(p, &rc);
		REQUIRE_EQ((intptr_t)rc, 0);
		/* The kernel gives it back just after the thread can be joined. */
		REQUIRE_EQ(shoal_semaphore_acquire(w->s, SHOAL_SEC(5)), 0);
		REQUIRE_EQ(shoal_semaphore_release(w->s), 0);
	}
	shoal_arena_close(w->arena);
}

static int
hand_on(void *arg)
{
	struct world *w = arg;
	for (int i = 0; i < 2000; i++) {
		REQUIRE_EQ(shoal_semaphore_acquire(w->s, SHOAL_SEC(5)), 0);
		int inside = (int)fetch_add_seq_cst(&w->reached, 1) + 1;
		REQUIRE(inside <= PERMITS);
		fetch_add_seq_cst(&w->reached, -1u);
		REQUIRE_EQ(shoal_semaphore_release(w->s), 0);
	}
	return 0;
}

Test(owned, no_more_have_a_permit_than_there_are)
{
	struct world *w = world_make(PERMITS);
	pid_t pid[2 * PERMITS];
	for (int i = 0; i < 2 * PERMITS; i++)
		pid[i] = child(hand_on, w);
	for (int i = 0; i < 2 * PERMITS; i++)
		expect_child(pid[i], 0, 15000);
	REQUIRE_EQ(shoal_semaphore_value(w->s), PERMITS);
	shoal_arena_close(w->arena);
}

enum { HANDED = 41 };

static int
take_when_given(void *arg)
{
	struct world *w = arg;
	for (uint32_t i = 1; i <= HANDED; i++) {
		wait_for(&w->reached, 2 * i - 1);
		REQUIRE_EQ(shoal_semaphore_acquire(w->s, SHOAL_SEC(5)), 0);
		w->at = now_ns();
		REQUIRE_EQ(shoal_semaphore_release(w->s), 0);
		reach(&w->reached);
	}
	return 0;
}

static int
by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* One that is not woken finds the permit after 2.5 ms, as a rule. */
Test(owned, who_sleeps_for_a_permit_is_woken)
{
	struct world *w = world_make(1);
	int64_t took[HANDED];
	pid_t waiter = child(take_when_given, w);
	for (uint32_t i = 1; i <= HANDED; i++) {
		REQUIRE_EQ(shoal_semaphore_acquire(w->s, SHOAL_SEC(5)), 0);
		reach(&w->reached);
		wait_asleep(waiter);
		int64_t began = now_ns();
		REQUIRE_EQ(shoal_semaphore_release(w->s), 0);
		wait_for(&w->reached, 2 * i);
		took[i - 1] = w->at - began;
	}
	expect_child(waiter, 0, 1000);
	qsort(took, HANDED, sizeof *took, by_time);
	REQUIRE(took[HANDED / 2] < SHOAL_MS(1) * HARNESS_SLOW);
	shoal_arena_close(w->arena);
}

static int
give_back_later(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_semaphore_acquire(w->s, SHOAL_NOWAIT), 0);
	reach(&w->reached);
	wait_for(&w->reached, 2);
	sleep_ms(20);
	REQUIRE_EQ(shoal_semaphore_release(w->s), 0);
	return 0;
}

Test(owned, one_that_is_destroyed_stays_until_its_permits_are_given_back)
{
	struct world *w = world_make(1);
	shoal_arena_info before, after;
	pid_t owner = child(give_back_later, w);
	wait_for(&w->reached, 1);
	pid_t waiter = child(take_one, w);
	wait_asleep(waiter);
	REQUIRE_EQ(shoal_arena_stat(w->arena, &before), 0);
	REQUIRE_EQ(shoal_semaphore_destroy(w->arena, w->s), 0);
	expect_child(waiter, 0, 1000);
	REQUIRE_EQ(w->result, -EPIPE);
	REQUIRE(shoal_arena_recover(w->arena) >= 0);
	REQUIRE_EQ(shoal_arena_stat(w->arena, &after), 0);
	REQUIRE_EQ(after.blocks, before.blocks);
	reach(&w->reached);
	expect_child(owner, 0, 1000);
	REQUIRE(shoal_arena_recover(w->arena) >= 0);
	REQUIRE_EQ(shoal_arena_stat(w->arena, &after), 0);
	REQUIRE_EQ(after.blocks, before.blocks - 1);
	shoal_arena_close(w->arena);
}

Test(owned, bad_input_makes_none)
{
	shoal_arena *a;
	shoal_semaphore plain, *s = NULL;
	const uint32_t owned = SHOAL_SEMAPHORE_OWNED, most = SHOAL_PERMITS_OWNED_MAX;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_semaphore_init(&plain, 1, owned), -EINVAL);
	REQUIRE_EQ(shoal_semaphore_create(a, "s", 0, owned, &s), -EINVAL);
	REQUIRE_EQ(shoal_semaphore_create(a, "s", most + 1, owned, &s), -EINVAL);
	REQUIRE_EQ(shoal_semaphore_create(a, "s", 2, owned | 3, &s), -EINVAL);
	REQUIRE(strstr(shoal_error(), "126"));
	REQUIRE_EQ(shoal_semaphore_open(a, "s", SHOAL_NOWAIT, &s), -ENOENT);
	REQUIRE_EQ(shoal_semaphore_create(a, "s", most, owned | most, &s), 0);
	REQUIRE_EQ(shoal_semaphore_value(s), most);
	REQUIRE_EQ(shoal_semaphore_create(a, "t", 1, SHOAL_ALL, &s), 0);
	REQUIRE_EQ(shoal_semaphore_release(s), 0);
	shoal_arena_close(a);
}

Test(owned, as_many_as_a_thread_may_hold)
{
	struct world *w = world_make(SHOAL_PERMITS_OWNED_MAX);
	shoal_semaphore *more[SHOAL_LOCKS_HELD_MAX / SHOAL_PERMITS_OWNED_MAX + 1];
	int taken = 0, rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof more / sizeof *more; i++) {
		REQUIRE_EQ(shoal_semaphore_create(w->arena, NULL, SHOAL_PERMITS_OWNED_MAX,
		                                  SHOAL_SEMAPHORE_OWNED, &more[i]), 0);
		for (int k = 0; rc == 0 && k < SHOAL_PERMITS_OWNED_MAX; k++) {
			rc = shoal_semaphore_acquire(more[i], SHOAL_NOWAIT);
			taken += rc == 0;
		}
	}
	REQUIRE_EQ(rc, -EOVERFLOW);
	REQUIRE(taken > SHOAL_LOCKS_HELD_MAX - 8 && taken <= SHOAL_LOCKS_HELD_MAX);
	for (size_t i = 0; i < sizeof more / sizeof *more; i++)
		while (taken && shoal_semaphore_release(more[i]) == 0)
			taken--;
	REQUIRE_EQ(taken, 0);
	shoal_arena_close(w->arena);
}

#if HAS_STEPS

/* ---- destroyed while its last permit is given back ---- */

enum { BLOCKS = 16, FILLED = 0x5a };

/* The one who destroys it, and has its memory if that is to be had. */
static struct {
	struct world *w;
	size_t bytes;
	void *block[BLOCKS];
	unsigned char *taken;
	word32 asked, done;
} other;

static void
destroy_and_take_its_memory(void)
{
	uintptr_t at = (uintptr_t)other.w->s;
	REQUIRE_EQ(shoal_semaphore_destroy(other.w->arena, other.w->s), 0);
	REQUIRE(shoal_arena_recover(other.w->arena) >= 0);
	for (int i = 0; i < BLOCKS; i++) {
		REQUIRE_EQ(shoal_alloc(other.w->arena, other.bytes, &other.block[i]), 0);
		uintptr_t block = (uintptr_t)other.block[i];
		if (block < at + other.bytes && at < block + other.bytes)
			other.taken = other.block[i];
	}
	if (other.taken)
		memset(other.taken, FILLED, other.bytes);
}

static void *
be_the_other(void *unused)
{
	for (uint32_t n = 1;; n++) {
		wait_for(&other.asked, n);
		if (!other.w)
			return unused;
		destroy_and_take_its_memory();
		reach(&other.done);
	}
}

static void
let_it_be_destroyed(void)
{
	reach(&other.asked);
	wait_for(&other.done, load_relaxed(&other.asked));
}

static void
release_op(void *s)
{
	REQUIRE_EQ(shoal_semaphore_release(s), 0);
}

/* Whether its memory was another's by then; *more: whether it has such an instruction. */
static bool
release_while_destroyed(struct world *w, bool armed, uint32_t at, bool *more)
{
	REQUIRE_EQ(shoal_semaphore_create(w->arena, NULL, 1, SHOAL_SEMAPHORE_OWNED, &w->s), 0);
	REQUIRE_EQ(shoal_semaphore_acquire(w->s, 0), 0);
	if (armed)
		store_relaxed((word32 *)(void *)w->s + 1, GATE_ARMED);
	other.taken = NULL;
	*more = steps_into(release_op, w->s, at, let_it_be_destroyed);
	for (size_t i = 0; other.taken && i < other.bytes; i++)
		REQUIRE_EQ(other.taken[i], FILLED);
	for (int i = 0; *more && i < BLOCKS; i++)
		shoal_free(w->arena, other.block[i]);
	REQUIRE(shoal_arena_recover(w->arena) >= 0);
	return other.taken;
}

Test(owned, who_gives_the_last_permit_back_writes_to_no_memory_of_others)
{
	struct world *w = world_make(1);
	pthread_t p;
	uint32_t taken = 0;
	other.w = w;
	other.bytes = block_bytes(w->arena, arena_offset(w->arena, w->s));
	REQUIRE_EQ(pthread_create(&p, NULL, be_the_other, NULL), 0);
	steps.others_wait = true;
	for (int armed = 0; armed < 2; armed++) {
		bool more = true;
		/* Sanitized code has more instructions, of which fewer are the library's. */
		for (uint32_t at = 0; more; at += HARNESS_SLOW * HARNESS_SLOW / 2 + 1)
			taken += release_while_destroyed(w, armed, at, &more);
	}
	REQUIRE(taken > 0);
	other.w = NULL;
	reach(&other.asked);
	REQUIRE_EQ(pthread_join(p, NULL), 0);
	shoal_arena_close(w->arena);
}

#endif

/* ---- released as a thread ends, when its record has ended already ---- */

static struct {
	pthread_key_t key;
	shoal_semaphore *semaphore;
	shoal_lock first, second;
	int released[2], taken;
} late;

static void
release_late(void *unused)
{
	(void)unused;
	late.released[0] = shoal_semaphore_release(late.semaphore);
	late.released[1] = shoal_lock_release(&late.first);
	late.taken = shoal_lock_acquire(&late.second, 0);
	(void)shoal_lock_release(&late.second);
}

static void *
take_both_and_end(void *unused)
{
	(void)unused;
	REQUIRE_EQ(shoal_semaphore_acquire(late.semaphore, 0), 0);
	REQUIRE_EQ(shoal_lock_acquire(&late.first, 0), 0);
	REQUIRE_EQ(pthread_setspecific(late.key, &late), 0);
	return NULL;
}

Test(owned, a_destructor_of_the_thread_gives_back_what_it_took, .timeout = HARNESS_TIMEOUT)
{
	shoal_arena *a;
	pthread_t thread;
	REQUIRE(shoal_thread_self() != NULL);
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_semaphore_create(a, NULL, 2, SHOAL_SEMAPHORE_OWNED, &late.semaphore), 0);
	/* After the library's own: its destructor runs after that one's. */
	REQUIRE_EQ(pthread_key_create(&late.key, release_late), 0);
	REQUIRE_EQ(pthread_create(&thread, NULL, take_both_and_end, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	REQUIRE_EQ(late.released[0], 0);
	REQUIRE_EQ(late.released[1], 0);
	REQUIRE_EQ(late.taken, 0);
	REQUIRE_EQ(shoal_semaphore_value(late.semaphore), 2);
	shoal_arena_close(a);
}
