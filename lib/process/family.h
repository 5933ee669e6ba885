/*
 * What the library knows about this process, its parent and its children.
 *
 * One lock guards all of the process layer. No user code and nothing that waits runs under it; fork
 * takes it, so that a child finds the list whole and can close what it inherited. Signals are
 * blocked under it.
 */
#ifndef PROCESS_FAMILY_H
#define PROCESS_FAMILY_H

#include "process/process.h"

struct family {
	pid_t pid;           /* the process that the rest is about */
	bool forked;         /* it ends by _exit: the atexit handlers are its parent's */
	bool hooked;         /* atexit knows of the end; forked children inherit that */
	bool streams_clean;  /* none had anything in it at the fork, which could be written twice */
	unsigned numbers;    /* children made so far: the N of Process-N */
	word64 ending;       /* the thread that ends it, by a thread-local address; 0: none */
	word64 leaving;      /* the same of one that calls exit for shoal_process_exit */
	struct shoal_process *children;  /* in the order of their starts */
	struct shoal_process **last;     /* where the next one goes */
	struct shoal_process *inherited; /* a forked child's view of its parent's list */
	struct cradle *cradle;           /* where it leaves its exit code; NULL: nobody asks */
	struct shoal_process self, parent;
};
extern struct family family;

/* Notes a fork if there was one: to be called before `family` is looked at without the lock. */
void family_meet(void);
void family_lock(void);
void family_unlock(void);

/* With the lock held. */
void family_add(struct shoal_process *p);
void family_remove(struct shoal_process *p);
/* Frees the kept handles, never given out, of those that have ended. */
void family_sweep(void);

/*
 * In a new child: it is `p` now, the handle that its parent has, and `parent_name` is its parent's
 * name.
 */
void family_adopt(const struct shoal_process *p, const char *parent_name, bool streams_clean);

/* end.c, with the lock held: lets the process's normal end end its children. 0 or -ENOMEM. */
int family_hook_end(void);

#endif
