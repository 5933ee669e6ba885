/*
 * A few words shared by a parent and one child: the child waits here until its parent is ready for
 * it, and leaves its exit code here on its way out.
 *
 * The wait makes a start all or nothing. A child could otherwise be gone, and its number in use
 * again, before its parent has a pidfd of it (when SIGCHLD is ignored nobody keeps a zombie); and
 * where no pidfd is to be had, the child's function has not begun. The code is for the same case:
 * without a zombie, waitid knows nothing.
 */
#ifndef PROCESS_CRADLE_H
#define PROCESS_CRADLE_H

#include "base/atomic.h"
#include <sys/types.h>

struct cradle {
	/* 0; the child makes it ASLEEP before it sleeps; the parent makes it OPEN or REFUSED,
	 * once. */
	word32 gate;
	/* 0, or CODE_LEFT | exit code: the child's last store before _exit. */
	word32 code;
	uint32_t pad[14];
};
_Static_assert(sizeof(struct cradle) == LINE, "children do not share a line");

/* The parent's side; its callers hold the family's lock. NULL when memory is short. */
struct cradle *cradle_take(void);
void cradle_give(struct cradle *c);
void cradle_open(struct cradle *c);
void cradle_refuse(struct cradle *c);
/* Whether the child left its code; only once it has ended. */
bool cradle_code(struct cradle *c, int *code);

/* The child's side. False: refused, or the parent died first; the child has to end. */
bool cradle_wait(struct cradle *c, pid_t parent);
void cradle_leave_code(struct cradle *c, int code);

/* In a forked child: the cradles were its parent's. */
void cradle_forget(void);

#endif
