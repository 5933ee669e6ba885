/* JOINABLE: task_done and join, among the living and the dead. */
#include "deaths.h"
#include "ring/kinds.h"
#include "ring/loan.h"
#include "steps.h"
#include <pthread.h>

#define JOIN SHOAL_QUEUE_JOINABLE
#define BOTH (SHOAL_QUEUE_JOINABLE | SHOAL_QUEUE_REDELIVER)

Test(queue_join, returns_when_all_is_done)
{
	struct world w = world_make(8, 0, JOIN);
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), 0);
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), -EAGAIN);
	REQUIRE_EQ(info_of(w).unfinished, 2);
	get_text(w.queue, "a");
	REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	get_text(w.queue, "b");
	REQUIRE_EQ(shoal_queue_join(w.queue, SHOAL_MS(20)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), 0);
	REQUIRE_EQ(info_of(w).unfinished, 0);
	world_end(w);
}

Test(queue_join, one_task_done_too_many_is_refused)
{
	struct world w = world_make(8, 0, JOIN);
	REQUIRE_EQ(shoal_queue_task_done(w.queue), -EOVERFLOW);
	put_text(w.queue, "a");
	REQUIRE_EQ(shoal_queue_task_done(w.queue), -EOVERFLOW);
	get_text(w.queue, "a");
	REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	REQUIRE_EQ(shoal_queue_task_done(w.queue), -EOVERFLOW);
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), 0);
	world_end(w);
}

Test(queue_join, needs_a_joinable_queue)
{
	struct world w = world_make(8, 0, 0);
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), -EINVAL);
	REQUIRE_EQ(shoal_queue_task_done(w.queue), -EINVAL);
	world_end(w);
}

static int
do_all(void *arg)
{
	struct stage *s = arg;
	char got[64];
	while (shoal_queue_get(s->queue, got, sizeof got, SHOAL_SEC(10)) >= 0)
		REQUIRE_EQ(shoal_queue_task_done(s->queue), 0);
	return 0;
}

Test(queue_join, waits_for_other_processes)
{
	struct world w = world_make(16, 0, JOIN);
	struct stage *s = stage_make(w, 0);
	pid_t pid[3];
	for (int i = 0; i < 3; i++)
		pid[i] = child(do_all, s);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 20; i++)
			REQUIRE_EQ(shoal_queue_put(w.queue, "x", 2, SHOAL_SEC(5)), 0);
		REQUIRE_EQ(shoal_queue_join(w.queue, SHOAL_SEC(5)), 0);
		REQUIRE_EQ(info_of(w).unfinished, 0);
	}
	shoal_queue_close(w.queue);
	for (int i = 0; i < 3; i++)
		expect_child(pid[i], 0, 5000);
	world_end(w);
}

/* ---- the dead ---- */

static int
get_and_die(void *arg)
{
	struct stage *s = arg;
	char got[64];
	for (size_t i = 0; i < s->bytes; i++)
		REQUIRE(shoal_queue_get(s->queue, got, sizeof got, SHOAL_SEC(5)) > 0);
	raise(SIGKILL);
	return 0;
}

static int
get_many_and_die(void *arg)
{
	struct stage *s = arg;
	char got[64];
	REQUIRE_EQ(shoal_queue_get_many(s->queue, got, 2, s->bytes, SHOAL_SEC(5)), (ssize_t)s->bytes);
	raise(SIGKILL);
	return 0;
}

Test(queue_join, does_not_wait_for_tasks_of_the_dead)
{
	struct world w = world_make(8, 0, JOIN);
	struct stage *s = stage_make(w, 2);
	for (int i = 0; i < 3; i++)
		put_text(w.queue, "a");
	let_die(get_and_die, s);
	get_text(w.queue, "a");
	REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	REQUIRE_EQ(shoal_queue_join(w.queue, SHOAL_SEC(5)), 0);
	world_end(w);
}

Test(queue_join, nor_does_a_look)
{
	struct world w = world_make(8, 0, JOIN);
	struct stage *s = stage_make(w, 1);
	put_text(w.queue, "a");
	let_die(get_and_die, s);
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), 0);
	world_end(w);
}

Test(queue_join, counts_what_died_in_a_copy)
{
	struct world w = world_make(8, 0, JOIN);
	struct stage *s = stage_make(w, 0);
	put_text(w.queue, "a");
	let_die(die_in_get, s);
	REQUIRE_EQ(shoal_queue_join(w.queue, SHOAL_SEC(5)), 0);
	REQUIRE_EQ(info_of(w).dropped, 1);
	world_end(w);
}

/* Its place is a hole, and nobody gets any more. */
Test(queue_join, does_not_wait_for_a_dead_putter)
{
	struct world w = world_make(8, 0, JOIN);
	struct stage *s = stage_make(w, 20);
	let_die(die_in_put, s);
	REQUIRE_EQ(shoal_queue_join(w.queue, SHOAL_SEC(5)), 0);
	world_end(w);
}

Test(queue_join, what_died_borrowed_counts_as_done)
{
	struct world w = world_make(8, 0, JOIN);
	struct stage *s = stage_make(w, 0);
	for (int i = 0; i < 3; i++)
		put_text(w.queue, "a");
	for (int i = 0; i < 3; i++)
		let_die(borrow_and_die, s);
	REQUIRE_EQ(shoal_queue_join(w.queue, SHOAL_SEC(5)), 0);
	world_end(w);
}

/*
 * Dies while it gives back the last of three loans: counted, and the place still its own. The other
 * two lie before it in its record and are counted from where it stands.
 */
static int
die_releasing(void *arg)
{
	struct stage *s = arg;
	shoal_loan loan[3];
	struct shoal_thread *t;
	struct cursor *c;
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(shoal_queue_borrow(s->queue, 0, &loan[i]), 0);
	REQUIRE_EQ(queue_enter(s->queue, &t, &c), 0);
	struct queue_row *row = queue_row(s->queue, c->tag);
	struct loan_entry *l = loan_entry(&loan[2], c->me);
	uint64_t base = load_relaxed(&row->got);
	store_relaxed(&l->base, base);
	store_release(&l->state, LOAN_RELEASING);
	store_release(&row->base, base);
	store_release(&row->got, base + s->bytes);
	raise(SIGKILL);
	return 0;
}

static void
expect_joined_after_release(unsigned flags, size_t counted)
{
	struct world w = world_make(8, 0, flags);
	struct stage *s = stage_make(w, counted);
	for (int i = 0; i < 3; i++)
		put_text(w.queue, "a");
	let_die(die_releasing, s);
	REQUIRE_EQ(shoal_arena_recover(w.arena), 1);
	for (int i = 0; flags == BOTH && i < 3; i++) {
		get_text(w.queue, "a");
		REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	}
	REQUIRE_EQ(shoal_queue_join(w.queue, SHOAL_SEC(2)), 0);
	REQUIRE_EQ(info_of(w).unfinished, 0);
	world_end(w);
}

Test(queue_join, a_death_while_a_loan_is_given_back)
{
	expect_joined_after_release(JOIN, 0);
	expect_joined_after_release(JOIN, 1);
}

Test(queue_join, a_death_while_a_loan_is_given_back_redelivers)
{
	expect_joined_after_release(BOTH, 0);
	expect_joined_after_release(BOTH, 1);
}

/* ---- with REDELIVER ---- */

Test(queue_join, what_was_not_reported_comes_again)
{
	struct world w = world_make(8, 0, BOTH);
	struct stage *s = stage_make(w, 2);
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	let_die(get_and_die, s);
	REQUIRE_EQ(shoal_queue_join(w.queue, SHOAL_MS(20)), -ETIMEDOUT);
	get_text(w.queue, "a");
	get_text(w.queue, "b");
	REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	REQUIRE_EQ(shoal_queue_join(w.queue, SHOAL_MS(20)), -ETIMEDOUT);
	REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), 0);
	world_end(w);
}

/* To one who waits for less time than a sleep takes. */
Test(queue_join, and_to_one_who_hardly_waits)
{
	struct world w = world_make(8, 0, BOTH);
	struct stage *s = stage_make(w, 1);
	char got[8];
	put_text(w.queue, "a");
	let_die(get_and_die, s);
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, 1000), 2);
	REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), 0);
	world_end(w);
}

/* Nobody gets any more: it is not delivered again, and would never be reported. */
Test(queue_join, what_too_many_died_with_is_done)
{
	struct world w = world_make(8, 0, BOTH);
	struct stage *s = stage_make(w, 1);
	put_text(w.queue, "a");
	for (int i = 0; i < 30; i++) {
		let_die(get_and_die, s);
		REQUIRE_EQ(shoal_queue_join(w.queue, 0), -EAGAIN);
	}
	let_die(get_and_die, s);
	REQUIRE_EQ(shoal_queue_join(w.queue, SHOAL_SEC(2)), 0);
	REQUIRE_EQ(info_of(w).dropped, 1);
	REQUIRE_EQ(info_of(w).unfinished, 0);
	put_text(w.queue, "b");
	get_text(w.queue, "b");
	REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), 0);
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	world_end(w);
}

Test(queue_join, a_batch_that_was_not_reported_comes_again)
{
	struct world w = world_make(8, 0, BOTH);
	struct stage *s = stage_make(w, 3);
	for (int i = 0; i < 3; i++)
		put_text(w.queue, "a");
	let_die(get_many_and_die, s);
	for (int i = 0; i < 3; i++) {
		get_text(w.queue, "a");
		REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	}
	REQUIRE_EQ(shoal_queue_join(w.queue, SHOAL_SEC(2)), 0);
	world_end(w);
}

Test(queue_join, a_thread_keeps_at_most_32)
{
	struct world w = world_make(64, 0, BOTH);
	char got[64 * 2];
	for (int i = 0; i < 34; i++)
		put_text(w.queue, "a");
	REQUIRE_EQ(shoal_queue_get_many(w.queue, got, 2, 64, 0), 32);
	REQUIRE_EQ(shoal_queue_get_many(w.queue, got, 2, 64, 0), -EBUSY);
	REQUIRE_EQ(shoal_queue_get_many(w.queue, got, 2, 0, 0), 0);
	REQUIRE_EQ(shoal_queue_get(w.queue, got, 2, 0), -EBUSY);
	REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	REQUIRE_EQ(shoal_queue_get(w.queue, got, 2, 0), 2);
	for (int i = 0; i < 32; i++)
		REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	REQUIRE_EQ(shoal_queue_task_done(w.queue), -EOVERFLOW);
	REQUIRE_EQ(info_of(w).unfinished, 1);
	get_text(w.queue, "a");
	REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), 0);
	world_end(w);
}

/* ---- loans ---- */

Test(queue_join, finish_is_release_and_task_done)
{
	struct world w = world_make(4, 0, JOIN);
	shoal_loan loan;
	put_text(w.queue, "a");
	REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan), 0);
	REQUIRE_EQ(shoal_loan_finish(&loan), 0);
	REQUIRE_EQ(shoal_loan_finish(&loan), -EINVAL);
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), 0);
	put_text(w.queue, "b");
	REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan), 0);
	REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	REQUIRE_EQ(shoal_loan_finish(&loan), -EOVERFLOW);
	shoal_loan_release(&loan);
	REQUIRE_EQ(shoal_queue_task_done(w.queue), -EOVERFLOW);
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), 0);
	world_end(w);
}

static shoal_thread *_Atomic joiner;

static void *
wait_in_join(void *arg)
{
	struct stage *s = arg;
	joiner = shoal_thread_self();
	return (void *)(intptr_t)shoal_queue_join(s->queue, SHOAL_SEC(10));
}

Test(queue_join, an_interrupt_ends_it)
{
	struct world w = world_make(4, 0, JOIN);
	struct stage *s = stage_make(w, 0);
	pthread_t thread;
	void *rc;
	put_text(w.queue, "a");
	REQUIRE_EQ(pthread_create(&thread, NULL, wait_in_join, s), 0);
	while (!joiner)
		sleep_ms(1);
	sleep_ms(20);
	shoal_thread_interrupt(joiner);
	REQUIRE_EQ(pthread_join(thread, &rc), 0);
	REQUIRE_EQ((intptr_t)rc, -ECANCELED);
	get_text(w.queue, "a");
	world_end(w);
}

static void *
take_two(void *arg)
{
	struct stage *s = arg;
	get_text(s->queue, "a");
	get_text(s->queue, "a");
	return NULL;
}

Test(queue_join, a_thread_that_ends_with_tasks_is_not_waited_for)
{
	struct world w = world_make(4, 0, JOIN);
	struct stage *s = stage_make(w, 0);
	pthread_t thread;
	put_text(w.queue, "a");
	put_text(w.queue, "a");
	REQUIRE_EQ(pthread_create(&thread, NULL, take_two, s), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	REQUIRE_EQ(shoal_queue_join(w.queue, SHOAL_SEC(2)), 0);
	world_end(w);
}

/* ---- a destroyer that has not said so yet ---- */

/* It is held behind its first step; what it does then is done by the next one who looks. */
static bool
begin_to_destroy(shoal_arena *a, const shoal_queue *q)
{
	word64 *word = &arena_object(a, q->object)->word;
	uint64_t was = load_acquire(word);
	uint32_t tag = member_tag(a, member_seat(a, thread_here));
	object_note_end(a, q->object);
	return object_state(was) == OBJECT_READY &&
	       cas64_seq_cst(word, was, object_word(was, OBJECT_DYING, tag));
}

static shoal_queue *
make_joinable(struct world w, unsigned flags)
{
	shoal_queue_options o = { .capacity = 4, .flags = JOIN | flags };
	shoal_queue *q;
	REQUIRE_EQ(shoal_queue_create(w.arena, "joinable", &o, &q), 0);
	put_text(q, "a");
	return q;
}

Test(queue_join, ends_when_a_destroyer_is_held)
{
	struct world w = world_make(4, 0, JOIN);
	struct stage *s = stage_make(w, 0);
	pthread_t thread;
	void *rc;
	s->queue = make_joinable(w, 0);
	joiner = NULL;
	REQUIRE_EQ(pthread_create(&thread, NULL, wait_in_join, s), 0);
	while (!joiner)
		sleep_ms(1);
	sleep_ms(20);
	REQUIRE(begin_to_destroy(w.arena, s->queue));
	REQUIRE_EQ(pthread_join(thread, &rc), 0);
	REQUIRE_EQ((intptr_t)rc, -EPIPE);
	world_end(w);
}

#if HAS_STEPS

static struct world here;
static shoal_queue *volatile owned;
static int joined;

static void
join_op(void *unused)
{
	(void)unused;
	joined = shoal_queue_join(owned, 0);
}

static void
another_begins(void)
{
	REQUIRE(begin_to_destroy(here.arena, owned));
}

static int
make_and_leave(void *arg)
{
	struct stage *s = arg;
	s->queue = make_joinable(here, SHOAL_WITH_OWNER);
	raise(SIGKILL);
	return 0;
}

/* What the library finds out once, it does with signals blocked. */
static void
warm(void)
{
	put_text(here.queue, "a");
	REQUIRE_EQ(shoal_queue_join(here.queue, SHOAL_MS(1)), -ETIMEDOUT);
	get_text(here.queue, "a");
	REQUIRE_EQ(shoal_queue_task_done(here.queue), 0);
}

/* Its owner is gone, and a join is about to destroy it, but another one comes first. */
Test(queue_join, a_look_does_not_wait_for_who_destroys_it)
{
	here = world_make(4, 0, JOIN);
	warm();
	struct stage *s = stage_make(here, 0);
	expect_killed(child(make_and_leave, s), SIGKILL, 5000);
	owned = s->queue;
	REQUIRE(steps_into_call(join_op, NULL, (void (*)(void))queue_kind.bell, another_begins));
	REQUIRE_EQ(joined, -EPIPE);
	world_end(here);
}

#endif

/* What it reports is the released one; the kept one comes again. */
static int
report_what_was_borrowed_and_die(void *arg)
{
	struct stage *s = arg;
	shoal_loan loan;
	char got[64];
	REQUIRE_EQ(shoal_queue_borrow(s->queue, 0, &loan), 0);
	REQUIRE(shoal_queue_get(s->queue, got, sizeof got, 0) > 0);
	shoal_loan_release(&loan);
	REQUIRE_EQ(shoal_queue_task_done(s->queue), 0);
	raise(SIGKILL);
	return 0;
}

Test(queue_join, a_report_of_what_was_borrowed_leaves_what_is_kept)
{
	struct world w = world_make(8, 0, BOTH);
	struct stage *s = stage_make(w, 0);
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	let_die(report_what_was_borrowed_and_die, s);
	get_text(w.queue, "b");
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), -EAGAIN);
	REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), 0);
	REQUIRE_EQ(shoal_queue_task_done(w.queue), -EOVERFLOW);
	world_end(w);
}
