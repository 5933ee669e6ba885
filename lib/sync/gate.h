/*
 * Gates: how one sleeps until another one has done something, at no cost to the other's fast path.
 *
 * A gate word is 0 or GATE_ARMED (its low 30 bits stay 0, so that the kernel's rule for
 * list_op_pending applies).
 *
 *	sleeper                                     waker
 *	  pending = gate                              pending = gate
 *	  look; nothing                               change what is looked at   (release store)
 *	  gate = ARMED                                compiler fence
 *	  kernel_barrier                              gate armed?  -> gate_open
 *	  look again; nothing                         pending restored
 *	  sleep while gate == ARMED and the word
 *	    looked at is what was seen
 *
 * The sleeper pays for the order between the waker's two steps: after its barrier either it sees
 * the change or the waker sees the gate. In an arena without membarrier the waker's change is a
 * seq_cst exchange and the sleeper's barrier a fence.
 *
 * pending makes the kernel wake one sleeper when a waker, or one who was just woken, dies. That
 * wake changes no value, so a sleeper between its last look and its sleep would miss it: therefore
 * it watches the gate AND the word that the event changes.
 *
 * Wake, then clear, in two steps would lose sleepers that armed in between: gate_open wakes one,
 * and only when nobody was asleep clears the gate and wakes all in one system call. Model:
 * tests/model/gate.pml.
 *
 * A waker STOPPED between its change and its wake is the one case that nothing tells: sleeps are
 * cut into GATE_SLICE_NS.
 */
#ifndef SYNC_GATE_H
#define SYNC_GATE_H

#include "base/futex.h"
#include "base/thread.h"

#define GATE_ARMED 0x80000000u
#define GATE_SLICE_NS INT64_C(50000000)
#define GATE_WATCH_MAX 8

/* The sleeper's side, between its two looks. */
void gate_arm(word32 *gate, bool membarrier);
/* One for several gates, each of which was made GATE_ARMED before. */
void gate_barrier(bool membarrier);

/* The waker's slow side: lets one sleeper go on, who lets the next one go if there is more. */
void gate_open(word32 *gate);
/* Everybody: the end of the queue, a place that was mended, those who poll. */
void gate_open_all(word32 *gate);

/*
 * Sleeps until one of the watched words changes, at most one slice. 0: look again. -ETIMEDOUT: the
 * deadline passed. -ECANCELED: shoal_thread_interrupt. `count` is at most GATE_WATCH_MAX.
 */
int gate_sleep(struct shoal_thread *t, const struct futex_watch *watch, unsigned count,
               int64_t deadline);
/* The same for up to 127 words, in a list that has room for one more. */
int gate_sleep_among(struct shoal_thread *t, struct futex_watch *list, unsigned count,
                     int64_t deadline);

#endif
