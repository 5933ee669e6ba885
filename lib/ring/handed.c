#include "ring/handed.h"
#include "arena/layout.h"
#include "base/thread.h"

/*
 *	bits 63..24  the address, in units of SPACING
 *	bits 23..10  the identity
 *	bits  9..0   the process, as thread_generation has it
 */
#define HANDED 1024u
static word64 handed[HANDED];

#define PROCESS_BITS 10
#define IDENTITY (((UINT64_C(1) << HANDED_BITS) - 1) << PROCESS_BITS)

static uint64_t
word_of(const void *at, uint64_t identity)
{
	return (uint64_t)(uintptr_t)at / SPACING << (HANDED_BITS + PROCESS_BITS) |
	       (identity << PROCESS_BITS & IDENTITY) |
	       (thread_generation() & ((1u << PROCESS_BITS) - 1));
}

static word64 *
place_of(const void *at)
{
	return &handed[(uint64_t)(uintptr_t)at * UINT64_C(0x9e3779b97f4a7c15) >> 54];
}

void
handed_note(const void *at, uint64_t identity)
{
	if (thread_self())
		store_relaxed(place_of(at), word_of(at, identity));
}

bool
handed_is_anothers(const void *at, uint64_t identity)
{
	uint64_t now = word_of(at, identity), then = load_relaxed(place_of(at));
	return then != now && ((then ^ now) & ~IDENTITY) == 0;
}
