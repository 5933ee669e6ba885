/*
 * Recovery: finishing what a dead member left.
 *
 * Its record names everything it held: the call it was in, its loans, the blocks in its hands, the
 * object it was making, its magazines. Each is resolved by idempotent steps, under the record's own
 * robust word (`recovering`), so that one member at a time works at it and the next goes on where a
 * dead one stopped. The places of rings that only say WRITING are mended by whoever meets them,
 * without this. Order: places and their blocks, hands, the object, magazines; then the generation
 * rises (from then on its tag is GONE), the life word becomes 0, and those who watch it are woken.
 *
 * Crash points: before the generation rises all is done again from the start; after it and before
 * the life word is 0, the next one does it again under a generation nobody used, which finds
 * nothing.
 */
#ifndef ARENA_RECOVER_H
#define ARENA_RECOVER_H

#include "arena/member.h"

/* The same for oneself, at the end: no death is counted. */
void recover_self(shoal_arena *a, struct shoal_thread *t, struct member *me);

/*
 * This process leaves the arena, in order: gives up what is to go with it (kinds.h, collect). A
 * process that is killed leaves that to its members' recovery.
 */
void recover_leaving(shoal_arena *a, struct shoal_thread *t, struct member *me);

/* For one that has no record because all are taken: reaps one dead member, true if it did. */
bool member_recover_bare(shoal_arena *a, struct shoal_thread *t);

#endif
