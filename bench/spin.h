/*
 * spin.h - how those wait that cannot sleep
 *
 * As such rings are used by people who cannot be sure of a processor each: 300 pauses, then the
 * rest of the slice is given away, and again after every 100. The same for every subject.
 */
#ifndef BENCH_SPIN_H
#define BENCH_SPIN_H

#include <sched.h>

enum {
	PAUSES_BEFORE_YIELD = 300,
	PAUSES_AFTER_YIELD = 100,
};

static inline void
pause_once(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#else
	__asm__ volatile("" ::: "memory");
#endif
}

static inline void
spin_a_little(unsigned *waits)
{
	if (++*waits < PAUSES_BEFORE_YIELD) {
		pause_once();
		return;
	}
	sched_yield();
	*waits = PAUSES_BEFORE_YIELD - PAUSES_AFTER_YIELD;
}

#endif
