/*
 * Dicts, killed and stopped at each instruction: what the call was to do has happened to every key,
 * or to none.
 *
 * setup makes two dicts of the same items and runs the operation on the second: so it is known what
 * the first one has afterwards. Survivors demand that it has what it had before, or what it is to
 * have; then they write to it, and empty it, so that the auditor sees what leaked.
 */
#include <stdio.h>
#include <string.h>

#include "arena_world.h"
#include "data/dict.h"
#include "harness.h"

#include <shoal/shoal.h>

enum {
	ITEMS = 20,
	CROWD = 6
};

struct shape {
	bool by_key; /* each key by itself is as before or as after: update */
	uint32_t items;
	uint32_t dense; /* of one stripe: the next one begins a level and splits a bucket */
	bool tight; /* there is no page left, until somebody checks */
	uint32_t lined; /* of one bucket, with one more that is there: the last is in another line */
};

static const struct shape whole = { .items = ITEMS }, each = { .by_key = true, .items = ITEMS };
static const struct shape few = { .items = 3 }, none = { 0 }, full = { .dense = 6 };
static const struct shape lined = { .lined = SLOTS };
static const struct shape tight = { .dense = 6, .tight = true };

/* In the driver, before anybody is forked. */
static shoal_any before, after;

static shoal_dict *
dict_of(struct step_world *w)
{
	return w->object[0];
}

static shoal_any
text_of(int64_t i)
{
	static char text[400];
	memset(text, 'a' + (int)(i % 26), sizeof text);
	return shoal_any_from_bytes(text, 8 + (size_t)i * 13 % 380);
}

/* The n-th key whose hash has these low bits, of those from `first` downwards. */
static shoal_any
key_with(struct step_world *w, uint64_t mask, uint64_t low, int first, uint32_t n)
{
	struct dict_call c;
	struct dict_key key;
	shoal_any k = SHOAL_ANY(first);
	STEP_REQUIRE(w, dict_enter(dict_of(w), SHOAL_KIND_DICT, &c) == 0, "%s", shoal_error());
	for (uint32_t found = 0; found <= n;) {
		k.as.integer--;
		(void)dict_key_of(&c, &k, &key);
		found += (key.hash & mask) == low;
	}
	dict_leave(&c);
	return k;
}

static shoal_any
key_in(struct step_world *w, uint64_t stripe, int first, uint32_t n)
{
	return key_with(w, STRIPES - 1, stripe, first, n);
}

/* Of the bucket that has the first stripe's role_key. */
static shoal_any
key_beside(struct step_world *w, uint32_t n)
{
	shoal_any k = key_with(w, FIRST - 1, 0, 1900, 0);
	bool is = shoal_dict_has(dict_of(w), k);
	return key_with(w, FIRST - 1, is ? 0 : STRIPES, 0, n);
}

/* One of each stripe, which survivors may change at any time. */
static shoal_any role_key[STRIPES];
/* Alone in its line. */
static shoal_any last_key;

static void
make(struct step_world *w, const char *name)
{
	static const char value[36] = "two vectors and a few bytes more";
	const struct shape *s = w->of->shape;
	int rc = shoal_dict_create(w->arena, name, NULL, (shoal_dict **)&w->object[0]);
	/* What shares a bucket is the same in every run. */
	if (rc == 0)
		dict_of(w)->seed = 1;
	for (uint32_t i = 0; rc == 0 && i < STRIPES; i++) {
		role_key[i] = key_in(w, i, 1900, 0);
		rc = shoal_dict_set(dict_of(w), role_key[i], SHOAL_ANY(0));
	}
	for (uint32_t i = 0; rc == 0 && i < s->items; i++)
		rc = shoal_dict_set(dict_of(w), SHOAL_ANY((int)i), text_of(i));
	for (uint32_t i = 0; rc == 0 && i < s->dense; i++)
		rc = shoal_dict_set(dict_of(w), key_in(w, 0, 0, i), text_of(i));
	for (uint32_t i = 0; rc == 0 && i < s->lined; i++)
		rc = shoal_dict_set(dict_of(w), last_key = key_beside(w, i), text_of(i));
	if (rc == 0)
		rc = shoal_dict_set(dict_of(w), SHOAL_ANY("count"), SHOAL_ANY(5));
	if (rc == 0)
		rc = shoal_dict_set_bytes(dict_of(w), "bytes", 5, value, sizeof value);
	STEP_REQUIRE(w, rc == 0, "setup: %d, %s", rc, shoal_error());
}

/* All runs of pages, in a chain that begins in a block: one of the arena, as what is put back. */
static void
tighten(struct step_world *w)
{
	const struct shape *s = w->of->shape;
	void **chain = w->object[1] = s->tight ? shoal_new(w->arena, 64) : NULL, *run;
	for (size_t bytes = s->tight ? WORLD_LIMIT : 0; bytes >= 1 << 16; bytes /= 2)
		while (shoal_alloc(w->arena, bytes, &run) == 0) {
			*(void **)run = *chain;
			*chain = run;
		}
}

static void
loosen(struct step_world *w)
{
	void **chain = w->object[1], *run;
	while (chain && (run = *chain)) {
		*chain = *(void **)run;
		shoal_free(w->arena, run);
	}
}

static void
setup(struct step_world *w)
{
	arena_world(w);
	make(w, "second");
	tighten(w);
	w->of->op(w);
	loosen(w);
	STEP_REQUIRE(w, shoal_dict_snapshot(dict_of(w), &after) == 0, "%s", shoal_error());
	STEP_REQUIRE(w, shoal_dict_destroy(w->arena, dict_of(w)) == 0, "%s", shoal_error());
	make(w, "first");
	STEP_REQUIRE(w, shoal_dict_snapshot(dict_of(w), &before) == 0, "%s", shoal_error());
	tighten(w);
	memset(step_mine(w), 0, sizeof *step_mine(w));
}

/* ---- what survivors demand ---- */

static const shoal_any *
find(const shoal_any *map, const shoal_any *key)
{
	for (size_t i = 0; i < map->count; i++)
		if (shoal_any_equal(&map->as.items[2 * i], key))
			return &map->as.items[2 * i + 1];
	return NULL;
}

static bool
same_at(const shoal_any *map, const shoal_any *key, const shoal_any *value)
{
	const shoal_any *other = find(map, key);
	return value ? other && shoal_any_equal(other, value) : !other;
}

/* Keys that survivors set. */
static bool
is_ours(const shoal_any *key)
{
	return key->kind == SHOAL_ANY_INT && key->as.integer >= 1000;
}

/* Whether the dict has, for each key of either, what `map` has. */
static bool
is_as(const shoal_any *now, const shoal_any *map, const shoal_any *other)
{
	const shoal_any *keys[] = { now, map, other };
	for (int m = 0; m < 3; m++)
		for (size_t i = 0; i < keys[m]->count; i++) {
			const shoal_any *key = &keys[m]->as.items[2 * i];
			if (!is_ours(key) && !same_at(map, key, find(now, key)))
				return false;
		}
	return true;
}

static void
demand_keys(struct step_world *w, const shoal_any *now)
{
	const shoal_any *keys[] = { now, &before, &after };
	for (int m = 0; m < 3; m++)
		for (size_t i = 0; i < keys[m]->count; i++) {
			const shoal_any *key = &keys[m]->as.items[2 * i], *value = find(now, key);
			STEP_REQUIRE(w,
			             is_ours(key) || same_at(&before, key, value) ||
			                     same_at(&after, key, value),
			             "a key has neither what it had nor what it was to have");
		}
}

/* The same items by get, by size and by a cursor. */
static void
demand_whole(struct step_world *w, const shoal_any *now)
{
	shoal_cursor cursor = { 0 };
	const shoal_any *key, *value;
	size_t seen = 0;
	for (size_t i = 0; i < now->count; i++) {
		shoal_any v;
		int rc;
		STEP_WITHIN(w, "get", rc = shoal_dict_get(dict_of(w), now->as.items[2 * i], &v));
		STEP_REQUIRE(w, rc == 0 && shoal_any_equal(&v, &now->as.items[2 * i + 1]),
		             "get: %d, and another value than the snapshot's", rc);
		shoal_any_clear(&v);
	}
	STEP_REQUIRE(w, shoal_dict_size(dict_of(w)) == now->count, "size %zu, not %zu",
	             shoal_dict_size(dict_of(w)), now->count);
	while (shoal_dict_next(dict_of(w), &cursor, &key, &value) == 1) {
		STEP_REQUIRE(w, same_at(now, key, value), "a cursor sees what is not there");
		seen++;
	}
	STEP_REQUIRE(w, seen == now->count, "a cursor sees %zu of %zu", seen, now->count);
}

/* Whatever stripe the dead one had: each of them is written to. */
static void
write_again(struct step_world *w, const shoal_any *now)
{
	shoal_any other = SHOAL_ANY("another value");
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < now->count; i++)
		STEP_WITHIN(w, "set", rc = shoal_dict_set(dict_of(w), now->as.items[2 * i], other));
	for (int i = 2000; rc == 0 && i < 2024; i++)
		STEP_WITHIN(w, "set", rc = shoal_dict_set(dict_of(w), SHOAL_ANY(i), text_of(i)));
	for (int i = 2000; rc == 0 && i < 2024; i += 2)
		STEP_WITHIN(w, "pop", rc = shoal_dict_pop(dict_of(w), SHOAL_ANY(i), NULL));
	STEP_REQUIRE(w, rc == 0, "%d, %s", rc, shoal_error());
	STEP_WITHIN(w, "clear", rc = shoal_dict_clear(dict_of(w)));
	STEP_REQUIRE(w, rc == 0 && shoal_dict_size(dict_of(w)) == 0, "clear: %d", rc);
}

/* A snapshot: before the call or after it, each key once. */
static void
demand_moment(struct step_world *w, const shoal_any *now)
{
	const struct shape *s = w->of->shape;
	const struct step_part *part = &w->part[STEP_VICTIM];
	demand_keys(w, now);
	bool is_after = is_as(now, &after, &before), is_before = is_as(now, &before, &after);
	STEP_REQUIRE(w, s->by_key || is_after || is_before, "half of it has happened");
	STEP_REQUIRE(w, !part->done || is_after, "what returned has not happened: %lld",
	             (long long)part->result);
	for (size_t i = 0; i < now->count; i++)
		STEP_REQUIRE(w, find(now, &now->as.items[2 * i]) == &now->as.items[2 * i + 1],
		             "a key is there twice");
}

static void
check(struct step_world *w)
{
	shoal_any now;
	int rc;
	loosen(w);
	STEP_WITHIN(w, "snapshot", rc = shoal_dict_snapshot(dict_of(w), &now));
	STEP_REQUIRE(w, rc == 0, "snapshot: %d, %s", rc, shoal_error());
	demand_moment(w, &now);
	demand_whole(w, &now);
	write_again(w, &now);
	shoal_any_clear(&now);
}

static void
crowd(struct step_world *w)
{
	shoal_any v;
	int rc = 0;
	arena_join(w);
	step_meet(w, 2);
	for (int i = 0; rc == 0 && i < CROWD; i++) {
		shoal_any key = SHOAL_ANY(1000 + i);
		STEP_WITHIN(w, "set", rc = shoal_dict_set(dict_of(w), key, text_of(i)));
		STEP_REQUIRE(w, rc == 0, "set: %d, %s", rc, shoal_error());
		STEP_WITHIN(w, "add", rc = shoal_dict_add_int(dict_of(w), SHOAL_ANY(1100), 1, NULL));
		STEP_REQUIRE(w, rc == 0, "add_int: %d, %s", rc, shoal_error());
		STEP_WITHIN(w, "get", rc = shoal_dict_get(dict_of(w), key, &v));
		STEP_REQUIRE(w, rc == 0 && v.count == text_of(i).count, "%d, %s", rc, shoal_error());
		shoal_any_clear(&v);
	}
}

/* ---- who comes upon it, and who is held up ---- */

/* The same again: of the same stripe, and harmless where it has happened. */
static void
meet_again(struct step_world *w)
{
	w->of->op(w);
}

static bool
try_read(struct step_world *w, int64_t ns)
{
	int64_t began = step_now();
	shoal_any v;
	for (int i = 0; i < 3; i++)
		if (shoal_dict_get(dict_of(w), SHOAL_ANY(i), &v) == 0)
			shoal_any_clear(&v);
	(void)shoal_dict_size(dict_of(w));
	int rc = shoal_dict_snapshot(dict_of(w), &v);
	bool held = step_now() - began > ns;
	STEP_REQUIRE(w, rc == 0, "snapshot: %d, %s", rc, shoal_error());
	demand_moment(w, &v);
	shoal_any_clear(&v);
	return held;
}

static bool
try_write(struct step_world *w, int64_t ns)
{
	int64_t began = step_now();
	/* Into every stripe, whichever it is that stands still. */
	for (unsigned i = 0; i < STRIPES; i++)
		(void)shoal_dict_add_int(dict_of(w), role_key[i], 1, NULL);
	return step_now() - began > ns;
}

/* ---- the operations ---- */

#define OP(name_, call_) \
	static void op_##name_(struct step_world *w) \
	{ \
		step_mine(w)->result = call_; \
	}

static shoal_any five, six;

OP(set_new, shoal_dict_set(dict_of(w), SHOAL_ANY("new"), text_of(3)))
OP(set_again, shoal_dict_set(dict_of(w), SHOAL_ANY(1), text_of(7)))
OP(set_int, shoal_dict_set(dict_of(w), SHOAL_ANY("count"), SHOAL_ANY(6)))
OP(set_map, shoal_dict_set(dict_of(w), SHOAL_ANY(1), SHOAL_MAP("a", 1, "b", SHOAL_LIST(1, 2))))
OP(pop, shoal_dict_pop(dict_of(w), SHOAL_ANY(1), NULL))
OP(popitem, shoal_dict_popitem(dict_of(w), NULL, NULL))
OP(clear, shoal_dict_clear(dict_of(w)))
OP(setdefault, shoal_dict_setdefault(dict_of(w), SHOAL_ANY("new"), text_of(3), NULL))
OP(add_int, shoal_dict_add_int(dict_of(w), SHOAL_ANY("count"), 3, NULL))
OP(add_int_new, shoal_dict_add_int(dict_of(w), SHOAL_ANY("new"), 3, NULL))
OP(set_bytes, shoal_dict_set_bytes(dict_of(w), "new", 3, "value", 5))
OP(pop_bytes, shoal_dict_pop_bytes(dict_of(w), "new", 3))
OP(has, shoal_dict_has(dict_of(w), SHOAL_ANY(1)))
OP(size, (int64_t)shoal_dict_size(dict_of(w)))
OP(version, (int64_t)shoal_dict_version(dict_of(w)))

static void
op_compare_exchange(struct step_world *w)
{
	five = SHOAL_ANY(5);
	six = SHOAL_ANY("six");
	step_mine(w)->result =
		shoal_dict_compare_exchange(dict_of(w), SHOAL_ANY("count"), &five, &six);
}

/* The line goes with it. */
static void
op_pop_line(struct step_world *w)
{
	shoal_arena_info was, is;
	if (step_me == STEP_SETUP)
		(void)shoal_arena_stat(w->arena, &was);
	step_mine(w)->result = shoal_dict_pop(dict_of(w), last_key, NULL);
	if (step_me != STEP_SETUP)
		return;
	(void)shoal_arena_stat(w->arena, &is);
	STEP_REQUIRE(w, is.blocks == was.blocks - 2, "%llu blocks, then %llu",
	             (unsigned long long)was.blocks, (unsigned long long)is.blocks);
}

/* A level is begun, and what is split moves keys. The key is as setup found it in every process. */
static shoal_any new_key;

static void
op_grow(struct step_world *w)
{
	if (step_me == STEP_SETUP)
		new_key = key_in(w, 0, 0, full.dense);
	step_mine(w)->result = shoal_dict_set(dict_of(w), new_key, text_of(3));
}

/* Likewise, where memory is in lines alone. */
static void
op_grow_tight(struct step_world *w)
{
	op_grow(w);
	if (step_me == STEP_SETUP) {
		struct dict_call c;
		STEP_REQUIRE(w, dict_enter(dict_of(w), SHOAL_KIND_DICT, &c) == 0 && dict_look(&c), "look");
		STEP_REQUIRE(w, load_relaxed(&c.seen.table->at[1]) & TREE, "the level is no tree");
		dict_leave(&c);
	}
}

static void
op_update(struct step_world *w)
{
	step_mine(w)->result =
		shoal_dict_update(dict_of(w), SHOAL_MAP("new", 1, "count", "text", "newer", 2));
}

/* A long value, in a run of pages. */
static void
op_set_long(struct step_world *w)
{
	static char text[100000];
	step_mine(w)->result =
		shoal_dict_set(dict_of(w), SHOAL_ANY(1), shoal_any_from_bytes(text, sizeof text));
}

static void
op_get(struct step_world *w)
{
	shoal_any v;
	step_mine(w)->result = shoal_dict_get(dict_of(w), SHOAL_ANY(1), &v);
	shoal_any_clear(&v);
}

static void
op_get_bytes(struct step_world *w)
{
	char buffer[40];
	step_mine(w)->result = shoal_dict_get_bytes(dict_of(w), "bytes", 5, buffer, sizeof buffer);
}

/* The quick way in is of those who know the dict. */
static void
know(struct step_world *w)
{
	arena_join(w);
	op_get_bytes(w);
	STEP_REQUIRE(w, step_mine(w)->result == 36, "get_bytes: %d", (int)step_mine(w)->result);
}

static void
op_get_bytes_known(struct step_world *w)
{
	op_get_bytes(w);
}

static void
op_snapshot(struct step_world *w)
{
	shoal_any v;
	step_mine(w)->result = shoal_dict_snapshot(dict_of(w), &v);
	shoal_any_clear(&v);
}

static void
op_next(struct step_world *w)
{
	shoal_cursor cursor = { 0 };
	while (shoal_dict_next(dict_of(w), &cursor, NULL, NULL) == 1)
		;
}

static void
op_print(struct step_world *w)
{
	char text[4000];
	FILE *to = fmemopen(text, sizeof text, "w");
	step_mine(w)->result = to ? shoal_dict_print(dict_of(w), to) : -1;
	if (to)
		fclose(to);
}

#define DICT_CASE(name_, shape_, meet_) DICT_CASE_OF(name_, shape_, meet_, arena_join)
#define DICT_CASE_OF(name_, shape_, meet_, prepare_) \
	STEP_CASE(dict, name_, .shape = &(shape_), .setup = setup, .prepare = prepare_, \
	          .op = op_##name_, .check = check, .crowd = crowd, .audit = arena_audit, \
	          .meet_prepare = arena_join, .meet = { meet_recover, meet_ }, \
	          .role = { { "others", try_others }, { "reader", try_read }, { "writer", try_write } })

DICT_CASE(set_new, whole, meet_again)
DICT_CASE(set_again, whole, meet_again)
DICT_CASE(set_int, whole, meet_again)
DICT_CASE(set_map, whole, NULL)
DICT_CASE(set_long, few, NULL)
DICT_CASE(pop, whole, meet_again)
DICT_CASE(pop_line, lined, meet_again)
DICT_CASE(popitem, few, NULL)
DICT_CASE(clear, none, NULL)
DICT_CASE(setdefault, whole, NULL)
DICT_CASE(add_int, whole, NULL)
DICT_CASE(add_int_new, whole, NULL)
DICT_CASE(compare_exchange, whole, meet_again)
DICT_CASE(update, each, NULL)
DICT_CASE(grow, full, meet_again)
STEP_CASE(dict, grow_tight, .shape = &tight, .setup = setup, .prepare = arena_join,
          .op = op_grow_tight, .check = check, .audit = arena_audit, .meet_prepare = arena_join,
          .meet = { meet_recover, meet_again },
          .role = { { "reader", try_read }, { "writer", try_write } })
DICT_CASE(set_bytes, whole, NULL)
DICT_CASE(pop_bytes, whole, NULL)
DICT_CASE(get, few, NULL)
DICT_CASE(get_bytes, few, NULL)
DICT_CASE_OF(get_bytes_known, few, NULL, know)
DICT_CASE(has, few, NULL)
DICT_CASE(size, few, NULL)
DICT_CASE(version, few, NULL)
DICT_CASE(next, few, NULL)
DICT_CASE(snapshot, few, NULL)
DICT_CASE(print, few, NULL)
