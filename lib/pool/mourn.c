/*
 * The dead one does nothing any more, and its memory has been recovered: all of its words are as
 * they stay. The others go on meanwhile; every step is a compare-and-swap from a word that only the
 * dead one could have changed.
 */
#include "pool/mourn.h"
#include "base/error.h"
#include "base/futex.h"
#include "base/notice.h"
#include "pool/map.h"
#include "pool/crate.h"
#include "pool/slot.h"
#include <string.h>

/* ---- the slot that it was in ---- */

static void
forget_crate(struct shoal_pool *p, word64 *name, uint64_t id)
{
	uint64_t crate = load_relaxed(name);
	if (crate && crate_is(p->arena, crate, id))
		crate_give(p->arena, crate);
	store_relaxed(name, 0);
}

/* The dead one's replies, whole or half made, come back with the item's place. */
static void
forget_replies(struct shoal_pool *p, struct slot *s, struct seat *seat, uint64_t id)
{
	forget_crate(p, &s->reply, id);
	forget_crate(p, &seat->making, id);
	forget_crate(p, &seat->giving, id);
	s->reply_bytes = 0;
}

static void
fail_item(struct shoal_pool *p, struct slot *s, uint64_t i, const struct death *d)
{
	struct answer *a = s->items > 1 ? arena_at(p->arena, s->crate) : &s->answer;
	a[i].value = d->code;
	if (s->text_of)
		return;
	char *texts = arena_at(p->arena, p->head->texts);
	snprintf(texts + (size_t)(s - p->slots) * TEXT_BYTES, TEXT_BYTES, "%s", d->how);
	s->text_of = (uint32_t)i + 1;
}

bool
mourn_try_again(struct shoal_pool *p, const struct death *d, unsigned tries)
{
	return p->options.on_death == SHOAL_RETRY_TASK && d->code == -EOWNERDEAD &&
	       tries < p->retries_max;
}

/* Where the slot goes on; at its end it is over. */
static uint64_t
settle_item(struct shoal_pool *p, struct slot *s, uint64_t id, uint64_t at, struct death *d)
{
	uint64_t first = load_relaxed(&s->first);
	if (!at)
		return first;
	d->held = true;
	if (s->text_of == at)
		s->text_of = 0; /* it failed, and died before that was told: it ends otherwise now */
	forget_replies(p, s, &p->seats[d->seat], id);
	uint64_t i = at - 1;
	bool same = i == first;
	if (mourn_try_again(p, d, same ? s->tries : 0)) {
		s->tries = (same ? s->tries : 0) + 1;
		if (s->out_bytes)
			memset(arena_at(p->arena, s->out + i * s->out_bytes), 0, s->out_bytes);
		return i;
	}
	s->tries = 0;
	fail_item(p, s, i, d);
	return i + 1;
}

static void
settle_slot(struct shoal_pool *p, uint32_t index, struct death *d)
{
	struct slot *s = &p->slots[index];
	uint64_t word = load_acquire(&s->state), generation = slot_generation(word);
	if (slot_state(word) != SLOT_RUNNING || slot_seat(word) != d->seat)
		return;
	uint64_t at = load_acquire(&p->seats[d->seat].at);
	uint64_t first = settle_item(p, s, id_make(generation, index), at, d);
	store_relaxed(&s->first, first);
	bool over = first >= s->items;
	store_seq_cst(&s->state, slot_word(generation, 0, over ? SLOT_DONE : SLOT_QUEUED));
}

/* A dead one may not have told; telling twice does nothing. */
static void
tell_again(struct shoal_pool *p, uint32_t index)
{
	struct slot *s = &p->slots[index];
	if (slot_state(load_seq_cst(&s->state)) != SLOT_DONE)
		return;
	fetch_or_seq_cst(&p->done[index / 64], UINT64_C(1) << index % 64);
	if (exchange_seq_cst(&s->wait, 0))
		futex_wake(&s->wait, FUTEX_ALL);
}

void
mourn(struct shoal_pool *p, struct death *d)
{
	uint32_t high = slot_high(p);
	shoal_arena_recover(p->arena);
	for (uint32_t i = 0; i < high; i++)
		settle_slot(p, i, d);
	map_mourn(p, d);
	store_seq_cst(&p->seats[d->seat].job, 0);
	for (uint32_t i = 0; i < high; i++)
		tell_again(p, i);
	slot_ring(p);
	/* Also where the dead one had made the bell 0 and did not come to the wake. */
	futex_wake(&p->head->bell, FUTEX_ALL);
}

/* ---- messages that it took along ---- */

/* The ids of slots that are QUEUED: more messages than tasks are passed by. */
void
mourn_put_again(struct shoal_pool *p)
{
	store_seq_cst(&p->put_again, 0);
	uint32_t high = slot_high(p);
	for (uint32_t i = 0; i < high && !load_relaxed(&p->put_again); i++) {
		uint64_t word = load_acquire(&p->slots[i].state);
		if (slot_state(word) == SLOT_QUEUED)
			slot_put(p, id_make(slot_generation(word), i));
	}
	if (!load_relaxed(&p->put_again))
		map_invite_all(p);
}
