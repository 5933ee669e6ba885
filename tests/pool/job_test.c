/* A worker that is late for a map: that one ends meanwhile, and another one begins in its place. */
#include "pool/chunk.h"
#include "pool/common.h"
#include "pool/create.h"
#include "pool/map.h"
#include "pool/worker.h"
#include "steps.h"

#if HAS_STEPS

enum { ITEMS = 3 };

/* Both workers are this process: what is looked at is which words they look at, and when. */
static struct {
	struct shoal_pool *pool;
	struct self late, punctual;
	struct shoal_result *first, *second;
	int in[ITEMS], out[ITEMS];
	int elsewhere; /* items that were run in a map which the worker's seat does not name */
} w;

static int
add_one(shoal_task *t)
{
	const struct self *self = t->internal_[0];
	w.elsewhere += load_seq_cst(&self->seat->job) != load_seq_cst(&self->head->jobs[0]);
	*(int *)t->out = *(const int *)t->in + 1;
	return 0;
}

static struct shoal_result *
begin_map(void)
{
	struct shoal_result *r = result_new(w.pool);
	struct map_errand e = { .call = "test", .fn = add_one, .in = w.in, .in_bytes = sizeof *w.in,
		                .out = w.out, .out_bytes = sizeof *w.out, .count = ITEMS,
		                .options = { .chunk = 1 }, .result = r };
	REQUIRE_EQ(map_begin(w.pool, &e), 0);
	return r;
}

static void
begin_worker(struct self *self, uint32_t seat)
{
	struct worker_order o = { arena_offset(w.pool->arena, w.pool->head), seat };
	REQUIRE_EQ(worker_begin(self, w.pool->arena, NULL, &o), 0);
}

static void
work(void *id)
{
	chunk_work(&w.late, *(const uint64_t *)id, NULL);
}

/* Where the late one has an item in its hands the map goes on. */
static void
end_it_and_begin_another(void)
{
	uint64_t end = load_relaxed(&task_end);
	chunk_work(&w.punctual, w.first->id, NULL);
	if (map_harvest_all(w.pool) == 1)
		w.second = begin_map();
	store_relaxed(&task_end, end);
}

static void
end_all(void)
{
	int rc;
	do
		rc = worker_once(&w.punctual, NULL, SHOAL_NOWAIT);
	while (rc == 0);
	REQUIRE_EQ(rc, -EAGAIN);
	map_harvest_all(w.pool);
	map_bury_retired(w.pool);
	REQUIRE_EQ(load_acquire(&w.first->state), RESULT_READY);
	REQUIRE(!w.second || load_acquire(&w.second->state) == RESULT_READY);
	for (int i = 0; i < ITEMS; i++)
		REQUIRE_EQ(w.out[i], w.in[i] + 1);
	shoal_result_free(w.first);
	shoal_result_free(w.second);
}

Test(pool_job, a_late_worker_takes_no_part_in_what_its_seat_does_not_name,
     .timeout = HARNESS_TIMEOUT)
{
	shoal_pool_options o = { .workers = 2, .queue_depth = 64 };
	bool came = true;
	unsigned others = 0;
	REQUIRE_EQ(create_host(&o, NULL, &w.pool), 0);
	begin_worker(&w.late, 1);
	begin_worker(&w.punctual, 2);
	for (uint32_t n = 0; came; n += STEPS_STRIDE) {
		w.second = NULL;
		w.first = begin_map();
		uint64_t id = w.first->id;
		came = steps_into(work, &id, n, end_it_and_begin_another);
		others += w.second != NULL;
		end_all();
		REQUIRE_EQ(w.elsewhere, 0);
	}
	REQUIRE(others > 10);
	pool_drop(w.pool);
}

#endif
