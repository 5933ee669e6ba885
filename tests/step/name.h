/*
 * Who is who in shared memory: words that bear a process's id or its start time differ between two
 * equal runs, and are compared by what they mean.
 */
#ifndef STEP_NAME_H
#define STEP_NAME_H

#include "step.h"

struct names {
	pid_t tid[STEP_WHOS];
	uint64_t start[STEP_WHOS];
};

/* Of the run that goes on now. */
const struct names *names_now(void);
void names_put(const struct names *n);
void names_clear(void);
/* A process of this run; it is alive, or not yet waited for. */
void names_add(enum step_who who, pid_t tid);

/* Two words in place: names for thread ids, a sign for start times. */
void pair_named(uint32_t *word, const struct names *n);

#endif
