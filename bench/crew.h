/*
 * crew.h - the workers of one repetition: processes, or threads where the subject knows no others
 */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include "stage.h"

#include <pthread.h>
#include <sys/types.h>

typedef bool worker_fn(struct work *);

struct hand {
	pid_t pid;
	pthread_t thread;
	worker_fn *worker;
	struct work work;
	unsigned processor;
};

struct crew {
	struct hand hand[WORKERS_MAX];
	unsigned count;
};

/* Producers (of a pair: the first halves) come first. False: not all could be started. */
bool crew_start(struct crew *, struct work *, worker_fn *worker_for(enum measure, bool producer));

/* Waits for all, with a deadline; what went wrong is left in the sample. */
void crew_finish(struct crew *, struct stage *, struct sample *out);
void crew_kill(struct crew *);

#endif
