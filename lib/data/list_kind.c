/* Lists as objects of the arena: made, found, destroyed, looked after. */
#include "base/clock.h"
#include "base/error.h"
#include "data/kinds.h"
#include "data/list.h"

#define GET_TRIES 64

int
shoal_list_create(shoal_arena *a, const char *name, const shoal_container_options *options,
                  shoal_list **out)
{
	void *body;
	int rc = container_create(a, name, SHOAL_KIND_LIST, sizeof(shoal_list), options, NULL, &body);
	*out = rc ? NULL : body;
	return rc;
}

int
shoal_list_open(shoal_arena *a, const char *name, shoal_time timeout, shoal_list **out)
{
	void *body;
	int rc = container_open(a, name, SHOAL_KIND_LIST, timeout, &body);
	*out = rc ? NULL : body;
	return rc;
}

int
shoal_list_at(shoal_arena *a, shoal_ref ref, shoal_list **out)
{
	uint32_t index;
	int rc = object_at(a, ref, SHOAL_KIND_LIST, &index);
	*out = rc ? NULL : object_body_at(a, index);
	return rc || *out ? rc : -EPROTO;
}

int
shoal_list_destroy(shoal_arena *a, shoal_list *list)
{
	return container_destroy(a, list, SHOAL_KIND_LIST);
}

/* ---- one item, without the ledger ---- */

enum got { GOT, GOT_AGAIN, GOT_FAILED };

static bool
still(const struct list_call *call, uint64_t version)
{
	fence_acquire();
	return load_relaxed(&call->list->version) == version;
}

static enum got
try_get(struct list_call *call, ptrdiff_t index, shoal_any *out, int *rc)
{
	const shoal_arena *a = call->c.arena;
	struct item_copy copy = { .bytes = copy.small };
	struct place p;
	uint64_t at, version = load_acquire(&call->list->version);
	if (!list_shape_read(a, call->list, &call->shape))
		return GOT_AGAIN;
	*rc = list_index(index, shape_size(&call->shape), false, &at);
	if (*rc)
		return still(call, version) ? GOT_FAILED : GOT_AGAIN;
	bool whole = list_find(a, &call->shape, at, &p) &&
	             list_slot_copy(a, load_acquire(&p.leaf->slot[p.slot]), &copy, rc);
	enum got got = still(call, version) && whole ? GOT : *rc == -ENOMEM ? GOT_FAILED : GOT_AGAIN;
	if (got == GOT) {
		*rc = list_slot_any(call, &copy, out);
		/* What was pinned just now stays, if it was still in the list then. */
		if (copy.cell.refs && !still(call, version)) {
			if (*rc == 0)
				shoal_any_clear(out);
			got = GOT_AGAIN;
		}
	}
	item_forget(&copy);
	return got == GOT && *rc ? GOT_FAILED : got;
}

static int
get_locked(struct list_call *call, ptrdiff_t index, shoal_any *out)
{
	struct item_copy copy;
	struct place p;
	uint64_t at;
	int rc = list_lock(call);
	if (rc)
		return rc;
	rc = list_place(call, index, &at, &p);
	if (rc == 0) {
		if (list_slot_copy(call->c.arena, load_relaxed(&p.leaf->slot[p.slot]), &copy, &rc))
			rc = list_slot_any(call, &copy, out);
		item_forget(&copy);
	}
	return list_leave(call, rc);
}

int
shoal_list_get(shoal_list *list, ptrdiff_t index, shoal_any *out)
{
	struct list_call call;
	int rc = list_enter(&call, list);
	if (rc)
		return rc;
	for (int i = 0; i < GET_TRIES; i++) {
		if (try_get(&call, index, out, &rc) == GOT_AGAIN)
			continue;
		return list_leave_call(&call, rc);
	}
	return get_locked(&call, index, out);
}

static uint64_t
size_of(const shoal_arena *a, const shoal_list *list)
{
	struct list_shape s;
	for (int i = 0; i < GET_TRIES; i++) {
		uint64_t version = load_acquire(&list->version);
		bool whole = list_shape_read(a, list, &s);
		fence_acquire();
		if (whole && load_relaxed(&list->version) == version)
			return shape_size(&s);
	}
	return 0;
}

size_t
shoal_list_size(const shoal_list *list)
{
	struct list_call call;
	if (list_enter(&call, list))
		return 0;
	size_t size = size_of(call.c.arena, list);
	container_leave(&call.c);
	return size;
}

/* ---- for the arena ---- */

static struct list_call
call_for(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object)
{
	struct list_call call = { .c = { .arena = a, .thread = t, .me = me, .object = object } };
	call.list = object_body_at(a, object);
	if (call.list && object_body_bytes(a, call.list) < sizeof *call.list)
		call.list = NULL;
	if (call.list)
		call.hold = (struct ledger_hold){ a, t, me, &call.list->ledger, &list_ledger, object, 0 };
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

/* Nobody is inside, so nobody has the ledger, but perhaps a dead one. */
static void
empty(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object)
{
	struct list_call call = call_for(a, t, me, object);
	if (!call.list || !ledger_try(&call.hold))
		return;
	if (list_shape_read(a, call.list, &call.shape)) {
		ledger_open(&call.hold, 0);
		(void)list_empty_locked(&call);
	}
	ledger_unlock(&call.hold);
}

static uint64_t
size(const shoal_arena *a, uint32_t object)
{
	const shoal_list *list = object_body_at(a, object);
	return list ? size_of(a, list) : 0;
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
	w->parts++;
	if (block_state(word) == BLOCK_PART && block_object(word) == w->call->c.object)
		return arena_at(a, offset);
	wrong(w, "what it refers to is no block of its own", offset);
	return NULL;
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
			(void)part(w, slot, sizeof(struct item));
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
