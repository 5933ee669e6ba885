/* Ledgers that were overwritten, or made up: nothing outside of the container is written. */
#include "data/ledger.h"
#include "data/dict.h"
#include "data/list.h"
#include "harness.h"
#include <errno.h>
#include <shoal/shoal.h>
#include <signal.h>
#include <string.h>

enum { THEN_OF_OTHERS, COUNT_OF_OTHERS, COMMIT_OF_OTHERS, UNALIGNED, NO_STATE, MADE_UP, WHOLE };

struct world {
	shoal_arena *arena;
	shoal_dict *dict;
	shoal_list *list;
	word64 *others;
	int how;
	shoal_any key;
};

static struct world
world_make(int how)
{
	struct world w = { .how = how };
	shoal_list *inner;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &w.arena), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, NULL, NULL, &w.dict), 0);
	REQUIRE_EQ(shoal_list_create(w.arena, NULL, NULL, &w.list), 0);
	REQUIRE_EQ(shoal_list_create(w.arena, NULL, NULL, &inner), 0);
	for (int i = 0; i < 200; i++) {
		REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(i), SHOAL_LIST("value", i, inner)), 0);
		REQUIRE_EQ(shoal_list_append(w.list, SHOAL_LIST("item", i, inner)), 0);
	}
	REQUIRE_EQ(shoal_list_destroy(w.arena, inner), 0);
	w.others = shoal_new(w.arena, 100);
	memset(w.others, 7, 100);
	return w;
}

/* A change that has happened, as far as the ledger says; its maker dies. */
static void
make_up(const struct world *w, struct ledger_hold *h, word64 *own)
{
	struct ledger *l = h->ledger;
	ledger_open(h, 0);
	ledger_then(h, 0, own, load_relaxed(own));
	store_relaxed(&l->commit.at, arena_offset(w->arena, own));
	store_relaxed(&l->commit.to, load_relaxed(own));
	store_relaxed(ledger_op(l), LEDGER_COMMITTING);
	if (w->how == THEN_OF_OTHERS)
		ledger_then(h, 0, w->others, 1);
	else if (w->how == COUNT_OF_OTHERS)
		ledger_then(h, 1, w->others + 3, 1);
	else if (w->how == COMMIT_OF_OTHERS)
		store_relaxed(&l->commit.at, arena_offset(w->arena, w->others));
	else if (w->how == UNALIGNED)
		store_relaxed(&l->then[0].at, arena_offset(w->arena, own) + 4);
	else if (w->how != WHOLE)
		store_relaxed(ledger_op(l), 77);
	raise(SIGKILL);
}

static int
dies_in_dict(void *arg)
{
	const struct world *w = arg;
	struct dict_call c;
	REQUIRE_EQ(dict_enter(w->dict, SHOAL_KIND_DICT, &c), 0);
	REQUIRE_EQ(dict_lock(&c, 0), 0);
	make_up(w, &c.hold, &c.dict->epoch);
	return 0;
}

static int
dies_in_list(void *arg)
{
	const struct world *w = arg;
	struct list_call call;
	REQUIRE_EQ(list_enter(&call, w->list), 0);
	REQUIRE_EQ(list_lock(&call), 0);
	make_up(w, &call.hold, &call.list->version);
	return 0;
}

static void
world_end(struct world *w)
{
	shoal_arena_info info;
	for (size_t i = 0; i < 100 / sizeof *w->others; i++)
		REQUIRE_EQ(load_relaxed(&w->others[i]), UINT64_C(0x0707070707070707));
	REQUIRE(shoal_arena_recover(w->arena) >= 0);
	REQUIRE(shoal_arena_check(w->arena, NULL) > 0);
	REQUIRE_EQ(shoal_dict_destroy(w->arena, w->dict), 0);
	REQUIRE_EQ(shoal_list_destroy(w->arena, w->list), 0);
	shoal_free(w->arena, w->others);
	REQUIRE_EQ(shoal_arena_check(w->arena, stderr), 0);
	REQUIRE_EQ(shoal_arena_stat(w->arena, &info), 0);
	REQUIRE_EQ(info.blocks, 0);
	shoal_arena_close(w->arena);
}

/* One stripe cannot be written any more; readers go on, and destroying gives all back. */
Test(ledger, a_made_up_change_of_a_dict)
{
	for (int how = 0; how < MADE_UP; how++) {
		struct world w = world_make(how);
		shoal_any v;
		int failed = 0;
		expect_killed(child(dies_in_dict, &w), SIGKILL, 5000);
		for (int i = 0; i < 200; i++) {
			int rc = shoal_dict_set(w.dict, SHOAL_ANY(i), SHOAL_ANY("new"));
			REQUIRE(rc == 0 || rc == -EPROTO);
			failed += rc != 0;
			REQUIRE_EQ(shoal_dict_get(w.dict, SHOAL_ANY(i), &v), 0);
			shoal_any_clear(&v);
		}
		REQUIRE(failed > 0 && failed < 100);
		REQUIRE_EQ(shoal_dict_clear(w.dict), -EPROTO);
		world_end(&w);
	}
}

Test(ledger, a_made_up_change_of_a_list)
{
	for (int how = 0; how < MADE_UP; how++) {
		struct world w = world_make(how);
		shoal_any v;
		expect_killed(child(dies_in_list, &w), SIGKILL, 5000);
		for (int i = 0; i < 3; i++) {
			REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(1)), -EPROTO);
			REQUIRE_EQ(shoal_list_get(w.list, i, &v), 0);
			shoal_any_clear(&v);
		}
		REQUIRE_EQ(shoal_list_size(w.list), 200);
		world_end(&w);
	}
}

/* Whoever meets the dead while it puts a long message may come to bury lists and dicts. */
Test(ledger, what_is_in_the_hand_stays_there)
{
	struct world w = world_make(0);
	struct shoal_thread *t;
	struct member *me;
	uint64_t block;
	REQUIRE_EQ(member_here(w.arena, &t, &me), 0);
	REQUIRE_EQ(block_take(w.arena, t, me, 3000, &block), 0);
	REQUIRE_EQ(shoal_list_destroy(w.arena, w.list), 0);
	REQUIRE_EQ(load_relaxed(&me->hand.block), block);
	REQUIRE_EQ(shoal_dict_destroy(w.arena, w.dict), 0);
	REQUIRE_EQ(load_relaxed(&me->hand.block), block);
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	REQUIRE_EQ(block_give(w.arena, me, block), 0);
	shoal_free(w.arena, w.others);
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	shoal_arena_close(w.arena);
}

/*
 * The word that a change commits may lie anywhere in a block of several pages, as that of an int
 * behind a long key does.
 */
static int
dies_behind_a_long_key(void *arg)
{
	const struct world *w = arg;
	struct dict_call c;
	struct dict_key key;
	struct dict_place p;
	REQUIRE_EQ(dict_enter(w->dict, SHOAL_KIND_DICT, &c), 0);
	REQUIRE_EQ(dict_key_of(&c, &w->key, &key), 0);
	REQUIRE_EQ(dict_lock(&c, key.hash), 0);
	REQUIRE_EQ(dict_locate(&c, &key, &p), 0);
	word64 *value = (word64 *)(void *)((char *)p.entry + entry_value_at(p.head.key_bytes));
	make_up(w, &c.hold, value);
	return 0;
}

Test(ledger, a_word_anywhere_in_a_long_block)
{
	static char bytes[300000];
	for (size_t n = sizeof bytes; n > 60000; n -= 40000) {
		shoal_any all;
		struct world w = world_make(WHOLE);
		w.key = shoal_any_from_bytes(bytes, n);
		REQUIRE_EQ(shoal_dict_set(w.dict, w.key, SHOAL_ANY(1)), 0);
		expect_killed(child(dies_behind_a_long_key, &w), SIGKILL, 5000);
		REQUIRE_EQ(shoal_arena_recover(w.arena), 1);
		REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
		REQUIRE_EQ(shoal_dict_add_int(w.dict, w.key, 2, NULL), 0);
		REQUIRE_EQ(shoal_dict_snapshot(w.dict, &all), 0);
		shoal_any_clear(&all);
		REQUIRE_EQ(shoal_dict_clear(w.dict), 0);
		shoal_arena_close(w.arena);
	}
}
