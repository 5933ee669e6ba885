/*
 * Names that users give to plain objects, for reports: known in this process and in the children
 * that it forks from then on, since a plain object has no room for one.
 */
#ifndef SYNC_NAME_H
#define SYNC_NAME_H

#include "base/atomic.h"

#define NAME_MAX_BYTES 64

/* NULL or "" takes the name away. 0, -EINVAL (too long), -ENOMEM. */
int name_give(const void *object, const char *name);

/* For an object that is made anew: no cost where no names were given. */
void name_forget(const void *object);

/* "'jobs'", or its address, in the caller's buffer. */
const char *name_of(const void *object, char text[NAME_MAX_BYTES + 8]);

#endif
