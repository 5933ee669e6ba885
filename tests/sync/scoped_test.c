/* Locks that are given back at the end of a scope. */
#include "common.h"
#include <fcntl.h>
#include <shoal/scoped.h>

struct world {
	shoal_lock lock, other;
	word32 reached;
	volatile int64_t held_at;
};

static int
leave_by(shoal_lock *l, int way)
{
	for (int i = 0; i < 2; i++) {
		SHOAL_HOLD(l);
		REQUIRE(shoal_lock_held(l));
		if (way == 0)
			return i;
		if (way == 1)
			break;
		if (way == 2)
			goto out;
	}
	REQUIRE(!shoal_lock_held(l));
	return way;
out:
	return way;
}

Test(scoped, however_the_scope_is_left_the_lock_is_given_back)
{
	struct world *w = shared(sizeof *w);
	for (int way = 0; way < 4; way++) {
		REQUIRE_EQ(leave_by(&w->lock, way), way);
		REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), 0);
		REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	}
	shoal_lock_info info;
	REQUIRE_EQ(shoal_lock_stat(&w->lock, &info), 0);
	REQUIRE_EQ(info.acquisitions, 1 + 1 + 1 + 2 + 4);
}

Test(scoped, scopes_nest_and_end_in_the_other_order)
{
	struct world *w = shared(sizeof *w);
	{
		SHOAL_HOLD(&w->lock);
		{
			SHOAL_HOLD_AS(h, &w->other, SHOAL_NOWAIT);
			REQUIRE_EQ(h.rc, 0);
			REQUIRE(shoal_lock_held(&w->lock) && shoal_lock_held(&w->other));
		}
		REQUIRE(shoal_lock_held(&w->lock) && !shoal_lock_held(&w->other));
	}
	REQUIRE(!shoal_lock_held(&w->lock));
}

static int
hold_for_ever(void *arg)
{
	struct world *w = arg;
	SHOAL_HOLD(&w->lock);
	reach(&w->reached);
	stay();
	return 0;
}

/* What was not taken is another one's to release. */
Test(scoped, what_was_not_taken_in_time_is_not_given_back)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = child(hold_for_ever, w);
	wait_for(&w->reached, 1);
	{
		SHOAL_HOLD_AS(h, &w->lock, SHOAL_MS(20));
		REQUIRE_EQ(h.rc, -ETIMEDOUT);
	}
	shoal_lock_info info;
	REQUIRE_EQ(shoal_lock_stat(&w->lock, &info), 0);
	REQUIRE_EQ(info.owner, pid);
	kill_now(pid);
}

Test(scoped, one_that_asks_repairs_what_a_dead_holder_left)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = child(hold_for_ever, w);
	wait_for(&w->reached, 1);
	kill_now(pid);
	{
		SHOAL_HOLD_AS(h, &w->lock, SHOAL_SEC(1));
		REQUIRE_EQ(h.rc, -EOWNERDEAD);
		REQUIRE_EQ(shoal_lock_consistent(&w->lock), 0);
	}
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, 0), 0);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
}

static int
hold_simply(void *arg)
{
	struct world *w = arg;
	SHOAL_HOLD(&w->lock);
	reach(&w->reached);
	return 0;
}

static int
hold_twice(void *arg)
{
	struct world *w = arg;
	SHOAL_HOLD(&w->lock);
	{
		SHOAL_HOLD(&w->lock);
		reach(&w->reached);
	}
	return 0;
}

struct stopped {
	struct world *w;
	int (*run)(void *);
	int paper;
};

static int
write_down(void *arg)
{
	struct stopped *s = arg;
	dup2(s->paper, STDERR_FILENO);
	return s->run(s->w);
}

static void
expect_stop(struct world *w, int (*run)(void *), const char *word)
{
	char text[512];
	int ends[2];
	REQUIRE_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	struct stopped s = { w, run, ends[1] };
	expect_killed(child(write_down, &s), SIGABRT, 2000);
	ssize_t n = read(ends[0], text, sizeof text - 1);
	close(ends[0]);
	close(ends[1]);
	REQUIRE(n > 0);
	text[n] = '\0';
	REQUIRE(strstr(text, "SHOAL_HOLD: "));
	REQUIRE(strstr(text, word));
}

/* Nobody in that scope could be told, so the scope is not entered; the next one is told again. */
Test(scoped, a_suspect_lock_stops_one_that_does_not_ask)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = child(hold_for_ever, w);
	wait_for(&w->reached, 1);
	kill_now(pid);
	for (int i = 0; i < 2; i++)
		expect_stop(w, hold_simply, "suspect");
	REQUIRE_EQ(load_acquire(&w->reached), 1);
	REQUIRE_EQ(shoal_lock_acquire(&w->lock, SHOAL_SEC(1)), -EOWNERDEAD);
	REQUIRE_EQ(shoal_lock_release(&w->lock), 0);
	expect_stop(w, hold_simply, "initialise it");
	REQUIRE_EQ(load_acquire(&w->reached), 1);
}

Test(scoped, a_lock_that_is_held_already_stops_one_that_does_not_ask)
{
	struct world *w = shared(sizeof *w);
	expect_stop(w, hold_twice, "holds the lock");
	REQUIRE_EQ(load_acquire(&w->reached), 0);
}

static int
hold_a_while(void *arg)
{
	struct world *w = arg;
	SHOAL_HOLD(&w->lock);
	reach(&w->reached);
	sleep_ms(150);
	w->held_at = now_ns();
	return 0;
}

Test(scoped, an_interrupt_is_kept_for_the_next_wait)
{
	struct world *w = shared(sizeof *w);
	pid_t pid = child(hold_a_while, w);
	wait_for(&w->reached, 1);
	pthread_t p = interrupt_me();
	{
		SHOAL_HOLD(&w->lock);
		REQUIRE(shoal_lock_held(&w->lock) && w->held_at);
	}
	pthread_join(p, NULL);
	shoal_event event = { { 0 } };
	REQUIRE_EQ(shoal_event_wait(&event, SHOAL_SEC(5)), -ECANCELED);
	REQUIRE_EQ(shoal_event_wait(&event, SHOAL_MS(5)), -ETIMEDOUT);
	expect_child(pid, 0, 2000);
}
