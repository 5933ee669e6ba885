/*
 * The ends of what can be destroyed, by whoever destroys it, or again by whoever finds that one
 * dead: those who wait are woken, and go (stay.h). The lock's is in lock.h.
 */
#ifndef SYNC_PLAIN_H
#define SYNC_PLAIN_H

#include "sync/stay.h"
#include <shoal/sync.h>

void semaphore_shut(shoal_semaphore *semaphore);
void event_shut(shoal_event *event);
void condition_shut(shoal_condition *condition);
void rwlock_shut(shoal_rwlock *lock);

/* Whether a living thread reads, or holds its lock. */
bool rwlock_in_use(const shoal_rwlock *lock);
/* Whether one has a permit that it owns, where so many bytes are the semaphore's. */
bool semaphore_in_use(const shoal_semaphore *semaphore, uint64_t bytes);

/*
 * A semaphore with owners, which has its cells behind it: 0 or -EINVAL; how large it is; made in
 * that much zeroed or used memory of an arena.
 */
int owned_check(uint32_t value, uint32_t bound);
size_t owned_bytes(uint32_t value);
void owned_init(shoal_semaphore *semaphore, uint32_t value);

#endif
