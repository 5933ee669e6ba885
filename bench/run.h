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
	FIXED_RATE, /* one way, each message at its time; how late it comes */
	ROUND_SPINNING, /* ping-pong, back to back */
	ROUND_ASLEEP, /* ping-pong, each side thinking for so long that the other sleeps */
	ALLOCATION, /* alloc and free in turn, one process */
	LOCK_ALONE, /* acquire and release in turn, one process */
	LOCK_CONTENDED, /* the same by two processes a pair, all at one lock */
	LOCK_RELAY, /* handed over and back, two processes in strict alternation */
	LOCK_ASLEEP, /* handed over to one that sleeps */
	LOCK_DEATH, /* the same by the holder's death */
	MAP_READING_ALONE, /* 95 gets and 5 sets in a hundred, one process */
	MAP_HALF_ALONE, /* a set for each get, one process */
	MAP_READING, /* the same by two processes a pair */
	MAP_HALF,
	MAP_GROWTH, /* new keys only, from empty on, one process */
	PROCESS_START, /* a process that does nothing, started and waited for */
	MEASURES,
};

enum {
	CURVE = 21
};

struct plan {
	const struct subject *subject;
	enum measure measure;
	unsigned producers, consumers; /* of messages; 0 for all else */
	unsigned pairs; /* of all else: workers are two a pair, and both do the same; 0 for messages */
	size_t bytes; /* a message, a block or a map's value; 0 for locks */
	unsigned inside_ns; /* how long a lock is held, each time */
	uint32_t keys; /* of a map; MAP_GROWTH: how many it gets */
	double rate; /* FIXED_RATE: million a second, which the session finds out */
	uint32_t beside_mib; /* PROCESS_START: private memory of the one who starts */
};

struct timing {
	uint64_t warm_ns, window_ns;
};

struct sample {
	bool ok;
	double rate; /* million a second: messages, pairs of alloc and free, acquisitions */
	double cpu_ns; /* processor time of all workers for one of them */
	double switches; /* of all workers' contexts, wanted or not, for a million of them */
	double p50, p90, p99, p999, max; /* microseconds a round trip, or of delay: then all of them */
	double target; /* FIXED_RATE: the rate wanted */
	double curve[CURVE]; /* FIXED_RATE: the delay of all but 10^(-i/4) of the messages */
	double share; /* acquisitions of whoever got fewest, of what would be fair */
	double pause_us; /* MAP_GROWTH: the longest call */
	double line_ns; /* a line's way to the other processor meanwhile; 0: nothing went there */
	uint64_t messages;
	char error[160];
};

/* What the subject can do at all; nothing is measured where it returns false. */
bool plan_possible(const struct plan *);
const char *measure_name(enum measure);

/* Made of times, p50 and so on, and not a rate. */
bool measure_is_trip(enum measure);
bool measure_is_lock(enum measure);
bool measure_is_map(enum measure);
bool measure_is_message(enum measure);

/* One worker, however many pairs. */
bool measure_is_alone(enum measure);

/* The first reason counts; the sample is not good any more. */
void reject(struct sample *, const char *format, ...) __attribute__((format(printf, 2, 3)));

void run_once(const struct plan *, const struct timing *, struct sample *out);

#endif
