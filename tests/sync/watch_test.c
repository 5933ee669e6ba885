/* Locks that are watched: their order, and circles of waiting. */
#include "common.h"
#include "base/peek.h"
#include "sync/watch.h"
#include <sys/mman.h>

struct world {
	shoal_lock a, b, c;
	shoal_rlock r;
	word32 reached;
	char told[2048];
	word32 lines;
};

static void
keep_line(void *arg, int level, const char *line)
{
	struct world *w = arg;
	(void)level;
	strncat(w->told, line, sizeof w->told - strlen(w->told) - 1);
	strncat(w->told, "\n", sizeof w->told - strlen(w->told) - 1);
	fetch_add_seq_cst(&w->lines, 1);
}

static struct world *
watched(unsigned modes)
{
	struct world *w = shared(sizeof *w);
	REQUIRE_EQ(shoal_lock_name(&w->a, "accounts"), 0);
	REQUIRE_EQ(shoal_lock_name(&w->b, "books"), 0);
	REQUIRE_EQ(shoal_lock_name(&w->c, "clients"), 0);
	shoal_log_set(2, keep_line, w);
	watch_begin(modes);
	return w;
}

static void
take_two(shoal_lock *first, shoal_lock *second)
{
	REQUIRE_EQ(shoal_lock_acquire(first, SHOAL_SEC(2)), 0);
	REQUIRE_EQ(shoal_lock_acquire(second, SHOAL_SEC(2)), 0);
	REQUIRE_EQ(shoal_lock_release(first), 0);
	REQUIRE_EQ(shoal_lock_release(second), 0);
}

Test(watch, tells_a_wrong_order_once)
{
	struct world *w = watched(WATCH_ORDER);
	take_two(&w->a, &w->b);
	take_two(&w->a, &w->b);
	REQUIRE_EQ(load_relaxed(&w->lines), 0);
	take_two(&w->b, &w->a);
	REQUIRE_EQ(load_relaxed(&w->lines), 1);
	REQUIRE(strstr(w->told, "takes the lock 'accounts' while it holds 'books'"));
	take_two(&w->b, &w->a);
	take_two(&w->a, &w->b);
	REQUIRE_EQ(load_relaxed(&w->lines), 1);
}

Test(watch, tells_a_wrong_order_by_way_of_a_third)
{
	struct world *w = watched(WATCH_ORDER);
	take_two(&w->a, &w->b);
	take_two(&w->b, &w->c);
	REQUIRE_EQ(load_relaxed(&w->lines), 0);
	take_two(&w->c, &w->a);
	REQUIRE_EQ(load_relaxed(&w->lines), 1);
}

Test(watch, lets_one_try_in_any_order)
{
	struct world *w = watched(WATCH_ORDER | WATCH_CIRCLES);
	take_two(&w->a, &w->b);
	REQUIRE_EQ(shoal_lock_acquire(&w->b, 0), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->a, 0), 0);
	REQUIRE_EQ(load_relaxed(&w->lines), 0);
	REQUIRE_EQ(shoal_lock_release(&w->b), 0);
	REQUIRE_EQ(shoal_lock_release(&w->a), 0);
}

static int
take_a_then_b(void *arg)
{
	struct world *w = arg;
	take_two(&w->a, &w->b);
	return 0;
}

Test(watch, tells_what_two_processes_do_in_different_orders)
{
	struct world *w = watched(WATCH_ORDER);
	expect_child(child(take_a_then_b, w), 0, 2000);
	REQUIRE_EQ(load_relaxed(&w->lines), 0);
	take_two(&w->b, &w->a);
	REQUIRE_EQ(load_relaxed(&w->lines), 1);
}

static int
wait_for_b(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), 0);
	reach(&w->reached);
	REQUIRE_EQ(shoal_lock_acquire(&w->b, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_lock_release(&w->b), 0);
	REQUIRE_EQ(shoal_lock_release(&w->a), 0);
	return 0;
}

Test(watch, refuses_the_wait_that_closes_a_circle)
{
	struct world *w = watched(WATCH_CIRCLES | WATCH_REFUSE);
	REQUIRE_EQ(shoal_lock_acquire(&w->b, 0), 0);
	pid_t pid = child(wait_for_b, w);
	wait_for(&w->reached, 1);
	wait_asleep(pid);
	REQUIRE_EQ(load_relaxed(&w->lines), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), -EDEADLK);
	REQUIRE(strstr(shoal_error(), "'accounts'"));
	REQUIRE_EQ(load_relaxed(&w->lines), 1);
	char part[200];
	snprintf(part, sizeof part,
	         "deadlock: thread %d waits for the lock 'accounts', which thread %d of process %d "
	         "holds; that one waits for the lock 'books', which thread %d of process %d holds",
	         (int)getpid(), (int)pid, (int)pid, (int)getpid(), (int)getpid());
	REQUIRE(strstr(w->told, part));
	/* Nothing changed for the other one. */
	REQUIRE_EQ(shoal_lock_release(&w->b), 0);
	expect_child(pid, 0, 2000);
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_lock_release(&w->a), 0);
}

static int
hold_c_wait_for_b(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->c, SHOAL_FOREVER), 0);
	reach(&w->reached);
	REQUIRE_EQ(shoal_lock_acquire(&w->b, SHOAL_FOREVER), 0);
	return 0;
}

static int
hold_a_wait_for_c(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), 0);
	reach(&w->reached);
	REQUIRE_EQ(shoal_lock_acquire(&w->c, SHOAL_FOREVER), -EOWNERDEAD);
	return 0;
}

Test(watch, finds_circles_of_three_and_none_where_the_dead_are)
{
	struct world *w = watched(WATCH_CIRCLES | WATCH_REFUSE);
	REQUIRE_EQ(shoal_lock_acquire(&w->b, 0), 0);
	pid_t second = child(hold_c_wait_for_b, w);
	wait_for(&w->reached, 1);
	wait_asleep(second);
	pid_t first = child(hold_a_wait_for_c, w);
	wait_for(&w->reached, 2);
	wait_asleep(first);
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), -EDEADLK);
	kill_now(second);
	expect_child(first, 0, 2000);
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), -EOWNERDEAD);
	REQUIRE_EQ(load_relaxed(&w->lines), 1);
}

static int
hold_a(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), 0);
	reach(&w->reached);
	sleep_ms(50);
	REQUIRE_EQ(shoal_lock_release(&w->a), 0);
	return 0;
}

Test(watch, tells_nothing_of_an_ordinary_wait)
{
	struct world *w = watched(WATCH_ORDER | WATCH_CIRCLES | WATCH_REFUSE);
	pid_t pid = child(hold_a, w);
	wait_for(&w->reached, 1);
	REQUIRE_EQ(shoal_lock_acquire(&w->b, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), -EDEADLK);
	REQUIRE(strstr(shoal_error(), "use an rlock"));
	REQUIRE_EQ(load_relaxed(&w->lines), 0);
	REQUIRE_EQ(shoal_lock_release(&w->a), 0);
	REQUIRE_EQ(shoal_lock_release(&w->b), 0);
	expect_child(pid, 0, 2000);
}

Test(watch, knows_how_far_things_are_from_each_other)
{
	struct world *w = shared(sizeof *w), *other = shared(sizeof *other);
	char text[8] = "abc";
	int64_t far = 0;
	REQUIRE(peek_distance(&w->b, &w->a, &far));
	REQUIRE_EQ(far, -(int64_t)sizeof w->a);
	REQUIRE(!peek_distance(&w->a, &other->a, &far));
	REQUIRE(!peek_distance(&w->a, text, &far));
	REQUIRE(!peek_copy(NULL, text, 4));
	REQUIRE(peek_copy("xyz", text, 4) && !strcmp(text, "xyz"));
}

static struct world *again; /* the same memory, elsewhere */

static int
hold_a_here_wait_for_b_there(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), 0);
	reach(&w->reached);
	REQUIRE_EQ(shoal_lock_acquire(&again->b, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_lock_release(&w->b), 0);
	REQUIRE_EQ(shoal_lock_release(&again->a), 0);
	return 0;
}

Test(watch, finds_a_circle_by_way_of_two_mappings)
{
	struct world *w = watched(WATCH_CIRCLES | WATCH_REFUSE);
	again = mremap(w, 0, sizeof *w, MREMAP_MAYMOVE);
	REQUIRE(again != MAP_FAILED && again != w);
	REQUIRE_EQ(shoal_lock_acquire(&w->b, 0), 0);
	pid_t pid = child(hold_a_here_wait_for_b_there, w);
	wait_for(&w->reached, 1);
	wait_asleep(pid);
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), -EDEADLK);
	REQUIRE_EQ(shoal_lock_acquire(&again->a, SHOAL_FOREVER), -EDEADLK);
	REQUIRE_EQ(load_relaxed(&w->lines), 2);
	REQUIRE_EQ(shoal_lock_release(&w->b), 0);
	expect_child(pid, 0, 2000);
}

/* What is remembered of the other mapping must not be written to once that is gone. */
Test(watch, forgets_a_lock_that_is_given_back_by_another_mapping)
{
	struct world *w = watched(WATCH_CIRCLES);
	again = mremap(w, 0, sizeof *w, MREMAP_MAYMOVE);
	REQUIRE(again != MAP_FAILED);
	REQUIRE_EQ(shoal_lock_acquire(&w->c, 0), 0);
	REQUIRE_EQ(shoal_lock_acquire(&again->a, 0), 0);
	REQUIRE_EQ(shoal_lock_release(&w->a), 0);
	REQUIRE_EQ(munmap(again, sizeof *again), 0);
	pid_t pid = child(hold_a, w);
	wait_for(&w->reached, 1);
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_lock_release(&w->a), 0);
	REQUIRE_EQ(shoal_lock_release(&w->c), 0);
	expect_child(pid, 0, 2000);
}
