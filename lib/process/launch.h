/* This program executed again, with a bundle. */
#ifndef PROCESS_LAUNCH_H
#define PROCESS_LAUNCH_H

#include "process/bundle.h"

/*
 * The descriptors that the bundle names go along, and come under the numbers that it has then.
 * Apart: it is nobody's child, and its number is not told. 0 or -errno with a sentence.
 */
int launch(struct bundle *p, int bundle_fd, bool apart, pid_t *pid, int *pidfd);

#endif
