/*
 * The fork server as its user sees it: one for each process that starts others by it, made when it
 * is first needed, made anew when it has died. It is nobody's child, so that a program that waits
 * for all its children does not wait for it.
 *
 * It ends when this process does, in whatever way. A forked child of this process has none, and
 * makes its own.
 */
#ifndef PROCESS_SERVER_H
#define PROCESS_SERVER_H

#include "process/bundle.h"

/*
 * A new process for the bundle: its number and its pidfd; `server` is the one that waits for it. It
 * waits in its cradle. 0 or -errno with a sentence; -ECONNRESET: the server died meanwhile, and
 * perhaps with a child: the cradle must be refused.
 */
int server_fork(struct bundle *p, int bundle_fd, pid_t *pid, int *pidfd, unsigned *server);

/* Whether that one still waits for its children. The family's lock is held. */
bool server_lives(unsigned server);

/* Ends it, at this process's end. */
void server_end(void);

/* In a forked child: it was its parent's. */
void server_forget(void);

#endif
