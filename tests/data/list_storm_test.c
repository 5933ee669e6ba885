/*
 * Processes that write to lists and read from them, killed at random and replaced: what they saw
 * has one order, and nothing is lost or leaks.
 */
#include "list_common.h"
#include "list_history.h"
#include "storm_value.h"
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

/* ---- one order ---- */

enum {
	WRITERS = 3,
	CALLS = 14,
	ROUND_COUNT = 400
};

struct row {
	volatile uint32_t count;
	struct list_op op[CALLS];
};

struct record {
	struct world w;
	volatile uint32_t here;
	int victim; /* or -1 */
	uint64_t seed;
	struct row row[WRITERS];
};

struct job {
	struct record *record;
	int me;
};

static int64_t
sum_of_all(shoal_list *l)
{
	int64_t item[LIST_HISTORY_MAX];
	shoal_any all;
	REQUIRE_EQ(shoal_list_snapshot(l, &all), 0);
	REQUIRE(all.count <= LIST_HISTORY_MAX);
	for (size_t i = 0; i < all.count; i++)
		item[i] = number_of(shoal_any_at(&all, i));
	int64_t sum = list_history_sum(item, all.count);
	shoal_any_clear(&all);
	return sum;
}

static int64_t
perform(shoal_list *l, const struct list_op *o)
{
	int64_t words[40];
	shoal_any v;
	int rc = 0;
	switch (o->kind) {
	case CALL_APPEND: rc = shoal_list_append(l, value_of(o->arg, words)); break;
	case CALL_INSERT: rc = shoal_list_insert(l, 0, value_of(o->arg, words)); break;
	case CALL_REVERSE: rc = shoal_list_reverse(l); break;
	case CALL_POP: return taken(shoal_list_pop(l, o->index, &v), &v, LIST_ABSENT);
	case CALL_GET: return taken(shoal_list_get(l, o->index, &v), &v, LIST_ABSENT);
	case CALL_SIZE: return (int64_t)shoal_list_size(l);
	case CALL_ALL: return sum_of_all(l);
	default:
		rc = shoal_list_set(l, o->index, value_of(o->arg, words));
		REQUIRE(rc == 0 || rc == -ENOENT);
		return rc ? LIST_ABSENT : 0;
	}
	REQUIRE_EQ(rc, 0);
	return 0;
}

static int
records(void *arg)
{
	struct job job = *(struct job *)arg;
	struct row *row = &job.record->row[job.me];
	uint64_t x = job.record->seed + (uint64_t)job.me;
	(void)shoal_list_size(job.record->w.list);
	__atomic_add_fetch(&job.record->here, 1, __ATOMIC_SEQ_CST);
	while (job.record->here < WRITERS)
		;
	/* Its end comes at any instruction of its calls. */
	struct itimerval end = { .it_value.tv_usec = 1 + (int)(random_next(&x) % 60) };
	if (job.me == job.record->victim)
		REQUIRE_EQ(setitimer(ITIMER_REAL, &end, NULL), 0);
	for (uint32_t i = 0; i < CALLS; i++) {
		struct list_op *o = &row->op[i];
		*o = (struct list_op){ .kind = (uint32_t)random_next(&x) % CALL_KINDS };
		o->index = random_next(&x) % 2 ? -1 : 0;
		o->arg = 1 + job.me * CALLS + (int64_t)i;
		o->begin = now_ns();
		row->count = i + 1;
		int64_t result = perform(job.record->w.list, o);
		o->result = result;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		o->end = now_ns();
	}
	while (job.me == job.record->victim)
		pause();
	return 0;
}

/* Where it kills, one of them ends in the midst of it. */
static void
record_round(struct record *r, uint64_t *x, bool kills)
{
	pid_t pid[WRITERS];
	int victim = kills ? (int)(random_next(x) % WRITERS) : -1;
	r->victim = victim;
	r->here = 0;
	r->seed = random_next(x);
	memset(r->row, 0, sizeof r->row);
	for (int i = 0; i < WRITERS; i++)
		pid[i] = child(records, &(struct job){ r, i });
	for (int i = 0; i < WRITERS; i++)
		if (i != victim)
			expect_child(pid[i], 0, 10000);
	if (victim >= 0)
		expect_killed(pid[victim], SIGALRM, 10000);
}

static size_t
gather(const struct record *r, struct list_op *all, size_t *killed)
{
	size_t n = 0;
	for (int i = 0; i < WRITERS; i++)
		for (uint32_t k = 0; k < r->row[i].count; k++) {
			*killed += r->row[i].op[k].end == 0;
			all[n++] = r->row[i].op[k];
		}
	return n;
}

Test(list_storm, what_the_killed_and_the_living_saw_has_one_order, .timeout = 60 * HARNESS_SLOW)
{
	struct record *r = shared(sizeof *r);
	uint64_t x = (uint64_t)now_ns();
	size_t killed = 0;
	r->w = world_make();
	int64_t until = now_ns() + INT64_C(2500000000);
	for (int i = 0; i < ROUND_COUNT && now_ns() < until; i++) {
		struct list_op all[LIST_HISTORY_MAX];
		record_round(r, &x, i % 2);
		REQUIRE(list_history_explained(all, gather(r, all, &killed)));
		(void)blocks(r->w.arena);
		REQUIRE_EQ(shoal_list_clear(r->w.list), 0);
	}
	REQUIRE(killed > 0);
	world_end(r->w);
}

static struct list_op
op(enum list_call_kind kind, int index, int64_t begin, int64_t end, int64_t arg, int64_t result)
{
	return (struct list_op){ begin, end, arg, result, index, kind };
}

Test(list_storm, a_history_without_an_order_is_found_out)
{
	struct list_op stale[] = { op(CALL_APPEND, 0, 1, 2, 7, 0), op(CALL_SET, 0, 3, 4, 8, 0),
		                       op(CALL_GET, 0, 5, 6, 0, 7) };
	REQUIRE(!list_history_explained(stale, 3));
	stale[2].result = 8;
	REQUIRE(list_history_explained(stale, 3));
	struct list_op twice[] = { op(CALL_APPEND, 0, 1, 2, 7, 0), op(CALL_POP, 0, 3, 6, 0, 7),
		                       op(CALL_POP, -1, 4, 5, 0, 7) };
	REQUIRE(!list_history_explained(twice, 3));
	/* The last one was never 9. */
	struct list_op place[] = { op(CALL_APPEND, 0, 1, 2, 7, 0), op(CALL_APPEND, 0, 3, 4, 8, 0),
		                       op(CALL_SET, 0, 5, 6, 9, 0), op(CALL_GET, -1, 2, 9, 0, 9) };
	REQUIRE(!list_history_explained(place, 4));
	/* One that was killed may have happened, but then it has. */
	struct list_op dead[] = { op(CALL_APPEND, 0, 1, 0, 7, 0), op(CALL_SIZE, 0, 2, 3, 0, 0),
		                      op(CALL_GET, 0, 4, 5, 0, 7) };
	REQUIRE(list_history_explained(dead, 3));
	dead[1].result = 1;
	dead[2].result = LIST_ABSENT;
	REQUIRE(!list_history_explained(dead, 3));
}

/* ---- an index that counts from the end ---- */

enum stage { STAGE_READ, STAGE_MARK, STAGE_MARKED, STAGE_UNDO, STAGE_OVER };

struct last {
	struct world w;
	volatile enum stage stage;
	volatile int shots;
};

static struct last *last;

/* The reader stands still anywhere in its call, until another one has changed the list. */
static void
stand_still(int signo)
{
	(void)signo;
	last->stage = STAGE_MARK;
	while (last->stage != STAGE_MARKED)
		;
	last->shots++;
}

/* While item 0 is 666, it is not the last one. */
static int
marks(void *arg)
{
	struct last *l = arg;
	for (;;) {
		if (l->stage == STAGE_MARK) {
			REQUIRE_EQ(shoal_list_append(l->w.list, SHOAL_ANY(1)), 0);
			REQUIRE_EQ(shoal_list_set(l->w.list, 0, SHOAL_ANY(666)), 0);
			l->stage = STAGE_MARKED;
		} else if (l->stage == STAGE_UNDO) {
			REQUIRE_EQ(shoal_list_set(l->w.list, 0, SHOAL_ANY(0)), 0);
			REQUIRE_EQ(shoal_list_pop(l->w.list, -1, NULL), 0);
			l->stage = STAGE_READ;
		} else if (l->stage == STAGE_OVER) {
			return 0;
		}
	}
}

Test(list_storm, the_last_item_is_never_one_that_was_not_the_last)
{
	struct sigaction still = { .sa_handler = stand_still };
	last = shared(sizeof *last);
	last->w = world_make();
	REQUIRE_EQ(shoal_list_append(last->w.list, SHOAL_ANY(0)), 0);
	pid_t pid = child(marks, last);
	REQUIRE_EQ(sigaction(SIGALRM, &still, NULL), 0);
	for (int i = 0; i < 300; i++) {
		struct itimerval soon = { .it_value.tv_usec = 1 + i % 30 };
		REQUIRE_EQ(setitimer(ITIMER_REAL, &soon, NULL), 0);
		while (last->shots == i)
			REQUIRE(int_at(last->w.list, -1) != 666);
		last->stage = STAGE_UNDO;
		while (last->stage != STAGE_READ)
			;
	}
	last->stage = STAGE_OVER;
	expect_child(pid, 0, 5000);
	world_end(last->w);
}

/* ---- everything at once ---- */

enum {
	PROCESSES = 4,
	STORM_MS = 2500,
	MANY = 300
};

struct storm {
	struct world w;
	volatile int stop;
	uint64_t writes[PROCESSES];
};

struct raging {
	struct storm *storm;
	int me;
};

/* A new list within a list, which the outer one alone keeps: [the same number twice]. */
static int
add_nested(struct storm *s, int64_t n)
{
	shoal_container_options mine = { .flags = SHOAL_WITH_OWNER };
	shoal_list *inner;
	REQUIRE_EQ(shoal_list_create(s->w.arena, NULL, &mine, &inner), 0);
	REQUIRE_EQ(shoal_list_extend(inner, SHOAL_LIST(n, n)), 0);
	int rc = n % 2 ? shoal_list_append(s->w.list, SHOAL_ANY(inner))
	               : shoal_list_insert(s->w.list, 3, SHOAL_MAP("inner", inner, "again", inner));
	REQUIRE_EQ(shoal_list_destroy(s->w.arena, inner), 0);
	return rc;
}

/* Whole, and alive as long as the any is. */
static void
look_at(const shoal_any *v)
{
	const shoal_any *inner = v->kind == SHOAL_ANY_MAP ? shoal_any_find(v, "inner") : v;
	if (inner->kind != SHOAL_ANY_OBJECT) {
		(void)number_of(v);
		return;
	}
	shoal_any pair;
	REQUIRE_EQ(shoal_list_snapshot(shoal_any_to_list(inner), &pair), 0);
	if (pair.count == 2)
		REQUIRE(shoal_any_equal(shoal_any_at(&pair, 0), shoal_any_at(&pair, 1)));
	/* Its maker may have been killed before it had them. */
	else
		REQUIRE_EQ(pair.count, 0);
	shoal_any_clear(&pair);
}

static void
read_some(shoal_list *l, uint64_t r)
{
	shoal_any v;
	ptrdiff_t at = (ptrdiff_t)(r / 8 % 100) - 50;
	if (r % 8 == 0) {
		REQUIRE_EQ(shoal_list_slice(l, at, at + 20, &v), 0);
		for (size_t i = 0; i < v.count; i++)
			look_at(shoal_any_at(&v, i));
	} else {
		int rc = shoal_list_get(l, at, &v);
		REQUIRE(rc == 0 || rc == -ENOENT);
		if (rc)
			return;
		look_at(&v);
	}
	shoal_any_clear(&v);
}

static int
by_number(const shoal_any *a, const shoal_any *b, void *arg)
{
	(void)arg;
	return (a->kind > b->kind) - (a->kind < b->kind);
}

static int
write_some(struct storm *s, uint64_t r)
{
	shoal_list *l = s->w.list;
	shoal_any v;
	int64_t n = (int64_t)(r / 16), words[40], more[40];
	ptrdiff_t at = n % 100;
	if (shoal_list_size(l) > MANY && r % 16 < 10)
		return n % 97 ? shoal_list_remove_at(l, at) : shoal_list_clear(l);
	switch (r % 16) {
	case 0: return shoal_list_sort(l, by_number, NULL);
	case 1: return shoal_list_reverse(l);
	case 2: return add_nested(s, n);
	case 3: return add_nested(s, n);
	case 4: return shoal_list_extend(l, SHOAL_LIST(value_of(n, words), value_of(n + 1, more), n));
	case 5: return shoal_list_remove(l, SHOAL_ANY(n));
	case 6:
	case 7:
		if (shoal_list_pop(l, -1 - at, &v) == 0) {
			look_at(&v);
			shoal_any_clear(&v);
		}
		return 0;
	case 8: return shoal_list_set(l, at, value_of(n, words));
	case 9: return shoal_list_append(l, value_of(n, words));
	case 10: return shoal_list_insert(l, at, value_of(n, words));
	default: return shoal_list_insert(l, -at, value_of(n, words));
	}
}

static int
rages(void *arg)
{
	struct raging me = *(struct raging *)arg;
	uint64_t x = (uint64_t)now_ns() + (uint64_t)me.me;
	while (!me.storm->stop) {
		if (me.me == 0) {
			read_some(me.storm->w.list, random_next(&x));
			continue;
		}
		int rc = write_some(me.storm, random_next(&x));
		REQUIRE(rc == 0 || rc == -ENOENT);
		me.storm->writes[me.me]++;
	}
	return 0;
}

Test(list_storm, nothing_leaks_whoever_is_killed, .timeout = 60 * HARNESS_SLOW)
{
	struct storm *s = shared(sizeof *s);
	pid_t pid[PROCESSES];
	uint64_t x = (uint64_t)now_ns();
	int kills = 0;
	s->w = world_make();
	for (int i = 0; i < PROCESSES; i++)
		pid[i] = child(rages, &(struct raging){ s, i });
	for (int64_t end = now_ns() + STORM_MS * INT64_C(1000000); now_ns() < end; kills++) {
		int i = (int)(random_next(&x) % PROCESSES);
		sleep_ms(1 + (int)(random_next(&x) % 10));
		kill(pid[i], SIGKILL);
		expect_killed(pid[i], SIGKILL, 5000);
		pid[i] = child(rages, &(struct raging){ s, i });
		if (kills % 16 == 0)
			REQUIRE(shoal_arena_recover(s->w.arena) >= 0);
	}
	s->stop = 1;
	for (int i = 0; i < PROCESSES; i++)
		expect_child(pid[i], 0, 10000);
	(void)blocks(s->w.arena);
	REQUIRE(kills > 20 && s->writes[1] + s->writes[2] + s->writes[3] > 1000);
	REQUIRE_EQ(shoal_list_clear(s->w.list), 0);
	(void)blocks(s->w.arena);
	world_end(s->w);
}
