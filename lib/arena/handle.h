/*
 * A handle from its making to its end: what create.c, attach.c and close.c share. All under the
 * table's lock.
 */
#ifndef ARENA_HANDLE_H
#define ARENA_HANDLE_H

#include "arena/header.h"
#include "arena/table.h"

/*
 * Makes a free handle one of the file: its mapping, and the fields from a header that was
 * validated, or of this process's making. The descriptor becomes the handle's only when the whole
 * attach succeeds. 0, -EMFILE, -ENOMEM.
 */
int handle_map(const struct arena_header *h, int fd, unsigned flags, const char *what,
               shoal_arena **out);

/* Gives the mapping back. The handle is free; its descriptor is the caller's. */
void handle_unmap(shoal_arena *a);

/* 0 or -EPERM: this process takes part in the arena's membarriers, if it relies on them. */
int handle_join_barrier(const shoal_arena *a, const char *what);

#endif
