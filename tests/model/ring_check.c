/* What must hold in every world in which nobody can go on: the promises of the ring. */
#include "ring_world.h"

#include <stdio.h>

static bool
finished(const struct world *w, int who)
{
	return w->mind[who].pc == FINISHED;
}

/* A dead member whose recoverer is stopped waits for it: that one holds what it recovers. */
static bool
held_up(const struct world *w, int who)
{
	const struct record *r = &w->record[who];

	return r->life == DEAD && r->recovering &&
	       w->record[tag_member(r->recovering)].life == STOPPED;
}

static bool
any_stopped(const struct world *w)
{
	for (int i = 0; i < MEMBERS; i++)
		if (w->record[i].life == STOPPED)
			return true;
	return false;
}

static bool
getter_waits(const struct world *w)
{
	for (int i = FIRST_GETTER; i < FIRST_GETTER + opt.getters; i++)
		if (w->record[i].life == LIVING && !finished(w, i))
			return true;
	return false;
}

static const char *
check_dead(const struct world *w)
{
	for (int i = 0; i < MEMBERS; i++)
		if (w->record[i].life == DEAD && !held_up(w, i))
			return "a dead member is never recovered";
	for (int i = 0; i < PLACES; i++) {
		uint8_t owner = w->turn[i].owner;
		if (!owner)
			continue;
		int who = tag_member(owner);
		if (owner != tag_of(w, who))
			return "a place bears a tag that is gone";
		if (w->record[who].life != STOPPED && !held_up(w, who))
			return "a place is owned by nobody alive";
	}
	return NULL;
}

/* Full of what nobody takes: then a getter is what it waits for, and must be absent or held up. */
static const char *
check_putter(const struct world *w, int who)
{
	struct word t = w->turn[true_tail(w) % PLACES];
	int head = true_head(w);
	struct word h = w->turn[head % PLACES];

	if (opt.blocks && !w->record[who].hand.block)
		return any_stopped(w) ? NULL : "a putter finds no block";
	if (t.lap == lap_of(true_tail(w)))
		return "a putter waits, though there is room";
	if (t.owner || !getter_waits(w))
		return NULL;
	if (t.state == BACK)
		return "a putter waits for what came back, and getters are idle";
	if (t.state == FULL && !(h.lap == lap_of(head) && h.state == WRITING))
		return "a putter waits, and getters are idle";
	return NULL;
}

/*
 * JOINABLE: only recovery tells what came back; stopped in between, it holds up those who need
 * that place.
 */
static bool
told_late(const struct world *w)
{
	bool late = false;

	for (int i = 0; i < MEMBERS; i++)
		late |= held_up(w, i);
	return late && opt.joinable && opt.backs;
}

static const char *
check_getter(const struct world *w)
{
	int head = true_head(w);
	struct word t = w->turn[head % PLACES];

	if (t.lap == lap_of(head) && t.state == FULL)
		return "a getter waits, though a message is there";
	if (t.lap == lap_of(head) && t.state == EMPTY && w->closing)
		return "a getter waits on a closed queue";
	for (int i = 0; i < PLACES; i++)
		if (w->turn[i].state == FULL && !(t.lap == lap_of(head) && t.state == WRITING))
			return "a getter waits, and messages stand behind an empty place";
	for (int i = 0; i < PLACES; i++)
		if (w->turn[i].state == BACK && !told_late(w))
			return "a getter waits, though a message came back";
	return NULL;
}

static const char *
check_waiting(const struct world *w)
{
	const char *wrong = NULL;

	for (int i = 0; i < FIRST_RECOVERER && !wrong; i++) {
		if (i < PUTTERS ? i >= opt.putters : i - FIRST_GETTER >= opt.getters)
			continue;
		if (w->record[i].life != LIVING || finished(w, i))
			continue;
		if (w->mind[i].pc != IDLE)
			return "a live member is stuck inside a call";
		wrong = i < PUTTERS ? check_putter(w, i) : check_getter(w);
	}
	return wrong;
}

static int
messages_inside(const struct world *w)
{
	int n = 0;

	for (int i = 0; i < PLACES; i++)
		n += word_holds_message(w->turn[i], w->turn[i].lap * PLACES);
	return n;
}

/* Every published message was delivered, is inside, or was counted as dropped with its taker. */
static const char *
check_messages(const struct world *w)
{
	int balance = -w->dropped - messages_inside(w);
	bool ended = false;

	for (int v = 1; v < MESSAGES; v++)
		balance += w->published[v] - w->delivered[v];
	if (balance > 0)
		return "a message is lost";
	if (balance < 0)
		return "more is delivered and dropped than was put";
	if (opt.redeliver && opt.tries == HOLE && w->dropped)
		return "a message is dropped that should have come back";
	for (int i = FIRST_GETTER; i < FIRST_RECOVERER; i++)
		ended |= finished(w, i);
	if (opt.closes && ended && messages_inside(w) && !any_stopped(w))
		return "the end was given before the last message";
	return NULL;
}

static const char *
check_counts(const struct world *w)
{
	int got = 0, done = 0, back = 0;

	for (int i = 0; i < MEMBERS; i++) {
		got += w->record[i].got;
		done += w->record[i].done;
	}
	for (int i = 0; i < PLACES; i++)
		back += w->turn[i].state == BACK;
	if (got != true_head(w) - back)
		return "the counts of what was taken are wrong";
	if (done != got)
		return "the counts of what is done are wrong";
	return NULL;
}

static bool
block_accounted(const struct world *w, int b)
{
	struct block_word t = w->block[b];

	if (t.state == FREE)
		return true;
	if (t.state == PLACE)
		return word_holds_message(w->turn[t.low % PLACES], t.low) &&
		       w->payload[t.low % PLACES][0] == b;
	const struct record *r = &w->record[tag_member(t.low)];
	if (r->life != LIVING || t.low != tag_of(w, tag_member(t.low)))
		return false;
	return t.state == MAGAZINE ? r->magazine == b : r->hand.block == b;
}

static const char *
check_blocks(const struct world *w)
{
	for (int b = 1; b < BLOCKS; b++)
		if (!block_accounted(w, b))
			return "a block leaks";
	return NULL;
}

/* What a stopped member has in hand is neither lost nor counted yet. */
const char *
world_check(const struct world *w)
{
	const char *wrong = check_dead(w);

	if (!wrong)
		wrong = check_waiting(w);
	if (!wrong)
		wrong = check_messages(w);
	if (any_stopped(w))
		return wrong;
	if (!wrong && opt.joinable)
		wrong = check_counts(w);
	if (!wrong && opt.blocks)
		wrong = check_blocks(w);
	return wrong;
}

static void
print_member(const struct world *w, int i)
{
	static const char *const life[] = { "alive", "dead", "stopped", "gone" };
	const struct record *r = &w->record[i];
	const struct mind *m = &w->mind[i];

	printf("  member %d %s gen %d pc %d cursor %d | pos %d base %d got %d done %d | hand %d/%d/%d "
	       "magazine %d | loans",
	       i, life[r->life], r->generation, m->pc, m->cursor, r->pos, r->base, r->got, r->done,
	       r->hand.block, r->hand.kind, r->hand.pos, r->magazine);
	for (int l = 0; l < LOANS; l++)
		printf(" %d/%d/%d", r->loan[l].pos, r->loan[l].block, r->loan[l].base);
	printf(" | locked by %d\n", r->recovering ? tag_member(r->recovering) : -1);
}

void
world_print(const struct world *w)
{
	static const char *const place[] = { "EMPTY", "WRITING", "FULL", "READING", "BACK", "CLOSED" };
	static const char *const block[] = { "free", "magazine", "held", "place" };

	for (int i = 0; i < PLACES; i++)
		printf("  place %s lap %d owner %d tries %d payload %d/%d\n", place[w->turn[i].state],
		       w->turn[i].lap, w->turn[i].owner ? tag_member(w->turn[i].owner) : -1,
		       w->turn[i].tries, w->payload[i][0], w->payload[i][1]);
	for (int i = 0; i < MEMBERS; i++)
		print_member(w, i);
	for (int b = 1; opt.blocks && b < BLOCKS; b++)
		printf("  block %d %s %d\n", b, block[w->block[b].state], w->block[b].low);
	printf("  closing %d backs %d dropped %d\n", w->closing, w->backs, w->dropped);
}
