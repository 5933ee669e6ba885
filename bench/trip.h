/* trip.h - the times that one side of a round trip, or of a hand-over, keeps */
#ifndef BENCH_TRIP_H
#define BENCH_TRIP_H

#include "stage.h"

struct trips {
	struct work *work;
	void *out, *in;
	char *message;
	uint32_t *trip;
	uint32_t count;
	uint64_t seed;
};

void trips_begin(struct trips *, struct work *);
void trips_record(struct trips *, uint64_t ns);

/* Works for so long that whoever waits meanwhile is asleep. */
void trips_think(struct trips *);

/* Leaves the times and the processor time on the stage. */
void trips_end(struct trips *, uint64_t cpu_began);

#endif
