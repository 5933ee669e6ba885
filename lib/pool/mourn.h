/* What becomes of what a dead worker had in its hands. The supervisor's. */
#ifndef POOL_MOURN_H
#define POOL_MOURN_H

#include "pool/pool.h"

struct death {
	uint32_t seat;
	int code;        /* for its task: -EOWNERDEAD, or -ETIMEDOUT when it was overdue */
	const char *how; /* for its task's text */
	bool held;       /* it had a task: the policy decides */
};

/* Settles its slot or chunk, and tells again what it may not have told. */
void mourn(struct shoal_pool *p, struct death *d);

/* Whether an item that was tried so often before is to be tried again. */
bool mourn_try_again(struct shoal_pool *p, const struct death *d, unsigned tries);

/* Every QUEUED slot and every map that goes on has messages in the queue again. */
void mourn_put_again(struct shoal_pool *p);

#endif
