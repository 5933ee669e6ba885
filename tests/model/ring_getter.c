/*
 * A getter: get, borrow, and release or return in any order, task_done, and the end of a closed
 * queue.
 *
 * Loans stand for get_many with REDELIVER too, which releases its places after the last copy.
 */
#include "ring_getter.h"

/* What an idle getter may do. */
enum {
	LOOK,
	MEND_MET,
	TASK_DONE,
	RELEASE_LOAN,
	RETURN_LOAN = RELEASE_LOAN + LOANS,
	TAKE_BACK = RETURN_LOAN + LOANS,
	CHOICES = TAKE_BACK + PLACES
};

/* The record says which place and, for JOINABLE, from which count, before the claim. */
static const char *
aim(struct world *w, int who, int p)
{
	struct mind *m = &w->mind[who];
	struct record *r = &w->record[who];

	m->seen = *turn_of(w, p);
	m->p = r->pos = (uint8_t)p;
	r->base = opt.joinable ? r->got : 0;
	return go(m, CLAIM, "looks");
}

static const char *
take_back(struct world *w, int who, int index)
{
	if (w->turn[index].state != BACK || full_handed(&w->record[who]))
		return NULL;
	return aim(w, who, w->turn[index].lap * PLACES + index);
}

static const char *
meet_dead(struct world *w, struct mind *m, int index)
{
	struct word t = w->turn[index];
	struct word mended;
	bool held = t.state == WRITING || t.state == READING;

	if (!held || !tag_dead(w, t.owner) || !word_mended(t, &mended))
		return NULL;
	m->seen = t;
	m->v = (uint8_t)index;
	return go(m, told_before(mended) ? TELL_BACK : MEND, "meets dead owner");
}

/*
 * With REDELIVER what others read may come back: the end waits for them. Its own loans do not
 * count.
 */
static const char *
see_end(struct world *w, int who)
{
	struct mind *m = &w->mind[who];
	bool held = false;

	for (int i = 0; opt.redeliver && i < PLACES && opt.broken != EARLY_END; i++) {
		struct word t = w->turn[i];
		const char *name = t.state == BACK ? take_back(w, who, i) : meet_dead(w, m, i);
		if (name)
			return name;
		held |= t.state == BACK;
		held |= t.state == READING && !word_hole(t) && t.owner != tag_of(w, who);
	}
	if (held || loans_out(&w->record[who]) || m->tasks)
		return NULL;
	return go(m, FINISHED, "sees the end");
}

/* Others pass a reader, nobody passes a writer. */
static const char *
look_at(struct world *w, int who, int d)
{
	struct mind *m = &w->mind[who];
	struct word t = *turn_of(w, m->cursor);

	if (d == 0 && t.state == FULL)
		return aim(w, who, m->cursor);
	if (d == 0 && t.state == CLOSED)
		return see_end(w, who);
	if (d == 0 && t.state == EMPTY) {
		if (!w->closing)
			return NULL;
		m->seen = t;
		m->p = m->cursor;
		return go(m, MARK, "settles the end");
	}
	if (d == 0 && t.state == WRITING) {
		if (opt.broken != PASS_WRITING)
			return NULL;
		m->cursor++;
		return "passes a writer";
	}
	m->cursor = (uint8_t)(m->cursor + (d - !(t.state == READING || t.state == BACK)) * PLACES + 1);
	return "walks";
}

/*
 * One who is stopped while it returns a loan has others scan now and then, and in vain until the
 * place is BACK: that they do is no sign that things go on.
 */
static bool
scans_in_vain(const struct world *w)
{
	bool vain = false;

	for (int i = 0; i < PLACES; i++) {
		struct word t = w->turn[i];
		const struct record *r = t.owner ? &w->record[tag_member(t.owner)] : NULL;
		vain |= t.state == READING && r->life == STOPPED && r->returns;
		if (t.state == BACK || (t.state == READING && tag_dead(w, t.owner)))
			return false;
	}
	return vain;
}

static const char *
look(struct world *w, int who)
{
	struct mind *m = &w->mind[who];
	int d = ahead(w, m->cursor);

	if (full_handed(&w->record[who]))
		return NULL;
	if (opt.backs && (backs_is_flag() ? w->backs : w->backs != m->backs_seen) &&
	    !scans_in_vain(w)) {
		m->backs_seen = backs_is_flag() ? 0 : w->backs;
		m->i = 0;
		return go(m, SCAN, "sees backs");
	}
	if (d < -1)
		violation = "a getter's cursor is ahead of the truth";
	return d < 0 ? NULL : look_at(w, who, d);
}

static const char *
task_done(struct mind *m, struct record *r)
{
	if (!m->tasks)
		return NULL;
	m->tasks--;
	r->done++;
	return "reports a task done";
}

static const char *
idle(struct world *w, int who, int choice)
{
	struct mind *m = &w->mind[who];

	if (choice == LOOK)
		return look(w, who);
	if (choice == MEND_MET)
		return ahead(w, m->cursor) <= 0 ? meet_dead(w, m, m->cursor % PLACES) : NULL;
	if (choice == TASK_DONE)
		return task_done(m, &w->record[who]);
	if (choice < RETURN_LOAN)
		return release_loan(w, who, choice - RELEASE_LOAN);
	if (choice < TAKE_BACK)
		return return_loan(w, who, choice - RETURN_LOAN);
	return opt.backs ? NULL : take_back(w, who, choice - TAKE_BACK);
}

static const char *
claim(struct world *w, struct mind *m, int who)
{
	int tries = m->seen.state == BACK ? m->seen.tries + 1 : m->seen.tries;

	if (!word_same(*turn_of(w, m->p), m->seen))
		return go(m, IDLE, "loses claim");
	m->drops = m->seen.state == BACK && m->seen.tries >= opt.tries;
	if (m->drops)
		tries = opt.broken == TRIES_MAKE_HOLE ? HOLE : m->seen.tries;
	*turn_of(w, m->p) = word(m->seen.lap, READING, tag_of(w, who), tries);
	if (word_hole(m->seen))
		return go(m, COUNT, "claims hole");
	return go(m, FIRST_HALF, m->drops ? "claims to drop" : "claims");
}

static const char *
first_half(struct world *w, struct mind *m, int who)
{
	m->v = w->payload[m->p % PLACES][0];
	if (!opt.blocks)
		return go(m, SECOND_HALF, "reads first half");
	w->record[who].hand = (struct hand){ m->v, HAND_GET, m->p };
	if (m->v < 1 || m->v >= BLOCKS)
		violation = "a reference is garbage";
	return go(m, TAKE_BLOCK, "reads reference");
}

/* What follows once the message is in sight. */
static const char *
use(struct world *w, struct mind *m, int who, const char *name)
{
	receive(w, who, opt.blocks ? w->content[m->v] : m->v);
	if (opt.loans && !m->drops && !full_handed(&w->record[who]))
		return go(m, LEND, name);
	return go(m, opt.broken == LATE_COUNT ? RELEASE : COUNT, name);
}

static const char *
second_half(struct world *w, struct mind *m, int who)
{
	if (w->payload[m->p % PLACES][1] != m->v)
		violation = "a message is torn";
	return use(w, m, who, "reads second half");
}

/* The word may still bear the name of a dead reader, when the place came back. */
static const char *
take_block(struct world *w, struct mind *m, int who)
{
	struct block_word b = w->block[m->v];
	bool mine = b.state == PLACE && b.low == m->p;

	if (!mine && !(b.state == HELD && tag_dead(w, b.low)))
		violation = "a getter's block is not its place's";
	if (opt.broken != KEEP_WORD)
		w->block[m->v] = block_is(HELD, tag_of(w, who));
	if (opt.redeliver && !m->drops && !opt.loans)
		return go(m, COPY, "takes block");
	return use(w, m, who, "takes block");
}

/* REDELIVER copies before it gives the place away: until then its death brings the message back. */
static const char *
copy(struct world *w, struct mind *m, int who)
{
	m->sum = w->content[m->v];
	return use(w, m, who, "copies block");
}

static bool
takes_nothing(const struct mind *m)
{
	return word_hole(m->seen) || m->drops;
}

/* Between two calls, or one step from it. */
static const char *
finish(struct mind *m, bool nothing, const char *name)
{
	bool early = opt.broken == EARLY_DONE || opt.broken == HOLE_SETS_DONE;

	m->v = m->drops = 0;
	if (opt.broken == LATE_COUNT && !nothing)
		return go(m, LATE, name);
	return go(m, opt.joinable && nothing && !early ? NOTHING_DONE : IDLE, name);
}

static const char *
count(struct world *w, struct mind *m, int who)
{
	struct record *r = &w->record[who];
	bool early = opt.broken == EARLY_DONE || opt.broken == HOLE_SETS_DONE;

	if (opt.joinable)
		r->got = (uint8_t)(r->base + 1);
	return go(m, early && opt.joinable && takes_nothing(m) ? NOTHING_EARLY : RELEASE, "counts");
}

/*
 * What is not delivered nobody will report: it is done here, but only after the release. Before
 * it, a dropped message may still come back, and done would have to fall again, which join must
 * never see.
 */
static const char *
nothing_done(struct mind *m, struct record *r)
{
	r->done = (uint8_t)(opt.broken == HOLE_SETS_DONE ? r->base + 1 : r->done + 1);
	return go(m, m->pc == NOTHING_EARLY ? RELEASE : IDLE, "counts as done");
}

void
leave_place(struct world *w, struct mind *m, int who)
{
	struct word *t = turn_of(w, m->p);

	if (t->lap != lap_of(m->p) || t->state != READING || t->owner != tag_of(w, who))
		violation = "a getter stores over a place that is not its own";
	*t = word(t->lap + 1, EMPTY, 0, 0);
	if (m->p >= m->cursor)
		m->cursor = (uint8_t)(m->p + 1);
}

static const char *
release(struct world *w, struct mind *m, int who)
{
	bool nothing = takes_nothing(m);

	leave_place(w, m, who);
	m->tasks = (uint8_t)(m->tasks + (opt.joinable && !nothing));
	if (m->drops)
		w->dropped++;
	if (!nothing && !opt.blocks)
		deliver(w, m->v);
	if (!nothing && opt.blocks && opt.redeliver)
		deliver(w, m->sum);
	m->sum = 0;
	if (opt.blocks && !word_hole(m->seen))
		return go(m, nothing || opt.redeliver ? FREE_BLOCK : COPY_LATE, "releases");
	return finish(m, nothing, "releases");
}

static const char *
copy_late(struct world *w, struct mind *m)
{
	deliver(w, w->content[m->v]);
	return go(m, FREE_BLOCK, "copies block");
}

static const char *
free_block(struct world *w, struct mind *m, int who)
{
	block_give_back(w, who, m->v);
	return go(m, UNNAME, "frees block");
}

static const char *
unname(struct world *w, struct mind *m, int who)
{
	w->record[who].hand = (struct hand){ 0 };
	return finish(m, m->drops, "empties hand");
}

static const char *
late(struct mind *m, struct record *r)
{
	r->got = (uint8_t)(r->base + 1);
	return go(m, IDLE, "counts late");
}

static const char *
mend(struct world *w, struct mind *m)
{
	struct word mended;

	word_mended(m->seen, &mended);
	word_mend(w, m->v, m->seen, mended);
	m->v = m->i = 0;
	return go(m, told_after(mended) ? TELL_BACK : IDLE, "mends");
}

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
scan_on(struct world *w, struct mind *m)
{
	bool again = m->pc == SCAN_AGAIN;

	if (++m->i < PLACES)
		return go(m, again ? SCAN_AGAIN : SCAN, "scans a slot");
	m->i = 0;
	if (m->again)
		m->backs_seen = (uint8_t)(w->backs - 1);
	m->again = 0;
	if (opt.broken == BACKS_CLEARED_LAST && again)
		return go(m, CLEAR_LAST, "scans last slot");
	return go(m, backs_is_flag() && !again ? CLEAR_BACKS : IDLE, "scans last slot");
}

/* After the place: whoever is marked no more has counted backs since it became BACK. */
static const char *
scan_mark(struct world *w, struct mind *m)
{
	m->again |= w->record[tag_member(m->seen.owner)].returns;
	m->seen = word(0, 0, 0, 0);
	m->pc = SCAN;
	return scan_on(w, m);
}

/*
 * Looks at one slot for what came back. A dead reader's place, about to come back, is mended on
 * the way: so whoever counts backs and is then stopped before its CAS hides nothing.
 */
static const char *
scan(struct world *w, struct mind *m, int who)
{
	int index = m->i;
	const char *name = take_back(w, who, index);

	if (!name && !backs_is_flag())
		name = meet_dead(w, m, index);
	if (name) {
		m->i = m->again = 0;
		m->backs_seen = (uint8_t)(w->backs - !backs_is_flag());
		return name;
	}
	struct word t = w->turn[index];
	if (opt.returns && t.state == READING && t.owner != tag_of(w, who)) {
		m->seen = t;
		return go(m, SCAN_MARK, "scans another's place");
	}
	return scan_on(w, m);
}

static const char *
clear_backs(struct world *w, struct mind *m)
{
	w->backs = 0;
	return go(m, m->pc == CLEAR_BACKS ? SCAN_AGAIN : IDLE, "clears backs");
}

static const char *
mark(struct world *w, struct mind *m)
{
	if (word_same(*turn_of(w, m->p), m->seen))
		*turn_of(w, m->p) = word(m->seen.lap, CLOSED, 0, 0);
	return go(m, IDLE, "marks the end");
}

int
getter_choices(const struct world *w, int who)
{
	return w->mind[who].pc == IDLE ? CHOICES : 1;
}

const char *
getter_step(struct world *w, int who, int choice)
{
	struct mind *m = &w->mind[who];
	struct record *r = &w->record[who];

	switch (m->pc) {
	case IDLE: return idle(w, who, choice);
	case CLAIM: return claim(w, m, who);
	case FIRST_HALF: return first_half(w, m, who);
	case SECOND_HALF: return second_half(w, m, who);
	case TAKE_BLOCK: return take_block(w, m, who);
	case COPY: return copy(w, m, who);
	case COUNT: return count(w, m, who);
	case NOTHING_EARLY: return nothing_done(m, r);
	case NOTHING_DONE: return nothing_done(m, r);
	case RELEASE: return release(w, m, who);
	case COPY_LATE: return copy_late(w, m);
	case FREE_BLOCK: return free_block(w, m, who);
	case UNNAME: return unname(w, m, who);
	case LATE: return late(m, r);
	case MEND: return mend(w, m);
	case TELL_BACK: return tell_back(w, m);
	case SCAN: return scan(w, m, who);
	case SCAN_AGAIN: return scan(w, m, who);
	case SCAN_MARK: return scan_mark(w, m);
	case CLEAR_LAST: return clear_backs(w, m);
	case CLEAR_BACKS: return clear_backs(w, m);
	case MARK: return mark(w, m);
	default: return borrower_step(w, who);
	}
}
