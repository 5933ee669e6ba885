/*
 * New trees from old ones. A change copies the nodes from a leaf up to the root; each new node is
 * made once, from a draft in private memory, when nothing in it will change any more.
 */
#include "base/error.h"
#include "data/list.h"
#include <string.h>

/* A leaf's slots, or a node's children and their items, with room for one more. */
struct draft {
	uint32_t count;
	uint64_t what[2 * LEAF_SLOTS];
	uint64_t items[2 * NODE_CHILDREN];
};

int
list_leaf_make(struct list_call *call, const uint64_t *slots, uint32_t count, uint64_t *leaf)
{
	int rc = ledger_take(&call->hold, sizeof(struct leaf), leaf);
	if (rc)
		return rc;
	struct leaf *l = arena_at(call->c.arena, *leaf);
	for (uint32_t i = 0; i < LEAF_SLOTS; i++)
		store_relaxed(&l->slot[i], i < count ? slots[i] : 0);
	return 0;
}

static int
node_make(struct list_call *call, const uint64_t *children, const uint64_t *items, uint32_t count,
          uint64_t *node)
{
	int rc = ledger_take(&call->hold, sizeof(struct node), node);
	if (rc)
		return rc;
	struct node *n = arena_at(call->c.arena, *node);
	for (uint32_t i = 0; i < NODE_CHILDREN; i++) {
		store_relaxed(&n->at[i].child, i < count ? children[i] : 0);
		store_relaxed(&n->at[i].items, i < count ? items[i] : 0);
	}
	return 0;
}

void *
list_block(const struct list_call *call, uint64_t offset, uint64_t bytes)
{
	struct block_found b;
	bool is = offset % LEDGER_BLOCK_MIN == 0 && block_find(call->c.arena, offset, &b) &&
	          b.bytes >= bytes;
	uint64_t word = is ? load_relaxed(b.word) : 0;
	bool own = block_state(word) == BLOCK_PART && block_object(word) == call->c.object;
	return likely(own) ? arena_at(call->c.arena, offset) : NULL;
}

static int
load_leaf(const struct list_call *call, uint64_t offset, uint64_t count, struct draft *d)
{
	const struct leaf *l = list_block(call, offset, sizeof *l);
	if (!l || count > LEAF_SLOTS)
		return list_damaged(call);
	for (uint32_t i = 0; i < count; i++)
		d->what[d->count++] = load_relaxed(&l->slot[i]);
	return 0;
}

static int
load_node(const struct list_call *call, uint64_t offset, struct draft *d)
{
	const struct node *n = list_block(call, offset, sizeof *n);
	if (!n)
		return list_damaged(call);
	for (uint32_t i = 0; i < NODE_CHILDREN && load_relaxed(&n->at[i].child); i++) {
		d->what[d->count] = load_relaxed(&n->at[i].child);
		d->items[d->count++] = load_relaxed(&n->at[i].items);
	}
	return d->count ? 0 : list_damaged(call);
}

static uint64_t
items_of(const struct draft *d, uint32_t height, uint32_t from, uint32_t to)
{
	uint64_t sum = 0;
	for (uint32_t i = from; i < to; i++)
		sum += height ? d->items[i] : 1;
	return sum;
}

static int
make_part(struct list_call *call, const struct draft *d, uint32_t height, uint32_t from,
          uint32_t to, uint64_t *block)
{
	if (height)
		return node_make(call, d->what + from, d->items + from, to - from, block);
	return list_leaf_make(call, d->what + from, to - from, block);
}

static void
open_gap(struct draft *d, uint32_t at, bool node)
{
	memmove(d->what + at + 1, d->what + at, (d->count - at) * sizeof *d->what);
	if (node)
		memmove(d->items + at + 1, d->items + at, (d->count - at) * sizeof *d->items);
	d->count++;
}

static void
close_gap(struct draft *d, uint32_t at, bool node)
{
	d->count--;
	memmove(d->what + at, d->what + at + 1, (d->count - at) * sizeof *d->what);
	if (node)
		memmove(d->items + at, d->items + at + 1, (d->count - at) * sizeof *d->items);
}

/* The child drafted becomes one block or two in its parent's draft, in place of entry c. */
static int
settle(struct list_call *call, struct draft *parent, uint32_t c, const struct draft *child,
       uint32_t height)
{
	uint32_t max = height ? NODE_CHILDREN : LEAF_SLOTS;
	uint32_t half = child->count > max ? child->count / 2 : child->count;
	int rc = make_part(call, child, height, 0, half, &parent->what[c]);
	parent->items[c] = items_of(child, height, 0, half);
	if (rc || half == child->count)
		return rc;
	open_gap(parent, c + 1, true);
	parent->items[c + 1] = items_of(child, height, half, child->count);
	return make_part(call, child, height, half, child->count, &parent->what[c + 1]);
}

static int
load(const struct list_call *call, uint64_t offset, uint64_t items, uint32_t height,
     struct draft *d)
{
	return height ? load_node(call, offset, d) : load_leaf(call, offset, items, d);
}

/* One that has become too small takes a neighbour in, which goes out. */
static int
take_neighbour(struct list_call *call, struct draft *parent, uint32_t *c, struct draft *child,
               uint32_t height)
{
	uint32_t other = *c > 0 ? *c - 1 : *c + 1;
	struct draft merged = { .count = 0 };
	const struct draft *then = child;
	int rc = 0;
	if (other > *c) {
		merged = *child;
		rc = load(call, parent->what[other], parent->items[other], height, &merged);
	} else {
		rc = load(call, parent->what[other], parent->items[other], height, &merged);
		if (rc)
			return rc;
		memcpy(merged.what + merged.count, then->what, then->count * sizeof *then->what);
		if (height)
			memcpy(merged.items + merged.count, then->items, then->count * sizeof *then->items);
		merged.count += then->count;
	}
	if (rc == 0)
		rc = ledger_retire(&call->hold, parent->what[other], false);
	close_gap(parent, other, true);
	*c = other < *c ? *c - 1 : *c;
	*child = merged;
	return rc;
}

static int
edit_leaf(struct list_call *call, enum list_edit what, uint64_t index, uint64_t slot,
          struct draft *d)
{
	if (index > d->count || (what == EDIT_REMOVE && index == d->count))
		return list_damaged(call);
	if (what == EDIT_INSERT) {
		open_gap(d, (uint32_t)index, false);
		d->what[index] = slot;
	} else {
		close_gap(d, (uint32_t)index, false);
	}
	return 0;
}

/* The node at the offset with the change made, in d; it goes out itself. */
static int
edit(struct list_call *call, enum list_edit what, uint64_t index, uint64_t slot, uint64_t offset,
     uint64_t items, uint32_t height, struct draft *d)
{
	int rc = load(call, offset, items, height, d);
	/* The last leaf stays as it is: it only leaves its parent. */
	if (what == EDIT_LAST_LEAF && height == 0) {
		d->count = 0;
		return rc;
	}
	if (rc == 0)
		rc = ledger_retire(&call->hold, offset, false);
	if (rc || height == 0)
		return rc ? rc : edit_leaf(call, what, index, slot, d);
	uint32_t c = 0;
	while (c + 1 < d->count && index >= d->items[c] + (what == EDIT_INSERT))
		index -= d->items[c++];
	struct draft child = { .count = 0 };
	rc = edit(call, what, index, slot, d->what[c], d->items[c], height - 1, &child);
	if (rc)
		return rc;
	if (child.count == 0) {
		close_gap(d, c, true);
		return 0;
	}
	if (child.count < (height > 1 ? NODE_FEW : LEAF_FEW) && d->count > 1 && what == EDIT_REMOVE)
		rc = take_neighbour(call, d, &c, &child, height - 1);
	return rc ? rc : settle(call, d, c, &child, height - 1);
}

/*
 * The root from its draft: a level more where it is too large, fewer where it has one child
 * only.
 */
static int
settle_root(struct list_call *call, const struct draft *d, struct list_shape *s)
{
	uint32_t max = s->height ? NODE_CHILDREN : LEAF_SLOTS;
	if (d->count == 0) {
		s->root = 0;
		s->height = 0;
		return 0;
	}
	if (d->count > max) {
		struct draft above = { .count = 1 };
		int rc = settle(call, &above, 0, d, s->height);
		s->height++;
		return rc ? rc : make_part(call, &above, s->height, 0, above.count, &s->root);
	}
	if (s->height && d->count == 1) {
		s->root = d->what[0];
		s->height--;
		return 0;
	}
	return make_part(call, d, s->height, 0, d->count, &s->root);
}

int
list_tree_edit(struct list_call *call, enum list_edit what, uint64_t index, uint64_t slot,
               struct list_shape *s)
{
	struct draft d = { .count = 0 };
	uint64_t last = what == EDIT_LAST_LEAF ? s->tree_count - 1 : index;
	int rc = edit(call, what, last, slot, s->root, s->tree_count, s->height, &d);
	if (rc)
		return rc;
	rc = settle_root(call, &d, s);
	if (what == EDIT_INSERT)
		s->tree_count++;
	else if (what == EDIT_REMOVE)
		s->tree_count--;
	return rc ? rc : s->height > LIST_HEIGHT_MAX ? list_damaged(call) : 0;
}

/* ---- from left to right ---- */

int
builder_begin(struct list_builder *b, struct list_call *call, const struct list_shape *from)
{
	memset(b, 0, sizeof *b);
	b->call = call;
	if (!from || !from->root)
		return 0;
	b->any = true;
	b->items = from->tree_count;
	b->height = from->height;
	uint64_t offset = from->root;
	for (uint32_t h = from->height; h > 0; h--) {
		struct draft d = { .count = 0 };
		int rc = load_node(call, offset, &d);
		if (rc == 0)
			rc = ledger_retire(&call->hold, offset, false);
		if (rc)
			return rc;
		/* All but the last child are as they were; that one is opened in its turn. */
		b->level[h].count = h > 1 ? d.count - 1 : d.count;
		memcpy(b->level[h].child, d.what, d.count * sizeof *d.what);
		memcpy(b->level[h].items, d.items, d.count * sizeof *d.items);
		offset = d.what[d.count - 1];
	}
	if (from->height == 0) {
		b->level[1].count = 1;
		b->level[1].child[0] = from->root;
		b->level[1].items[0] = from->tree_count;
		b->height = 1;
	}
	return 0;
}

static int push(struct list_builder *b, uint32_t height, uint64_t child, uint64_t items);

/* What has been gathered at a level becomes a node, as a child of the level above. */
static int
close_level(struct list_builder *b, uint32_t height)
{
	uint64_t node, items = 0;
	for (uint32_t i = 0; i < b->level[height].count; i++)
		items += b->level[height].items[i];
	int rc = node_make(b->call, b->level[height].child, b->level[height].items,
	                   b->level[height].count, &node);
	b->level[height].count = 0;
	return rc ? rc : push(b, height + 1, node, items);
}

static int
push(struct list_builder *b, uint32_t height, uint64_t child, uint64_t items)
{
	if (height > LIST_HEIGHT_MAX)
		return fail(-ENOMEM, "the list is full");
	if (b->level[height].count == NODE_CHILDREN) {
		int rc = close_level(b, height);
		if (rc)
			return rc;
	}
	uint32_t i = b->level[height].count++;
	b->level[height].child[i] = child;
	b->level[height].items[i] = items;
	if (height > b->height)
		b->height = height;
	return 0;
}

int
builder_add(struct list_builder *b, uint64_t leaf, uint32_t items)
{
	b->items += items;
	b->any = true;
	return push(b, 1, leaf, items);
}

int
builder_end(struct list_builder *b, struct list_shape *out)
{
	out->tree_count = b->items;
	out->root = 0;
	out->height = 0;
	if (!b->any)
		return 0;
	for (uint32_t h = 1; h < b->height; h++) {
		int rc = b->level[h].count ? close_level(b, h) : 0;
		if (rc)
			return rc;
	}
	uint32_t h = b->height;
	out->height = b->level[h].count == 1 ? h - 1 : h;
	if (b->level[h].count == 1) {
		out->root = b->level[h].child[0];
		return 0;
	}
	return node_make(b->call, b->level[h].child, b->level[h].items, b->level[h].count, &out->root);
}

/* ---- all of it ---- */

/* Where children lead back to nodes that were met, the steps come to an end. */
static int
retire_below(struct list_call *call, uint64_t offset, uint32_t height, uint64_t *steps)
{
	struct draft d = { .count = 0 };
	if ((*steps)-- == 0)
		return list_damaged(call);
	int rc = height ? load_node(call, offset, &d) : 0;
	for (uint32_t i = 0; i < d.count && rc == 0; i++)
		rc = retire_below(call, d.what[i], height - 1, steps);
	return rc ? rc : ledger_retire(&call->hold, offset, false);
}

int
list_retire_all(struct list_call *call)
{
	const struct list_shape *s = &call->shape;
	uint64_t steps = nodes_max(call->c.arena);
	int rc = s->root ? retire_below(call, s->root, s->height, &steps) : 0;
	if (rc == 0)
		rc = ledger_retire(&call->hold, s->tail, false);
	return rc ? rc : ledger_retire(&call->hold, s->top, false);
}
