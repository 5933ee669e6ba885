/* Lists as objects of the arena: made, found, destroyed, looked after. */
#include "base/clock.h"
#include "base/error.h"
#include "base/racy.h"
#include "data/kinds.h"
#include "data/list.h"

int
shoal_list_create(shoal_arena *a, const char *name, const shoal_container_options *options,
                  shoal_list **out)
{
	return container_create(__func__, a, name, SHOAL_KIND_LIST, sizeof(shoal_list), options, NULL,
	                        (void **)out);
}

int
shoal_list_open(shoal_arena *a, const char *name, shoal_time timeout, shoal_list **out)
{
	return container_open(__func__, a, name, SHOAL_KIND_LIST, timeout, (void **)out);
}

int
shoal_list_at(shoal_arena *a, shoal_ref ref, shoal_list **out)
{
	uint32_t index;
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	rc = object_at(a, ref, SHOAL_KIND_LIST, &index);
	*out = rc ? NULL : object_body_at(a, index);
	return rc || *out ? rc : -EPROTO;
}

int
shoal_list_destroy(shoal_arena *a, shoal_list *list)
{
	return container_destroy(a, list, SHOAL_KIND_LIST);
}

/* ---- for the arena ---- */

static struct list_call
call_for(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object)
{
	struct list_call call = { .c = { .arena = a, .thread = t, .me = me, .object = object } };
	call.list = object_body_at(a, object);
	if (call.list && object_body_bytes(a, call.list) < sizeof *call.list)
		call.list = NULL;
	call.hold = (struct ledger_hold){
		.arena = a,
		.thread = t,
		.me = me,
		.ledger = call.list ? &call.list->ledger : NULL,
		.kind = &list_ledger,
		.object = object,
	};
	return call;
}

static void
recover_call(shoal_arena *a, struct shoal_thread *t, struct member *me, struct member *dead,
             uint32_t object)
{
	struct list_call call = call_for(a, t, me, object);
	(void)dead;
	if (call.list)
		ledger_recover(&call.hold);
}

/* Nobody is inside, so nobody has the ledger, but perhaps a dead one. False: it is damaged. */
static bool
take_apart(struct list_call *call)
{
	if (!ledger_try(&call->hold))
		return false;
	bool is = list_shape_read(call->c.arena, call->list, &call->shape);
	if (is) {
		ledger_open(&call->hold, 0);
		is = list_empty_locked(call) == 0;
	}
	ledger_unlock(&call->hold);
	return is;
}

static void
empty(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object)
{
	struct list_call call = call_for(a, t, me, object);
	if (!call.list || !take_apart(&call))
		ledger_reclaim(&call.hold);
}

static uint64_t
size(const shoal_arena *a, uint32_t object)
{
	const shoal_list *list = object_body_at(a, object);
	uint64_t n;
	bool is = list && object_body_bytes(a, list) >= sizeof *list;
	return is && list_size_try(a, list, &n) ? n : 0;
}

/* ---- shoal_arena_check ---- */

struct list_walk {
	struct list_call *call;
	FILE *report;
	uint64_t parts; /* met so far */
	uint64_t items;
	int found;
};

static void
wrong(struct list_walk *w, const char *what, uint64_t at)
{
	w->found++;
	if (w->report)
		fprintf(w->report, "list %u: %s at offset %#llx\n", w->call->c.object, what,
		        (unsigned long long)at);
}

static const void *
part(struct list_walk *w, uint64_t offset, uint64_t bytes)
{
	const shoal_arena *a = w->call->c.arena;
	struct block_found b;
	bool is = block_find(a, offset, &b) && b.bytes >= bytes;
	uint64_t word = is ? load_acquire(b.word) : 0;
	/* More than there are blocks: children lead back to nodes that were met. */
	if (++w->parts > item_room(a, a->data_at) / sizeof(struct item)) {
		wrong(w, "it leads to more blocks than there are", offset);
		return NULL;
	}
	if (block_state(word) == BLOCK_PART && block_object(word) == w->call->c.object)
		return arena_at(a, offset);
	wrong(w, "what it refers to is no block of its own", offset);
	return NULL;
}

static void
check_item(struct list_walk *w, uint64_t offset)
{
	const struct item *it = part(w, offset, sizeof *it);
	struct cell cell;
	if (!it)
		return;
	racy_read(&cell, &it->cell, sizeof cell);
	if (cell.bytes > block_bytes(w->call->c.arena, offset) - sizeof *it)
		wrong(w, "an item is longer than its block", offset);
	if (load_relaxed(&it->counted) != cell.refs)
		wrong(w, "an item's references have not all been counted", offset);
}

static void
check_leaf(struct list_walk *w, uint64_t offset, uint64_t items)
{
	const struct leaf *l = part(w, offset, sizeof *l);
	if (items > LEAF_SLOTS)
		wrong(w, "a leaf has too many items", offset);
	for (uint64_t i = 0; l && i < items && i < LEAF_SLOTS; i++) {
		uint64_t slot = load_relaxed(&l->slot[i]);
		if ((slot & 7) == SLOT_BLOCK)
			check_item(w, slot);
		else if ((slot & 7) > SLOT_CONSTANT)
			wrong(w, "a slot has no kind", offset);
	}
	w->items += items;
}

static void
check_node(struct list_walk *w, uint64_t offset, uint64_t items, uint32_t height)
{
	if (height == 0) {
		check_leaf(w, offset, items);
		return;
	}
	const struct node *n = part(w, offset, sizeof *n);
	uint64_t before = w->items;
	for (uint32_t i = 0; n && !w->found && i < NODE_CHILDREN && load_relaxed(&n->at[i].child); i++)
		check_node(w, load_relaxed(&n->at[i].child), load_relaxed(&n->at[i].items), height - 1);
	if (n && w->items - before != items)
		wrong(w, "the items below a node are not as many as it says", offset);
}

static int
check(shoal_arena *a, uint32_t object, uint64_t parts, FILE *report)
{
	struct list_call call = call_for(a, NULL, NULL, object);
	struct list_walk w = { .call = &call, .report = report };
	if (!call.list || !list_shape_read(a, call.list, &call.shape)) {
		wrong(&w, "no body, or none that leads anywhere", 0);
		return w.found;
	}
	const struct list_shape *s = &call.shape;
	if (!ledger_idle(&call.list->ledger))
		wrong(&w, "a change is under way", 0);
	if (s->top) {
		(void)part(&w, s->top, sizeof(struct list_top));
		check_leaf(&w, s->tail, s->tail_count);
		w.items = 0;
		if (s->root)
			check_node(&w, s->root, s->tree_count, s->height);
		if (w.items != s->tree_count)
			wrong(&w, "the tree has not the items that the top says", s->top);
	}
	if (parts != KIND_PARTS_UNKNOWN && parts != w.parts && !w.found)
		wrong(&w, "blocks that say they are parts of it are not reached, or the reverse", parts);
	return w.found;
}

const struct kind_ops list_kind = {
	.lasts = true,
	.parts = true,
	.recover_call = recover_call,
	.empty = empty,
	.size = size,
	.check = check,
};
