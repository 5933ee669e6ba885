/*
 * How events are set and waited for; their words are in event.h.
 *
 *	sleeper                                        setter
 *	  pending = gate                                 pending = gate
 *	  turns? even                                    turns + 1, odd: + 0             (seq_cst, E1)
 *	  gate = ARMED; fence                (E2)        gate armed?  -> gate_open_all   (seq_cst, E1)
 *	  turns? the same                                pending restored
 *	  sleep while gate == ARMED and turns the same
 *	  told, and the gate is armed: gate_open_all
 *
 * E1 with E2: either the sleeper's second look sees the turn, or the setter sees the gate.
 *
 * E1 with E3, the clear of an odd one (acquire): a set of what is set already writes what it saw,
 * so the clear either comes after it, and whoever clears sees what was written before the set, or
 * comes before it, and the set sees the even number. Were it a load, the caller's own stores might
 * still be on their way when it reads the old number: the event clear, and nothing to be seen yet.
 *
 * Crash points: for a setter that dies before its wake the kernel wakes one sleeper, who wakes all
 * others; should it die too, pending names the gate for it as well. One that is about to sleep just
 * then sees the turn, which it watches. A set of what is set looks at the gate too: the one who set
 * it may be stopped. A setter in a signal handler may have to leave pending as it is
 * (robust_name_beside): who sleeps looks after its slice then. Models: tests/model/event.pml,
 * event_order.pml.
 */
#include "base/clock.h"
#include "base/error.h"
#include "sync/event.h"
#include "sync/gate.h"
#include "sync/plain.h"
#include "sync/robust.h"

#define SPIN_MAX 100

void (*event_unset_hook)(word32 *gate);

int
shoal_event_init(shoal_event *event)
{
	struct event *e = event_of(event);
	store_relaxed(&e->gate, 0);
	store_relaxed(&e->polled, 0);
	store_relaxed(&e->named, stay_is_for(e));
	store_release(&e->turns, 0);
	return 0;
}

bool
shoal_event_is_set(const shoal_event *event)
{
	return load_acquire(&event_of(event)->turns) & 1;
}

/* As for semaphores: one who saw that it is set may have destroyed it. */
static void
wake(struct event *e, bool named)
{
	struct stay stay = named ? stay_begin(e, STAY_QUICK) : (struct stay){ 0 };
	if (!named || (stay.word && !stay_over(&stay)))
		gate_open_all(&e->gate);
	stay_end(&stay);
}

int
shoal_event_set(shoal_event *event)
{
	struct event *e = event_of(event);
	bool named = load_relaxed(&e->named);
	struct robust_head *head = thread_robust();
	void *old = head ? robust_name_beside(head, &e->gate) : NULL;
	uint32_t seen;
	do
		seen = load_relaxed(&e->turns);
	while (!cas32_seq_cst(&e->turns, seen, seen | 1)); /* E1 */
	if (load_seq_cst(&e->gate))
		wake(e, named);
	if (head)
		robust_name_again(head, old);
	return 0;
}

int
shoal_event_clear(shoal_event *event)
{
	struct event *e = event_of(event);
	uint32_t seen;
	do
		seen = load_relaxed(&e->turns);
	while ((seen & 1) && !cas32_acq_rel(&e->turns, seen, seen + 1)); /* E3 */
	return 0;
}

static inline bool
is_told(const struct event *e, uint32_t seen)
{
	return load_acquire(&e->turns) != seen;
}

static bool
spin(const struct event *e, uint32_t seen)
{
	for (int i = 0; i < SPIN_MAX && !load_relaxed(&e->gate); i++) {
		if (is_told(e, seen))
			return true;
		cpu_relax();
	}
	return false;
}

static int
wait_asleep(struct shoal_thread *t, struct event *e, const struct stay *stay, uint32_t seen,
            int64_t deadline)
{
	struct futex_watch watch[] = { { &e->gate, GATE_ARMED }, { &e->turns, seen } };
	for (int rc = 0;;) {
		if (is_told(e, seen))
			return 0;
		/* Only now: after the deadline there is one more look. */
		if (rc)
			return rc;
		if (stay_ended(stay)) {
			gate_open_all(&e->gate);
			return -EPIPE;
		}
		if (thread_interrupted(t))
			return -ECANCELED;
		gate_arm(&e->gate, false);
		if (is_told(e, seen))
			return 0;
		if (stay_over(stay))
			continue;
		int64_t until = deadline;
		if (load_relaxed(&e->polled))
			until = clock_sooner(deadline, FUTEX_SLICE_NS);
		rc = gate_sleep(t, watch, 2, until);
		if (rc == -ECANCELED)
			return rc;
		if (until < deadline)
			rc = 0;
	}
}

static int
wait_staying(struct shoal_thread *t, struct event *e, const struct stay *stay, uint32_t seen,
             int64_t deadline)
{
	void *old = robust_pending_set(t, &e->gate);
	int rc = spin(e, seen) ? 0 : wait_asleep(t, e, stay, seen, deadline);
	/* Whatever its own reason: it may be the one whom the kernel woke for all. */
	if (is_told(e, seen) && load_relaxed(&e->gate))
		gate_open_all(&e->gate);
	robust_pending_restore(t, old);
	return rc;
}

static int
wait_slow(struct event *e, uint32_t seen, shoal_time timeout)
{
	struct shoal_thread *t = thread_self();
	if (!t)
		return fail(-ENOMEM, "no memory for this thread's record");
	bool named = load_relaxed(&e->named);
	struct stay stay = named ? stay_begin(e, STAY_JOIN) : (struct stay){ 0 };
	int rc = stay_over(&stay) ? -EPIPE : wait_staying(t, e, &stay, seen, clock_deadline(timeout));
	stay_end(&stay);
	if (stay.readonly)
		return fail_quiet(-EPERM, "the event is in an arena that is attached read-only");
	if (rc == -EPIPE)
		return fail_quiet(rc, "the event was destroyed");
	if (rc == -ETIMEDOUT)
		return fail_quiet(rc, "the event was not set in time");
	return rc ? fail_quiet(rc, "the wait was interrupted by shoal_thread_interrupt") : 0;
}

int
shoal_event_wait(shoal_event *event, shoal_time timeout)
{
	struct event *e = event_of(event);
	uint32_t seen = load_acquire(&e->turns);
	if (seen & 1)
		return 0;
	if (timeout <= 0) {
		if (unlikely(event_unset_hook != NULL))
			event_unset_hook(&e->gate);
		return fail_quiet(-EAGAIN, "the event is not set, and the timeout is 0");
	}
	return wait_slow(e, seen, timeout);
}

void
event_shut(shoal_event *event)
{
	struct robust_head *head = thread_robust();
	word32 *gate = &event_of(event)->gate;
	void *old = head ? robust_name(head, gate) : NULL;
	gate_open_all(gate);
	if (head)
		robust_name_again(head, old);
}
