/*
 * start.c - processes that do nothing, started and waited for one after the other
 *
 * One worker, and one process at a time, on the worker's processor: what a start costs in all. The
 * private memory beside it is what a fork has to describe anew, in pages of the smallest size.
 */
#include "clock.h"
#include "trip.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Never given back: the worker ends with it. */
static bool
hold_memory(size_t mib)
{
	size_t bytes = mib * MEBI;
	char *memory;

	if (!bytes)
		return true;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < bytes; at += 4096)
		memory[at] = 1;
	return true;
}

bool
start_and_join(struct work *w)
{
	const struct plan *p = w->plan;
	struct trips t;
	uint64_t cpu_began;
	int rc;

	if (!hold_memory(p->beside_mib))
		return work_failed(w, "mmap", -ENOMEM);
	trips_begin(&t, w);
	cpu_began = clock_cpu_ns();
	while (!atomic_load_explicit(&w->stage->stop, memory_order_relaxed)) {
		uint64_t began = clock_ns();

		rc = p->subject->start();
		if (rc < 0)
			return work_failed(w, "start", rc);
		trips_record(&t, clock_ns() - began);
		atomic_store_explicit(&w->row->count, t.count, memory_order_relaxed);
	}
	trips_end(&t, cpu_began);
	return true;
}
