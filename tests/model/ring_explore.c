/*
 * Explores every world that the ring's protocol can reach, with deaths and stops before any step.
 *
 * usage: ring_explore [option]...
 *	-putters N -getters N -puts A,B    who there is, and how many messages each putter puts
 *	-kills N -stops N -births N        how many may die, stop for ever, join on a dead one's record
 *	-redeliver -joinable -blocks -close -abort
 *	-loans N      getters borrow, up to N at once, and release in any order
 *	-returns N    or return them to be delivered again, N times in all
 *	-tries N      a message that came back N + 1 times is taken to be dropped
 *	-backs        getters learn of what came back by `backs` alone
 *	-size -join   an observer asks for the size, or joins
 *	-straight     recovery frees a block by one CAS, without naming it in a hand of its own
 *	-broken RULE  explores a protocol that is wrong in this rule
 *	-trace        visits nearest worlds first and tells the shortest way to what is wrong
 *	-limit N      gives up after N worlds (exit status 2)
 *
 * Prints one line. Exit status 0: every promise holds in every world; 1: it does not.
 */
#include "ring_world.h"
#include "states.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct state_set seen;
static struct state_list list = { .bytes = sizeof(struct world) };
static bool trace;
static size_t here; /* index of the world being visited, for the trace */
static struct state_step last; /* the one that breaks a promise */
static size_t limit = 400000000, moves, ends;

/* What a member between two calls has forgotten tells no two worlds apart. */
static void
forget(struct mind *m)
{
	struct mind kept = { .pc = m->pc };

	if (m->pc == IDLE) {
		kept.cursor = m->cursor;
		kept.backs_seen = m->backs_seen;
		kept.tasks = m->tasks;
		memcpy(kept.borrowed, m->borrowed, sizeof kept.borrowed);
	}
	if (m->pc == IDLE || m->pc == FINISHED)
		*m = kept;
}

static void
found(struct world *w, int who, const char *name)
{
	if (who != OBSERVER)
		forget(&w->mind[who]);
	if (!state_set_add(&seen, w, sizeof *w))
		return;
	state_list_add(&list, w);
	if (trace)
		list.step[list.count - 1] = (struct state_step){ here, name, who };
}

/*
 * Drop: a long message's place is released before it is copied, and what was not copied dies with
 * its taker.
 */
static bool
holds_uncopied(const struct world *w, int who)
{
	const struct record *r = &w->record[who];
	struct block_word b = w->block[w->mind[who].v % BLOCKS];

	if (who < FIRST_GETTER || who >= FIRST_RECOVERER || !opt.blocks || opt.redeliver)
		return false;
	if (r->hand.kind != HAND_GET || r->hand.block != w->mind[who].v || r->pos == NONE)
		return false;
	if (w->turn[r->pos % PLACES].lap == lap_of(r->pos))
		return false;
	return b.state == HELD && b.low == tag_of(w, who) && !w->delivered[w->content[r->hand.block]];
}

static void
lose_mind(struct world *w, int who, int life)
{
	w->dropped = (uint8_t)(w->dropped + holds_uncopied(w, who));
	w->mind[who] = (struct mind){ 0 };
	w->record[who].life = (uint8_t)life;
}

static void
strike(const struct world *now, int who)
{
	struct world w = *now;

	if (now->kills < opt.kills) {
		w.kills++;
		lose_mind(&w, who, DEAD);
		found(&w, who, "IS KILLED");
	}
	w = *now;
	if (now->stops < opt.stops) {
		w.stops++;
		lose_mind(&w, who, STOPPED);
		found(&w, who, "IS STOPPED");
	}
}

static bool
takes_part(int who)
{
	if (who < PUTTERS)
		return who < opt.putters;
	if (who < FIRST_RECOVERER)
		return who - FIRST_GETTER < opt.getters;
	return who < OBSERVER || opt.size || opt.join;
}

static void
join_again(const struct world *now, int who)
{
	struct world w = *now;

	if (now->births >= opt.births || who >= FIRST_RECOVERER)
		return;
	w.births++;
	w.record[who].life = LIVING;
	found(&w, who, "JOINS ANEW");
}

static step_fn *
steps_of(int who)
{
	if (who < PUTTERS)
		return putter_step;
	if (who < FIRST_RECOVERER)
		return getter_step;
	return who < OBSERVER ? recoverer_step : observer_step;
}

static int
choices_of(const struct world *w, int who)
{
	if (who < PUTTERS)
		return 2;
	if (who < FIRST_RECOVERER)
		return getter_choices(w, who);
	return who < OBSERVER && w->mind[who].pc == IDLE ? MEMBERS : 1;
}

/* The observer may look for ever: its steps are not a sign that things go on. */
static void
step(const struct world *now, int who)
{
	int choices = choices_of(now, who);
	bool idle_helper = who >= FIRST_RECOVERER && now->mind[who].pc == IDLE;

	if (who < IMMORTAL && !idle_helper)
		strike(now, who);
	for (int choice = 0; choice < choices && !violation; choice++) {
		struct world w = *now;
		const char *name = steps_of(who)(&w, who, choice);
		if (!name)
			continue;
		moves += who != OBSERVER || w.mind[who].pc == FINISHED;
		if (violation && trace)
			last = (struct state_step){ here, name, who };
		found(&w, who, name);
	}
}

static void
visit(const struct world *now)
{
	moves = 0;
	for (int who = 0; who < MEMBERS && !violation; who++) {
		if (!takes_part(who))
			continue;
		if (now->record[who].life == LEFT)
			join_again(now, who);
		if (now->record[who].life == LIVING && now->mind[who].pc != FINISHED)
			step(now, who);
	}
	if (moves || violation)
		return;
	ends++;
	violation = world_check(now);
}

static void
tell_way(size_t to)
{
	const struct state_step *s = &list.step[to];

	if (to == 0)
		return;
	tell_way(s->from);
	printf("    %d %s\n", s->who, s->name);
}

static void
begin(void)
{
	struct world w;

	memset(&w, 0, sizeof w);
	for (int i = 0; i < MEMBERS; i++) {
		w.record[i].pos = NONE;
		for (int l = 0; l < LOANS; l++)
			w.record[i].loan[l] = (struct loan){ NONE, 0, NONE };
	}
	list.with_steps = trace;
	found(&w, 0, "begins");
}

/*
 * Nearest first keeps every world for the trace; otherwise the last found is visited first and
 * forgotten.
 */
static int
explore(void)
{
	struct world now;

	begin();
	while (list.count > (trace ? here : 0) && !violation && seen.count <= limit) {
		now = *(struct world *)state_list_at(&list, trace ? here : --list.count);
		visit(&now);
		here += trace && !violation;
	}
	if (violation && trace) {
		tell_way(here);
		printf("    %d %s\n", last.who, last.name ? last.name : "and nobody can go on");
		world_print(&now);
	}
	if (violation)
		printf("FAILS: %s (%zu states)\n", violation, seen.count);
	else if (seen.count > limit)
		printf("GIVES UP: after %zu states\n", seen.count);
	else
		printf("ok: %zu states, %zu ends\n", seen.count, ends);
	return violation ? 1 : seen.count > limit ? 2
	                                          : 0;
}

static bool
read_flag(const char *name)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = {
		{ "-redeliver", &opt.redeliver },
		{ "-joinable", &opt.joinable },
		{ "-blocks", &opt.blocks },
		{ "-close", &opt.closes },
		{ "-abort", &opt.aborts },
		{ "-backs", &opt.backs },
		{ "-size", &opt.size },
		{ "-join", &opt.join },
		{ "-straight", &opt.straight },
		{ "-trace", &trace },
	};

	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (!strcmp(name, flags[i].name))
			return *flags[i].flag = true;
	return false;
}

static bool
read_number(const char *name, const char *value)
{
	const struct {
		const char *name;
		int *number;
	} numbers[] = {
		{ "-putters", &opt.putters },
		{ "-getters", &opt.getters },
		{ "-kills", &opt.kills },
		{ "-stops", &opt.stops },
		{ "-births", &opt.births },
		{ "-loans", &opt.loans },
		{ "-returns", &opt.returns },
		{ "-tries", &opt.tries },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		if (strcmp(name, numbers[i].name))
			continue;
		*numbers[i].number = atoi(value);
		return true;
	}
	if (!strcmp(name, "-limit"))
		return (limit = strtoull(value, NULL, 10)) > 0;
	if (!strcmp(name, "-puts"))
		return sscanf(value, "%d,%d", &opt.puts[0], &opt.puts[1]) == 2;
	for (int i = 0; i < BROKEN_KINDS && !strcmp(name, "-broken"); i++)
		if (!strcmp(value, broken_name[i]))
			return opt.broken = (enum broken)i, true;
	return false;
}

int
main(int argc, char **argv)
{
	opt = (struct options){ .putters = 1, .getters = 1, .puts = { 2, 1 }, .tries = HOLE };
	for (int i = 1; i < argc; i++) {
		if (read_flag(argv[i]))
			continue;
		if (i + 1 == argc || !read_number(argv[i], argv[i + 1])) {
			fprintf(stderr, "ring_explore: what is %s?\n", argv[i]);
			return 2;
		}
		i++;
	}
	int result = explore();
	state_list_finish(&list);
	state_set_finish(&seen);
	return result;
}
