/*
 * System calls made directly: the C library's functions for these are cancellation points, and no
 * call of shoal's is one, but for what it writes to streams. A thread cancelled there would leave
 * what its call holds. Results and errno are as theirs.
 */
#ifndef BASE_DIRECT_H
#define BASE_DIRECT_H

#include "base/cancel.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* A file that is made is its owner's alone. Relative paths are to `dir`. */
static inline int
direct_open(int dir, const char *path, int flags)
{
	return (int)syscall(SYS_openat, dir, path, flags, 0600);
}

static inline ssize_t
direct_read(int fd, void *to, size_t bytes)
{
	return syscall(SYS_read, fd, to, bytes);
}

static inline ssize_t
direct_pread(int fd, void *to, size_t bytes, off_t from)
{
	return syscall(SYS_pread64, fd, to, bytes, from);
}

static inline ssize_t
direct_write(int fd, const void *from, size_t bytes)
{
	return syscall(SYS_write, fd, from, bytes);
}

/* By the C library: one who watches threads must know that the number is free (ThreadSanitizer). */
static inline int
direct_close(int fd)
{
	int old = cancel_forbid();
	int rc = close(fd);
	cancel_restore(old);
	return rc;
}

static inline int
direct_fallocate(int fd, off_t from, off_t bytes)
{
	return (int)syscall(SYS_fallocate, fd, 0, from, bytes);
}

static inline ssize_t
direct_getrandom(void *to, size_t bytes, unsigned flags)
{
	return syscall(SYS_getrandom, to, bytes, flags);
}

static inline ssize_t
direct_sendmsg(int socket, const struct msghdr *m, int flags)
{
	return syscall(SYS_sendmsg, socket, m, flags);
}

static inline ssize_t
direct_recvmsg(int socket, struct msghdr *m, int flags)
{
	return syscall(SYS_recvmsg, socket, m, flags);
}

static inline pid_t
direct_waitpid(pid_t pid, int *status, int options)
{
	return (pid_t)syscall(SYS_wait4, pid, status, options, NULL);
}

/* Of `timeout` the kernel leaves the rest there; NULL: for ever. */
static inline int
direct_poll(struct pollfd *list, size_t count, struct timespec *timeout)
{
	return (int)syscall(SYS_ppoll, list, count, timeout, NULL, 0);
}

/* Until a signal comes. */
static inline void
direct_pause(void)
{
	direct_poll(NULL, 0, NULL);
}

#endif
