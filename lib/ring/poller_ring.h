/*
 * The io_urings of one source of the poller: what they watch, and for whom.
 *
 * One thread may enter a ring, so each thread that rearms the source has one of its own, RINGS_MAX
 * at most; all raise the source's eventfd. What a thread's ring watches after another thread has
 * rearmed the source raises it once more, for nothing.
 *
 * A ring is closed only when its thread has ended, or the arena is closed: some time later the
 * kernel interrupts the thread that made it, and a call of its like epoll_wait ends with EINTR.
 */
#ifndef RING_POLLER_RING_H
#define RING_POLLER_RING_H

#include "base/uring.h"
#include "ring/poller.h"

struct poller_ring {
	struct poller_ring *next;
	struct uring uring;
	uint32_t tid;         /* the thread that may enter it */
	uint32_t watched;     /* ids that have been added and have not told, bit by bit */
	int peer_fd;          /* a pidfd, -1: none */
	struct poller_peer peer;
};

void poller_ring_close_all(struct poller_ring **rings);
/* In a forked child. */
void poller_ring_forget_all(struct poller_ring **rings);

/*
 * Arms the gate, looks, and has this thread's ring watch. READY: the eventfd may be raised or not.
 * -errno: no ring watches for this thread.
 */
int poller_ring_watch(struct poller_ring **rings, const struct poller_object *o, int eventfd);

#endif
