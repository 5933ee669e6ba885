#include "data/list.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/racy.h"
#include <string.h>

const struct ledger_kind list_ledger = { .drop = item_drop };

/* ---- one call ---- */

static int
entered(struct list_call *call, const shoal_list *list, int rc)
{
	if (rc)
		return rc;
	call->list = (shoal_list *)(uintptr_t)list;
	call->dropped = false;
	call->hold = (struct ledger_hold){
		.arena = call->c.arena,
		.thread = call->c.thread,
		.me = call->c.me,
		.ledger = &call->list->ledger,
		.kind = &list_ledger,
		.object = call->c.object,
	};
	return 0;
}

int
list_enter(struct list_call *call, const shoal_list *list)
{
	return entered(call, list, container_enter(list, SHOAL_KIND_LIST, &call->c));
}

int
list_enter_reader(struct list_call *call, const shoal_list *list)
{
	return entered(call, list, container_enter_reader(list, SHOAL_KIND_LIST, &call->c));
}

static int
lock_until(struct list_call *call, int64_t deadline)
{
	if (unlikely(!call->c.me))
		return container_cannot_lock(&call->c, "list");
	uint32_t holder = load_relaxed(&call->list->ledger.lock.word) & FUTEX_TID;
	int rc = holder == call->c.thread->tid
	                 ? fail(-EDEADLK, "a callback of a call on list %u calls on it again",
	                        call->c.object)
	                 : ledger_lock_until(&call->hold, deadline);
	if (rc || list_shape_read(call->c.arena, call->list, &call->shape))
		return rc;
	ledger_unlock(&call->hold);
	return list_damaged(call);
}

int
list_lock_until(struct list_call *call, int64_t deadline)
{
	int rc = lock_until(call, deadline);
	return rc && rc != -ETIMEDOUT ? list_leave_call(call, rc) : rc;
}

int
list_lock(struct list_call *call)
{
	return list_lock_until(call, CLOCK_NEVER);
}

int
list_begin(struct list_call *call, shoal_list *list)
{
	int rc = list_enter(call, list);
	if (rc == 0)
		rc = list_lock(call);
	if (rc == 0)
		ledger_open(&call->hold, 0);
	return rc;
}

int
list_leave_call(struct list_call *call, int rc)
{
	rc = container_leave_reader(&call->c, call->list, rc);
	if (unlikely(call->dropped))
		object_sweep(call->c.arena, call->c.thread, call->c.me);
	return rc;
}

int
list_leave(struct list_call *call, int rc)
{
	ledger_unlock(&call->hold);
	return list_leave_call(call, rc);
}

int
list_give_up(struct list_call *call, int rc)
{
	ledger_give_up(&call->hold);
	/* References of the fresh blocks went with them. */
	call->dropped = true;
	return list_leave(call, rc);
}

void
list_commit(struct list_call *call, word64 *at, uint64_t to, bool raise)
{
	word64 *version = &call->list->version;
	if (raise)
		ledger_then(&call->hold, 0, version, load_relaxed(version) + 1);
	ledger_commit(&call->hold, at, to);
}

/* The old top goes out; where the new shape has nothing in it, there is none. */
static int
make_top(struct list_call *call, const struct list_shape *s, uint64_t *top)
{
	int rc = call->shape.top ? ledger_retire(&call->hold, call->shape.top, false) : 0;
	if (rc)
		return rc;
	rc = ledger_take(&call->hold, sizeof(struct list_top), top);
	if (rc)
		return rc;
	struct list_top *t = arena_at(call->c.arena, *top);
	store_relaxed(&t->root, s->root);
	store_relaxed(&t->tree_count, s->tree_count);
	store_relaxed(&t->tail, s->tail);
	store_relaxed(&t->height, s->height);
	store_relaxed(&t->tail_count, s->tail_count);
	return 0;
}

int
list_end(struct list_call *call, int rc, struct list_shape *s)
{
	uint64_t top;
	if (rc == 0)
		rc = make_top(call, s, &top);
	if (rc)
		return list_give_up(call, rc);
	list_commit(call, &call->list->top, top, true);
	return list_leave(call, 0);
}

/* ---- slots ---- */

static uint64_t
slot_small(unsigned kind, int64_t value)
{
	return (uint64_t)value << 3 | kind;
}

/* Small, or a block that is not yet on the ledger, but in my hand. */
static int
slot_prepare(struct list_call *call, const shoal_any *v, struct cell *cell, uint64_t *slot)
{
	int rc = cell_of(call->c.arena, v, cell);
	if (rc)
		return rc;
	int64_t i = v->as.integer;
	if (cell->kind == SHOAL_ANY_NIL)
		*slot = slot_small(SLOT_CONSTANT, 0);
	else if (cell->kind == SHOAL_ANY_BOOL)
		*slot = slot_small(SLOT_CONSTANT, v->as.boolean ? 2 : 1);
	else if (cell->kind == SHOAL_ANY_INT && i >= -(INT64_C(1) << 60) && i < INT64_C(1) << 60)
		*slot = slot_small(SLOT_INT, i);
	else
		rc = item_make(&call->hold, v, cell, slot);
	return rc;
}

static int
slot_adopt(struct list_call *call, const struct cell *cell, uint64_t slot)
{
	return (slot & 7) == SLOT_BLOCK ? item_adopt(&call->hold, cell, slot) : 0;
}

int
list_slot_make(struct list_call *call, const shoal_any *v, uint64_t *slot)
{
	struct cell cell;
	int rc = slot_prepare(call, v, &cell, slot);
	return rc ? rc : slot_adopt(call, &cell, *slot);
}

/*
 * As list_begin, with a value that comes in: what takes long with a long one is done before the
 * ledger is taken, so that others write meanwhile.
 */
static int
begin_with(struct list_call *call, shoal_list *list, const shoal_any *v, uint64_t *slot)
{
	struct cell cell;
	int rc = list_enter(call, list);
	if (rc)
		return rc;
	rc = slot_prepare(call, v, &cell, slot);
	if (rc)
		return list_leave_call(call, rc);
	rc = lock_until(call, CLOCK_NEVER);
	if (rc) {
		if ((*slot & 7) == SLOT_BLOCK)
			(void)block_give(call->c.arena, call->c.me, *slot);
		return list_leave_call(call, rc);
	}
	ledger_open(&call->hold, 0);
	rc = slot_adopt(call, &cell, *slot);
	return rc ? list_give_up(call, rc) : 0;
}

int
list_slot_retire(struct list_call *call, uint64_t slot)
{
	if ((slot & 7) != SLOT_BLOCK || !slot)
		return 0;
	struct block_found b;
	if (!block_find(call->c.arena, slot, &b) || b.bytes < sizeof(struct item))
		return list_damaged(call);
	const struct item *it = arena_at(call->c.arena, slot);
	struct cell cell;
	racy_read(&cell, &it->cell, sizeof cell);
	bool bears = cell.refs != 0;
	call->dropped |= bears;
	return ledger_retire(&call->hold, slot, bears);
}

bool
list_slot_copy(const shoal_arena *a, uint64_t slot, struct item_copy *to, int *rc)
{
	int64_t value = (int64_t)slot >> 3;
	*rc = -EPROTO;
	to->bytes = to->small;
	if ((slot & 7) == SLOT_BLOCK)
		return slot && item_read(a, slot, to, rc);
	to->cell = (struct cell){ .kind = SHOAL_ANY_INT, .bytes = 8 };
	if ((slot & 7) == SLOT_CONSTANT && value == 0)
		to->cell = (struct cell){ .kind = SHOAL_ANY_NIL };
	else if ((slot & 7) == SLOT_CONSTANT)
		to->cell.kind = SHOAL_ANY_BOOL;
	int64_t bits = to->cell.kind == SHOAL_ANY_BOOL ? value == 2 : value;
	memcpy(to->small, &bits, sizeof bits);
	return (slot & 7) <= SLOT_CONSTANT && (to->cell.kind == SHOAL_ANY_INT || value <= 2);
}

int
list_slot_any(struct list_call *call, const struct item_copy *copy, enum reference_gone gone,
              shoal_any *out)
{
	int rc = cell_read_as(call->c.arena, &copy->cell, copy->bytes, gone, out);
	if (unlikely(rc))
		*out = SHOAL_NIL;
	return rc;
}

int
list_place_any(struct list_call *call, const struct place *p, shoal_any *out)
{
	struct item_copy copy;
	int rc;
	if (list_slot_copy(call->c.arena, load_relaxed(&p->leaf->slot[p->slot]), &copy, &rc))
		rc = list_slot_any(call, &copy, GONE_FAILS, out);
	else if (rc == -EPROTO)
		rc = list_damaged(call);
	item_forget(&copy);
	return rc;
}

/* ---- single items ---- */

/* Both to be written; NULL where they are not the list's. */
static struct list_top *
top_of(const struct list_call *call)
{
	return list_block(call, call->shape.top, sizeof(struct list_top));
}

static struct leaf *
tail_of(const struct list_call *call)
{
	return list_block(call, call->shape.tail, sizeof(struct leaf));
}

static int
append_structural(struct list_call *call, uint64_t slot)
{
	struct list_shape s = call->shape;
	int rc = 0;
	if (s.top) {
		struct list_builder b;
		rc = builder_begin(&b, call, &call->shape);
		if (rc == 0)
			rc = builder_add(&b, s.tail, s.tail_count);
		if (rc == 0)
			rc = builder_end(&b, &s);
	}
	s.tail_count = 1;
	if (rc == 0)
		rc = list_leaf_make(call, &slot, 1, &s.tail);
	return list_end(call, rc, &s);
}

static int
append(struct list_call *call, uint64_t slot)
{
	uint32_t n = call->shape.tail_count;
	if (!call->shape.top || n == LEAF_SLOTS)
		return append_structural(call, slot);
	struct list_top *top = top_of(call);
	struct leaf *tail = tail_of(call);
	if (unlikely(!top || !tail))
		return list_give_up(call, list_damaged(call));
	store_relaxed(&tail->slot[n], slot);
	list_commit(call, &top->tail_count, n + 1, false);
	return list_leave(call, 0);
}

int
shoal_list_append(shoal_list *list, shoal_any v)
{
	struct list_call call;
	uint64_t slot;
	int rc = begin_with(&call, list, &v, &slot);
	return rc ? rc : append(&call, slot);
}

/* A full tail gives its first half to the tree. */
static int
insert_in_tail(struct list_call *call, uint64_t at, uint64_t slot)
{
	struct list_shape s = call->shape;
	uint64_t slots[LEAF_SLOTS + 1], half = 0, leaf;
	uint32_t n = 0;
	const struct leaf *tail = tail_of(call);
	if (!tail)
		return list_give_up(call, list_damaged(call));
	for (uint32_t i = 0; i <= s.tail_count; i++)
		slots[i] = i == at ? slot : load_relaxed(&tail->slot[n++]);
	int rc = ledger_retire(&call->hold, s.tail, false);
	if (rc == 0 && s.tail_count == LEAF_SLOTS) {
		struct list_builder b;
		half = LEAF_SLOTS / 2;
		rc = list_leaf_make(call, slots, (uint32_t)half, &leaf);
		if (rc == 0)
			rc = builder_begin(&b, call, &call->shape);
		if (rc == 0)
			rc = builder_add(&b, leaf, (uint32_t)half);
		if (rc == 0)
			rc = builder_end(&b, &s);
	}
	s.tail_count = call->shape.tail_count + 1 - (uint32_t)half;
	if (rc == 0)
		rc = list_leaf_make(call, slots + half, s.tail_count, &s.tail);
	return list_end(call, rc, &s);
}

/* As Python's: an index outside is one of the ends. */
static uint64_t
clamped(ptrdiff_t index, uint64_t size)
{
	if (index < 0)
		return -(uint64_t)index > size ? 0 : size - -(uint64_t)index;
	return (uint64_t)index > size ? size : (uint64_t)index;
}

int
shoal_list_insert(shoal_list *list, ptrdiff_t index, shoal_any v)
{
	struct list_call call;
	uint64_t slot;
	int rc = begin_with(&call, list, &v, &slot);
	if (rc)
		return rc;
	struct list_shape s = call.shape;
	uint64_t at = clamped(index, shape_size(&s));
	if (at == shape_size(&s))
		return append(&call, slot);
	if (at >= s.tree_count)
		return insert_in_tail(&call, at - s.tree_count, slot);
	rc = list_tree_edit(&call, EDIT_INSERT, at, slot, &s);
	return list_end(&call, rc, &s);
}

/* The last leaf of the tree, less its last item, is the tail from now on. */
static int
remove_last_of_tree(struct list_call *call, const struct place *p)
{
	struct list_shape s = call->shape;
	uint64_t leaf = arena_offset(call->c.arena, p->leaf);
	int rc = list_tree_edit(call, EDIT_LAST_LEAF, 0, 0, &s);
	if (rc == 0)
		rc = ledger_retire(&call->hold, s.tail, false);
	s.tree_count -= p->slots;
	s.tail = leaf;
	s.tail_count = p->slots - 1;
	return list_end(call, rc, &s);
}

static int
remove_in_tail(struct list_call *call, uint32_t at)
{
	struct list_shape s = call->shape;
	uint64_t slots[LEAF_SLOTS];
	struct list_top *top = top_of(call);
	const struct leaf *tail = tail_of(call);
	if (unlikely(!top || !tail))
		return list_give_up(call, list_damaged(call));
	if (at + 1 == s.tail_count) {
		list_commit(call, &top->tail_count, at, true);
		return list_leave(call, 0);
	}
	for (uint32_t i = 0, n = 0; i < s.tail_count; i++)
		if (i != at)
			slots[n++] = load_relaxed(&tail->slot[i]);
	int rc = ledger_retire(&call->hold, s.tail, false);
	s.tail_count--;
	if (rc == 0)
		rc = list_leaf_make(call, slots, s.tail_count, &s.tail);
	return list_end(call, rc, &s);
}

/* With the change open; leaves. */
int
list_remove_place(struct list_call *call, uint64_t at, const struct place *p)
{
	struct list_shape s = call->shape;
	int rc = list_slot_retire(call, load_relaxed(&p->leaf->slot[p->slot]));
	if (rc)
		return list_give_up(call, rc);
	if (at >= s.tree_count)
		return remove_in_tail(call, p->slot);
	if (at + 1 == shape_size(&s))
		return remove_last_of_tree(call, p);
	rc = list_tree_edit(call, EDIT_REMOVE, at, 0, &s);
	return list_end(call, rc, &s);
}

int
list_place(struct list_call *call, ptrdiff_t index, uint64_t *at, struct place *p)
{
	int rc = list_index(index, shape_size(&call->shape), at);
	if (rc == 0 && !list_find(call->c.arena, &call->shape, *at, p))
		rc = list_damaged(call);
	return rc;
}

int
shoal_list_pop(shoal_list *list, ptrdiff_t index, shoal_any *out)
{
	struct list_call call;
	struct place p;
	uint64_t at;
	if (out)
		*out = SHOAL_NIL;
	int rc = list_begin(&call, list);
	if (rc)
		return rc;
	rc = list_place(&call, index, &at, &p);
	if (rc == 0 && out)
		rc = list_place_any(&call, &p, out);
	if (rc)
		return list_give_up(&call, rc);
	rc = list_remove_place(&call, at, &p);
	if (rc && out)
		shoal_any_clear(out);
	return rc;
}

int
shoal_list_remove_at(shoal_list *list, ptrdiff_t index)
{
	return shoal_list_pop(list, index, NULL);
}

/* From one slot to another one, in place. */
static int
replace(struct list_call *call, const struct place *p, uint64_t slot)
{
	uint64_t old = load_relaxed(&p->leaf->slot[p->slot]);
	bool own = list_block(call, arena_offset(call->c.arena, p->leaf), sizeof *p->leaf);
	int rc = own ? list_slot_retire(call, old) : list_damaged(call);
	if (rc)
		return list_give_up(call, rc);
	list_commit(call, &p->leaf->slot[p->slot], slot, (old & 7) == SLOT_BLOCK);
	return list_leave(call, 0);
}

int
shoal_list_set(shoal_list *list, ptrdiff_t index, shoal_any v)
{
	struct list_call call;
	struct place p;
	uint64_t at, slot;
	int rc = begin_with(&call, list, &v, &slot);
	if (rc)
		return rc;
	rc = list_place(&call, index, &at, &p);
	return rc ? list_give_up(&call, rc) : replace(&call, &p, slot);
}

/* An int, or a bool as 0 or 1. */
static int
int_at(struct list_call *call, const struct place *p, int64_t *value)
{
	struct item_copy copy;
	int rc;
	if (!list_slot_copy(call->c.arena, load_relaxed(&p->leaf->slot[p->slot]), &copy, &rc))
		return rc == -EPROTO ? list_damaged(call) : rc;
	if (copy.cell.kind == SHOAL_ANY_INT || copy.cell.kind == SHOAL_ANY_BOOL)
		memcpy(value, copy.bytes, sizeof *value);
	else
		rc = fail(-EINVAL, "an item of list %u is no int: nothing can be added to it",
		          call->c.object);
	bool is = copy.cell.kind == SHOAL_ANY_INT || copy.cell.kind == SHOAL_ANY_BOOL;
	item_forget(&copy);
	return is ? 0 : rc;
}

int
shoal_list_add_int(shoal_list *list, ptrdiff_t index, int64_t delta, int64_t *sum)
{
	struct list_call call;
	struct place p;
	uint64_t at, slot;
	int64_t value = 0;
	int rc = list_begin(&call, list);
	if (rc)
		return rc;
	rc = list_place(&call, index, &at, &p);
	if (rc == 0)
		rc = int_at(&call, &p, &value);
	if (rc == 0 && __builtin_add_overflow(value, delta, &value))
		rc = fail(-EOVERFLOW, "%lld more is beyond an int64", (long long)delta);
	shoal_any v = shoal_any_from_int(value);
	if (rc == 0)
		rc = list_slot_make(&call, &v, &slot);
	rc = rc ? list_give_up(&call, rc) : replace(&call, &p, slot);
	if (rc == 0 && sum)
		*sum = value;
	return rc;
}
