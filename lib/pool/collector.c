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

/*
 * Nothing is pending, nor was it a slice ago: sleeps until it is told that something is. Quiet
 * before it looks once more: what is counted after the look finds it quiet.
 */
static void
sleep_quietly(struct shoal_pool *p)
{
	struct futex_watch watch[2] = { { &p->head->bell, 1 },
		                            { &p->roused, load_seq_cst(&p->roused) } };
	store_seq_cst(&p->quiet, 1);
	if (!load_seq_cst(&p->unsettled) && !load_seq_cst(&p->over))
		futex_wait_any(watch, 2, CLOCK_NEVER);
	store_seq_cst(&p->quiet, 0);
}

void
collector_rouse(struct shoal_pool *p)
{
	if (!load_seq_cst(&p->quiet))
		return;
	fetch_add_seq_cst(&p->roused, 1);
	futex_wake(&p->roused, 1);
}

/*
 * Armed before it looks: an end after the look finds the bell armed. Whether nothing was pending
 * for a whole slice; one that goes to sleep for good between any two tasks would have to be woken
 * twice for each.
 */
static bool
listen(struct shoal_pool *p, bool quiet)
{
	word32 *bell = &p->head->bell;
	store_seq_cst(bell, 1);
	fence_seq_cst();
	if (slot_harvest_all(p) + map_harvest_all(p) || load_seq_cst(&p->over))
		return false;
	if (quiet) {
		sleep_quietly(p);
		return false;
	}
	bool pending = load_seq_cst(&p->unsettled) > 0;
	if (futex_wait(bell, 1, clock_sooner(CLOCK_NEVER, GATE_SLICE_NS)) != -ETIMEDOUT)
		return false;
	look_everywhere(p);
	return !pending;
}

static void *
live(void *arg)
{
	struct shoal_pool *p = arg;
	pool_thread_begin(p);
	for (bool quiet = false; !load_seq_cst(&p->over);)
		quiet = listen(p, quiet);
	pool_thread_end(p);
	return NULL;
}

int
collector_start(struct shoal_pool *p)
{
	return pool_thread(p, live);
}
