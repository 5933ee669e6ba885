/*
 * A recoverer: gives back what a dead member's record names, under the lock of that record.
 *
 * Whoever finds a member dead may be one; here two members do nothing else, and one of them
 * never dies nor stops, so that recovery comes to an end. Every step is a CAS from the word seen
 * or the store of an absolute value, so that the next one may begin again when this one dies.
 */
#include "ring_world.h"

enum {
	LOOK_AT_PLACE = 1,
	MAKE_HOLE,
	SET_BASE,
	SET_GOT,
	TELL_BACK,
	NAME_MESSAGE,
	GRAB_MESSAGE,
	DROP_MESSAGE,
	MEND,
	FREE_MESSAGE,
	UNNAME_MESSAGE,
	LOOK_AT_HAND,
	JUDGE,
	GIVE_BACK,
	NAME_BLOCK,
	GRAB_BLOCK,
	DROP_BLOCK,
	FREE_BLOCK,
	UNNAME_BLOCK,
	MAGAZINE_LOOK,
	SET_DONE,
	COUNT_BACKS,
	AGE,
	LEAVE,
	UNLOCK,
};

/* Entries in the order of recovery: the call, loans whose base is set, the other loans. */
enum {
	ENTRIES = 1 + 2 * LOANS
};

static const char *
go(struct mind *m, int pc, const char *name)
{
	m->pc = (uint8_t)pc;
	return name;
}

static const char *
lock(struct world *w, int who, int victim)
{
	struct record *r = &w->record[victim];

	if (victim == who || r->life != DEAD)
		return NULL;
	if (r->recovering && !tag_dead(w, r->recovering) && opt.broken != NO_LOCK)
		return NULL;
	r->recovering = tag_of(w, who);
	w->mind[who].victim = (uint8_t)victim;
	return go(&w->mind[who], LOOK_AT_PLACE, "locks dead member");
}

/*
 * At most one loan is half counted, and it is the one whose base is set while its place is still
 * held.
 */
static int
entry_pos(const struct record *dead, int i)
{
	const struct loan *l = &dead->loan[(i - 1) % LOANS];
	bool half = l->base != NONE;

	if (i == 0)
		return dead->pos;
	if (opt.broken == TABLE_ORDER)
		return i <= LOANS ? l->pos : NONE;
	return half == (i <= LOANS) ? l->pos : NONE;
}

static uint8_t *
entry_base(struct record *dead, int i)
{
	return i == 0 ? &dead->base : &dead->loan[(i - 1) % LOANS].base;
}

static const char *
next_entry(struct mind *m, const char *name)
{
	m->seen = word(0, 0, 0, 0);
	m->p = 0;
	if (++m->i < ENTRIES)
		return go(m, LOOK_AT_PLACE, name);
	m->i = 0;
	return go(m, opt.blocks && opt.broken != REUSED_EARLY ? LOOK_AT_HAND : SET_DONE, name);
}

static bool
drops_message(struct word t)
{
	return opt.blocks && !opt.redeliver && !word_hole(t);
}

/* The place's own step, after the counts. */
static const char *
to_place(struct mind *m, const char *name)
{
	if (opt.backs && !backs_is_flag() && opt.redeliver && !word_hole(m->seen))
		return go(m, TELL_BACK, name);
	if (!drops_message(m->seen))
		return go(m, MEND, name);
	return go(m, opt.straight ? DROP_MESSAGE : NAME_MESSAGE, name);
}

static const char *
look_at_place(struct world *w, struct mind *m)
{
	struct record *dead = &w->record[m->victim];
	int p = entry_pos(dead, m->i);

	if (p == NONE)
		return next_entry(m, "skips entry");
	struct word t = *turn_of(w, p);
	if (t.owner != tag_of(w, m->victim) || t.lap != lap_of(p))
		return next_entry(m, "is not held");
	m->seen = t;
	m->p = (uint8_t)p;
	if (t.state == WRITING)
		return opt.broken == UNMENDED ? next_entry(m, "leaves it") : go(m, MAKE_HOLE, "is written");
	if (!opt.joinable)
		return to_place(m, "is read");
	return go(m, *entry_base(dead, m->i) == NONE && !opt.redeliver ? SET_BASE : SET_GOT, "is read");
}

static const char *
make_hole(struct world *w, struct mind *m)
{
	struct word mended;

	word_mended(m->seen, &mended);
	word_mend(w, m->p % PLACES, m->seen, mended);
	return next_entry(m, "makes hole");
}

static const char *
set_base(struct mind *m, struct record *dead)
{
	*entry_base(dead, m->i) = dead->got;
	return go(m, SET_GOT, "sets base");
}

/* A loan that was not half counted, and comes back, has left no trace in the counts. */
static const char *
set_got(struct mind *m, struct record *dead)
{
	uint8_t base = *entry_base(dead, m->i);

	if (base != NONE)
		dead->got = (uint8_t)(base + (opt.redeliver && !word_hole(m->seen) ? 0 : 1));
	return to_place(m, "sets got");
}

/*
 * Told before the place comes back, so that a scan finds it or mends it itself, and once more at
 * the end.
 */
static const char *
tell_back(struct world *w, struct mind *m)
{
	w->backs++;
	return go(m, MEND, "counts backs");
}

static const char *
name_message(struct world *w, struct mind *m, int who)
{
	m->v = w->payload[m->p % PLACES][0];
	w->record[who].hand = (struct hand){ m->v, HAND_RECOVER, m->p };
	return go(m, GRAB_MESSAGE, "names message's block");
}

/* When this fails the dead one had the block already: its hand or loan names it. */
static const char *
grab_message(struct world *w, struct mind *m, int who)
{
	if (block_swap(w, m->v, block_is(PLACE, m->p), block_is(HELD, tag_of(w, who))))
		return go(m, MEND, "grabs message's block");
	w->record[who].hand = (struct hand){ 0 };
	m->v = 0;
	return go(m, MEND, "leaves message's block");
}

/* The straight way: block first, then the place; nobody reads a dead reader's place. */
static const char *
drop_message(struct world *w, struct mind *m)
{
	block_swap(w, w->payload[m->p % PLACES][0], block_is(PLACE, m->p), block_is(FREE, 0));
	return go(m, MEND, "drops message's block");
}

static const char *
mend(struct world *w, struct mind *m)
{
	struct word mended;

	word_mended(m->seen, &mended);
	word_mend(w, m->p % PLACES, m->seen, mended);
	if (m->v)
		return go(m, FREE_MESSAGE, "mends");
	return next_entry(m, "mends");
}

static void
free_held(struct world *w, struct mind *m, int who)
{
	if (!block_swap(w, m->v, block_is(HELD, tag_of(w, who)), block_is(FREE, 0)))
		violation = "a recoverer frees a block that it does not hold";
}

static const char *
free_message(struct world *w, struct mind *m, int who)
{
	free_held(w, m, who);
	return go(m, UNNAME_MESSAGE, "frees message's block");
}

static const char *
unname_message(struct world *w, struct mind *m, int who)
{
	w->record[who].hand = (struct hand){ 0 };
	m->v = 0;
	return next_entry(m, "empties own hand");
}

/* The hand, then the loans, each of which names a block as a getter's hand would. */
static struct hand
hand_of(const struct record *dead, int i)
{
	const struct loan *l = &dead->loan[(i - 1) % LOANS];

	return i == 0 ? dead->hand : (struct hand){ l->block, HAND_GET, l->pos };
}

static const char *
next_hand(struct mind *m, const char *name)
{
	m->v = m->sum = 0;
	m->saw = block_is(0, 0);
	if (++m->i <= LOANS)
		return go(m, LOOK_AT_HAND, name);
	m->i = 0;
	return go(m, MAGAZINE_LOOK, name);
}

static const char *
look_at_hand(struct world *w, struct mind *m)
{
	struct hand h = hand_of(&w->record[m->victim], m->i);

	if (!h.block)
		return next_hand(m, "has no block");
	m->v = h.block;
	m->saw = w->block[h.block];
	return go(m, JUDGE, "looks at block");
}

/*
 * Live: the place still holds the message that the hand was about. A putter's hand may be stale:
 * when a recoverer freed its block and died, or a taker freed it, another putter may have it by
 * now, and at that very place. Then the place is written by that one (the dead one's own writing
 * has become a hole before), and the block is its.
 */
static bool
is_live(const struct world *w, struct hand h)
{
	if (h.pos == NONE)
		return false;
	struct word t = w->turn[h.pos % PLACES];
	bool strict = opt.broken == WRITER_IS_NOTHING || opt.broken == HAND_WITHOUT_PLACE;
	if (h.kind != HAND_PUT || strict)
		return word_holds_message(t, h.pos);
	return word_may_hold_message(t, h.pos);
}

static bool
freed(struct hand h, struct block_word saw, bool held, bool live)
{
	bool at_place = h.pos != NONE && saw.state == PLACE && saw.low == h.pos;

	if (h.kind == HAND_PUT && opt.broken == HAND_BY_PLACE)
		return (held || at_place) && !live;
	if (h.kind == HAND_PUT)
		return held || (at_place && !live);
	if (h.kind == HAND_GET)
		return held && !(opt.redeliver && live);
	return held;
}

static const char *
judge(struct world *w, struct mind *m)
{
	struct hand h = hand_of(&w->record[m->victim], m->i);
	bool held = m->saw.state == HELD && m->saw.low == tag_of(w, m->victim);

	if (h.kind == HAND_PUT && opt.broken == HAND_WITHOUT_PLACE && m->saw.state == PLACE)
		h.pos = m->saw.low;
	bool live = is_live(w, h);
	if (h.kind == HAND_GET && held && opt.redeliver && live)
		return go(m, GIVE_BACK, "is the place's");
	if (!freed(h, m->saw, held, live))
		return next_hand(m, "is not its own");
	return go(m, opt.straight ? DROP_BLOCK : NAME_BLOCK, "is its own");
}

static const char *
give_back(struct world *w, struct mind *m)
{
	struct hand h = hand_of(&w->record[m->victim], m->i);

	block_swap(w, m->v, m->saw, block_is(PLACE, h.pos));
	return next_hand(m, "gives block to place");
}

static const char *
name_block(struct world *w, struct mind *m, int who)
{
	w->record[who].hand = (struct hand){ m->v, HAND_RECOVER, NONE };
	return go(m, GRAB_BLOCK, "names block");
}

static const char *
grab_block(struct world *w, struct mind *m, int who)
{
	bool won = block_swap(w, m->v, m->saw, block_is(HELD, tag_of(w, who)));

	return go(m, won ? FREE_BLOCK : UNNAME_BLOCK, "grabs block");
}

static const char *
drop_block(struct world *w, struct mind *m)
{
	block_swap(w, m->v, m->saw, block_is(FREE, 0));
	return next_hand(m, "drops block");
}

static const char *
free_block(struct world *w, struct mind *m, int who)
{
	free_held(w, m, who);
	return go(m, UNNAME_BLOCK, "frees block");
}

static const char *
unname_block(struct world *w, struct mind *m, int who)
{
	w->record[who].hand = (struct hand){ 0 };
	return next_hand(m, "empties own hand");
}

static const char *
magazine_look(struct world *w, struct mind *m)
{
	block_swap(w, w->record[m->victim].magazine, block_is(MAGAZINE, tag_of(w, m->victim)),
	           block_is(FREE, 0));
	return go(m, SET_DONE, "empties magazine");
}

static const char *
set_done(struct mind *m, struct record *dead)
{
	if (opt.joinable)
		dead->done = dead->got;
	return go(m, opt.backs ? COUNT_BACKS : AGE, "sets done");
}

static const char *
count_backs(struct world *w, struct mind *m)
{
	w->backs = (uint8_t)(backs_is_flag() ? 1 : w->backs + 1);
	return go(m, AGE, "counts backs");
}

static void
tag_is_gone(struct world *w, int victim)
{
	uint8_t tag = tag_of(w, victim);

	for (int i = 0; i < PLACES; i++)
		if (w->turn[i].owner == tag && opt.broken != UNMENDED)
			violation = "a place bears the tag of a record that is used again";
	for (int b = 1; b < BLOCKS; b++)
		if ((w->block[b].state == HELD || w->block[b].state == MAGAZINE) && w->block[b].low == tag)
			violation = "a block bears the tag of a record that is used again";
}

/* The row of counts is never reset. */
static const char *
age(struct world *w, struct mind *m)
{
	struct record *r = &w->record[m->victim];

	tag_is_gone(w, m->victim);
	*r = (struct record){
		.life = r->life,
		.generation = (uint8_t)(r->generation + 1),
		.recovering = r->recovering,
		.pos = NONE,
		.got = r->got,
		.done = r->done,
		.loan = { { NONE, 0, NONE }, { NONE, 0, NONE } },
	};
	return go(m, LEAVE, "raises generation");
}

static const char *
leave(struct mind *m, struct record *dead)
{
	dead->life = LEFT;
	return go(m, UNLOCK, "frees record");
}

static const char *
unlock(struct world *w, struct mind *m, int who)
{
	struct record *r = &w->record[m->victim];

	if (r->recovering != tag_of(w, who) && opt.broken != NO_LOCK)
		violation = "a recoverer's lock was taken from it";
	r->recovering = 0;
	return go(m, IDLE, "unlocks");
}

const char *
recoverer_step(struct world *w, int who, int choice)
{
	struct mind *m = &w->mind[who];
	struct record *dead = &w->record[m->victim];

	if (m->pc == IDLE)
		return lock(w, who, choice);
	switch (m->pc) {
	case LOOK_AT_PLACE: return look_at_place(w, m);
	case MAKE_HOLE: return make_hole(w, m);
	case SET_BASE: return set_base(m, dead);
	case SET_GOT: return set_got(m, dead);
	case TELL_BACK: return tell_back(w, m);
	case NAME_MESSAGE: return name_message(w, m, who);
	case GRAB_MESSAGE: return grab_message(w, m, who);
	case DROP_MESSAGE: return drop_message(w, m);
	case MEND: return mend(w, m);
	case FREE_MESSAGE: return free_message(w, m, who);
	case UNNAME_MESSAGE: return unname_message(w, m, who);
	case LOOK_AT_HAND: return look_at_hand(w, m);
	case JUDGE: return judge(w, m);
	case GIVE_BACK: return give_back(w, m);
	case NAME_BLOCK: return name_block(w, m, who);
	case GRAB_BLOCK: return grab_block(w, m, who);
	case DROP_BLOCK: return drop_block(w, m);
	case FREE_BLOCK: return free_block(w, m, who);
	case UNNAME_BLOCK: return unname_block(w, m, who);
	case MAGAZINE_LOOK: return magazine_look(w, m);
	case SET_DONE: return set_done(m, dead);
	case COUNT_BACKS: return count_backs(w, m);
	case AGE: return age(w, m);
	case LEAVE: return leave(m, dead);
	case UNLOCK: return unlock(w, m, who);
	default: return NULL;
	}
}
