/* Barriers whose turn ends while somebody is in the middle of a call: by others, by a reset. */
#include "../steps.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/kernel.h"
#include "common.h"
#include "sync/robust.h"
#include <sys/resource.h>

enum { PLACE = 8, MANY = 13 };

struct world {
	shoal_barrier b;
	word32 reached, wants;
	volatile int result[MANY];
	volatile int64_t at[MANY];
};

static word32 *
place(struct world *w, int i)
{
	return (word32 *)(void *)&w->b + PLACE + i;
}

static bool
has_places(struct world *w)
{
	for (int i = 0; i < SHOAL_PARTIES_KNOWN_MAX; i++)
		if (load_acquire(place(w, i)))
			return true;
	return false;
}

static void
wait_for_waiting(struct world *w, uint32_t n)
{
	for (int i = 0; i < 3000 && shoal_barrier_waiting(&w->b) != n; i++)
		sleep_ms(1);
	REQUIRE_EQ(shoal_barrier_waiting(&w->b), n);
}

static int
pass(void *arg)
{
	struct world *w = arg;
	w->result[0] = shoal_barrier_wait(&w->b, SHOAL_SEC(10));
	return 0;
}

/* ---- with another step between any two ---- */

#if HAS_STEPS
static struct world *stepped;
static volatile int stepped_result;
static volatile uint32_t turn_then;

static word64 *
state_of_it(struct world *w)
{
	return (word64 *)(void *)&w->b;
}

static uint32_t
turn(void)
{
	return (uint32_t)load_acquire(state_of_it(stepped));
}

static void
wait_long(void *unused)
{
	(void)unused;
	stepped_result = shoal_barrier_wait(&stepped->b, SHOAL_MS(300) * HARNESS_SLOW);
}

static void
look_in(void *unused)
{
	(void)unused;
	stepped_result = shoal_barrier_wait(&stepped->b, SHOAL_NOWAIT);
}

/* The round is over, and to the next one have come all but one. */
static void
all_but_one_come_again(void)
{
	uint64_t parties = shoal_barrier_parties(&stepped->b);
	store_release(state_of_it(stepped), (parties - 1) << 32 | 1);
}

/* More parties than CPUs: then it does not spin. */
Test(barrier, a_late_comer_comes_to_the_next_round_whenever_it_begins,
     .timeout = 60 * HARNESS_SLOW)
{
	struct world *w = stepped = shared(sizeof *w);
	uint32_t parties = kernel_cpus_online() + 2;
	REQUIRE_EQ(shoal_barrier_init(&w->b, 1), 0);
	REQUIRE_EQ(shoal_barrier_wait(&w->b, 0), 0);
	/* What it looks at between two sights of the turn is longer. */
	for (uint32_t at = 0; !steps.waits; at += 7 * STEPS_STRIDE) {
		REQUIRE_EQ(shoal_barrier_init(&w->b, parties), 0);
		store_release(state_of_it(w), (uint64_t)parties << 32);
		REQUIRE(steps_into(wait_long, NULL, at, all_but_one_come_again));
		REQUIRE_EQ(stepped_result, parties - 1);
		REQUIRE_EQ(turn(), 2);
	}
}

static void
reset_it(void)
{
	turn_then = turn();
	shoal_barrier_reset(&stepped->b);
}

Test(barrier, nobody_breaks_it_after_a_reset_for_what_was_seen_before)
{
	struct world *w = stepped = shared(sizeof *w);
	for (uint32_t at = 0, on = 1; on; at += STEPS_STRIDE) {
		REQUIRE_EQ(shoal_barrier_init(&w->b, 2), 0);
		store_release(place(w, 5), FUTEX_SLEEPERS | FUTEX_DIED);
		on = steps_into(look_in, NULL, at, reset_it);
		REQUIRE_EQ(shoal_barrier_broken(&w->b), !on);
	}
}

/* Whoever is in the middle of a wait when a reset comes is known if it comes after that. */
Test(barrier, a_reset_forgets_who_is_about_to_leave)
{
	struct world *w = stepped = shared(sizeof *w);
	uint32_t forgotten = 0, known = 0;
	for (uint32_t at = 0, on = 1; on; at++) {
		REQUIRE_EQ(shoal_barrier_init(&w->b, 1), 0);
		for (uint32_t before = at % 3; before > 0; before--)
			REQUIRE_EQ(shoal_barrier_wait(&w->b, 0), 0);
		uint32_t first = turn();
		on = steps_into(look_in, NULL, at / 3, reset_it);
		if (!on)
			break;
		REQUIRE(stepped_result == 0 || stepped_result == -EPIPE);
		bool after = stepped_result == 0 && turn_then == first;
		REQUIRE_EQ(has_places(w), after);
		known += after;
		forgotten += !after;
	}
	REQUIRE(known > 0 && forgotten > 0);
}
#endif

static void *
wait_in_thread(void *arg)
{
	struct world *w = arg;
	w->result[0] = shoal_barrier_wait(&w->b, SHOAL_SEC(10));
	return NULL;
}

Test(barrier, the_end_of_one_that_a_reset_sent_away_breaks_nothing)
{
	struct world *w = shared(sizeof *w);
	pthread_t p;
	REQUIRE_EQ(shoal_barrier_init(&w->b, 2), 0);
	for (int broken = 0; broken < 2; broken++) {
		REQUIRE_EQ(pthread_create(&p, NULL, wait_in_thread, w), 0);
		wait_for_waiting(w, 1);
		if (broken)
			REQUIRE_EQ(shoal_barrier_abort(&w->b), 0);
		REQUIRE_EQ(shoal_barrier_reset(&w->b), 0);
		pthread_join(p, NULL);
		REQUIRE_EQ(w->result[0], -EPIPE);
		REQUIRE(!has_places(w));
		pid_t pid = child(pass, w);
		wait_for_waiting(w, 1);
		/* It asks the kernel about those whom it knows. */
		sleep_ms(50);
		REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_SEC(5)), 1);
		expect_child(pid, 0, 2000);
		REQUIRE_EQ(w->result[0], 0);
		REQUIRE_EQ(shoal_barrier_reset(&w->b), 0);
	}
}

/* ---- more threads than parties ---- */

static int
partner(void *arg)
{
	struct world *w = arg;
	for (uint32_t i = 1;; i++) {
		wait_for(&w->wants, i);
		REQUIRE(shoal_barrier_wait(&w->b, SHOAL_SEC(10)) >= 0);
		reach(&w->reached);
	}
	return 0;
}

static void
rounds(struct world *w, int n)
{
	for (int i = 0; i < n; i++) {
		uint32_t before = load_acquire(&w->reached);
		reach(&w->wants);
		REQUIRE(shoal_barrier_wait(&w->b, SHOAL_SEC(10)) >= 0);
		wait_for(&w->reached, before + 1);
	}
}

/* What one is told that stands still while its round and others end. */
static int
told(int good, bool breaks, int rounds_then, int breaks_then, int rounds_last)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_barrier_init(&w->b, 2), 0);
	pid_t other = child(partner, w);
	rounds(w, good);
	pid_t pid = child(pass, w);
	wait_for_waiting(w, 1);
	kill(pid, SIGSTOP);
	wait_state(pid, 'T');
	if (breaks)
		REQUIRE_EQ(shoal_barrier_reset(&w->b), 0);
	else
		REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_SEC(10)), 1);
	rounds(w, rounds_then);
	for (int i = 0; i < breaks_then; i++)
		REQUIRE_EQ(shoal_barrier_reset(&w->b), 0);
	rounds(w, rounds_last);
	REQUIRE(!shoal_barrier_broken(&w->b));
	kill(pid, SIGCONT);
	expect_child(pid, 0, 2000);
	kill_now(other);
	return w->result[0];
}

Test(barrier, one_that_stands_still_is_told_how_its_round_ended, .timeout = 60 * HARNESS_SLOW)
{
	REQUIRE_EQ(told(0, false, 40, 0, 0), 0);
	REQUIRE_EQ(told(0, true, 40, 0, 0), -EPIPE);
	REQUIRE_EQ(told(20, false, 14, 0, 0), 0);
	REQUIRE_EQ(told(20, false, 15, 0, 0), 0);
	for (int since = 11; since < 18; since++)
		REQUIRE_EQ(told(3, true, since, 0, 0), -EPIPE);
	/* A bad end long before its own does not count; one that came after may have been its own. */
	REQUIRE_EQ(told(0, false, 2, 3, 4), 0);
	REQUIRE_EQ(told(0, false, 2, 3, 30), -EPIPE);
}

Test(barrier, a_bad_end_before_ones_own_round_does_not_count)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_barrier_init(&w->b, 2), 0);
	pid_t other = child(partner, w);
	for (int before = 0; before < 20; before++) {
		REQUIRE_EQ(shoal_barrier_reset(&w->b), 0);
		rounds(w, before);
		pid_t pid = child(pass, w);
		wait_for_waiting(w, 1);
		kill(pid, SIGSTOP);
		wait_state(pid, 'T');
		REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_SEC(10)), 1);
		/* One that ended would break it. */
		rounds(w, 20);
		kill(pid, SIGCONT);
		expect_child(pid, 0, 2000);
		REQUIRE_EQ(w->result[0], 0);
	}
	kill_now(other);
}

/* ---- behind a complete round ---- */

static int
act_long(void *arg)
{
	struct world *w = arg;
	reach(&w->reached);
	wait_for(&w->wants, 1);
	return 0;
}

static int
wait_acting_long(void *arg)
{
	struct world *w = arg;
	return shoal_barrier_wait_do(&w->b, act_long, w, SHOAL_SEC(10));
}

Test(barrier, who_runs_out_of_time_behind_a_round_has_broken_nothing)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_barrier_init(&w->b, 1), 0);
	pid_t pid = child(wait_acting_long, w);
	wait_for(&w->reached, 1);
	REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_NOWAIT), -EAGAIN);
	REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_MS(30)), -ETIMEDOUT);
	REQUIRE(!strstr(shoal_error(), "broken"));
	pthread_t p = interrupt_me();
	REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_SEC(10)), -ECANCELED);
	REQUIRE(!strstr(shoal_error(), "broken"));
	pthread_join(p, NULL);
	REQUIRE(!shoal_barrier_broken(&w->b));
	reach(&w->wants);
	expect_child(pid, 0, 2000);
}

/* ---- what /proc does not tell ---- */

static int
pass_without_descriptors(void *arg)
{
	struct world *w = arg;
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, 0 });
	REQUIRE(shoal_barrier_wait(&w->b, SHOAL_SEC(10)) >= 0);
	reach(&w->reached);
	stay();
	return 0;
}

Test(barrier, one_that_cannot_read_when_it_began_lives_all_the_same)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_barrier_init(&w->b, 2), 0);
	pid_t pid = child(pass_without_descriptors, w);
	REQUIRE(shoal_barrier_wait(&w->b, SHOAL_SEC(10)) >= 0);
	wait_for(&w->reached, 1);
	REQUIRE_EQ(shoal_barrier_wait(&w->b, SHOAL_MS(100)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_barrier_reset(&w->b), 0);
	REQUIRE_EQ(shoal_barrier_init(&w->b, 2), 0);
	kill_now(pid);
}

/* ---- how soon ---- */

static int
pass_and_wait(struct world *w, int i)
{
	REQUIRE(shoal_barrier_wait(&w->b, SHOAL_SEC(10)) >= 0);
	reach(&w->reached);
	if (i == MANY - 1)
		stay();
	w->result[i] = shoal_barrier_wait(&w->b, SHOAL_SEC(10));
	w->at[i] = now_ns();
	return 0;
}

struct one {
	struct world *w;
	int i;
};

static int
pass_and_wait_one(void *one)
{
	struct one *o = one;
	return pass_and_wait(o->w, o->i);
}

static int64_t
noticed(int after_ms)
{
	struct world *w = shared(sizeof *w);
	pid_t pid[MANY];
	int64_t last = 0;
	REQUIRE_EQ(shoal_barrier_init(&w->b, MANY), 0);
	for (int i = 0; i < MANY; i++) {
		pid[i] = child(pass_and_wait_one, &(struct one){ w, i });
		if (i + 1 < MANY)
			wait_for_waiting(w, (uint32_t)i + 1);
	}
	wait_for(&w->reached, MANY);
	wait_for_waiting(w, MANY - 1);
	sleep_ms(after_ms);
	kill_now(pid[MANY - 1]);
	int64_t at = now_ns();
	for (int i = 0; i + 1 < MANY; i++) {
		expect_child(pid[i], 0, 2000);
		REQUIRE_EQ(w->result[i], -EPIPE);
		last = w->at[i] - at > last ? w->at[i] - at : last;
	}
	return last;
}

/*
 * Half a slice of 5 ms in the mean, and the run of all: who waits has another share than others. On
 * a busy machine not every time, and the fair clock stands still for so many on few CPUs.
 */
Test(barrier, a_death_outside_is_noticed_in_a_slice, .timeout = 60 * HARNESS_SLOW)
{
	int soon = 0;
	for (int i = 0; i < 40 * HARNESS_SLOW && soon < 16; i++)
		soon += noticed(36 + i % 8) < SHOAL_MS(12);
	REQUIRE(soon >= 16);
}
