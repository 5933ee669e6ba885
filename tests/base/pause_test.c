#include "base/clock.h"
#include "base/pause.h"
#include "harness.h"

enum { TRIES = 50, STEPS = 100 };

/* Of one step: the shortest of some tries. */
static double
step_ns(void)
{
	int64_t least = INT64_MAX;
	for (int i = 0; i < TRIES; i++) {
		int64_t began = clock_now();
		for (int k = 0; k < STEPS; k++)
			cpu_relax();
		int64_t took = clock_now() - began;
		least = took < least ? took : least;
	}
	return (double)least / STEPS;
}

/* Unless one pause takes longer. */
Test(pause, a_step_takes_as_long_as_it_says)
{
	pause_measure();
	double ns = step_ns();
	REQUIRE(ns > PAUSE_STEP_NS / 2.0);
	REQUIRE(load_relaxed(&cpu_pauses) == 1 || ns < PAUSE_STEP_NS * 2.0 * HARNESS_SLOW);
}

Test(pause, is_measured_at_the_first_call)
{
	store_relaxed(&cpu_pauses, 0);
	REQUIRE(shoal_thread_self());
	REQUIRE(load_relaxed(&cpu_pauses) > 0);
}
