/* Callbacks: one thread that runs them, in the order in which tasks were settled. */
#ifndef POOL_CALLBACK_H
#define POOL_CALLBACK_H

#include "pool/result.h"

int callback_start(struct shoal_pool *p);

/* The result is settled: its callback is run, then it becomes READY. */
void callback_put(struct shoal_result *r);

/* There is something to look at. */
void callback_wake(struct shoal_pool *p);

/* The pool is over: what was put is still run, then the thread ends. */
void callback_stop(struct shoal_pool *p);

#endif
