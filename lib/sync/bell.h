/*
 * Bells: what those who sleep on an object learn from when one who changes it for all of them, ends
 * it or makes one of its ends its own, dies between the change and the wakes.
 *
 *	sleeper                                     changer
 *	  arms its gate                               bell_take: the word bears its id
 *	  s = the bell's word                         the change
 *	  looks again; nothing                        wakes all
 *	  sleeps while the word is s, and so on       bell_give: 0, and all are woken
 *	  looks again, and completes the change
 *
 * The gates of an object are several, and list_op_pending names one word only; this word is watched
 * by everybody. It is on the robust list while it is held, so the death changes it and wakes one
 * sleeper, who does for all others what the dead one did not. A sleeper that reads it before the
 * change does not sleep through the change, one that reads it later looks at the object after it.
 *
 * It is no lock: who cannot have it, since another one changes the object just now, goes on
 * without it. So does a signal handler that interrupted a change of its thread's robust list.
 *
 * Why this, and stay.h. Both tell those who wait that an object is over, but what they have to go
 * by differs. Who sleeps on a queue or a pipe watches several words anyway, so one more costs
 * nothing, and tells of a death at once, where messages promise 10 ms; who is inside, their calls
 * say in the member's record as it is; and a bell tells of more than ends: of closing, and of ends
 * claimed. Who sleeps for a lock watches its word alone, since a second one halves what goes
 * through a contended lock, the public struct has no room for a bell, and most locks are in no
 * arena, where nothing is to be told: there a look at the object's entry each 50 ms is enough.
 * Bells in the entries for what is no lock, and stays for locks, would be a third way; stays for
 * queues would make 50 ms of what is at once.
 *
 *	0                  nobody
 *	tid, SLEEPERS      held
 *	DIED, SLEEPERS     its holder died; the next one clears it
 */
#ifndef SYNC_BELL_H
#define SYNC_BELL_H

#include "sync/robust.h"

static inline uint32_t
bell_read(const struct robust *bell)
{
	return load_acquire(&bell->word);
}

/*
 * False: another one has it, or it cannot be had just now. It is given back by the call that took
 * it, which may be a signal handler's.
 */
static inline bool
bell_take(struct shoal_thread *t, struct robust *bell)
{
	uint32_t word = bell_read(bell);
	if ((word & (FUTEX_TID | FUTEX_DIED)) == FUTEX_DIED)
		cas32_acq_rel(&bell->word, word, 0);
	return robust_claim_briefly(t, bell);
}

static inline void
bell_give(struct shoal_thread *t, struct robust *bell)
{
	robust_drop_briefly(t, bell);
}

#endif
