#include "data/item.h"
#include "arena/hold.h"
#include "base/error.h"
#include "base/racy.h"
#include <stdlib.h>

static int
count_one(struct ledger_hold *h, struct item *it, uint32_t i)
{
	shoal_ref ref;
	uint32_t object;
	if (cell_refs(&it->cell, it->bytes, &ref, 1, i) != 1)
		return fail(-EPROTO, "a value in arena '%s' was overwritten", h->arena->name);
	int rc = hold_object(h->arena, ref, &object);
	if (rc == 0)
		rc = hold_change(h->arena, h->thread, h->me, object, 1, &it->counted, i + 1);
	return rc;
}

int
item_make(struct ledger_hold *h, const shoal_any *v, const struct cell *cell, uint64_t *block)
{
	int rc = ledger_take(h, sizeof(struct item) + cell->bytes, block);
	if (rc)
		return rc;
	struct item *it = arena_at(h->arena, *block);
	it->cell = *cell;
	store_relaxed(&it->counted, 0);
	cell_write(v, cell, it->bytes);
	if (likely(!cell->refs))
		return 0;
	rc = ledger_bears(h, *block);
	for (uint32_t i = 0; i < cell->refs && rc == 0; i++)
		rc = count_one(h, it, i);
	return rc;
}

/* -EAGAIN: one that died had gone further; then `counted` says so now. */
void
item_drop(struct ledger_hold *h, uint64_t block)
{
	struct item *it = arena_at(h->arena, block);
	uint64_t room = block_bytes(h->arena, block);
	hold_settle(h->arena, h->thread);
	if (room < sizeof *it || it->cell.bytes > room - sizeof *it)
		return;
	for (uint32_t n; (n = load_acquire(&it->counted));) {
		shoal_ref ref;
		uint32_t object;
		if (cell_refs(&it->cell, it->bytes, &ref, 1, n - 1) != 1 ||
		    hold_object(h->arena, ref, &object))
			return;
		int rc = hold_change(h->arena, h->thread, h->me, object, -1, &it->counted, n - 1);
		if (rc && rc != -EAGAIN)
			return;
	}
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
