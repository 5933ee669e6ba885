/* What the two ways to trace share: step by step, and in leaps. */
#ifndef STEP_TRACER_H
#define STEP_TRACER_H

#include "victim.h"

enum moved { MOVED, MOVED_ASLEEP, MOVED_END, MOVED_SIGNAL, MOVED_STUCK };

/* The operation returned. */
bool is_done(const struct victim *v);
/* Goes on as ptrace's request says; MOVED_ASLEEP: it is under way, and sleeps. */
enum moved victim_go(struct victim *v, int request);
/* One instruction; the sleep that it falls into is slept out, if somebody ends it. */
enum moved victim_step(struct victim *v);
/* Runs until it comes to pc. false: it cannot be stopped there, or does not come by. */
bool victim_run(struct victim *v, uint64_t pc);

void trace_begin(struct trace *t, const struct victim *v);
struct point *trace_add(struct trace *t, const struct victim *v, bool system_call);
/* The victim is killed. */
void trace_end(struct trace *t, struct victim *v, enum moved moved);
/* Behind a string instruction; pc itself, if it is none. */
uint64_t string_end(uint64_t pc);

#endif
