/*
 * A lifeline: a pipe whose writing end only the parent has, so that it hangs up when the parent
 * ends in whatever way, and whose reading end sends a signal to the child at that moment: SIGTERM
 * to daemons, SIGKILL to a pool's workers, of which no task may keep the pool's memory.
 *
 * PR_SET_PDEATHSIG would be simpler and is wrong here: it fires when the *thread* that forked
 * ends, and even the main thread may end (pthread_exit) before its process does. A watching thread
 * in the child would cost a start as much again and make the child a threaded process.
 * Signal-driven input on a pipe costs five system calls and neither.
 *
 * What it asks for: every forked child closes the writing ends that it inherits (the atfork
 * handler of process/family.c does; exec closes them too), and the child leaves the reading end
 * open.
 */
#ifndef BASE_LIFELINE_H
#define BASE_LIFELINE_H

#include <sys/types.h>

struct lifeline {
	int held, tied; /* the parent's end, the child's end; -1: none */
};

#define LIFELINE_NONE { -1, -1 }

/* 0 or -errno. */
int lifeline_make(struct lifeline *l);

/* In the parent: from now on its end ends the child. The child's end is closed here. */
int lifeline_tie(struct lifeline *l, pid_t child, int signo);

/*
 * In a child that was given its end: the same, for itself. 0 or -errno; -EPIPE: its parent has
 * ended.
 */
int lifeline_accept(int tied, int signo);

/* In the parent, when the child has its own copy of the child's end. */
void lifeline_given(struct lifeline *l);

/* In a forked child: the end that only its parent may have. */
void lifeline_let_go(struct lifeline *l);

/* Closes what is left of it, when the child has ended or never began. */
void lifeline_drop(struct lifeline *l);

#endif
