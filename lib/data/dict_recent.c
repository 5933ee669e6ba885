/*
 * popitem: the item whose key was inserted last.
 *
 * Each stripe of a dict of which anybody popped an item has a block that names its newest entries,
 * by their order and hash, the newest last. They are hints: what one names is looked up before it
 * is believed. But none that is newer than the oldest one named is missing: an insertion names its
 * entry before it commits it. So the newest entry of a stripe is the last one named that is there.
 * Where no more are named, all of the stripe are looked at, once for as many items as the block has
 * room for; each time, where there is no memory for the block: to take out must go on then.
 *
 * ---- crash points, under the stripe's ledger ----
 *
 *	before an insertion's commit   it may be named, and is not there: passed over by the next one
 *	while the block is full        the place of the oldest is written before `last` moves: that one
 *	                               is named no more, and what stands there instead is not there, or
 *	                               is named twice, and gone when it is met for the second time
 *	after a removal                its name stands, as after one by key: as above
 *	while it is filled anew        `last` says that none is named
 */
#include "base/error.h"
#include "data/dict.h"
#include <stdlib.h>
#include <string.h>

#define ROOM_LEAST 64u
#define ROOM_MOST 2048u /* 32 KiB */

struct named {
	word64 order;
	word64 hash;
};

/*
 * last: 63..32 how many were ever named, modulo 2^32; 31..0 how many of the last of them still are.
 */
struct dict_recent {
	word64 room; /* a power of two */
	word64 last;
	struct named at[];
};

struct recent {
	struct dict_recent *block;
	uint32_t room, next, count;
};

static word64 *
word_of(const struct dict_call *c, unsigned stripe)
{
	return &c->seen.table->stripe[stripe].recent;
}

/* False: there is none, or it is damaged. */
static bool
recent_of(const struct dict_call *c, unsigned stripe, struct recent *out)
{
	uint64_t at = load_relaxed(word_of(c, stripe));
	struct block_found b;
	if (likely(!at) || !dict_owns(c, at, sizeof *out->block) || !block_find(c->in.arena, at, &b))
		return false;
	out->block = arena_at(c->in.arena, at);
	uint64_t room = load_relaxed(&out->block->room), last = load_relaxed(&out->block->last);
	out->room = (uint32_t)room;
	out->next = (uint32_t)(last >> 32);
	out->count = (uint32_t)last;
	return room && room <= ROOM_MOST && !(room & (room - 1)) && out->count <= room &&
	       b.bytes >= sizeof *out->block + room * sizeof(struct named);
}

static void
set_last(struct recent *r, uint32_t next, uint32_t count)
{
	fence_crash();
	store_relaxed(&r->block->last, (uint64_t)next << 32 | count);
	r->next = next;
	r->count = count;
}

void
dict_name_recent(struct dict_call *c, uint64_t order, uint64_t hash)
{
	struct recent r;
	if (likely(!load_relaxed(word_of(c, c->hold.index))) || !recent_of(c, c->hold.index, &r))
		return;
	struct named *n = &r.block->at[r.next & (r.room - 1)];
	store_relaxed(&n->order, order);
	store_relaxed(&n->hash, hash);
	set_last(&r, r.next + 1, r.count < r.room ? r.count + 1 : r.room);
}

/* ---- filled anew ---- */

/* Of all items the newest, and others among them: twice as many as a block names, at most. */
#define GATHERED_MOST (2 * (size_t)ROOM_MOST)

struct all {
	struct dict_call *call;
	struct { uint64_t order, hash; } *item;
	size_t count, room;
	uint64_t least; /* older ones are not wanted any more */
};

static int
by_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void
sort(struct all *s)
{
	if (s->count)
		qsort(s->item, s->count, sizeof *s->item, by_order);
}

static int
more_room(struct all *s)
{
	size_t room = s->room ? 2 * s->room : 256;
	void *item = realloc(s->item, room * sizeof *s->item);
	if (!item)
		return fail(-ENOMEM, "no memory to look for the newest of %zu items", room);
	s->item = item;
	s->room = room;
	return 0;
}

/* As many as a block names; so what comes next is mostly older, and nothing has to be done. */
static void
keep_newest(struct all *s)
{
	sort(s);
	s->count = ROOM_MOST;
	memcpy(s->item, s->item + ROOM_MOST, s->count * sizeof *s->item);
	s->least = s->item[0].order;
}

static int
add(struct all *s, const struct dict_entry *e)
{
	if (e->order < s->least)
		return 0;
	if (s->count == GATHERED_MOST)
		keep_newest(s);
	int rc = s->count == s->room ? more_room(s) : 0;
	if (rc)
		return rc;
	s->item[s->count].order = e->order;
	s->item[s->count++].hash = e->hash;
	return 0;
}

static int
add_bucket(struct all *s, const struct bucket *b)
{
	unsigned lines = 0;
	for (const struct bucket *line = b; line; line = dict_more(&s->call->seen, line)) {
		if (lines++ == LINES_MAX)
			return dict_damaged(s->call);
		for (unsigned i = 0; i < SLOTS; i++) {
			uint64_t slot = load_relaxed(&line->slot[i]);
			const struct dict_entry *e =
				slot ? dict_at(s->call, slot & SLOT_OFFSET, sizeof *e) : NULL;
			int rc = e ? add(s, e) : 0;
			if (rc)
				return rc;
		}
	}
	return 0;
}

/*
 * No stripe has more buckets than the arena has lines: a level is begun for the entries that one
 * has. Else the level was overwritten.
 */
static int
add_stripe(struct all *s, unsigned stripe)
{
	uint64_t level = load_relaxed(&s->call->seen.table->level);
	uint64_t most = s->call->in.arena->bytes / LINE;
	int rc = level > LEVELS ? dict_damaged(s->call) : 0;
	for (uint64_t i = stripe; rc == 0 && i < FIRST << level && i / STRIPES < most; i += STRIPES) {
		const struct bucket *b = dict_bucket(s->call, i);
		if (b && load_relaxed(&b->state))
			rc = add_bucket(s, b);
	}
	return rc;
}

/* A block with room for as many as there are, within limits; under the stripe's ledger. */
static int
make_room(struct dict_call *c, unsigned stripe, size_t items, struct recent *r)
{
	uint64_t block, room = ROOM_LEAST;
	struct ledger_hold h = dict_hold(c, stripe);
	while (room < ROOM_MOST && room < items)
		room *= 2;
	if (recent_of(c, stripe, r) && r->room >= room)
		return 0;
	uint64_t old = load_relaxed(word_of(c, stripe));
	ledger_open(&h, 0);
	int rc = old ? ledger_retire(&h, old, false) : 0;
	if (rc == 0)
		rc = ledger_take(&h, sizeof(struct dict_recent) + room * sizeof(struct named), &block);
	if (rc) {
		ledger_give_up(&h);
		/* A smaller one will do. */
		return recent_of(c, stripe, r) ? 0 : rc;
	}
	struct dict_recent *to = arena_at(c->in.arena, block);
	store_relaxed(&to->room, room);
	store_relaxed(&to->last, 0);
	ledger_commit(&h, word_of(c, stripe), block);
	return recent_of(c, stripe, r) ? 0 : dict_damaged(c);
}

static void
fill(struct recent *r, const struct all *s)
{
	uint32_t n = s->count < r->room ? (uint32_t)s->count : r->room;
	size_t first = s->count - n;
	set_last(r, 0, 0);
	fence_crash();
	for (uint32_t i = 0; i < n; i++) {
		store_relaxed(&r->block->at[i].order, s->item[first + i].order);
		store_relaxed(&r->block->at[i].hash, s->item[first + i].hash);
	}
	set_last(r, n, n);
}

static int
refill(struct dict_call *c, unsigned stripe)
{
	struct all s = { .call = c };
	struct recent r;
	int rc = add_stripe(&s, stripe);
	if (rc == 0)
		rc = make_room(c, stripe, s.count, &r);
	if (rc == 0) {
		sort(&s);
		fill(&r, &s);
	}
	free(s.item);
	return rc;
}

/* ---- the newest ---- */

static bool
is_due(const struct dict_call *c, unsigned stripe)
{
	struct recent r;
	return load_relaxed(&c->seen.table->stripe[stripe].count) &&
	       !(recent_of(c, stripe, &r) && r.count);
}

static bool
is_full(int rc)
{
	return rc == -ENOMEM || rc == -ENOSPC;
}

/* Before all locks are taken, so that what takes long holds up one stripe only. */
static int
prepare(struct dict_call *c)
{
	int rc = 0;
	for (unsigned stripe = 0; stripe < STRIPES && rc == 0; stripe++) {
		if (!dict_look(c) || !is_due(c, stripe))
			continue;
		rc = dict_lock(c, stripe);
		if (rc)
			return rc;
		if (is_due(c, stripe))
			rc = refill(c, stripe);
		dict_unlock(c);
		if (is_full(rc))
			rc = 0;
	}
	return rc;
}

struct newest {
	uint64_t offset;
	uint64_t order;
	unsigned stripe;
	struct dict_entry head;
};

static bool
find_named(struct dict_call *c, uint64_t order, uint64_t hash, struct newest *out)
{
	struct dict_place p;
	unsigned lines = 0;
	if (!dict_find_bucket(c, hash, &p))
		return false;
	for (const struct bucket *line = p.bucket; line; line = dict_more(&c->seen, line)) {
		if (lines++ == LINES_MAX)
			return false;
		for (unsigned i = 0; i < SLOTS; i++) {
			uint64_t slot = load_relaxed(&line->slot[i]), offset = slot & SLOT_OFFSET;
			const struct dict_entry *e = slot ? dict_at(c, offset, sizeof *e) : NULL;
			if (!e || e->order != order || e->hash != hash)
				continue;
			out->offset = offset;
			out->order = order;
			racy_read(&out->head, e, sizeof out->head);
			return true;
		}
	}
	return false;
}

/* The same without a block that names them. */
static int
newest_of_all(struct dict_call *c, unsigned stripe, struct newest *out)
{
	struct all s = { .call = c };
	int rc = add_stripe(&s, stripe);
	size_t at = 0;
	for (size_t i = 1; i < s.count; i++)
		if (s.item[i].order > s.item[at].order)
			at = i;
	out->stripe = stripe;
	if (rc == 0 && !(s.count && find_named(c, s.item[at].order, s.item[at].hash, out)))
		rc = dict_damaged(c);
	free(s.item);
	return rc;
}

/* Of one stripe, under all locks. 0; -ENOENT: it is empty. */
static int
newest_of(struct dict_call *c, unsigned stripe, struct newest *out)
{
	struct recent r;
	for (int tries = 0; tries < 2; tries++) {
		while (recent_of(c, stripe, &r) && r.count) {
			const struct named *n = &r.block->at[(r.next - 1) & (r.room - 1)];
			out->stripe = stripe;
			if (find_named(c, load_relaxed(&n->order), load_relaxed(&n->hash), out))
				return 0;
			set_last(&r, r.next - 1, r.count - 1);
		}
		if (!load_relaxed(&c->seen.table->stripe[stripe].count))
			return -ENOENT;
		int rc = tries ? dict_damaged(c) : refill(c, stripe);
		if (is_full(rc))
			return newest_of_all(c, stripe, out);
		if (rc)
			return rc;
	}
	return dict_damaged(c);
}

static int
find_newest(struct dict_call *c, struct newest *out)
{
	bool any = false;
	for (unsigned stripe = 0; stripe < STRIPES; stripe++) {
		struct newest n;
		int rc = newest_of(c, stripe, &n);
		if (rc && rc != -ENOENT)
			return rc;
		if (rc == 0 && (!any || n.order > out->order))
			*out = n;
		any |= rc == 0;
	}
	return any ? 0 : fail_quiet(-ENOENT, "the dict is empty");
}

/*
 * The name of what was taken out: while there is none left, the next call looks at the stripe
 * before it takes all locks.
 */
static void
drop_last_name(struct dict_call *c, unsigned stripe)
{
	struct recent r;
	if (recent_of(c, stripe, &r) && r.count)
		set_last(&r, r.next - 1, r.count - 1);
}

static int
pop_newest(struct dict_call *c, shoal_any *key, shoal_any *value)
{
	struct newest n;
	struct dict_copy copy;
	struct dict_place p;
	int rc = find_newest(c, &n);
	if (rc)
		return rc;
	rc = dict_copy_entry(c, n.offset, &n.head, &copy);
	struct dict_key k = {
		.cell = { .kind = copy.head.key_kind, .bytes = copy.head.key_bytes },
		.bytes = copy.bytes,
		.hash = copy.head.hash,
	};
	c->hold = dict_hold(c, n.stripe);
	if (rc == 0)
		rc = dict_locate(c, &k, &p);
	if (rc == 0 && p.offset != n.offset)
		rc = dict_damaged(c);
	if (rc == 0)
		rc = dict_copy_key(c, &copy, key);
	if (rc == 0)
		rc = dict_copy_value(c, &copy, GONE_IS_NIL, value);
	if (rc == 0)
		rc = dict_remove(c, &p);
	if (rc == 0)
		drop_last_name(c, n.stripe);
	dict_copy_clear(&copy);
	return rc;
}

int
shoal_dict_popitem(shoal_dict *d, shoal_any *key, shoal_any *value)
{
	struct dict_call c;
	shoal_any popped[2] = { SHOAL_NIL, SHOAL_NIL };
	int rc = dict_enter(d, SHOAL_KIND_DICT, &c);
	if (rc)
		return rc;
	rc = prepare(&c);
	if (rc == 0)
		rc = dict_lock_all(&c);
	if (rc == 0) {
		rc = pop_newest(&c, &popped[0], &popped[1]);
		dict_unlock_all(&c);
	}
	dict_leave_changed(&c);
	shoal_any *out[2] = { key, value };
	for (int i = 0; i < 2; i++) {
		if (rc || !out[i])
			shoal_any_clear(&popped[i]);
		if (out[i])
			*out[i] = popped[i];
	}
	return rc;
}
