/* What becomes of maps that are given up: cancelled, or freed before they have ended. */
#include "pool/common.h"
#include "pool/map.h"
#include <pthread.h>

static _Atomic int *turns;

/* The only worker is at this. */
static int
hold_the_worker(shoal_task *t)
{
	(void)t;
	atomic_store(turns, 1);
	while (!atomic_load(let_in))
		sleep_ms(1);
	return 0;
}

static shoal_pool *
busy_pool(shoal_result **busy)
{
	turns = shared(sizeof *turns);
	let_in = shared(sizeof *let_in);
	shoal_pool *p = pool_of(1);
	*busy = sent(p, hold_the_worker, 0);
	while (!atomic_load(turns))
		sleep_ms(1);
	return p;
}

static void
let_go(shoal_result *busy)
{
	atomic_store(let_in, 1);
	REQUIRE_EQ(shoal_result_get(busy, NULL, 0, SHOAL_SEC(10)), 0);
	shoal_result_free(busy);
}

static int
nothing(shoal_task *t)
{
	(void)t;
	return 0;
}

static shoal_result *
long_map(shoal_pool *p, size_t count, size_t chunk)
{
	shoal_result *r;
	shoal_map_options o = { .chunk = chunk };
	REQUIRE_EQ(shoal_pool_map_async(p, nothing, NULL, 0, NULL, 0, count, &o, NULL, NULL, &r), 0);
	return r;
}

/* ---- its chunks ---- */

static int
then_wait(void *arg)
{
	return atomic_fetch_add(turns, 1) ? wait_outside(arg) : 0;
}

enum { FAILS = 11, DIES = 13, ITEMS = 30 };

static int
fail_or_die(shoal_task *t)
{
	if (t->context && t->index == FAILS)
		return -EDOM;
	if (t->index == DIES)
		raise(SIGKILL);
	*(int *)t->out = (int)t->index + 1;
	return 0;
}

static int
fail_all(shoal_task *t)
{
	(void)t;
	return -EIO;
}

static int
expected(int i, bool fails, shoal_death_policy policy)
{
	if (i == DIES && policy == SHOAL_FAIL_TASK)
		return -EOWNERDEAD;
	return i >= DIES ? -ECANCELED : fails && i == FAILS ? -EDOM : 0;
}

/* The next worker does not come in before the map is cancelled. */
static void
require_its_ends_kept(bool fails, shoal_death_policy policy)
{
	int out[ITEMS], codes[ITEMS];
	shoal_result *r;
	shoal_pool_info info, before;
	turns = shared(sizeof *turns);
	let_in = shared(sizeof *let_in);
	shoal_map_options o = { .chunk = 10, .codes = codes };
	shoal_pool *p = pool_with(&(shoal_pool_options){
		.workers = 1, .initializer = then_wait, .on_death = policy,
		.context = fails ? &turns : NULL });
	/* What it leaves in its memory another one's items must not have for their codes. */
	REQUIRE_EQ(shoal_pool_map(p, fail_all, NULL, 0, out, sizeof *out, ITEMS, &o), ITEMS);
	REQUIRE_EQ(shoal_pool_stat(p, &before), 0);
	memset(out, -1, sizeof out);
	REQUIRE_EQ(shoal_pool_map_async(p, fail_or_die, NULL, 0, out, sizeof *out, ITEMS, &o, NULL,
	                                NULL, &r), 0);
	until_stat(p, 1, 1);
	REQUIRE_EQ(shoal_result_cancel(r), 0);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)), ITEMS - DIES + fails);
	for (int i = 0; i < ITEMS; i++) {
		REQUIRE_EQ(codes[i], expected(i, fails, policy));
		REQUIRE_EQ(out[i], codes[i] ? -1 : i + 1);
	}
	REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
	REQUIRE_EQ(info.tasks_done - before.tasks_done, DIES - fails);
	REQUIRE_EQ(info.tasks_failed - before.tasks_failed, fails + (policy == SHOAL_FAIL_TASK));
	shoal_result_free(r);
	atomic_store(let_in, 1);
	finish(p);
}

Test(pool_cancel, what_had_ended_of_a_dead_workers_chunk_stands)
{
	require_its_ends_kept(false, SHOAL_RETRY_TASK);
	require_its_ends_kept(true, SHOAL_RETRY_TASK);
	require_its_ends_kept(false, SHOAL_FAIL_TASK);
	require_its_ends_kept(true, SHOAL_FAIL_TASK);
}

/* ---- what it costs ---- */

/* Bytes of shared memory that this process has touched. */
static int64_t
touched(void)
{
	long all, resident, of_shared;
	FILE *f = fopen("/proc/self/statm", "r");
	REQUIRE(f && fscanf(f, "%ld %ld %ld", &all, &resident, &of_shared) == 3);
	fclose(f);
	return (int64_t)of_shared * sysconf(_SC_PAGESIZE);
}

/* Of items that were never begun nothing is written, since nothing is to be told of each. */
Test(pool_cancel, it_is_given_up_by_chunks_not_by_items)
{
	enum { COUNT = 4 << 20 };
	shoal_result *busy;
	shoal_pool *p = busy_pool(&busy);
	for (int freed = 0; freed < 2; freed++) {
		shoal_result *r = long_map(p, COUNT, 0);
		int64_t before = touched();
		if (freed) {
			shoal_result_free(r);
		} else {
			REQUIRE_EQ(shoal_result_cancel(r), 0);
			REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)), COUNT);
			shoal_result_free(r);
		}
		REQUIRE(touched() - before < (int64_t)(COUNT * sizeof(int) / 4));
	}
	let_go(busy);
	finish(p);
}

static struct {
	shoal_pool *pool;
	_Atomic int over;
	int64_t longest; /* that the lock was held */
} watch;

static void *
watch_the_lock(void *unused)
{
	int64_t since = 0;
	(void)unused;
	while (!atomic_load(&watch.over)) {
		if (!pthread_mutex_trylock(&watch.pool->lock)) {
			pthread_mutex_unlock(&watch.pool->lock);
			since = 0;
			continue;
		}
		int64_t now = fair_ns();
		since = since ? since : now;
		if (now - since > watch.longest)
			watch.longest = now - since;
	}
	return NULL;
}

/* How long it took to give up so many chunks, and how long others were kept waiting meanwhile. */
static int64_t
give_up(bool freed)
{
	enum { COUNT = 2 << 20 };
	pthread_t thread;
	shoal_result *r = long_map(watch.pool, COUNT, 1);
	watch.longest = 0;
	atomic_store(&watch.over, 0);
	REQUIRE_EQ(pthread_create(&thread, NULL, watch_the_lock, NULL), 0);
	sleep_ms(5);
	int64_t began = fair_ns();
	if (freed)
		shoal_result_free(r);
	else
		REQUIRE_EQ(shoal_result_cancel(r), 0);
	int64_t took = fair_ns() - began;
	atomic_store(&watch.over, 1);
	pthread_join(thread, NULL);
	if (!freed)
		shoal_result_free(r);
	return took;
}

Test(pool_cancel, others_go_on_while_many_chunks_are_given_up)
{
	shoal_result *busy;
	watch.pool = busy_pool(&busy);
	for (int freed = 0; freed < 2; freed++) {
		bool held = true;
		/* One who has the lock may lose the processor; where it is not held so long, not always. */
		for (int i = 0; held && i < 20; i++) {
			int64_t took = give_up(freed);
			held = watch.longest > took / 4;
		}
		REQUIRE(!held);
	}
	let_go(busy);
	finish(watch.pool);
}

static struct map *
retired(shoal_pool *p)
{
	pthread_mutex_lock(&p->lock);
	struct map *m = p->retired;
	pthread_mutex_unlock(&p->lock);
	return m;
}

static void *
cancel(void *result)
{
	REQUIRE_EQ(shoal_result_cancel(result), 0);
	atomic_store(&watch.over, 1);
	return NULL;
}

/* As when the collector is just taking it in. */
Test(pool_cancel, one_that_another_thread_takes_in_is_over_as_well)
{
	pthread_t thread;
	shoal_result *busy;
	shoal_pool *p = busy_pool(&busy);
	shoal_result *r = long_map(p, 100, 10);
	store_seq_cst(&r->map->taking, MAP_TAKING);
	REQUIRE_EQ(pthread_create(&thread, NULL, cancel, r), 0);
	while (!load_acquire(map_complete(r->map)))
		sleep_ms(1);
	sleep_ms(20);
	REQUIRE(!atomic_load(&watch.over));
	store_seq_cst(&r->map->taking, MAP_LEFT);
	map_harvest(p, r->map);
	pthread_join(thread, NULL);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, 0), 100);
	shoal_result_free(r);
	let_go(busy);
	finish(p);
}

/* Another thread is still at its chunks, of which it found none any more. */
Test(pool_cancel, its_memory_stays_while_somebody_gives_it_up)
{
	shoal_result *busy;
	shoal_pool *p = busy_pool(&busy);
	shoal_result *r = long_map(p, 100, 10);
	struct map *m = r->map;
	fetch_add_seq_cst(&m->users, 1);
	REQUIRE_EQ(shoal_result_cancel(r), 0);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)), 100);
	map_bury_retired(p);
	REQUIRE(retired(p) == m);
	fetch_add_seq_cst(&m->users, -1u);
	map_bury_retired(p);
	REQUIRE(!retired(p));
	shoal_result_free(r);
	let_go(busy);
	finish(p);
}

static pthread_barrier_t both_begin;

static void *
cancel_with_another(void *result)
{
	pthread_barrier_wait(&both_begin);
	int rc = shoal_result_cancel(result);
	REQUIRE(rc == 0 || rc == -EALREADY);
	REQUIRE(shoal_result_ready(result));
	return NULL;
}

Test(pool_cancel, who_cancels_beside_another_one_finds_it_over_too)
{
	pthread_t thread;
	shoal_result *busy;
	shoal_pool *p = busy_pool(&busy);
	pthread_barrier_init(&both_begin, NULL, 2);
	for (int i = 0; i < 10; i++) {
		shoal_result *r = long_map(p, 1 << 19, 1);
		REQUIRE_EQ(pthread_create(&thread, NULL, cancel_with_another, r), 0);
		cancel_with_another(r);
		pthread_join(thread, NULL);
		shoal_result_free(r);
	}
	pthread_barrier_destroy(&both_begin);
	let_go(busy);
	finish(p);
}

/* ---- which text it has ---- */

/* The first is held, and all that follow the one that fails. */
static int
held_but_the_eighth(shoal_task *t)
{
	if (t->index == 8)
		return shoal_task_fail(t, "the eighth"), -EIO;
	if (t->index && t->index < 8)
		return 0;
	atomic_fetch_add(turns, 1);
	return wait_outside(NULL);
}

/* The first that failed is one that was not begun, or said nothing. */
Test(pool_cancel, an_item_that_was_not_begun_has_no_others_text)
{
	int codes[16];
	shoal_result *r;
	shoal_map_options o = { .chunk = 1, .codes = codes };
	turns = shared(sizeof *turns);
	let_in = shared(sizeof *let_in);
	shoal_pool *p = pool_of(2);
	REQUIRE_EQ(shoal_pool_map_async(p, held_but_the_eighth, NULL, 0, NULL, 0, 16, &o, NULL, NULL,
	                                &r), 0);
	while (atomic_load(turns) < 2)
		sleep_ms(1);
	REQUIRE_EQ(shoal_result_cancel(r), 0);
	atomic_store(let_in, 1);
	REQUIRE(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)) > 1);
	REQUIRE_EQ(codes[8], -EIO);
	int first = 0;
	while (!codes[first])
		first++;
	REQUIRE(first < 8);
	REQUIRE_EQ(codes[first], -ECANCELED);
	REQUIRE_STR_EQ(shoal_result_error(r), shoal_strerror(-ECANCELED));
	shoal_result_free(r);
	finish(p);
}

/* ---- items that say -ECANCELED themselves ---- */

/* The first one; the second lasts until the test lets it go on. */
static int
cancelled_or_last(shoal_task *t)
{
	if (t->index == 0)
		return shoal_task_fail(t, "its own"), -ECANCELED;
	return t->index == 1 ? hold_the_worker(t) : 0;
}

static void
require_counted(shoal_pool *p, uint64_t done, uint64_t failed)
{
	shoal_pool_info info = { 0 };
	for (int i = 0; i < 5000 && info.tasks_done + info.tasks_failed < done + failed; i++) {
		REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
		sleep_ms(1);
	}
	REQUIRE_EQ(info.tasks_done, done);
	REQUIRE_EQ(info.tasks_failed, failed);
}

static void
require_own_code_counted(size_t chunk)
{
	int codes[4];
	shoal_result *r;
	shoal_map_options o = { .chunk = chunk, .codes = codes };
	turns = shared(sizeof *turns);
	let_in = shared(sizeof *let_in);
	shoal_pool *p = pool_of(1);
	REQUIRE_EQ(shoal_pool_map_async(p, cancelled_or_last, NULL, 0, NULL, 0, 4, &o, NULL, NULL, &r),
	           0);
	while (!atomic_load(turns))
		sleep_ms(1);
	if (chunk == 1)
		require_counted(p, 0, 1);
	REQUIRE_EQ(shoal_result_cancel(r), 0);
	if (chunk == 1)
		require_counted(p, 0, 1);
	atomic_store(let_in, 1);
	REQUIRE_EQ(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)), 3);
	REQUIRE_STR_EQ(shoal_result_error(r), "its own");
	for (int i = 0; i < 4; i++)
		REQUIRE_EQ(codes[i], i == 1 ? 0 : -ECANCELED);
	require_counted(p, 1, 1);
	shoal_result_free(r);
	finish(p);
}

Test(pool_cancel, an_items_own_code_is_not_that_of_what_never_began)
{
	require_own_code_counted(1);
	require_own_code_counted(4);
}

Test(pool_cancel, nor_is_it_in_a_task_or_chunk_that_was_freed)
{
	shoal_results *it;
	shoal_map_options o = { .chunk = 4 };
	turns = shared(sizeof *turns);
	let_in = shared(sizeof *let_in);
	shoal_pool *p = pool_of(1);
	REQUIRE_EQ(shoal_pool_imap(p, cancelled_or_last, NULL, 0, 0, 4, &o, &it), 0);
	while (!atomic_load(turns))
		sleep_ms(1);
	shoal_results_free(it);
	atomic_store(let_in, 1);
	require_counted(p, 1, 1);
	finish(p);
}
