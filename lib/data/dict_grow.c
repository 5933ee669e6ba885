/*
 * Growth, in bounded steps, by those who insert.
 *
 * A bucket that has CROWDED keys or more is split, when its level is there; and each insertion
 * splits one more of its stripe that is due, so that a level is complete long before the next one
 * is wanted. A level is begun when the stripe has more than LOAD keys for each bucket. What the
 * stripes share is only tried: who does not get it leaves the step to the next insertion. So is
 * what fails for want of memory.
 */
#include "base/error.h"
#include "data/dict.h"

#define CROWDED 5u
#define HALVES 7u /* LOAD, in halves: 3.5 */
#define AT_ONCE 32 /* splits under one taking of the lock */

/* The child's slots, and the lines behind it as they are needed. */
struct filler {
	struct ledger_hold *hold;
	struct bucket *line;
	unsigned used;
};

static int
fill(struct filler *f, uint64_t slot)
{
	uint64_t more;
	if (f->used < SLOTS) {
		store_relaxed(&f->line->slot[f->used++], slot);
		return 0;
	}
	int rc = ledger_take(f->hold, sizeof(struct bucket), &more);
	if (rc)
		return rc;
	store_relaxed(&f->line->more, more);
	f->line = arena_at(f->hold->arena, more);
	f->used = 1;
	store_relaxed(&f->line->slot[0], slot);
	for (unsigned i = 1; i < SLOTS; i++)
		store_relaxed(&f->line->slot[i], 0);
	store_relaxed(&f->line->more, 0);
	return 0;
}

/* Whether the entry of the slot belongs to the child: the bit of its hash below the new depth. */
static bool
goes_over(const struct dict_call *c, uint64_t slot, unsigned depth)
{
	const struct dict_entry *e = slot ? dict_at(c, slot & SLOT_OFFSET, sizeof *e) : NULL;
	return e && (e->hash >> (depth - 1) & 1);
}

static int
fill_child(struct dict_call *c, struct bucket *parent, struct bucket *child, unsigned depth)
{
	struct filler f = { &c->hold, child, 0 };
	unsigned lines = 0;
	/* An earlier try may have left something there. */
	for (unsigned i = 0; i < SLOTS; i++)
		store_relaxed(&child->slot[i], 0);
	store_relaxed(&child->more, 0);
	for (struct bucket *line = parent; line; line = dict_more(&c->seen, line)) {
		if (lines++ == LINES_MAX)
			return dict_damaged(c);
		for (unsigned i = 0; i < SLOTS; i++) {
			uint64_t slot = load_relaxed(&line->slot[i]);
			int rc = goes_over(c, slot, depth) ? fill(&f, slot) : 0;
			if (rc)
				return rc;
		}
	}
	return 0;
}

/* After the commit, by the splitter or a repairer: the parent gives up what is the child's now. */
void
dict_finish_split(struct ledger_hold *h)
{
	struct dict_call c = {
		.in = { .arena = h->arena, .thread = h->thread, .me = h->me, .object = h->object },
		.seen = dict_view_of(h->arena, NULL),
	};
	struct bucket *line = (struct bucket *)(void *)h->then[0].at;
	unsigned depth = state_depth(h->then[0].to);
	if (!line || arena_offset(h->arena, line) % LINE)
		return;
	for (unsigned lines = 0; line && depth && lines < LINES_MAX; lines++) {
		for (unsigned i = 0; i < SLOTS; i++)
			if (goes_over(&c, load_relaxed(&line->slot[i]), depth))
				store_relaxed(&line->slot[i], 0);
		line = dict_more(&c.seen, line);
		if (line && !dict_owns(&c, arena_offset(h->arena, line), LINE))
			return;
	}
}

/* Where the child's memory is not there yet, it is made, if nobody else is growing the dict. */
static int
child_of(struct dict_call *c, uint64_t index, struct bucket **child)
{
	struct ledger_hold shared = dict_hold(c, SHARED_LEDGER);
	*child = dict_bucket(c, index);
	if (*child || !ledger_try(&shared))
		return 0;
	int rc = dict_new_bucket(c, &shared, index);
	ledger_unlock(&shared);
	*child = dict_bucket(c, index);
	return rc;
}

/* 0, also where it has to be left to another time; -ENOMEM, -ENOSPC. */
static int
split(struct dict_call *c, struct bucket *parent, uint64_t index)
{
	uint64_t state = load_relaxed(&parent->state);
	unsigned depth = state_depth(state) + 1;
	uint64_t to = index | UINT64_C(1) << (depth - 1);
	struct bucket *child;
	int rc = child_of(c, to, &child);
	if (!child || load_relaxed(&child->state) || !dict_owns_bucket(c, child, to) ||
	    !dict_owns_bucket(c, parent, index))
		return rc;
	ledger_open(&c->hold, DICT_SPLIT);
	rc = fill_child(c, parent, child, depth);
	if (rc) {
		ledger_give_up(&c->hold);
		return rc;
	}
	ledger_then(&c->hold, 0, &parent->state, state_make(depth, (state & STATE_VERSION) + 1));
	ledger_commit(&c->hold, &child->state, state_make(depth, 1));
	dict_trim(c, parent);
	return 0;
}

static bool
is_due(const struct bucket *b, uint64_t level)
{
	uint64_t state = b ? load_relaxed(&b->state) : 0;
	return state && state_depth(state) < FIRST_BITS + level;
}

/* The next of this stripe's buckets that the hint names: those of the levels before the last. */
static void
split_next(struct dict_call *c, uint64_t level)
{
	word64 *hint = &c->seen.table->stripe[c->hold.index].split;
	uint64_t end = FIRST << level >> 1, at = load_relaxed(hint);
	uint64_t index = at >> 48 == level ? at & ((UINT64_C(1) << 48) - 1) : c->hold.index;
	if (level == 0 || index >= end || (index & (STRIPES - 1)) != c->hold.index)
		return;
	struct bucket *b = dict_bucket(c, index);
	if (is_due(b, level))
		(void)split(c, b, index);
	/* What could not be split is split when it is crowded. */
	store_relaxed(hint, level << 48 | (index + STRIPES));
}

/* As split. */
static int
begin_level(struct dict_call *c, uint64_t level)
{
	struct ledger_hold shared = dict_hold(c, SHARED_LEDGER);
	int rc = 0;
	if (!ledger_try(&shared))
		return 0;
	if (load_relaxed(&c->seen.table->level) == level)
		rc = dict_new_level(c, &shared, (unsigned)level + 1);
	ledger_unlock(&shared);
	return rc;
}

void
dict_grow(struct dict_call *c, const struct dict_place *p)
{
	uint64_t level = load_acquire(&c->seen.table->level);
	uint64_t count = load_relaxed(&c->seen.table->stripe[c->hold.index].count);
	if (unlikely(level > LEVELS))
		return;
	if (level < LEVELS && count * STRIPES * 2 > HALVES * (FIRST << level)) {
		(void)begin_level(c, level);
		level = load_acquire(&c->seen.table->level);
	}
	if (p->full >= CROWDED && is_due(p->bucket, level))
		(void)split(c, p->bucket, p->index);
	split_next(c, level);
}

/* ---- at once ---- */

/* How far one stripe is: the buckets from `index` on are to be split for `level`. */
struct room {
	uint64_t want; /* level, or where others grow the dict: the one that there is */
	uint64_t level, index;
};

static int
begin_levels(struct dict_call *c, struct room *r)
{
	uint64_t level;
	while ((level = load_acquire(&c->seen.table->level)) < r->want) {
		int rc = begin_level(c, level);
		if (rc)
			return rc;
		if (load_acquire(&c->seen.table->level) == level)
			r->want = level;
	}
	return 0;
}

/* A few of them, under the stripe's lock, which others wait for. */
static int
split_some(struct dict_call *c, struct room *r)
{
	int rc = begin_levels(c, r);
	for (int i = 0; i < AT_ONCE && rc == 0 && r->level <= r->want; i++) {
		struct bucket *b = dict_bucket(c, r->index);
		if (is_due(b, r->level))
			rc = split(c, b, r->index);
		r->index += STRIPES;
		if (r->index >= FIRST << r->level >> 1) {
			r->level++;
			r->index = c->hold.index;
		}
	}
	return rc;
}

static int
room_in_stripe(struct dict_call *c, unsigned stripe, uint64_t want)
{
	struct room r = { .want = want, .level = 1, .index = stripe };
	int rc = 0;
	while (rc == 0 && r.level <= r.want) {
		rc = dict_lock(c, stripe);
		if (rc)
			break;
		rc = split_some(c, &r);
		dict_unlock(c);
	}
	return rc;
}

/*
 * As insertions would, a stripe after the other. No more than what the arena may hold: an entry
 * takes a line at the least, and its part of the buckets less than another one.
 */
int
dict_reserve(struct dict_call *c, uint64_t items)
{
	uint64_t want = 0, most = arena_limit(c->in.arena) / (2 * LINE);
	int rc = 0;
	if (items > most)
		items = most;
	while (want < LEVELS && items * 2 > HALVES * (FIRST << want))
		want++;
	for (unsigned stripe = 0; rc == 0 && stripe < STRIPES; stripe++)
		rc = room_in_stripe(c, stripe, want);
	return rc;
}
