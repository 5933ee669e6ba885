/*
 * The arena that is fuzzed while it lives: queues of each sort, pipes of each sort, memory, blocks,
 * containers, loans that are out, a second member that lives and holds things, and one that died
 * with its hands full and was not recovered.
 *
 * Each input begins in the same world: what it changed, in the arena and in what the library keeps
 * for this thread, is put back before the next one.
 */
#ifndef FUZZ_LIVE_WORLD_H
#define FUZZ_LIVE_WORLD_H

#include "arena/object.h"
#include "live_data.h"
#include "live_guard.h"
#include "ring/pipe.h"
#include "ring/queue.h"
#include <shoal/shoal.h>

enum { LIVE_QUEUES = 6, LIVE_PIPES = 4, LIVE_BLOCKS = 12, LIVE_LOANS = 12, LIVE_REGIONS = 256 };
/* That queue has messages in groups. */
enum { LIVE_GROUPS = 5 };
enum { LIVE_ME = 1, LIVE_OTHER, LIVE_DEAD };

/* What a program would have in its own memory. */
struct live {
	shoal_arena *arena;
	bool attached;
	shoal_queue *queue[LIVE_QUEUES];
	shoal_pipe_end *end[LIVE_PIPES][2];
	void *memory;
	void *block[LIVE_BLOCKS];
	shoal_loan loan[LIVE_LOANS]; /* the last ones are the other thread's */
	shoal_ref ref[LIVE_QUEUES];
	struct live_data data;
};

/* A part of the mapping with words in it that the fuzzer may change. */
struct live_region {
	const char *what;
	uint64_t at, bytes;
};

extern struct live live;
extern struct live_region live_regions[LIVE_REGIONS];
extern unsigned live_region_count;
extern uint32_t live_tag[4]; /* of LIVE_ME … */

void live_begin(void);
/* Before the calling thread ends: nobody interrupts it any more. */
void live_end(void);
/* Back to what live_begin left. */
void live_restore(void);

/* Whether the word at the offset is a robust link, or the word of a robust lock. */
bool live_is_link(uint64_t offset);
bool live_is_lock(uint64_t offset);

#endif
