/* poll over any number of descriptors, also more than the process may have open. */
#ifndef BASE_POLLSET_H
#define BASE_POLLSET_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How many have told; 0: the deadline passed, a signal handler ran, or it is time to look again.
 * -errno; -EINVAL, at the deadline or when it is time to look again: the process may have no
 * descriptor open, and none is looked at. A deadline of 0 only looks.
 */
int pollset_wait(struct pollfd *list, size_t count, int64_t deadline);

#endif
