#include "arena/handle.h"
#include "base/error.h"
#include "base/kernel.h"
#include <string.h>

void (*arena_unmap_hook)(shoal_arena *a);

int
arena_back(const shoal_arena *a, uint64_t from, uint64_t bytes)
{
	int rc = shmfile_back(a->fd, from, bytes);
	if (rc == 0)
		return 0;
	return fail(rc, "there is no memory for %llu more bytes of arena '%s': %s",
	            (unsigned long long)bytes, a->name, strerror(-rc));
}

int
arena_asked(const char *call, const void *arena, const void *out)
{
	if (likely(arena && out))
		return 0;
	return fail(-EINVAL, "%s needs %s, not NULL", call,
	            arena ? "a place for what it gives" : "an arena");
}

static void
fill(shoal_arena *a, const struct arena_header *h)
{
	a->bytes = h->limit_bytes;
	a->pages_max = h->pages_max;
	a->members_max = h->members_max;
	a->objects_max = h->objects_max;
	a->processes_at = h->processes_at;
	a->members_at = h->members_at;
	a->objects_at = h->objects_at;
	a->names_at = h->names_at;
	a->pages_at = h->pages_at;
	a->pins_at = h->pins_at;
	a->data_at = h->data_at;
	a->id = h->id;
	a->flags = h->flags;
}

int
handle_map(const struct arena_header *h, int fd, unsigned flags, const char *what,
           shoal_arena **out)
{
	int rc;
	shoal_arena *a = table_slot();
	if (!a)
		return fail(-EMFILE, "%s: this process has %u arenas mapped already", what,
		            THREAD_SEATS);
	char *base = shmfile_map(fd, h->limit_bytes, flags, &rc);
	if (!base)
		return fail(rc,
		            "%s: %llu bytes of addresses cannot be mapped: %s; RLIMIT_AS "
		            "(ulimit -v) is too small, or limit_bytes too large",
		            what, (unsigned long long)h->limit_bytes, strerror(-rc));
	fill(a, h);
	a->fd = fd;
	a->base = base;
	a->header = (struct arena_header *)(void *)base;
	a->readonly = flags & SHMFILE_READONLY;
	a->references = 1;
	*out = a;
	return 0;
}

void
handle_unmap(shoal_arena *a)
{
	shmfile_unmap(a->base, a->bytes);
	a->base = NULL;
	a->closing = false;
	store_relaxed(&a->abandoned, 0);
}

/*
 * Where the arena's waits rely on membarrier, the thread that opens a gate issues it for all who
 * sleep there. One that it does not reach could sleep through its wake.
 */
int
handle_join_barrier(const shoal_arena *a, const char *what)
{
	if (a->readonly || !(a->flags & ARENA_MEMBARRIER))
		return 0;
	int rc = kernel_has(KERNEL_MEMBARRIER) ? kernel_barrier_join() : -EPERM;
	if (rc == 0)
		return 0;
	return fail(-EPERM,
	            "%s uses membarrier, which this process may not (%s); create the arena with "
	            "SHOAL_WITHOUT=membarrier in the environment",
	            what, strerror(-rc));
}
