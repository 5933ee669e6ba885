/*
 * The end of a named arena under SHOAL_UNLINK_LAST.
 *
 * Such an arena is over when no process is attached, or none but those that said that they end
 * (arena_end_all): its last one left, ends, or died. Who finds that so (the last one, and any
 * attacher or creator that meets the name later) decides about it under the lock of the file, one
 * at a time:
 *
 *	look: nobody is attached; state READY -> DYING; look again: unlink, or, when somebody came,
 *	back to READY
 *
 * Against an attacher, which writes its process record and then reads the state (both sequentially
 * consistent): either the second look sees the record, or the attacher sees DYING, leaves, and
 * opens the name again. A decider that dies leaves DYING, which the next one finishes.
 */
#ifndef ARENA_CLOSE_H
#define ARENA_CLOSE_H

#include "arena/arena.h"

/*
 * True when the arena is over, or was just ended: its name is no longer, or not for long, this
 * arena's.
 */
bool arena_over(shoal_arena *a);

/*
 * This process ends in order: the names of its arenas that nobody else is attached to go. It stays
 * attached, since other threads, and what else runs at its end, may use them still.
 */
void arena_end_all(void);

#endif
