/* clock.h - time, naps and processors */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One clock for all processors: stamps of different processes may be subtracted. */
uint64_t clock_ns(void);
void clock_nap(uint64_t ns);

/* Processor time of this process so far. */
uint64_t clock_cpu_ns(void);
uint64_t clock_thread_cpu_ns(void);

/* The n-th of the processors that this process was given, counted round. */
void pin_to(unsigned n);

/* Where this runs in real time: so much above what it was. Nothing elsewhere. */
void priority_shift(int by);

/* fork; the child dies with its parent, whatever kills that. */
pid_t fork_bound(void);

/* True when the child has ended by the deadline; its wait status is left in *status. */
bool wait_until(pid_t, uint64_t deadline_ns, int *status);

#endif
