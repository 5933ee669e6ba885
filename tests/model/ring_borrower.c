/*
 * A getter's loans: entered, and released in any order.
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
	default: return NULL;
	}
}
