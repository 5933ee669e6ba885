/*
 * Descriptors that poll and epoll understand, for what is told by a gate.
 *
 * Each source has an eventfd, which is readable when the source is ready. What raises it is an
 * io_uring (poller_ring.h), for which nobody runs and nothing looks while all is idle; else one
 * helper thread of the process, made when it is first needed and anew after fork, with all signals
 * blocked, which borrows a record while it arms a gate. States of a source:
 *
 *	WAITING    its ring, or the helper, watches it    -> SIGNALLED  by the helper, or by the call
 *	           (or its ring has raised the eventfd)                 itself, when it is ready
 *	SIGNALLED  its eventfd is readable                -> WAITING by a call that met nothing
 *	                                                     (poller_rearm)
 *
 * The eventfd alone says whether a ring has told, so a call that meets nothing reads it, and leaves
 * it unreadable with all watched again, or readable.
 *
 * A member that dies between its message and the wake leaves the poll gate unopened; its
 * list_op_pending names the takers' gate. A ring watches that gate too, and the bell, as one who is
 * told of deaths only (FUTEX_FOR_DEATHS), so takers' wakes never go there. The helper thread cannot
 * watch the takers' gates so: it looks every 5 ms. So it does for sources with a ring where no word
 * tells (POLLER_UNTOLD).
 *
 * The kernel's wake at a death is one alone: when it goes to a ring, nobody else is told until the
 * ring's user calls, which may be never. So an object says who polls it: 0 nobody, the pid of one
 * process, or POLLED_BY_MANY. Set once, before any ring watches, and never cleared, since nobody
 * could tell when; those who sleep on it then look every 5 ms, and where many poll it, so do their
 * helper threads. Who sleeps or watches already when it is set is woken to see it. A process that
 * dies between setting it and the wakes watches nothing.
 */
#ifndef RING_POLLER_H
#define RING_POLLER_H

#include "arena/object.h"

enum poller_answer {
	POLLER_READY,  /* a call on the object would go on without waiting */
	POLLER_TOLD,   /* not so; the gates and the end of the peer tell of all that can change it */
	POLLER_UNTOLD, /* not so, and something else can change it: look every 5 ms */
};

/* A process whose end changes the answer; pid 0: none. */
struct poller_peer {
	pid_t pid;
	uint64_t started; /* kernel_start_time */
};

struct poller_object;
/* Called under the poller's lock: it must not wait. `peer` is all zero, to be filled. */
typedef enum poller_answer poller_look_fn(const struct poller_object *, struct poller_peer *peer);

#define POLLED_BY_MANY 0x80000000u

struct poller_object {
	shoal_arena *arena;
	struct object_seen seen_as; /* index 0: memory of the user's, that no object ends with */
	word32 *gate;     /* of those who poll */
	word32 *dying[2]; /* what list_op_pending names in calls on the object; NULL: nothing more */
	word32 *bell;     /* the word of its bell, NULL: it has none */
	word32 *polled;
	poller_look_fn *look;
	void *object;
	uint32_t *seen; /* the look's own, kept from one to the next; 0 at first */
};

/*
 * The descriptor for this gate, made if needed. -EMFILE, -ENOMEM, -EAGAIN (no thread). Its caller
 * names the object.
 */
int poller_fd(const struct poller_object *o);

/* The descriptor of this gate, if there is one, is closed. */
void poller_forget(word32 *gate);

/*
 * For the user of the object who is done with it: the descriptors of what lay there go, if that was
 * destroyed. Else they stay, readable, for those who have not seen it yet.
 */
void poller_forget_ended(const void *object);

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
