#include "base/pidfd.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/direct.h"
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#define WAIT_BY_PIDFD 3L /* P_PIDFD, an enumerator or absent, by the age of the headers */
#define RELEASE_NS INT64_C(10000000)
#define NAP_NS INT64_C(5000000)

/* The kernel's struct pidfd_info as of 6.15, and its call, which older headers lack. */
struct kernel_info {
	uint64_t mask, cgroup;
	uint32_t pid, tgid, ppid, ids[8];
	int32_t exit_code;
};
#define KERNEL_INFO_EXIT 8u
#define KERNEL_GET_INFO _IOWR(0xff, 11, struct kernel_info)
_Static_assert(sizeof(struct kernel_info) == 64, "the first size that the kernel takes");

int
pidfd_open_pid(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	return fd < 0 ? -errno : descriptor_above(fd);
}

int
pidfd_open_ended(void)
{
	int fd = eventfd(1, EFD_CLOEXEC);
	return fd < 0 ? -errno : descriptor_above(fd);
}

int
pidfd_signal(int fd, int signo)
{
	return syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) < 0 ? -errno : 0;
}

static int
look(int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t now = deadline == CLOCK_NEVER ? 0 : clock_now();
	struct timespec left = clock_timespec(deadline > now ? deadline - now : 0);
	int n = direct_poll(&p, 1, deadline == CLOCK_NEVER ? NULL : &left);
	return n < 0 ? -errno : n;
}

/* For one that poll takes no descriptor from, since it may have none open. */
static int
nap(int fd, int64_t deadline)
{
	int64_t left = deadline == CLOCK_NEVER ? NAP_NS : deadline - clock_now();
	struct timespec slice = clock_timespec(left < 0 ? 0 : left < NAP_NS ? left : NAP_NS);
	if (deadline)
		direct_poll(NULL, 0, &slice);
	return pidfd_signal(fd, 0) == -ESRCH;
}

int
pidfd_sleep(int fd, int64_t deadline)
{
	int n = look(fd, POLLIN, deadline);
	return n == -EINVAL ? nap(fd, deadline) : n;
}

int
pidfd_sleep_beside(int fd, int other)
{
	struct pollfd on[] = { { .fd = fd, .events = POLLIN }, { .fd = other, .events = POLLIN } };
	while (direct_poll(on, 2, NULL) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	return on[1].revents & POLLIN ? 0 : -ECONNRESET;
}

int
pidfd_reap(int fd, int *code)
{
	siginfo_t info = { .si_pid = 0 };
	if (syscall(SYS_waitid, WAIT_BY_PIDFD, fd, &info, WEXITED | WNOHANG, NULL) < 0)
		return -errno;
	if (!info.si_pid)
		return -EAGAIN;
	*code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
	return 0;
}

static int
ask(int fd, struct kernel_info *info)
{
	*info = (struct kernel_info){ .mask = KERNEL_INFO_EXIT };
	return ioctl(fd, KERNEL_GET_INFO, info);
}

/*
 * A process that nobody may wait for is released by its own last breath, a moment after it can no
 * longer be waited for; the hang-up says that its code is there.
 */
bool
pidfd_recall(int fd, int *code)
{
	struct kernel_info info;
	if (ask(fd, &info) < 0 && errno != ESRCH)
		return false;
	look(fd, 0, clock_now() + RELEASE_NS);
	if (ask(fd, &info) < 0 || !(info.mask & KERNEL_INFO_EXIT))
		return false;
	int status = info.exit_code;
	*code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
	return true;
}
