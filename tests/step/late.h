/*
 * How late the machine is: how long those of a run were ready and got no processor, as the kernel
 * counts it for each of them, and how long a virtual machine's host kept its processors from it
 * meanwhile, of which the kernel's count knows nothing. What rests on time counts only where the
 * machine was on time.
 */
#ifndef STEP_LATE_H
#define STEP_LATE_H

#include <stdint.h>
#include <sys/types.h>

/* From here on, for the driver and for those that are noted. */
void late_begin(void);
/* A process that ended and was not waited for yet, or is about to be killed. */
void late_note(pid_t pid);
int64_t late_ns(void);
/* How long it is since the beginning. */
int64_t late_wall_ns(void);

#endif
