/*
 * stage.h - what the processes of one repetition share besides the subject
 *
 * Each worker writes its own row and nobody else's; the manager reads the rows twice in a run, at
 * the window's two edges, so that counting costs the workers one store to a line of their own.
 */
#ifndef BENCH_STAGE_H
#define BENCH_STAGE_H

#include "hist.h"
#include "run.h"

#include <stdatomic.h>

enum {
	TRIPS_MAX = 1 << 18
};

struct row {
	/* line 1: written for each message */
	_Alignas(128) _Atomic uint64_t count;

	/* line 2: written once, when the worker is done */
	_Alignas(128) uint64_t messages;
	uint64_t sum, squares, bad;
	uint64_t cpu_ns, switches;
	uint32_t trips;
	uint64_t pause_ns, took_ns; /* the longest call, and all of them */
	char error[128];
};

struct stage {
	_Alignas(128) _Atomic bool stop, measuring;
	_Alignas(128) _Atomic uint32_t producers_left;
	_Atomic uint32_t consumers_ended;
	_Atomic uint32_t gathered, leaving;
	_Atomic uint32_t will;

	/* Plain, and written by whoever holds the lock: in the end it is the number of acquisitions. */
	_Alignas(128) uint64_t guarded;
	uint64_t handed_ns; /* when a lock's last holder was about to give it up */
	struct row row[WORKERS_MAX];
	struct sample sample;
	uint64_t paced_from_ns; /* FIXED_RATE: written before the first message */
	struct hist hist;
	uint32_t trip[2][TRIPS_MAX];
};

/* How far the holder and the heir of a lock are with each other. */
enum will {
	WILL_NONE,
	WILL_MADE, /* the victim holds the lock */
	WILL_WAITED_FOR, /* the heir asks for it */
	WILL_LAST, /* there will be no victim any more */
};

/* What a worker is given. Rows of producers come first, then those of consumers. */
struct work {
	const struct plan *plan;
	const struct opening *opening;
	struct stage *stage;
	struct row *row;
	unsigned index;
};

/* Writes into the row why the worker gives up; false, to be returned. */
bool work_failed(struct work *, const char *call, long rc);

/* Of one message, or of a batch; private, touched, and gone with the process. */
void *work_buffer(const struct plan *);

/* Threads of one process must not count each other's time; a library's threads are to count. */
uint64_t work_cpu_ns(const struct work *);

/* What the worker leaves in its row. */
struct audit;
void work_close(struct work *, const struct audit *, uint64_t cpu_began);

/* Waits until all are there: the first one would have the lock to itself meanwhile. */
void work_gather(struct work *);
unsigned workers_of(const struct plan *);

/* Each runs until the stage says stop and everything has arrived; false is a failed call. */
bool produce(struct work *);
bool consume(struct work *);
bool pace(struct work *);
bool follow(struct work *);
bool ping(struct work *);
bool pong(struct work *);
void allocate_and_free(struct work *);
bool start_and_join(struct work *);
bool contend(struct work *);
bool relay(struct work *);
bool inherit(struct work *);
bool bequeath(struct work *);

#endif
