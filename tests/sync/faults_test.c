/*
 * The programs in which Python's multiprocessing hangs for ever, or counts the dead, because
 * somebody was killed or a signal came: each ends here within a tenth of a second of the fault,
 * with the result that the headers promise.
 */
#include "common.h"

struct world {
	shoal_lock lock;
	shoal_semaphore semaphore;
	shoal_condition condition;
	shoal_event event;
	shoal_barrier barrier;
	word32 reached;
};

static int64_t fault_at;

static struct world *
begin(uint32_t parties)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_semaphore_init(&w->semaphore, 1, 1), 0);
	REQUIRE_EQ(shoal_barrier_init(&w->barrier, parties), 0);
	return w;
}

/* One that is killed after it took something. */
static void
kill_one_that_took(int (*take)(void *), struct world *w)
{
	pid_t pid = child(take, w);
	wait_for(&w->reached, 1);
	fault_at = kill_now(pid);
}

/* One that is killed asleep in its call. */
static void
kill_one_that_waits(int (*await)(void *), struct world *w)
{
	pid_t pid = child(await, w);
	wait_for(&w->reached, 1);
	wait_asleep(pid);
	fault_at = kill_now(pid);
}

static void
require_soon(void)
{
	REQUIRE(fair_ns() - fault_at < DEATH_NS);
}

/* ---- 1: held by a killed process ---- */

static int
take_lock(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	reach(&w->reached);
	stay();
	return 0;
}

Test(faults, lock_owner_killed)
{
	struct world *w = begin(1);
	kill_one_that_took(take_lock, w);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_SEC(1)), -EOWNERDEAD);
	require_soon();
	REQUIRE_EQ(shoal_lock_consistent(&w->lock), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
}

Test(faults, lock_owner_killed_blocking)
{
	struct world *w = begin(1);
	kill_one_that_took(take_lock, w);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), -EOWNERDEAD);
	require_soon();
	REQUIRE_EQ(shoal_lock_consistent(&w->lock), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
}

static int
take_permit(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_semaphore_acquire(&w->semaphore, SHOAL_FOREVER), 0);
	reach(&w->reached);
	stay();
	return 0;
}

/* A permit is nobody's, so its taker's death says nothing; who watches the taker gives it back. */
Test(faults, semaphore_taker_killed)
{
	struct world *w = begin(1);
	kill_one_that_took(take_permit, w);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->semaphore, SHOAL_MS(20)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_semaphore_release(&w->semaphore), 0);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->semaphore, SHOAL_FOREVER), 0);
	require_soon();
}

static int
await_permit(void *arg)
{
	struct world *w = arg;
	reach(&w->reached);
	return shoal_semaphore_acquire(&w->semaphore, SHOAL_FOREVER);
}

/* It takes none with it. */
Test(faults, semaphore_waiter_killed)
{
	struct world *w = begin(1);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->semaphore, SHOAL_NOWAIT), 0);
	kill_one_that_waits(await_permit, w);
	REQUIRE_EQ(shoal_semaphore_release(&w->semaphore), 0);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->semaphore, SHOAL_FOREVER), 0);
	require_soon();
}

/* ---- 4: told while a waiter has been killed ---- */

static int
await_event(void *arg)
{
	struct world *w = arg;
	reach(&w->reached);
	return shoal_event_wait(&w->event, SHOAL_FOREVER);
}

Test(faults, event_set_after_waiter_killed)
{
	struct world *w = begin(1);
	kill_one_that_waits(await_event, w);
	REQUIRE_EQ(shoal_event_set(&w->event), 0);
	REQUIRE_EQ(shoal_event_wait(&w->event, SHOAL_FOREVER), 0);
	require_soon();
}

static int
await_condition(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	reach(&w->reached);
	int rc = shoal_condition_wait(&w->condition, &w->lock, SHOAL_FOREVER);
	return rc ? rc : shoal_lock_release(&w->lock);
}

Test(faults, condition_notify_after_waiter_killed)
{
	struct world *w = begin(1);
	kill_one_that_waits(await_condition, w);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_condition_notify(&w->condition, &w->lock, SHOAL_ALL), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	require_soon();
}

/* ---- 5: a party killed while it waited ---- */

static int
await_others(void *arg)
{
	struct world *w = arg;
	reach(&w->reached);
	return shoal_barrier_wait(&w->barrier, SHOAL_FOREVER);
}

static void
one_party_killed(uint32_t parties, shoal_time timeout)
{
	struct world *w = begin(parties);
	kill_one_that_waits(await_others, w);
	REQUIRE_EQ(shoal_barrier_wait(&w->barrier, timeout), -EPIPE);
	require_soon();
	REQUIRE(shoal_barrier_broken(&w->barrier));
}

Test(faults, barrier_party_killed)
{
	one_party_killed(2, SHOAL_SEC(1));
	one_party_killed(2, SHOAL_FOREVER);
}

Test(faults, barrier3_party_killed)
{
	one_party_killed(3, SHOAL_SEC(1));
	one_party_killed(3, SHOAL_FOREVER);
}

/* ---- 16: a signal handler tells the thread that it interrupts ---- */

static struct world *handled;

static void
set_event(int signo)
{
	(void)signo;
	fault_at = fair_ns();
	(void)shoal_event_set(&handled->event);
}

static void
give_permit(int signo)
{
	(void)signo;
	fault_at = fair_ns();
	(void)shoal_semaphore_release(&handled->semaphore);
}

static int
signal_parent(void *arg)
{
	(void)arg;
	wait_asleep(getppid());
	return kill(getppid(), SIGUSR1);
}

static pid_t
signal_me(struct world *w, void (*handler)(int))
{
	struct sigaction a = { .sa_handler = handler };
	handled = w;
	REQUIRE_EQ(sigaction(SIGUSR1, &a, NULL), 0);
	return child(signal_parent, w);
}

Test(faults, signal_handler_sets_event_while_waiting)
{
	struct world *w = begin(1);
	pid_t pid = signal_me(w, set_event);
	REQUIRE_EQ(shoal_event_wait(&w->event, SHOAL_FOREVER), 0);
	require_soon();
	expect_child(pid, 0, 2000);
}

Test(faults, signal_handler_releases_semaphore_while_waiting)
{
	struct world *w = begin(1);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->semaphore, SHOAL_NOWAIT), 0);
	pid_t pid = signal_me(w, give_permit);
	REQUIRE_EQ(shoal_semaphore_acquire(&w->semaphore, SHOAL_FOREVER), 0);
	require_soon();
	expect_child(pid, 0, 2000);
}
