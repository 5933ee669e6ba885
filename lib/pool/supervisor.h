/* The supervisor: a thread that looks after the workers from the pool's start to its end. */
#ifndef POOL_SUPERVISOR_H
#define POOL_SUPERVISOR_H

#include "pool/pool.h"

int supervisor_start(struct shoal_pool *p);

#endif
