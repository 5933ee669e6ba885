/*
 * Messages with descriptors, over a socket that keeps their borders (SOCK_SEQPACKET). The kernel
 * carries 253 descriptors a message; more follow in further ones, unseen by the caller.
 */
#ifndef BASE_HANDOVER_H
#define BASE_HANDOVER_H

#include <stddef.h>

#define HANDOVER_FDS 320 /* the most that one handover has */

/* Both ends close-on-exec. 0 or -errno. Here and below: descriptors are above the streams. */
int handover_pair(int ends[2]);

/*
 * 0 or -errno; -EPIPE and -ECONNRESET: nobody is at the other end. -EPROTO: a part has gone, and
 * the rest cannot: the other end would take what is sent next for it.
 */
int handover_send(int socket, const void *data, size_t bytes, const int *fds, size_t count);

/*
 * How many descriptors came, close-on-exec, or -errno; -EPIPE: nobody is at the other end any more.
 * Then none is open. `fds` has room for HANDOVER_FDS.
 */
int handover_recv(int socket, void *data, size_t bytes, int *fds);

#endif
