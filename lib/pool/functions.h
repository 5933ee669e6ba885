/*
 * Functions by number: what a task's place names instead of a pointer, since a worker may have its
 * modules elsewhere. A function keeps its number as long as the pool lives.
 */
#ifndef POOL_FUNCTIONS_H
#define POOL_FUNCTIONS_H

#include "pool/shared.h"

typedef void any_function(void);

/*
 * In the host, under the pool's lock: 0; -ENOMEM: there are too many; -EINVAL: other processes
 * than forked ones cannot find it.
 */
int function_number(struct pool_head *head, any_function *fn, uint32_t *number);

/* In a worker, which has one pool: NULL where it has no such function. */
any_function *function_find(const struct pool_head *head, uint32_t number);

#endif
