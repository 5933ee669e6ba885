#include "base/pause.h"
#include "base/clock.h"

/* The shortest of some tries counts: in the others somebody else had the processor. */
enum { TRIES = 5, PAUSES = 64, STEP_MOST = 32 };

word32 cpu_pauses = { 1 };

static int64_t
try(void)
{
	int64_t began = clock_now();
	for (int i = 0; i < PAUSES; i++)
		cpu_pause();
	return clock_now() - began;
}

void
pause_measure(void)
{
	int64_t least = INT64_MAX;
	for (int i = 0; i < TRIES; i++) {
		int64_t took = try();
		least = took < least ? took : least;
	}
	int64_t step = least > 0 ? (PAUSE_STEP_NS * PAUSES + least / 2) / least : STEP_MOST;
	store_relaxed(&cpu_pauses, step < 1 ? 1 : step > STEP_MOST ? STEP_MOST : (uint32_t)step);
}
