/* What the arena asks of dicts and namespaces: recovery, their end, their check. */
#include "base/error.h"
#include "data/dict.h"
#include "data/kinds.h"
#include <stdarg.h>

static bool
call_of(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object,
        struct dict_call *c)
{
	*c = (struct dict_call){ .in = { .arena = a, .thread = t, .me = me, .object = object } };
	c->dict = object_body_at(a, object);
	c->seen = dict_view_of(c->in.arena, c->dict);
	return c->dict && object_body_bytes(a, c->dict) >= sizeof *c->dict;
}

static void
recover_ledgers(struct dict_call *c)
{
	for (uint32_t i = 0; i <= SHARED_LEDGER; i++) {
		struct ledger_hold h = dict_hold(c, i);
		ledger_recover(&h);
	}
}

/* Whoever has a ledger was told of the death when it took it, and repairs: nobody is waited for. */
static void
recover_call(shoal_arena *a, struct shoal_thread *t, struct member *me, struct member *dead,
             uint32_t object)
{
	struct dict_call c;
	(void)dead;
	if (call_of(a, t, me, object, &c))
		recover_ledgers(&c);
}

/* ---- its end ---- */

struct retirement {
	struct ledger_hold *hold;
};

static bool
retire(void *arg, uint64_t block, const struct dict_entry *entry)
{
	struct retirement *r = arg;
	return ledger_retire(r->hold, block, entry && entry->value_refs) == 0;
}

int
dict_replace_table(struct dict_call *c, struct ledger_hold *shared, uint64_t table)
{
	struct retirement r = { shared };
	if (!dict_walk(c, retire, &r))
		return dict_damaged(c);
	ledger_then(shared, 0, &c->dict->epoch, c->seen.epoch + 1);
	ledger_commit(shared, &c->dict->root, table);
	return 0;
}

/*
 * Everything goes out through the ledger, in one change without anything in its place; so a death
 * inside goes on where it stopped: then there is no root any more. False: it is damaged.
 */
static bool
take_apart(struct dict_call *c)
{
	recover_ledgers(c);
	struct ledger_hold shared = dict_hold(c, SHARED_LEDGER);
	if (!ledger_try(&shared))
		return false;
	bool is = load_relaxed(&c->dict->root) == 0;
	if (!is && dict_look(c)) {
		ledger_open(&shared, 0);
		is = dict_replace_table(c, &shared, 0) == 0;
		if (!is)
			ledger_give_up(&shared);
	}
	ledger_unlock(&shared);
	return is;
}

static void
empty(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object)
{
	struct dict_call c;
	struct ledger_hold all = { .arena = a, .thread = t, .me = me, .kind = &dict_ledger,
		                       .object = object };
	if (!call_of(a, t, me, object, &c) || !take_apart(&c))
		ledger_reclaim(&all);
}

uint64_t
dict_count(const struct dict_call *c)
{
	uint64_t count = 0;
	for (unsigned i = 0; i < STRIPES; i++)
		count += load_relaxed(&c->seen.table->stripe[i].count);
	return count;
}

static uint64_t
size(const shoal_arena *a, uint32_t object)
{
	struct dict_call c;
	if (!call_of((shoal_arena *)(uintptr_t)a, NULL, NULL, object, &c) || !dict_look(&c))
		return 0;
	return dict_count(&c);
}

/* ---- its check ---- */

struct dict_check {
	struct dict_call *call;
	FILE *report;
	int found;
	uint64_t blocks;
	uint64_t count[STRIPES];
};

static __attribute__((format(printf, 2, 3))) void
wrong(struct dict_check *k, const char *format, ...)
{
	va_list args;
	k->found++;
	if (!k->report)
		return;
	fprintf(k->report, "dict %u: ", k->call->in.object);
	va_start(args, format);
	vfprintf(k->report, format, args);
	va_end(args);
	fputc('\n', k->report);
}

static bool
check_part(void *arg, uint64_t block, const struct dict_entry *entry)
{
	struct dict_check *k = arg;
	const word64 *word = block_word_at(k->call->in.arena, block);
	uint64_t seen = word ? load_acquire(word) : 0;
	k->blocks++;
	if (block_state(seen) != BLOCK_PART || block_object(seen) != k->call->in.object)
		wrong(k, "leads to block 0x%llx, whose word is 0x%llx", (unsigned long long)block,
		      (unsigned long long)seen);
	if (!entry)
		return true;
	k->count[entry->hash & (STRIPES - 1)]++;
	uint64_t bytes = block_bytes(k->call->in.arena, block);
	if (bytes < entry_value_at(entry->key_bytes) + entry->value_bytes)
		wrong(k, "entry 0x%llx is longer than its block", (unsigned long long)block);
	if (load_relaxed(&entry->counted) != entry->value_refs)
		wrong(k, "entry 0x%llx has counted %u of its %u references", (unsigned long long)block,
		      load_relaxed(&entry->counted), entry->value_refs);
	return true;
}

static void
check_counts(struct dict_check *k)
{
	for (unsigned i = 0; i < STRIPES; i++) {
		uint64_t says = load_relaxed(&k->call->seen.table->stripe[i].count);
		if (says != k->count[i])
			wrong(k, "stripe %u has %llu entries, its count says %llu", i,
			      (unsigned long long)k->count[i], (unsigned long long)says);
	}
	for (unsigned i = 0; i <= SHARED_LEDGER; i++)
		if (!ledger_idle(&k->call->dict->ledger[i]))
			wrong(k, "a change is under way in ledger %u", i);
}

static int
check(shoal_arena *a, uint32_t object, uint64_t parts, FILE *report)
{
	struct dict_call c;
	struct dict_check k = { .call = &c, .report = report };
	if (!call_of(a, NULL, NULL, object, &c) || !dict_look(&c)) {
		wrong(&k, "has no table");
		return k.found;
	}
	if (!dict_walk(&c, check_part, &k))
		wrong(&k, "its table is damaged");
	check_counts(&k);
	if (parts != KIND_PARTS_UNKNOWN && parts != k.blocks)
		wrong(&k, "has %llu blocks, and leads to %llu", (unsigned long long)parts,
		      (unsigned long long)k.blocks);
	return k.found;
}

const struct kind_ops dict_kind = {
	.lasts = true,
	.parts = true,
	.recover_call = recover_call,
	.empty = empty,
	.size = size,
	.check = check,
};
