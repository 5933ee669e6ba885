/*
 * Explores every world that groups can reach, with deaths and stops before any step.
 *
 * usage: ring_pack_explore [option]...
 *	-putters N -getters N -puts A,B   who there is, and how many messages each putter puts
 *	-group N -groups N                places in a group, groups in the ring
 *	-kills N -stops N                 how many may die, or stop for ever
 *	-close                            putter 0 closes the queue at its end
 *	-hints                            cursors also move up to what others stored
 *	-broken RULE                      explores a protocol that is wrong in this rule
 *	-trace                            tells the shortest way to what is wrong
 *
 * Whether an item is put alone or with a group, and a group taken whole or spread, is tried both
 * ways each time. Prints one line. Exit status 0: every promise holds in every world; 1: it does
 * not.
 */
#include "ring_pack.h"
#include "states.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct state_set seen;
static struct state_list list = { .bytes = sizeof(struct world) };
static bool trace;
static size_t here, moves, ends, limit = 400000000;
static struct state_step last;

/* What a member between two calls has forgotten tells no two worlds apart. */
static void
found(struct world *w, int who, const char *name)
{
	struct mind *m = &w->mind[who];

	if (m->pc == IDLE || m->pc == FINISHED)
		*m = (struct mind){ .pc = m->pc, .cursor = m->pc == IDLE ? m->cursor : 0 };
	if (!state_set_add(&seen, w, sizeof *w))
		return;
	state_list_add(&list, w);
	if (trace)
		list.step[list.count - 1] = (struct state_step){ here, name, who };
}

static void
strike(const struct world *now, int who, bool stop)
{
	struct world w = *now;

	if (stop ? now->stops >= opt.stops : now->kills >= opt.kills)
		return;
	w.kills = (uint8_t)(w.kills + !stop);
	w.stops = (uint8_t)(w.stops + stop);
	w.mind[who] = (struct mind){ 0 };
	w.life[who] = stop ? STOPPED : DEAD;
	found(&w, who, stop ? "IS STOPPED" : "IS KILLED");
}

static bool
takes_part(int who)
{
	if (who < PUTTERS)
		return who < opt.putters;
	return who >= FIRST_RECOVERER || who - FIRST_GETTER < opt.getters;
}

static const char *
one_step(struct world *w, int who, int choice)
{
	if (who < PUTTERS)
		return putter_step(w, who, choice);
	return who < FIRST_RECOVERER ? getter_step(w, who, choice) : recoverer_step(w, who, choice);
}

static void
step(const struct world *now, int who)
{
	bool idle_helper = who >= FIRST_RECOVERER && now->mind[who].pc == IDLE;

	if (who < IMMORTAL && !idle_helper) {
		strike(now, who, false);
		strike(now, who, true);
	}
	for (int choice = 0; choice < MEMBERS && !violation; choice++) {
		struct world w = *now;
		const char *name = one_step(&w, who, choice);
		if (violation && trace)
			last = (struct state_step){ here, name, who };
		if (!name)
			continue;
		moves++;
		found(&w, who, name);
	}
}

static void
visit(const struct world *now)
{
	moves = 0;
	for (int who = 0; who < MEMBERS && !violation; who++)
		if (takes_part(who) && now->life[who] == LIVING && now->mind[who].pc != FINISHED)
			step(now, who);
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

/* A group of an unused ring has its followers EMPTY: the leader's word is a single place's. */
static int
explore(void)
{
	struct world now;

	memset(&now, 0, sizeof now);
	memset(now.pos, NONE, sizeof now.pos);
	list.with_steps = trace;
	found(&now, 0, "begins");
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
	bool *flag = !strcmp(name, "-close")   ? &opt.closes
	             : !strcmp(name, "-hints") ? &opt.hints
	             : !strcmp(name, "-trace") ? &trace
	                                       : NULL;

	return flag && (*flag = true);
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
		{ "-group", &opt.group },
		{ "-groups", &opt.groups },
		{ "-kills", &opt.kills },
		{ "-stops", &opt.stops },
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
	opt = (struct options){ .putters = 1, .getters = 1, .puts = { 4, 1 }, .group = 2, .groups = 1 };
	for (int i = 1; i < argc; i++) {
		if (read_flag(argv[i]))
			continue;
		if (i + 1 == argc || !read_number(argv[i], argv[i + 1])) {
			fprintf(stderr, "ring_pack_explore: what is %s?\n", argv[i]);
			return 2;
		}
		i++;
	}
	if (opt.group * opt.groups > PLACES_MAX || opt.group > 4 || opt.puts[0] > NUMBERS ||
	    opt.puts[1] > NUMBERS) {
		fprintf(stderr, "ring_pack_explore: at most %d places and %d puts\n", PLACES_MAX, NUMBERS);
		return 2;
	}
	int result = explore();
	state_list_finish(&list);
	state_set_finish(&seen);
	return result;
}
