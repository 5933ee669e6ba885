/* A getter, which takes groups whole or spreads them; and who recovers the dead. */
#include "ring_pack.h"

enum {
	LOOK_OWN = 1,
	CLAIM,
	READ,
	RELEASE,
	PASS_HOLE,
	CLAIM_GROUP,
	READ_ITEMS,
	RELEASE_GROUP,
	CLAIM_SPREAD,
	SPREAD_LOOK,
	SPREAD_READ,
	SPREAD_WRITE,
	SPREAD_PUBLISH,
	SPREAD_END,
	MEND,
	MARK,
	/* the recoverer's */
	LOOK_AT_PLACE,
	SETTLE,
	LEAVE,
};

static const char *
aim(struct world *w, int who, int pc, const char *name)
{
	struct mind *m = &w->mind[who];

	m->p = w->pos[who] = m->cursor;
	return go(m, pc, name);
}

/* What an idle getter may do. */
enum {
	ALL,
	LESS,
	BLIND, /* the fast way: claims the place of its cursor without a look at the leader */
	CHOICES
};

static const char *
ready_group(struct world *w, int who, int choice)
{
	if (choice == LESS)
		return aim(w, who, CLAIM_SPREAD, "wants less than the group");
	return aim(w, who, CLAIM_GROUP, "sees a group");
}

static const char *
waits(struct world *w, int who)
{
	struct mind *m = &w->mind[who];
	struct word t = m->seen;
	bool its_lap = t.lap == lap_of(m->cursor), is_group = t.state == GROUP;

	if (t.owner && tag_dead(w, t.owner))
		return aim(w, who, MEND, "meets a dead owner");
	if (its_lap && is_group && t.phase == G_HOLE)
		return aim(w, who, CLAIM_GROUP, "sees a hole");
	if (its_lap && is_group && t.phase == G_SPREAD && !t.owner)
		return aim(w, who, CLAIM_SPREAD, "sees a group left half spread");
	if (its_lap && w->closing && is_group && t.phase == G_EMPTY) {
		aim(w, who, IDLE, "");
		open_begin(m, IDLE);
		return "opens the last group";
	}
	if (its_lap && w->closing && t.state == EMPTY)
		return aim(w, who, MARK, "settles the end");
	return NULL;
}

static const char *
judge(struct world *w, int who, int choice, enum found found)
{
	struct mind *m = &w->mind[who];

	if (choice && found != READY_GROUP)
		return NULL;
	switch (found) {
	case READY: return aim(w, who, CLAIM, "looks");
	case READY_GROUP: return ready_group(w, who, choice);
	case WAIT: return waits(w, who);
	case END: return go(m, FINISHED, "sees the end");
	case ASK: return go(m, LOOK_OWN, "asks the leader");
	default: return go(m, IDLE, "walks");
	}
}

static const char *
blind(struct world *w, int who)
{
	struct mind *m = &w->mind[who];

	m->seen = *turn_of(w, m->cursor);
	if (!word_same(m->seen, word(lap_of(m->cursor), FULL, 0, SINGLE)))
		return NULL;
	return aim(w, who, CLAIM, "looks at its place alone");
}

static const char *
claim(struct world *w, struct mind *m, int who)
{
	bool hole = m->seen.phase == HOLE;

	if (!swap(turn_of(w, m->p), m->seen,
	          word(m->seen.lap, READING, tag_of(who), hole ? HOLE : SINGLE)))
		return go(m, IDLE, "loses claim");
	m->v = hole;
	return go(m, hole ? RELEASE : READ, "claims");
}

static void
leave(struct world *w, int who, int state, int from, int to, int n)
{
	struct mind *m = &w->mind[who];
	int lap = lap_of(m->p);
	struct word mine = word(lap, state, tag_of(who), from);

	if (!swap(turn_of(w, m->p), mine, word(lap + 1, state == READING ? EMPTY : GROUP, 0, to)))
		violation = "a getter stores over a place that is not its own";
	w->head = m->cursor = (uint8_t)(m->p + n);
}

static const char *
release(struct world *w, struct mind *m, int who)
{
	bool hole = m->v == 1;

	leave(w, who, READING, hole ? HOLE : SINGLE, SINGLE, 1);
	if (!hole)
		deliver(w, m->took[0]);
	return go(m, IDLE, "releases");
}

static const char *
claim_group(struct world *w, struct mind *m, int who)
{
	bool hole = m->seen.phase == G_HOLE;

	if (!swap(turn_of(w, m->p), m->seen,
	          word(m->seen.lap, GROUP, tag_of(who), hole ? G_PASSING : G_READING)))
		return go(m, IDLE, "loses claim");
	m->i = 0;
	return go(m, hole ? PASS_HOLE : READ_ITEMS, "claims the group");
}

static const char *
read_items(struct world *w, struct mind *m, int who)
{
	m->took[m->i] = *item_of(w, m->p, m->i);
	receive(w, who, m->took[m->i]);
	m->i++;
	return go(m, m->i < opt.group ? READ_ITEMS : RELEASE_GROUP, "reads an item");
}

static const char *
release_group(struct world *w, struct mind *m, int who)
{
	leave(w, who, GROUP, G_READING, G_EMPTY, opt.group);
	for (int i = 0; i < opt.group; i++)
		deliver(w, m->took[i]);
	return go(m, IDLE, "releases the group");
}

/* ---- spreading: from the last item to the first, so that none covers one still packed ---- */

static const char *
claim_spread(struct world *w, struct mind *m, int who)
{
	if (!swap(turn_of(w, m->p), m->seen, word(m->seen.lap, GROUP, tag_of(who), G_SPREAD)))
		return go(m, IDLE, "loses the group");
	m->i = opt.broken == SPREAD_UP ? 1 : (uint8_t)(opt.group - 1);
	return go(m, SPREAD_LOOK, "begins to spread");
}

static const char *
spread_next(struct mind *m, const char *name)
{
	m->v = 0;
	m->i = (uint8_t)(opt.broken == SPREAD_UP ? m->i + 1 : m->i - 1);
	return go(m, m->i > 0 && m->i < opt.group ? SPREAD_LOOK : SPREAD_END, name);
}

static const char *
spread_look(struct world *w, struct mind *m)
{
	struct word t = *turn_of(w, m->p + m->i);

	if (word_same(t, word(lap_of(m->p), FULL, 0, SINGLE)) && opt.broken != SPREAD_ALL)
		return spread_next(m, "sees an item spread");
	return go(m, SPREAD_READ, "sees an item packed");
}

static const char *
spread_end(struct world *w, struct mind *m, int who)
{
	int lap = lap_of(m->p);

	if (!swap(turn_of(w, m->p), word(lap, GROUP, tag_of(who), G_SPREAD),
	          word(lap, FULL, 0, SINGLE)))
		violation = "a spreader stores over a place that is not its own";
	return go(m, IDLE, "has spread the group");
}

static const char *
mend(struct world *w, struct mind *m, int p, int then)
{
	word_mend(w, p, m->seen);
	return go(m, then, "mends");
}

static const char *
mark(struct world *w, struct mind *m)
{
	swap(turn_of(w, m->p), m->seen, word(m->seen.lap, CLOSED, 0, SINGLE));
	return go(m, IDLE, "marks the end");
}

const char *
getter_step(struct world *w, int who, int choice)
{
	struct mind *m = &w->mind[who];

	if (choice >= CHOICES || (choice && m->pc != IDLE))
		return NULL;
	switch (m->pc) {
	case IDLE:
		return choice == BLIND ? blind(w, who) : judge(w, who, choice, pack_look(w, m, false));
	case LOOK_OWN: return judge(w, who, choice, pack_look_own(w, m, false));
	case CLAIM: return claim(w, m, who);
	case READ:
		m->took[0] = w->cell[m->p % places()][0];
		receive(w, who, m->took[0]);
		return go(m, RELEASE, "reads");
	case RELEASE: return release(w, m, who);
	case CLAIM_GROUP: return claim_group(w, m, who);
	case PASS_HOLE:
		leave(w, who, GROUP, G_PASSING, G_EMPTY, opt.group);
		return go(m, IDLE, "passes a hole");
	case READ_ITEMS: return read_items(w, m, who);
	case RELEASE_GROUP: return release_group(w, m, who);
	case CLAIM_SPREAD: return claim_spread(w, m, who);
	case SPREAD_LOOK: return spread_look(w, m);
	case SPREAD_READ:
		m->v = *item_of(w, m->p, m->i);
		return go(m, SPREAD_WRITE, "reads a packed item");
	case SPREAD_WRITE:
		w->cell[(m->p + m->i) % places()][0] = m->v;
		return go(m, SPREAD_PUBLISH, "moves it");
	case SPREAD_PUBLISH:
		*turn_of(w, m->p + m->i) = word(lap_of(m->p), FULL, 0, SINGLE);
		return spread_next(m, "publishes it");
	case SPREAD_END: return spread_end(w, m, who);
	case MEND: return mend(w, m, m->p, IDLE);
	case MARK: return mark(w, m);
	default: return open_step(w, m);
	}
}

/* ---- recovery: the one place that the record names, if it bears the dead one's name ---- */

static const char *
look_at_place(struct world *w, struct mind *m, int victim)
{
	uint8_t pos = w->pos[victim];

	if (pos == NONE)
		return go(m, LEAVE, "sees no place");
	m->seen = *turn_of(w, pos);
	bool its = m->seen.owner == tag_of(victim) && m->seen.lap == lap_of(pos);
	return go(m, its ? SETTLE : LEAVE, "looks at the place");
}

const char *
recoverer_step(struct world *w, int who, int choice)
{
	struct mind *m = &w->mind[who];

	if (m->pc == IDLE) {
		if (choice >= MEMBERS || choice == who || w->life[choice] != DEAD)
			return NULL;
		m->j = (uint8_t)choice;
		return go(m, LOOK_AT_PLACE, "begins to recover");
	}
	if (choice)
		return NULL;
	switch (m->pc) {
	case LOOK_AT_PLACE: return look_at_place(w, m, m->j);
	case SETTLE: return mend(w, m, w->pos[m->j], LEAVE);
	default:
		if (w->life[m->j] == DEAD)
			w->life[m->j] = LEFT;
		return go(m, IDLE, "has recovered");
	}
}
