/* What a queue does for one process. */
#include "queue_common.h"
#include "ring/ring.h"
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

Test(queue, messages_come_out_in_the_order_of_puts)
{
	struct world w = world_make(8, 0, 0);
	for (int round = 0; round < 5; round++) {
		put_text(w.queue, "one");
		put_text(w.queue, "two");
		put_text(w.queue, "three");
		REQUIRE_EQ(shoal_queue_size(w.queue), 3);
		get_text(w.queue, "one");
		get_text(w.queue, "two");
		get_text(w.queue, "three");
		REQUIRE(shoal_queue_empty(w.queue));
	}
	world_end(w);
}

Test(queue, zero_bytes_are_a_message)
{
	struct world w = world_make(8, 0, 0);
	char byte = 7;
	REQUIRE_EQ(shoal_queue_put(w.queue, NULL, 0, 0), 0);
	REQUIRE_EQ(shoal_queue_peek_bytes(w.queue), 0);
	REQUIRE_EQ(shoal_queue_get(w.queue, &byte, 1, 0), 0);
	REQUIRE_EQ(byte, 7);
	REQUIRE_EQ(shoal_queue_get(w.queue, &byte, 1, 0), -EAGAIN);
	world_end(w);
}

Test(queue, a_full_queue_refuses_without_blocking)
{
	struct world w = world_make(4, 0, 0);
	for (int i = 0; i < 4; i++) {
		REQUIRE(!shoal_queue_full(w.queue));
		REQUIRE_EQ(shoal_queue_put(w.queue, &i, sizeof i, 0), 0);
	}
	int more = 4;
	REQUIRE(shoal_queue_full(w.queue));
	REQUIRE_EQ(shoal_queue_put(w.queue, &more, sizeof more, 0), -EAGAIN);
	int64_t begin = now_ns();
	REQUIRE_EQ(shoal_queue_put(w.queue, &more, sizeof more, SHOAL_MS(30)), -ETIMEDOUT);
	REQUIRE(now_ns() - begin >= SHOAL_MS(30));
	for (int i = 0, got; i < 4; i++) {
		REQUIRE_EQ(shoal_queue_get(w.queue, &got, sizeof got, 0), (ssize_t)sizeof got);
		REQUIRE_EQ(got, i);
	}
	world_end(w);
}

Test(queue, an_empty_one_times_out_at_its_deadline)
{
	struct world w = world_make(4, 0, 0);
	int got;
	REQUIRE_EQ(shoal_queue_get(w.queue, &got, sizeof got, 0), -EAGAIN);
	REQUIRE_EQ(shoal_queue_get(w.queue, &got, sizeof got, -5), -EAGAIN);
	int64_t fair = fair_ns(), begin = now_ns();
	REQUIRE_EQ(shoal_queue_get(w.queue, &got, sizeof got, SHOAL_MS(120)), -ETIMEDOUT);
	REQUIRE(now_ns() - begin >= SHOAL_MS(120));
	REQUIRE(fair_ns() - fair < SHOAL_SEC(2));
	REQUIRE(shoal_timed_out(-ETIMEDOUT) && shoal_timed_out(-EAGAIN));
	world_end(w);
}

/*
 * The capacity is what was asked for, rounded up; every size around the slot's and the blocks'
 * limits.
 */
Test(queue, messages_of_all_lengths_arrive_whole, .timeout = 60 * HARNESS_SLOW)
{
	static const size_t lengths[] = {
		1,        7,  8,   15,  16,   31,    32,    47,    48,    49,      63,
		64,       65, 511, 512, 4096, 32640, 32641, 65536, 65537, 1 << 20, (16 << 16) + 1,
		100 << 20
	};
	struct world w = world_make(3, 0, 0);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		size_t n = lengths[i];
		unsigned char *in = malloc(n);
		void *out;
		for (size_t k = 0; k < n; k++)
			in[k] = (unsigned char)(k * 7 + i);
		REQUIRE_EQ(shoal_queue_put(w.queue, in, n, 0), 0);
		REQUIRE_EQ(shoal_queue_peek_bytes(w.queue), (ssize_t)n);
		REQUIRE_EQ(shoal_queue_get_new(w.queue, &out, 0), (ssize_t)n);
		REQUIRE(memcmp(in, out, n) == 0);
		free(in);
		free(out);
	}
	world_end(w);
}

/* Whether its neighbours' lines are its own or not, each place holds all that it said. */
Test(queue, places_of_all_lengths_lie_side_by_side, .timeout = 60 * HARNESS_SLOW)
{
	enum { PLACES = 8, LONGEST = 700 };
	unsigned char sent[LONGEST], got[LONGEST];
	for (uint32_t inside = 1; inside <= LONGEST; inside++) {
		struct world w = world_make(PLACES, inside, 0);
		for (int i = 0; i < PLACES; i++) {
			memset(sent, i + 1, inside);
			REQUIRE_EQ(shoal_queue_put(w.queue, sent, inside, 0), 0);
		}
		for (int i = 0; i < PLACES; i++) {
			memset(sent, i + 1, inside);
			REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, 0), inside);
			REQUIRE_EQ(memcmp(got, sent, inside), 0);
		}
		struct ring r;
		REQUIRE_EQ(ring_find(w.arena, w.queue, &r), 0);
		uint32_t align = inside <= 48 || inside >= 496 ? 64 : 16;
		REQUIRE_EQ(r.stride, (16 + inside + align - 1) / align * align);
		world_end(w);
	}
}

Test(queue, a_small_buffer_leaves_the_message_where_it_is)
{
	struct world w = world_make(4, 0, 0);
	char tiny[3], large[300];
	memset(large, 'x', sizeof large);
	put_text(w.queue, "twelve bytes");
	REQUIRE_EQ(shoal_queue_put(w.queue, large, sizeof large, 0), 0);
	REQUIRE_EQ(shoal_queue_get(w.queue, tiny, sizeof tiny, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_needed(), 13);
	get_text(w.queue, "twelve bytes");
	REQUIRE_EQ(shoal_queue_get(w.queue, tiny, sizeof tiny, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_needed(), 300);
	REQUIRE_EQ(shoal_queue_get(w.queue, large, sizeof large, 0), 300);
	world_end(w);
}

Test(queue, batches_stop_where_the_room_or_the_length_ends)
{
	struct world w = world_make(8, 0, 0);
	long in[12], out[12] = { 0 };
	for (int i = 0; i < 12; i++)
		in[i] = i;
	REQUIRE_EQ(shoal_queue_put_many(w.queue, in, sizeof *in, 12, 0), 8);
	REQUIRE_EQ(shoal_queue_put_many(w.queue, in, sizeof *in, 12, 0), -EAGAIN);
	REQUIRE_EQ(shoal_queue_get_many(w.queue, out, sizeof *out, 5, 0), 5);
	put_text(w.queue, "another length");
	REQUIRE_EQ(shoal_queue_get_many(w.queue, out + 5, sizeof *out, 7, SHOAL_SEC(5)), 3);
	for (int i = 0; i < 8; i++)
		REQUIRE_EQ(out[i], i);
	REQUIRE_EQ(shoal_queue_get_many(w.queue, out, sizeof *out, 5, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_needed(), 15);
	get_text(w.queue, "another length");
	REQUIRE_EQ(shoal_queue_get_many(w.queue, out, sizeof *out, 5, 0), -EAGAIN);
	REQUIRE_EQ(shoal_queue_put_many(w.queue, in, sizeof *in, 0, 0), 0);
	world_end(w);
}

Test(queue, long_items_travel_in_batches_too)
{
	struct world w = world_make(4, 0, 0);
	char in[6][200], out[6][200];
	for (int i = 0; i < 6; i++)
		memset(in[i], 'a' + i, sizeof in[i]);
	REQUIRE_EQ(shoal_queue_put_many(w.queue, in, sizeof *in, 6, 0), 4);
	REQUIRE_EQ(shoal_queue_get_many(w.queue, out, sizeof *out, 6, 0), 4);
	REQUIRE(memcmp(in, out, 4 * sizeof *in) == 0);
	world_end(w);
}

Test(queue, a_closed_queue_drains_and_then_ends)
{
	struct world w = world_make(4, 0, 0);
	char got[16];
	put_text(w.queue, "last");
	shoal_queue_close(w.queue);
	shoal_queue_close(w.queue);
	REQUIRE_EQ(shoal_queue_put(w.queue, "x", 1, 0), -EPIPE);
	REQUIRE_EQ(shoal_queue_put_many(w.queue, "x", 1, 1, 0), -EPIPE);
	shoal_loan loan;
	REQUIRE_EQ(shoal_queue_reserve(w.queue, 8, 0, &loan), -EPIPE);
	get_text(w.queue, "last");
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, SHOAL_FOREVER), -EPIPE);
	REQUIRE_EQ(shoal_queue_peek_bytes(w.queue), -EPIPE);
	world_end(w);
}

/*
 * The marker of the end has no place in a full ring: it is placed by the getter that meets the
 * first free one.
 */
Test(queue, a_full_queue_can_be_closed)
{
	struct world w = world_make(2, 0, 0);
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	shoal_queue_close(w.queue);
	get_text(w.queue, "a");
	get_text(w.queue, "b");
	char got[16];
	REQUIRE_EQ(shoal_queue_get(w.queue, got, sizeof got, SHOAL_FOREVER), -EPIPE);
	world_end(w);
}

Test(queue, bad_arguments_are_refused_with_a_sentence)
{
	struct world w = world_make(4, 0, 0);
	shoal_queue *q = NULL;
	shoal_queue_options one = { .capacity = 1 }, odd = { .flags = 1 << 20 },
			    set = { .reserved_ = { 1 } }, wide = { .slot_bytes = UINT32_MAX };
	REQUIRE_EQ(shoal_queue_create(w.arena, "a/b", NULL, &q), -EINVAL);
	REQUIRE_EQ(shoal_queue_create(w.arena, "", NULL, &q), -EINVAL);
	REQUIRE_EQ(shoal_queue_create(w.arena, "c", &one, &q), -EINVAL);
	REQUIRE_EQ(shoal_queue_create(w.arena, "c", &odd, &q), -EINVAL);
	REQUIRE_EQ(shoal_queue_create(w.arena, "c", &set, &q), -EINVAL);
	REQUIRE_EQ(shoal_queue_create(w.arena, "c", &wide, &q), -EINVAL);
	REQUIRE(strstr(shoal_error(), "slot_bytes"));
	REQUIRE_EQ(shoal_queue_create(w.arena, "q", NULL, &q), -EEXIST);
	REQUIRE_EQ(shoal_queue_open(w.arena, "nowhere", 0, &q), -ENOENT);
	REQUIRE_EQ(shoal_queue_at(w.arena, 12345, &q), -ENOENT);
	REQUIRE_EQ(shoal_queue_put(w.queue, "x", (size_t)1 << 40, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_queue_put_many(w.queue, NULL, 8, 3, 0), -EINVAL);
	REQUIRE(strstr(shoal_error(), "3 items of 8 bytes"));
	REQUIRE_EQ(shoal_queue_get_many(w.queue, NULL, 8, 3, 0), -EINVAL);
	REQUIRE_EQ(shoal_queue_put_many(w.queue, NULL, 8, 0, 0), 0);
	REQUIRE_EQ(shoal_queue_size(w.queue), 0);
	REQUIRE_EQ(shoal_queue_task_done(w.queue), -EINVAL);
	REQUIRE_EQ(shoal_queue_join(w.queue, 0), -EINVAL);
	REQUIRE_EQ(shoal_queue_destroy(w.arena, NULL), 0);
	world_end(w);
}

Test(queue, is_found_by_name_and_by_reference)
{
	struct world w = world_make(4, 0, 0);
	shoal_queue *found = NULL, *same = NULL;
	shoal_queue_options again = { .flags = SHOAL_OR_OPEN };
	REQUIRE_EQ(shoal_queue_open(w.arena, "q", 0, &found), 0);
	REQUIRE(found == w.queue);
	REQUIRE_EQ(shoal_queue_create(w.arena, "q", &again, &same), 0);
	REQUIRE(same == w.queue);
	shoal_ref ref = shoal_ref_of(w.arena, w.queue);
	REQUIRE(ref != 0);
	REQUIRE_EQ(shoal_queue_at(w.arena, ref, &found), 0);
	REQUIRE(found == w.queue);
	REQUIRE_EQ(shoal_queue_destroy(w.arena, w.queue), 0);
	REQUIRE_EQ(shoal_queue_at(w.arena, ref, &found), -ENOENT);
	REQUIRE_EQ(shoal_queue_open(w.arena, "q", 0, &found), -ENOENT);
	REQUIRE_EQ(shoal_queue_create(w.arena, "q", NULL, &w.queue), 0);
	world_end(w);
}

Test(queue, stat_tells_what_happened)
{
	struct world w = world_make(4, 0, 0);
	shoal_queue_info info;
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	get_text(w.queue, "a");
	REQUIRE_EQ(shoal_queue_stat(w.queue, &info), 0);
	REQUIRE_EQ(info.puts, 2);
	REQUIRE_EQ(info.gets, 1);
	REQUIRE_EQ(info.size, 1);
	REQUIRE_EQ(info.capacity, 4);
	REQUIRE_EQ(info.dropped + info.redelivered + info.putters_waiting + info.getters_waiting, 0);
	get_text(w.queue, "b");
	world_end(w);
}

static void *
interrupt(void *thread)
{
	sleep_ms(50);
	shoal_thread_interrupt(thread);
	return NULL;
}

Test(queue, an_interrupt_ends_a_wait_once)
{
	struct world w = world_make(4, 0, 0);
	pthread_t t;
	int got;
	REQUIRE_EQ(pthread_create(&t, NULL, interrupt, shoal_thread_self()), 0);
	REQUIRE_EQ(shoal_queue_get(w.queue, &got, sizeof got, SHOAL_SEC(10)), -ECANCELED);
	REQUIRE_EQ(shoal_queue_get(w.queue, &got, sizeof got, SHOAL_MS(20)), -ETIMEDOUT);
	pthread_join(t, NULL);
	world_end(w);
}

/* ---- refused ---- */

Test(queue, what_is_not_made_is_null)
{
	struct world w = world_make(4, 0, 0);
	shoal_queue_options wrong = { .capacity = 1 };
	shoal_queue *q = w.queue;
	REQUIRE_EQ(shoal_queue_create(w.arena, "x", &wrong, &q), -EINVAL);
	REQUIRE(!q);
	world_end(w);
}

Test(queue, what_is_too_long_for_any_queue_tells_its_length)
{
	struct world w = world_make(4, 0, 0);
	size_t bytes = SIZE_MAX;
	shoal_loan loan;
	char byte;
	REQUIRE_EQ(shoal_queue_put(w.queue, "x", bytes, 0), -EMSGSIZE);
	REQUIRE(shoal_needed() == bytes);
	REQUIRE_EQ(shoal_queue_reserve(w.queue, --bytes, 0, &loan), -EMSGSIZE);
	REQUIRE(shoal_needed() == bytes);
	put_text(w.queue, "five");
	REQUIRE_EQ(shoal_queue_get_many(w.queue, &byte, SIZE_MAX, 1, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_needed(), 5);
	get_text(w.queue, "five");
	world_end(w);
}

/* ---- an arena without memory ---- */

enum { MESSAGE = 100000 };

/* All of it is the user's, but for two messages' worth; how many blocks. */
static int
fill_but_for_two(shoal_arena *a, void **block)
{
	void *spare[2];
	int n = 0;
	for (int i = 0; i < 2; i++)
		REQUIRE_EQ(shoal_alloc(a, MESSAGE, &spare[i]), 0);
	while (n < 64 && shoal_alloc(a, 65536, &block[n]) == 0)
		n++;
	for (int i = 0; i < 2; i++)
		shoal_free(a, spare[i]);
	return n;
}

static void
world_end_filled(struct world w, void **block, int n)
{
	while (n--)
		shoal_free(w.arena, block[n]);
	world_end(w);
}

static struct world
world_small(void)
{
	struct world w;
	shoal_arena_options o = { .limit_bytes = 1 << 20 };
	shoal_queue_options of_queue = { .capacity = 2 };
	REQUIRE_EQ(shoal_arena_create(NULL, &o, &w.arena), 0);
	REQUIRE_EQ(shoal_queue_create(w.arena, "q", &of_queue, &w.queue), 0);
	return w;
}

static int
get_late(void *queue)
{
	static char message[MESSAGE];
	sleep_ms(100);
	REQUIRE_EQ(shoal_queue_get(queue, message, MESSAGE, SHOAL_SEC(5)), MESSAGE);
	return message[MESSAGE - 1];
}

Test(queue, a_long_message_waits_for_the_room_that_brings_its_memory)
{
	static char message[MESSAGE], failed[512];
	void *block[64];
	struct world w = world_small();
	int n = fill_but_for_two(w.arena, block);
	for (int i = 0; i < 2; i++)
		REQUIRE_EQ(shoal_queue_put(w.queue, message, MESSAGE, 0), 0);
	REQUIRE_EQ(shoal_queue_put(w.queue, message, MESSAGE, 0), -EAGAIN);
	REQUIRE_EQ(shoal_queue_put(w.queue, message, MESSAGE, SHOAL_MS(20)), -ETIMEDOUT);
	pid_t pid = child(get_late, w.queue);
	message[MESSAGE - 1] = 7;
	shoal_queue *same;
	REQUIRE_EQ(shoal_queue_create(w.arena, "q", NULL, &same), -EEXIST);
	snprintf(failed, sizeof failed, "%s", shoal_error());
	REQUIRE_EQ(shoal_queue_put(w.queue, message, MESSAGE, SHOAL_SEC(10)), 0);
	REQUIRE_STR_EQ(shoal_error(), failed);
	expect_child(pid, 0, 5000);
	REQUIRE_EQ(shoal_queue_get(w.queue, message, MESSAGE, 0), MESSAGE);
	REQUIRE_EQ(shoal_queue_get(w.queue, message, MESSAGE, 0), MESSAGE);
	REQUIRE_EQ(message[MESSAGE - 1], 7);
	world_end_filled(w, block, n);
}

Test(queue, a_closed_queue_is_closed_also_where_there_is_no_memory)
{
	static char message[MESSAGE];
	void *block[64], *more[8];
	struct world w = world_small();
	int n = fill_but_for_two(w.arena, block), m = 0;
	while (shoal_alloc(w.arena, MESSAGE, &more[m]) == 0)
		m++;
	REQUIRE_EQ(shoal_queue_put(w.queue, message, MESSAGE, SHOAL_SEC(1)), -ENOMEM);
	shoal_queue_close(w.queue);
	REQUIRE_EQ(shoal_queue_put(w.queue, message, MESSAGE, 0), -EPIPE);
	while (m--)
		shoal_free(w.arena, more[m]);
	world_end_filled(w, block, n);
}

/* To copy so much out takes a getter a while, for which one waits no longer than one wants. */
#define LONGEST (UINT64_C(250) << 20)

struct longest {
	struct world w;
	void *message, *block;
};

/* Nothing is in the queue, and no run of pages is long enough for the message. */
static struct longest
longest_make(void)
{
	struct longest h;
	shoal_arena_options o = { .limit_bytes = 256 << 20 };
	h.message = mmap(NULL, LONGEST, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	REQUIRE(h.message != MAP_FAILED);
	REQUIRE_EQ(shoal_arena_create(NULL, &o, &h.w.arena), 0);
	REQUIRE_EQ(shoal_queue_create(h.w.arena, "q", NULL, &h.w.queue), 0);
	REQUIRE_EQ(shoal_alloc(h.w.arena, 8 << 20, &h.block), 0);
	return h;
}

static void
longest_end(struct longest h)
{
	shoal_free(h.w.arena, h.block);
	munmap(h.message, LONGEST);
	world_end(h.w);
}

Test(queue, a_long_message_waits_for_memory_no_longer_than_its_timeout)
{
	struct longest h = longest_make();
	int64_t best = INT64_MAX;
	for (int i = 0; i < 3; i++) {
		int64_t fair = fair_ns(), begin = now_ns();
		REQUIRE_EQ(shoal_queue_put(h.w.queue, h.message, LONGEST, SHOAL_MS(1)), -ENOMEM);
		int64_t took = now_ns() - begin, fairly = fair_ns() - fair;
		REQUIRE(took >= SHOAL_MS(1));
		best = fairly < best ? fairly : best;
	}
	REQUIRE(best < SHOAL_MS(100));
	/* Nor for ever, where nobody copies anything. */
	REQUIRE_EQ(shoal_queue_put(h.w.queue, h.message, LONGEST, SHOAL_FOREVER), -ENOMEM);
	longest_end(h);
}

Test(queue, an_interrupt_ends_a_wait_for_memory)
{
	struct longest h = longest_make();
	pthread_t t;
	int got;
	REQUIRE_EQ(pthread_create(&t, NULL, interrupt, shoal_thread_self()), 0);
	REQUIRE_EQ(shoal_queue_put(h.w.queue, h.message, LONGEST, SHOAL_SEC(10)), -ECANCELED);
	REQUIRE_EQ(shoal_queue_get(h.w.queue, &got, sizeof got, SHOAL_MS(20)), -ETIMEDOUT);
	pthread_join(t, NULL);
	longest_end(h);
}

/* ---- two who sleep for room ---- */

struct rivals {
	shoal_queue *queue;
	size_t bytes, count;
	int64_t done[2];
};

static int
put_as(struct rivals *r, int which)
{
	static char items[MESSAGE];
	ssize_t n = r->count > 1 ? shoal_queue_put_many(r->queue, items, r->bytes, r->count,
	                                                SHOAL_SEC(10))
	                         : shoal_queue_put(r->queue, items, r->bytes, SHOAL_SEC(10));
	r->done[which] = now_ns();
	return n != (r->count > 1 ? (ssize_t)r->count : 0);
}

static int
put_as_one(void *rivals)
{
	return put_as(rivals, 0);
}

static int
put_as_the_other(void *rivals)
{
	return put_as(rivals, 1);
}

/*
 * Both sleep since a moment, a full queue is emptied by a call that wakes one: how long until both
 * have put. One who is not told sleeps on for most of 50 ms.
 */
static int64_t
empty_for_both(struct rivals *r)
{
	static char got[2 * MESSAGE];
	pid_t one = child(put_as_one, r), other = child(put_as_the_other, r);
	shoal_queue_info info = { 0 };
	while (info.putters_waiting < 2) {
		usleep(100);
		REQUIRE_EQ(shoal_queue_stat(r->queue, &info), 0);
	}
	int64_t begin = now_ns();
	REQUIRE_EQ(shoal_queue_get_many(r->queue, got, r->bytes, info.capacity, 0), info.capacity);
	expect_child(one, 0, 5000);
	expect_child(other, 0, 5000);
	return (r->done[0] > r->done[1] ? r->done[0] : r->done[1]) - begin;
}

static void
both_are_told(struct rivals *r)
{
	static char got[MESSAGE];
	int64_t best = INT64_MAX;
	for (int i = 0; i < 10 && best >= SHOAL_MS(20); i++) {
		while (shoal_queue_put(r->queue, got, r->bytes, 0) == 0)
			continue;
		int64_t took = empty_for_both(r);
		best = took < best ? took : best;
		while (shoal_queue_get(r->queue, got, sizeof got, 0) >= 0)
			continue;
	}
	REQUIRE(best < SHOAL_MS(20));
}

/* The room that brought the memory is claimed at once. */
Test(queue, who_waited_for_memory_tells_the_next_one_of_room)
{
	struct world w = world_small();
	struct rivals *r = shared(sizeof *r);
	void *block[64];
	int n = fill_but_for_two(w.arena, block);
	*r = (struct rivals){ .queue = w.queue, .bytes = MESSAGE, .count = 1 };
	both_are_told(r);
	world_end_filled(w, block, n);
}

/* They slept for a group, and find single places. */
Test(queue, who_puts_many_tells_the_next_one_of_room)
{
	struct world w = world_make(32, 0, 0);
	struct rivals *r = shared(sizeof *r);
	*r = (struct rivals){ .queue = w.queue, .bytes = 8, .count = 16 };
	both_are_told(r);
	world_end(w);
}

static shoal_queue *interrupted;
static volatile int nested;

static void
handler(int signo)
{
	(void)signo;
	nested = shoal_queue_put(interrupted, "x", 1, 0);
}

/*
 * The handler runs inside the wait of a get: its own call is refused, and the get goes on to its
 * deadline.
 */
Test(queue, signals_neither_cut_a_wait_short_nor_nest)
{
	struct world w = world_make(4, 0, 0);
	struct sigaction act = { .sa_handler = handler };
	struct itimerval { struct { long s, us; } interval, value; };
	int got;
	interrupted = w.queue;
	sigaction(SIGALRM, &act, NULL);
	timer_t timer;
	struct itimerspec every = { { 0, 10000000 }, { 0, 10000000 } };
	REQUIRE_EQ(timer_create(CLOCK_MONOTONIC, NULL, &timer), 0);
	REQUIRE_EQ(timer_settime(timer, 0, &every, NULL), 0);
	int64_t begin = now_ns();
	REQUIRE_EQ(shoal_queue_get(w.queue, &got, sizeof got, SHOAL_MS(150)), -ETIMEDOUT);
	REQUIRE(now_ns() - begin >= SHOAL_MS(150));
	timer_delete(timer);
	REQUIRE_EQ(nested, -EDEADLK);
	world_end(w);
}
