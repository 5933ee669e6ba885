/*
 * Time is CLOCK_MONOTONIC in nanoseconds, everywhere. A call turns its relative timeout into one
 * deadline at its start and keeps to it, however often it wakes.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <shoal/base.h>
#include <time.h>

/* No limit: later than every clock reading. */
#define CLOCK_NEVER INT64_MAX

int64_t clock_now(void);

/* Negative timeouts count as 0, those beyond the clock's end as none. */
int64_t clock_deadline(shoal_time timeout);

/* The earlier of the two, counted from now. */
int64_t clock_sooner(int64_t deadline, int64_t slice_ns);

struct timespec clock_timespec(int64_t at_ns);

#endif
