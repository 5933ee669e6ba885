/* An observer: asks once for the size, or joins. It only reads, and neither dies nor stops. */
#include "ring_world.h"

enum {
	SUM = IDLE,
	TAIL,
	HEAD,
	AGAIN
};

static const char *
go(struct mind *m, int pc, const char *name)
{
	m->pc = (uint8_t)pc;
	return name;
}

static bool
claimed(const struct world *w, int p)
{
	int state = w->turn[p % PLACES].state;

	return ahead(w, p) > 0 || (ahead(w, p) == 0 && state != EMPTY && state != CLOSED);
}

static bool
taken(const struct world *w, int p)
{
	int state = w->turn[p % PLACES].state;

	return ahead(w, p) > 0 || (ahead(w, p) == 0 && (state == READING || state == BACK));
}

/* Everything that was claimed at this moment was taken and, unless its taker is gone, reported. */
static void
check_joined(const struct world *w)
{
	if (true_head(w) != true_tail(w))
		violation = "join returns while messages wait";
	for (int i = 0; i < PLACES; i++)
		if (w->turn[i].state == BACK || (w->turn[i].state == READING && !word_hole(w->turn[i])))
			violation = "join returns while messages may come back";
	for (int i = FIRST_GETTER; i < FIRST_RECOVERER; i++)
		if (w->record[i].life == LIVING && w->mind[i].tasks)
			violation = "join returns while a task is under way";
}

static const char *
restart(struct mind *m, const char *name)
{
	m->sum = m->p = m->i = m->v = 0;
	m->seen = word(0, 0, 0, 0);
	return go(m, opt.join ? SUM : TAIL, name);
}

static const char *
sum_row(const struct world *w, struct mind *m)
{
	if (!opt.join)
		return go(m, TAIL, "asks for size");
	m->sum = (uint8_t)(m->sum + w->record[FIRST_GETTER + m->i].done);
	if (++m->i < GETTERS)
		return "adds a row";
	return go(m, TAIL, "adds last row");
}

static const char *
find_tail(const struct world *w, struct mind *m)
{
	if (claimed(w, m->p)) {
		m->p++;
		return "walks to tail";
	}
	m->seen = w->turn[m->p % PLACES];
	if (!opt.join)
		return go(m, HEAD, "finds tail");
	if (m->sum != m->p)
		return restart(m, "join goes on");
	check_joined(w);
	return go(m, FINISHED, "has joined");
}

/* The truth at the moment of this last look is what size must answer. */
static const char *
find_head(const struct world *w, struct mind *m)
{
	if (taken(w, m->i)) {
		m->i++;
		return "walks to head";
	}
	m->v = (uint8_t)(true_tail(w) - true_head(w));
	if (opt.broken == SIZE_ONE_LOOK && m->p - m->i != m->v)
		violation = "size is not exact";
	return go(m, AGAIN, "finds head");
}

static const char *
look_again(const struct world *w, struct mind *m)
{
	if (!word_same(w->turn[m->p % PLACES], m->seen))
		return restart(m, "size moves");
	if (m->p - m->i != m->v)
		violation = "size is not exact";
	return go(m, FINISHED, "knows size");
}

const char *
observer_step(struct world *w, int who, int choice)
{
	struct mind *m = &w->mind[who];

	(void)choice;
	switch (m->pc) {
	case SUM: return sum_row(w, m);
	case TAIL: return find_tail(w, m);
	case HEAD: return find_head(w, m);
	case AGAIN: return look_again(w, m);
	default: return NULL;
	}
}
