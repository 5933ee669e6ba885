/* A putter: single puts and groups in every order, and close. */
#include "ring_pack.h"

enum {
	LOOK_OWN = 1,
	CLAIM,
	WRITE,
	PUBLISH,
	SEE_FOLLOWERS,
	CLAIM_GROUP,
	FILL,
	PUBLISH_GROUP,
	MEND,
	MARK,
	CLOSING,
	CLOSE_LOOK_OWN,
};

/* What an idle putter may do. */
enum {
	ONE,
	MANY,
	BLIND, /* the fast way: claims the place of its cursor without another look */
	CHOICES
};

static int
message_of(const struct world *w, int who, int ahead)
{
	return 16 * who + w->sent[who] + 1 + ahead;
}

static const char *
aim(struct world *w, int who, int pc)
{
	struct mind *m = &w->mind[who];

	m->p = w->pos[who] = m->cursor;
	return go(m, pc, "looks");
}

static const char *
ready(struct world *w, int who, int choice, bool is_group)
{
	struct mind *m = &w->mind[who];

	if (choice == ONE && !is_group)
		return aim(w, who, CLAIM);
	if (choice == ONE) {
		aim(w, who, IDLE);
		open_begin(m, IDLE);
		return "opens";
	}
	if (m->cursor % opt.group || w->sent[who] + opt.group > opt.puts[who])
		return NULL;
	m->i = 1;
	bool seen = is_group || opt.group == 1 || opt.broken == PACK_UNSEEN;
	return aim(w, who, seen ? CLAIM_GROUP : SEE_FOLLOWERS);
}

static const char *
meet_dead(struct world *w, struct mind *m)
{
	if (!m->seen.owner || !tag_dead(w, m->seen.owner))
		return NULL;
	m->p = m->cursor;
	return go(m, MEND, "meets a dead owner");
}

static const char *
judge(struct world *w, int who, int choice, enum found found)
{
	struct mind *m = &w->mind[who];

	switch (found) {
	case READY: return ready(w, who, choice, false);
	case READY_GROUP: return ready(w, who, choice, true);
	case WAIT: return choice == ONE ? meet_dead(w, m) : NULL;
	case END: return go(m, FINISHED, "EPIPE");
	case ASK: return go(m, LOOK_OWN, "asks the leader");
	default: return go(m, IDLE, "walks");
	}
}

static const char *
idle(struct world *w, int who, int choice)
{
	struct mind *m = &w->mind[who];

	if (w->sent[who] >= opt.puts[who]) {
		if (choice)
			return NULL;
		return go(m, opt.closes && who == 0 ? CLOSING : FINISHED, "has put all");
	}
	if (w->closing)
		return choice ? NULL : go(m, FINISHED, "EPIPE");
	if (choice != BLIND)
		return judge(w, who, choice, pack_look(w, m, true));
	m->seen = *turn_of(w, m->cursor);
	if (!word_same(m->seen, word(lap_of(m->cursor), EMPTY, 0, SINGLE)))
		return NULL;
	return aim(w, who, CLAIM);
}

static const char *
claim(struct world *w, int who, struct word to, int then)
{
	struct mind *m = &w->mind[who];
	bool mine = swap(turn_of(w, m->p), m->seen, to);

	m->i = 0;
	return go(m, mine ? then : IDLE, mine ? "claims" : "loses claim");
}

static const char *
see_follower(struct world *w, struct mind *m)
{
	if (!word_same(*turn_of(w, m->p + m->i), word(m->seen.lap, EMPTY, 0, SINGLE)))
		return go(m, IDLE, "sees a follower in use");
	m->i++;
	return go(m, m->i < opt.group ? SEE_FOLLOWERS : CLAIM_GROUP, "sees a follower EMPTY");
}

static const char *
publish(struct world *w, int who, struct word from, struct word to, int n)
{
	struct mind *m = &w->mind[who];

	if (!swap(turn_of(w, m->p), from, to))
		violation = "a putter stores over a place that is not its own";
	for (int i = 0; i < n; i++)
		publish_message(w, message_of(w, who, i));
	w->sent[who] = (uint8_t)(w->sent[who] + n);
	w->tail = m->cursor = (uint8_t)(m->p + n);
	return go(m, IDLE, "publishes");
}

static const char *
fill(struct world *w, int who)
{
	struct mind *m = &w->mind[who];

	*item_of(w, m->p, m->i) = (uint8_t)message_of(w, who, m->i);
	m->i++;
	return go(m, m->i < opt.group ? FILL : PUBLISH_GROUP, "writes an item");
}

static const char *
close_judge(struct mind *m, enum found found)
{
	switch (found) {
	case READY: m->p = m->cursor; return go(m, MARK, "finds the tail");
	case READY_GROUP:
		m->p = m->cursor;
		open_begin(m, CLOSING);
		return "opens";
	case ASK: return go(m, CLOSE_LOOK_OWN, "asks the leader");
	case JUMP: return go(m, CLOSING, "walks");
	default: return go(m, FINISHED, "has closed");
	}
}

static const char *
close_look(struct world *w, struct mind *m)
{
	if (!w->closing) {
		w->closing = 1;
		return "sets closing";
	}
	return close_judge(m, pack_look(w, m, true));
}

static const char *
mark(struct world *w, struct mind *m)
{
	bool marked = swap(turn_of(w, m->p), m->seen, word(m->seen.lap, CLOSED, 0, SINGLE));

	return go(m, marked ? FINISHED : CLOSING, "marks the end");
}

static const char *
mend(struct world *w, struct mind *m)
{
	word_mend(w, m->p, m->seen);
	return go(m, IDLE, "mends");
}

const char *
putter_step(struct world *w, int who, int choice)
{
	struct mind *m = &w->mind[who];
	int lap = lap_of(m->p), tag = tag_of(who);

	if (choice >= CHOICES || (choice && m->pc != IDLE && m->pc != LOOK_OWN))
		return NULL;
	switch (m->pc) {
	case IDLE: return idle(w, who, choice);
	case LOOK_OWN: return choice == BLIND ? NULL : judge(w, who, choice, pack_look_own(w, m, true));
	case CLAIM: return claim(w, who, word(lap, WRITING, tag, SINGLE), WRITE);
	case WRITE:
		w->cell[m->p % places()][0] = (uint8_t)message_of(w, who, 0);
		return go(m, PUBLISH, "writes");
	case PUBLISH:
		return publish(w, who, word(lap, WRITING, tag, SINGLE), word(lap, FULL, 0, SINGLE), 1);
	case SEE_FOLLOWERS: return see_follower(w, m);
	case CLAIM_GROUP: return claim(w, who, word(lap, GROUP, tag, G_WRITING), FILL);
	case FILL: return fill(w, who);
	case PUBLISH_GROUP:
		return publish(w, who, word(lap, GROUP, tag, G_WRITING), word(lap, GROUP, 0, G_FULL),
		               opt.group);
	case MEND: return mend(w, m);
	case CLOSING: return close_look(w, m);
	case CLOSE_LOOK_OWN: return close_judge(m, pack_look_own(w, m, true));
	case MARK: return mark(w, m);
	default: return open_step(w, m);
	}
}
