/*
 * A storm: producers and consumers at one queue or pipe, one of them killed every few milliseconds
 * and replaced at once. What must hold, however it rages:
 *
 *	- nothing that was put is lost, doubled or torn, beyond what those killed had in hand;
 *	- each producer's messages come in order (not with REDELIVER);
 *	- somebody always gets on: the longest time without a message received is bounded;
 *	- at the end the queue drains, everybody goes when told to, the arena is sound, and neither
 *	  a member nor a block nor a byte is left that was not there before;
 *	- the library's own counts of what was dropped and delivered again fit the kills.
 */
#ifndef RING_STORM_H
#define RING_STORM_H
#include "ring/storm_channel.h"
#include <stdio.h>

struct storm {
	const struct kind *kind;
	uint64_t seed; /* decides everything but the schedule */
	int64_t duration_ns;
	unsigned pairs; /* of a producer and a consumer */
	int64_t kill_every_ns; /* on the average */
	bool spare_consumers; /* only producers are killed: then nothing at all may be lost */
	bool stops; /* now and then one is stopped for a while, and goes on or is killed */
	enum fault fault; /* what the consumers do wrong, to see that it is noticed */
	bool hold; /* after a stall, wait for a debugger instead of ending */
	FILE *report; /* one line, and one more for each thing that went wrong */
};

/* The number of things that went wrong. */
unsigned storm_run(const struct storm *storm);

#endif
