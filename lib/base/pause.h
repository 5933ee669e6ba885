/*
 * How long a step of a spin is. A pause takes from 1 ns (aarch64's yield) to 50 ns, by the
 * processor's make, and who spins is to give up after a time, not after so many of them: too early,
 * and it sleeps for what would have come; too late, and it burns what others could use.
 */
#ifndef BASE_PAUSE_H
#define BASE_PAUSE_H

#include "base/atomic.h"

/* What a step is to take, in nanoseconds; where one pause takes longer, a step is one pause. */
enum { PAUSE_STEP_NS = 20 };

/* Takes a few microseconds; once in a process, before it spins. */
void pause_measure(void);

#endif
