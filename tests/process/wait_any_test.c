/* shoal_wait: CPython's TestWait, and what its kinds of objects add. */
#include "process/wait_any_common.h"
#include <sys/resource.h>

/* ---- TestWait ---- */

enum { CHILDREN = 4, MESSAGES = 10 };

static int
send_numbers(void *arg)
{
	struct talk *t = arg;
	for (int i = 0; i < MESSAGES; i++) {
		sleep_ms(t->pause_ms ? 1 + (i * 7 + t->number * 3) % t->pause_ms : 0);
		int value = t->number * 100 + i;
		REQUIRE_EQ(shoal_pipe_send(t->right, &value, sizeof value, SHOAL_SEC(5)), 0);
	}
	return 0;
}

/* One message of each end that is ready; an end at its end leaves the list. */
static size_t
take_ready(shoal_waitable *on, size_t left, int *got)
{
	for (size_t i = 0; i < left;) {
		int value;
		if (!on[i].ready) {
			i++;
			continue;
		}
		ssize_t n = shoal_pipe_recv(on[i].on.object, &value, sizeof value, 0);
		if (n == -EPIPE) {
			on[i] = on[--left];
			continue;
		}
		REQUIRE_EQ(n, sizeof value);
		REQUIRE_EQ(value % 100, got[value / 100]++);
		i++;
	}
	return left;
}

static void
until_all_ended(int pause_ms)
{
	shoal_arena *a = arena_make();
	struct talk talk[CHILDREN];
	shoal_waitable on[CHILDREN];
	pid_t pid[CHILDREN];
	int got[CHILDREN] = { 0 };
	for (int i = 0; i < CHILDREN; i++) {
		talk[i] = (struct talk){ .number = i, .pause_ms = pause_ms };
		pipe_make(a, &talk[i].left, &talk[i].right);
		pid[i] = child(send_numbers, &talk[i]);
		on[i] = shoal_on_pipe(talk[i].left);
	}
	for (size_t left = CHILDREN; left;) {
		int n = shoal_wait(on, left, SHOAL_SEC(10));
		REQUIRE(n > 0);
		left = take_ready(on, left, got);
	}
	for (int i = 0; i < CHILDREN; i++) {
		REQUIRE_EQ(got[i], MESSAGES);
		expect_child(pid[i], 0, 5000);
	}
	arena_end(a);
}

Test(wait_any, four_pipes_until_their_ends)
{
	until_all_ended(0);
}

Test(wait_any, four_pipes_whose_writers_are_slow)
{
	until_all_ended(30);
}

static int
write_to_socket(void *arg)
{
	int fd = *(int *)arg;
	for (int i = 0; i < MESSAGES; i++) {
		sleep_ms(1);
		REQUIRE_EQ(write(fd, "x", 1), 1);
	}
	close(fd);
	return 0;
}

Test(wait_any, plain_sockets_until_they_are_closed)
{
	shoal_waitable on[CHILDREN];
	pid_t pid[CHILDREN];
	size_t bytes = 0;
	for (int i = 0; i < CHILDREN; i++) {
		int pair[2];
		REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		pid[i] = child(write_to_socket, &pair[1]);
		close(pair[1]);
		on[i] = shoal_on_fd(pair[0]);
	}
	for (size_t left = CHILDREN; left;) {
		REQUIRE(shoal_wait(on, left, SHOAL_SEC(10)) > 0);
		for (size_t i = 0; i < left;) {
			char text[64];
			ssize_t n = on[i].ready ? read(on[i].on.fd, text, sizeof text) : -1;
			if (n > 0)
				bytes += (size_t)n;
			if (n == 0) {
				close(on[i].on.fd);
				on[i] = on[--left];
			} else {
				i++;
			}
		}
	}
	REQUIRE_EQ(bytes, CHILDREN * MESSAGES);
	for (int i = 0; i < CHILDREN; i++)
		expect_child(pid[i], 0, 5000);
}

/* By words, and by polls where a descriptor is in the list. */
static void
keep_time(shoal_waitable *on, size_t count)
{
	static const int times[] = { 0, 20, 100, 300 };
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		int64_t start = now_ns(), fair = fair_ns();
		on[0].ready = 7;
		REQUIRE_EQ(shoal_wait(on, count, SHOAL_MS(times[i])), 0);
		REQUIRE((now_ns() - start) / 1000000 >= times[i]);
		REQUIRE(ms_since(fair) < times[i] + 100 * HARNESS_SLOW);
		REQUIRE_EQ(on[0].ready, 0);
	}
}

Test(wait_any, a_timeout_is_kept)
{
	shoal_arena *a = arena_make();
	int pair[2];
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	shoal_pipe_end *left, *right;
	pipe_make(a, &left, &right);
	shoal_waitable on[] = { shoal_on_queue(queue_make(a)), shoal_on_pipe(left),
		                shoal_on_fd(pair[0]) };
	keep_time(on, 1);
	keep_time(on, 2);
	keep_time(on, 3);
	struct sleep_for late = { on[0].on.object, 60 };
	pid_t pid = child(put_late, &late);
	int64_t start = fair_ns();
	REQUIRE_EQ(shoal_wait(on, 3, SHOAL_SEC(5)), 1);
	REQUIRE(on[0].ready && !on[1].ready && !on[2].ready);
	REQUIRE(ms_since(start) < 1000);
	expect_child(pid, 0, 5000);
	close(pair[0]);
	close(pair[1]);
	arena_end(a);
}

Test(wait_any, a_pipe_and_a_process_together)
{
	shoal_arena *a = arena_make();
	shoal_pipe_end *left, *right;
	make_board();
	pipe_make(a, &left, &right);
	shoal_process *p = spawned(say_and_sleep, (void *)3, NULL);
	until(3, shoal_process_pid(p));
	shoal_waitable on[] = { shoal_on_pipe(left), shoal_on_process(p) };
	REQUIRE_EQ(shoal_wait(on, 2, SHOAL_MS(30)), 0);
	REQUIRE_EQ(shoal_pipe_send(right, "x", 1, 0), 0);
	REQUIRE_EQ(shoal_wait(on, 2, SHOAL_SEC(5)), 1);
	REQUIRE(on[0].ready && !on[1].ready);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(shoal_process_join(p, SHOAL_SEC(5)), 0);
	REQUIRE_EQ(shoal_wait(on, 2, SHOAL_FOREVER), 2);
	REQUIRE(on[0].ready && on[1].ready);
	char c;
	REQUIRE_EQ(shoal_pipe_recv(left, &c, 1, 0), 1);
	REQUIRE_EQ(shoal_wait(on, 2, SHOAL_FOREVER), 1);
	REQUIRE(!on[0].ready && on[1].ready);
	REQUIRE_EQ(shoal_process_close(p), 0);
	arena_end(a);
}

Test(wait_any, a_negative_timeout_is_none_and_an_empty_list_is_nothing)
{
	shoal_arena *a = arena_make();
	shoal_waitable on[] = { shoal_on_queue(queue_make(a)) };
	int64_t start = fair_ns();
	REQUIRE_EQ(shoal_wait(on, 1, -1), 0);
	REQUIRE_EQ(shoal_wait(on, 1, INT64_MIN), 0);
	REQUIRE_EQ(shoal_wait(NULL, 0, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_wait(on, 0, SHOAL_FOREVER), 0);
	REQUIRE(ms_since(start) < 1000);
	arena_end(a);
}

/* ---- each kind ---- */

Test(wait_any, what_makes_a_queue_ready)
{
	shoal_arena *a = arena_make();
	shoal_queue *q = queue_make(a), *closed = queue_make(a);
	shoal_waitable on[] = { shoal_on_queue(q), shoal_on_queue(closed), shoal_on_queue(q) };
	REQUIRE_EQ(shoal_wait(on, 3, 0), 0);
	REQUIRE_EQ(shoal_queue_put(q, NULL, 0, 0), 0);
	REQUIRE_EQ(shoal_wait(on, 3, 0), 2);
	REQUIRE(on[0].ready == 1 && on[1].ready == 0 && on[2].ready == 1);
	shoal_queue_close(closed);
	REQUIRE_EQ(shoal_wait(on, 3, SHOAL_FOREVER), 3);
	REQUIRE_EQ(shoal_queue_get(q, NULL, 0, 0), 0);
	REQUIRE_EQ(shoal_wait(on, 3, 0), 1);
	REQUIRE_EQ(shoal_queue_put_any(q, SHOAL_ANY(7), 0), 0);
	REQUIRE_EQ(shoal_wait(on, 3, 0), 3);
	arena_end(a);
}

Test(wait_any, groups_of_small_items_stay_whole)
{
	shoal_arena *a = arena_make();
	shoal_queue *q = queue_make(a);
	uint64_t items[64], got[64];
	for (uint64_t i = 0; i < 64; i++)
		items[i] = i;
	REQUIRE_EQ(shoal_queue_put_many(q, items, 8, 64, 0), 64);
	shoal_waitable on[] = { shoal_on_queue(q) };
	for (int taken = 0; taken < 64;) {
		REQUIRE_EQ(shoal_wait(on, 1, 0), 1);
		ssize_t n = shoal_queue_get_many(q, got, 8, 64, 0);
		REQUIRE(n > 0);
		for (ssize_t i = 0; i < n; i++)
			REQUIRE_EQ(got[i], taken + i);
		taken += (int)n;
	}
	REQUIRE_EQ(shoal_wait(on, 1, 0), 0);
	arena_end(a);
}

Test(wait_any, what_makes_a_pipe_ready)
{
	shoal_arena *a = arena_make();
	shoal_pipe_end *left, *right;
	static const shoal_pipe_options shared_ends = { .flags = SHOAL_PIPE_SHARED_ENDS };
	pipe_make(a, &left, &right);
	shoal_waitable on[] = { shoal_on_pipe(left), shoal_on_pipe(right) };
	REQUIRE_EQ(shoal_wait(on, 2, 0), 0);
	REQUIRE_EQ(shoal_pipe_send(right, "", 0, 0), 0);
	REQUIRE_EQ(shoal_wait(on, 2, 0), 1);
	REQUIRE(on[0].ready && !on[1].ready);
	shoal_pipe_close(left);
	REQUIRE_EQ(shoal_wait(on, 2, 0), 2);
	REQUIRE_EQ(shoal_pipe_create(a, NULL, &shared_ends, &left, &right), 0);
	on[0] = shoal_on_pipe(left);
	on[1] = shoal_on_pipe(right);
	REQUIRE_EQ(shoal_wait(on, 2, SHOAL_MS(20)), 0);
	REQUIRE_EQ(shoal_pipe_send(left, "abc", 3, 0), 0);
	REQUIRE_EQ(shoal_wait(on, 2, SHOAL_MS(20)), 1);
	REQUIRE(on[1].ready);
	arena_end(a);
}

static void *
set_late(void *event)
{
	sleep_ms(30);
	REQUIRE_EQ(shoal_event_set(event), 0);
	return NULL;
}

static void
wait_for_event(shoal_event *e, shoal_waitable *on, size_t count)
{
	pthread_t thread;
	REQUIRE_EQ(shoal_event_clear(e), 0);
	on[0] = shoal_on_event(e);
	REQUIRE_EQ(shoal_wait(on, count, 0), 0);
	pthread_create(&thread, NULL, set_late, e);
	int64_t start = fair_ns();
	REQUIRE_EQ(shoal_wait(on, count, SHOAL_SEC(5)), 1);
	REQUIRE(on[0].ready);
	REQUIRE(ms_since(start) < 1000);
	pthread_join(thread, NULL);
}

Test(wait_any, events_wherever_they_are)
{
	shoal_arena *a = arena_make();
	shoal_event *named;
	shoal_event *plain = shared(sizeof *plain);
	int pair[2];
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	REQUIRE_EQ(shoal_event_create(a, "e", &named), 0);
	REQUIRE_EQ(shoal_event_init(plain), 0);
	shoal_waitable on[2] = { { 0 }, shoal_on_fd(pair[0]) };
	for (size_t count = 1; count <= 2; count++) {
		wait_for_event(named, on, count);
		wait_for_event(plain, on, count);
	}
	close(pair[0]);
	close(pair[1]);
	arena_end(a);
}

/* ---- many ---- */

enum { MANY = 200 };

static void *
put_in_last(void *queues)
{
	sleep_ms(20);
	REQUIRE_EQ(shoal_queue_put(((shoal_queue **)queues)[MANY - 1], "x", 1, 0), 0);
	return NULL;
}

Test(wait_any, two_hundred_queues)
{
	static const shoal_queue_options small = { .capacity = 2 };
	shoal_arena *a = arena_make();
	shoal_queue *q[MANY];
	shoal_waitable on[MANY];
	for (int i = 0; i < MANY; i++) {
		REQUIRE_EQ(shoal_queue_create(a, NULL, &small, &q[i]), 0);
		on[i] = shoal_on_queue(q[i]);
	}
	REQUIRE_EQ(shoal_wait(on, MANY, 0), 0);
	for (int i = 0; i < 3; i++) {
		char c;
		pthread_t thread;
		pthread_create(&thread, NULL, put_in_last, q);
		int64_t start = fair_ns();
		REQUIRE_EQ(shoal_wait(on, MANY, SHOAL_SEC(10)), 1);
		REQUIRE(ms_since(start) < 1000);
		REQUIRE(on[MANY - 1].ready && !on[0].ready);
		pthread_join(thread, NULL);
		REQUIRE_EQ(shoal_queue_get(q[MANY - 1], &c, 1, 0), 1);
	}
	arena_end(a);
}

/* No descriptor is to be had for the objects, and the list is longer than the kernel takes. */
static int
wait_in_want(void *arg)
{
	shoal_arena *a = arg;
	static const shoal_queue_options small = { .capacity = 2 };
	shoal_queue *q[MANY];
	shoal_waitable on[MANY + 1];
	int pair[2];
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	for (int i = 0; i < MANY; i++) {
		REQUIRE_EQ(shoal_queue_create(a, NULL, &small, &q[i]), 0);
		on[i] = shoal_on_queue(q[i]);
	}
	on[MANY] = shoal_on_fd(pair[0]);
	struct rlimit few = { (rlim_t)pair[1] + 1, (rlim_t)pair[1] + 1 };
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	REQUIRE_EQ(shoal_wait(on, MANY + 1, SHOAL_MS(20)), 0);
	pthread_t thread;
	pthread_create(&thread, NULL, put_in_last, q);
	REQUIRE_EQ(shoal_wait(on, MANY + 1, SHOAL_SEC(10)), 1);
	REQUIRE(on[MANY - 1].ready);
	pthread_join(thread, NULL);
	REQUIRE_EQ(write(pair[1], "x", 1), 1);
	REQUIRE_EQ(shoal_wait(on, MANY + 1, SHOAL_SEC(10)), 2);
	REQUIRE(on[MANY].ready);
	return 0;
}

Test(wait_any, two_hundred_items_without_descriptors)
{
	shoal_arena *a = arena_make();
	expect_child(child(wait_in_want, a), 0, 10000);
	arena_end(a);
}

static void *
wait_for_two(void *queue)
{
	shoal_waitable on[] = { shoal_on_queue(queue) };
	REQUIRE_EQ(shoal_wait(on, 1, SHOAL_SEC(10)), 1);
	return NULL;
}

Test(wait_any, two_that_wait_are_both_told)
{
	shoal_arena *a = arena_make();
	shoal_queue *q = queue_make(a);
	for (int i = 0; i < 20; i++) {
		pthread_t thread[2];
		char c;
		pthread_create(&thread[0], NULL, wait_for_two, q);
		pthread_create(&thread[1], NULL, wait_for_two, q);
		sleep_ms(i % 4);
		int64_t start = fair_ns();
		REQUIRE_EQ(shoal_queue_put(q, "x", 1, 0), 0);
		pthread_join(thread[0], NULL);
		pthread_join(thread[1], NULL);
		REQUIRE(ms_since(start) < 1000);
		REQUIRE_EQ(shoal_queue_get(q, &c, 1, 0), 1);
	}
	arena_end(a);
}

static void *
get_one(void *queue)
{
	char c;
	REQUIRE_EQ(shoal_queue_get(queue, &c, 1, SHOAL_SEC(10)), 1);
	return NULL;
}

/* The getters' wakes may come to the one that waits, and must not stay there. */
Test(wait_any, getters_beside_one_that_waits_lose_no_wake)
{
	shoal_arena *a = arena_make();
	shoal_queue *q = queue_make(a);
	for (int i = 0; i < 50; i++) {
		pthread_t waits, gets[2];
		pthread_create(&waits, NULL, wait_for_two, q);
		sleep_ms(i % 3);
		pthread_create(&gets[0], NULL, get_one, q);
		pthread_create(&gets[1], NULL, get_one, q);
		sleep_ms(i % 5);
		int64_t start = fair_ns();
		REQUIRE_EQ(shoal_queue_put(q, "x", 1, 0), 0);
		REQUIRE_EQ(shoal_queue_put(q, "x", 1, 0), 0);
		pthread_join(gets[0], NULL);
		pthread_join(gets[1], NULL);
		REQUIRE(ms_since(start) < 1000);
		REQUIRE_EQ(shoal_queue_put(q, "x", 1, 0), 0);
		pthread_join(waits, NULL);
		get_one(q);
	}
	arena_end(a);
}
