/*
 * Which queue, or pipe's end, calls of this process gave out last at each address: when it goes
 * with its owner, one who opened it has the address still, and another one may have the memory
 * since. Those that a parent got do not count: what it makes later a child may know by its address
 * too. One that is forgotten for another one's sake is taken for what lies there.
 */
#ifndef RING_HANDED_H
#define RING_HANDED_H

#include "base/atomic.h"

/* An identity's lower bits count: two that follow one another at an address are to differ there. */
enum { HANDED_BITS = 14 };

void handed_note(const void *at, uint64_t identity);
/* False also where no call gave out anything there. */
bool handed_is_anothers(const void *at, uint64_t identity);

#endif
