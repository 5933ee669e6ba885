/* Iterators that begin, and are freed, while something else goes on. */
#include "pool/common.h"
#include "pool/pool.h"
#include "steps.h"
#include <limits.h>
#include <malloc.h>
#include <pthread.h>

static _Atomic int *go;

/* Items below 3 end at once, the others when they are told to. */
static int
end_when_told(shoal_task *t)
{
	while (t->index >= 3 && !atomic_load(go))
		sleep_ms(1);
	*(int *)t->out = (int)t->index;
	return 0;
}

enum { ITEMS = 6, AT_COUNT = 1 << 30 };

#if HAS_STEPS

static const shoal_map_options all_at_once = { .chunk = 1, .window = ITEMS };

/* ---- stopped at each instruction ---- */

static void
at_each_instruction(bool (*meanwhile)(unsigned n), unsigned most)
{
	mallopt(M_PERTURB, 0x5a);
	meanwhile(UINT_MAX);
	unsigned stride = steps.done / most + 1;
	for (unsigned n = 0; meanwhile(n); n += stride)
		continue;
}

static void
free_it(void *results)
{
	shoal_results_free(results);
}

/* The pool's own thread takes in what ends. */
static void
let_them_end(void)
{
	atomic_store(go, 1);
	sleep_ms(4);
}

/* What is freed goes through the grave, which is emptied for every 64. */
static bool
freed_while_they_end(unsigned n)
{
	shoal_results *it;
	shoal_pool *p = pool_of(ITEMS);
	shoal_pool_info info = { 0 };
	atomic_store(go, 0);
	REQUIRE_EQ(shoal_pool_imap_unordered(p, end_when_told, NULL, 0, sizeof(int), ITEMS,
	                                     &all_at_once, &it), 0);
	while (info.tasks_done < 3)
		REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	bool came = steps_into(free_it, it, n, let_them_end);
	atomic_store(go, 1);
	for (int i = 0; i < 64; i++)
		REQUIRE_EQ(value_of(p, square, i), i * i);
	finish(p);
	return came;
}

Test(pool_results, an_iterator_is_freed_while_its_batches_end, .timeout = HARNESS_TIMEOUT * 2)
{
	go = shared(sizeof *go);
	at_each_instruction(freed_while_they_end, 80);
}

static struct {
	shoal_pool *pool;
	_Atomic int close;
	shoal_results *it;
	int rc;
} scene;

static void *
close_when_told(void *arg)
{
	while (!atomic_load(&scene.close))
		sched_yield();
	REQUIRE_EQ(shoal_pool_close(scene.pool), 0);
	return arg;
}

static void
let_it_close(void)
{
	atomic_store(&scene.close, 1);
	sleep_ms(4);
}

static void
begin_it(void *arg)
{
	scene.rc = shoal_pool_imap(scene.pool, end_when_told, NULL, 0, sizeof(int), ITEMS, NULL,
	                           &scene.it);
	(void)arg;
}

/* It is refused, or comes to its end, as the pool does. AT_COUNT: just before it is counted. */
static bool
begun_while_it_closes(unsigned n)
{
	int value;
	size_t index;
	pthread_t thread;
	shoal_pool *p = scene.pool = pool_of(2);
	atomic_store(&scene.close, 0);
	pthread_create(&thread, NULL, close_when_told, NULL);
	bool came = n == AT_COUNT
	                ? steps_into_call(begin_it, NULL, (void (*)(void))pool_count, let_it_close)
	                : steps_into(begin_it, NULL, n, let_it_close);
	atomic_store(&scene.close, 1);
	REQUIRE(scene.rc == 0 || scene.rc == -EPIPE);
	for (size_t i = 0; scene.rc == 0 && i < ITEMS; i++) {
		REQUIRE_EQ(shoal_results_next(scene.it, &index, &value, sizeof value, SHOAL_SEC(10)),
		           sizeof value);
		REQUIRE_EQ(value, i);
	}
	shoal_results_free(scene.it);
	pthread_join(thread, NULL);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(10)), 0);
	shoal_pool_destroy(p);
	return came;
}

Test(pool_results, an_iterator_begins_while_its_pool_is_closed, .timeout = HARNESS_TIMEOUT * 2)
{
	go = shared(sizeof *go);
	atomic_store(go, 1);
	REQUIRE(begun_while_it_closes(AT_COUNT));
	at_each_instruction(begun_while_it_closes, 40);
}

#endif

/* ---- join ---- */

static void *
next_value(void *it)
{
	static int value;
	size_t index;
	REQUIRE_EQ(shoal_results_next(it, &index, &value, sizeof value, SHOAL_SEC(10)), sizeof value);
	return &value;
}

/* One who waits for a place to send has the iterator meanwhile. */
Test(pool_results, join_does_not_wait_longer_than_it_may_for_who_sends)
{
	void *value;
	pthread_t thread;
	shoal_results *it;
	shoal_pool *p = pool_with(&(shoal_pool_options){ .workers = 1, .queue_depth = 1 });
	go = shared(sizeof *go);
	shoal_result *long_one = sent(p, nap, 500);
	REQUIRE_EQ(shoal_pool_imap(p, end_when_told, NULL, 0, sizeof(int), 1, NULL, &it), 0);
	pthread_create(&thread, NULL, next_value, it);
	sleep_ms(50);
	REQUIRE_EQ(shoal_pool_close(p), 0);
	int64_t began = fair_ns();
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_NOWAIT), -EAGAIN);
	REQUIRE(fair_ns() - began < SHOAL_MS(100) * HARNESS_SLOW);
	REQUIRE(!shoal_result_ready(long_one));
	pthread_join(thread, &value);
	REQUIRE_EQ(*(int *)value, 0);
	shoal_results_free(it);
	shoal_result_free(long_one);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(10)), 0);
	shoal_pool_destroy(p);
}
