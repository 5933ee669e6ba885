/*
 * Descriptors that poll and epoll understand, for what is told by a gate.
 *
 * One helper thread of the process, made with the first descriptor and anew after fork, sleeps on
 * the poll gates of all sources; an eventfd per source becomes readable when the source is ready.
 * States of a source:
 *
 *	WAITING    the helper watches its gate             -> SIGNALLED  by the helper, when it is ready
 *	SIGNALLED  its eventfd is readable, nobody watches -> WAITING by the call that met nothing
 *	           (poller_rearm)
 *
 * A sender that is killed between its message and the wake leaves the gate unopened;
 * list_op_pending can pass on one wake only, and that is the takers'. So the helper looks again
 * every 5 ms while it watches anything. It has no record in any arena, and blocks all signals.
 */
#ifndef RING_POLLER_H
#define RING_POLLER_H

#include "arena/arena.h"

/*
 * Whether a call on the object would go on without waiting. Called by the helper, under the
 * poller's lock: it must not wait.
 */
typedef bool poller_ready_fn(shoal_arena *, void *object);

/* The descriptor for this gate, made if needed. -EMFILE, -ENOMEM, -EAGAIN (no thread). */
int poller_fd(shoal_arena *a, word32 *gate, poller_ready_fn *ready, void *object);

/* A call met nothing at this gate: its descriptor is unreadable until there is something again. */
void poller_rearm_slow(word32 *gate);
extern word32 poller_sources; /* of this process; 0: nobody asked for a descriptor */

static inline void
poller_rearm(word32 *gate)
{
	if (unlikely(load_relaxed(&poller_sources)))
		poller_rearm_slow(gate);
}

#endif
