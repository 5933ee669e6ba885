/*
 * run.h - one repetition of one measurement
 *
 * A repetition forks a stage manager, which opens the subject and forks the workers, so that no
 * repetition inherits anything from another: no warm heap, no member, no leak. Everything in it
 * dies with its parent and has a deadline.
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "subject.h"

enum measure {
	ONE_WAY, /* copied from a private buffer and into one */
	ONE_WAY_TOUCHED, /* every byte made by the producer and summed by the consumer */
	ROUND_SPINNING, /* ping-pong, back to back */
	ROUND_ASLEEP, /* ping-pong, each side thinking for so long that the other sleeps */
	ALLOCATION, /* alloc and free in turn, one process */
	MEASURES,
};

struct plan {
	const struct subject *subject;
	enum measure measure;
	unsigned pairs;
	size_t bytes;
};

struct timing {
	uint64_t warm_ns, window_ns;
};

struct sample {
	bool ok;
	double rate; /* million a second: messages, or pairs of alloc and free */
	double cpu_ns; /* processor time of all workers for one message */
	double p50, p99, p999; /* microseconds a round trip */
	uint64_t messages;
	char error[160];
};

/* What the subject can do at all; nothing is measured where it returns false. */
bool plan_possible(const struct plan *);
const char *measure_name(enum measure);

void run_once(const struct plan *, const struct timing *, struct sample *out);

#endif
