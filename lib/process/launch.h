/* This program executed again, with a parcel. */
#ifndef PROCESS_LAUNCH_H
#define PROCESS_LAUNCH_H

#include "process/parcel.h"

/*
 * The descriptors that the parcel names go along, and come under the numbers that it has then.
 * Apart: it is nobody's child, and there is no pidfd. 0 or -errno with a sentence.
 */
int launch(struct parcel *p, int parcel_fd, bool apart, pid_t *pid, int *pidfd);

#endif
