/*
 * Events: a count of turns, and a gate for those who wait for the next one.
 *
 *	 0 turns  odd: set; even: clear. Set makes an even one odd, clear an odd one even, each by one
 *	          CAS; over an odd one set writes the same (event.c, E1). A wait that began at an even
 *	          number has been told when it is another one now, though it be even again.
 *	 4 gate   0, or GATE_ARMED: there may be sleepers, or a descriptor that waits (gate.h)
 *	 8 polled  not 0: descriptors may watch the gate as well (ring/poller.h). The kernel's wake
 *	           for a dead setter may go to one of them, so sleepers look every 5 ms
 *	12 named  1: it can be destroyed (stay.h); set when it is initialised
 *	16 16 bytes unused
 */
#ifndef SYNC_EVENT_H
#define SYNC_EVENT_H

#include "base/atomic.h"
#include <shoal/sync.h>

struct event {
	word32 turns;
	word32 gate;
	word32 polled;
	word32 named;
	word32 unused[4];
};

_Static_assert(sizeof(struct event) == sizeof(shoal_event), "an event's size is pinned");

static inline struct event *
event_of(const shoal_event *event)
{
	return (struct event *)(uintptr_t)event;
}

/*
 * Told of each wait that found its event clear and did not wait; the ring floor's poller makes the
 * event's descriptor unreadable there. Set before main.
 */
extern void (*event_unset_hook)(word32 *gate) __attribute__((visibility("hidden")));

#endif
