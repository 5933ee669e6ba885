/* Words of groups and of single places: what the rules say about them. */
#include "ring_pack.h"

struct options opt;
const char *violation;

const char *const broken_name[BROKEN_KINDS] = {
	[SOUND] = "sound",
	[SPREAD_UP] = "spread-up",
	[SPREAD_BACK] = "spread-back",
	[SPREAD_ALL] = "spread-all",
	[OPEN_LEADER] = "open-leader",
	[OPEN_BACK] = "open-back",
	[PACK_UNSEEN] = "pack-unseen",
	[WRITER_TO_EMPTY] = "writer-to-empty",
	[NO_LEADER] = "no-leader",
	[PASS_SPREAD] = "pass-spread",
	[SLOW_IS_DEAD] = "slow-is-dead",
	[MEND_BY_STORE] = "mend-by-store",
	[DROP_ONE] = "drop-one",
};

bool
tag_dead(const struct world *w, uint8_t tag)
{
	uint8_t life = w->life[tag - 1];

	return life == DEAD || life == LEFT || opt.broken == SLOW_IS_DEAD;
}

static struct word
group_mended(struct word seen)
{
	switch (seen.phase) {
	case G_WRITING:
		if (opt.broken == WRITER_TO_EMPTY)
			return word(seen.lap, GROUP, 0, G_EMPTY);
		return word(seen.lap, GROUP, 0, G_HOLE);
	case G_SPREAD:
		return word(seen.lap, GROUP, 0, opt.broken == SPREAD_BACK ? G_FULL : G_SPREAD);
	default: return word(seen.lap + 1, GROUP, 0, G_EMPTY);
	}
}

struct word
word_mended(struct word seen)
{
	if (seen.state == GROUP)
		return group_mended(seen);
	if (seen.state == WRITING)
		return word(seen.lap, FULL, 0, HOLE);
	return word(seen.lap + 1, EMPTY, 0, SINGLE);
}

void
word_mend(struct world *w, int p, struct word seen)
{
	if (!word_same(*turn_of(w, p), seen) && opt.broken != MEND_BY_STORE)
		return;
	if (seen.state == READING && seen.phase != HOLE)
		w->dropped++;
	if (seen.state == GROUP && seen.phase == G_READING)
		w->dropped = (uint8_t)(w->dropped + (opt.broken == DROP_ONE ? 1 : opt.group));
	*turn_of(w, p) = word_mended(seen);
}

/* The first place from p on of which `done` does not hold, as one sees who sees all at once. */
static int
first_without(const struct world *w, bool done(struct word, int p))
{
	int p = 0;

	for (;;) {
		struct word leader = w->turn[leader_of(p) % places()];
		struct word own = w->turn[p % places()];
		if (!done(leader.state == GROUP ? leader : own, p))
			return p;
		p = leader.state == GROUP ? leader_of(p) + opt.group : p + 1;
	}
}

static bool
is_claimed(struct word t, int p)
{
	if (t.lap != lap_of(p))
		return t.lap > lap_of(p);
	return t.state == GROUP ? t.phase != G_EMPTY : t.state != EMPTY && t.state != CLOSED;
}

static bool
is_taken(struct word t, int p)
{
	if (t.lap != lap_of(p))
		return t.lap > lap_of(p);
	return t.state == GROUP ? t.phase == G_READING || t.phase == G_PASSING : t.state == READING;
}

int
true_tail(const struct world *w)
{
	return first_without(w, is_claimed);
}

int
true_head(const struct world *w)
{
	return first_without(w, is_taken);
}

/* ---- messages: 16 * putter + number ---- */

static bool
is_message(int v)
{
	return v >> 4 < PUTTERS && (v & 15) >= 1 && (v & 15) <= NUMBERS;
}

void
publish_message(struct world *w, int v)
{
	w->published[v >> 4][v & 15] = 1;
}

void
receive(struct world *w, int who, int v)
{
	if (!is_message(v)) {
		violation = "garbage is received";
		return;
	}
	uint8_t *last = &w->last[who - FIRST_GETTER][v >> 4];
	if (*last >= (v & 15))
		violation = "a producer's messages are out of order";
	*last = (uint8_t)(v & 15);
}

void
deliver(struct world *w, int v)
{
	if (!is_message(v)) {
		violation = "garbage is delivered";
		return;
	}
	if (w->delivered[v >> 4][v & 15])
		violation = "a message is delivered twice";
	if (!w->published[v >> 4][v & 15])
		violation = "a message is delivered that was never put";
	w->delivered[v >> 4][v & 15] = 1;
}

/* ---- walks ---- */

/* By a word of the group: to the place behind it, in the lap that the word proves. */
static enum found
look_group(struct mind *m, struct word t, bool put)
{
	int d = t.lap - lap_of(m->cursor), base = leader_of(m->cursor);
	bool passed = put ? t.phase != G_EMPTY : t.phase == G_READING || t.phase == G_PASSING;

	if (opt.broken == PASS_SPREAD && !put && t.phase == G_SPREAD)
		passed = true;
	if (base != m->cursor && (d < 0 || (d == 0 && !passed)))
		violation = "a cursor is inside a group";
	if (d < -1)
		violation = "a cursor is ahead of the truth";
	if (d < 0)
		return WAIT;
	if (d == 0 && !passed)
		return t.phase == (put ? G_EMPTY : G_FULL) ? READY_GROUP : WAIT;
	m->cursor = (uint8_t)(base + (passed ? d : d - 1) * places() + opt.group);
	return JUMP;
}

static enum found
look_single(struct mind *m, struct word t, bool put)
{
	int d = t.lap - lap_of(m->cursor);
	bool passed = put ? t.state != EMPTY && t.state != CLOSED : t.state == READING;

	if (d < -1)
		violation = "a cursor is ahead of the truth";
	if (d < 0)
		return WAIT;
	if (d == 0 && t.state == CLOSED)
		return END;
	if (d == 0 && !passed)
		return t.state == (put ? EMPTY : FULL) ? READY : WAIT;
	m->cursor = (uint8_t)(m->cursor + (passed ? d : d - 1) * places() + 1);
	return JUMP;
}

enum found
pack_look(const struct world *w, struct mind *m, bool put)
{
	uint8_t hint = put ? w->tail : w->head;

	if (opt.hints && m->cursor < hint)
		m->cursor = hint;
	m->seen = w->turn[leader_of(m->cursor) % places()];
	if (m->seen.state == GROUP && (m->cursor % opt.group == 0 || opt.broken != NO_LEADER))
		return look_group(m, m->seen, put);
	if (m->cursor % opt.group)
		return ASK;
	return look_single(m, m->seen, put);
}

enum found
pack_look_own(const struct world *w, struct mind *m, bool put)
{
	m->seen = w->turn[m->cursor % places()];
	return look_single(m, m->seen, put);
}

/* ---- opening a group that is EMPTY ---- */

void
open_begin(struct mind *m, int then)
{
	m->i = 1;
	m->then = (uint8_t)then;
	m->pc = opt.broken == OPEN_LEADER ? OPEN_END : OPEN_LOOK;
}

/* Any number may do it at once; m->seen is the leader's word. A follower's lap only grows. */
const char *
open_step(struct world *w, struct mind *m)
{
	struct word *follower = turn_of(w, m->p + m->i);
	int lap = m->seen.lap;

	switch (m->pc) {
	case OPEN_LOOK:
		m->saw = *follower;
		if (m->saw.state == EMPTY &&
		    (m->saw.lap < lap || (opt.broken == OPEN_BACK && m->saw.lap > lap)))
			return go(m, OPEN_SET, "sees a follower behind");
		break;
	case OPEN_SET:
		swap(follower, m->saw, word(lap, EMPTY, 0, SINGLE));
		break;
	default:
		swap(turn_of(w, m->p), m->seen, word(lap, EMPTY, 0, SINGLE));
		return go(m, m->then, "opens the group");
	}
	m->saw = (struct word){ 0 };
	m->i++;
	return go(m, m->i < opt.group ? OPEN_LOOK : OPEN_END, "has a follower right");
}
