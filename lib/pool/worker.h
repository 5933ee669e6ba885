/* What a worker's process does from its start to its end. */
#ifndef POOL_WORKER_H
#define POOL_WORKER_H

#include "pool/task.h"

/*
 * How it is told what it is; the pool's arena is the first of the process's, the options' second.
 */
struct worker_order {
	uint64_t head; /* offset in the pool's arena */
	uint32_t seat;
};

int worker_run(void *order);

/* Its parts. 0 or why not. */
int worker_begin(struct self *self, shoal_arena *arena, shoal_arena *theirs,
                 const struct worker_order *o);
/* One message: 0; or why there is none. */
int worker_once(struct self *self, uint32_t *left, shoal_time timeout);

#endif
