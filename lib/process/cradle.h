/*
 * A few words shared by a parent and one child: the child waits here until its parent is ready for
 * it, reports that it has all it needs, and leaves its exit code here on its way out.
 *
 * The wait makes a start all or nothing. A child could otherwise be gone, and its number in use
 * again, before its parent has a pidfd of it (when SIGCHLD is ignored nobody keeps a zombie); and
 * where no pidfd is to be had, the child's function has not begun. The code is for the same case:
 * without a zombie, waitid knows nothing; nor does it when the zombie is the fork server's, which
 * then writes the code of those that left none.
 *
 * Whoever dies leaves each word as it was or as it was to be. The other side never waits for a word
 * alone: the child looks whether its parent lives, the parent whether its child, or the server,
 * does.
 */
#ifndef PROCESS_CRADLE_H
#define PROCESS_CRADLE_H

#include "base/atomic.h"
#include <sys/types.h>

struct cradle {
	/* 0; the child makes it ASLEEP before it sleeps; the parent makes it OPEN or REFUSED,
	 * once. */
	word32 gate;
	/* 0; CODE_LEFT | exit code: the child's last store before _exit, or the server's when it
	 * has waited for the child; CODE_LEFT | CODE_SIGNAL | signal: the server's. */
	word32 code;
	/* 0; the child makes it READY or FAILED, once, when a parent waits for that. */
	word32 report;
	uint32_t pad[13];
};
_Static_assert(sizeof(struct cradle) == LINE, "children do not share a line");

/* The parent's side; its callers hold the family's lock. NULL when memory is short. */
struct cradle *cradle_take(void);
void cradle_give(struct cradle *c);
void cradle_open(struct cradle *c);
void cradle_refuse(struct cradle *c);
/* Whether the child's code is here; only once it has ended. */
bool cradle_code(struct cradle *c, int *code);
/* 1: ready. 0: failed. -ECHILD: the child, of that pidfd, ended before it said anything. */
int cradle_wait_report(struct cradle *c, int pidfd);

/*
 * The child's side. False: refused, or the parent died first; the child has to end. A parent that
 * is not the one that forked is known by its pidfd; -1: it is the one.
 */
bool cradle_wait(struct cradle *c, pid_t parent, int parent_fd);
void cradle_report(struct cradle *c, bool ready);
void cradle_leave_code(struct cradle *c, int code);

/* The fork server's: how the child ended, as wait has it. */
void cradle_note_end(struct cradle *c, int status);

/* In a forked child: the cradles were its parent's. */
void cradle_forget(void);

#endif
