/*
 * The fork server's own side: one thread, no state of the program's but what its initialisers
 * made, and nothing to do but to fork, to tell, and to wait.
 */
#ifndef PROCESS_SERVE_H
#define PROCESS_SERVE_H

#include "process/bundle.h"

/* The descriptors of its bundle. */
enum { SERVE_SOCKET, SERVE_PARENT, SERVE_FDS };

/* With the bundle; then stdout and stderr, where the asker has them, then what the bundle names. */
struct serve_request {
	bool out, err;
};

/* With a pidfd, the child's, when rc is 0. The first answer is unasked, and has none: rc is 1. */
struct serve_answer {
	int rc;
	pid_t pid;
};

/* Until its parent has ended, or does not need it any more. */
__attribute__((noreturn)) void serve(struct bundle *p);

#endif
