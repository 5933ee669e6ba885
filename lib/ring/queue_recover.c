/*
 * What becomes of the places, blocks and counts of a dead member.
 *
 * Met by anybody, one CAS, no lock (queue_mend):
 *	WRITING(D)                              -> a hole
 *	READING(D), a hole                      -> EMPTY(l+1)
 *	READING(D), inline, not JOINABLE        -> EMPTY(l+1), dropped;  REDELIVER: BACK(l,t)
 *	a group's, G_WRITING(D) and so on       -> as group.h says
 * Only inside recovery of D, one at a time (settle): READING(D) with a block, or JOINABLE. Each
 * step is a CAS from the exact word, or an absolute value, in this order, so that the next one can
 * do it again: counts, block, slot.
 *
 * In its record a place is named by the call (row.base) or by a loan (base once RELEASING). One
 * that a call and a loan name both is settled by the first and not READING(D) for the second.
 */
#include "base/error.h"
#include "ring/group.h"
#include "ring/kinds.h"
#include "ring/loan.h"
#include <string.h>

/* ---- met by anybody ---- */

void
queue_note_back(shoal_queue *q)
{
	fetch_add_seq_cst(&q->backs, 1);
}

/*
 * The mark is read after the word, acquiring: one that was cleared since `backs` was counted again
 * shows the count, one that is not set yet comes before the first one.
 */
bool
queue_may_come_back(const shoal_arena *a, uint64_t word)
{
	const struct member *m =
		slot_state(word) == READING ? member_of_tag(a, slot_owner(word)) : NULL;
	return m && load_acquire(&m->call.kind) == CALL_RETURN;
}

bool
queue_dead_left(const shoal_arena *a)
{
	uint32_t high = load_acquire(&a->header->members_high);
	for (uint32_t i = 1; i <= high && i <= a->members_max; i++) {
		const struct member *m = arena_member(a, i);
		if (load_acquire(&m->life.word) & FUTEX_DIED &&
		    !(load_relaxed(&m->recovering.word) & FUTEX_TID))
			return true;
	}
	return false;
}

uint64_t
queue_count_back(const shoal_arena *a, const struct ring *r, uint32_t *seen, bool worn)
{
	uint32_t now = load_seq_cst(&r->queue->backs);
	uint64_t n = 0;
	bool any = false;
	if (!(r->flags & SHOAL_QUEUE_REDELIVER) || (now == *seen && !queue_dead_left(a)))
		return 0;
	for (uint64_t i = 0; i <= r->mask; i++) {
		uint64_t word = queue_settled(a, r, load_acquire(&ring_slot(r, i)->turn));
		bool is = slot_state(word) == BACK;
		any |= is || queue_may_come_back(a, word);
		n += is && (worn || slot_tries(word) < TRIES_MAX);
	}
	if (!any)
		*seen = now;
	return n;
}

/* What is BACK lies before the first place that nobody took. */
uint64_t
queue_size(const shoal_arena *a, const struct ring *r, uint32_t *seen, uint64_t *taken,
           uint64_t *put)
{
	uint64_t size = walk_size(r, taken, put) + queue_count_back(a, r, seen, false);
	return size <= r->mask ? size : r->mask + 1;
}

static void
count_dropped(shoal_queue *q, uint32_t tag, struct member *me, uint32_t messages)
{
	struct queue_row *row = queue_row(q, tag);
	store_relaxed(&row->dropped, load_relaxed(&row->dropped) + messages);
	store_relaxed(&me->counts.dropped, load_relaxed(&me->counts.dropped) + messages);
}

static void
count_redelivered(shoal_queue *q, uint32_t tag, struct member *me)
{
	struct queue_row *row = queue_row(q, tag);
	store_relaxed(&row->redelivered, load_relaxed(&row->redelivered) + 1);
	store_relaxed(&me->counts.redelivered, load_relaxed(&me->counts.redelivered) + 1);
}

static bool
mendable_by_anybody(const struct ring *r, const struct slot *s, uint64_t word)
{
	if (slot_state(word) == WRITING || slot_state(word) == GROUP)
		return true;
	if (r->flags & SHOAL_QUEUE_JOINABLE)
		return false;
	return slot_is_hole(word) || !slot_has_block(s);
}

static uint64_t
mended_group(uint64_t word)
{
	if (group_is(word, GROUP_WRITING))
		return group_word(GROUP_HOLE, slot_lap(word), 0);
	if (group_is(word, GROUP_SPREAD))
		return group_word(GROUP_SPREAD, slot_lap(word), 0);
	return group_word(GROUP_EMPTY, slot_lap(word) + 1, 0);
}

/* What the place becomes when its dead owner's message is neither in a block nor counted. */
static uint64_t
mended(const struct ring *r, uint64_t word)
{
	if (slot_state(word) == GROUP)
		return mended_group(word);
	if (slot_state(word) == WRITING)
		return slot_word(FULL, slot_lap(word), 0, TRIES_HOLE);
	if (!slot_is_hole(word) && (r->flags & SHOAL_QUEUE_REDELIVER))
		return slot_word(BACK, slot_lap(word), 0, slot_tries(word));
	return slot_word(EMPTY, slot_lap(word) + 1, 0, 0);
}

uint64_t
queue_settled(const shoal_arena *a, const struct ring *r, uint64_t word)
{
	uint32_t tag = slot_owner(word);
	return tag && member_state(a, tag) != MEMBER_ALIVE ? mended(r, word) : word;
}

/*
 * The winner of the CAS counts, in its own rows; one that dies before it counts leaves it
 * uncounted.
 */
static void
mend(const struct ring *r, struct slot *s, uint64_t word, uint32_t tag, struct member *me)
{
	shoal_queue *q = r->queue;
	uint64_t to = mended(r, word);
	if (slot_state(to) == BACK)
		queue_note_back(q);
	if (!cas64_seq_cst(&s->turn, word, to))
		return;
	if (slot_state(to) == BACK) {
		/* Else its next taker drops it. */
		if (slot_tries(to) < TRIES_MAX)
			count_redelivered(q, tag, me);
		queue_note_back(q);
	} else if (slot_state(to) == EMPTY && !slot_is_hole(word)) {
		count_dropped(q, tag, me, 1);
	} else if (group_is(word, GROUP_READING)) {
		count_dropped(q, tag, me, GROUP_PLACES);
	}
	queue_wake_armed(q);
}

bool
queue_mend(struct cursor *c, struct shoal_thread *t, uint64_t place, uint64_t word,
           int64_t deadline)
{
	struct slot *s = cursor_slot_at(c, place);
	uint32_t tag = slot_owner(word);
	enum member_state state = member_state(c->arena, tag);
	if (state == MEMBER_ALIVE)
		return false;
	if (state == MEMBER_GONE) {
		/*
		 * Resolved since the word was read; a name that stands all the same is nobody's, and must
		 * not be waited for.
		 */
		mend(&c->ring, s, word, c->tag, c->me);
		return true;
	}
	if (mendable_by_anybody(&c->ring, s, word)) {
		mend(&c->ring, s, word, c->tag, c->me);
		/* The rest of what it held: by whoever comes first, and nobody waits for it. */
		(void)member_recover(c->arena, t, c->me, tag_index(tag), 0);
		return true;
	}
	return member_recover(c->arena, t, c->me, tag_index(tag), deadline) >= 0;
}

int
queue_broken(const struct cursor *c, uint64_t place)
{
	return fail(-EPROTO, "queue %u contradicts itself at place %llu: shared memory was overwritten",
	            c->ring.object, (unsigned long long)place);
}

/* ---- inside recovery of D ---- */

struct settling {
	shoal_arena *arena;
	struct ring ring;
	struct member *me;
	uint32_t mine, dead; /* tags */
	uint64_t generation; /* of the object */
};

static bool
goes_back(const struct settling *g, uint64_t word)
{
	return (g->ring.flags & SHOAL_QUEUE_REDELIVER) && !slot_is_hole(word);
}

/*
 * Absolute values, stored before the slot is touched: a hole and a dropped message are taken, one
 * that goes back is not.
 */
static void
settle_counts(const struct settling *g, uint64_t word, uint64_t base)
{
	if (g->ring.flags & SHOAL_QUEUE_JOINABLE)
		store_release(&queue_row(g->ring.queue, g->dead)->got, base + !goes_back(g, word));
}

static void
settle_block(const struct settling *g, struct slot *s, uint64_t place, uint64_t word)
{
	uint64_t block;
	if (slot_is_hole(word) || !slot_has_block(s))
		return;
	memcpy(&block, s->payload, sizeof block);
	uint64_t at_place = block_word(BLOCK_PLACE, g->ring.object, place);
	uint64_t held = block_word(BLOCK_HELD, 0, g->dead);
	word64 *b = block_word_at(g->arena, block);
	if (!b)
		return;
	if (goes_back(g, word)) {
		cas64_acq_rel(b, held, at_place);
		return;
	}
	block_reclaim(g->arena, block, at_place);
	block_reclaim(g->arena, block, held);
}

/* The place, if D has it, is D's no longer. */
static void
settle(const struct settling *g, uint64_t place, uint64_t base)
{
	struct slot *s = ring_slot(&g->ring, place);
	uint64_t word = load_acquire(&s->turn);
	if (slot_owner(word) != g->dead || slot_lap(word) != ring_lap(&g->ring, place))
		return;
	if (slot_state(word) == READING) {
		settle_counts(g, word, base);
		settle_block(g, s, place, word);
	}
	mend(&g->ring, s, word, g->mine, g->me);
}

static bool
begin(struct settling *g, shoal_arena *a, struct member *me, struct member *dead, uint32_t object)
{
	*g = (struct settling){
		.arena = a,
		.me = me,
		.mine = member_tag(a, me),
		.dead = member_tag(a, dead),
		.generation = load_acquire(&arena_object(a, object)->word) >> 32,
	};
	return ring_of_object(a, object, &g->ring) == 0;
}

/*
 * The loan that it was giving back comes before the others: its count is absolute, from the base
 * that it wrote down, and theirs go on from there.
 */
static void
settle_releasing(const struct settling *g, const struct member *dead)
{
	for (unsigned i = 0; i < LOANS_MAX; i++) {
		const struct loan_entry *l = &dead->loans[i];
		if (load_acquire(&l->state) == LOAN_RELEASING &&
		    loan_is_of(l, g->ring.object, g->generation))
			settle(g, load_relaxed(&l->pos), load_relaxed(&l->base));
	}
}

static void
recover_call(shoal_arena *a, struct shoal_thread *t, struct member *me, struct member *dead,
             uint32_t object)
{
	struct settling g;
	(void)t;
	store_relaxed(&dead->call.kind, CALL_NONE);
	if (!begin(&g, a, me, dead, object))
		return;
	uint64_t pos = load_relaxed(&dead->call.pos);
	if (pos != UINT64_MAX)
		settle(&g, pos, load_relaxed(&queue_row(g.ring.queue, g.dead)->base));
	settle_releasing(&g, dead);
	/* A place that it gave BACK, or mended, and told nobody. */
	if (g.ring.flags & SHOAL_QUEUE_REDELIVER)
		queue_note_back(g.ring.queue);
	queue_wake_armed(g.ring.queue);
}

/*
 * A block that bears this tag while its place does not: an adoption that went half-way. It goes
 * where the place is: to its reader, or to the place itself when the message is there again. False:
 * the place has nothing to do with it.
 */
bool
queue_settle_block(shoal_arena *a, const struct ring *r, uint64_t place, uint64_t block,
                   uint32_t tag)
{
	const struct slot *s = ring_slot(r, place);
	uint64_t word = load_acquire(&s->turn), its;
	memcpy(&its, s->payload, sizeof its);
	word64 *b = block_word_at(a, block);
	if (!b || its != block || slot_lap(word) != ring_lap(r, place) || slot_is_hole(word) ||
	    !slot_has_block(s))
		return false;
	uint64_t to = block_word(BLOCK_PLACE, r->object, place);
	if (slot_state(word) == READING)
		to = block_word(BLOCK_HELD, 0, slot_owner(word));
	else if (slot_state(word) != BACK)
		return false;
	cas64_acq_rel(b, block_word(BLOCK_HELD, 0, tag), to);
	return true;
}

/*
 * A loan that was not being given back yet begins to be, so that what it was counted from is
 * written down once.
 */
static void
recover_loan(shoal_arena *a, struct shoal_thread *t, struct member *me, struct member *dead,
             struct loan_entry *l)
{
	struct settling g;
	(void)t;
	uint64_t pos = load_relaxed(&l->pos), block = load_relaxed(&l->block);
	uint32_t state = load_relaxed(&l->state);
	if (state == LOAN_RESERVED || state == LOAN_BLOCK ||
	    !begin(&g, a, me, dead, load_relaxed(&l->object)))
		return;
	if (state != LOAN_RELEASING) {
		store_relaxed(&l->base, load_relaxed(&queue_row(g.ring.queue, g.dead)->got));
		store_release(&l->state, LOAN_RELEASING);
	}
	settle(&g, pos, load_relaxed(&l->base));
	/* Also when one who recovered it before gave the place BACK and died there. */
	if (g.ring.flags & SHOAL_QUEUE_REDELIVER) {
		queue_note_back(g.ring.queue);
		queue_wake_armed(g.ring.queue);
	}
	if (block)
		(void)queue_settle_block(a, &g.ring, pos, block, g.dead);
}

/* Whether the message of this block is still to be had at its place. */
static bool
is_live(const struct ring *r, uint64_t place, uint64_t block)
{
	const struct slot *s = ring_slot(r, place);
	uint64_t word = load_acquire(&s->turn), its;
	memcpy(&its, s->payload, sizeof its);
	enum slot_state state = slot_state(word);
	if (slot_lap(word) != ring_lap(r, place) || slot_is_hole(word))
		return false;
	return (state == FULL || state == READING || state == BACK) && its == block;
}

/*
 * PUT: HELD is freed by the caller; PLACE is freed unless its place holds it (it died before FULL,
 * the place is a hole; or the place moved on: a real taker changes the word before it gives the
 * place back). A block that bears another place than the hand is somebody else's by now. GET: HELD
 * goes back to its place under REDELIVER, if that still waits for it; else the caller frees it.
 */
static void
recover_hand(shoal_arena *a, struct member *dead, const struct hand *h)
{
	struct settling g;
	uint32_t object = load_relaxed(&h->object);
	uint64_t block = load_relaxed(&h->block);
	word64 *b = block_word_at(a, block);
	uint64_t word = b ? load_acquire(b) : 0;
	if (!object || object >= objects_high(a) || !begin(&g, a, dead, dead, object))
		return;
	uint64_t held = block_word(BLOCK_HELD, 0, g.dead);
	uint64_t pos = load_relaxed(&h->pos);
	if (load_relaxed(&h->kind) == HAND_PUT) {
		if (word == block_word(BLOCK_PLACE, object, pos) && !is_live(&g.ring, pos, block))
			block_reclaim(a, block, word);
	} else if ((g.ring.flags & SHOAL_QUEUE_REDELIVER) && is_live(&g.ring, pos, block)) {
		cas64_acq_rel(b, held, block_word(BLOCK_PLACE, object, pos));
	}
}

/* What it took and did not report counts as done: join never waits for the dead. */
static void
recover_member(shoal_arena *a, struct member *me, struct member *dead, uint32_t object)
{
	struct settling g;
	if (!begin(&g, a, me, dead, object) || !(g.ring.flags & SHOAL_QUEUE_JOINABLE))
		return;
	struct queue_row *row = queue_row(g.ring.queue, g.dead);
	store_release(&row->done, load_relaxed(&row->got));
	gate_open_all(&g.ring.queue->join_gate);
}

/* A hole is a message that its sender did not finish; its taker, dead or not, has it yet. */
bool
queue_has_message(const shoal_arena *a, uint32_t object, uint64_t place)
{
	struct ring ring;
	if (ring_of_object(a, object, &ring))
		return false;
	uint64_t word = load_acquire(&ring_slot(&ring, place)->turn);
	enum slot_state state = slot_state(word);
	return slot_lap(word) == ring_lap(&ring, place) && !slot_is_hole(word) &&
	       (state == WRITING || state == FULL || state == READING || state == BACK);
}

/* ---- destruction, listing, check ---- */

static struct robust *
bell(const shoal_arena *a, uint32_t object)
{
	struct ring ring;
	return ring_of_object(a, object, &ring) ? NULL : &ring.queue->bell;
}

static void
shut(shoal_arena *a, uint32_t object)
{
	struct ring ring;
	if (ring_of_object(a, object, &ring))
		return;
	store_seq_cst(&ring.queue->closing, QUEUE_DESTROYED);
	queue_wake_all(ring.queue);
}

/*
 * Nobody is inside: what stands at the places is freed, whoever's it was. Loans still out are freed
 * by their threads.
 */
static void
empty(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object)
{
	(void)t, (void)me;
	struct ring ring;
	if (ring_of_object(a, object, &ring))
		return;
	for (uint64_t i = 0; i <= ring.mask; i++) {
		struct slot *s = ring_slot(&ring, i);
		uint64_t word = load_acquire(&s->turn), block;
		if (slot_state(word) == EMPTY || slot_state(word) == GROUP || slot_is_hole(word) ||
		    !slot_has_block(s))
			continue;
		memcpy(&block, s->payload, sizeof block);
		word64 *b = block_word_at(a, block);
		uint64_t seen = b ? load_acquire(b) : 0;
		if (block_state(seen) == BLOCK_PLACE && block_object(seen) == object)
			block_reclaim(a, block, seen);
	}
}

static uint64_t
size(const shoal_arena *a, uint32_t object)
{
	struct ring ring;
	uint64_t taken, put;
	uint32_t seen = 0;
	return ring_of_object(a, object, &ring) ? 0 : queue_size(a, &ring, &seen, &taken, &put);
}

static int
complain(FILE *report, const struct ring *r, uint64_t index, uint64_t word, const char *what)
{
	if (report)
		fprintf(report, "queue %u: place %llu of %llu (%#llx): %s\n", r->object,
		        (unsigned long long)index, (unsigned long long)r->mask + 1,
		        (unsigned long long)word, what);
	return 1;
}

static bool
group_is_owned(uint64_t word)
{
	return group_is(word, GROUP_WRITING) || group_is(word, GROUP_READING) ||
	       group_is(word, GROUP_PASSING) || group_is(word, GROUP_SPREAD);
}

static bool
may_be_group(const struct ring *r, uint64_t index, uint64_t word)
{
	return ring_has_groups(r) && index == group_leader(index) && slot_tries(word) <= GROUP_SPREAD;
}

static int
check_slot(const shoal_arena *a, const struct ring *r, uint64_t i, FILE *report)
{
	struct slot *s = ring_slot(r, i);
	uint64_t word = load_acquire(&s->turn), block;
	bool owned = slot_state(word) == WRITING || slot_state(word) == READING ||
	             group_is_owned(word);
	if (slot_state(word) > GROUP || (slot_state(word) == GROUP && !may_be_group(r, i, word)))
		return complain(report, r, i, word, "no such state");
	if (group_is(word, GROUP_SPREAD) && !slot_owner(word))
		return 0;
	if (owned != (slot_owner(word) != 0))
		return complain(report, r, i, word, owned ? "no owner" : "an owner that it cannot have");
	if (owned && member_state(a, slot_owner(word)) == MEMBER_GONE &&
	    load_acquire(&s->turn) == word)
		return complain(report, r, i, word, "its owner was recovered without it");
	if (slot_state(word) != FULL || slot_is_hole(word) || !slot_has_block(s))
		return 0;
	memcpy(&block, s->payload, sizeof block);
	word64 *b = block_word_at(a, block);
	uint64_t place = block_low(b ? load_acquire(b) : 0);
	if ((!b || block_state(load_acquire(b)) != BLOCK_PLACE || (place & r->mask) != i) &&
	    load_acquire(&s->turn) == word)
		return complain(report, r, i, word, "its block is not the place's");
	return 0;
}

static int
check(shoal_arena *a, uint32_t object, uint64_t parts, FILE *report)
{
	struct ring ring;
	int n = 0;
	(void)parts;
	if (ring_of_object(a, object, &ring)) {
		if (report)
			fprintf(report, "queue %u: its header is damaged\n", object);
		return 1;
	}
	for (uint64_t i = 0; i <= ring.mask; i++)
		n += check_slot(a, &ring, i, report);
	return n;
}

const struct kind_ops queue_kind = {
	.recover_call = recover_call,
	.recover_loan = recover_loan,
	.recover_hand = recover_hand,
	.recover_member = recover_member,
	.bell = bell,
	.shut = shut,
	.empty = empty,
	.size = size,
	.check = check,
};
