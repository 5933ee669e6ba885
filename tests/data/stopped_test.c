/* Containers while a process that has one of their locks stands still: whom it holds up. */
#include "data/dict.h"
#include "data/list.h"
#include "dict_common.h"
#include <signal.h>
#include <sys/wait.h>

enum { ITEMS = 64, LAST = STRIPES - 1 };

struct stage {
	struct dict_world w;
	volatile int stop;
	bool amid; /* who stands still is in the midst of a change */
	int (*call)(shoal_dict *);
};

static uint64_t
stripe_of(shoal_dict *d, shoal_any key)
{
	struct dict_call c;
	struct dict_key k;
	REQUIRE_EQ(dict_enter(d, SHOAL_KIND_DICT, &c), 0);
	REQUIRE_EQ(dict_key_of(&c, &key, &k), 0);
	dict_leave(&c);
	return k.hash % STRIPES;
}

static struct stage *
stage_make(void)
{
	struct stage *s = shared(sizeof *s);
	s->w = dict_world(0);
	dict_fill(s->w.dict, 0, ITEMS);
	/* From the second one on it only takes the locks. */
	REQUIRE_EQ(shoal_dict_popitem(s->w.dict, NULL, NULL), 0);
	return s;
}

/* In a write of the last stripe. */
static int
holds_the_last(void *arg)
{
	struct stage *s = arg;
	struct dict_call c;
	REQUIRE_EQ(dict_enter(s->w.dict, SHOAL_KIND_DICT, &c), 0);
	REQUIRE_EQ(dict_lock(&c, LAST), 0);
	if (s->amid)
		ledger_open(&c.hold, 0);
	raise(SIGSTOP);
	if (s->amid)
		ledger_give_up(&c.hold);
	dict_unlock(&c);
	dict_leave(&c);
	return 0;
}

static pid_t
stopped_child(int (*run)(void *), void *arg)
{
	int status;
	pid_t pid = child(run, arg);
	REQUIRE_EQ(waitpid(pid, &status, WUNTRACED), pid);
	REQUIRE(WIFSTOPPED(status));
	return pid;
}

/* Somebody sleeps for the lock of the last stripe. */
static void
await_sleeper(struct stage *s)
{
	const word32 *word = &s->w.dict->ledger[LAST].lock.word;
	for (int i = 0; i < 5000 && !(load_relaxed(word) & FUTEX_SLEEPERS); i++)
		sleep_ms(1);
	REQUIRE(load_relaxed(word) & FUTEX_SLEEPERS);
}

static int
takes_all(void *arg)
{
	struct stage *s = arg;
	REQUIRE_EQ(s->call(s->w.dict), 0);
	return 0;
}

static int
writes_the_others(void *arg)
{
	struct stage *s = arg;
	for (int i = 0; i < ITEMS; i++)
		if (stripe_of(s->w.dict, SHOAL_ANY(i)) != LAST)
			REQUIRE_EQ(shoal_dict_set(s->w.dict, SHOAL_ANY(i), SHOAL_ANY("new")), 0);
	return 0;
}

static int
pops(shoal_dict *d)
{
	return shoal_dict_popitem(d, NULL, NULL);
}

Test(dict, who_needs_all_stripes_waits_for_a_stopped_one_with_none_in_hand)
{
	int (*const call[])(shoal_dict *) = { pops, shoal_dict_clear };
	for (int i = 0; i < 2; i++) {
		struct stage *s = stage_make();
		s->call = call[i];
		pid_t stopped = stopped_child(holds_the_last, s);
		pid_t waits = child(takes_all, s);
		await_sleeper(s);
		for (int again = 0; again < 5; again++)
			expect_child(child(writes_the_others, s), 0, 3000);
		REQUIRE_EQ(kill(stopped, SIGCONT), 0);
		expect_child(stopped, 0, 5000);
		expect_child(waits, 0, 5000);
		dict_world_end(&s->w);
	}
}

static int
writes_on(void *arg)
{
	struct stage *s = arg;
	for (int i = 0; !s->stop; i = (i + 1) % ITEMS)
		REQUIRE_EQ(shoal_dict_set(s->w.dict, SHOAL_ANY(i), SHOAL_ANY("another")), 0);
	return 0;
}

/* Two of them and their victims: nobody gives way for ever. */
Test(dict, who_needs_all_stripes_comes_through_among_writers)
{
	struct stage *s = stage_make();
	pid_t writer[3], popper[2];
	s->call = pops;
	for (int i = 0; i < 3; i++)
		writer[i] = child(writes_on, s);
	for (int i = 0; i < 100; i++) {
		for (int p = 0; p < 2; p++)
			popper[p] = child(takes_all, s);
		for (int p = 0; p < 2; p++)
			expect_child(popper[p], 0, 5000);
	}
	s->stop = 1;
	for (int i = 0; i < 3; i++)
		expect_child(writer[i], 0, 5000);
	dict_world_end(&s->w);
}

static int
writes_the_others_on(void *arg)
{
	struct stage *s = arg;
	while (!s->stop)
		writes_the_others(s);
	return 0;
}

static int
snapshots(void *arg)
{
	struct stage *s = arg;
	for (int i = 0; i < 50; i++) {
		shoal_any v;
		REQUIRE_EQ(shoal_dict_snapshot(s->w.dict, &v), 0);
		REQUIRE_EQ(v.count, ITEMS);
		shoal_any_clear(&v);
	}
	return 0;
}

/* Writers leave it no moment, and one lock is not to be had. */
Test(dict, a_snapshot_among_writers_waits_for_no_stopped_one)
{
	struct stage *s = stage_make();
	pid_t writer[2];
	dict_fill(s->w.dict, 0, ITEMS);
	s->amid = true;
	pid_t stopped = stopped_child(holds_the_last, s);
	for (int i = 0; i < 2; i++)
		writer[i] = child(writes_the_others_on, s);
	expect_child(child(snapshots, s), 0, 8000);
	s->stop = 1;
	for (int i = 0; i < 2; i++)
		expect_child(writer[i], 0, 5000);
	REQUIRE_EQ(kill(stopped, SIGCONT), 0);
	expect_child(stopped, 0, 5000);
	dict_world_end(&s->w);
}

/* ---- one who reads, and found writers too quick before they were stopped ---- */

struct race {
	struct dict_world w;
	shoal_list *list;
	word64 *word; /* while it is `bad`, no look comes to anything, as among quick writers */
	uint64_t bad;
	struct robust *lock;
	bool dict;
	void (*read)(struct race *);
};

static int
holds_the_lock(void *arg)
{
	struct race *r = arg;
	struct list_call call;
	struct dict_call c;
	shoal_any key = SHOAL_ANY(1);
	struct dict_key k;
	if (r->dict) {
		REQUIRE_EQ(dict_enter(r->w.dict, SHOAL_KIND_DICT, &c), 0);
		REQUIRE_EQ(dict_key_of(&c, &key, &k), 0);
		REQUIRE_EQ(dict_lock(&c, k.hash), 0);
	} else {
		REQUIRE_EQ(list_enter(&call, r->list), 0);
		REQUIRE_EQ(list_lock(&call), 0);
	}
	raise(SIGSTOP);
	return 0;
}

static int
reads_once(void *arg)
{
	struct race *r = arg;
	r->read(r);
	return 0;
}

static void
read_item(struct race *r)
{
	shoal_any v;
	REQUIRE_EQ(shoal_list_get(r->list, 1, &v), 0);
}

static void
read_size(struct race *r)
{
	REQUIRE_EQ(shoal_list_size(r->list), 10);
}

static void
read_key(struct race *r)
{
	REQUIRE_EQ(int_of(r->w.dict, SHOAL_ANY(1)), 3);
}

static void
read_next(struct race *r)
{
	shoal_cursor cursor = { 0 };
	while (shoal_dict_next(r->w.dict, &cursor, NULL, NULL) == 1)
		continue;
}

static void
find_words(struct race *r)
{
	struct dict_call c;
	struct dict_key k;
	struct dict_place p;
	shoal_any key = SHOAL_ANY(1);
	struct list_top *top = arena_at(r->w.arena, load_relaxed(&r->list->top));
	r->word = &top->tail_count;
	r->bad = LEAF_SLOTS + 1;
	r->lock = &r->list->ledger.lock;
	if (!r->dict)
		return;
	REQUIRE_EQ(dict_enter(r->w.dict, SHOAL_KIND_DICT, &c), 0);
	REQUIRE_EQ(dict_key_of(&c, &key, &k), 0);
	REQUIRE(dict_look(&c) && dict_find_bucket(&c, k.hash, &p));
	r->word = &p.bucket->state;
	r->bad = state_make(1, 1);
	r->lock = &r->w.dict->ledger[k.hash % STRIPES].lock;
	dict_leave(&c);
}

static void
read_beside_a_stopped_one(void (*read)(struct race *), bool dict)
{
	struct race *r = shared(sizeof *r);
	*r = (struct race){ .w = dict_world(0), .read = read, .dict = dict };
	dict_fill(r->w.dict, 0, 10);
	REQUIRE_EQ(shoal_list_create(r->w.arena, "l", NULL, &r->list), 0);
	for (int i = 0; i < 10; i++)
		REQUIRE_EQ(shoal_list_append(r->list, SHOAL_ANY(i)), 0);
	find_words(r);
	pid_t stopped = stopped_child(holds_the_lock, r);
	uint64_t good = load_relaxed(r->word);
	store_relaxed(r->word, r->bad);
	pid_t reader = child(reads_once, r);
	for (int i = 0; i < 5000 && !(load_relaxed(&r->lock->word) & FUTEX_SLEEPERS); i++)
		sleep_ms(1);
	REQUIRE(load_relaxed(&r->lock->word) & FUTEX_SLEEPERS);
	store_relaxed(r->word, good);
	expect_child(reader, 0, 5000);
	REQUIRE_EQ(kill(stopped, SIGKILL), 0);
	expect_killed(stopped, SIGKILL, 5000);
	REQUIRE(shoal_arena_recover(r->w.arena) >= 1);
	REQUIRE_EQ(shoal_list_destroy(r->w.arena, r->list), 0);
	dict_world_end(&r->w);
}

Test(list, who_reads_gives_up_waiting_for_a_stopped_writer)
{
	read_beside_a_stopped_one(read_item, false);
	read_beside_a_stopped_one(read_size, false);
}

Test(dict, who_reads_gives_up_waiting_for_a_stopped_writer)
{
	read_beside_a_stopped_one(read_key, true);
	read_beside_a_stopped_one(read_next, true);
}
