/* A worker's part in a job. */
#ifndef POOL_CHUNK_H
#define POOL_CHUNK_H

#include "pool/task.h"

/*
 * Does what is to be had of the job with this id; *left falls by each chunk, to 0 (NULL: no limit).
 */
void chunk_work(struct self *self, uint64_t id, uint32_t *left);

#endif
