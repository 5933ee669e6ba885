/*
 * Holds: how many references to an object lie in value blocks, which are containers' items and
 * messages.
 *
 * A value block says how many of its references have been counted so far: `counted`, its progress.
 * References are counted from the first to the last after the block is filled, and dropped from the
 * last to the first before it is freed, each by one hold_change, which changes the object's count
 * and the block's progress together, whatever dies at whichever instruction. So whoever frees a
 * block, the one that fills it or another one after its death, drops while counted > 0.
 *
 * Both are changed under the header's hold_lock, by absolute values written down beforehand
 * (struct hold_intent):
 *	1  the intent's fields, then its `open` = 1       before: nothing has happened
 *	2  the object's holds, the block's progress       from here on whoever takes the lock from the
 *	                                                  dead does 2 again
 *	3  `open` = 0
 * A block with an open intent must not be freed: recovery closes it before anything else, and so
 * must whoever reads the progress that a dead one left (hold_settle).
 *
 * A stopped member that holds the hold lock holds up those who put references into containers or
 * messages, or take them out; and, once one of these buries a container and waits for it under the
 * name lock, those who create and destroy objects. The hold lock comes after ledgers' locks and the
 * name lock: no other lock is taken under it.
 */
#ifndef ARENA_HOLD_H
#define ARENA_HOLD_H

#include "arena/member.h"

/*
 * One reference more (delta 1) or less (-1) to the object, and *progress, a word in the arena that
 * was to - delta, is `to`. When the last one goes, the object is noted for the next object_sweep,
 * which the caller makes when it has no lock.
 *   -EAGAIN  *progress is not to - delta: one who died had gone further; read it again
 *   -ENOENT  there is nothing to hold (delta 1): it is being destroyed, or none
 *   -EPROTO  the counts contradict each other: shared memory was overwritten
 * In each of these nothing has changed.
 */
int hold_change(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object,
                int delta, word32 *progress, uint32_t to);

/*
 * Before the progress that a dead one left is read: what it had begun is done. Cheap when nothing
 * is.
 */
void hold_settle(shoal_arena *a, struct shoal_thread *t);

/* The same for recovery, which no other member's hold of the lock holds up. */
void hold_recover(shoal_arena *a, struct shoal_thread *t, const struct member *dead);

/*
 * The object that a reference in a value block names, whatever its state: while it is counted, its
 * entry is no other's. 0, or -ENOENT: it names nothing.
 */
int hold_object(const shoal_arena *a, shoal_ref ref, uint32_t *index);

/* ---- for one who would end objects ---- */

/* 0: held, and no intent is open; -ETIMEDOUT, -EDEADLK. */
int hold_lock(shoal_arena *a, struct shoal_thread *t, int64_t deadline);
void hold_unlock(shoal_arena *a, struct shoal_thread *t);

#endif
