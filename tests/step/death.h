/*
 * What the kernel does to a thread's robust words when it dies, done to one that stands still: so
 * one run shows what a kill at each of its instructions would leave.
 */
#ifndef STEP_DEATH_H
#define STEP_DEATH_H

#include "victim.h"

/* Words that were marked, and what they were. */
enum { DEATH_WORDS = 64 };

struct death {
	size_t count;
	struct {
		uint64_t at;
		uint32_t was;
	} word[DEATH_WORDS];
};

/* false: its list cannot be read, or is longer than there is room. */
bool death_mark(const struct victim *v, struct death *d);
/* It lives again. */
void death_undo(const struct victim *v, const struct death *d);

#endif
