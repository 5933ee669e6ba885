/* A pool before it has workers and threads. */
#ifndef POOL_CREATE_H
#define POOL_CREATE_H

#include "pool/pool.h"

/* In this arena, or, when it is NULL, in one of its own. What there is of it goes by pool_drop. */
int create_host(const shoal_pool_options *o, shoal_arena *arena, struct shoal_pool **out);

#endif
