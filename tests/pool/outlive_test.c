/* Results and callbacks that come after their pool's end, or while it goes. */
#include "pool/common.h"
#include "steps.h"
#include <limits.h>
#include <malloc.h>
#include <pthread.h>

static _Atomic int calls, go;

static void
block(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	(void)arg, (void)code, (void)out, (void)out_bytes, (void)error;
	atomic_fetch_add(&calls, 1);
	while (!atomic_load(&go))
		sleep_ms(1);
}

static void
count(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	(void)code, (void)out, (void)out_bytes, (void)error;
	atomic_fetch_add((_Atomic int *)arg, 1);
}

static shoal_result *
blocked_one(shoal_pool *p)
{
	shoal_result *r;
	int before = atomic_load(&calls);
	REQUIRE_EQ(shoal_pool_apply_async(p, square, &(int){ 1 }, sizeof(int), block, NULL, &r), 0);
	while (atomic_load(&calls) == before)
		sleep_ms(1);
	return r;
}

/* ---- stopped at each instruction ---- */

#if HAS_STEPS

static _Atomic int destroyed;

/*
 * At one instruction the callback goes on, so the pool ends here, as far as it can. From there on
 * nothing is stepped: liburcu's grace periods have signals blocked.
 */
static void
go_on(void)
{
	atomic_store(&go, 1);
	for (int i = 0; i < 10 && !atomic_load(&destroyed); i++)
		sleep_ms(1);
}

static void *
destroy(void *pool)
{
	shoal_pool_destroy(pool);
	atomic_store(&destroyed, 1);
	return NULL;
}

/* Whether the pool was to go at an instruction that there is. */
static bool
gone_meanwhile(void (*use)(void *result), unsigned n)
{
	pthread_t thread;
	shoal_result *late;
	shoal_pool *p = pool_of(1);
	_Atomic int came = 0;
	atomic_store(&go, 0);
	atomic_store(&destroyed, 0);
	shoal_result *blocked = blocked_one(p);
	shoal_result_ready(blocked); /* This thread is liburcu's from here on, as in any program. */
	REQUIRE_EQ(shoal_pool_apply_async(p, square, &(int){ 2 }, sizeof(int), count, &came, &late), 0);
	REQUIRE_EQ(shoal_pool_terminate(p), 0);
	pthread_create(&thread, NULL, destroy, p);
	bool gone = steps_into(use, late, n, go_on);
	atomic_store(&go, 1);
	pthread_join(thread, NULL);
	shoal_result_free(blocked);
	return gone;
}

static void
at_each_instruction(void (*use)(void *result), unsigned most)
{
	mallopt(M_PERTURB, 0x5a);
	gone_meanwhile(use, UINT_MAX);
	unsigned stride = steps.done / most + 1;
	for (unsigned n = 0; gone_meanwhile(use, n); n += stride)
		continue;
}

static void
free_it(void *result)
{
	shoal_result_free(result);
}

Test(pool_outlive, a_result_is_freed_while_its_pool_goes, .timeout = HARNESS_TIMEOUT * 2)
{
	at_each_instruction(free_it, 160);
}

static void
ask(void *result)
{
	shoal_result *r = result;
	shoal_result_ready(r);
	shoal_result_cancel(r);
	shoal_result_wait(r, 0);
	shoal_result_free(r);
}

Test(pool_outlive, a_result_is_asked_for_while_its_pool_goes, .timeout = HARNESS_TIMEOUT * 2)
{
	at_each_instruction(ask, 100);
}

#endif

/* ---- late ---- */

enum { LARGE = 64 << 20 };

static int
answer_largely(shoal_task *t)
{
	char *bytes = calloc(1, LARGE);
	int rc = bytes ? shoal_task_reply(t, bytes, LARGE) : -ENOMEM;
	free(bytes);
	return rc;
}

/* A result counts as done before it is copied, and the workers end in less time than that takes. */
Test(pool_outlive, a_result_on_its_way_at_the_end_has_its_callback)
{
	shoal_pool_info info = { 0 };
	shoal_pool *p = pool_of(1);
	shoal_result *r;
	_Atomic int came = 0;
	REQUIRE_EQ(shoal_pool_apply_async(p, answer_largely, NULL, 0, count, &came, &r), 0);
	while (!info.tasks_done)
		REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	REQUIRE_EQ(shoal_pool_terminate(p), 0);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(atomic_load(&came), 1);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, 0), -EMSGSIZE);
	REQUIRE_EQ(shoal_needed(), LARGE);
	shoal_pool_destroy(p);
	shoal_result_free(r);
}

static int
sum_later(shoal_task *t)
{
	const unsigned char *bytes = t->in;
	int sum = 0;
	sleep_ms(100);
	for (size_t i = 0; i < t->in_bytes; i++)
		sum += bytes[i];
	return shoal_task_reply(t, &sum, sizeof sum);
}

/* Its memory is another task's when all has come back, although its callback has not come yet. */
Test(pool_outlive, a_map_that_waits_for_its_callback_is_over)
{
	enum { COUNT = 1000, TASKS = 20 };
	static int in[COUNT], out[COUNT];
	static char zeros[sizeof in * 3];
	shoal_pool_info info = { 0 };
	shoal_pool *p = pool_of(2);
	shoal_result *map, *blocked = blocked_one(p), *tasks[TASKS];
	_Atomic int came = 0;
	REQUIRE_EQ(shoal_pool_map_async(p, square, in, sizeof *in, out, sizeof *out, COUNT, NULL,
	                                count, &came, &map), 0);
	while (info.tasks_done < COUNT + 1)
		REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	sleep_ms(50);
	for (int i = 0; i < TASKS; i++)
		REQUIRE_EQ(shoal_pool_apply_async(p, sum_later, zeros, sizeof zeros, NULL, NULL,
		                                  &tasks[i]), 0);
	REQUIRE_EQ(shoal_result_cancel(map), -EALREADY);
	REQUIRE_EQ(atomic_load(&came), 0);
	atomic_store(&go, 1);
	for (int i = 0; i < TASKS; i++) {
		REQUIRE_EQ(gotten(tasks[i]), 0);
		shoal_result_free(tasks[i]);
	}
	REQUIRE_EQ(shoal_result_get(map, NULL, 0, SHOAL_SEC(10)), 0);
	REQUIRE_EQ(atomic_load(&came), 1);
	shoal_result_free(map);
	shoal_result_free(blocked);
	finish(p);
}

/* ---- begun while the pool ends ---- */

static shoal_pool *ending;

static void *
send_until_refused(void *came)
{
	int n = 1;
	int64_t sent_ones = 0;
	while (shoal_pool_apply_async(ending, square, &n, sizeof n, count, came, NULL) == 0)
		sent_ones++;
	return (void *)(intptr_t)sent_ones;
}

/* Each task that was taken has its callback, whichever way the pool ends under it. */
Test(pool_outlive, tasks_begun_while_the_pool_ends_have_their_callbacks)
{
	for (int round = 0; round < 30; round++) {
		pthread_t thread[3];
		_Atomic int came = 0;
		int64_t sent_ones = 0;
		ending = pool_of(1);
		for (int i = 0; i < 3; i++)
			pthread_create(&thread[i], NULL, send_until_refused, &came);
		sleep_ms(round % 5);
		if (round % 2)
			REQUIRE_EQ(shoal_pool_terminate(ending), 0);
		else
			REQUIRE_EQ(shoal_pool_close(ending), 0);
		for (int i = 0; i < 3; i++) {
			void *own;
			pthread_join(thread[i], &own);
			sent_ones += (intptr_t)own;
		}
		REQUIRE_EQ(shoal_pool_join(ending, SHOAL_SEC(10)), 0);
		REQUIRE_EQ(atomic_load(&came), sent_ones);
		shoal_pool_destroy(ending);
	}
}
