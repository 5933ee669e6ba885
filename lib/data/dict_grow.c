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
static struct bucket *
child_of(struct dict_call *c, uint64_t index)
{
	struct bucket *child = dict_bucket(c, index);
	struct ledger_hold shared = dict_hold(c, SHARED_LEDGER);
	if (child || !ledger_try(&shared))
		return child;
	(void)dict_new_bucket(c, &shared, index);
	ledger_unlock(&shared);
	return dict_bucket(c, index);
}

static void
split(struct dict_call *c, struct bucket *parent, uint64_t index)
{
	uint64_t state = load_relaxed(&parent->state);
	unsigned depth = state_depth(state) + 1;
	uint64_t to = index | UINT64_C(1) << (depth - 1);
	struct bucket *child = child_of(c, to);
	if (!child || load_relaxed(&child->state) || !dict_owns_bucket(c, child, to) ||
	    !dict_owns_bucket(c, parent, index))
		return;
	ledger_open(&c->hold, DICT_SPLIT);
	if (fill_child(c, parent, child, depth)) {
		ledger_give_up(&c->hold);
		return;
	}
	ledger_then(&c->hold, 0, &parent->state, state_make(depth, (state & STATE_VERSION) + 1));
	ledger_commit(&c->hold, &child->state, state_make(depth, 1));
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
		split(c, b, index);
	/* What could not be split is split when it is crowded. */
	store_relaxed(hint, level << 48 | (index + STRIPES));
}

static void
begin_level(struct dict_call *c, uint64_t level)
{
	struct ledger_hold shared = dict_hold(c, SHARED_LEDGER);
	if (!ledger_try(&shared))
		return;
	if (load_relaxed(&c->seen.table->level) == level)
		(void)dict_new_level(c, &shared, (unsigned)level + 1);
	ledger_unlock(&shared);
}

void
dict_grow(struct dict_call *c, const struct dict_place *p)
{
	uint64_t level = load_acquire(&c->seen.table->level);
	uint64_t count = load_relaxed(&c->seen.table->stripe[c->hold.index].count);
	if (unlikely(level > LEVELS))
		return;
	if (level < LEVELS && count * STRIPES * 2 > HALVES * (FIRST << level)) {
		begin_level(c, level);
		level = load_acquire(&c->seen.table->level);
	}
	if (p->full >= CROWDED && is_due(p->bucket, level))
		split(c, p->bucket, p->index);
	split_next(c, level);
}

static void
split_level(struct dict_call *c, uint64_t level)
{
	for (uint64_t i = c->hold.index; i < FIRST << level >> 1; i += STRIPES) {
		struct bucket *b = dict_bucket(c, i);
		if (is_due(b, level))
			split(c, b, i);
	}
}

/* As insertions would, but at once, a stripe after the other. */
int
dict_reserve(struct dict_call *c, uint64_t items)
{
	uint64_t want = 0, level;
	while (want < LEVELS && items * 2 > HALVES * (FIRST << want))
		want++;
	for (unsigned stripe = 0; want && stripe < STRIPES; stripe++) {
		int rc = dict_lock(c, stripe);
		if (rc)
			return rc;
		while ((level = load_acquire(&c->seen.table->level)) < want) {
			begin_level(c, level);
			if (load_acquire(&c->seen.table->level) == level)
				break;
		}
		for (uint64_t i = 1; i <= want && i <= level; i++)
			split_level(c, i);
		dict_unlock(c);
		if (level < want)
			return fail(-ENOSPC, "no memory in arena '%s' for a dict of %llu items",
			            c->in.arena->name, (unsigned long long)items);
	}
	return 0;
}
