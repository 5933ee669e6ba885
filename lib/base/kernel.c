#include "base/kernel.h"
#include "base/atomic.h"
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#define MEMBARRIER_QUERY 0
#define MEMBARRIER_GLOBAL_EXPEDITED 2
#define MEMBARRIER_REGISTER_GLOBAL_EXPEDITED 4

#define PROBED 0x80000000u
static word32 features;

static long
membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

static bool
switched_off(const char *name)
{
	const char *list = getenv("SHOAL_WITHOUT");
	size_t length = strlen(name);
	for (; list && *list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
		if (!strncmp(list, name, length) && (list[length] == ',' || list[length] == '\0'))
			return true;
	return false;
}

static bool
release_at_least(int major, int minor)
{
	struct utsname u;
	if (uname(&u))
		return false;
	char *end;
	long have_major = strtol(u.release, &end, 10);
	long have_minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
	return have_major > major || (have_major == major && have_minor >= minor);
}

static bool
probe_membarrier(void)
{
	long known = membarrier(MEMBARRIER_QUERY);
	return known > 0 && (known & MEMBARRIER_GLOBAL_EXPEDITED);
}

static uint32_t
probe(void)
{
	uint32_t has = PROBED;
	if (!switched_off("waitv") && syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 &&
	    errno == EINVAL)
		has |= KERNEL_WAITV;
	if (!switched_off("membarrier") && probe_membarrier())
		has |= KERNEL_MEMBARRIER;
	if (!switched_off("noexec") && release_at_least(6, 3))
		has |= KERNEL_NOEXEC_SEAL;
	if (!switched_off("pending") && release_at_least(6, 2))
		has |= KERNEL_PENDING_RULE;
	if (!switched_off("pidfd") && release_at_least(5, 3))
		has |= KERNEL_PIDFD;
	return has;
}

uint32_t
kernel_features(void)
{
	uint32_t has = load_relaxed(&features);
	if (unlikely(!has)) {
		has = probe();
		store_relaxed(&features, has);
	}
	return has & ~PROBED;
}

int
kernel_barrier_join(void)
{
	return membarrier(MEMBARRIER_REGISTER_GLOBAL_EXPEDITED) < 0 ? -errno : 0;
}

void
kernel_barrier(void)
{
	membarrier(MEMBARRIER_GLOBAL_EXPEDITED);
}

pid_t
kernel_tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

uint64_t
kernel_pid_namespace(void)
{
	struct stat s;
	return stat("/proc/self/ns/pid", &s) ? 0 : (uint64_t)s.st_ino;
}

uint64_t
kernel_start_time(pid_t pid)
{
	char path[40], text[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* The name, field 2, may hold anything: count from its last parenthesis. */
	char *at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

bool
kernel_process_ended(pid_t pid, uint64_t start_time)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return errno == ESRCH || errno == EINVAL;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool ended = poll(&p, 1, 0) == 1;
	/* The pidfd keeps the pid from being used again, so the start time read now is its own. */
	uint64_t started = ended ? 0 : kernel_start_time(pid);
	close(fd);
	return ended || (start_time && started && started != start_time);
}

unsigned
kernel_cpus(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set))
		return 1;
	int n = CPU_COUNT(&set);
	return n > 0 ? (unsigned)n : 1;
}

/*
 * Of the machine, not of this thread: one who is pinned to a CPU waits for others that run
 * elsewhere.
 */
unsigned
kernel_cpus_online(void)
{
	static word32 cpus;
	uint32_t n = load_relaxed(&cpus);
	if (unlikely(!n)) {
		long online = sysconf(_SC_NPROCESSORS_ONLN);
		store_relaxed(&cpus, n = online > 0 ? (uint32_t)online : 1);
	}
	return n;
}

void
kernel_yield(void)
{
	sched_yield();
}
