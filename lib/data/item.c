#include "data/item.h"
#include "base/error.h"
#include "base/racy.h"
#include "data/counted.h"
#include <stdlib.h>
#include <string.h>

/*
 * Readers of the block's last owner may be copying it still, in vain. So what is not text already
 * is made in private memory first.
 */
static int
fill(struct item *it, const shoal_any *v, const struct cell *cell)
{
	uint64_t inside[32];
	bool is_text = cell->kind == SHOAL_ANY_STRING || cell->kind == SHOAL_ANY_BYTES;
	racy_write(&it->cell, cell, sizeof it->cell);
	if (is_text) {
		if (cell->bytes)
			racy_write(it->bytes, v->as.bytes, cell->bytes);
		return 0;
	}
	void *made = cell->bytes <= sizeof inside ? inside : malloc(cell->bytes);
	if (!made)
		return fail(-ENOMEM, "no memory for a value of %u bytes", cell->bytes);
	cell_write(v, cell, made);
	racy_write(it->bytes, made, cell->bytes);
	if (made != inside)
		free(made);
	return 0;
}

int
item_make(struct ledger_hold *h, const shoal_any *v, const struct cell *cell, uint64_t *block)
{
	size_t bytes = sizeof(struct item) + cell->bytes;
	if (bytes < LEDGER_BLOCK_MIN)
		bytes = LEDGER_BLOCK_MIN;
	int rc = block_take(h->arena, h->thread, h->me, bytes, block);
	if (rc)
		return rc;
	struct item *it = arena_at(h->arena, *block);
	store_relaxed(&it->counted, 0);
	rc = fill(it, v, cell);
	if (unlikely(rc))
		(void)block_give(h->arena, h->me, *block);
	return rc;
}

int
item_adopt(struct ledger_hold *h, const struct cell *cell, uint64_t block)
{
	struct item *it = arena_at(h->arena, block);
	int rc = ledger_adopt(h, block);
	if (likely(rc || !cell->refs))
		return rc;
	rc = ledger_bears(h, block);
	return rc ? rc : counted_raise(h, cell, it->bytes, &it->counted);
}

/* What was overwritten keeps its references: nothing says whose they are. */
void
item_drop(struct ledger_hold *h, uint64_t block)
{
	struct item *it = arena_at(h->arena, block);
	struct cell cell;
	uint64_t room = block_bytes(h->arena, block);
	if (room < sizeof *it)
		return;
	racy_read(&cell, &it->cell, sizeof cell);
	if (cell.bytes <= room - sizeof *it)
		counted_drop(h, &cell, it->bytes, &it->counted);
}

bool
item_read(const shoal_arena *a, uint64_t block, struct item_copy *to, int *rc)
{
	struct block_found b;
	*rc = -EPROTO;
	to->bytes = to->small;
	if (!block_find(a, block, &b) || b.bytes < sizeof(struct item))
		return false;
	const struct item *it = arena_at(a, block);
	racy_read(&to->cell, &it->cell, sizeof to->cell);
	uint32_t bytes = to->cell.bytes;
	if (bytes > b.bytes - sizeof *it)
		return false;
	if (bytes > sizeof to->small) {
		to->bytes = malloc(bytes);
		if (!to->bytes) {
			*rc = fail(-ENOMEM, "no memory for a value of %u bytes", bytes);
			to->bytes = to->small;
			return false;
		}
	}
	racy_read(to->bytes, it->bytes, bytes);
	return true;
}

void
item_forget(struct item_copy *copy)
{
	if (copy->bytes != copy->small)
		free(copy->bytes);
}
