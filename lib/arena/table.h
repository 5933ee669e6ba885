/*
 * The arenas that this process has mapped.
 *
 * The handles stand in one fixed array and are never freed, so a pointer to one that was closed is
 * still a handle, of nothing or of another arena; a handle's index is its seat. The ranges of
 * addresses, sorted, stand in one of two tables: readers (arena_of) use the current one under RCU;
 * a change fills the other one, makes it the current one and waits for those who may still read the
 * first. So no change needs memory, and none can fail.
 *
 * All functions but arena_of are called under table_lock, which a fork waits for, and under which
 * signals are blocked.
 */
#ifndef ARENA_TABLE_H
#define ARENA_TABLE_H

#include "arena/arena.h"
#include "base/shmfile.h"

void table_lock(void);
void table_unlock(void);
/* False: somebody has it, who may be one that does not come back. */
bool table_try_lock(void);
/* Seats from here on have had no arena yet. */
unsigned table_seats(void);
/* The arena that is mapped with this seat, or NULL. */
shoal_arena *table_seat(unsigned seat);

/* The handle of this file, mapped in this way, or NULL. */
shoal_arena *table_find(const struct shmfile *file, bool readonly);

/* A handle that is not in use, zeroed but for its seat; NULL when all are. */
shoal_arena *table_slot(void);

void table_add(shoal_arena *a);
/* Afterwards nobody finds the arena by an address any more. */
void table_remove(shoal_arena *a);

#endif
