#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define HELD_TABLE STEP_SOURCES "/held.txt"

enum { SHOWN = 6, LINE = 600 };

/* The file that an address is mapped from, and the address within it. */
static bool
module_of(uint64_t pc, char *path, uint64_t *offset)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[LINE];
	bool found = false;
	while (maps && !found && fgets(line, sizeof line, maps)) {
		unsigned long long from, to, at;
		path[0] = 0;
		if (sscanf(line, "%llx-%llx %*s %llx %*s %*s %255s", &from, &to, &at, path) < 3)
			continue;
		found = pc >= from && pc < to;
		*offset = pc - from + at;
	}
	if (maps)
		fclose(maps);
	return found && path[0] == '/';
}

void
report_where(uint64_t pc, char *out, size_t room)
{
	char path[256], command[400], function[120] = "?", line[160] = "?";
	uint64_t offset = 0;
	snprintf(out, room, "%#llx", (unsigned long long)pc);
	if (!module_of(pc, path, &offset))
		return;
	snprintf(command, sizeof command, "addr2line -f -s -e '%s' %#llx 2>/dev/null", path,
	         (unsigned long long)offset);
	struct itimerval every = { 0 }, none = { 0 };
	setitimer(ITIMER_REAL, &none, &every);
	FILE *pipe = popen(command, "r");
	if (!pipe)
		return;
	if (fgets(function, sizeof function, pipe) && fgets(line, sizeof line, pipe)) {
		function[strcspn(function, "\n")] = 0;
		line[strcspn(line, "\n ")] = 0;
	}
	pclose(pipe);
	setitimer(ITIMER_REAL, &every, NULL);
	const char *base = strrchr(path, '/');
	snprintf(out, room, "%s (%s, %s+%#llx)", function, line, base + 1, (unsigned long long)offset);
}

static void
place_text(const struct trace *t, size_t n, char *out, size_t room)
{
	char where[300];
	report_where(t->point[n].pc, where, sizeof where);
	snprintf(out, room, "instruction %zu of %zu, before %s", n, t->count - 1, where);
}

void
report_violation(struct tally *tally, const struct place *at, const char *text)
{
	char where[400] = "", second[400] = "";
	tally->violations++;
	if (tally->of->control || tally->violations > SHOWN)
		return;
	if (at->trace && at->n < at->trace->count)
		place_text(at->trace, at->n, where, sizeof where);
	if (at->second && at->m < at->second->count)
		place_text(at->second, at->m, second, sizeof second);
	printf("%s: %s: at %s%s%s %s: %s\n", tally->of->name, at->phase, where,
	       at->meet ? "; then " : "", at->meet ? at->meet : "", second, text);
	fflush(stdout);
}

void
report_unjudged(const struct tally *tally, const struct place *at, const char *text,
                int64_t late_ns)
{
	if (tally->of->control)
		return;
	printf("%s: %s: at instruction %zu, not judged, the machine is %.0f ms late: %s\n",
	       tally->of->name, at->phase, at->n, (double)late_ns / 1e6, text);
	fflush(stdout);
}

void
report_summary(const struct tally *t)
{
	if (getenv("STEP_QUIET"))
		return;
	printf("%s: %lu instructions, %lu kills, %lu states, %lu checks, %lu with a sleeper, "
	       "%lu of recoveries (%lu in earnest), %lu stops, "
	       "slowest %.1f ms (%s), %lu drifts, %lu late, %lu not judged, %lu violations, %.1f s\n",
	       t->of->name, t->instructions, t->kills, t->states, t->checks, t->sleeps,
	       t->recoveries, t->earnest, t->stops, (double)t->slowest_ns / 1e6, t->slowest, t->drifts,
	       t->slow, t->unjudged, t->violations, (double)(step_now() - t->began) / 1e9);
	fflush(stdout);
}

/* ---- who is held up ---- */

static void
held_print(const struct tally *t, size_t role)
{
	char first[300], last[300];
	const char *name = t->of->role[role].name;
	if (!t->held[role]) {
		printf("%s %s 0 of %lu (0 of %lu)\n", t->of->name, name, t->places, t->instructions);
		return;
	}
	report_where(t->held_pc_first[role], first, sizeof first);
	report_where(t->held_pc_last[role], last, sizeof last);
	first[strcspn(first, ",")] = 0;
	last[strcspn(last, ",")] = 0;
	printf("%s %s %lu of %lu (%lu of %lu): %lu-%lu, %s) to %s)\n", t->of->name, name,
	       t->held_places[role], t->places, t->held[role], t->instructions, t->held_first[role],
	       t->held_last[role], first, last);
}

/*
 * How many places held.txt allows: -1 if it does not know the case and role, -2 if it is not here.
 */
static long
held_allowed(const struct tally *t, const char *role)
{
	char line[LINE], name[100], who[40];
	FILE *file = fopen(HELD_TABLE, "r");
	long allowed = file ? -1 : -2, n;
	while (file && fgets(line, sizeof line, file)) {
		if (sscanf(line, "%99s %39s %ld", name, who, &n) == 3 &&
		    !strcmp(name, t->of->name) && !strcmp(who, role))
			allowed = n;
	}
	if (file)
		fclose(file);
	return allowed;
}

/*
 * Places in the code are compared, not instructions that went by: how often a wait looks before it
 * sleeps is another number each time. Another compiler makes other instructions of the same window,
 * so a window may be half as long again as the table says and 12 more; a role that the table says
 * is never held up may not be held up anywhere.
 */
static void
held_compare(struct tally *t, size_t role)
{
	char text[200];
	const char *name = t->of->role[role].name;
	long allowed = held_allowed(t, name), held = (long)t->held_places[role];
	if (allowed > 0 && held <= allowed + allowed / 2 + 12)
		return;
	if (held == 0 && allowed >= 0)
		return;
	if (held == 0 && t->of->control)
		return;
	if (allowed == -2)
		snprintf(text, sizeof text, "no " HELD_TABLE " here: run it where the sources are");
	else if (allowed == -1)
		snprintf(text, sizeof text, "%s is held up at %ld places, held.txt has no line of it", name,
		         held);
	else
		snprintf(text, sizeof text, "%s is held up at %ld places, held.txt says %ld", name, held,
		         allowed);
	report_violation(t, &(struct place){ .phase = "stop" }, text);
	held_print(t, role);
}

void
report_held(struct tally *tally)
{
	const char *mode = getenv("STEP_HELD");
	for (size_t i = 0; i < STEP_ROLES && tally->of->role[i].try; i++) {
		if (mode && !strcmp(mode, "print"))
			held_print(tally, i);
		else if (!mode || strcmp(mode, "ignore") != 0)
			held_compare(tally, i);
	}
}
