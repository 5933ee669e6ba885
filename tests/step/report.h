/* What a case found: violations, and what it did. */
#ifndef STEP_REPORT_H
#define STEP_REPORT_H

#include "victim.h"

struct tally {
	const struct step_case *of;
	unsigned long instructions, kills, states, checks, sleeps, recoveries, earnest, stops;
	unsigned long violations, drifts, slow, unjudged;
	int64_t slowest_ns;
	char slowest[64];
	/* at how many different places of the code those instructions stand */
	unsigned long places;
	/* by role: at how many places and instructions it is held up, the first and the last of them */
	unsigned long held_places[STEP_ROLES];
	unsigned long held[STEP_ROLES], held_first[STEP_ROLES], held_last[STEP_ROLES];
	uint64_t held_pc_first[STEP_ROLES], held_pc_last[STEP_ROLES];
	int64_t began;
};

/* Where a process was: the point of one trace, and of the recoverer's, if there was one. */
struct place {
	const char *phase;
	const struct trace *trace;
	size_t n;
	const struct trace *second;
	size_t m;
	const char *meet;
};

void report_violation(struct tally *tally, const struct place *at, const char *text);
/* What went wrong while the machine was late, and is tried again. */
void report_unjudged(const struct tally *tally, const struct place *at, const char *text,
                     int64_t late_ns);
void report_summary(const struct tally *tally);
/* function+offset, file:line of an address of this program. */
void report_where(uint64_t pc, char *out, size_t room);
/*
 * Compares with held.txt beside the sources; with STEP_HELD=print, prints the table's lines
 * instead.
 */
void report_held(struct tally *tally);

#endif
