/*
 * The list in the arena.
 *
 * A slot is one word, a small value or the offset of a value block (container.h):
 *	bits 2..0   SLOT_BLOCK (0): the word is the block's offset; SLOT_INT: bits 63..3 are the int;
 *	            SLOT_CONSTANT: bits 63..3 are 0 nil, 1 false, 2 true
 *
 * The items are those of a tree, then those of the tail.
 *	tree   leaves of LEAF_SLOTS slots; above them nodes of NODE_CHILDREN {child, items below it};
 *	       the leaves of a tree of height 0 are the root itself. A node does not say how many it
 *	       has: who comes from above knows. An unused child is 0.
 *	tail   one leaf, to which append adds and from which pop takes
 *	top    the block that says where they are: all but tail_count never changes. 0: an empty list
 *
 * Changes are made under the list's ledger, each committed by one store:
 *	to a slot           set, add_int: the slot's word
 *	at the end          append and pop, where the tail has room, or something: tail_count
 *	everything else     new nodes from the leaf up to a new top: `top`. Whoever came in by the old
 *	                    one goes on seeing the old list until `version` rises, before its blocks are
 *	                    freed
 *
 * Readers: `version` (acquire), top, tail_count (acquire), down to the slot (acquire), copy; then
 * `version` again. Appending does not raise it: nothing that was there changes; so a reader that
 * counts from the end compares tail_count too, else an item set meanwhile might be taken for the
 * last one after it had ceased to be that. Readers of several items compare where the ledger stands
 * instead (ledger_look), for one moment of the whole list.
 *
 * Leaves and nodes are at least a quarter full, but for those on the right edge: so the height is
 * at most LIST_HEIGHT_MAX, and a place is found in O(log n).
 *
 * What lies here may have been overwritten. An offset is looked at before it is followed, and
 * before anything is written there it must be a block of this list's; no count is believed beyond
 * what fits the arena; and walks over many nodes end after as many as it can have.
 */
#ifndef DATA_LIST_H
#define DATA_LIST_H

#include "data/container.h"
#include "data/item.h"
#include <shoal/data.h>

#define LEAF_SLOTS 64u
#define LEAF_FEW (LEAF_SLOTS / 4)
#define NODE_CHILDREN 32u
#define NODE_FEW (NODE_CHILDREN / 4)
#define LIST_HEIGHT_MAX 14u

enum { SLOT_BLOCK, SLOT_INT, SLOT_CONSTANT };

struct leaf {
	word64 slot[LEAF_SLOTS];
};

struct node {
	struct {
		word64 child;
		word64 items;
	} at[NODE_CHILDREN];
};

struct list_top {
	word64 root; /* 0: the tree is empty */
	word64 tree_count;
	word64 tail;
	word64 height;
	word64 tail_count;
};

struct shoal_list {
	/* line 1, 2: read by everybody */
	_Alignas(SPACING) word64 top;
	word64 version;
	/* lines 3, 4 */
	struct ledger ledger;
};

/* What a top says, in private memory and within bounds. */
struct list_shape {
	uint64_t top, root, tree_count, tail;
	uint32_t height, tail_count;
};

/* How many slots, and how many leaves or nodes, the arena has room for. */
static inline uint64_t
slots_max(const shoal_arena *a)
{
	return item_room(a, a->data_at) / sizeof(word64);
}

static inline uint64_t
nodes_max(const shoal_arena *a)
{
	return item_room(a, a->data_at) / sizeof(struct leaf);
}

static inline uint64_t
shape_size(const struct list_shape *s)
{
	return s->tree_count + s->tail_count;
}

/* A place in the list's blocks: where the slot of an index is. */
struct place {
	struct leaf *leaf;
	uint32_t slot;
	uint32_t slots; /* of the leaf, from its first on: how many are of the list */
};

/* One call. */
struct list_call {
	struct container c;
	struct shoal_list *list;
	struct ledger_hold hold;
	struct list_shape shape; /* under the ledger, or as read last */
	bool dropped; /* references went: what they were the last to keep is swept in the end */
};

/* ---- list_find.c ---- */

/*
 * Reads top and what it says. False where that leads outside: read again, or -EPROTO under the
 * lock.
 */
bool list_shape_read(const shoal_arena *a, const struct shoal_list *l, struct list_shape *out);
/* False as above. */
bool list_find(const shoal_arena *a, const struct list_shape *s, uint64_t index, struct place *out);
/* From the front: 0, or -ENOENT outside. */
int list_index(ptrdiff_t index, uint64_t size, uint64_t *at);
/* -EPROTO, with a sentence. */
int list_damaged(const struct list_call *call);

/* ---- list_tree.c: new trees from old ones, under the ledger ---- */

/*
 * Builds a tree from left to right, on the right edge of one that is there or of none. The blocks
 * are fresh ones of the ledger's, and those of the edge that they replace go out.
 */
struct list_builder {
	struct list_call *call;
	struct {
		uint32_t count;
		uint64_t child[NODE_CHILDREN], items[NODE_CHILDREN];
	} level[LIST_HEIGHT_MAX + 1];
	uint32_t height; /* of the tree so far */
	uint64_t items;
	bool any;
};

int builder_begin(struct list_builder *b, struct list_call *call, const struct list_shape *from);
/* A whole leaf, as the next one. */
int builder_add(struct list_builder *b, uint64_t leaf, uint32_t items);
/* root, height and tree_count of out. */
int builder_end(struct list_builder *b, struct list_shape *out);

/*
 * A block of this list's own, of at least so many bytes; NULL where it is none. Under the ledger,
 * before anything is written there.
 */
void *list_block(const struct list_call *call, uint64_t offset, uint64_t bytes);

/* A fresh leaf with these slots. */
int list_leaf_make(struct list_call *call, const uint64_t *slots, uint32_t count, uint64_t *leaf);

enum list_edit { EDIT_INSERT, EDIT_REMOVE, EDIT_LAST_LEAF };

/*
 * The tree of *s with one item more or less at the index (a place in the tree), or without its last
 * leaf, which stays a block of the list's: root, height and tree_count change.
 */
int list_tree_edit(struct list_call *call, enum list_edit what, uint64_t index, uint64_t slot,
                   struct list_shape *s);

/* All nodes, and the tail and top, go out; not the items. -EPROTO: they are more than can be. */
int list_retire_all(struct list_call *call);

/* ---- list_get.c ---- */

/* False: it changed all the time, or leads outside. */
bool list_size_try(const shoal_arena *a, const struct shoal_list *list, uint64_t *size);

/* ---- list.c ---- */

extern const struct ledger_kind list_ledger;

/* Enters; with `change` under the ledger, the shape read and the change open. */
int list_enter(struct list_call *call, const shoal_list *list);
/* Through a read-only handle too, which may not take the ledger: -EPERM then. */
int list_enter_reader(struct list_call *call, const shoal_list *list);
int list_begin(struct list_call *call, shoal_list *list);
/* After list_enter: the ledger, and the shape; no change is open yet. Leaves where it fails. */
int list_lock(struct list_call *call);
/* -ETIMEDOUT: it is not held by then, and the call was not left. */
int list_lock_until(struct list_call *call, int64_t deadline);
/* Commits a new top that says what s says; or, where rc is not 0, gives up. Then leaves. */
int list_end(struct list_call *call, int rc, struct list_shape *s);
/* Leaves the ledger and the call; or the call alone. */
int list_leave(struct list_call *call, int rc);
int list_leave_call(struct list_call *call, int rc);
/* Gives up a change that is open, and leaves. */
int list_give_up(struct list_call *call, int rc);
/* Commits by one store; with `raise` readers of one item see the version change before frees. */
void list_commit(struct list_call *call, word64 *at, uint64_t to, bool raise);

/* The place of an index under the ledger: 0, -ENOENT, -EPROTO. */
int list_place(struct list_call *call, ptrdiff_t index, uint64_t *at, struct place *p);
/* With the change open: the item at the place goes out. Leaves. */
int list_remove_place(struct list_call *call, uint64_t at, const struct place *p);

/* The slot for a value: a small one, or that of a fresh block. */
int list_slot_make(struct list_call *call, const shoal_any *v, uint64_t *slot);
/* Its block goes out, where it has one. */
int list_slot_retire(struct list_call *call, uint64_t slot);

/* What a slot says, in private memory: a small value has no bytes of its own. */
bool list_slot_copy(const shoal_arena *a, uint64_t slot, struct item_copy *to, int *rc);
int list_slot_any(struct list_call *call, const struct item_copy *copy, enum reference_gone gone,
                  shoal_any *out);
/* Both, of a place under the ledger. */
int list_place_any(struct list_call *call, const struct place *p, shoal_any *out);

/* ---- list_gather.c: many items, as they were at one moment ---- */

/*
 * Items in private memory: a small slot as it is, or where in `bytes` the cell and its bytes
 * are.
 */
struct gathered {
	uint64_t *slot;
	uint64_t count;
	char *bytes;
	uint64_t used, room;
};

/* Those from `first` on and before `end`, which lie in the shape. False: see *rc, or read again. */
bool list_gather(const shoal_arena *a, const struct list_shape *s, uint64_t first, uint64_t end,
                 struct gathered *g, int *rc);
void list_gathered_free(struct gathered *g);
/* As anys that own their memory, in memory of malloc; or the codes of cell_read. */
int list_gathered_anys(struct list_call *call, const struct gathered *g, shoal_any **out);
void list_anys_free(shoal_any *anys, uint64_t count);

/* Which items: of a size. */
typedef void list_range(uint64_t size, uint64_t *first, uint64_t *end, const void *arg);
list_range list_range_all;

/*
 * Enters, gathers at one moment, leaves: 0 with count anys, or a failure. writes, which may be
 * NULL: the ledger's at that moment.
 */
int list_read_many(const shoal_list *list, list_range *range, const void *arg, shoal_any **out,
                   uint64_t *count, uint64_t *writes);

/* ---- list_many.c: under the ledger ---- */

/* All items as anys, in memory of malloc (list_anys_free); all slots, likewise (free). */
int list_anys(struct list_call *call, shoal_any **items, uint64_t *count);
int list_slots(struct list_call *call, uint64_t **slots, uint64_t *count);
/* These slots in new nodes. With the change open; leaves. */
int list_reorder(struct list_call *call, const uint64_t *slots, uint64_t count);
/* All goes out, items included. With the change open, which is closed. */
int list_empty_locked(struct list_call *call);

#endif
