/*
 * Many items of a list, as they were at one moment: the ledger stands where it stood before they
 * were read (ledger_look), between two changes or in the midst of one. Where writers leave no such
 * moment, this one takes the ledger for as long as it copies; but it waits for that only a while,
 * since whoever has it may be stopped by now, and then there is such a moment.
 */
#include "base/clock.h"
#include "base/error.h"
#include "data/list.h"
#include <stdlib.h>
#include <string.h>

#define GATHER_TRIES 16
#define PATIENCE 256 /* pauses for a change to be over */

void
list_gathered_free(struct gathered *g)
{
	free(g->slot);
	free(g->bytes);
	*g = (struct gathered){ 0 };
}

static bool
make_room(struct gathered *g, uint64_t more)
{
	if (g->room - g->used >= more)
		return true;
	uint64_t room = g->room ? 2 * g->room : 1024;
	while (room - g->used < more)
		room *= 2;
	char *bytes = realloc(g->bytes, room);
	if (!bytes)
		return false;
	g->bytes = bytes;
	g->room = room;
	return true;
}

/* A block's slot becomes the place in `bytes`, which is a multiple of 8 as offsets are. */
static bool
gather_block(const shoal_arena *a, uint64_t *slot, struct gathered *g, int *rc)
{
	struct item_copy copy;
	bool is = list_slot_copy(a, *slot, &copy, rc);
	uint64_t padded = is ? ((uint64_t)copy.cell.bytes + 7) & ~UINT64_C(7) : 0;
	/* Each lies in a block of its own, so together they are no more than there is. */
	if (is && g->used + padded > item_room(a, a->data_at))
		is = false, *rc = -EPROTO;
	if (is && !make_room(g, sizeof copy.cell + padded)) {
		*rc = fail(-ENOMEM, "no memory for a copy of the list");
		is = false;
	}
	if (is) {
		*slot = g->used;
		memcpy(g->bytes + g->used, &copy.cell, sizeof copy.cell);
		memcpy(g->bytes + g->used + sizeof copy.cell, copy.bytes, copy.cell.bytes);
		g->used += sizeof copy.cell + padded;
	}
	item_forget(&copy);
	return is;
}

bool
list_gather(const shoal_arena *a, const struct list_shape *s, uint64_t first, uint64_t end,
            struct gathered *g, int *rc)
{
	*g = (struct gathered){ .count = end - first };
	*rc = -EPROTO;
	g->slot = malloc((g->count + 1) * sizeof *g->slot);
	if (!g->slot) {
		*rc = fail(-ENOMEM, "no memory for %llu items", (unsigned long long)g->count);
		return false;
	}
	for (uint64_t i = first; i < end;) {
		struct place p;
		if (!list_find(a, s, i, &p))
			return false;
		for (; p.slot < p.slots && i < end; i++, p.slot++) {
			uint64_t *slot = &g->slot[i - first];
			*slot = load_acquire(&p.leaf->slot[p.slot]);
			if ((*slot & 7) == SLOT_BLOCK && !gather_block(a, slot, g, rc))
				return false;
		}
	}
	*rc = 0;
	return true;
}

void
list_anys_free(shoal_any *anys, uint64_t count)
{
	for (uint64_t i = 0; anys && i < count; i++)
		shoal_any_clear(&anys[i]);
	free(anys);
}

static int
any_from(struct list_call *call, const struct gathered *g, uint64_t slot, shoal_any *out)
{
	struct item_copy copy;
	int rc;
	if ((slot & 7) != SLOT_BLOCK) {
		if (!list_slot_copy(call->c.arena, slot, &copy, &rc))
			return list_damaged(call);
		return list_slot_any(call, &copy, GONE_IS_NIL, out);
	}
	memcpy(&copy.cell, g->bytes + slot, sizeof copy.cell);
	copy.bytes = g->bytes + slot + sizeof copy.cell;
	return list_slot_any(call, &copy, GONE_IS_NIL, out);
}

int
list_gathered_anys(struct list_call *call, const struct gathered *g, shoal_any **out)
{
	shoal_any *anys = calloc(g->count + 1, sizeof *anys);
	int rc = anys ? 0 : fail(-ENOMEM, "no memory for %llu items", (unsigned long long)g->count);
	for (uint64_t i = 0; i < g->count && rc == 0; i++)
		rc = any_from(call, g, g->slot[i], &anys[i]);
	if (rc) {
		list_anys_free(anys, g->count);
		anys = NULL;
	}
	*out = anys;
	return rc;
}

/* Between two changes, if the one that is under way is soon over. */
static bool
look(const struct list_call *call, struct ledger_state *state)
{
	struct ledger *l = &call->list->ledger;
	for (int i = 0; i < PATIENCE && load_relaxed(&l->writes) & 1; i++)
		cpu_relax();
	return ledger_look(call->c.arena, l, state);
}

static bool
unchanged(const struct list_call *call, const struct ledger_state *state)
{
	return ledger_still(call->c.arena, &call->list->ledger, state);
}

/* Without the ledger: false where there was no such moment. */
static bool
try_read(struct list_call *call, list_range *range, const void *arg, shoal_any **out,
         uint64_t *count, uint64_t *writes, int *rc)
{
	struct ledger_state state;
	struct gathered g = { 0 };
	uint64_t first, end;
	if (!look(call, &state) || !list_shape_read(call->c.arena, call->list, &call->shape))
		return false;
	range(shape_size(&call->shape), &first, &end, arg);
	bool whole = list_gather(call->c.arena, &call->shape, first, end, &g, rc);
	bool same = unchanged(call, &state);
	*writes = state.writes;
	if (same && whole) {
		*count = g.count;
		*rc = list_gathered_anys(call, &g, out);
		/* What was pinned now stays, if it was still in the list then. */
		same = unchanged(call, &state);
		if (!same) {
			list_anys_free(*out, *rc ? 0 : *count);
			*out = NULL;
		}
	}
	list_gathered_free(&g);
	return same && (whole || *rc == -ENOMEM);
}

/* With the ledger; leaves. */
static int
read_locked(struct list_call *call, list_range *range, const void *arg, shoal_any **out,
            uint64_t *count, uint64_t *writes)
{
	struct gathered g = { 0 };
	uint64_t first, end;
	int rc;
	*writes = load_relaxed(&call->list->ledger.writes);
	range(shape_size(&call->shape), &first, &end, arg);
	if (list_gather(call->c.arena, &call->shape, first, end, &g, &rc)) {
		*count = g.count;
		rc = list_gathered_anys(call, &g, out);
	} else if (rc == -EPROTO) {
		rc = list_damaged(call);
	}
	list_gathered_free(&g);
	return list_leave(call, rc);
}

/* False: not in so many tries. Else the call was left. */
static bool
read_beside(struct list_call *call, list_range *range, const void *arg, shoal_any **out,
            uint64_t *count, uint64_t *writes, int *rc)
{
	for (int i = 0; i < GATHER_TRIES; i++) {
		*rc = 0;
		if (!try_read(call, range, arg, out, count, writes, rc))
			continue;
		*rc = list_leave_call(call, *rc);
		if (unlikely(*rc) && *out) {
			list_anys_free(*out, *count);
			*out = NULL;
		}
		return true;
	}
	return false;
}

int
list_read_many(const shoal_list *list, list_range *range, const void *arg, shoal_any **out,
               uint64_t *count, uint64_t *writes)
{
	struct list_call call;
	uint64_t seen = 0;
	*out = NULL;
	*count = 0;
	writes = writes ? writes : &seen;
	int rc = list_enter_reader(&call, list);
	if (rc)
		return rc;
	do {
		if (read_beside(&call, range, arg, out, count, writes, &rc))
			return rc;
		rc = list_lock_until(&call, clock_now() + CONTAINER_READER_NS);
	} while (rc == -ETIMEDOUT);
	return rc ? rc : read_locked(&call, range, arg, out, count, writes);
}
