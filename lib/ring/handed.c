#include "ring/handed.h"
#include "arena/object.h"
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

static bool
is_same_place(uint64_t one, uint64_t other)
{
	return ((one ^ other) & ~IDENTITY) == 0;
}

/*
 * A thread may be held up between what it read and its note, while another one gives out what lies
 * there next. Its exchange pairs with that one's: after it, it reads what that one had read, and
 * notes that. One that noted nothing had read it before it looked here: so it is seen by then too.
 * Until it reads again its note is of what was there before: a first call on what another thread
 * has just opened there gives -EPIPE meanwhile.
 */
void
handed_note(const shoal_arena *a, uint32_t object, const void *at, uint64_t identity)
{
	if (!thread_self())
		return;
	uint64_t now = word_of(at, identity);
	if (object < objects_high(a) && object_has_owner(a, object))
		(void)exchange_acq_rel(place_of(at), now);
	else if (is_same_place(load_relaxed(place_of(at)), now))
		(void)exchange_acq_rel(place_of(at), 0);
}

bool
handed_is_anothers(const void *at, uint64_t identity)
{
	uint64_t now = word_of(at, identity), then = load_relaxed(place_of(at));
	return then != now && is_same_place(then, now);
}
