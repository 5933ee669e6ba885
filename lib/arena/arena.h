/*
 * An arena as this process sees it, and the way from an address to it.
 *
 * The table of mapped arenas is read under RCU by every thread on its way from an address or a
 * reference to its arena, and changed by attach and detach, which wait for all readers
 * (synchronize_rcu) before anything is unmapped. liburcu's bp flavour: threads register themselves.
 * What threads look up at every call they keep in caches of their own, which hold while
 * thread_epoch stands still.
 */
#ifndef ARENA_ARENA_H
#define ARENA_ARENA_H

#include "arena/layout.h"
#include <shoal/arena.h>

/* As sentences name one without a name, or whose path is not known here. */
#define ARENA_PRIVATE "(private)"

struct shoal_arena {
	char *base;
	struct arena_header *header; /* == base */
	uint64_t bytes;              /* == limit_bytes, from the validated copy */
	uint64_t pages_max;
	uint32_t members_max;
	uint32_t objects_max;
	uint64_t members_at, objects_at, names_at, pages_at, pins_at, processes_at, data_at;
	uint64_t id;
	uint32_t flags;     /* ARENA_… of the header */
	int fd;             /* close-on-exec; kept to grow with */
	unsigned seat;      /* index in the table and in every thread's seats */
	uint32_t references; /* attach counts; under the table's lock */
	uint32_t process;   /* index of this process's record; set anew after fork */
	uint32_t generation; /* thread_generation() that `process` belongs to */
	/*
	 * arena_pages when this process last looked: they only grow. Relaxed: a page of which a thread
	 * has a block has memory behind it, and that is all that is asked of it.
	 */
	word64 pages_seen;
	word32 threads_max; /* how many threads of this process may join it; 0: as many as like */
	word32 abandoned;   /* arena_abandon */
	bool readonly;
	bool closing;       /* the last reference is gone, threads still have seats */
	char name[256];     /* the path of a named one, else ARENA_PRIVATE */
};

static inline void *
arena_at(const shoal_arena *a, uint64_t offset)
{
	return a->base + offset;
}

static inline uint64_t
arena_offset(const shoal_arena *a, const void *p)
{
	return (uint64_t)((const char *)p - a->base);
}

static inline bool
arena_holds(const shoal_arena *a, const void *p)
{
	return (uint64_t)((const char *)p - a->base) < a->bytes;
}

static inline struct member *
arena_member(const shoal_arena *a, uint32_t index)
{
	return arena_at(a, a->members_at + (index - 1) * MEMBER_STRIDE);
}

static inline struct process_record *
arena_process(const shoal_arena *a, uint32_t index)
{
	return (struct process_record *)arena_at(a, a->processes_at) + index;
}

static inline struct object *
arena_object(const shoal_arena *a, uint32_t index)
{
	return (struct object *)arena_at(a, a->objects_at) + index;
}

static inline word32 *
arena_name_hash(const shoal_arena *a, uint32_t index)
{
	return (word32 *)arena_at(a, a->names_at) + index;
}

static inline struct page *
arena_page(const shoal_arena *a, uint64_t index)
{
	return (struct page *)arena_at(a, a->pages_at) + index;
}

/* The first of a record's PINS_MAX entries; those below its count have memory behind them. */
static inline word32 *
arena_pins(const shoal_arena *a, uint32_t index)
{
	return arena_at(a, a->pins_at + (index - 1) * PIN_STRIDE);
}

/* For blocks, as its maker said: without the tables. */
static inline uint64_t
arena_limit(const shoal_arena *a)
{
	return a->pages_max << PAGE_BITS;
}

/*
 * How many pages have memory behind them; only grows. Pairs with grow, in page.c: their entries and
 * that memory are there.
 */
static inline uint64_t
arena_pages(const shoal_arena *a)
{
	uint64_t high = load_acquire(&a->header->pages_high);
	return likely(high < a->pages_max) ? high : a->pages_max;
}

/* The end of that memory. */
static inline uint64_t
arena_pages_end(const shoal_arena *a)
{
	return a->data_at + (arena_pages(a) << PAGE_BITS);
}

/* Page 0 begins at data_at. */
static inline uint64_t
arena_page_offset(const shoal_arena *a, uint64_t index)
{
	return a->data_at + (index << PAGE_BITS);
}

/* The mapped arena that holds the address, or NULL. */
shoal_arena *arena_of(const void *address);

/* 0, or -EINVAL: `call` was given no arena, or no place for what it gives. */
int arena_asked(const char *call, const void *arena, const void *out);

/*
 * Puts memory behind [from, from + bytes) of the file: 0, -ENOSPC or another -errno. Idempotent.
 * A file that became shorter than the arena (somebody truncated it) is not repaired.
 */
int arena_back(const shoal_arena *a, uint64_t from, uint64_t bytes);

/*
 * The last thread of this process that has a seat has left a closing arena: takes it off the table
 * and unmaps it. Called by member.c, never under rcu_read_lock.
 */
void arena_unmap(shoal_arena *a);

/*
 * shoal_arena_close by one who was the only one to know an address in it: other threads that are
 * members leave it when they next become one of another arena, not only when they end.
 */
void arena_abandon(shoal_arena *a);

/* Told before an arena is unmapped; the ring floor's poller lets go of it there. */
extern void (*arena_unmap_hook)(shoal_arena *a);

/*
 * How many threads of this process have a seat in it, and, times SEAT_BEYOND, how many of them are
 * not for threads_max to count; kept by member.c.
 */
#define SEAT_BEYOND (1u << 16)
extern word32 arena_seats[THREAD_SEATS];

static inline uint32_t
seats_taken(uint32_t seats)
{
	return seats % SEAT_BEYOND;
}

#endif
