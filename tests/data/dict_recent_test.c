/* Dicts in a full arena, full buckets, and room that is made before it is wanted. */
#include "dict_common.h"

#include "data/dict_read.h"
#include "steps.h"
#include <pthread.h>

static void
fill_arena(shoal_arena *a)
{
	void *p;
	for (size_t bytes = 1 << 19; bytes >= 16; bytes /= 2)
		while (shoal_alloc(a, bytes, &p) == 0)
			;
}

/* There is no memory for what says which is the newest. */
Test(dict, popitem_needs_no_memory)
{
	struct dict_world w;
	shoal_arena_options small = { .limit_bytes = 1 << 20 };
	shoal_any key;
	REQUIRE_EQ(shoal_arena_create(NULL, &small, &w.arena), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, NULL, NULL, &w.dict), 0);
	for (int i = 0; i < 200; i++)
		REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(i), SHOAL_ANY("x")), 0);
	fill_arena(w.arena);
	for (int i = 200; i--;) {
		REQUIRE_EQ(shoal_dict_popitem(w.dict, &key, NULL), 0);
		REQUIRE_EQ(shoal_any_int(&key, -1), i);
	}
	REQUIRE_EQ(shoal_dict_popitem(w.dict, NULL, NULL), -ENOENT);
	dict_world_end(&w);
}

/* Others may find none to take out, and change nothing. */
Test(dict, clear_needs_memory_for_an_empty_table)
{
	struct dict_world w;
	shoal_arena_options small = { .limit_bytes = 1 << 20 };
	REQUIRE_EQ(shoal_arena_create(NULL, &small, &w.arena), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, NULL, NULL, &w.dict), 0);
	dict_fill(w.dict, 0, 200);
	fill_arena(w.arena);
	REQUIRE_EQ(shoal_dict_clear(w.dict), -ENOMEM);
	REQUIRE(strstr(shoal_error(), "limit of 1048576 bytes"));
	REQUIRE_EQ(shoal_dict_size(w.dict), 200);
	dict_world_end(&w);
}

/* ---- memory in lines alone ---- */

/* All pages are cut into blocks of a line, and stay so. */
static void
cut_into_lines(shoal_arena *a)
{
	size_t count = 0, room = 1 << 18;
	void **p = malloc(room * sizeof *p);
	while (count < room && shoal_alloc(a, 64, &p[count]) == 0)
		count++;
	REQUIRE(count < room);
	while (count--)
		shoal_free(a, p[count]);
	free(p);
}

static unsigned
longest_chain(shoal_dict *d)
{
	struct dict_call c;
	unsigned longest = 0;
	REQUIRE_EQ(dict_enter(d, SHOAL_KIND_DICT, &c), 0);
	REQUIRE(dict_look(&c));
	for (uint64_t i = 0; i < FIRST << load_relaxed(&c.seen.table->level); i++) {
		const struct bucket *line = dict_bucket(&c, i);
		unsigned lines = 0;
		for (; line; line = dict_more(&c.seen, line))
			lines++;
		longest = lines > longest ? lines : longest;
	}
	dict_leave(&c);
	return longest;
}

static void
grows_by_lines(int64_t before, int64_t items)
{
	struct dict_world w;
	shoal_arena_options small = { .limit_bytes = 12 << 20 };
	shoal_cursor cursor = { 0 };
	shoal_any key, all;
	int64_t seen = 0;
	REQUIRE_EQ(shoal_arena_create(NULL, &small, &w.arena), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, NULL, NULL, &w.dict), 0);
	dict_fill(w.dict, 0, before);
	cut_into_lines(w.arena);
	dict_fill(w.dict, before, items);
	REQUIRE(longest_chain(w.dict) <= 6);
	for (int64_t i = 0; i < items; i++)
		REQUIRE_EQ(int_of(w.dict, SHOAL_ANY(i)), i * 3);
	REQUIRE(!shoal_dict_has(w.dict, SHOAL_ANY(-1)));
	while (shoal_dict_next(w.dict, &cursor, NULL, NULL) == 1)
		seen++;
	REQUIRE_EQ(seen, items);
	REQUIRE_EQ(shoal_dict_snapshot(w.dict, &all), 0);
	REQUIRE_EQ(all.count, items);
	shoal_any_clear(&all);
	REQUIRE_EQ(shoal_dict_popitem(w.dict, &key, NULL), 0);
	REQUIRE_EQ(shoal_any_int(&key, -1), items - 1);
	for (int64_t i = 0; i < items - 1; i++)
		REQUIRE_EQ(shoal_dict_pop(w.dict, SHOAL_ANY(i), NULL), 0);
	REQUIRE_EQ(shoal_dict_size(w.dict), 0);
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	(void)shoal_dict_clear(w.dict);
	dict_fill(w.dict, 0, 100);
	dict_world_end(&w);
}

Test(dict, grows_where_memory_is_in_lines)
{
	grows_by_lines(0, 20000);
}

/* Levels that have directories, whose chunks are trees from then on. */
Test(dict, grows_on_where_memory_is_in_lines)
{
	grows_by_lines(7500, 100000);
}

/* ---- buckets that cannot be split ---- */

struct grower {
	shoal_dict *dict;
	pthread_barrier_t grows;
};

/* As if it were stopped while it makes a level: nobody else makes one. */
static void *
grows(void *arg)
{
	struct grower *g = arg;
	struct dict_call c;
	REQUIRE_EQ(dict_enter(g->dict, SHOAL_KIND_DICT, &c), 0);
	struct ledger_hold shared = dict_hold(&c, SHARED_LEDGER);
	REQUIRE_EQ(ledger_lock(&shared), 0);
	pthread_barrier_wait(&g->grows);
	pthread_barrier_wait(&g->grows);
	ledger_unlock(&shared);
	dict_leave(&c);
	return NULL;
}

/* The next number after `from` whose bucket is the first one. */
static int64_t
next_of_first(shoal_dict *d, int64_t from)
{
	struct dict_key key = { .cell = { .kind = SHOAL_ANY_INT, .bytes = 8 } };
	do {
		from++;
		key.bytes = &from;
	} while (dict_read_hash(d, &key) & (FIRST - 1));
	return from;
}

static void
grow_nothing(struct grower *g, pthread_t *thread)
{
	REQUIRE_EQ(pthread_barrier_init(&g->grows, NULL, 2), 0);
	REQUIRE_EQ(pthread_create(thread, NULL, grows, g), 0);
	pthread_barrier_wait(&g->grows);
}

static void
grow_again(struct grower *g, pthread_t thread)
{
	pthread_barrier_wait(&g->grows);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	pthread_barrier_destroy(&g->grows);
}

Test(dict, a_full_bucket_takes_no_more_until_it_is_split, .timeout = 30 * HARNESS_SLOW)
{
	struct dict_world w = dict_world(0);
	struct grower g = { .dict = w.dict };
	pthread_t thread;
	int64_t k = next_of_first(w.dict, 0), last = 0;
	uint64_t count = 0;
	int rc;
	grow_nothing(&g, &thread);
	while ((rc = shoal_dict_set(w.dict, SHOAL_ANY(k), SHOAL_ANY(k))) == 0) {
		REQUIRE(++count <= LINES_MAX * SLOTS);
		last = k;
		k = next_of_first(w.dict, k);
	}
	REQUIRE_EQ(rc, -ENOMEM);
	REQUIRE(strstr(shoal_error(), "full, and could not be split"));
	REQUIRE_EQ(count, LINES_MAX * SLOTS);
	REQUIRE_EQ(shoal_dict_size(w.dict), LINES_MAX * SLOTS);
	REQUIRE(!shoal_dict_has(w.dict, SHOAL_ANY(k)));
	REQUIRE_EQ(int_of(w.dict, SHOAL_ANY(last)), last);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(last), SHOAL_ANY(3)), 0);
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	/* The newest is found in the last line. */
	shoal_any key;
	REQUIRE_EQ(shoal_dict_pop(w.dict, SHOAL_ANY(last), NULL), 0);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(last), SHOAL_ANY(4)), 0);
	grow_again(&g, thread);
	REQUIRE_EQ(shoal_dict_popitem(w.dict, &key, NULL), 0);
	REQUIRE_EQ(shoal_any_int(&key, -1), last);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(last), SHOAL_ANY(5)), 0);
	/* Somebody can split it now. */
	(void)shoal_dict_set(w.dict, SHOAL_ANY(k), SHOAL_ANY(k));
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(k), SHOAL_ANY(k)), 0);
	REQUIRE_EQ(int_of(w.dict, SHOAL_ANY(k)), k);
	dict_world_end(&w);
}

Test(dict, lines_go_with_their_last_item)
{
	struct dict_world w = dict_world(0);
	struct grower g = { .dict = w.dict };
	pthread_t thread;
	int64_t key[600];
	shoal_arena_info before, after;
	REQUIRE_EQ(shoal_arena_stat(w.arena, &before), 0);
	grow_nothing(&g, &thread);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 600; i++) {
			key[i] = next_of_first(w.dict, i ? key[i - 1] : round * 100000);
			REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(key[i]), SHOAL_ANY(i)), 0);
		}
		REQUIRE_EQ(longest_chain(w.dict), 100);
		/* From the front, from the end, and then what others take out by splitting. */
		for (int i = 0; i < 600 && round < 2; i++)
			REQUIRE_EQ(shoal_dict_pop(w.dict, SHOAL_ANY(key[round ? 599 - i : i]), NULL), 0);
		REQUIRE_EQ(longest_chain(w.dict), round < 2 ? 1 : 100);
		REQUIRE_EQ(shoal_arena_stat(w.arena, &after), 0);
		REQUIRE_EQ(after.blocks, before.blocks + (round < 2 ? 0 : 600 + 99));
	}
	grow_again(&g, thread);
	dict_fill(w.dict, -20000, 0);
	/* What is left of its items is in lines that have others no more. */
	REQUIRE(longest_chain(w.dict) <= 30);
	for (int i = 0; i < 600; i++)
		REQUIRE_EQ(int_of(w.dict, SHOAL_ANY(key[i])), i);
	dict_world_end(&w);
}

/* ---- room at once ---- */

static uint64_t
used(shoal_arena *a)
{
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	return info.used_bytes;
}

Test(dict, room_for_all_there_can_be_leaves_room_for_others)
{
	struct dict_world w;
	shoal_arena_options small = { .limit_bytes = 8 << 20 };
	shoal_container_options most = { .flags = SHOAL_OR_OPEN, .reserve = UINT32_MAX };
	shoal_dict *again;
	REQUIRE_EQ(shoal_arena_create(NULL, &small, &w.arena), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, "d", &most, &w.dict), 0);
	REQUIRE(used(w.arena) > 1 << 20);
	REQUIRE(used(w.arena) < 4 << 20);
	REQUIRE_EQ(shoal_dict_clear(w.dict), 0);
	/* It has none any more, and who opens it makes none. */
	uint64_t before = used(w.arena), version = shoal_dict_version(w.dict);
	REQUIRE_EQ(shoal_dict_create(w.arena, "d", &most, &again), 0);
	REQUIRE(again == w.dict);
	REQUIRE_EQ(used(w.arena), before);
	REQUIRE_EQ(shoal_dict_version(w.dict), version);
	dict_world_end(&w);
}

/* Each try would be a change under way, and so another version. */
Test(dict, room_is_not_asked_for_again_where_there_was_none)
{
	struct dict_world w;
	shoal_arena_options small = { .limit_bytes = 8 << 20 };
	shoal_container_options most = { .reserve = UINT32_MAX };
	shoal_dict *first;
	void *p;
	REQUIRE_EQ(shoal_arena_create(NULL, &small, &w.arena), 0);
	/* Pages for what a dict is made of are cut already; there are no others. */
	REQUIRE_EQ(shoal_dict_create(w.arena, NULL, NULL, &first), 0);
	dict_fill(first, 0, 1);
	for (size_t bytes = 1 << 19; bytes >= 1 << 16; bytes /= 2)
		while (shoal_alloc(w.arena, bytes, &p) == 0)
			;
	REQUIRE_EQ(shoal_dict_create(w.arena, "d", &most, &w.dict), 0);
	REQUIRE(shoal_dict_version(w.dict) < 5000);
	dict_world_end(&w);
}

struct opener {
	shoal_arena *arena;
	volatile int made;
	uint64_t between;
};

static bool
is_born(struct dict_call *c, uint64_t index)
{
	const struct bucket *b = dict_bucket(c, index);
	return b && load_relaxed(&b->state);
}

/* Who has a stripe's lock, as writers have, sees how far its buckets of the last level are. */
static void *
locks_each(void *arg)
{
	struct opener *o = arg;
	struct dict_call c;
	shoal_dict *d;
	REQUIRE_EQ(shoal_dict_open(o->arena, "d", SHOAL_SEC(30), &d), 0);
	REQUIRE_EQ(dict_enter(d, SHOAL_KIND_DICT, &c), 0);
	for (uint64_t i = 0; !__atomic_load_n(&o->made, __ATOMIC_RELAXED); i++) {
		REQUIRE_EQ(dict_lock(&c, i % STRIPES), 0);
		uint64_t level = load_relaxed(&c.seen.table->level), first = level_first((unsigned)level);
		if (level > 8)
			o->between += is_born(&c, first + i % STRIPES) &&
			              !is_born(&c, 2 * first - STRIPES + i % STRIPES);
		dict_unlock(&c);
	}
	dict_leave(&c);
	return NULL;
}

static void
make_room(struct opener *o)
{
	struct dict_world w = { .arena = o->arena };
	shoal_container_options many = { .reserve = 1000000 };
	pthread_t thread;
	o->made = 0;
	REQUIRE_EQ(pthread_create(&thread, NULL, locks_each, o), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, "d", &many, &w.dict), 0);
	__atomic_store_n(&o->made, 1, __ATOMIC_RELAXED);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	REQUIRE_EQ(shoal_dict_destroy(w.arena, w.dict), 0);
}

Test(dict, others_write_while_room_is_made)
{
	struct opener o = { 0 };
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &o.arena), 0);
	/* On a busy machine the other thread may run too late. */
	for (int i = 0; i < 20 && !o.between; i++)
		make_room(&o);
	REQUIRE(o.between > 0);
	REQUIRE_EQ(shoal_arena_check(o.arena, stderr), 0);
	shoal_arena_close(o.arena);
}

/* ---- where popitem looks for the newest ---- */

/* More than are gathered of each stripe at once, and more than are named then. */
Test(dict, popitem_finds_the_newest_of_many)
{
	struct dict_world w = dict_world(0);
	int64_t items = 60000;
	shoal_any key;
	dict_fill(w.dict, 0, items);
	for (int64_t i = items; i-- > items - 40000;) {
		REQUIRE_EQ(shoal_dict_popitem(w.dict, &key, NULL), 0);
		REQUIRE_EQ(shoal_any_int(&key, -1), i);
	}
	dict_world_end(&w);
}

#if HAS_STEPS

static shoal_dict *popped_of;
static int free_ledgers;

static void *
tries_ledgers(void *unused)
{
	struct dict_call c;
	REQUIRE_EQ(dict_enter(popped_of, SHOAL_KIND_DICT, &c), 0);
	for (uint32_t i = 0; i <= SHARED_LEDGER; i++) {
		struct ledger_hold h = dict_hold(&c, i);
		if (!ledger_try(&h))
			continue;
		ledger_unlock(&h);
		free_ledgers++;
	}
	dict_leave(&c);
	return unused;
}

static void
while_it_sorts(void)
{
	pthread_t thread;
	free_ledgers = 0;
	REQUIRE_EQ(pthread_create(&thread, NULL, tries_ledgers, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
}

static void
popitem_op(void *dict)
{
	REQUIRE_EQ(shoal_dict_popitem(dict, NULL, NULL), 0);
}

/* Names are hints: all but the newest are taken away. */
static void
name_one_of_each(struct dict_world *w)
{
	struct shoal_dict *d = w->dict;
	for (unsigned i = 0; i < STRIPES; i++) {
		/* Behind the room: how many were ever named, how many still are. */
		word64 *last = (word64 *)arena_at(w->arena, load_relaxed(&d->first.stripe[i].recent)) + 1;
		store_relaxed(last, load_relaxed(last) >> 32 << 32 | 1);
	}
}

Test(dict, popitem_looks_at_a_stripe_while_others_write)
{
	struct dict_world w = dict_world(0);
	popped_of = w.dict;
	dict_fill(w.dict, 0, 200);
	REQUIRE(steps_into_call(popitem_op, w.dict, (void (*)(void))qsort, while_it_sorts));
	REQUIRE_EQ(free_ledgers, STRIPES);
	name_one_of_each(&w);
	REQUIRE_EQ(shoal_dict_popitem(w.dict, NULL, NULL), 0);
	REQUIRE(steps_into_call(popitem_op, w.dict, (void (*)(void))qsort, while_it_sorts));
	REQUIRE_EQ(free_ledgers, STRIPES);
	for (int i = 0; i < 197; i++)
		REQUIRE_EQ(shoal_dict_popitem(w.dict, NULL, NULL), 0);
	REQUIRE_EQ(shoal_dict_popitem(w.dict, NULL, NULL), -ENOENT);
	dict_world_end(&w);
}

#endif
