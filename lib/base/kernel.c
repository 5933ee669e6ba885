#include "base/kernel.h"
#include "base/direct.h"
#include "base/futex.h"
#include "base/uring.h"
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif
#define MEMBARRIER_QUERY 0
#define MEMBARRIER_GLOBAL_EXPEDITED 2
#define MEMBARRIER_REGISTER_GLOBAL_EXPEDITED 4

word32 kernel_known_;

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

/* ---- one try each: 1, 0, or -errno: it could not be tried now ---- */

static int
has_waitv(void)
{
	return syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno == EINVAL;
}

static int
has_membarrier(void)
{
	long known = membarrier(MEMBARRIER_QUERY);
	return known > 0 && (known & MEMBARRIER_GLOBAL_EXPEDITED);
}

/* What is lacking for the moment only. */
static bool
is_scarce(int code)
{
	return code == EMFILE || code == ENFILE || code == ENOMEM || code == EAGAIN;
}

static int
opened(long fd)
{
	if (fd < 0)
		return is_scarce(errno) ? -errno : 0;
	direct_close((int)fd);
	return 1;
}

static int
has_noexec_seal(void)
{
	return opened(memfd_create("shoal", MFD_CLOEXEC | MFD_NOEXEC_SEAL));
}

static int
has_pidfd(void)
{
	return opened(syscall(SYS_pidfd_open, getpid(), 0));
}

static int
has_uring(void)
{
	int rc = uring_probe();
	return rc == 0 ? 1 : is_scarce(-rc) ? rc : 0;
}

static const struct feature {
	uint32_t bit;
	const char *name;
	int (*try)(void);
} features[] = {
	{ KERNEL_WAITV, "waitv", has_waitv },
	{ KERNEL_MEMBARRIER, "membarrier", has_membarrier },
	{ KERNEL_NOEXEC_SEAL, "noexec", has_noexec_seal },
	{ KERNEL_PENDING_RULE, "pending", futex_death_wakes },
	{ KERNEL_PIDFD, "pidfd", has_pidfd },
	{ KERNEL_URING, "uring", has_uring },
};

/* Several threads may try at once, and find the same. errno is the caller's. */
bool
kernel_look(uint32_t bit)
{
	const struct feature *f = features;
	while (f->bit != bit)
		f++;
	int saved = errno;
	int found = switched_off(f->name) ? 0 : f->try();
	if (found >= 0)
		fetch_or_relaxed(&kernel_known_, bit << 16 | (found ? bit : 0));
	errno = saved;
	return found > 0;
}

uint32_t
kernel_features(void)
{
	uint32_t all = 0;
	for (uint32_t bit = 1; bit < KERNEL_ALL; bit <<= 1)
		all |= kernel_has(bit) ? bit : 0;
	return all;
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

bool
kernel_sibling_ended(uint32_t tid)
{
	return syscall(SYS_tgkill, getpid(), tid, 0) < 0 && errno == ESRCH;
}

uint64_t
kernel_pid_namespace(void)
{
	struct stat s;
	return stat("/proc/self/ns/pid", &s) ? 0 : (uint64_t)s.st_ino;
}

/* Field 22 of its stat, and field 3, its state; 0 when it is gone. */
static uint64_t
read_stat(pid_t pid, char *state)
{
	char path[40], text[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	int fd = direct_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = direct_read(fd, text, sizeof text - 1);
	direct_close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* The name, field 2, may hold anything: count from its last parenthesis. */
	char *at = strrchr(text, ')');
	*state = at && at[1] ? at[2] : 0;
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

uint64_t
kernel_start_time(pid_t pid)
{
	char state;
	return read_stat(pid, &state);
}

/*
 * 22 bits are the kernel's own limit of ids. Of a start that is known no comparison finds its bits
 * 0, which say that it is not.
 */
static uint32_t
mark_of(pid_t tid, uint64_t started)
{
	uint32_t mixed = (uint32_t)((started * UINT64_C(0x9e3779b97f4a7c15)) >> 54) << 22;
	if (started && !(mixed & KERNEL_MARK_LOW))
		mixed |= KERNEL_MARK_TID + 1;
	return (uint32_t)tid | mixed;
}

uint32_t
kernel_thread_mark(pid_t tid)
{
	return mark_of(tid, kernel_start_time(tid));
}

bool
kernel_thread_ended(uint32_t mark, uint32_t known)
{
	pid_t tid = (pid_t)(mark & KERNEL_MARK_TID);
	char state = 0;
	uint64_t started = read_stat(tid, &state);
	if (!started)
		return kill(tid, 0) < 0 && errno == ESRCH;
	bool has_start = mark & known & ~KERNEL_MARK_TID;
	bool another = has_start && ((mark_of(tid, started) ^ mark) & known);
	return state == 'Z' || state == 'X' || another;
}

bool
kernel_process_ended(pid_t pid, uint64_t start_time)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* No process, or the number is a thread's by now: EINVAL, or ENOENT of newer kernels. */
	if (fd < 0)
		return errno == ESRCH || errno == EINVAL || errno == ENOENT;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool ended = direct_poll(&p, 1, &(struct timespec){ 0 }) == 1;
	/* The pidfd keeps the pid from being used again, so the start time read now is its own. */
	uint64_t started = ended ? 0 : kernel_start_time(pid);
	direct_close(fd);
	return ended || (start_time && started && started != start_time);
}

/* Every program that is compiled with -fsanitize=thread has it; nobody else. */
extern void __tsan_init(void) __attribute__((weak, visibility("default")));

bool
kernel_clone_is_watched(void)
{
	return __tsan_init != NULL;
}

bool
kernel_release_at_least(int major, int minor)
{
	struct utsname u;
	int has_major, has_minor;
	if (uname(&u) || sscanf(u.release, "%d.%d", &has_major, &has_minor) != 2)
		return false;
	return has_major > major || (has_major == major && has_minor >= minor);
}

uint64_t
kernel_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
	return pages > 0 && bytes > 0 ? (uint64_t)pages * (uint64_t)bytes : UINT64_MAX;
}

/* A directory has two links, and one more for each directory in it. */
unsigned
kernel_threads(void)
{
	struct stat s;
	return stat("/proc/self/task", &s) || s.st_nlink < 3 ? 0 : (unsigned)s.st_nlink - 2;
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
