/* What must hold in every world of groups in which nobody can go on. */
#include "ring_pack.h"

#include <stdio.h>

static bool
is_stopped(const struct world *w, uint8_t tag)
{
	return tag && w->life[tag - 1] == STOPPED;
}

static const char *
check_dead(const struct world *w)
{
	for (int i = 0; i < MEMBERS; i++)
		if (w->life[i] == DEAD)
			return "a dead member is never recovered";
	for (int i = 0; i < places(); i++)
		if (w->turn[i].owner && !is_stopped(w, w->turn[i].owner))
			return "a place is owned by nobody alive";
	return NULL;
}

static bool
getters_wait(const struct world *w)
{
	for (int i = FIRST_GETTER; i < FIRST_GETTER + opt.getters; i++)
		if (w->life[i] == LIVING && w->mind[i].pc != FINISHED)
			return true;
	return false;
}

/* Messages in the ring, whoever has them, are no longer in a place that is EMPTY or a hole. */
static int
messages_inside(const struct world *w)
{
	int n = 0;

	for (int i = 0; i < places(); i += opt.group) {
		struct word leader = w->turn[i];
		bool spread = leader.state == GROUP && leader.phase == G_SPREAD;
		if (leader.state == GROUP) {
			if (spread || leader.phase == G_FULL || leader.phase == G_READING)
				n += opt.group;
			continue;
		}
		for (int j = i; j < i + opt.group; j++) {
			struct word t = w->turn[j];
			n += (t.state == FULL || t.state == READING) && t.phase != HOLE;
		}
	}
	return n;
}

/* The word at the first untaken place: whoever waits for it must have a stopped member to blame. */
static const char *
check_getter(const struct world *w)
{
	int head = true_head(w);
	struct word t = w->turn[head % places()];

	if (is_stopped(w, t.owner))
		return NULL;
	if (t.lap != lap_of(head))
		return t.lap < lap_of(head) ? NULL : "a getter waits behind the truth";
	if (t.state == EMPTY || (t.state == GROUP && t.phase == G_EMPTY))
		return w->closing ? "a getter waits on a closed queue" : NULL;
	return "a getter waits, though a message is there";
}

static const char *
check_putter(const struct world *w)
{
	int tail = true_tail(w), head = true_head(w);
	struct word t = w->turn[tail % places()], l = w->turn[leader_of(tail) % places()];

	if (t.lap == lap_of(tail) && (t.state == EMPTY || t.phase == G_EMPTY))
		return "a putter waits, though there is room";
	if (is_stopped(w, t.owner) || is_stopped(w, l.owner) || !getters_wait(w))
		return NULL;
	return is_stopped(w, w->turn[head % places()].owner) ? NULL
	                                                     : "a putter waits, and getters are idle";
}

static const char *
check_waiting(const struct world *w)
{
	const char *wrong = NULL;

	for (int i = 0; i < FIRST_RECOVERER && !wrong; i++) {
		if (i < PUTTERS ? i >= opt.putters : i - FIRST_GETTER >= opt.getters)
			continue;
		if (w->life[i] == LIVING && w->mind[i].pc != FINISHED)
			wrong = i < PUTTERS ? check_putter(w) : check_getter(w);
	}
	return wrong;
}

/* Every published message was delivered, is inside, or was counted as dropped with its taker. */
const char *
world_check(const struct world *w)
{
	int balance = -w->dropped - messages_inside(w);
	const char *wrong = check_dead(w);

	if (!wrong)
		wrong = check_waiting(w);
	for (int a = 0; a < PUTTERS; a++)
		for (int n = 1; n <= NUMBERS; n++)
			balance += w->published[a][n] - w->delivered[a][n];
	if (!wrong && balance > 0)
		return "a message is lost";
	if (!wrong && balance < 0)
		return "more is delivered and dropped than was put";
	return wrong;
}

void
world_print(const struct world *w)
{
	static const char *const state[] = { "EMPTY", "WRITING", "FULL", "READING", "CLOSED", "GROUP" };
	static const char *const phase[] = { "", "EMPTY", "WRITING", "FULL", "HOLE", "READING",
		                             "PASSING", "SPREAD", "(hole)" };
	static const char *const life[] = { "alive", "dead", "stopped", "gone" };

	for (int i = 0; i < places(); i++)
		printf("  place %d %s %s lap %d owner %d cells %#x %#x\n", i, state[w->turn[i].state],
		       phase[w->turn[i].phase], w->turn[i].lap, w->turn[i].owner - 1, w->cell[i][0],
		       w->cell[i][1]);
	for (int i = 0; i < MEMBERS; i++)
		printf("  member %d %s pc %d cursor %d place %d\n", i, life[w->life[i]], w->mind[i].pc,
		       w->mind[i].cursor, w->pos[i]);
	printf("  closing %d dropped %d head %d tail %d\n", w->closing, w->dropped, true_head(w),
	       true_tail(w));
}
