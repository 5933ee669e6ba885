/* Queues: bytes and values, many, loans, joining, redelivery, descriptors, the end. */
#include "outside.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int
put_three(void *q)
{
	for (int i = 1; i <= 3; i++)
		CHECK(shoal_queue_put(q, &i, sizeof i, SHOAL_FOREVER) == 0);
	return 0;
}

static void
messages(shoal_arena *arena)
{
	shoal_queue *q, *same;
	shoal_queue_info info;
	int n = 0, many[4] = { 4, 5, 6, 7 };
	char *copy;
	CHECK(shoal_queue_create(arena, "jobs", &(shoal_queue_options){ .capacity = 8 }, &q) == 0);
	CHECK(shoal_queue_open(arena, "jobs", SHOAL_NOWAIT, &same) == 0 && same == q);
	CHECK(shoal_queue_at(arena, shoal_ref_of(arena, q), &same) == 0 && same == q);
	CHECK(shoal_queue_get(q, &n, sizeof n, SHOAL_NOWAIT) == -EAGAIN && shoal_queue_empty(q));
	in_child(put_three, q);
	CHECK(shoal_queue_size(q) == 3 && shoal_queue_peek_bytes(q) == sizeof n);
	CHECK(!shoal_queue_empty(q) && !shoal_queue_full(q));
	CHECK(shoal_queue_get(q, &n, 1, SHOAL_NOWAIT) == -EMSGSIZE && shoal_needed() == sizeof n);
	for (int i = 1; i <= 3; i++)
		CHECK(shoal_queue_get(q, &n, sizeof n, SHOAL_NOWAIT) == sizeof n && n == i);
	CHECK(shoal_queue_put_many(q, many, sizeof n, 4, SHOAL_NOWAIT) == 4);
	CHECK(shoal_queue_put_many(q, many, sizeof n, 4, SHOAL_NOWAIT) == 4 && shoal_queue_full(q));
	CHECK(shoal_queue_put(q, &n, sizeof n, SHOAL_NOWAIT) == -EAGAIN);
	CHECK(shoal_queue_get_many(q, many, sizeof n, 4, SHOAL_NOWAIT) == 4 && !shoal_queue_full(q));
	CHECK(shoal_queue_get_many(q, many, sizeof n, 4, SHOAL_NOWAIT) == 4 && many[3] == 7);
	static char large[1 << 20];
	large[sizeof large - 1] = 'z';
	CHECK(shoal_queue_put(q, large, sizeof large, SHOAL_NOWAIT) == 0);
	CHECK(shoal_queue_get_new(q, (void **)&copy, SHOAL_NOWAIT) == sizeof large);
	CHECK(copy[sizeof large - 1] == 'z');
	free(copy);
	CHECK(shoal_queue_stat(q, &info) == 0 && info.puts == info.gets && info.capacity == 8);
	shoal_queue_close(q);
	CHECK(shoal_queue_put(q, &n, sizeof n, SHOAL_FOREVER) == -EPIPE);
	CHECK(shoal_queue_get(q, &n, sizeof n, SHOAL_FOREVER) == -EPIPE);
	CHECK(shoal_queue_destroy(arena, q) == 0 && shoal_queue_destroy(arena, NULL) == 0);
}

static void
values(shoal_arena *arena)
{
	shoal_queue *q;
	shoal_any got, want = SHOAL_LIST(42, SHOAL_NIL, "hello");
	char text[8];
	CHECK(shoal_queue_create(arena, NULL, NULL, &q) == 0);
	CHECK(shoal_queue_put_any(q, want, SHOAL_NOWAIT) == 0);
	CHECK(shoal_queue_get(q, text, sizeof text, SHOAL_NOWAIT) == -EPROTO);
	CHECK(shoal_queue_get_any(q, &got, SHOAL_NOWAIT) == 0 && shoal_any_equal(&got, &want));
	shoal_any_clear(&got);
	CHECK(shoal_queue_put(q, "raw", 3, SHOAL_NOWAIT) == 0);
	CHECK(shoal_queue_get_any(q, &got, SHOAL_NOWAIT) == 0 && got.kind == SHOAL_ANY_BYTES);
	shoal_any_clear(&got);
	CHECK(shoal_queue_destroy(arena, q) == 0);
}

static void
loans(shoal_arena *arena)
{
	shoal_queue *q;
	shoal_loan loan;
	CHECK(shoal_queue_create(arena, NULL, NULL, &q) == 0);
	CHECK(shoal_queue_reserve(q, 4096, SHOAL_NOWAIT, &loan) == 0 && loan.bytes == 4096);
	CHECK((uintptr_t)loan.data % 64 == 0);
	memcpy(loan.data, "in place", 9);
	loan.bytes = 9;
	CHECK(shoal_loan_commit(&loan, SHOAL_NOWAIT) == 0);
	CHECK(shoal_queue_borrow(q, SHOAL_NOWAIT, &loan) == 0);
	CHECK(loan.bytes == 9 && loan.deliveries == 1 && !strcmp(loan.data, "in place"));
	shoal_loan_release(&loan);
	shoal_loan_release(&loan);
	CHECK(loan.kind == 0 && shoal_loan_commit(&loan, SHOAL_NOWAIT) == -EINVAL);
	CHECK(shoal_queue_destroy(arena, q) == 0);
}

/* ---- loans of another thread, and such that are given back ---- */

struct lender {
	shoal_queue *q;
	shoal_loan loan;
	shoal_event lent, adopted;
};

/* It ends only when its loan is another thread's: those that it has are lost with it. */
static void *
lend(void *arg)
{
	struct lender *l = arg;
	CHECK(shoal_queue_reserve(l->q, 4, SHOAL_NOWAIT, &l->loan) == 0);
	memcpy(l->loan.data, "ours", 4);
	CHECK(shoal_event_set(&l->lent) == 0);
	CHECK(shoal_event_wait(&l->adopted, SHOAL_SEC(10)) == 0);
	return NULL;
}

static void
adopting(shoal_arena *arena)
{
	struct lender l = { 0 };
	pthread_t thread;
	char text[8];
	CHECK(shoal_queue_create(arena, NULL, NULL, &l.q) == 0);
	CHECK(pthread_create(&thread, NULL, lend, &l) == 0);
	CHECK(shoal_event_wait(&l.lent, SHOAL_SEC(10)) == 0);
	CHECK(shoal_loan_commit(&l.loan, SHOAL_NOWAIT) == -EPERM);
	CHECK(shoal_loan_adopt(&l.loan) == 0 && shoal_event_set(&l.adopted) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(shoal_loan_commit(&l.loan, SHOAL_NOWAIT) == 0);
	CHECK(shoal_queue_get(l.q, text, sizeof text, SHOAL_NOWAIT) == 4 && !memcmp(text, "ours", 4));
	CHECK(shoal_queue_destroy(arena, l.q) == 0);
}

/* A message that is given back comes again, before others. */
static void
returning(shoal_arena *arena)
{
	const shoal_queue_options again = { .flags = SHOAL_QUEUE_REDELIVER };
	shoal_queue_info info;
	shoal_queue *q;
	shoal_loan loan;
	CHECK(shoal_queue_create(arena, NULL, &again, &q) == 0);
	CHECK(shoal_queue_put(q, "1", 1, SHOAL_NOWAIT) == 0);
	CHECK(shoal_queue_put(q, "2", 1, SHOAL_NOWAIT) == 0);
	CHECK(shoal_queue_borrow(q, SHOAL_NOWAIT, &loan) == 0 && loan.deliveries == 1);
	CHECK(*(char *)loan.data == '1' && shoal_queue_size(q) == 1);
	CHECK(shoal_loan_return(&loan) == 0 && loan.kind == 0 && shoal_queue_size(q) == 2);
	CHECK(shoal_queue_borrow(q, SHOAL_NOWAIT, &loan) == 0 && loan.deliveries == 2);
	CHECK(*(char *)loan.data == '1');
	shoal_loan_release(&loan);
	CHECK(shoal_queue_borrow(q, SHOAL_NOWAIT, &loan) == 0 && *(char *)loan.data == '2');
	shoal_loan_release(&loan);
	CHECK(shoal_queue_stat(q, &info) == 0 && info.redelivered == 1);
	CHECK(shoal_queue_destroy(arena, q) == 0);
	CHECK(shoal_queue_create(arena, NULL, NULL, &q) == 0);
	CHECK(shoal_queue_put(q, "1", 1, SHOAL_NOWAIT) == 0);
	CHECK(shoal_queue_borrow(q, SHOAL_NOWAIT, &loan) == 0);
	CHECK(shoal_loan_return(&loan) == -EINVAL);
	shoal_loan_release(&loan);
	CHECK(shoal_queue_destroy(arena, q) == 0);
}

/* Takes a message and is killed before it has said that it is done. */
static int
die_with_it(void *q)
{
	int n;
	CHECK(shoal_queue_get(q, &n, sizeof n, SHOAL_SEC(5)) == sizeof n);
	raise(SIGKILL);
	return 0;
}

static void
joining(shoal_arena *arena)
{
	const shoal_queue_options sure = { .flags = SHOAL_QUEUE_JOINABLE | SHOAL_QUEUE_REDELIVER };
	shoal_queue *q;
	shoal_loan loan;
	int n = 7;
	CHECK(shoal_queue_create(arena, NULL, &sure, &q) == 0);
	CHECK(shoal_queue_put(q, &n, sizeof n, SHOAL_NOWAIT) == 0);
	to_death(die_with_it, q);
	CHECK(shoal_queue_borrow(q, SHOAL_SEC(5), &loan) == 0 && loan.deliveries == 2);
	CHECK(*(int *)loan.data == 7 && shoal_queue_join(q, SHOAL_NOWAIT) == -EAGAIN);
	CHECK(shoal_loan_finish(&loan) == 0 && shoal_queue_task_done(q) == -EOVERFLOW);
	CHECK(shoal_queue_join(q, SHOAL_SEC(5)) == 0);
	CHECK(shoal_queue_destroy(arena, q) == 0);
}

static void
descriptors(shoal_arena *arena)
{
	shoal_queue *q;
	char text[8];
	CHECK(shoal_queue_create(arena, NULL, NULL, &q) == 0);
	struct pollfd get = { .fd = shoal_queue_fd(q), .events = POLLIN };
	struct pollfd put = { .fd = shoal_queue_room_fd(q), .events = POLLIN };
	CHECK(get.fd > STDERR_FILENO && put.fd > STDERR_FILENO && poll(&put, 1, 5000) == 1);
	while (shoal_queue_get(q, text, sizeof text, SHOAL_NOWAIT) != -EAGAIN)
		continue;
	CHECK(shoal_queue_put(q, "x", 2, SHOAL_NOWAIT) == 0 && poll(&get, 1, 5000) == 1);
	CHECK(shoal_queue_destroy(arena, q) == 0);
}

void
queues(shoal_arena *arena)
{
	messages(arena);
	values(arena);
	loans(arena);
	adopting(arena);
	returning(arena);
	joining(arena);
	descriptors(arena);
}
