/*
 * Long operations in leaps: a victim runs from one change of what others may see to the next.
 *
 * Watched memory is write-protected in the victim alone, so each store to it faults, and is then
 * stepped over; a debug register tells of each store to the head of its robust list; system calls
 * stop it. Killed anywhere between two such points, it leaves the same. Where the processor's
 * debug registers are not known, and where memory is mapped elsewhere, it is stepped instead.
 */
#ifndef STEP_LEAP_H
#define STEP_LEAP_H

#include "victim.h"

/* As trace_follow: the points are those after which something may differ. */
void leap_follow(struct trace *t, struct victim *v);
/* As victim_to, for such a trace. */
bool leap_to(struct victim *v, struct trace *t, size_t n);

#endif
