/*
 * Loans of queues and pipes that were destroyed with the loan out: whatever lies there by then, or
 * has the index of their object, is not what they are of.
 */
#include "deaths.h"
#include "ring/pipe.h"
#include "ring/queue.h"
#include <pthread.h>

#define BOTH (SHOAL_QUEUE_JOINABLE | SHOAL_QUEUE_REDELIVER)
#define LONG 5000

/* The next one of this shape at the address of the one that was destroyed, and with its index. */
static shoal_queue *
next_there(struct world w, uint32_t capacity, unsigned flags)
{
	shoal_queue_options o = { .capacity = capacity, .flags = flags };
	shoal_queue *q;
	REQUIRE_EQ(shoal_queue_destroy(w.arena, w.queue), 0);
	for (int i = 0; i < 100; i++) {
		REQUIRE_EQ(shoal_queue_create(w.arena, NULL, &o, &q), 0);
		if (q == w.queue)
			return q;
		REQUIRE_EQ(shoal_queue_destroy(w.arena, q), 0);
	}
	test_fail(__FILE__, __LINE__, "no other queue came to lie there");
}

static void
borrow(shoal_queue *q, const char *text, shoal_loan *loan)
{
	put_text(q, text);
	REQUIRE_EQ(shoal_queue_borrow(q, 0, loan), 0);
	REQUIRE_STR_EQ(loan->data, text);
}

/* Of two places the one that is lent out is not the putters'. */
static void
expect_lent(shoal_queue *q, const shoal_loan *loan, const char *text)
{
	put_text(q, "next");
	REQUIRE_EQ(shoal_queue_put(q, "x", 2, 0), -EAGAIN);
	REQUIRE_STR_EQ(loan->data, text);
	get_text(q, "next");
}

/* ---- queues ---- */

Test(loan_reuse, one_of_a_destroyed_queue_ends_none_of_the_next)
{
	struct world w = world_make(2, 0, 0);
	shoal_loan old, loan;
	borrow(w.queue, "one", &old);
	shoal_queue *q = next_there(w, 2, 0);
	borrow(q, "two", &loan);
	REQUIRE_EQ(shoal_loan_adopt(&old), -EPIPE);
	shoal_loan_release(&old);
	REQUIRE_EQ(old.kind, 0);
	expect_lent(q, &loan, "two");
	shoal_loan_release(&loan);
	REQUIRE_EQ(loan.kind, 0);
	world_end(w);
}

Test(loan_reuse, a_copy_of_an_ended_one_ends_none_of_the_next)
{
	struct world w = world_make(2, 0, 0);
	shoal_loan old, copy, loan;
	borrow(w.queue, "one", &old);
	copy = old;
	shoal_loan_release(&old);
	shoal_queue *q = next_there(w, 2, 0);
	borrow(q, "two", &loan);
	shoal_loan_release(&copy);
	expect_lent(q, &loan, "two");
	shoal_loan_release(&loan);
	world_end(w);
}

Test(loan_reuse, what_is_to_be_sent_by_one_goes_not_by_the_next)
{
	struct world w = world_make(2, 0, 0);
	shoal_loan loan[2];
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(shoal_queue_reserve(w.queue, i ? LONG : 8, 0, &loan[i]), 0);
		memset(loan[i].data, 'x', loan[i].bytes);
	}
	shoal_queue *q = next_there(w, 2, 0);
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(shoal_loan_commit(&loan[i], 0), -EPIPE);
		shoal_loan_release(&loan[i]);
		REQUIRE_EQ(loan[i].kind, 0);
	}
	REQUIRE(shoal_queue_empty(q));
	world_end(w);
}

Test(loan_reuse, one_of_a_destroyed_queue_counts_in_no_other)
{
	struct world w = world_make(8, 0, SHOAL_QUEUE_JOINABLE);
	shoal_loan old;
	borrow(w.queue, "one", &old);
	shoal_queue *q = next_there(w, 8, SHOAL_QUEUE_JOINABLE);
	put_text(q, "two");
	REQUIRE_EQ(shoal_queue_task_done(q), -EOVERFLOW);
	REQUIRE_EQ(shoal_queue_join(q, 0), -EAGAIN);
	REQUIRE_EQ(shoal_loan_finish(&old), -EPIPE);
	shoal_loan_release(&old);
	get_text(q, "two");
	REQUIRE_EQ(shoal_queue_task_done(q), 0);
	REQUIRE_EQ(shoal_queue_join(q, 0), 0);
	world_end(w);
}

Test(loan_reuse, what_a_get_kept_of_a_destroyed_queue_is_no_task_of_another)
{
	struct world w = world_make(8, 0, BOTH);
	put_text(w.queue, "one");
	get_text(w.queue, "one");
	shoal_queue *q = next_there(w, 8, BOTH);
	for (int i = 0; i < 2; i++) {
		put_text(q, "two");
		get_text(q, "two");
	}
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(shoal_queue_join(q, 0), -EAGAIN);
		REQUIRE_EQ(shoal_queue_task_done(q), 0);
	}
	REQUIRE_EQ(shoal_queue_task_done(q), -EOVERFLOW);
	REQUIRE_EQ(shoal_queue_join(q, 0), 0);
	world_end(w);
}

/* Inside the place, or in a block, of which nothing is left in the end. */
Test(loan_reuse, what_gets_kept_of_destroyed_queues_is_in_nobodys_way)
{
	static const char text[LONG] = "long";
	struct world w = world_make(8, 0, 0);
	shoal_queue_options o = { .capacity = 8, .flags = BOTH };
	char got[LONG];
	shoal_queue *q, *kept;
	shoal_loan loan, out[32];
	REQUIRE_EQ(shoal_queue_create(w.arena, NULL, &o, &kept), 0);
	put_text(kept, "kept");
	get_text(kept, "kept");
	for (size_t i = 0; i < 100; i++) {
		size_t bytes = i % 2 ? sizeof text : 5;
		REQUIRE_EQ(shoal_queue_create(w.arena, NULL, &o, &q), 0);
		REQUIRE_EQ(shoal_queue_put(q, text, bytes, 0), 0);
		REQUIRE_EQ(shoal_queue_get(q, got, sizeof got, 0), (ssize_t)bytes);
		REQUIRE_EQ(shoal_queue_destroy(w.arena, q), 0);
	}
	REQUIRE_EQ(shoal_queue_join(kept, 0), -EAGAIN);
	REQUIRE_EQ(shoal_queue_task_done(kept), 0);
	REQUIRE_EQ(shoal_queue_join(kept, 0), 0);
	REQUIRE_EQ(shoal_queue_destroy(w.arena, kept), 0);
	for (int i = 0; i < 32; i++)
		REQUIRE_EQ(shoal_queue_reserve(w.queue, 8, 0, &out[i]), 0);
	REQUIRE_EQ(shoal_queue_reserve(w.queue, 8, 0, &loan), -EBUSY);
	for (int i = 0; i < 32; i++)
		shoal_loan_release(&out[i]);
	world_end(w);
}

/* ---- pipes ---- */

static shoal_pipe_end *
next_pipe_there(shoal_arena *a, shoal_pipe_end *left)
{
	shoal_pipe_end *next;
	REQUIRE_EQ(shoal_pipe_destroy(a, left), 0);
	for (int i = 0; i < 100; i++) {
		REQUIRE_EQ(shoal_pipe_create(a, NULL, NULL, &next, NULL), 0);
		if (next == left)
			return next + 1;
		REQUIRE_EQ(shoal_pipe_destroy(a, next), 0);
	}
	test_fail(__FILE__, __LINE__, "no other pipe came to lie there");
}

Test(loan_reuse, what_is_to_be_sent_by_a_pipe_goes_not_by_the_next)
{
	shoal_arena *a;
	shoal_arena_info info;
	shoal_pipe_info of_pipe;
	shoal_pipe_end *left, *right;
	shoal_loan loan;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_pipe_create(a, NULL, NULL, &left, &right), 0);
	REQUIRE_EQ(shoal_pipe_reserve(right, 8, 0, &loan), 0);
	REQUIRE(next_pipe_there(a, left) == right);
	REQUIRE_EQ(shoal_loan_commit(&loan, 0), -EPIPE);
	REQUIRE_EQ(shoal_pipe_stat(right, &of_pipe), 0);
	REQUIRE_EQ(of_pipe.sent, 0);
	REQUIRE_EQ(of_pipe.right_owner, 0);
	shoal_loan_release(&loan);
	REQUIRE_EQ(shoal_pipe_destroy(a, left), 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	REQUIRE_EQ(info.blocks, 0);
	shoal_arena_close(a);
}

/* ---- blocks of those that had an index which is another kind's by now ---- */

struct held {
	struct world w;
	shoal_pipe_end *left;
	bool of_pipe;
	word32 reached, go;
};

static int
reserve_and_wait(void *arg)
{
	struct held *h = arg;
	shoal_loan loan;
	int rc = h->of_pipe ? shoal_pipe_reserve(h->left, 4 << 20, 0, &loan)
	                    : shoal_queue_reserve(h->w.queue, 4 << 20, 0, &loan);
	REQUIRE_EQ(rc, 0);
	store_release(&h->reached, 1);
	for (int i = 0; i < 5000 && !load_acquire(&h->go); i++)
		sleep_ms(1);
	REQUIRE(load_acquire(&h->go));
	return 0;
}

static void *
reserve_in_thread(void *arg)
{
	(void)reserve_and_wait(arg);
	return NULL;
}

static void *
make(shoal_arena *a, uint32_t kind)
{
	shoal_queue *q;
	shoal_pipe_end *left;
	void *m;
	if (kind == SHOAL_KIND_QUEUE) {
		REQUIRE_EQ(shoal_queue_create(a, NULL, NULL, &q), 0);
		return q;
	}
	if (kind == SHOAL_KIND_PIPE) {
		REQUIRE_EQ(shoal_pipe_create(a, NULL, NULL, &left, NULL), 0);
		return left;
	}
	REQUIRE_EQ(shoal_memory_create(a, "m", 64, NULL, NULL, &m), 0);
	return m;
}

static void
destroy(shoal_arena *a, uint32_t kind, void *it)
{
	int rc = kind == SHOAL_KIND_QUEUE  ? shoal_queue_destroy(a, it)
	         : kind == SHOAL_KIND_PIPE ? shoal_pipe_destroy(a, it)
	                                   : shoal_memory_destroy(a, it);
	REQUIRE_EQ(rc, 0);
}

static struct held *
held_make(bool of_pipe)
{
	struct held *h = shared(sizeof *h);
	h->of_pipe = of_pipe;
	h->w = world_make(4, 0, 0);
	if (of_pipe) {
		REQUIRE_EQ(shoal_queue_destroy(h->w.arena, h->w.queue), 0);
		h->left = make(h->w.arena, SHOAL_KIND_PIPE);
	}
	return h;
}

/* From here on an object of that kind has the index. */
static void *
pass_index_on(struct held *h, uint32_t kind)
{
	shoal_arena *a = h->w.arena;
	const struct pipe *p = (const struct pipe *)(const void *)h->left;
	uint32_t object = h->of_pipe ? p->object : h->w.queue->object;
	for (int i = 0; i < 5000 && !load_acquire(&h->reached); i++)
		sleep_ms(1);
	REQUIRE(load_acquire(&h->reached));
	if (h->of_pipe)
		destroy(a, SHOAL_KIND_PIPE, h->left);
	else
		destroy(a, SHOAL_KIND_QUEUE, h->w.queue);
	void *next = make(a, kind);
	REQUIRE_EQ(load_relaxed(&arena_object(a, object)->kind), kind);
	return next;
}

static void
expect_given_back(struct held *h, uint32_t kind, void *next)
{
	shoal_arena *a = h->w.arena;
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	destroy(a, kind, next);
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	REQUIRE_EQ(info.blocks, 0);
	shoal_arena_close(a);
}

static void
die_with_anothers_index(bool of_pipe, uint32_t kind)
{
	struct held *h = held_make(of_pipe);
	pid_t pid = child(reserve_and_wait, h);
	void *next = pass_index_on(h, kind);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
	REQUIRE_EQ(shoal_arena_recover(h->w.arena), 1);
	expect_given_back(h, kind, next);
}

Test(loan_reuse, a_dead_threads_block_comes_back_whatever_has_the_index)
{
	die_with_anothers_index(false, SHOAL_KIND_MEMORY);
	die_with_anothers_index(false, SHOAL_KIND_PIPE);
	die_with_anothers_index(true, SHOAL_KIND_MEMORY);
	die_with_anothers_index(true, SHOAL_KIND_QUEUE);
}

Test(loan_reuse, so_does_that_of_a_thread_that_ends)
{
	static const uint32_t kinds[] = { SHOAL_KIND_MEMORY, SHOAL_KIND_PIPE };
	for (int i = 0; i < 2; i++) {
		struct held *h = held_make(false);
		pthread_t thread;
		REQUIRE_EQ(pthread_create(&thread, NULL, reserve_in_thread, h), 0);
		void *next = pass_index_on(h, kinds[i]);
		store_release(&h->go, 1);
		REQUIRE_EQ(pthread_join(thread, NULL), 0);
		expect_given_back(h, kinds[i], next);
	}
}
