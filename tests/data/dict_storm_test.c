/*
 * Processes that write to one dict and read from it, killed at random and replaced: everything that
 * they saw is explained by one order of what they did, and nothing is lost or leaks.
 */
#define STORM_WORDS 300
#include "data/dict.h"
#include "dict_common.h"
#include "history.h"
#include "storm_value.h"
#include <signal.h>

enum {
	KEYS = 48,
	PROCESSES = 4,
	ROWS = 160,
	OPS = 400,
	ROUND_MS = 2500
};

struct row {
	volatile uint32_t count;
	struct history_op op[OPS];
};

struct storm {
	struct dict_world w;
	volatile int stop;
	uint32_t next_row;
	struct row row[ROWS];
	struct history_op of_key[HISTORY_MAX];
};

struct job {
	struct storm *storm;
	uint32_t row;
};

static void
perform(shoal_dict *d, struct history_op *o)
{
	int64_t words[STORM_WORDS], other[STORM_WORDS];
	shoal_any key = SHOAL_ANY((int)o->key), v, w;
	switch (o->kind) {
	case HISTORY_GET:
		o->result = taken(shoal_dict_get(d, key, &v), &v, HISTORY_ABSENT);
		break;
	case HISTORY_SET:
		REQUIRE_EQ(shoal_dict_set(d, key, value_of(o->arg, words)), 0);
		break;
	case HISTORY_POP:
		o->result = taken(shoal_dict_pop(d, key, &v), &v, HISTORY_ABSENT);
		break;
	default:
		v = value_of(o->arg, words);
		if (o->expected != HISTORY_ABSENT)
			w = value_of(o->expected, other);
		int rc = shoal_dict_compare_exchange(
			d, key, o->expected == HISTORY_ABSENT ? NULL : &w, &v);
		REQUIRE(rc == 0 || rc == -ECANCELED);
		o->result = rc == 0;
	}
}

/* Other keys come and go too, in numbers that make the table grow. */
static void
disturb(shoal_dict *d, uint64_t *x)
{
	uint64_t r = random_next(x);
	shoal_any key = SHOAL_ANY((int)(1000 + r % 3000));
	if (r >> 20 & 1)
		REQUIRE_EQ(shoal_dict_set(d, key, SHOAL_ANY("other")), 0);
	else
		(void)shoal_dict_pop(d, key, NULL);
}

static int
works(void *arg)
{
	struct job job = *(struct job *)arg;
	struct row *row = &job.storm->row[job.row];
	uint64_t x = (uint64_t)now_ns() + job.row;
	int64_t seen = HISTORY_ABSENT;
	for (uint32_t i = 0; i < OPS && !job.storm->stop; i++) {
		static const uint8_t kinds[] = { HISTORY_GET, HISTORY_GET, HISTORY_SET, HISTORY_POP,
			                         HISTORY_EXCHANGE };
		struct history_op *o = &row->op[i];
		o->kind = kinds[random_next(&x) % 5];
		o->key = (uint32_t)random_next(&x) % KEYS;
		o->arg = 1 + (int64_t)job.row * OPS + i;
		o->expected = seen;
		o->begin = now_ns();
		row->count = i + 1;
		perform(job.storm->w.dict, o);
		o->end = now_ns();
		if (o->kind == HISTORY_GET)
			seen = o->result;
		for (int n = 0; n < 20; n++)
			disturb(job.storm->w.dict, &x);
	}
	while (!job.storm->stop)
		disturb(job.storm->w.dict, &x);
	return 0;
}

static pid_t
start(struct storm *s)
{
	struct job job = { s, s->next_row++ };
	return child(works, &job);
}

static size_t
gather(struct storm *s, uint32_t key)
{
	size_t n = 0;
	for (uint32_t r = 0; r < s->next_row; r++)
		for (uint32_t i = 0; i < s->row[r].count; i++)
			if (s->row[r].op[i].key == key && n < HISTORY_MAX)
				s->of_key[n++] = s->row[r].op[i];
	REQUIRE(n < HISTORY_MAX);
	return n;
}

static void
rage(struct storm *s)
{
	pid_t pid[PROCESSES];
	uint64_t x = (uint64_t)now_ns();
	int64_t end = now_ns() + ROUND_MS * INT64_C(1000000);
	for (int i = 0; i < PROCESSES; i++)
		pid[i] = start(s);
	while (now_ns() < end && s->next_row < ROWS) {
		int i = (int)(random_next(&x) % PROCESSES);
		sleep_ms(1 + (int)(random_next(&x) % 30));
		kill(pid[i], SIGKILL);
		expect_killed(pid[i], SIGKILL, 5000);
		pid[i] = start(s);
	}
	s->stop = 1;
	for (int i = 0; i < PROCESSES; i++)
		expect_child(pid[i], 0, 10000);
	REQUIRE(s->next_row > 3 * PROCESSES);
}

Test(dict_storm, what_the_killed_and_the_living_saw_has_one_order, .timeout = 60 * HARNESS_SLOW)
{
	struct storm *s = shared(sizeof *s);
	s->w = dict_world(0);
	REQUIRE_EQ(shoal_dict_clear(s->w.dict), 0);
	uint64_t before = blocks(s->w.arena);
	rage(s);
	(void)blocks(s->w.arena);
	for (uint32_t key = 0; key < KEYS; key++)
		REQUIRE(history_explained(s->of_key, gather(s, key)));
	REQUIRE_EQ(shoal_dict_clear(s->w.dict), 0);
	REQUIRE_EQ(blocks(s->w.arena), before);
	dict_world_end(&s->w);
}

/* ---- what must be found out ---- */

static struct history_op
op(enum history_kind kind, int64_t begin, int64_t end, int64_t arg, int64_t result)
{
	struct history_op o = { .begin = begin, .end = end, .arg = arg, .result = result };
	o.kind = kind;
	return o;
}

Test(dict_storm, a_history_without_an_order_is_found_out)
{
	struct history_op stale[] = { op(HISTORY_SET, 1, 2, 7, 0), op(HISTORY_SET, 3, 4, 8, 0),
		                      op(HISTORY_GET, 5, 6, 0, 7) };
	REQUIRE(!history_explained(stale, 3));
	struct history_op back[] = { op(HISTORY_SET, 1, 9, 7, 0), op(HISTORY_GET, 2, 3, 0, 7),
		                     op(HISTORY_GET, 4, 5, 0, HISTORY_ABSENT) };
	REQUIRE(!history_explained(back, 3));
	struct history_op twice[] = { op(HISTORY_SET, 1, 2, 7, 0), op(HISTORY_POP, 3, 6, 0, 7),
		                      op(HISTORY_POP, 4, 5, 0, 7) };
	REQUIRE(!history_explained(twice, 3));
	/* One that was killed may have happened, but then it has. */
	struct history_op killed[] = { op(HISTORY_SET, 1, 0, 7, 0),
		                       op(HISTORY_GET, 2, 3, 0, HISTORY_ABSENT),
		                       op(HISTORY_GET, 4, 5, 0, 7) };
	REQUIRE(history_explained(killed, 3));
	killed[0] = op(HISTORY_SET, 1, 0, 7, 0);
	killed[1] = op(HISTORY_GET, 2, 3, 0, 7);
	killed[2] = op(HISTORY_GET, 4, 5, 0, HISTORY_ABSENT);
	REQUIRE(!history_explained(killed, 3));
}

/* As if a death had not been repaired: a block that no ledger names, and a count that is wrong. */
static int
leaves_a_block(void *arg)
{
	struct storm *s = arg;
	struct dict_call c;
	uint64_t block;
	REQUIRE_EQ(dict_enter(s->w.dict, SHOAL_KIND_DICT, &c), 0);
	REQUIRE_EQ(dict_lock(&c, 0), 0);
	ledger_open(&c.hold, 0);
	REQUIRE_EQ(ledger_take(&c.hold, 100, &block), 0);
	if (s->stop)
		store_relaxed(ledger_op(c.hold.ledger), LEDGER_IDLE);
	raise(SIGKILL);
	return 0;
}

Test(dict_storm, a_block_that_no_ledger_names_is_found_out)
{
	struct storm *s = shared(sizeof *s);
	s->w = dict_world(0);
	uint64_t before = blocks(s->w.arena);
	expect_killed(child(leaves_a_block, s), SIGKILL, 5000);
	REQUIRE_EQ(blocks(s->w.arena), before);
	s->stop = 1;
	expect_killed(child(leaves_a_block, s), SIGKILL, 5000);
	REQUIRE(shoal_arena_recover(s->w.arena) >= 0);
	REQUIRE(shoal_arena_check(s->w.arena, NULL) > 0);
}
