/*
 * A pool's worker, killed and stopped at each instruction of a task: the pool is laid out in the
 * watched arena without processes of its own, the victim is worker 1, and the survivor does what
 * the supervisor does at its death, then what worker 2 would do, then takes the results in. Each
 * item ends exactly once, as it should or by the death, and was run once at most.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena_world.h"
#include "harness.h"
#include "pool/create.h"
#include "pool/map.h"
#include "pool/mourn.h"
#include "pool/slot.h"
#include "pool/worker.h"

enum { ITEMS = 6, REPLY = 300 };

struct pool_shape {
	size_t items, chunk; /* chunk 0: a slot with a reply, or a batch; else a map */
	bool retry;
	bool fails; /* each item does, and says why */
	bool twice; /* it replies twice; the second counts */
};

#define REASON "item %u fails, and says so in a sentence that no single store could write"

#define HOW "killed"

/* Private, and inherited by every process of a case. */
static struct shoal_pool *pool;
static struct shoal_result *result;
static uint32_t *runs; /* in the arena */
static uint32_t in[ITEMS], out[ITEMS];
static int codes[ITEMS];
static bool fails, twice;

static const struct pool_shape *
shape_of(const struct step_world *w)
{
	return w->shape;
}

static int
step_task(shoal_task *t)
{
	uint32_t n = *(const uint32_t *)t->in;
	char text[REPLY] = { 0 };
	runs[n]++;
	if (fails)
		return shoal_task_fail(t, REASON, n);
	if (t->out) {
		*(uint32_t *)t->out = n + 1;
		return 0;
	}
	if (twice && shoal_task_reply(t, text, sizeof text / 2))
		return -EPROTO;
	memset(text, (int)n + 1, sizeof text);
	return shoal_task_reply(t, text, sizeof text);
}

/* ---- the world ---- */

static int
send_slot(const struct pool_shape *s)
{
	struct errand e = { .call = "step", .fn = step_task, .in = in, .in_bytes = sizeof *in,
		                .items = s->items, .result = result, .any_length = s->items == 1,
		                .out_bytes = s->items > 1 ? sizeof *out : 0 };
	return slot_send(pool, &e);
}

static int
send_map(const struct pool_shape *s)
{
	struct map_errand e = { .call = "step", .fn = step_task, .in = in, .in_bytes = sizeof *in,
		                    .out = out, .out_bytes = sizeof *out, .count = s->items,
		                    .options = { .chunk = s->chunk, .codes = codes }, .result = result };
	return map_begin(pool, &e);
}

static void
setup(struct step_world *w)
{
	const struct pool_shape *s = shape_of(w);
	shoal_pool_options o = { .workers = 2, .queue_depth = 4,
		                     .on_death = s->retry ? SHOAL_RETRY_TASK : SHOAL_FAIL_TASK };
	arena_world(w);
	fails = s->fails;
	twice = s->twice;
	runs = shoal_new(w->arena, ITEMS * sizeof *runs);
	int rc = create_host(&o, w->arena, &pool);
	STEP_REQUIRE(w, rc == 0, "host: %d, %s", rc, shoal_error());
	for (uint32_t i = 0; i < ITEMS; i++)
		in[i] = i;
	result = result_new(pool);
	/* The iterator's results keep their answers as they are; it is not asked for more. */
	rc = s->chunk ? send_map(s) : send_slot(s);
	STEP_REQUIRE(w, rc == 0, "send: %d, %s", rc, shoal_error());
}

static void
begin_as(struct step_world *w, struct self *self, uint32_t seat)
{
	struct worker_order o = { arena_offset(w->arena, pool->head), seat };
	arena_join(w);
	int rc = worker_begin(self, w->arena, NULL, &o);
	STEP_REQUIRE(w, rc == 0, "worker: %d, %s", rc, shoal_error());
}

static struct self victim;

static void
prepare(struct step_world *w)
{
	begin_as(w, &victim, 1);
}

static void
op(struct step_world *w)
{
	step_mine(w)->result = worker_once(&victim, NULL, SHOAL_NOWAIT);
}

/* ---- what the survivor does ---- */

static void
supervise(struct step_world *w)
{
	struct death d = { 1, -EOWNERDEAD, HOW, false };
	if (!w->killed)
		return;
	STEP_WITHIN(w, "mourn", mourn(pool, &d));
	STEP_WITHIN(w, "put again", mourn_put_again(pool));
	STEP_REQUIRE(w, !load_relaxed(&pool->put_again), "messages find no place");
}

static void
work_off(struct step_world *w)
{
	static struct self second;
	int rc;
	begin_as(w, &second, 2);
	do
		STEP_WITHIN(w, "work", rc = worker_once(&second, NULL, SHOAL_NOWAIT));
	while (rc == 0);
	STEP_REQUIRE(w, rc == -EAGAIN, "work: %d, %s", rc, shoal_error());
}

static void
check_item(struct step_world *w, uint32_t i, int code, bool right)
{
	bool retry = shape_of(w)->retry;
	int own = fails ? -EIO : 0;
	STEP_REQUIRE(w, code == own || (code == -EOWNERDEAD && w->killed && !retry),
	             "item %u ended with %d", i, code);
	STEP_REQUIRE(w, code != own || right, "item %u has another result", i);
	STEP_REQUIRE(w, runs[i] == 1 || (code == -EOWNERDEAD && !runs[i]) || (retry && runs[i] == 2),
	             "item %u was run %u times", i, runs[i]);
}

/* The whole of what one of them said, or how the dead one ended. */
static bool
right_text(struct step_world *w)
{
	const char *told = result->text ? result->text : "";
	char text[100];
	for (uint32_t i = 0; i < shape_of(w)->items; i++) {
		snprintf(text, sizeof text, REASON, i);
		if (!strcmp(told, text))
			return true;
	}
	return w->killed && !strcmp(told, HOW);
}

static void
check_map(struct step_world *w)
{
	int failed = 0;
	for (uint32_t i = 0; i < shape_of(w)->items; i++) {
		check_item(w, i, codes[i], fails || out[i] == i + 1);
		failed += codes[i] != 0;
	}
	STEP_REQUIRE(w, (fails || failed <= 1) && result->length == failed, "%d failed, told: %d",
	             failed, (int)result->length);
	STEP_REQUIRE(w, !fails || right_text(w), "the text: %s", result->text);
}

static void
check_reply(struct step_world *w)
{
	const char *text = result->data;
	bool right = result->code == 0 && result->bytes == REPLY && text[0] == 1 &&
	             text[REPLY - 1] == 1;
	bool died = result->code == -EOWNERDEAD;
	check_item(w, 0, result->code, fails || right);
	STEP_REQUIRE(w, !fails || (right_text(w) && died == !strcmp(result->text, HOW)),
	             "%d, and the text: %s", result->code, result->text);
}

static void
check(struct step_world *w)
{
	arena_join(w);
	supervise(w);
	work_off(w);
	STEP_WITHIN(w, "harvest", slot_harvest_all(pool); map_harvest_all(pool));
	STEP_REQUIRE(w, load_acquire(&result->state) == RESULT_READY, "the result is not ready");
	if (shape_of(w)->chunk)
		check_map(w);
	else
		check_reply(w);
}

#define POOL(name_, ...) \
	static const struct pool_shape name_ = { __VA_ARGS__ }; \
	STEP_CASE(pool, name_, .shape = &name_, .setup = setup, .prepare = prepare, .op = op, \
	          .check = check, .audit = arena_audit, .meet_prepare = arena_join, \
	          .meet = { meet_recover, meet_recover })

POOL(slot_with_reply, .items = 1)
POOL(slot_with_two_replies, .items = 1, .twice = true)
POOL(slot_tried_again, .items = 1, .retry = true)
POOL(map_in_chunks_of_one, .items = 3, .chunk = 1)
POOL(map_in_chunks, .items = 6, .chunk = 4)
POOL(map_tried_again, .items = 4, .chunk = 3, .retry = true)
POOL(slot_failed, .items = 1, .fails = true)
POOL(map_failed_again, .items = 3, .chunk = 3, .retry = true, .fails = true)
