#include "data/item.h"
#include "arena/hold.h"
#include "base/error.h"
#include "base/racy.h"
#include "data/reference.h"
#include <stdlib.h>
#include <string.h>

#define AT_ONCE 32u /* references that are looked up by one walk over the value */

/* Those from the i-th on, up to AT_ONCE of them. */
static int
count_some(struct ledger_hold *h, struct item *it, const struct cell *cell, uint32_t i)
{
	shoal_ref ref[AT_ONCE];
	uint32_t object, want = cell->refs - i < AT_ONCE ? cell->refs - i : AT_ONCE;
	if (cell_refs(cell, it->bytes, ref, want, i) != want)
		return fail(-EPROTO, "a value in arena '%s' was overwritten", h->arena->name);
	int rc = 0;
	for (uint32_t n = 0; n < want && rc == 0; n++) {
		rc = hold_object(h->arena, ref[n], &object);
		if (rc == 0)
			rc = hold_change(h->arena, h->thread, h->me, object, 1, &it->counted, i + n + 1);
	}
	return reference_counted(rc);
}

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
	int rc = ledger_take(h, sizeof(struct item) + cell->bytes, block);
	if (rc)
		return rc;
	struct item *it = arena_at(h->arena, *block);
	store_relaxed(&it->counted, 0);
	rc = fill(it, v, cell);
	if (likely(rc || !cell->refs))
		return rc;
	rc = ledger_bears(h, *block);
	for (uint32_t i = 0; i < cell->refs && rc == 0; i += AT_ONCE)
		rc = count_some(h, it, cell, i);
	return rc;
}

/*
 * The n-th first, then those before it, as far as one walk found them. How many are left: as many
 * as there were where something is no reference any more.
 */
static uint32_t
drop_some(struct ledger_hold *h, struct item *it, const struct cell *cell, uint32_t n)
{
	shoal_ref ref[AT_ONCE];
	uint32_t object, want = n < AT_ONCE ? n : AT_ONCE;
	uint32_t found = (uint32_t)cell_refs(cell, it->bytes, ref, want, n - want);
	if (found != want)
		return n;
	for (uint32_t i = want; i > 0; i--, n--)
		if (hold_object(h->arena, ref[i - 1], &object) ||
		    hold_change(h->arena, h->thread, h->me, object, -1, &it->counted, n - 1))
			break;
	return n;
}

/* What was overwritten keeps its references: nothing says whose they are. */
void
item_drop(struct ledger_hold *h, uint64_t block)
{
	struct item *it = arena_at(h->arena, block);
	struct cell cell;
	uint64_t room = block_bytes(h->arena, block);
	hold_settle(h->arena, h->thread);
	if (room < sizeof *it)
		return;
	racy_read(&cell, &it->cell, sizeof cell);
	if (cell.bytes > room - sizeof *it)
		return;
	uint32_t n = load_acquire(&it->counted), left = n;
	for (; n; n = left) {
		left = drop_some(h, it, &cell, n);
		if (left == n)
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
