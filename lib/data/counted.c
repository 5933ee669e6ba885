#include "data/counted.h"
#include "arena/hold.h"
#include "base/error.h"
#include <stdlib.h>

#define FEW 64u

/* What one walk found: the references from number `from` on. */
struct found {
	shoal_ref few[FEW];
	shoal_ref *ref;
	uint32_t room, from;
};

/* A value has fewer references than bytes; damaged memory may say what it likes. */
static void
begin(struct found *f, const struct cell *cell, uint32_t n)
{
	f->ref = f->few;
	f->room = FEW;
	if (n <= FEW || n > cell->bytes)
		return;
	f->ref = malloc(n * sizeof *f->ref);
	if (f->ref)
		f->room = n;
	else
		f->ref = f->few;
}

static void
end(struct found *f)
{
	if (f->ref != f->few)
		free(f->ref);
}

/* False: there are not so many. */
static bool
look_up(struct found *f, const struct cell *cell, const void *bytes, uint32_t from, uint32_t to)
{
	f->from = from;
	return cell_refs(cell, bytes, f->ref, to - from, from) == to - from;
}

static int
change(struct ledger_hold *h, const struct found *f, uint32_t number, int delta, word32 *counted)
{
	uint32_t object, to = delta > 0 ? number + 1 : number;
	int rc = hold_object(h->arena, f->ref[number - f->from], &object);
	return rc ? rc : hold_change(h->arena, h->thread, h->me, object, delta, counted, to);
}

int
counted_raise(struct ledger_hold *h, const struct cell *cell, const void *bytes, word32 *counted)
{
	int rc = 0;
	struct found f;
	begin(&f, cell, cell->refs);
	for (uint32_t i = 0; rc == 0 && i < cell->refs; i++) {
		uint32_t left = cell->refs - i;
		if (i % f.room == 0 &&
		    !look_up(&f, cell, bytes, i, i + (left < f.room ? left : f.room)))
			rc = fail(-EPROTO, "a value in arena '%s' was overwritten", h->arena->name);
		else
			rc = change(h, &f, i, 1, counted);
	}
	end(&f);
	return reference_counted(rc);
}

/* The n-th first, then those before it, as far as one walk found them. False: no further. */
static bool
drop_some(struct ledger_hold *h, struct found *f, const struct cell *cell, const void *bytes,
          word32 *counted, uint32_t n)
{
	uint32_t from = n < f->room ? 0 : n - f->room;
	if (!look_up(f, cell, bytes, from, n))
		return false;
	for (int rc = 0; rc == 0 && n > from; n--) {
		rc = change(h, f, n - 1, -1, counted);
		/* Another one, who recovers this too, has counted it. */
		if (rc && rc != -EAGAIN)
			return false;
	}
	return true;
}

void
counted_drop(struct ledger_hold *h, const struct cell *cell, const void *bytes, word32 *counted)
{
	struct found f;
	/* First: one who died may have been about to count. */
	hold_settle(h->arena, h->thread);
	uint32_t n = load_acquire(counted);
	if (!n)
		return;
	begin(&f, cell, n);
	while ((n = load_acquire(counted)) && drop_some(h, &f, cell, bytes, counted, n))
		continue;
	end(&f);
}
