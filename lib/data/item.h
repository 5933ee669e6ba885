/*
 * Value blocks: one value each, as the items of lists that are no small slots.
 *
 * Crash points: it is filled while it is in my hand, so nobody sees it; then it is fresh on the
 * ledger, and its word says BEARS; then its references are counted one by one, `counted` and the
 * object's holds together (arena/hold.h). Whoever frees it drops while counted > 0, from the last
 * to the first.
 */
#ifndef DATA_ITEM_H
#define DATA_ITEM_H

#include "data/cell.h"
#include "data/ledger.h"

struct item {
	struct cell cell;
	word32 counted;
	uint32_t unused;
	char bytes[];
};
_Static_assert(sizeof(struct item) == 24, "what follows is aligned to 8");

/* A value as it was found, in private memory; bytes are of malloc, or within `small`. */
struct item_copy {
	struct cell cell;
	void *bytes;
	_Alignas(8) char small[104];
};

/*
 * A block with the value, which cell_of measured: HELD(me), in my hand. h says whose, and need not
 * have the ledger. 0; -ENOMEM, -ENOSPC, -EPROTO.
 */
int item_make(struct ledger_hold *h, const shoal_any *v, const struct cell *cell, uint64_t *block);
/*
 * It is fresh on the ledger's chain from now on. 0; -EPROTO; -ENOENT: an object in it is being
 * destroyed. After a failure the change is given up by the caller.
 */
int item_adopt(struct ledger_hold *h, const struct cell *cell, uint64_t block);

/* How a ledger_kind of items drops references. */
void item_drop(struct ledger_hold *h, uint64_t block);

/*
 * Copies what lies there, which may be anything: validate a version before it is used. False: there
 * is nothing that can be an item, or no memory (*rc says which: -EPROTO, -ENOMEM).
 */
bool item_read(const shoal_arena *a, uint64_t block, struct item_copy *to, int *rc);

void item_forget(struct item_copy *copy);

/* How many bytes from the offset on may be read: 0 where none. */
static inline uint64_t
item_room(const shoal_arena *a, uint64_t offset)
{
	uint64_t end = arena_pages_end(a);
	return likely(offset >= a->data_at && offset < end) ? end - offset : 0;
}

#endif
