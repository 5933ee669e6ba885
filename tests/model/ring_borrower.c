/*
 * A getter's loans: entered, and released or returned in any order.
 *
 * They stand for get_many with REDELIVER too, which releases its places after the last copy.
 */
#include "ring_getter.h"

int
loans_out(const struct record *r)
{
	int n = 0;

	for (int i = 0; i < LOANS; i++)
		n += r->loan[i].pos != NONE;
	return n;
}

bool
full_handed(const struct record *r)
{
	return opt.loans && loans_out(r) >= opt.loans;
}

const char *
release_loan(struct world *w, int who, int i)
{
	struct mind *m = &w->mind[who];

	if (w->record[who].loan[i].pos == NONE)
		return NULL;
	m->i = (uint8_t)i;
	m->p = w->record[who].loan[i].pos;
	return go(m, opt.joinable ? LOAN_BASE : LOAN_RELEASE, "ends a loan");
}

const char *
return_loan(struct world *w, int who, int i)
{
	struct mind *m = &w->mind[who];

	if (w->record[who].loan[i].pos == NONE || w->returned >= opt.returns)
		return NULL;
	w->returned++;
	m->i = (uint8_t)i;
	m->p = w->record[who].loan[i].pos;
	bool late = !opt.blocks || opt.broken == RETURN_BLOCK_LAST;
	return go(m, late ? RETURN_MARK : RETURN_BLOCK, "returns a loan");
}

/* The loan names place and block before the call's record and the hand forget them. */
static const char *
lend(struct world *w, struct mind *m, int who)
{
	struct record *r = &w->record[who];
	int i = r->loan[0].pos == NONE ? 0 : 1;
	uint8_t base = opt.broken == BASE_AT_CLAIM ? r->got : NONE;

	r->loan[i] = (struct loan){ m->p, opt.blocks ? m->v : 0, base };
	m->borrowed[i] = m->v;
	return go(m, UNCALL, "enters loan");
}

static const char *
uncall(struct mind *m, struct record *r)
{
	if (m->p >= m->cursor)
		m->cursor = (uint8_t)(m->p + 1);
	if (opt.broken != CALL_STAYS)
		r->pos = NONE;
	r->hand = (struct hand){ 0 };
	m->v = 0;
	return go(m, IDLE, "ends borrow");
}

static const char *
loan_base(struct mind *m, struct record *r)
{
	if (opt.broken != BASE_AT_CLAIM)
		r->loan[m->i].base = r->got;
	return go(m, LOAN_COUNT, "sets loan's base");
}

static const char *
loan_count(struct mind *m, struct record *r)
{
	r->got = (uint8_t)(r->loan[m->i].base + 1);
	return go(m, LOAN_RELEASE, "counts loan");
}

static const char *
loan_release(struct world *w, struct mind *m, int who)
{
	int v = m->borrowed[m->i];

	leave_place(w, m, who);
	m->tasks = (uint8_t)(m->tasks + opt.joinable);
	deliver(w, opt.blocks ? w->content[v] : v);
	m->borrowed[m->i] = 0;
	return go(m, opt.blocks ? LOAN_FREE : LOAN_CLEAR, "releases loan");
}

static const char *
loan_free(struct world *w, struct mind *m, int who)
{
	block_give_back(w, who, w->record[who].loan[m->i].block);
	return go(m, LOAN_CLEAR, "frees loan's block");
}

static const char *
loan_clear(struct mind *m, struct record *r)
{
	r->loan[m->i] = (struct loan){ NONE, 0, NONE };
	m->i = 0;
	return go(m, IDLE, "clears loan");
}

static const char *
return_block(struct world *w, struct mind *m, int who)
{
	bool late = m->pc == RETURN_BLOCK_LATE;

	if (!block_swap(w, w->record[who].loan[m->i].block, block_is(HELD, tag_of(w, who)),
	                block_is(PLACE, m->p)))
		violation = "a getter returns a block that it does not hold";
	return go(m, late ? RETURN_TOLD : RETURN_MARK, "gives block to place");
}

/*
 * Said from before backs is counted until after it is counted again: who scans in between and finds
 * the place not BACK yet will scan again.
 */
static const char *
return_mark(struct mind *m, struct record *r)
{
	r->returns = opt.broken != RETURN_UNMARKED;
	return go(m, opt.backs ? RETURN_TELL : RETURN_PLACE, "says that it returns");
}

static const char *
return_tell(struct world *w, struct mind *m)
{
	bool after = m->pc == RETURN_TOLD;

	w->backs = (uint8_t)(w->backs + (opt.backs && !(after && opt.broken == RETURN_TOLD_ONCE)));
	return go(m, after ? RETURN_UNMARK : RETURN_PLACE, "counts backs");
}

static const char *
return_place(struct world *w, struct mind *m, int who)
{
	struct word *t = turn_of(w, m->p);

	if (t->lap != lap_of(m->p) || t->state != READING || t->owner != tag_of(w, who))
		violation = "a getter returns a place that is not its own";
	*t = word(t->lap, BACK, 0, t->tries ? t->tries - 1 : 0);
	m->borrowed[m->i] = 0;
	bool late = opt.blocks && opt.broken == RETURN_BLOCK_LAST;
	return go(m, late ? RETURN_BLOCK_LATE : RETURN_TOLD, "gives place back");
}

static const char *
return_unmark(struct mind *m, struct record *r)
{
	r->returns = 0;
	return go(m, LOAN_CLEAR, "says that it returns no more");
}

const char *
borrower_step(struct world *w, int who)
{
	struct mind *m = &w->mind[who];
	struct record *r = &w->record[who];

	switch (m->pc) {
	case LEND: return lend(w, m, who);
	case UNCALL: return uncall(m, r);
	case LOAN_BASE: return loan_base(m, r);
	case LOAN_COUNT: return loan_count(m, r);
	case LOAN_RELEASE: return loan_release(w, m, who);
	case LOAN_FREE: return loan_free(w, m, who);
	case LOAN_CLEAR: return loan_clear(m, r);
	case RETURN_BLOCK: return return_block(w, m, who);
	case RETURN_MARK: return return_mark(m, r);
	case RETURN_TELL: return return_tell(w, m);
	case RETURN_PLACE: return return_place(w, m, who);
	case RETURN_BLOCK_LATE: return return_block(w, m, who);
	case RETURN_TOLD: return return_tell(w, m);
	case RETURN_UNMARK: return return_unmark(m, r);
	default: return NULL;
	}
}
