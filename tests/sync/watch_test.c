/* Locks that are watched: their order, and circles of waiting. */
#include "common.h"
#include "base/peek.h"
#include "sync/watch.h"
#include <shoal/arena.h>
#include <stdio.h>
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

Test(watch, is_asked_for_by_words)
{
	REQUIRE_EQ(watch_modes("order"), WATCH_ORDER);
	REQUIRE_EQ(watch_modes("order, deadlock"), WATCH_ORDER | WATCH_CIRCLES);
	REQUIRE_EQ(watch_modes(",refuse ,"), WATCH_CIRCLES | WATCH_REFUSE);
	REQUIRE_EQ(watch_modes("orders deadloc"), 0);
	REQUIRE_EQ(watch_modes(""), 0);
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

enum { NEW = 100 };

struct party {
	shoal_lock hub;
	word32 *begun;
	bool from; /* the hub first, then each of its own */
};

static int
take_new_ones(void *arg)
{
	struct party *c = arg;
	shoal_lock *own = shared(NEW * sizeof *own);
	char name[16];
	for (int i = 0; i < NEW; i++) {
		snprintf(name, sizeof name, "%c%d", c->from ? 'f' : 't', i);
		REQUIRE_EQ(shoal_lock_name(&own[i], name), 0);
	}
	REQUIRE_EQ(shoal_lock_name(&c->hub, "hub"), 0);
	fetch_add_seq_cst(c->begun, 1);
	while (load_acquire(c->begun) < 2)
		continue;
	for (int i = 0; i < NEW; i++)
		take_two(c->from ? &c->hub : &own[i], c->from ? &own[i] : &c->hub);
	return 0;
}

/* Of two that look for new names at once neither is taken for the other. */
Test(watch, tells_new_ones_apart)
{
	for (int i = 0; i < 10; i++) {
		struct world *w = watched(WATCH_ORDER);
		word32 *begun = shared(sizeof *begun);
		struct party from = { .begun = begun, .from = true };
		struct party to = { .begun = begun };
		pid_t pid = child(take_new_ones, &from), other = child(take_new_ones, &to);
		expect_child(pid, 0, 5000);
		expect_child(other, 0, 5000);
		REQUIRE_STR_EQ(w->told, "");
	}
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

/* ---- what is held, and no longer ---- */

static shoal_rwlock *pages;

static int
read_for_a_while(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_rwlock_read(pages, SHOAL_FOREVER), 0);
	reach(&w->reached);
	sleep_ms(100);
	REQUIRE_EQ(shoal_rwlock_release(pages), 0);
	return 0;
}

/* A writer that gave up, and a reader that came in turn, hold its lock no longer. */
Test(watch, forgets_an_rwlock_that_was_not_got)
{
	struct world *w = watched(WATCH_CIRCLES);
	pages = shared(sizeof *pages);
	REQUIRE_EQ(shoal_rwlock_init(pages, 0), 0);
	pid_t pid = child(read_for_a_while, w);
	wait_for(&w->reached, 1);
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_rwlock_write(pages, SHOAL_MS(5)), -ETIMEDOUT);
	expect_child(pid, 0, 2000);
	/* Were it remembered, this would write to it. */
	REQUIRE_EQ(munmap(pages, 4096), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->b, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_lock_release(&w->b), 0);
	REQUIRE_EQ(shoal_lock_release(&w->a), 0);
}

static int
join_and_take_b(void *arg)
{
	struct world *w = arg;
	shoal_arena *a;
	void *block;
	/* A member of an arena holds something, though no lock. */
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_alloc(a, 16, &block), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->b, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_lock_release(&w->b), 0);
	shoal_arena_close(a);
	return 0;
}

Test(watch, a_child_holds_nothing_of_its_parents)
{
	struct world *w = watched(WATCH_ORDER);
	take_two(&w->b, &w->a);
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), 0);
	expect_child(child(join_and_take_b, w), 0, 2000);
	REQUIRE_EQ(load_relaxed(&w->lines), 0);
	REQUIRE_EQ(shoal_lock_release(&w->a), 0);
}

static int
hold_a_then_wait_for_b(void *arg)
{
	struct world *w = arg;
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->b, SHOAL_MS(500)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_lock_release(&w->a), 0);
	return 0;
}

/* It is told of the circle that it closes, and takes the lock again all the same. */
Test(watch, a_conditions_wait_comes_back_with_its_lock)
{
	struct world *w = watched(WATCH_CIRCLES | WATCH_REFUSE);
	static shoal_condition told;
	REQUIRE_EQ(shoal_condition_init(&told), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->b, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), 0);
	pid_t pid = child(hold_a_then_wait_for_b, w);
	REQUIRE_EQ(shoal_condition_wait(&told, &w->a, SHOAL_MS(100)), -ETIMEDOUT);
	REQUIRE(shoal_lock_held(&w->a));
	REQUIRE_EQ(load_relaxed(&w->lines), 1);
	REQUIRE_EQ(shoal_lock_release(&w->a), 0);
	REQUIRE_EQ(shoal_lock_release(&w->b), 0);
	expect_child(pid, 0, 2000);
}

static int
read_a_then_write_b(void *arg)
{
	shoal_rwlock *two = arg;
	REQUIRE_EQ(shoal_rwlock_read(&two[0], SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_rwlock_write(&two[1], SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_rwlock_release(&two[0]), 0);
	REQUIRE_EQ(shoal_rwlock_release(&two[1]), 0);
	return 0;
}

Test(watch, tells_a_wrong_order_of_readers)
{
	struct world *w = watched(WATCH_ORDER);
	shoal_rwlock *two = shared(2 * sizeof *two);
	expect_child(child(read_a_then_write_b, two), 0, 2000);
	REQUIRE_EQ(load_relaxed(&w->lines), 0);
	REQUIRE_EQ(shoal_rwlock_read(&two[1], SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_rwlock_read(&two[0], SHOAL_FOREVER), 0);
	REQUIRE_EQ(load_relaxed(&w->lines), 1);
	REQUIRE_EQ(shoal_rwlock_release(&two[0]), 0);
	REQUIRE_EQ(shoal_rwlock_release(&two[1]), 0);
	/* What was given back is held no longer. */
	REQUIRE_EQ(shoal_rwlock_read(&two[0], SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_rwlock_release(&two[0]), 0);
	REQUIRE_EQ(shoal_lock_acquire(&w->a, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_rwlock_read(&two[0], SHOAL_FOREVER), 0);
	REQUIRE_EQ(load_relaxed(&w->lines), 1);
}
