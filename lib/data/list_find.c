/* Finding a place in a list that others may be changing. */
#include "base/error.h"
#include "data/list.h"

static const void *
block_for_reading(const shoal_arena *a, uint64_t offset, uint64_t bytes)
{
	bool is = offset % LEDGER_BLOCK_MIN == 0 && item_room(a, offset) >= bytes;
	return likely(is) ? arena_at(a, offset) : NULL;
}

bool
list_shape_read(const shoal_arena *a, const struct shoal_list *l, struct list_shape *out)
{
	*out = (struct list_shape){ .top = load_acquire(&l->top) };
	if (!out->top)
		return true;
	const struct list_top *top = block_for_reading(a, out->top, sizeof *top);
	if (unlikely(!top))
		return false;
	out->root = load_relaxed(&top->root);
	out->tree_count = load_relaxed(&top->tree_count);
	out->tail = load_relaxed(&top->tail);
	uint64_t height = load_relaxed(&top->height);
	uint64_t tail_count = load_acquire(&top->tail_count);
	out->height = (uint32_t)height;
	out->tail_count = (uint32_t)tail_count;
	return height <= LIST_HEIGHT_MAX && tail_count <= LEAF_SLOTS &&
	       out->tree_count <= slots_max(a);
}

/* The child that has the index, which is made one of the child's; false where there is none. */
static bool
step_down(const struct node *n, uint64_t *offset, uint64_t *index, uint64_t *items)
{
	for (uint32_t i = 0; i < NODE_CHILDREN; i++) {
		*items = load_relaxed(&n->at[i].items);
		*offset = load_relaxed(&n->at[i].child);
		if (*index < *items || !*offset)
			return *offset != 0;
		*index -= *items;
	}
	return false;
}

bool
list_find(const shoal_arena *a, const struct list_shape *s, uint64_t index, struct place *out)
{
	uint64_t offset = s->root, items = s->tree_count;
	if (index >= s->tree_count) {
		index -= s->tree_count;
		offset = s->tail;
		items = s->tail_count;
	} else {
		for (uint32_t h = s->height; h > 0; h--) {
			const struct node *n = block_for_reading(a, offset, sizeof *n);
			if (!n || !step_down(n, &offset, &index, &items))
				return false;
		}
	}
	out->leaf = (struct leaf *)(uintptr_t)block_for_reading(a, offset, sizeof *out->leaf);
	out->slot = (uint32_t)index;
	out->slots = (uint32_t)items;
	return out->leaf && items <= LEAF_SLOTS && index < items;
}

int
list_index(ptrdiff_t index, uint64_t size, uint64_t *at)
{
	uint64_t from_end = index < 0 ? -(uint64_t)index : 0;
	*at = index < 0 ? size - from_end : (uint64_t)index;
	if (unlikely(from_end > size || *at >= size))
		return fail(-ENOENT, "index %td is outside the list, which has %llu items", index,
		            (unsigned long long)size);
	return 0;
}

int
list_damaged(const struct list_call *call)
{
	return fail(-EPROTO, "list %u of arena '%s' is damaged: shared memory was overwritten",
	            call->c.object, call->c.arena->name);
}
