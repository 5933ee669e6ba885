/* Dicts while a process that has one of their locks stands still: whom it holds up. */
#include "data/dict.h"
#include "dict_common.h"
#include <signal.h>
#include <sys/wait.h>

enum { ITEMS = 64, LAST = STRIPES - 1 };

struct stage {
	struct dict_world w;
	volatile int stop;
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
	raise(SIGSTOP);
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

/* In the midst of a change there, too. */
static int
changes_the_last(void *arg)
{
	struct stage *s = arg;
	struct dict_call c;
	REQUIRE_EQ(dict_enter(s->w.dict, SHOAL_KIND_DICT, &c), 0);
	REQUIRE_EQ(dict_lock(&c, LAST), 0);
	ledger_open(&c.hold, 0);
	raise(SIGSTOP);
	ledger_give_up(&c.hold);
	dict_unlock(&c);
	dict_leave(&c);
	return 0;
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
	pid_t stopped = stopped_child(changes_the_last, s);
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
