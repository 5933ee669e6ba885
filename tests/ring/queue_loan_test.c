/* Loans: messages written and read in place. */
#include "deaths.h"
#include "ring/queue.h"
#include <poll.h>
#include <pthread.h>

#define LONG 5000

Test(queue_loan, what_is_reserved_is_sent_by_commit)
{
	static const size_t sizes[] = { 0, 1, 48, 49, 1000, 40000, 300000 };
	struct world w = world_make(16, 0, 0);
	static char got[300000];
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		shoal_loan loan;
		REQUIRE_EQ(shoal_queue_reserve(w.queue, sizes[i], 0, &loan), 0);
		REQUIRE_EQ(loan.bytes, sizes[i]);
		REQUIRE_EQ((uintptr_t)loan.data % 64, 0);
		memset(loan.data, (int)i + 1, sizes[i]);
		REQUIRE(shoal_queue_empty(w.queue));
		REQUIRE_EQ(shoal_loan_commit(&loan, 0), 0);
		REQUIRE_EQ(loan.kind, 0);
		REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, 0), (ssize_t)sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			REQUIRE(got[k] == (char)(i + 1));
	}
	world_end(w);
}

Test(queue_loan, its_length_may_be_lowered_and_not_raised)
{
	struct world w = world_make(16, 0, 0);
	shoal_loan loan;
	char got[LONG];
	REQUIRE_EQ(shoal_queue_reserve(w.queue, LONG, 0, &loan), 0);
	loan.bytes = 1 << 20;
	REQUIRE_EQ(shoal_loan_commit(&loan, 0), -EMSGSIZE);
	strcpy(loan.data, "lowered");
	loan.bytes = 8;
	REQUIRE_EQ(shoal_loan_commit(&loan, 0), 0);
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, 0), 8);
	REQUIRE_STR_EQ(got, "lowered");
	world_end(w);
}

Test(queue_loan, one_that_cannot_be_sent_stands)
{
	struct world w = world_make(2, 0, 0);
	shoal_loan loan[2];
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(shoal_queue_reserve(w.queue, i ? LONG : 8, 0, &loan[i]), 0);
		memset(loan[i].data, 'x', loan[i].bytes);
	}
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(shoal_loan_commit(&loan[i], 0), -EAGAIN);
		REQUIRE_EQ(shoal_loan_commit(&loan[i], SHOAL_MS(10)), -ETIMEDOUT);
	}
	get_text(w.queue, "a");
	REQUIRE_EQ(shoal_loan_commit(&loan[1], 0), 0);
	shoal_queue_close(w.queue);
	REQUIRE_EQ(shoal_loan_commit(&loan[0], 0), -EPIPE);
	shoal_loan_release(&loan[0]);
	get_text(w.queue, "b");
	char got[LONG];
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, 0), LONG);
	REQUIRE_EQ(got[LONG - 1], 'x');
	world_end(w);
}

Test(queue_loan, borrowed_ones_end_in_any_order)
{
	struct world w = world_make(4, 0, 0);
	shoal_loan loan[4];
	for (int i = 0; i < 4; i++)
		put_text(w.queue, (char[]){ (char)('a' + i), 0 });
	for (int i = 0; i < 4; i++) {
		REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan[i]), 0);
		REQUIRE_EQ(loan[i].bytes, 2);
		REQUIRE_EQ(loan[i].deliveries, 1);
		REQUIRE_EQ(*(char *)loan[i].data, 'a' + i);
	}
	REQUIRE_EQ(shoal_queue_put(w.queue, "x", 2, 0), -EAGAIN);
	static const int order[] = { 2, 0, 3, 1 };
	for (int i = 0; i < 4; i++)
		shoal_loan_release(&loan[order[i]]);
	for (int i = 0; i < 4; i++)
		put_text(w.queue, "y");
	REQUIRE(shoal_queue_full(w.queue));
	for (int i = 0; i < 4; i++)
		get_text(w.queue, "y");
	world_end(w);
}

Test(queue_loan, a_long_one_frees_its_place_at_once)
{
	struct world w = world_make(2, 0, 0);
	char text[LONG];
	shoal_loan loan[2];
	memset(text, 'x', sizeof text);
	for (int i = 0; i < 2; i++)
		REQUIRE_EQ(shoal_queue_put(w.queue, text, sizeof text, 0), 0);
	for (int i = 0; i < 2; i++)
		REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan[i]), 0);
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(memcmp(loan[i].data, text, sizeof text), 0);
		shoal_loan_release(&loan[i]);
	}
	get_text(w.queue, "a");
	get_text(w.queue, "b");
	world_end(w);
}

Test(queue_loan, a_thread_has_at_most_32)
{
	struct world w = world_make(64, 0, 0);
	shoal_loan loan[33];
	put_text(w.queue, "a");
	for (int i = 0; i < 32; i++)
		REQUIRE_EQ(shoal_queue_reserve(w.queue, 8, 0, &loan[i]), 0);
	REQUIRE_EQ(shoal_queue_reserve(w.queue, 8, 0, &loan[32]), -EBUSY);
	REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan[32]), -EBUSY);
	shoal_loan_release(&loan[7]);
	REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan[7]), 0);
	for (int i = 0; i < 32; i++)
		shoal_loan_release(&loan[i]);
	REQUIRE(shoal_queue_empty(w.queue));
	world_end(w);
}

Test(queue_loan, an_ended_one_is_told_apart)
{
	struct world w = world_make(4, 0, 0);
	shoal_loan loan, copy;
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan), 0);
	copy = loan;
	REQUIRE_EQ(shoal_loan_commit(&loan, 0), -EINVAL);
	shoal_loan_release(&loan);
	shoal_loan_release(&loan);
	REQUIRE_EQ(shoal_loan_commit(&loan, 0), -EINVAL);
	/* The same entry, another message: a copy of the old one does not end it. */
	REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan), 0);
	shoal_loan_release(&copy);
	REQUIRE_EQ(shoal_loan_return(&copy), -EINVAL);
	REQUIRE_STR_EQ(loan.data, "b");
	shoal_loan_release(&loan);
	world_end(w);
}

Test(queue_loan, a_copy_of_an_ended_one_ends_no_next_to_be_sent)
{
	struct world w = world_make(4, 0, 0);
	char text[8];
	shoal_loan loan, copy, next;
	REQUIRE_EQ(shoal_queue_reserve(w.queue, 8, 0, &loan), 0);
	copy = loan;
	shoal_loan_release(&loan);
	REQUIRE_EQ(shoal_queue_reserve(w.queue, 8, 0, &next), 0);
	REQUIRE_EQ(next.data, copy.data);
	shoal_loan_release(&copy);
	REQUIRE_EQ(shoal_loan_adopt(&copy), -EINVAL);
	REQUIRE_EQ(shoal_loan_commit(&copy, 0), -EINVAL);
	strcpy(next.data, "next");
	REQUIRE_EQ(shoal_loan_commit(&next, 0), 0);
	REQUIRE_EQ(shoal_queue_get(w.queue, text, sizeof text, 0), 8);
	REQUIRE_STR_EQ(text, "next");
	world_end(w);
}

Test(queue_loan, one_that_is_returned_comes_first)
{
	struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	shoal_loan loan;
	char text[LONG];
	memset(text, 'a', sizeof text);
	REQUIRE_EQ(shoal_queue_put(w.queue, text, sizeof text, 0), 0);
	put_text(w.queue, "b");
	REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan), 0);
	REQUIRE_EQ(shoal_loan_finish(&loan), -EINVAL);
	REQUIRE_EQ(shoal_loan_return(&loan), 0);
	REQUIRE_EQ(shoal_loan_return(&loan), -EINVAL);
	REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan), 0);
	REQUIRE_EQ(loan.bytes, LONG);
	REQUIRE_EQ(loan.deliveries, 2);
	REQUIRE_EQ(memcmp(loan.data, text, sizeof text), 0);
	shoal_loan_release(&loan);
	get_text(w.queue, "b");
	world_end(w);
}

/* A message that its living takers do not want is not one that kills them. */
Test(queue_loan, one_may_be_returned_any_number_of_times)
{
	static const unsigned flags[] = { 0, SHOAL_QUEUE_JOINABLE };
	for (int i = 0; i < 2; i++) {
		struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER | flags[i]);
		shoal_queue_info info;
		shoal_loan loan;
		put_text(w.queue, "a");
		for (uint32_t n = 1; n <= 100; n++) {
			REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan), 0);
			REQUIRE(n > 30 || loan.deliveries == n);
			REQUIRE_EQ(shoal_loan_return(&loan), 0);
		}
		REQUIRE_EQ(shoal_queue_stat(w.queue, &info), 0);
		REQUIRE_EQ(info.redelivered, 100);
		REQUIRE_EQ(info.dropped, 0);
		get_text(w.queue, "a");
		if (flags[i])
			REQUIRE_EQ(shoal_queue_task_done(w.queue), 0);
		world_end(w);
	}
}

/* The last of its takers that died is not followed by another delivery. */
Test(queue_loan, one_that_kills_its_takers_is_dropped_in_the_end)
{
	struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	struct stage *s = stage_make(w, 0);
	shoal_queue_info info;
	put_text(w.queue, "a");
	for (int i = 0; i < 31; i++)
		let_die(borrow_and_die, s);
	REQUIRE_EQ(shoal_queue_get(w.queue, NULL, 0, 0), -EAGAIN);
	REQUIRE_EQ(shoal_queue_stat(w.queue, &info), 0);
	REQUIRE_EQ(info.redelivered, 30);
	REQUIRE_EQ(info.dropped, 1);
	world_end(w);
}

/* ---- who returns one is stopped ---- */

static struct stage *returner;

static void
protect(const void *at, int how)
{
	void *page = (void *)((uintptr_t)at & ~(uintptr_t)4095);
	REQUIRE_EQ(mprotect(page, 4096, how), 0);
}

/* It stands still before its place is BACK, and again before it has told that. */
static void
stand_still(int signo)
{
	struct stage *s = returner;
	(void)signo;
	if (++s->reached == 2)
		for (;;)
			pause();
	while (!s->result)
		sleep_ms(1);
	protect((char *)s->queue + s->queue->slots_at, PROT_READ | PROT_WRITE);
	protect(s->queue, PROT_READ);
}

static int
return_slowly(void *arg)
{
	struct stage *s = returner = arg;
	shoal_loan loan;
	REQUIRE_EQ(shoal_queue_borrow(s->queue, 0, &loan), 0);
	signal(SIGSEGV, stand_still);
	protect((char *)s->queue + s->queue->slots_at, PROT_READ);
	return shoal_loan_return(&loan);
}

/*
 * A getter that looks while the place is not BACK yet does not take the message for one that stays
 * away.
 */
Test(queue_loan, one_stopped_returning_hides_it_from_nobody)
{
	for (int way = 0; way < 3; way++) {
		struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
		struct stage *s = stage_make(w, 0);
		struct pollfd p = { .fd = way == 2 ? shoal_queue_fd(w.queue) : -1, .events = POLLIN };
		put_text(w.queue, "a");
		pid_t pid = child(return_slowly, s);
		wait_until_reached(s);
		if (way == 1)
			REQUIRE(shoal_queue_empty(w.queue));
		else
			REQUIRE_EQ(shoal_queue_get(w.queue, NULL, 0, 0), -EAGAIN);
		if (way == 2)
			while (poll(&p, 1, 30) == 1)
				REQUIRE_EQ(shoal_queue_get(w.queue, NULL, 0, 0), -EAGAIN);
		s->result = 1;
		for (int i = 0; i < 5000 && s->reached < 2; i++)
			sleep_ms(1);
		REQUIRE_EQ(s->reached, 2);
		if (way == 2)
			REQUIRE_EQ(poll(&p, 1, 5000), 1);
		REQUIRE_EQ(shoal_queue_size(w.queue), 1);
		get_text(w.queue, "a");
		kill(pid, SIGKILL);
		expect_killed(pid, SIGKILL, 5000);
		world_end(w);
	}
}

/* One buffer is too small for what came back: it stays, for others. */
Test(queue_loan, a_small_buffer_leaves_what_came_back)
{
	struct world w = world_make(4, 0, SHOAL_QUEUE_REDELIVER);
	shoal_loan loan;
	char got[2];
	put_text(w.queue, "long enough");
	REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan), 0);
	REQUIRE_EQ(shoal_loan_return(&loan), 0);
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, 0), -EMSGSIZE);
	get_text(w.queue, "long enough");
	world_end(w);
}

/* ---- whose it is ---- */

static void *
other_thread(void *arg)
{
	shoal_loan *loan = arg;
	REQUIRE_EQ(shoal_loan_commit(&loan[0], 0), -EPERM);
	shoal_loan_release(&loan[1]);
	REQUIRE(loan[1].kind);
	REQUIRE_EQ(shoal_loan_adopt(&loan[0]), 0);
	REQUIRE_EQ(shoal_loan_adopt(&loan[1]), 0);
	REQUIRE_EQ(shoal_loan_adopt(&loan[2]), 0);
	REQUIRE_EQ(shoal_loan_commit(&loan[0], 0), 0);
	REQUIRE_STR_EQ(loan[1].data, "a");
	shoal_loan_release(&loan[1]);
	shoal_loan_release(&loan[2]);
	return NULL;
}

static void
let_other_thread_adopt(unsigned flags)
{
	struct world w = world_make(4, 0, flags);
	shoal_loan loan[3];
	char text[LONG] = "a";
	pthread_t thread;
	put_text(w.queue, "a");
	REQUIRE_EQ(shoal_queue_put(w.queue, text, sizeof text, 0), 0);
	REQUIRE_EQ(shoal_queue_reserve(w.queue, LONG, 0, &loan[0]), 0);
	REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan[1]), 0);
	REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan[2]), 0);
	strcpy(loan[0].data, "moved");
	REQUIRE_EQ(pthread_create(&thread, NULL, other_thread, loan), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	REQUIRE_EQ(shoal_queue_get(w.queue, text, sizeof text, 0), LONG);
	REQUIRE_STR_EQ(text, "moved");
	REQUIRE(shoal_queue_empty(w.queue));
	world_end(w);
}

Test(queue_loan, another_thread_may_adopt_it)
{
	let_other_thread_adopt(0);
	let_other_thread_adopt(SHOAL_QUEUE_REDELIVER);
}

static int
forked(void *arg)
{
	shoal_loan *loan = arg;
	REQUIRE_EQ(shoal_loan_commit(&loan[0], 0), -EPERM);
	shoal_loan_release(&loan[1]);
	REQUIRE(loan[1].kind);
	REQUIRE_EQ(shoal_loan_adopt(&loan[0]), -EPERM);
	REQUIRE_EQ(shoal_loan_adopt(&loan[1]), -EPERM);
	return 0;
}

Test(queue_loan, a_forked_child_has_none)
{
	struct world w = world_make(4, 0, 0);
	shoal_loan loan[2];
	put_text(w.queue, "a");
	REQUIRE_EQ(shoal_queue_reserve(w.queue, LONG, 0, &loan[0]), 0);
	REQUIRE_EQ(shoal_queue_borrow(w.queue, 0, &loan[1]), 0);
	expect_child(child(forked, loan), 0, 5000);
	REQUIRE_STR_EQ(loan[1].data, "a");
	shoal_loan_release(&loan[1]);
	REQUIRE_EQ(shoal_loan_commit(&loan[0], 0), 0);
	REQUIRE_EQ(shoal_queue_peek_bytes(w.queue), LONG);
	world_end(w);
}

static void *
end_with_loans(void *arg)
{
	struct stage *s = arg;
	shoal_loan loan[3];
	REQUIRE_EQ(shoal_queue_reserve(s->queue, LONG, 0, &loan[0]), 0);
	REQUIRE_EQ(shoal_queue_borrow(s->queue, 0, &loan[1]), 0);
	REQUIRE_EQ(shoal_queue_borrow(s->queue, 0, &loan[2]), 0);
	return NULL;
}

static void
let_thread_end_with_loans(unsigned flags)
{
	struct world w = world_make(2, 0, flags);
	struct stage *s = stage_make(w, 0);
	char text[LONG] = "a";
	pthread_t thread;
	put_text(w.queue, "a");
	REQUIRE_EQ(shoal_queue_put(w.queue, text, sizeof text, 0), 0);
	REQUIRE_EQ(pthread_create(&thread, NULL, end_with_loans, s), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	if (flags) {
		get_text(w.queue, "a");
		REQUIRE_EQ(shoal_queue_get(w.queue, text, sizeof text, 0), LONG);
	}
	REQUIRE(shoal_queue_empty(w.queue));
	put_text(w.queue, "b");
	put_text(w.queue, "c");
	get_text(w.queue, "b");
	get_text(w.queue, "c");
	world_end(w);
}

Test(queue_loan, those_of_a_thread_that_ends_end_with_it)
{
	let_thread_end_with_loans(0);
	let_thread_end_with_loans(SHOAL_QUEUE_REDELIVER);
}

/* ---- what does not fit ---- */

/* The block behind it is longer: what was reserved counts. */
Test(queue_loan, no_more_is_sent_than_was_reserved)
{
	struct world w = world_make(4, 0, 0);
	shoal_loan loan;
	REQUIRE_EQ(shoal_queue_reserve(w.queue, 10, 0, &loan), 0);
	loan.bytes = 11;
	REQUIRE_EQ(shoal_loan_commit(&loan, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_needed(), 11);
	loan.bytes = 10;
	REQUIRE_EQ(shoal_loan_commit(&loan, 0), 0);
	REQUIRE_EQ(shoal_queue_peek_bytes(w.queue), 10);
	world_end(w);
}

Test(queue_loan, a_copy_of_an_ended_one_is_not_adopted)
{
	struct world w = world_make(4, 0, 0);
	shoal_loan loan, copy;
	REQUIRE_EQ(shoal_queue_reserve(w.queue, 10, 0, &loan), 0);
	REQUIRE_EQ(shoal_loan_adopt(&loan), 0);
	copy = loan;
	shoal_loan_release(&loan);
	REQUIRE_EQ(shoal_loan_adopt(&copy), -EINVAL);
	world_end(w);
}

/* ---- of a queue that is destroyed ---- */

/* Its place is left alone, whoever has the memory; what is in a block is this thread's. */
Test(queue_loan, ends_without_its_queue)
{
	static char big[LONG], left[64 << 10];
	struct world w = world_make(4, 0, 0);
	shoal_queue_options o = { .capacity = 4 };
	shoal_loan loan[3];
	shoal_queue *q;
	REQUIRE_EQ(shoal_queue_create(w.arena, NULL, &o, &q), 0);
	REQUIRE_EQ(shoal_queue_put(q, big, sizeof big, 0), 0);
	put_text(q, "in its place");
	REQUIRE_EQ(shoal_queue_borrow(q, 0, &loan[0]), 0);
	REQUIRE_EQ(shoal_queue_borrow(q, 0, &loan[1]), 0);
	REQUIRE_EQ(shoal_queue_reserve(q, LONG, 0, &loan[2]), 0);
	size_t bytes = object_body_bytes(w.arena, q);
	REQUIRE_EQ(shoal_queue_destroy(w.arena, q), 0);
	REQUIRE(bytes <= sizeof left);
	memcpy(left, q, bytes);
	REQUIRE_EQ(shoal_loan_commit(&loan[2], 0), -EPIPE);
	for (int i = 0; i < 3; i++) {
		shoal_loan_release(&loan[i]);
		REQUIRE_EQ(loan[i].kind, 0);
	}
	REQUIRE(memcmp(left, q, bytes) == 0);
	world_end(w);
}
