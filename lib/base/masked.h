/*
 * A mutex under which signals are blocked, for what a fork waits for: no handler comes to its
 * holder, where one that forks would wait for its own thread for ever. Nor is its holder cancelled,
 * by a write to a stream or by what else it calls.
 *
 * Held ones may be given back by the forked child, as fork's handlers do. They nest, the first
 * taken to be given back last.
 */
#ifndef BASE_MASKED_H
#define BASE_MASKED_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

struct masked {
	pthread_mutex_t mutex;
	struct held {
		sigset_t mask;
		int cancel;
	} old; /* the holder's, which it gets back */
};

#define MASKED_INIT { .mutex = PTHREAD_MUTEX_INITIALIZER }

void masked_lock(struct masked *);
bool masked_try_lock(struct masked *);
void masked_unlock(struct masked *);
/* pthread_once, where the C library has a lock that fork waits for, too. */
void masked_once(pthread_once_t *, void (*)(void));
/* Free, in a child of a holder that no handler of fork was called for. */
void masked_renew(struct masked *);

#endif
