/* How progress is told: what the ready-made bar has to know beside what it is given. */
#ifndef POOL_PROGRESS_H
#define POOL_PROGRESS_H

#include <shoal/pool.h>

/* Calls it, for what began then. NULL: nobody wants to know. */
void progress_tell(void (*progress)(void *, size_t, size_t), void *arg, size_t done, size_t total,
                   int64_t began);

#endif
