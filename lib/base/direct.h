/*
 * System calls made directly: the C library's functions for these are cancellation points, and no
 * wait of shoal's is one. A thread cancelled there would leave what its call holds. Results and
 * errno are as theirs.
 */
#ifndef BASE_DIRECT_H
#define BASE_DIRECT_H

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* For reading. */
static inline int
direct_open(const char *path)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

static inline ssize_t
direct_read(int fd, void *to, size_t bytes)
{
	return syscall(SYS_read, fd, to, bytes);
}

static inline ssize_t
direct_write(int fd, const void *from, size_t bytes)
{
	return syscall(SYS_write, fd, from, bytes);
}

static inline int
direct_close(int fd)
{
	return (int)syscall(SYS_close, fd);
}

/* Of `timeout` the kernel leaves the rest there; NULL: for ever. */
static inline int
direct_poll(struct pollfd *list, size_t count, struct timespec *timeout)
{
	return (int)syscall(SYS_ppoll, list, count, timeout, NULL, 0);
}

#endif
