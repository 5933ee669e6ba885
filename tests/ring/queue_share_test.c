/* What a queue does between processes and threads. */
#include "queue_common.h"
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MESSAGES = 20000 };

struct job {
	struct world w;
	int id, messages, producers;
	uint64_t *sums;
	size_t bytes;
};

static int
produce(void *arg)
{
	struct job *j = arg;
	uint64_t message[64] = { 0 };
	for (uint64_t i = 1; i <= (uint64_t)j->messages; i++) {
		message[0] = (uint64_t)j->id << 32 | i;
		message[j->bytes / 8 - 1] = message[0];
		REQUIRE_EQ(shoal_queue_put(j->w.queue, message, j->bytes, SHOAL_SEC(20)), 0);
	}
	return 0;
}

static int
consume(void *arg)
{
	struct job *j = arg;
	uint64_t message[64], last[16] = { 0 };
	ssize_t n;
	while ((n = shoal_queue_get(j->w.queue, message, sizeof message, SHOAL_SEC(20))) >= 0) {
		uint64_t from = message[0] >> 32, i = message[0] & 0xffffffff;
		REQUIRE_EQ(n, (ssize_t)j->bytes);
		REQUIRE_EQ(message[j->bytes / 8 - 1], message[0]);
		REQUIRE(i > last[from]);
		last[from] = i;
		j->sums[j->id] += i;
	}
	REQUIRE_EQ(n, -EPIPE);
	return 0;
}

static void
run(int producers, int consumers, size_t bytes, uint32_t capacity)
{
	struct world w = world_make(capacity, 0, 0);
	uint64_t *sums = shared(4096), total = 0;
	struct job job[16];
	pid_t pid[16];
	int messages = MESSAGES / producers / HARNESS_SLOW;
	for (int i = 0; i < producers + consumers; i++) {
		job[i] = (struct job){ w, i, messages, producers, sums, bytes };
		pid[i] = child(i < producers ? produce : consume, &job[i]);
	}
	for (int i = 0; i < producers; i++)
		expect_child(pid[i], 0, 20000);
	shoal_queue_close(w.queue);
	for (int i = producers; i < producers + consumers; i++)
		expect_child(pid[i], 0, 20000);
	for (int i = 0; i < 16; i++)
		total += sums[i];
	REQUIRE_EQ(total, (uint64_t)producers * messages * (messages + 1) / 2);
	world_end(w);
}

Test(queue_share, one_to_one)
{
	run(1, 1, 8, 64);
}

Test(queue_share, four_to_four_in_a_tiny_ring)
{
	run(4, 4, 48, 2);
}

Test(queue_share, messages_in_blocks_between_three_and_three)
{
	run(3, 3, 256, 16);
}

static void *
produce_in_thread(void *arg)
{
	produce(arg);
	return NULL;
}

static void *
consume_in_thread(void *arg)
{
	consume(arg);
	return NULL;
}

/* One mapping, so that a race detector sees it. */
Test(queue_share, threads_of_one_process)
{
	struct world w = world_make(16, 0, 0);
	uint64_t sums[16] = { 0 };
	struct job job[6];
	pthread_t thread[6];
	int messages = MESSAGES / 4;
	for (int i = 0; i < 6; i++) {
		job[i] = (struct job){ w, i, messages, 3, sums, i & 1 ? 8 : 8 };
		pthread_create(&thread[i], NULL, i < 3 ? produce_in_thread : consume_in_thread, &job[i]);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	shoal_queue_close(w.queue);
	for (int i = 3; i < 6; i++)
		pthread_join(thread[i], NULL);
	REQUIRE_EQ(sums[3] + sums[4] + sums[5], (uint64_t)3 * messages * (messages + 1) / 2);
	world_end(w);
}

static int
sleep_in_get(void *arg)
{
	struct world *w = arg;
	int got;
	return shoal_queue_get(w->queue, &got, sizeof got, SHOAL_SEC(20)) == sizeof got ? got : 100;
}

static void
await_sleepers(shoal_queue *q, uint32_t getters, uint32_t putters)
{
	shoal_queue_info info;
	for (int i = 0; i < 2000; i++) {
		REQUIRE_EQ(shoal_queue_stat(q, &info), 0);
		if (info.getters_waiting == getters && info.putters_waiting == putters)
			return;
		sleep_ms(2);
	}
	REQUIRE(!"they sleep");
}

Test(queue_share, each_sleeping_getter_is_woken)
{
	struct world w = world_make(8, 0, 0);
	pid_t pid[3];
	for (int i = 0; i < 3; i++)
		pid[i] = child(sleep_in_get, &w);
	await_sleepers(w.queue, 3, 0);
	for (int i = 0, seven = 7; i < 3; i++)
		REQUIRE_EQ(shoal_queue_put(w.queue, &seven, sizeof seven, 0), 0);
	for (int i = 0; i < 3; i++)
		expect_child(pid[i], 7, 5000);
	world_end(w);
}

static int
sleep_in_put(void *arg)
{
	struct world *w = arg;
	return -shoal_queue_put(w->queue, "late", 5, SHOAL_SEC(20));
}

Test(queue_share, a_sleeping_putter_is_woken_by_a_get_and_by_close)
{
	struct world w = world_make(2, 0, 0);
	put_text(w.queue, "a");
	put_text(w.queue, "b");
	pid_t first = child(sleep_in_put, &w);
	await_sleepers(w.queue, 0, 1);
	get_text(w.queue, "a");
	expect_child(first, 0, 5000);
	pid_t second = child(sleep_in_put, &w);
	await_sleepers(w.queue, 0, 1);
	shoal_queue_close(w.queue);
	expect_child(second, EPIPE, 5000);
	get_text(w.queue, "b");
	get_text(w.queue, "late");
	world_end(w);
}

Test(queue_share, destroy_ends_the_waits_on_it)
{
	struct world w = world_make(2, 0, 0);
	pid_t pid = child(sleep_in_get, &w);
	await_sleepers(w.queue, 1, 0);
	REQUIRE_EQ(shoal_queue_destroy(w.arena, w.queue), 0);
	expect_child(pid, 100, 5000);
	REQUIRE_EQ(shoal_queue_create(w.arena, "q", NULL, &w.queue), 0);
	world_end(w);
}

static int
open_late(void *arg)
{
	struct world *w = arg;
	shoal_queue *q;
	return -shoal_queue_open(w->arena, "late", SHOAL_SEC(10), &q);
}

Test(queue_share, open_waits_for_the_creator)
{
	struct world w = world_make(2, 0, 0);
	shoal_queue *late;
	pid_t pid = child(open_late, &w);
	sleep_ms(50);
	REQUIRE_EQ(shoal_queue_create(w.arena, "late", NULL, &late), 0);
	expect_child(pid, 0, 5000);
	REQUIRE_EQ(shoal_queue_destroy(w.arena, late), 0);
	world_end(w);
}

/* ---- known by its address ---- */

struct told {
	shoal_arena *arena;
	shoal_queue *volatile at;
	volatile int step;
};

static void
wait_for(const struct told *t, int step)
{
	for (int i = 0; i < 5000 && t->step < step; i++)
		sleep_ms(1);
	REQUIRE(t->step >= step);
}

static int
put_to_the_next_one(void *arg)
{
	struct told *t = arg;
	shoal_queue *first;
	REQUIRE_EQ(shoal_queue_open(t->arena, "first", 0, &first), 0);
	t->step = 1;
	wait_for(t, 2);
	REQUIRE(t->at == first);
	put_text(t->at, "from afar");
	return 0;
}

/* Where the one was that another process had opened itself. */
Test(queue_share, a_queue_that_another_process_told_of_is_the_one_that_is_there)
{
	struct world w = world_make(4, 0, 0);
	struct told *t = shared(sizeof *t);
	shoal_queue *q;
	t->arena = w.arena;
	REQUIRE_EQ(shoal_queue_create(w.arena, "first", NULL, &q), 0);
	pid_t pid = child(put_to_the_next_one, t);
	wait_for(t, 1);
	REQUIRE_EQ(shoal_queue_destroy(w.arena, q), 0);
	REQUIRE_EQ(shoal_queue_create(w.arena, NULL, NULL, &q), 0);
	t->at = q;
	t->step = 2;
	expect_child(pid, 0, 5000);
	get_text(q, "from afar");
	REQUIRE_EQ(shoal_queue_destroy(w.arena, q), 0);
	world_end(w);
}

/* ---- a place that is free, and no memory ---- */

/* Longer than what is left of the arena's memory; who puts it waits for that for some time. */
#define LONGEST (UINT64_C(250) << 20)
/* Far below the slice after which a sleeper looks. On a busy machine it may take several tries. */
#define AT_ONCE_NS (SHOAL_MS(10) * HARNESS_SLOW)
enum { TRIES = 8 };

struct short_put {
	shoal_queue *queue;
	const void *longest;
	int64_t at;
};

static void *
put_longest(void *arg)
{
	struct short_put *s = arg;
	REQUIRE_EQ(shoal_queue_put(s->queue, s->longest, LONGEST, SHOAL_SEC(10)), -ENOMEM);
	return NULL;
}

static void *
put_short(void *arg)
{
	struct short_put *s = arg;
	REQUIRE_EQ(shoal_queue_put(s->queue, "c", 2, SHOAL_SEC(10)), 0);
	s->at = fair_ns();
	return NULL;
}

static void
wait_for_sleepers(const shoal_queue *q, uint32_t count)
{
	shoal_queue_info info = { 0 };
	for (int i = 0; i < 50000 && info.putters_waiting < count; i++) {
		REQUIRE_EQ(shoal_queue_stat(q, &info), 0);
		usleep(100);
	}
	REQUIRE_EQ(info.putters_waiting, count);
}

/* The long one sleeps first and is woken first; it is told of the place, and cannot use it. */
static int64_t
put_beside_the_longest(struct short_put *s)
{
	pthread_t thread[2];
	put_text(s->queue, "a");
	put_text(s->queue, "b");
	REQUIRE_EQ(pthread_create(&thread[0], NULL, put_longest, s), 0);
	wait_for_sleepers(s->queue, 1);
	REQUIRE_EQ(pthread_create(&thread[1], NULL, put_short, s), 0);
	wait_for_sleepers(s->queue, 2);
	int64_t began = fair_ns();
	get_text(s->queue, "a");
	REQUIRE_EQ(pthread_join(thread[1], NULL), 0);
	get_text(s->queue, "b");
	REQUIRE_EQ(pthread_join(thread[0], NULL), 0);
	get_text(s->queue, "c");
	return s->at - began;
}

Test(queue_share, who_waits_for_memory_leaves_the_place_to_another)
{
	shoal_arena_options o = { .limit_bytes = 256 << 20 };
	shoal_queue_options small = { .capacity = 2 };
	int64_t best = INT64_MAX;
	struct world w;
	void *block;
	REQUIRE_EQ(shoal_arena_create(NULL, &o, &w.arena), 0);
	REQUIRE_EQ(shoal_queue_create(w.arena, NULL, &small, &w.queue), 0);
	REQUIRE_EQ(shoal_alloc(w.arena, 8 << 20, &block), 0);
	struct short_put s = { .queue = w.queue };
	s.longest = mmap(NULL, LONGEST, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	REQUIRE(s.longest != MAP_FAILED);
	for (int i = 0; i < TRIES && best >= AT_ONCE_NS; i++) {
		int64_t took = put_beside_the_longest(&s);
		best = took < best ? took : best;
	}
	REQUIRE(best < AT_ONCE_NS);
	munmap((void *)(uintptr_t)s.longest, LONGEST);
	shoal_free(w.arena, block);
	world_end(w);
}

/* ---- a child that nothing but its first call tells of the fork ---- */

static int
die_in_the_second_get(void *arg)
{
	struct world w = *(struct world *)arg;
	char c;
	void *untouchable = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(untouchable != MAP_FAILED);
	REQUIRE_EQ(shoal_queue_put(w.queue, "b", 1, 0), 0);
	REQUIRE_EQ(shoal_queue_get(w.queue, &c, 1, 0), 1);
	REQUIRE_EQ(shoal_queue_put(w.queue, "c", 1, 0), 0);
	signal(SIGSEGV, SIG_DFL);
	return (int)shoal_queue_get(w.queue, untouchable, 4096, 0);
}

/* What its parent used last is not the child's: it would take in the name of one who lives on. */
Test(queue_share, a_child_takes_in_its_own_name_from_the_second_call_on,
     .disabled = NOT_SEEN_BY_TSAN)
{
	struct world w = world_make(4, 0, 0);
	char c;
	for (int i = 0; i < 6; i++) {
		REQUIRE_EQ(shoal_queue_put(w.queue, "a", 1, 0), 0);
		REQUIRE_EQ(shoal_queue_size(w.queue), 1);
		REQUIRE_EQ(shoal_queue_get(w.queue, &c, 1, 0), 1);
	}
	expect_killed(untold_child(die_in_the_second_get, &w), SIGSEGV, 5000);
	for (int i = 0; i < 12; i++) {
		REQUIRE_EQ(shoal_queue_put(w.queue, "d", 1, SHOAL_SEC(5)), 0);
		REQUIRE_EQ(shoal_queue_get(w.queue, &c, 1, SHOAL_SEC(5)), 1);
		REQUIRE_EQ(c, 'd');
	}
	world_end(w);
}
