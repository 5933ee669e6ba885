/* Where a dict's buckets lie, and which is a hash's. */
#include "base/error.h"
#include "data/dict.h"
#include "data/item.h"

/* ---- before writing ---- */

bool
dict_owns(const struct dict_call *c, uint64_t part, uint64_t bytes)
{
	struct block_found b;
	if (unlikely(part % LINE || !block_find(c->in.arena, part, &b) || b.bytes < bytes))
		return false;
	uint64_t word = load_relaxed(b.word);
	return block_state(word) == BLOCK_PART && block_object(word) == c->in.object;
}

bool
dict_owns_bucket(const struct dict_call *c, const struct bucket *b, uint64_t index)
{
	unsigned level = level_of(index);
	uint64_t rest = index - level_first(level), count = level ? level_first(level) : FIRST;
	if (level > LEVEL_WHOLE) {
		rest &= CHUNK - 1;
		count = CHUNK;
	}
	uint64_t at = arena_offset(c->in.arena, b);
	/* That of a tree is a part by itself. */
	return (level == 0 && b - rest == c->dict->buckets) ||
	       dict_owns(c, at - rest * LINE, count * LINE) || dict_owns(c, at, LINE);
}

/* ---- making ---- */

static void
zero_words(void *at, uint64_t bytes)
{
	word64 *word = at;
	for (uint64_t i = 0; i < bytes / 8; i++)
		store_relaxed(&word[i], 0);
}

static int
take_zeroed(struct ledger_hold *h, uint64_t bytes, uint64_t *block)
{
	int rc = ledger_take(h, bytes, block);
	if (rc == 0)
		zero_words(arena_at(h->arena, *block), bytes);
	return rc;
}

int
dict_new_table(struct ledger_hold *h, uint64_t *table)
{
	uint64_t buckets;
	int rc = take_zeroed(h, sizeof(struct dict_table), table);
	if (rc == 0)
		rc = take_zeroed(h, FIRST * LINE, &buckets);
	if (rc)
		return rc;
	struct dict_table *t = arena_at(h->arena, *table);
	struct bucket *b = arena_at(h->arena, buckets);
	for (uint64_t i = 0; i < FIRST; i++)
		store_relaxed(&b[i].state, state_make(FIRST_BITS, 1));
	store_relaxed(&t->at[0], buckets);
	return 0;
}

/* Its words lead to chunks, or its buckets are in it. */
static uint64_t
level_bytes(unsigned level)
{
	uint64_t buckets = FIRST << (level ? level - 1 : 0);
	return level <= LEVEL_WHOLE ? buckets * LINE : (buckets >> CHUNK_BITS) * 8;
}

/* One block, or, where there is none so long, a tree's first node: what is to lead there. */
static int
take_or_tree(struct ledger_hold *h, uint64_t bytes, uint64_t *to)
{
	int rc = take_zeroed(h, bytes, to);
	if (rc != -ENOMEM && rc != -ENOSPC)
		return rc;
	rc = take_zeroed(h, LINE, to);
	*to |= TREE;
	return rc;
}

int
dict_new_level(struct dict_call *c, struct ledger_hold *h, unsigned level)
{
	uint64_t to;
	if (level > LEVELS)
		return fail(-ENOMEM, "a dict has at most %u levels", LEVELS);
	ledger_open(h, 0);
	int rc = take_or_tree(h, level_bytes(level), &to);
	if (rc) {
		ledger_give_up(h);
		return rc;
	}
	ledger_then(h, 0, &c->seen.table->level, level);
	ledger_commit(h, &c->seen.table->at[level], to);
	return 0;
}

static int
new_part(struct ledger_hold *h, word64 *word, uint64_t bytes)
{
	uint64_t to;
	ledger_open(h, 0);
	int rc = bytes == LINE ? take_zeroed(h, LINE, &to) : take_or_tree(h, bytes, &to);
	if (rc)
		ledger_give_up(h);
	else
		ledger_commit(h, word, to);
	return rc;
}

/* A node after the other, and the bucket, as far as they are not there. */
static int
new_in_tree(struct dict_call *c, struct ledger_hold *h, uint64_t tree, uint64_t place,
            unsigned bits)
{
	uint64_t at = tree & ~TREE;
	for (unsigned shift = tree_shift(bits);; shift -= NODE_BITS) {
		if (!dict_owns(c, at, LINE))
			return dict_damaged(c);
		word64 *node = arena_at(c->in.arena, at);
		word64 *word = &node[place >> shift & ((1u << NODE_BITS) - 1)];
		int rc = load_relaxed(word) ? 0 : new_part(h, word, LINE);
		if (rc || !shift)
			return rc;
		at = load_relaxed(word);
	}
}

int
dict_new_bucket(struct dict_call *c, struct ledger_hold *h, uint64_t index)
{
	unsigned level = level_of(index), bits = level_bits(level);
	uint64_t at = load_relaxed(&c->seen.table->at[level]), place = index - level_first(level);
	if (at && !(at & TREE) && level > LEVEL_WHOLE) {
		word64 *word = dict_at(c, at + (place >> CHUNK_BITS) * 8, 8);
		int rc = word ? 0 : -EPROTO;
		if (word && !load_relaxed(word))
			rc = new_part(h, word, CHUNK * LINE);
		if (rc)
			return rc;
		at = load_relaxed(word);
		place &= CHUNK - 1;
		bits = CHUNK_BITS;
	}
	return at & TREE ? new_in_tree(c, h, at, place, bits) : 0;
}

/* ---- walking ---- */

struct walk {
	struct dict_call *call;
	dict_visit *visit;
	void *arg;
	uint64_t left; /* bytes: what it leads to lies side by side, so together in the arena */
	const struct dict_renewal *renewal; /* or NULL */
};

static bool
spend(struct walk *w, uint64_t bytes)
{
	if (bytes > w->left)
		return false;
	w->left -= bytes;
	return true;
}

/*
 * Whether a split that has happened, and may not be finished, gave the entry to the child: there it
 * is met, in any case.
 */
static bool
went_over(const struct walk *w, uint64_t hash, uint64_t index, unsigned depth)
{
	if (!bucket_fits(index, depth, hash))
		return bucket_fits(index, depth - 1, hash);
	if (!(hash >> depth & 1))
		return false;
	const struct bucket *child = dict_bucket(w->call, index | UINT64_C(1) << depth);
	return child && load_acquire(&child->state);
}

/* What is there may be written by its next owner just now. */
static bool
walk_entry(struct walk *w, uint64_t slot, uint64_t index, unsigned depth)
{
	uint64_t offset = slot & SLOT_OFFSET;
	const struct dict_entry *e = dict_at(w->call, offset, sizeof *e);
	struct dict_entry head;
	if (!e)
		return false;
	racy_read(&head, e, sizeof head);
	if (slot_make(head.hash, offset) != slot)
		return false;
	if (w->renewal && w->renewal->amid && went_over(w, head.hash, index, depth))
		return true;
	return bucket_fits(index, depth, head.hash) && spend(w, entry_bytes(&head)) &&
	       w->visit(w->arg, offset, e);
}

static bool
walk_line(struct walk *w, const struct bucket *line, uint64_t index, unsigned depth)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		uint64_t slot = load_acquire(&line->slot[i]);
		if (slot && !walk_entry(w, slot, index, depth))
			return false;
	}
	return spend(w, LINE);
}

static bool
walk_lines(struct walk *w, const struct bucket *b, uint64_t index, uint64_t state)
{
	unsigned lines = 0;
	for (const struct bucket *line = b; line; line = dict_more(&w->call->seen, line)) {
		/* The link is read before the visitor may take the line away. */
		uint64_t at = arena_offset(w->call->in.arena, line);
		if (lines++ == LINES_MAX || !walk_line(w, line, index, state_depth(state)))
			return false;
		if (line != b && !w->visit(w->arg, at, NULL))
			return false;
	}
	return true;
}

static bool
walk_bucket(struct walk *w, const struct bucket *b, uint64_t index)
{
	uint64_t state = load_acquire(&b->state);
	const struct dict_renewal *r = w->renewal;
	enum dict_bucket_is is = DICT_BUCKET_NEW;
	if (!state)
		return true;
	if (r)
		is = r->look(w->arg, index, state);
	if (is != DICT_BUCKET_NEW)
		return is == DICT_BUCKET_KNOWN;
	bool whole = walk_lines(w, b, index, state);
	return r ? r->was_read(w->arg, whole) : whole;
}

/* The first table is no block of its own. */
static bool
visit_part(struct walk *w, uint64_t block)
{
	uint64_t body = arena_offset(w->call->in.arena, w->call->dict);
	return block - body < sizeof *w->call->dict || w->visit(w->arg, block, NULL);
}

static bool
walk_buckets(struct walk *w, uint64_t block, uint64_t count, uint64_t first)
{
	const struct bucket *b = dict_at(w->call, block, count * LINE);
	if (!b)
		return false;
	for (uint64_t i = 0; i < count; i++)
		if (!walk_bucket(w, &b[i], first + i))
			return false;
	return visit_part(w, block);
}

/* A node, whose words each lead to the buckets of 2^shift places, or to one bucket. */
static bool
walk_tree(struct walk *w, uint64_t at, unsigned bits, uint64_t first)
{
	unsigned shift = tree_shift(bits);
	const word64 *node = dict_at(w->call, at, LINE);
	if (!node || !spend(w, LINE))
		return false;
	for (uint64_t i = 0; i < UINT64_C(1) << (bits - shift); i++) {
		uint64_t to = load_acquire(&node[i]), place = first + (i << shift);
		if (to && !(shift ? walk_tree(w, to, shift, place) : walk_buckets(w, to, 1, place)))
			return false;
	}
	return w->visit(w->arg, at, NULL);
}

static bool
walk_level(struct walk *w, unsigned level)
{
	uint64_t at = load_acquire(&w->call->seen.table->at[level]);
	uint64_t first = level_first(level), count = level ? first : FIRST;
	if (at & TREE)
		return walk_tree(w, at & ~TREE, level_bits(level), first);
	if (level <= LEVEL_WHOLE)
		return walk_buckets(w, at, count, first);
	const word64 *chunk = dict_at(w->call, at, level_bytes(level));
	if (!chunk)
		return false;
	for (uint64_t i = 0; i < count >> CHUNK_BITS; i++) {
		uint64_t to = load_acquire(&chunk[i]), place = first + (i << CHUNK_BITS);
		bool is = to & TREE ? walk_tree(w, to & ~TREE, CHUNK_BITS, place)
		                    : !to || walk_buckets(w, to, CHUNK, place);
		if (!is)
			return false;
	}
	return w->visit(w->arg, at, NULL);
}

static bool
walk(struct dict_call *c, dict_visit *visit, void *arg, const struct dict_renewal *renewal)
{
	struct walk w = { c, visit, arg, item_room(c->in.arena, c->in.arena->data_at), renewal };
	uint64_t level = load_acquire(&c->seen.table->level);
	if (level > LEVELS)
		return false;
	for (unsigned i = 0; i <= level; i++)
		if (!walk_level(&w, i))
			return false;
	for (unsigned i = 0; i < STRIPES; i++) {
		uint64_t recent = load_acquire(&c->seen.table->stripe[i].recent);
		if (recent && !visit(arg, recent, NULL))
			return false;
	}
	return visit_part(&w, arena_offset(c->in.arena, c->seen.table));
}

bool
dict_walk(struct dict_call *c, dict_visit *visit, void *arg)
{
	return walk(c, visit, arg, NULL);
}

bool
dict_walk_anew(struct dict_call *c, const struct dict_renewal *renewal, void *arg)
{
	return walk(c, renewal->visit, arg, renewal);
}
