/* Going into a call on a dict, out of it, and to its locks. */
#include "base/clock.h"
#include "base/error.h"
#include "data/dict_read.h"

static ALWAYS_INLINE int
entered(const void *body, struct dict_call *c, int rc)
{
	c->dict = (struct shoal_dict *)(uintptr_t)body;
	if (likely(rc == 0))
		c->seen = dict_view_of(c->in.arena, c->dict);
	return rc;
}

int
dict_enter(const void *body, uint32_t kind, struct dict_call *c)
{
	return entered(body, c, container_enter(body, kind, &c->in));
}

int
dict_enter_found(const void *body, uint32_t kind, struct dict_call *c)
{
	return entered(body, c, container_enter_found(body, kind, &c->in));
}

int
dict_enter_reader(const void *body, uint32_t kind, struct dict_call *c)
{
	return entered(body, c, container_enter_reader(body, kind, &c->in));
}

void
dict_leave(struct dict_call *c)
{
	container_leave(&c->in);
}

int
dict_leave_reader(struct dict_call *c, int rc)
{
	return container_leave_reader(&c->in, c->dict, rc);
}

void
dict_leave_changed(struct dict_call *c)
{
	container_leave(&c->in);
	object_sweep(c->in.arena, c->in.thread, c->in.me);
}

/* ---- keys ---- */

int
dict_key_of(struct dict_call *c, const shoal_any *key, struct dict_key *out)
{
	int rc = key_of(key, &out->cell);
	if (rc)
		return rc;
	if (kind_is_scalar(out->cell.kind)) {
		cell_write(key, &out->cell, &out->scalar);
		out->bytes = &out->scalar;
	} else {
		out->bytes = key->as.bytes;
	}
	out->hash = dict_read_hash(c->dict, out);
	return 0;
}

void
dict_key_of_bytes(struct dict_call *c, const void *key, size_t bytes, struct dict_key *out)
{
	dict_read_key(c->dict, key, bytes, out);
}

/* ---- locks ---- */

struct ledger_hold
dict_hold(const struct dict_call *c, uint32_t index)
{
	return (struct ledger_hold){
		.arena = c->in.arena,
		.thread = c->in.thread,
		.me = c->in.me,
		.ledger = &c->dict->ledger[index],
		.kind = &dict_ledger,
		.object = c->in.object,
		.index = index,
	};
}

/* Whose counts and levels may be written. */
static bool
look_at_own(struct dict_call *c)
{
	return likely(dict_look(c)) &&
	       (c->seen.table == &c->dict->first ||
	        dict_owns(c, arena_offset(c->in.arena, c->seen.table), sizeof *c->seen.table));
}

int
dict_lock_until(struct dict_call *c, uint64_t hash, int64_t deadline)
{
	if (unlikely(!c->in.me))
		return container_cannot_lock(&c->in, "dict");
	c->hold = dict_hold(c, hash & (STRIPES - 1));
	int rc = ledger_lock_until(&c->hold, deadline);
	if (rc)
		return rc;
	if (likely(look_at_own(c)))
		return 0;
	ledger_unlock(&c->hold);
	return dict_damaged(c);
}

int
dict_lock(struct dict_call *c, uint64_t hash)
{
	return dict_lock_until(c, hash, CLOCK_NEVER);
}

void
dict_unlock(struct dict_call *c)
{
	ledger_unlock(&c->hold);
}

void
dict_unlock_some(struct dict_call *c, uint32_t held)
{
	for (uint32_t i = SHARED_LEDGER + 1; i-- > 0;) {
		struct ledger_hold h = dict_hold(c, i);
		if (held & 1u << i)
			ledger_unlock(&h);
	}
}

static void
unlock_below(struct dict_call *c, uint32_t end)
{
	dict_unlock_some(c, (1u << end) - 1);
}

/*
 * All of them, in order, so that two who do so never wait for each other for long. Whoever has one
 * may be stopped. So the others are held only for so long as nobody minds; then all are let go, and
 * that one is waited for with nothing in hand: who is stopped holds up this call, and no writer of
 * another stripe. Once it could be had the next round has more patience, since one that has waited
 * so often met writers who run, and are many: at last it outlasts each of them.
 *
 * A death in here leaves ledgers with nothing under way in them.
 *
 * How many are held then: all of them, or those before the one that *rc is of.
 */
static uint32_t
lock_in_order(struct dict_call *c, int64_t patience, int *rc)
{
	int64_t deadline = CLOCK_NEVER;
	for (uint32_t i = 0; i <= SHARED_LEDGER; i++) {
		struct ledger_hold h = dict_hold(c, i);
		*rc = ledger_lock_until(&h, deadline);
		if (*rc)
			return i;
		if (i == 0)
			deadline = clock_now() + patience;
	}
	return SHARED_LEDGER + 1;
}

/* Until it could be had. */
static int
wait_for(struct dict_call *c, uint32_t index)
{
	struct ledger_hold h = dict_hold(c, index);
	int rc = ledger_lock(&h);
	if (rc == 0)
		ledger_unlock(&h);
	return rc;
}

static int
lock_each(struct dict_call *c)
{
	for (unsigned round = 0;; round += round < DICT_PATIENCE_DOUBLED) {
		int rc;
		uint32_t held = lock_in_order(c, DICT_PATIENCE_NS << round, &rc);
		if (held > SHARED_LEDGER)
			return 0;
		unlock_below(c, held);
		if (rc == -ETIMEDOUT)
			rc = wait_for(c, held);
		if (rc)
			return rc;
	}
}

int
dict_lock_all(struct dict_call *c)
{
	int rc = c->in.me ? lock_each(c) : container_cannot_lock(&c->in, "dict");
	if (rc)
		return rc;
	if (look_at_own(c))
		return 0;
	dict_unlock_all(c);
	return dict_damaged(c);
}

void
dict_unlock_all(struct dict_call *c)
{
	unlock_below(c, SHARED_LEDGER + 1);
}

/* Each has its share of the time, so that a stopped one does not use up that of the others. */
uint32_t
dict_lock_some(struct dict_call *c, int64_t patience)
{
	uint32_t held = 0;
	for (uint32_t i = 0; i <= SHARED_LEDGER; i++) {
		struct ledger_hold h = dict_hold(c, i);
		if (ledger_lock_until(&h, clock_now() + patience / (SHARED_LEDGER + 1)) == 0)
			held |= 1u << i;
	}
	return held;
}
