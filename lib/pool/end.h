/* How a pool ends, by its user's hand or with its process. */
#ifndef POOL_END_H
#define POOL_END_H

#include "pool/pool.h"

/* From now on the normal end of this process terminates the pool first. 0 or -ENOMEM. */
int end_with_process(struct shoal_pool *p);

/* Of a pool that could not be made: what there is of it goes. */
void end_unborn(struct shoal_pool *p);

#endif
