#include "data/any.h"
#include "harness.h"
#include "steps.h"
#include <malloc.h>
#include <pthread.h>
#include <shoal/shoal.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static shoal_arena *arena;
static shoal_queue *queue;
static shoal_pipe_end *left, *right;

static void
set_up(uint32_t capacity, unsigned queue_flags, unsigned pipe_flags)
{
	shoal_queue_options q = { .capacity = capacity, .flags = queue_flags };
	shoal_pipe_options p = { .ring_bytes = 4096, .flags = pipe_flags };
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &arena), 0);
	REQUIRE_EQ(shoal_queue_create(arena, NULL, &q, &queue), 0);
	REQUIRE_EQ(shoal_pipe_create(arena, NULL, &p, &left, &right), 0);
}

static void
tear_down(void)
{
	shoal_arena_info info;
	REQUIRE(shoal_arena_recover(arena) >= 0);
	REQUIRE_EQ(shoal_arena_check(arena, stderr), 0);
	REQUIRE_EQ(shoal_queue_destroy(arena, queue), 0);
	REQUIRE_EQ(shoal_pipe_destroy(arena, left), 0);
	REQUIRE_EQ(shoal_arena_stat(arena, &info), 0);
	REQUIRE_EQ(info.blocks, 0);
	shoal_arena_close(arena);
}

/* The same tests for a queue and for a pipe. */
static bool piped;

static int
send_any(shoal_any v)
{
	return piped ? shoal_pipe_send_any(left, v, 0) : shoal_queue_put_any(queue, v, 0);
}

static int
recv_any(shoal_any *out, shoal_time timeout)
{
	return piped ? shoal_pipe_recv_any(right, out, timeout)
	             : shoal_queue_get_any(queue, out, timeout);
}

static int
send_bytes(const void *p, size_t n)
{
	return piped ? shoal_pipe_send(left, p, n, 0) : shoal_queue_put(queue, p, n, 0);
}

static ssize_t
recv_bytes(void *p, size_t n)
{
	return piped ? shoal_pipe_recv(right, p, n, 0) : shoal_queue_get(queue, p, n, 0);
}

static void
expect_through(shoal_any v)
{
	shoal_any out;
	REQUIRE_EQ(send_any(v), 0);
	REQUIRE_EQ(recv_any(&out, 0), 0);
	REQUIRE_EQ(out.kind, v.kind);
	REQUIRE(shoal_any_equal(&v, &out));
	shoal_any_clear(&out);
	REQUIRE_EQ(recv_any(&out, 0), -EAGAIN);
}

static void
values_of_every_kind(void)
{
	char *text = malloc(300001);
	memset(text, 'x', 300000);
	text[300000] = 0;
	shoal_any many[1000];
	for (int i = 0; i < 1000; i++)
		many[i] = SHOAL_ANY(i);
	for (int i = 0; i < 3; i++) {
		expect_through(SHOAL_NIL);
		expect_through(SHOAL_ANY((bool)true));
		expect_through(SHOAL_ANY(INT64_MIN));
		expect_through(SHOAL_ANY(0.1));
		expect_through(SHOAL_ANY(""));
		expect_through(SHOAL_ANY("text"));
		expect_through(SHOAL_ANY(text));
		expect_through(shoal_any_from_bytes(text, 50));
		expect_through(SHOAL_LIST(42, SHOAL_NIL, "hello"));
		expect_through(shoal_any_from_items(NULL, 0));
		expect_through(shoal_any_from_items(many, 1000));
		expect_through(SHOAL_MAP("a", SHOAL_LIST(1, 2), "b", SHOAL_MAP("c", text)));
	}
	free(text);
}

/* What the bit says decides, not who receives. */
static void
the_bit_decides(void)
{
	shoal_any out;
	char buffer[64];
	void *data;
	shoal_loan loan;
	REQUIRE_EQ(send_any(SHOAL_ANY(7)), 0);
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(recv_bytes(buffer, sizeof buffer), -EPROTO);
		REQUIRE(strstr(shoal_error(), "value"));
		REQUIRE_EQ(recv_bytes(buffer, 0), -EPROTO);
		if (piped) {
			REQUIRE_EQ(shoal_pipe_recv_many(right, buffer, 1, 8, 0), -EPROTO);
			REQUIRE_EQ(shoal_pipe_borrow(right, 0, &loan), -EPROTO);
			REQUIRE_EQ(shoal_pipe_peek_bytes(right), -EPROTO);
			REQUIRE_EQ(shoal_pipe_poll(right, 0), 1);
		} else {
			REQUIRE_EQ(shoal_queue_get_new(queue, &data, 0), -EPROTO);
			REQUIRE_EQ(shoal_queue_get_many(queue, buffer, 1, 8, 0), -EPROTO);
			REQUIRE_EQ(shoal_queue_borrow(queue, 0, &loan), -EPROTO);
			REQUIRE_EQ(shoal_queue_peek_bytes(queue), -EPROTO);
			REQUIRE_EQ(shoal_queue_size(queue), 1);
		}
	}
	REQUIRE_EQ(recv_any(&out, 0), 0);
	REQUIRE_EQ(shoal_any_int(&out, 0), 7);
	/* Bytes are bytes, whatever they look like. */
	REQUIRE_EQ(send_bytes("\x07", 1), 0);
	REQUIRE_EQ(recv_any(&out, 0), 0);
	REQUIRE_EQ(out.kind, SHOAL_ANY_BYTES);
	REQUIRE_EQ(out.count, 1);
	REQUIRE(memcmp(out.as.bytes, "\x07", 2) == 0);
	shoal_any_clear(&out);
	char *text = calloc(1, 20000);
	REQUIRE_EQ(send_bytes(text, 20000), 0);
	REQUIRE_EQ(recv_any(&out, 0), 0);
	REQUIRE_EQ(out.count, 20000);
	shoal_any_clear(&out);
	free(text);
	REQUIRE_EQ(send_bytes("", 0), 0);
	REQUIRE_EQ(recv_any(&out, 0), 0);
	REQUIRE_EQ(out.count, 0);
	shoal_any_clear(&out);
}

/* Receivers of many stop before a value. */
static void
many_stop_before_a_value(void)
{
	uint64_t items[40] = { 0 };
	shoal_any out;
	for (uint64_t i = 0; i < 20; i++)
		REQUIRE_EQ(send_bytes(&i, sizeof i), 0);
	REQUIRE_EQ(send_any(SHOAL_ANY(99)), 0);
	REQUIRE_EQ(send_bytes(items, 8), 0);
	ssize_t n = 0;
	while (n < 20) {
		ssize_t more = piped ? shoal_pipe_recv_many(right, items, 8, 40, 0)
		                     : shoal_queue_get_many(queue, items, 8, 40, 0);
		REQUIRE(more > 0);
		n += more;
	}
	REQUIRE_EQ(n, 20);
	REQUIRE_EQ(recv_any(&out, 0), 0);
	REQUIRE_EQ(shoal_any_int(&out, 0), 99);
	REQUIRE_EQ(recv_bytes(items, 8), 8);
}

static void
what_is_no_value_is_not_sent(void)
{
	shoal_any out, deep[130];
	REQUIRE_EQ(send_any(SHOAL_ANY(UINT64_MAX)), -EOVERFLOW);
	REQUIRE_EQ(send_any(SHOAL_LIST(SHOAL_ANY(UINT64_MAX))), -EOVERFLOW);
	deep[0] = SHOAL_NIL;
	for (int i = 1; i < 67; i++)
		deep[i] = shoal_any_from_items(&deep[i - 1], 1);
	REQUIRE_EQ(send_any(deep[66]), -EINVAL);
	REQUIRE_EQ(send_any(SHOAL_MAP(SHOAL_NIL, 1)), -EINVAL);
	REQUIRE_EQ(recv_any(&out, 0), -EAGAIN);
	REQUIRE_EQ(recv_any(&out, SHOAL_MS(1)), -ETIMEDOUT);
}

static void
both(void (*test)(void), unsigned queue_flags, unsigned pipe_flags)
{
	for (int i = 0; i < 2; i++) {
		piped = i;
		set_up(64, queue_flags, pipe_flags);
		test();
		/* What JOINABLE | REDELIVER keeps is done. */
		while (queue_flags & SHOAL_QUEUE_JOINABLE && shoal_queue_task_done(queue) == 0)
			;
		tear_down();
	}
}

Test(message, values_of_every_kind_arrive)
{
	both(values_of_every_kind, 0, 0);
	both(values_of_every_kind, SHOAL_QUEUE_REDELIVER, SHOAL_PIPE_SHARED_ENDS);
	both(values_of_every_kind, SHOAL_QUEUE_JOINABLE, 0);
}

Test(message, a_value_read_as_bytes_stays)
{
	both(the_bit_decides, 0, 0);
	both(the_bit_decides, SHOAL_QUEUE_REDELIVER, SHOAL_PIPE_SHARED_ENDS);
	both(the_bit_decides, SHOAL_QUEUE_REDELIVER | SHOAL_QUEUE_JOINABLE, 0);
}

Test(message, many_stop_before_a_value)
{
	both(many_stop_before_a_value, 0, 0);
	both(many_stop_before_a_value, SHOAL_QUEUE_REDELIVER, SHOAL_PIPE_SHARED_ENDS);
}

Test(message, what_is_no_value_is_not_sent)
{
	both(what_is_no_value_is_not_sent, 0, 0);
}

/* Items that lie packed in groups are bytes for get_any too. */
Test(message, values_come_behind_groups)
{
	uint64_t items[64];
	shoal_any out;
	set_up(128, 0, 0);
	for (uint64_t i = 0; i < 64; i++)
		items[i] = i;
	REQUIRE_EQ(shoal_queue_put_many(queue, items, 8, 64, 0), 64);
	REQUIRE_EQ(shoal_queue_put_any(queue, SHOAL_ANY("end"), 0), 0);
	REQUIRE_EQ(shoal_queue_get_any(queue, &out, 0), 0);
	REQUIRE(out.kind == SHOAL_ANY_BYTES && out.count == 8);
	shoal_any_clear(&out);
	for (ssize_t n = 1; n < 64;) {
		ssize_t more = shoal_queue_get_many(queue, items, 8, 64, 0);
		REQUIRE(more > 0);
		REQUIRE_EQ(items[0], n);
		n += more;
		REQUIRE_EQ(items[more - 1], n - 1);
	}
	REQUIRE_EQ(shoal_queue_get_many(queue, items, 8, 64, 0), -EPROTO);
	REQUIRE_EQ(shoal_queue_get_any(queue, &out, 0), 0);
	REQUIRE_STR_EQ(shoal_any_string(&out, ""), "end");
	shoal_any_clear(&out);
	tear_down();
}

Test(message, objects_arrive_pinned)
{
	shoal_any out;
	shoal_queue *jobs;
	for (int i = 0; i < 2; i++) {
		piped = i;
		set_up(64, 0, 0);
		REQUIRE_EQ(shoal_queue_create(arena, NULL, NULL, &jobs), 0);
		REQUIRE_EQ(send_any(SHOAL_ANY(jobs)), 0);
		REQUIRE_EQ(send_any(SHOAL_LIST(jobs, right, "text")), 0);
		REQUIRE_EQ(recv_any(&out, 0), 0);
		REQUIRE(shoal_any_to_queue(&out) == jobs);
		shoal_any_clear(&out);
		REQUIRE_EQ(recv_any(&out, 0), 0);
		REQUIRE(shoal_any_to_queue(shoal_any_at(&out, 0)) == jobs);
		REQUIRE(shoal_any_at(&out, 1)->as.object == right);
		shoal_any_clear(&out);
		/* One that does not live until then. */
		REQUIRE_EQ(send_any(SHOAL_LIST(1, jobs)), 0);
		REQUIRE_EQ(shoal_queue_destroy(arena, jobs), 0);
		REQUIRE_EQ(recv_any(&out, 0), -ENOENT);
		REQUIRE_EQ(recv_any(&out, 0), -EAGAIN);
		REQUIRE_EQ(send_any(SHOAL_ANY(jobs)), -EINVAL);
		tear_down();
	}
}

/* ---- other processes ---- */

static int
sender(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		shoal_any v = SHOAL_LIST(i, "of", 200);
		int rc = piped ? shoal_pipe_send_any(left, v, SHOAL_SEC(5))
		               : shoal_queue_put_any(queue, v, SHOAL_SEC(5));
		REQUIRE_EQ(rc, 0);
	}
	return 0;
}

static void
another_process_sends(void)
{
	shoal_any out;
	pid_t pid = child(sender, NULL);
	for (int i = 0; i < 200; i++) {
		REQUIRE_EQ(recv_any(&out, SHOAL_SEC(5)), 0);
		REQUIRE_EQ(shoal_any_int(shoal_any_at(&out, 0), -1), i);
		shoal_any_clear(&out);
	}
	expect_child(pid, 0, 5000);
}

Test(message, another_process_sends_values)
{
	both(another_process_sends, 0, SHOAL_PIPE_SHARED_ENDS);
}

/*
 * A getter of bytes that a value wakes cannot take it: the getter of values that sleeps beside it
 * must not miss it.
 */
static int
wait_for_value(void *arg)
{
	(void)arg;
	shoal_any out;
	REQUIRE_EQ(shoal_queue_get_any(queue, &out, SHOAL_SEC(5)), 0);
	return (int)shoal_any_int(&out, 0);
}

static int
wait_for_bytes(void *arg)
{
	char byte;
	(void)arg;
	REQUIRE_EQ(shoal_queue_get(queue, &byte, 1, SHOAL_SEC(5)), -EPROTO);
	return 8;
}

Test(message, one_woken_in_vain_wakes_the_next)
{
	set_up(64, 0, 0);
	pid_t first = child(wait_for_bytes, NULL);
	sleep_ms(100);
	pid_t second = child(wait_for_value, NULL);
	sleep_ms(100);
	REQUIRE_EQ(shoal_queue_put_any(queue, SHOAL_ANY(9), 0), 0);
	/* The bytes' getter may come too late to see the value at all. */
	expect_child(second, 9, 3000);
	int64_t begin = fair_ns();
	REQUIRE_EQ(shoal_queue_put_any(queue, SHOAL_ANY(9), 0), 0);
	expect_child(first, 8, 3000);
	REQUIRE(fair_ns() - begin < SHOAL_SEC(3));
	tear_down();
}

/*
 * Room is made first: where there is no memory, the message stays. Sanitizers have a malloc of
 * their own.
 */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static int
poor(void *arg)
{
	struct rlimit none = { 0, 0 };
	shoal_any out;
	(void)arg;
	/* A first message, so that the thread has what it needs but for the value's own. */
	REQUIRE_EQ(recv_any(&out, 0), 0);
	/* No mapping more, and no more of one that malloc has reserved, as RLIMIT_AS would let pass. */
	REQUIRE_EQ(setrlimit(RLIMIT_DATA, &none), 0);
	REQUIRE_EQ(recv_any(&out, 0), -ENOMEM);
	REQUIRE_EQ(recv_any(&out, SHOAL_MS(1)), -ENOMEM);
	return 0;
}

static void
no_memory(void)
{
	size_t n = 10 << 20;
	/* What was freed is not there for the next one. */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	char *text = calloc(1, n);
	shoal_any out;
	REQUIRE_EQ(send_any(SHOAL_ANY(1)), 0);
	REQUIRE_EQ(send_any(shoal_any_from_bytes(text, n)), 0);
	expect_child(child(poor, NULL), 0, 5000);
	REQUIRE_EQ(recv_any(&out, SHOAL_SEC(1)), 0);
	REQUIRE_EQ(out.count, n);
	shoal_any_clear(&out);
	free(text);
}

Test(message, without_memory_it_stays)
{
	both(no_memory, 0, SHOAL_PIPE_SHARED_ENDS);
}
#endif

/* REDELIVER: the bit comes back with the message. */
static int
borrower(void *arg)
{
	shoal_loan loan;
	(void)arg;
	REQUIRE_EQ(shoal_queue_borrow(queue, 0, &loan), 0);
	kill(getpid(), SIGKILL);
	return 0;
}

static int
keeper(void *arg)
{
	shoal_any out;
	(void)arg;
	REQUIRE_EQ(shoal_queue_get_any(queue, &out, 0), 0);
	REQUIRE_STR_EQ(shoal_any_string(shoal_any_at(&out, 0), ""), "kept");
	kill(getpid(), SIGKILL);
	return 0;
}

Test(message, what_comes_back_is_still_a_value)
{
	shoal_any out;
	char buffer[64];
	char *text = malloc(1001);
	memset(text, 'y', 1000);
	text[1000] = 0;
	set_up(64, SHOAL_QUEUE_REDELIVER | SHOAL_QUEUE_JOINABLE, 0);
	REQUIRE_EQ(shoal_queue_put(queue, "x", 1, 0), 0);
	REQUIRE_EQ(shoal_queue_put_any(queue, SHOAL_LIST("kept", 1), 0), 0);
	REQUIRE_EQ(shoal_queue_put_any(queue, SHOAL_LIST("kept", text), 0), 0);
	expect_killed(child(borrower, NULL), SIGKILL, 3000);
	REQUIRE_EQ(shoal_arena_recover(arena), 1);
	REQUIRE_EQ(shoal_queue_get(queue, buffer, sizeof buffer, SHOAL_SEC(1)), 1);
	REQUIRE_EQ(shoal_queue_task_done(queue), 0);
	for (int i = 0; i < 2; i++) {
		expect_killed(child(keeper, NULL), SIGKILL, 3000);
		REQUIRE_EQ(shoal_arena_recover(arena), 1);
		REQUIRE_EQ(shoal_queue_get(queue, buffer, sizeof buffer, SHOAL_SEC(1)), -EPROTO);
		REQUIRE_EQ(shoal_queue_get_any(queue, &out, SHOAL_SEC(1)), 0);
		REQUIRE_EQ(out.count, 2);
		REQUIRE_EQ(out.as.items[1].kind, i ? SHOAL_ANY_STRING : SHOAL_ANY_INT);
		shoal_any_clear(&out);
		REQUIRE_EQ(shoal_queue_task_done(queue), 0);
	}
	REQUIRE_EQ(shoal_queue_join(queue, 0), 0);
	free(text);
	tear_down();
}

static void
receive_nothing(void)
{
	shoal_any v = SHOAL_ANY(5);
	REQUIRE_EQ(recv_any(&v, SHOAL_NOWAIT), -EAGAIN);
	REQUIRE_EQ(v.kind, SHOAL_ANY_NIL);
}

Test(message, where_none_comes_there_is_nil)
{
	set_up(4, 0, 0);
	receive_nothing();
	piped = true;
	receive_nothing();
	tear_down();
}

/* ---- another one takes what room is made for ---- */

#if HAS_STEPS

static shoal_any stolen;

static void *
steal(void *arg)
{
	REQUIRE_EQ(shoal_queue_get_any(queue, &stolen, 0), 0);
	return arg;
}

static void
let_it_be_stolen(void)
{
	pthread_t thread;
	REQUIRE_EQ(pthread_create(&thread, NULL, steal, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
}

static void
get_op(void *out)
{
	REQUIRE_EQ(shoal_queue_get_any(queue, out, 0), 0);
}

/* The room that was made for the first is the second's, if that fits. */
static void
require_second(shoal_any first, shoal_any second)
{
	shoal_any got;
	stolen = SHOAL_NIL;
	REQUIRE_EQ(shoal_queue_put_any(queue, first, 0), 0);
	REQUIRE_EQ(shoal_queue_put_any(queue, second, 0), 0);
	if (!steps_into_call(get_op, &got, (void (*)(void))any_block_make, let_it_be_stolen)) {
		stolen = got;
		REQUIRE_EQ(shoal_queue_get_any(queue, &got, 0), 0);
	}
	REQUIRE(shoal_any_equal(&stolen, &first));
	REQUIRE(shoal_any_equal(&got, &second));
	shoal_any_clear(&stolen);
	shoal_any_clear(&got);
	REQUIRE_EQ(shoal_queue_size(queue), 0);
}

Test(message, room_for_one_is_good_for_the_next)
{
	set_up(4, 0, 0);
	shoal_any seven = SHOAL_LIST(1, 2, 3, 4, 5, 6, 7);
	shoal_any values[] = {
		SHOAL_ANY(3), SHOAL_ANY(""), SHOAL_ANY("text"), shoal_any_from_bytes("0123456789", 10),
		SHOAL_ANY("a text that is longer than any of the lists"), seven,
		SHOAL_LIST(1, 2, 3), SHOAL_LIST("one", SHOAL_LIST("two", 3)), SHOAL_MAP("key", "value"),
		SHOAL_ANY(left), SHOAL_LIST(left), SHOAL_LIST(1, 2, 3, 4, 5, left, "six"),
	};
	enum { COUNT = sizeof values / sizeof *values };
	for (int i = 0; i < COUNT; i++)
		for (int k = 0; k < COUNT; k++)
			require_second(values[i], values[k]);
	tear_down();
}

#endif
