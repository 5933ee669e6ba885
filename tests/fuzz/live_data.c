#include "live_data.h"
#include "data/dict.h"
#include "data/list.h"
#include "live_guard.h"
#include "sync/rlock.h"
#include <stdio.h>
#include <string.h>

#define MUST(x) live_must(x, #x)

enum { KEYS = 300, ITEMS = 400 };

/* ---- what is in them ---- */

static char text[6000];

static shoal_any
text_of(size_t bytes)
{
	memset(text, 't', sizeof text);
	return shoal_any_from_bytes(text, bytes);
}

static void
fill_dict(shoal_dict *d, int keys, shoal_any other)
{
	/* So that an input does the same everywhere. */
	((struct shoal_dict *)d)->seed = 1;
	for (int i = 0; i < keys; i++) {
		shoal_any key = SHOAL_ANY(i), nested = SHOAL_LIST(i, "nested", 0.5);
		shoal_any value = i % 8 == 5 ? nested : i % 8 == 6 ? text_of(100) : SHOAL_ANY(i);
		MUST(shoal_dict_set(d, key, value) == 0);
	}
	MUST(shoal_dict_set(d, SHOAL_ANY("long"), text_of(5000)) == 0);
	MUST(shoal_dict_set(d, SHOAL_ANY("other"), other) == 0);
	MUST(shoal_dict_set(d, SHOAL_ANY("others"), SHOAL_LIST(other, 1, other)) == 0);
	MUST(shoal_dict_set_bytes(d, "bytes", 5, text, 40) == 0);
}

static void
fill_list(shoal_list *l, int items, shoal_any other)
{
	for (int i = 0; i < items; i++) {
		shoal_any nested = SHOAL_LIST(i, "nested", 0.5);
		shoal_any item = i % 16 == 5 ? nested : i % 16 == 9 ? text_of(80) : SHOAL_ANY(i);
		MUST(shoal_list_append(l, item) == 0);
	}
	MUST(shoal_list_append(l, other) == 0);
	MUST(shoal_list_insert(l, items / 2, SHOAL_LIST(other, 1, other)) == 0);
	MUST(shoal_list_append(l, SHOAL_ANY(1)) == 0);
}

void
data_make(shoal_arena *a, struct live_data *d)
{
	static const shoal_container_options wide = { .reserve = 5000 };
	MUST(shoal_dict_create(a, "dict-0", NULL, &d->dict[0]) == 0);
	MUST(shoal_dict_create(a, "dict-1", &wide, &d->dict[1]) == 0);
	MUST(shoal_list_create(a, "list-0", NULL, &d->list[0]) == 0);
	MUST(shoal_list_create(a, "list-1", NULL, &d->list[1]) == 0);
	MUST(shoal_namespace_create(a, "names", NULL, &d->names) == 0);
	MUST(shoal_value_create(a, "value", SHOAL_I64, SHOAL_ANY(7), &d->value) == 0);
	MUST(shoal_array_create(a, "array", SHOAL_F32, 100, &d->array) == 0);
	fill_dict(d->dict[0], KEYS, shoal_any_from_list(d->list[0]));
	fill_dict(d->dict[1], 20, shoal_any_from_value(d->value));
	fill_list(d->list[0], ITEMS, shoal_any_from_dict(d->dict[1]));
	fill_list(d->list[1], LEAF_SLOTS + 10, shoal_any_from_array(d->array));
	((struct shoal_dict *)(void *)d->names)->seed = 1;
	MUST(shoal_namespace_set(d->names, "a", SHOAL_ANY("b")) == 0);
	MUST(shoal_namespace_set(d->names, "list", shoal_any_from_list(d->list[1])) == 0);
}

/* One that is committed, and whose ledger names a word of another one's to be changed after it. */
static void
made_up_change(shoal_dict *d, word64 *others)
{
	struct dict_call c;
	MUST(dict_enter(d, SHOAL_KIND_DICT, &c) == 0);
	MUST(dict_lock(&c, 0) == 0);
	struct ledger *l = c.hold.ledger;
	ledger_open(&c.hold, 0);
	ledger_then(&c.hold, 0, others, 1);
	store_relaxed(&l->commit.at, arena_offset(c.in.arena, &c.dict->root));
	store_relaxed(&l->commit.to, load_relaxed(&c.dict->root));
	store_relaxed(ledger_op(l), LEDGER_COMMITTING);
	c.in.thread->busy = 0;
}

void
data_half_change(const struct live_data *d)
{
	made_up_change(d->dict[1], (word64 *)shoal_value_lock(d->value));
	struct list_call call;
	uint64_t slot, leaf;
	shoal_any object = shoal_any_from_list(d->list[0]);
	MUST(list_begin(&call, d->list[1]) == 0);
	MUST(list_slot_make(&call, &object, &slot) == 0);
	MUST(list_leaf_make(&call, &slot, 1, &leaf) == 0);
	MUST(ledger_retire(&call.hold, call.shape.tail, false) == 0);
	call.c.thread->busy = 0;
}

/* ---- where the words are ---- */

static void
dict_regions(const shoal_arena *a, const struct shoal_dict *d,
             void (*fn)(const char *what, uint64_t at, uint64_t bytes))
{
	uint64_t at = arena_offset(a, d), table = load_relaxed(&d->root);
	fn("dict", at, offsetof(struct shoal_dict, order) + 8);
	fn("dict ledgers", at + offsetof(struct shoal_dict, ledger), sizeof d->ledger);
	fn("dict table", table, sizeof(struct dict_table));
	fn("dict levels", table, offsetof(struct dict_table, stripe));
	fn("dict buckets", at + offsetof(struct shoal_dict, buckets), sizeof d->buckets);
	const struct dict_table *t = arena_at(a, table);
	for (uint64_t i = 1; i <= load_relaxed(&t->level); i++)
		fn("dict level", load_relaxed(&t->at[i]), i > LEVEL_WHOLE ? 16 : FIRST << (i - 1) << 6);
}

static void
list_regions(const shoal_arena *a, const struct shoal_list *l,
             void (*fn)(const char *what, uint64_t at, uint64_t bytes))
{
	uint64_t at = arena_offset(a, l);
	struct list_shape s;
	MUST(list_shape_read(a, l, &s));
	fn("list", at, 16);
	fn("list ledger", at + offsetof(struct shoal_list, ledger), sizeof l->ledger);
	fn("list top", s.top, sizeof(struct list_top));
	fn("list tail", s.tail, sizeof(struct leaf));
	if (s.root)
		fn("list root", s.root, sizeof(struct node));
}

void
data_each_region(const shoal_arena *a, const struct live_data *d,
                 void (*fn)(const char *what, uint64_t at, uint64_t bytes))
{
	for (int i = 0; i < DATA_DICTS; i++)
		dict_regions(a, (const struct shoal_dict *)d->dict[i], fn);
	dict_regions(a, (const struct shoal_dict *)(const void *)d->names, fn);
	for (int i = 0; i < DATA_LISTS; i++)
		list_regions(a, (const struct shoal_list *)d->list[i], fn);
	/* Without their locks, which are the user's: who seems to hold one gives it back. */
	fn("value", arena_offset(a, d->value), SPACING);
	fn("array", arena_offset(a, d->array), SPACING);
}

static void
dict_locks(const struct shoal_dict *d, void (*fn)(const struct robust *r))
{
	for (unsigned i = 0; i <= SHARED_LEDGER; i++)
		fn(&d->ledger[i].lock);
}

void
data_each_lock(const struct live_data *d, void (*fn)(const struct robust *r))
{
	for (int i = 0; i < DATA_DICTS; i++)
		dict_locks((const struct shoal_dict *)d->dict[i], fn);
	dict_locks((const struct shoal_dict *)(const void *)d->names, fn);
	for (int i = 0; i < DATA_LISTS; i++)
		fn(&((const struct shoal_list *)d->list[i])->ledger.lock);
	fn(&rlock_of(shoal_value_lock(d->value))->lock.node);
	fn(&rlock_of(shoal_array_lock(d->array))->lock.node);
}

/* ---- their parts ---- */

static uint64_t parts[4096];
static unsigned part_count;

static void
note_part(const shoal_arena *a, uint64_t offset)
{
	struct block_found b;
	if (part_count < sizeof parts / sizeof *parts && block_find(a, offset, &b) &&
	    block_state(load_relaxed(b.word)) == BLOCK_PART)
		parts[part_count++] = offset;
}

void
data_find_parts(const shoal_arena *a)
{
	uint64_t high = load_relaxed(&a->header->pages_high);
	for (uint64_t page = 0; page < high; page++) {
		uint64_t word = load_relaxed(&arena_page(a, page)->word);
		uint64_t at = arena_page_offset(a, page);
		if (block_state(word) != BLOCK_SLAB) {
			note_part(a, at);
			continue;
		}
		const struct slab_class *c = &slab_classes[block_low(word)];
		for (uint32_t i = 0; i < c->count; i++)
			note_part(a, at + c->blocks_at + (uint64_t)i * c->bytes);
	}
	MUST(part_count > KEYS);
}

/* One that is in use for something else by now may have robust links in it. */
uint64_t
data_part_word(const shoal_arena *a, uint16_t block, uint16_t word)
{
	uint64_t at = parts[block % part_count];
	struct block_found b;
	if (!block_find(a, at, &b) || block_state(load_relaxed(b.word)) != BLOCK_PART)
		return 0;
	return at + word * UINT64_C(4) % b.bytes;
}
