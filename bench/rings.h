/*
 * rings.h - how large the rings are that are measured: the same for every subject that has one
 *
 * A line is written anew while its last reader still has it in a cache of its own, or, in a ring
 * larger than that cache, once it has gone from there to the one that both share. Where the first
 * is the slower way a large ring carries several times as much: rings are large then. Which it is,
 * the limits of the machine tell, measured in the same run: a message of 64 KiB is handed over in
 * 256 KiB that are used again and again, one of 1 MiB in 4 MiB (limits.h). Where there is no such
 * difference, large rings only take memory, and caches that others could use.
 */
#ifndef BENCH_RINGS_H
#define BENCH_RINGS_H

#include "limits.h"

#include <stddef.h>
#include <stdint.h>

/* By their user, who is asked first, or by the machine. */
enum rings {
	RINGS_BY_MACHINE,
	RINGS_SMALL,
	RINGS_LARGE
};

/* Before the first subject is opened; without it they are small. */
void rings_choose(enum rings asked, const struct limits *);
/* How large, for who reads the report. */
const char *rings_text(void);

/* How many messages a ring of fixed slots holds. */
uint32_t slots_for(size_t bytes);

/* How many bytes a ring of messages of any length has. */
uint32_t ring_bytes_for(size_t bytes);

#endif
