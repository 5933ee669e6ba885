#include "pool/collector.h"
#include "base/clock.h"
#include "base/futex.h"
#include "pool/map.h"
#include "pool/slot.h"
#include "sync/gate.h"

/*
 * A worker that was stopped between an end and its bit, or the bell, would leave it unheard: while
 * anything is pending the collector looks at every slot from time to time.
 */
static bool
look_everywhere(struct shoal_pool *p)
{
	bool found = false;
	for (uint32_t i = 0; i < slot_high(p); i++)
		if (slot_state(load_relaxed(&p->slots[i].state)) == SLOT_DONE)
			found |= slot_harvest(p, i);
	return found;
}

/* Armed before it looks: an end after the look finds the bell armed. */
static void
listen(struct shoal_pool *p)
{
	word32 *bell = &p->head->bell;
	store_seq_cst(bell, 1);
	fence_seq_cst();
	if (slot_harvest_all(p) + map_harvest_all(p) || load_seq_cst(&p->over))
		return;
	bool pending = load_relaxed(&p->unsettled) > 0;
	int64_t until = pending ? clock_sooner(CLOCK_NEVER, GATE_SLICE_NS) : CLOCK_NEVER;
	if (futex_wait(bell, 1, until) == -ETIMEDOUT)
		look_everywhere(p);
}

static void *
live(void *arg)
{
	struct shoal_pool *p = arg;
	while (!load_seq_cst(&p->over))
		listen(p);
	pool_thread_end(p);
	return NULL;
}

int
collector_start(struct shoal_pool *p)
{
	return pool_thread(p, live);
}
