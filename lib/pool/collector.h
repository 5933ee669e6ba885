/* The collector: a thread that takes in the ends that are to be told, and that nobody waits for. */
#ifndef POOL_COLLECTOR_H
#define POOL_COLLECTOR_H

#include "pool/pool.h"

int collector_start(struct shoal_pool *p);
/* Something is pending from now on whose end it is to take in: to be called when it is counted. */
void collector_rouse(struct shoal_pool *p);

#endif
