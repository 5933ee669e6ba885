/* Slot words, block words and tags: what the rules of the ring say about them. */
#include "ring_world.h"

struct options opt;
const char *violation;

const char *const broken_name[BROKEN_KINDS] = {
	[SOUND] = "sound",
	[WRITER_TO_EMPTY] = "writer-to-empty",
	[SLOW_IS_DEAD] = "slow-is-dead",
	[MEND_BY_STORE] = "mend-by-store",
	[LATE_COUNT] = "late-count",
	[EARLY_HAND] = "early-hand",
	[UNMENDED] = "unmended",
	[PASS_WRITING] = "pass-writing",
	[KEEP_WORD] = "keep-word",
	[HAND_BY_PLACE] = "hand-by-place",
	[WRITER_IS_NOTHING] = "writer-is-nothing",
	[HAND_WITHOUT_PLACE] = "hand-without-place",
	[EARLY_END] = "early-end",
	[TRIES_MAKE_HOLE] = "tries-make-hole",
	[BACKS_IS_FLAG] = "backs-is-flag",
	[BACKS_CLEARED_LAST] = "backs-cleared-last",
	[BASE_AT_CLAIM] = "base-at-claim",
	[CALL_STAYS] = "call-stays",
	[TABLE_ORDER] = "table-order",
	[HOLE_SETS_DONE] = "hole-sets-done",
	[EARLY_DONE] = "early-done",
	[REUSED_EARLY] = "reused-early",
	[NO_LOCK] = "no-lock",
	[SIZE_ONE_LOOK] = "size-one-look",
	[RETURN_UNMARKED] = "return-unmarked",
	[RETURN_TOLD_ONCE] = "return-told-once",
	[RETURN_BLOCK_LAST] = "return-block-last",
};

uint8_t
tag_of(const struct world *w, int who)
{
	return (uint8_t)(1 + who + MEMBERS * w->record[who].generation);
}

int
tag_member(uint8_t tag)
{
	return (tag - 1) % MEMBERS;
}

bool
tag_dead(const struct world *w, uint8_t tag)
{
	const struct record *r = &w->record[tag_member(tag)];

	if (opt.broken == SLOW_IS_DEAD)
		return true;
	return tag != tag_of(w, tag_member(tag)) || r->life == DEAD || r->life == LEFT;
}

bool
word_holds_message(struct word t, int p)
{
	return t.lap == lap_of(p) && (t.state == FULL || t.state == READING || t.state == BACK) &&
	       !word_hole(t);
}

bool
word_may_hold_message(struct word t, int p)
{
	return word_holds_message(t, p) || (t.lap == lap_of(p) && t.state == WRITING);
}

static bool
writing_mended(struct word seen, struct word *mended)
{
	*mended = opt.broken == WRITER_TO_EMPTY ? word(seen.lap, EMPTY, 0, 0)
	                                        : word(seen.lap, FULL, 0, HOLE);
	return opt.broken != UNMENDED;
}

bool
word_mended(struct word seen, struct word *mended)
{
	bool comes_back = opt.redeliver && !word_hole(seen);

	if (seen.state == WRITING)
		return writing_mended(seen, mended);
	*mended = comes_back ? word(seen.lap, BACK, 0, seen.tries)
	                     : word(seen.lap + 1, EMPTY, 0, 0);
	if (seen.state != READING || opt.joinable)
		return false;
	return comes_back || !opt.blocks || word_hole(seen);
}

void
word_mend(struct world *w, int index, struct word seen, struct word mended)
{
	if (!word_same(w->turn[index], seen) && opt.broken != MEND_BY_STORE)
		return;
	if (seen.state == READING && mended.state == EMPTY && !word_hole(seen))
		w->dropped++;
	w->turn[index] = mended;
}

int
true_tail(const struct world *w)
{
	int p = 0;

	for (;; p++) {
		struct word t = w->turn[p % PLACES];
		if (t.lap < lap_of(p))
			return p;
		if (t.lap == lap_of(p) && (t.state == EMPTY || t.state == CLOSED))
			return p;
	}
}

int
true_head(const struct world *w)
{
	int p = 0;

	for (;; p++) {
		struct word t = w->turn[p % PLACES];
		if (t.lap < lap_of(p))
			return p;
		if (t.lap == lap_of(p) && t.state != READING && t.state != BACK)
			return p;
	}
}

struct block_word
block_is(int state, int low)
{
	return (struct block_word){ (uint8_t)state, (uint8_t)low };
}

bool
block_swap(struct world *w, int b, struct block_word from, struct block_word to)
{
	if (w->block[b].state != from.state || w->block[b].low != from.low)
		return false;
	w->block[b] = to;
	return true;
}

void
block_give_back(struct world *w, int who, int b)
{
	struct record *r = &w->record[who];
	bool room = !r->magazine;

	if (room)
		r->magazine = (uint8_t)b;
	if (opt.broken == KEEP_WORD && w->block[b].state == PLACE)
		w->block[b] = block_is(HELD, tag_of(w, who));
	if (!block_swap(w, b, block_is(HELD, tag_of(w, who)),
	                room ? block_is(MAGAZINE, tag_of(w, who)) : block_is(FREE, 0)))
		violation = "a member frees a block that it does not hold";
}

void
deliver(struct world *w, int v)
{
	if (v < 1 || v >= MESSAGES) {
		violation = "garbage is delivered";
		return;
	}
	if (w->delivered[v])
		violation = "a message is delivered twice";
	if (!w->published[v])
		violation = "a message is delivered that was never put";
	w->delivered[v] = 1;
}

void
receive(struct world *w, int who, int v)
{
	if (opt.redeliver || v < 1 || v >= MESSAGES)
		return;
	uint8_t *last = &w->last[who - FIRST_GETTER][(v - 1) / 3];
	uint8_t number = (uint8_t)((v - 1) % 3 + 1);
	if (*last >= number)
		violation = "a producer's messages are out of order";
	*last = number;
}
