/* What a worker's process does from its start to its end. */
#ifndef POOL_WORKER_H
#define POOL_WORKER_H

#include "pool/shared.h"

/*
 * How it is told what it is; the pool's arena is the first of the process's, the options' second.
 */
struct worker_order {
	uint64_t head; /* offset in the pool's arena */
	uint32_t seat;
};

int worker_run(void *order);

#endif
