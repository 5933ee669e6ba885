/* A putter: put, abort, close. Each step is one access to shared memory. */
#include "ring_world.h"

enum {
	REFILL = 1,
	HOLD,
	CLAIM,
	FIRST_HALF,
	SECOND_HALF,
	PUBLISH,
	UNNAME,
	ABORT,
	FREE_ABORTED,
	MEND,
	TELL_BACK,
	CLOSE,
	MARK,
};

static int
message_of(const struct world *w, int who)
{
	return 3 * who + w->sent[who] + 1;
}

static const char *
go(struct mind *m, int pc, const char *name)
{
	m->pc = (uint8_t)pc;
	return name;
}

/* The cursor moves as far as the word of its place proves that all before it were claimed. */
static const char *
walk(const struct world *w, struct mind *m)
{
	int laps = ahead(w, m->cursor) - (w->turn[m->cursor % PLACES].state == EMPTY);

	m->cursor = (uint8_t)(m->cursor + laps * PLACES + 1);
	return "walks";
}

/* The block comes from the own magazine; an empty one is refilled first. NULL: no block is free. */
static const char *
choose_block(struct world *w, int who)
{
	struct record *r = &w->record[who];

	if (r->magazine) {
		r->hand = (struct hand){ r->magazine, HAND_PUT, NONE };
		return go(&w->mind[who], HOLD, "names block");
	}
	for (int b = 1; b < BLOCKS; b++) {
		if (w->block[b].state != FREE)
			continue;
		r->magazine = (uint8_t)b;
		return go(&w->mind[who], REFILL, "sees free block");
	}
	return NULL;
}

static const char *
refill(struct world *w, int who)
{
	struct record *r = &w->record[who];

	if (!block_swap(w, r->magazine, block_is(FREE, 0), block_is(MAGAZINE, tag_of(w, who))))
		r->magazine = 0;
	return go(&w->mind[who], IDLE, "refills magazine");
}

static const char *
hold(struct world *w, int who)
{
	struct record *r = &w->record[who];

	w->block[r->hand.block] = block_is(HELD, tag_of(w, who));
	w->content[r->hand.block] = (uint8_t)message_of(w, who);
	r->magazine = 0;
	return go(&w->mind[who], IDLE, "holds block");
}

/* The ring is full: only a dead reader's place is worth a step. */
static const char *
meet_reader(struct world *w, struct mind *m)
{
	struct word mended;
	struct word t = *turn_of(w, m->cursor);

	if (t.state != READING || !tag_dead(w, t.owner) || !word_mended(t, &mended))
		return NULL;
	m->seen = t;
	m->v = m->cursor % PLACES;
	return go(m, told_before(mended) ? TELL_BACK : MEND, "meets dead reader");
}

static const char *
look(struct world *w, int who)
{
	struct mind *m = &w->mind[who];
	struct record *r = &w->record[who];
	int d = ahead(w, m->cursor);
	struct word t = *turn_of(w, m->cursor);

	if (d < -1)
		violation = "a putter's cursor is ahead of the truth";
	if (d < 0)
		return meet_reader(w, m);
	if (d == 0 && t.state == CLOSED)
		return go(m, FINISHED, "EPIPE");
	if (d > 0 || t.state != EMPTY)
		return walk(w, m);
	m->seen = t;
	m->p = r->pos = m->cursor;
	if (opt.blocks)
		r->hand.pos = m->p;
	return go(m, CLAIM, "looks");
}

static const char *
idle(struct world *w, int who)
{
	struct mind *m = &w->mind[who];

	if (w->sent[who] >= opt.puts[who])
		return go(m, opt.closes && who == 0 ? CLOSE : FINISHED, "has put all");
	if (w->closing)
		return go(m, FINISHED, "EPIPE");
	if (opt.blocks && !w->record[who].hand.block)
		return choose_block(w, who);
	return look(w, who);
}

static const char *
claim(struct world *w, struct mind *m, int who)
{
	if (!word_same(*turn_of(w, m->p), m->seen))
		return go(m, IDLE, "loses claim");
	*turn_of(w, m->p) = word(m->seen.lap, WRITING, tag_of(w, who), 0);
	return go(m, FIRST_HALF, "claims");
}

/* Of a long message only the reference is in the slot: both halves at once. */
static const char *
first_half(struct world *w, struct mind *m, int who, int choice)
{
	int v = opt.blocks ? w->record[who].hand.block : message_of(w, who);

	if (choice == 1)
		return opt.aborts ? go(m, ABORT, "decides to abort") : NULL;
	w->payload[m->p % PLACES][0] = (uint8_t)v;
	if (opt.blocks)
		w->payload[m->p % PLACES][1] = (uint8_t)v;
	return go(m, SECOND_HALF, "writes first half");
}

static const char *
second_half(struct world *w, struct mind *m, int who)
{
	struct hand *h = &w->record[who].hand;

	if (!opt.blocks) {
		w->payload[m->p % PLACES][1] = (uint8_t)message_of(w, who);
		return go(m, PUBLISH, "writes second half");
	}
	if (!block_swap(w, h->block, block_is(HELD, tag_of(w, who)), block_is(PLACE, m->p)))
		violation = "a putter's block is taken from its hand";
	if (opt.broken == EARLY_HAND)
		*h = (struct hand){ 0 };
	return go(m, PUBLISH, "gives block to place");
}

static void
leave_place(struct world *w, struct mind *m, int who, struct word to)
{
	if (!word_same(*turn_of(w, m->p), word(lap_of(m->p), WRITING, tag_of(w, who), 0)))
		violation = "a putter stores over a place that is not its own";
	*turn_of(w, m->p) = to;
	m->cursor = (uint8_t)(m->p + 1);
}

static const char *
publish(struct world *w, struct mind *m, int who)
{
	leave_place(w, m, who, word(lap_of(m->p), FULL, 0, 0));
	w->published[message_of(w, who)] = 1;
	w->sent[who]++;
	return go(m, opt.blocks ? UNNAME : IDLE, "publishes");
}

static const char *
unname(struct world *w, struct mind *m, int who)
{
	w->record[who].hand = (struct hand){ 0 };
	return go(m, IDLE, "empties hand");
}

static const char *
leave_hole(struct world *w, struct mind *m, int who)
{
	leave_place(w, m, who, word(lap_of(m->p), FULL, 0, HOLE));
	w->sent[who]++;
	return go(m, opt.blocks ? FREE_ABORTED : IDLE, "aborts");
}

static const char *
free_aborted(struct world *w, struct mind *m, int who)
{
	block_give_back(w, who, w->record[who].hand.block);
	return go(m, UNNAME, "frees block");
}

static const char *
mend(struct world *w, struct mind *m)
{
	struct word mended;

	word_mended(m->seen, &mended);
	word_mend(w, m->v, m->seen, mended);
	m->v = 0;
	return go(m, told_after(mended) ? TELL_BACK : IDLE, "mends");
}

/* As a flag backs is told after BACK; as a number, before. */
static const char *
tell_back(struct world *w, struct mind *m)
{
	if (backs_is_flag()) {
		w->backs = 1;
		return go(m, IDLE, "sets backs");
	}
	w->backs++;
	return go(m, MEND, "counts backs");
}

static const char *
close_look(struct world *w, struct mind *m)
{
	int d = ahead(w, m->cursor);
	struct word t = *turn_of(w, m->cursor);

	if (!w->closing) {
		w->closing = 1;
		return "sets closing";
	}
	if (d < 0 || (d == 0 && t.state == CLOSED))
		return go(m, FINISHED, "has closed");
	if (d > 0 || t.state != EMPTY)
		return walk(w, m);
	m->seen = t;
	m->p = m->cursor;
	return go(m, MARK, "finds tail");
}

static const char *
mark(struct world *w, struct mind *m)
{
	if (!word_same(*turn_of(w, m->p), m->seen))
		return go(m, CLOSE, "tail has moved");
	*turn_of(w, m->p) = word(m->seen.lap, CLOSED, 0, 0);
	return go(m, FINISHED, "marks the end");
}

const char *
putter_step(struct world *w, int who, int choice)
{
	struct mind *m = &w->mind[who];

	if (choice && m->pc != FIRST_HALF)
		return NULL;
	switch (m->pc) {
	case IDLE: return idle(w, who);
	case REFILL: return refill(w, who);
	case HOLD: return hold(w, who);
	case CLAIM: return claim(w, m, who);
	case FIRST_HALF: return first_half(w, m, who, choice);
	case SECOND_HALF: return second_half(w, m, who);
	case PUBLISH: return publish(w, m, who);
	case UNNAME: return unname(w, m, who);
	case ABORT: return leave_hole(w, m, who);
	case FREE_ABORTED: return free_aborted(w, m, who);
	case MEND: return mend(w, m);
	case TELL_BACK: return tell_back(w, m);
	case CLOSE: return close_look(w, m);
	case MARK: return mark(w, m);
	default: return NULL;
	}
}
