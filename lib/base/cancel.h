/*
 * No cancellation of this thread for a moment: the C library's streams, and some of what liburcu
 * does, are full of cancellation points.
 */
#ifndef BASE_CANCEL_H
#define BASE_CANCEL_H

#include <pthread.h>

static inline int
cancel_forbid(void)
{
	int old;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	return old;
}

static inline void
cancel_restore(int old)
{
	pthread_setcancelstate(old, NULL);
}

#endif
