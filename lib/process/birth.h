/*
 * The first steps of a process that did not inherit what it needs: it finds its bundle, becomes
 * what that says, and runs its function instead of main.
 *
 * A program that was executed again is told by its environment, SHOAL_CHILD=descriptor:inode; the
 * variable is gone before any function of the program runs.
 */
#ifndef PROCESS_BIRTH_H
#define PROCESS_BIRTH_H

#include "process/bundle.h"

#define BIRTH_TOKEN "SHOAL_CHILD"

/*
 * In the new process. The parent's pidfd, which becomes this process's own, or -1 when the parent
 * is the one who started it.
 */
__attribute__((noreturn)) void birth(struct bundle *p, int parent_fd);

#endif
