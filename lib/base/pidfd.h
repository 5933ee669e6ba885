/*
 * Process file descriptors: the one handle on a process that its number's next user cannot be taken
 * for. All of them are close-on-exec. Results are 0 or a value, and negative error codes.
 */
#ifndef BASE_PIDFD_H
#define BASE_PIDFD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Sound only while the number is known not to be free: a child not yet waited for, or getppid(). */
int pidfd_open_pid(pid_t pid);

/* A descriptor that polls as one of an ended process does, for a process that left none behind. */
int pidfd_open_ended(void);

/* -ESRCH when the process has ended and been waited for; a zombie takes any signal. */
int pidfd_signal(int fd, int signo);

/*
 * 1: the process has ended. 0: the deadline passed, or it is time to look again. -EINTR: a signal
 * handler ran.
 */
int pidfd_sleep(int fd, int64_t deadline);

/* 0: the other descriptor can be read. -ECONNRESET: it cannot, and the process has ended. */
int pidfd_sleep_beside(int fd, int other);

/*
 * Waits for a child that has ended: 0 and its exit code, minus the signal that ended it. -EAGAIN:
 * it runs, or a tracer still holds it. -ECHILD: it has ended and there is nothing to wait for,
 * since SIGCHLD is ignored or another call waited.
 */
int pidfd_reap(int fd, int *code);

/* The same code from the descriptor, which keeps it when the process is gone (Linux 6.15). */
bool pidfd_recall(int fd, int *code);

#endif
