/*
 * What shoal_process_at_exit was told to call, in the order of the calls. The callers hold no
 * lock.
 */
#ifndef PROCESS_CLEANUP_H
#define PROCESS_CLEANUP_H

#include <limits.h>

/* Python's rule: those from priority 0 up run before the children are ended, the others after. */
#define CLEANUP_BEFORE_CHILDREN 0
#define CLEANUP_ALL INT_MIN

/* Calls them one by one until none of this priority or above is left, also such as they add. */
void cleanup_run(int least_priority);

/* In a forked child: they were its parent's. */
void cleanup_forget(void);

#endif
