/*
 * Which queue, or pipe's end, calls of this process gave out last at each address, of those that go
 * with an owner: one who opened it has the address still, and another one may have the memory
 * since. Those that a parent got do not count: what it makes later a child may know by its address
 * too. One that is forgotten for another one's sake is taken for what lies there, and so is one
 * that has no owner: nobody has its address when it is gone but those who know of it.
 */
#ifndef RING_HANDED_H
#define RING_HANDED_H

#include "arena/arena.h"

/* An identity's lower bits count: two that follow one another at an address are to differ there. */
enum { HANDED_BITS = 14 };

/*
 * What is made next at an address has the entry's next generation, or another entry: neither a few
 * steps of the one nor of the other lead back to the same bits, nor both.
 */
static inline uint64_t
handed_identity(uint32_t index, uint64_t generation)
{
	return generation + index * UINT64_C(6121);
}

/*
 * A call gives out what lies there, of this object. The identity is read again after that: what is
 * another one by now is to be noted in its stead.
 */
void handed_note(const shoal_arena *a, uint32_t object, const void *at, uint64_t identity);
/* False also where no call gave out anything there. */
bool handed_is_anothers(const void *at, uint64_t identity);

#endif
