#include "base/image.h"
#include "base/descriptor.h"
#include "base/direct.h"
#include "base/kernel.h"
#include "base/signals.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef __WCLONE
#define __WCLONE 0x80000000
#endif

#define STACK_BYTES 16384
#define WORDS 16
#define CLOSE_BY_HAND 65536
#define SIGNALS 64
#define KERNEL_SET_BYTES (SIGNALS / 8)

/* No call of the C library: its state is the parent's, and sanitizers know nothing of this one. */
#define BARE __attribute__((no_sanitize("address", "thread", "undefined")))

/* One mapping that parent and child share also where they do not share all memory. */
struct scene {
	const struct image *image;
	sigset_t mask;
	int error, pidfd;
	int borrow; /* the flags with which a child has this memory and holds its thread up */
	char outer[STACK_BYTES] __attribute__((aligned(16)));
	char inner[STACK_BYTES] __attribute__((aligned(16)));
};

/* The kernel's struct sigaction begins with the handler; all zero is the default action. */
BARE static void
reset_handlers(void)
{
	for (int signo = 1; signo <= SIGNALS; signo++) {
		uintptr_t action[WORDS] = { 0 };
		if (syscall(SYS_rt_sigaction, signo, NULL, action, KERNEL_SET_BYTES) ||
		    action[0] == (uintptr_t)SIG_IGN || action[0] == (uintptr_t)SIG_DFL)
			continue;
		for (int i = 0; i < WORDS; i++)
			action[i] = 0;
		syscall(SYS_rt_sigaction, signo, action, NULL, KERNEL_SET_BYTES);
	}
}

BARE static void
close_from_to(unsigned first, unsigned last)
{
	if (first > last || !syscall(SYS_close_range, first, last, 0))
		return;
	for (unsigned fd = first; fd <= last && fd < CLOSE_BY_HAND; fd++)
		syscall(SYS_close, fd);
}

BARE static void
set_descriptors(const struct image *image)
{
	unsigned next = 3;
	for (size_t i = 0; i < image->keep_count; i++) {
		unsigned fd = (unsigned)image->keep[i];
		if (fd >= next)
			close_from_to(next, fd - 1);
		syscall(SYS_fcntl, fd, F_SETFD, 0);
		if (fd >= next)
			next = fd + 1;
	}
	close_from_to(next, ~0u);
	syscall(SYS_close, STDIN_FILENO);
	long fd = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);
	if (fd > STDIN_FILENO)
		syscall(SYS_close, fd);
}

BARE static int
become(void *arg)
{
	struct scene *s = arg;
	reset_handlers();
	set_descriptors(s->image);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &s->mask, NULL, KERNEL_SET_BYTES);
	syscall(SYS_execve, "/proc/self/exe", s->image->argv, s->image->envp);
	s->error = errno;
	syscall(SYS_exit_group, 127);
	return 127;
}

/*
 * The one in between ends at once, so its child becomes the first process's. It has the
 * descriptors of the one who asked: there the pidfd comes to be.
 */
BARE static int
stand_between(void *arg)
{
	struct scene *s = arg;
	int flags = s->borrow | CLONE_PIDFD | SIGCHLD;
	if (clone(become, s->inner + STACK_BYTES, flags, s, &s->pidfd) < 0)
		s->error = errno;
	syscall(SYS_exit_group, 0);
	return 0;
}

static void
collect(pid_t pid, int options)
{
	while (direct_waitpid(pid, NULL, options) < 0 && errno == EINTR)
		continue;
}

/* A child that tells its end by no signal is seen by no wait but one that asks for such. */
static int
start_apart(struct scene *s)
{
	pid_t pid = clone(stand_between, s->outer + STACK_BYTES, s->borrow | CLONE_FILES, s);
	if (pid < 0)
		return -errno;
	collect(pid, (int)__WCLONE);
	return -s->error;
}

static int
start_child(struct scene *s, pid_t *pid)
{
	int flags = s->borrow | CLONE_PIDFD | SIGCHLD;
	*pid = clone(become, s->outer + STACK_BYTES, flags, s, &s->pidfd);
	if (*pid < 0)
		return -errno;
	if (s->error)
		collect(*pid, 0);
	return -s->error;
}

/*
 * With all signals blocked no handler of the program runs in the child, on memory that is not its
 * own.
 */
int
image_start(const struct image *image, pid_t *pid, int *pidfd)
{
	struct scene *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE,
	                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return -errno;
	s->image = image;
	s->pidfd = -1;
	/* ThreadSanitizer's own clone takes the child for one with memory of its own: so it gets it. */
	s->borrow = CLONE_VFORK | (kernel_clone_is_watched() ? 0 : CLONE_VM);
	signals_block(&s->mask);
	int rc = image->apart ? start_apart(s) : start_child(s, pid);
	signals_restore(&s->mask);
	*pidfd = descriptor_above(s->pidfd);
	if (rc && *pidfd >= 0)
		direct_close(*pidfd);
	munmap(s, sizeof *s);
	return rc;
}
