/*
 * Envelopes: what holds the objects that a message refers to, from before it is sent until what its
 * receiver got of them is pinned.
 *
 * An envelope is an object without a name, of a kind that no user knows. Its body says to which
 * queue or pipe the message goes, at which place it is, and which references have been counted for
 * it. The message bears MARK_HOLDS (ring/mark.h), and the envelope's reference in its last 8 bytes.
 *
 * Nobody takes an envelope over, and nobody has to give it back: that it is needed is seen from
 * where its message is. It is needed while
 *	1  some member's `posting` names it: it is being sent; or
 *	2  its queue or pipe stands, and has the message at its place: being written by one not yet
 *	   recovered, waiting, being read, given back for another getter; or
 *	3  some member's `opening` names that place: taken, but not all of it is pinned yet.
 * looked at in this order, in which a message goes from one to the next. From then on it is lost,
 * stays so, and goes as every object goes (arena/object.h), dropping what it counted, by whoever
 * looks next: so each reference is given back once, whatever became of the message.
 *
 * ---- crash points ----
 *
 *	MAKING(me)             nothing has been counted: recovery ends it
 *	`posting` names it, then READY, then its references are counted one by one (arena/hold.h), then
 *	the message is sent    lost once recovery has cleared `posting`: the place is none, or one that
 *	                       has no message, a hole
 *	the place is told      by the sender that has claimed it; before the message is there
 *	the message is there   2 holds, whatever becomes of the sender
 *	taken                  `opening` is set before the place is given back, and cleared after all
 *	                       is pinned. A death between: its recovery clears `opening` and the pins.
 *	                       Where a dead taker's message comes back, 2 holds all the time
 *	its end                as for containers: DYING, then `counted` falls with each reference
 *	                       dropped, then the body and the entry go; anybody goes on
 * Who looks: its receiver; its sender, where the queue or pipe was destroyed or the receiving end
 * closed meanwhile; recovery, at all; and what drops messages of the living notes that
 * (object_note_mail): a queue or pipe destroyed, an end closed, task_done, a delivery too many.
 *
 * A stopped member holds up those who send or receive references only as arena/hold.h and
 * arena/object.h say.
 */
#ifndef DATA_ENVELOPE_H
#define DATA_ENVELOPE_H

#include "arena/object.h"
#include <shoal/any.h>

/* One that is being sent, in its sender's own memory. All 0: none. */
struct envelope_call {
	shoal_arena *arena;
	struct shoal_thread *thread;
	struct member *me;
	word64 *place; /* of the message: told before it is there */
	shoal_ref ref;
	uint32_t index;
	uint32_t ring;
	shoal_ref to; /* the queue or pipe */
};

/*
 * For a message to the queue or pipe that is object `ring`, with a value of `refs` references. 0;
 * -EINVAL: an object is being destroyed; -EDEADLK: in a signal handler that interrupted another
 * such call; -ENOMEM, -ENOSPC, -EPROTO.
 */
int envelope_make(shoal_arena *a, uint32_t ring, const shoal_any *v, uint32_t refs,
                  struct envelope_call *out);
/* The message is there; or (rc not 0) is not to be. */
void envelope_sent(struct envelope_call *e, int rc);

/*
 * After what was received is pinned, or was not to be read: the record names the place no longer,
 * and the envelope, if that is what `ref` names, goes.
 */
void envelope_opened(shoal_arena *a, shoal_ref ref);

#endif
