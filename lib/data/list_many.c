/* Calls on more than one item at once. */
#include "base/error.h"
#include "data/any.h"
#include "data/list.h"
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

void
list_range_all(uint64_t size, uint64_t *first, uint64_t *end, const void *arg)
{
	(void)arg;
	*first = 0;
	*end = size;
}

/* As Python's l[first:end]. */
static void
slice(uint64_t size, uint64_t *first, uint64_t *end, const void *arg)
{
	const ptrdiff_t *bound = arg;
	uint64_t at[2];
	for (int i = 0; i < 2; i++) {
		uint64_t from_end = bound[i] < 0 ? -(uint64_t)bound[i] : 0;
		at[i] = bound[i] < 0 ? (from_end > size ? 0 : size - from_end) : (uint64_t)bound[i];
		at[i] = at[i] > size ? size : at[i];
	}
	*first = at[0];
	*end = at[1] < at[0] ? at[0] : at[1];
}

static int
read_as_list(const shoal_list *list, list_range *range, const void *arg, shoal_any *out)
{
	shoal_any *items;
	uint64_t count;
	*out = SHOAL_NIL;
	int rc = list_read_many(list, range, arg, &items, &count, NULL);
	if (rc)
		return rc;
	shoal_any view = shoal_any_from_items(items, count);
	rc = any_copy_whole(&view, out);
	list_anys_free(items, count);
	return rc;
}

int
shoal_list_snapshot(shoal_list *list, shoal_any *out)
{
	return read_as_list(list, list_range_all, NULL, out);
}

int
shoal_list_slice(shoal_list *list, ptrdiff_t first, ptrdiff_t end, shoal_any *out)
{
	ptrdiff_t bounds[] = { first, end };
	return read_as_list(list, slice, bounds, out);
}

int
shoal_list_print(shoal_list *list, FILE *out)
{
	shoal_any snapshot;
	int rc = shoal_list_snapshot(list, &snapshot);
	if (rc)
		return rc;
	rc = shoal_any_print(&snapshot, out);
	shoal_any_clear(&snapshot);
	return rc;
}

/* How many are equal to v; where only the first counts, its index + 1. */
static ssize_t
find(shoal_list *list, const shoal_any *v, bool first)
{
	shoal_any *items;
	struct any_size size;
	uint64_t count;
	ssize_t found = 0;
	int rc = any_measure(v, &size);
	if (rc == 0)
		rc = list_read_many(list, list_range_all, NULL, &items, &count, NULL);
	if (rc)
		return rc;
	for (uint64_t i = 0; i < count && !(first && found); i++)
		if (shoal_any_equal(&items[i], v))
			found = first ? (ssize_t)i + 1 : found + 1;
	list_anys_free(items, count);
	return found;
}

ssize_t
shoal_list_index(shoal_list *list, shoal_any v)
{
	ssize_t found = find(list, &v, true);
	return found ? (found < 0 ? found : found - 1) : fail(-ENOENT, "no such item in the list");
}

ssize_t
shoal_list_count(shoal_list *list, shoal_any v)
{
	return find(list, &v, false);
}

/* ---- changing ---- */

/* All of them, under the ledger. */
static int
gather_all(struct list_call *call, struct gathered *g)
{
	int rc;
	if (list_gather(call->c.arena, &call->shape, 0, shape_size(&call->shape), g, &rc))
		return 0;
	list_gathered_free(g);
	return rc == -ENOMEM ? rc : list_damaged(call);
}

int
list_anys(struct list_call *call, shoal_any **items, uint64_t *count)
{
	struct gathered g;
	int rc = gather_all(call, &g);
	if (rc)
		return rc;
	*count = g.count;
	rc = list_gathered_anys(call, &g, items);
	list_gathered_free(&g);
	return rc;
}

int
shoal_list_remove(shoal_list *list, shoal_any v)
{
	struct list_call call;
	struct place p;
	shoal_any *items;
	struct any_size size;
	uint64_t count, i = 0, at;
	int rc = any_measure(&v, &size);
	if (rc == 0)
		rc = list_begin(&call, list);
	if (rc)
		return rc;
	rc = list_anys(&call, &items, &count);
	if (rc)
		return list_give_up(&call, rc);
	while (i < count && !shoal_any_equal(&items[i], &v))
		i++;
	rc = i < count ? list_place(&call, (ptrdiff_t)i, &at, &p)
	               : fail(-ENOENT, "no such item in the list");
	rc = rc ? list_give_up(&call, rc) : list_remove_place(&call, at, &p);
	/* What goes with their pins goes outside of the call. */
	list_anys_free(items, count);
	return rc;
}

/* Whole leaves from the slots, then a tail of at least one, unless there are none. */
static int
build(struct list_call *call, const struct list_shape *from, const uint64_t *slots, uint64_t count,
      struct list_shape *s)
{
	struct list_builder b;
	int rc = builder_begin(&b, call, from);
	for (; count > LEAF_SLOTS && rc == 0; count -= LEAF_SLOTS, slots += LEAF_SLOTS) {
		uint64_t leaf;
		rc = list_leaf_make(call, slots, LEAF_SLOTS, &leaf);
		if (rc == 0)
			rc = builder_add(&b, leaf, LEAF_SLOTS);
	}
	if (rc == 0)
		rc = builder_end(&b, s);
	s->tail_count = (uint32_t)count;
	return rc ? rc : list_leaf_make(call, slots, s->tail_count, &s->tail);
}

/* What is in the tail, then the new slots; the tail goes out. */
static int
extend(struct list_call *call, const uint64_t *fresh, uint64_t count)
{
	struct list_shape s = call->shape;
	const struct leaf *tail = s.top ? list_block(call, s.tail, sizeof *tail) : NULL;
	if (s.top && !tail)
		return list_give_up(call, list_damaged(call));
	uint64_t *slots = malloc((LEAF_SLOTS + count) * sizeof *slots);
	if (!slots)
		return list_give_up(call, fail(-ENOMEM, "no memory for %llu items",
		                               (unsigned long long)count));
	for (uint32_t i = 0; i < s.tail_count; i++)
		slots[i] = load_relaxed(&tail->slot[i]);
	memcpy(slots + s.tail_count, fresh, count * sizeof *slots);
	int rc = s.top ? ledger_retire(&call->hold, s.tail, false) : 0;
	if (rc == 0)
		rc = build(call, &call->shape, slots, s.tail_count + count, &s);
	free(slots);
	return list_end(call, rc, &s);
}

static int
extend_by(shoal_list *list, const shoal_any *items, uint64_t count)
{
	struct list_call call;
	if (count > ANY_BYTES_MAX)
		return fail(-EMSGSIZE, "%llu items are more than a value has, %llu",
		            (unsigned long long)count, (unsigned long long)ANY_BYTES_MAX);
	uint64_t *slots = malloc((count + 1) * sizeof *slots);
	if (!slots)
		return fail(-ENOMEM, "no memory for %llu items", (unsigned long long)count);
	int rc = list_begin(&call, list);
	for (uint64_t i = 0; i < count && rc == 0; i++) {
		rc = list_slot_make(&call, &items[i], &slots[i]);
		if (rc)
			list_give_up(&call, rc);
	}
	if (rc == 0 && count)
		rc = extend(&call, slots, count);
	else if (rc == 0)
		rc = list_give_up(&call, 0);
	free(slots);
	return rc;
}

int
shoal_list_extend(shoal_list *list, shoal_any v)
{
	shoal_list *other = shoal_any_to_list(&v);
	shoal_any items;
	if (!other && v.kind != SHOAL_ANY_LIST)
		return fail(-EINVAL, "a list is extended by the items of a list, not by a value of kind %s",
		            any_kind_name(v.kind));
	if (!other)
		return extend_by(list, v.as.items, v.count);
	int rc = shoal_list_snapshot(other, &items);
	if (rc)
		return rc;
	rc = extend_by(list, items.as.items, items.count);
	shoal_any_clear(&items);
	return rc;
}

/* The slots in another order, in new nodes. With the change open. */
int
list_reorder(struct list_call *call, const uint64_t *slots, uint64_t count)
{
	struct list_shape s = call->shape;
	int rc = list_retire_all(call);
	if (rc == 0)
		rc = build(call, NULL, slots, count, &s);
	/* The old top has gone out with the rest. */
	call->shape.top = 0;
	return list_end(call, rc, &s);
}

int
list_slots(struct list_call *call, uint64_t **slots, uint64_t *count)
{
	uint64_t n = *count = shape_size(&call->shape);
	*slots = malloc((n + 1) * sizeof **slots);
	if (!*slots)
		return fail(-ENOMEM, "no memory for %llu items", (unsigned long long)n);
	for (uint64_t i = 0; i < n;) {
		struct place p;
		if (!list_find(call->c.arena, &call->shape, i, &p)) {
			free(*slots);
			return list_damaged(call);
		}
		for (; p.slot < p.slots && i < n; p.slot++)
			(*slots)[i++] = load_relaxed(&p.leaf->slot[p.slot]);
	}
	return 0;
}

int
shoal_list_reverse(shoal_list *list)
{
	struct list_call call;
	uint64_t *slots, count;
	int rc = list_begin(&call, list);
	if (rc)
		return rc;
	rc = list_slots(&call, &slots, &count);
	if (rc)
		return list_give_up(&call, rc);
	for (uint64_t i = 0; i < count / 2; i++) {
		uint64_t other = slots[count - 1 - i];
		slots[count - 1 - i] = slots[i];
		slots[i] = other;
	}
	rc = count > 1 ? list_reorder(&call, slots, count) : list_give_up(&call, 0);
	free(slots);
	return rc;
}

/* Leaf by leaf, with no memory of its own: an object that ends cannot fail to be emptied. */
static int
retire_items(struct list_call *call)
{
	uint64_t n = shape_size(&call->shape);
	int rc = 0;
	for (uint64_t i = 0; i < n && rc == 0;) {
		struct place p;
		if (!list_find(call->c.arena, &call->shape, i, &p))
			return list_damaged(call);
		for (; p.slot < p.slots && rc == 0; i++, p.slot++)
			rc = list_slot_retire(call, load_relaxed(&p.leaf->slot[p.slot]));
	}
	return rc;
}

/* Everything goes out, items too: with `top` 0 the list is empty. */
int
list_empty_locked(struct list_call *call)
{
	if (!call->shape.top) {
		ledger_give_up(&call->hold);
		return 0;
	}
	int rc = retire_items(call);
	if (rc == 0)
		rc = list_retire_all(call);
	if (rc)
		ledger_give_up(&call->hold);
	else
		list_commit(call, &call->list->top, 0, true);
	return rc;
}

int
shoal_list_clear(shoal_list *list)
{
	struct list_call call;
	int rc = list_begin(&call, list);
	return rc ? rc : list_leave(&call, list_empty_locked(&call));
}
