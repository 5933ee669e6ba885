#include "sync/gate.h"
#include "base/clock.h"
#include "base/kernel.h"
#include <errno.h>

void
gate_barrier(bool membarrier)
{
	if (membarrier)
		kernel_barrier();
	else
		fence_seq_cst();
}

void
gate_arm(word32 *gate, bool membarrier)
{
	store_relaxed(gate, GATE_ARMED);
	gate_barrier(membarrier);
}

void
gate_open(word32 *gate)
{
	if (futex_wake(gate, 1) == 0)
		futex_clear_and_wake(gate, FUTEX_ALL);
}

void
gate_open_all(word32 *gate)
{
	futex_clear_and_wake(gate, FUTEX_ALL);
}

int
gate_sleep(struct shoal_thread *t, const struct futex_watch *watch, unsigned count,
           int64_t deadline)
{
	struct futex_watch list[GATE_WATCH_MAX + 1];
	for (unsigned i = 0; i < count; i++)
		list[i] = watch[i];
	return gate_sleep_among(t, list, count, deadline);
}

int
gate_sleep_among(struct shoal_thread *t, struct futex_watch *list, unsigned count, int64_t deadline)
{
	list[count] = (struct futex_watch){ &t->interrupt, 0 };
	if (thread_interrupted(t))
		return -ECANCELED;
	/* A kernel without the rule of list_op_pending passes no wake of the dead on. */
	bool told = kernel_has(KERNEL_PENDING_RULE);
	int64_t until = clock_sooner(deadline, told ? GATE_SLICE_NS : FUTEX_SLICE_NS);
	int rc = futex_wait_any(list, count + 1, until);
	if (thread_interrupted(t))
		return -ECANCELED;
	return rc && until == deadline ? -ETIMEDOUT : 0;
}
