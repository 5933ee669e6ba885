#include "base/shmfile.h"
#include "base/descriptor.h"
#include "base/direct.h"
#include "base/error.h"
#include "base/kernel.h"
#include "base/signals.h"
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

/* A pipe in the way would block without O_NONBLOCK; on a regular file it means nothing. */
#define OPEN_SAFELY (O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
/* 0.1 s: whoever decides about a name takes a few microseconds. */
#define LOCK_TRIES 100
#define LOCK_PAUSE_NS 1000000
#define DESCRIPTORS_HINT "; raise RLIMIT_NOFILE (ulimit -n)"

static int
fail_file(const char *what, const char *doing)
{
	int e = errno;
	return fail(-e, "%s: %s failed: %s%s", what, doing, strerror(e),
	            e == EMFILE ? DESCRIPTORS_HINT : "");
}

/* Beyond the limit on file lengths the kernel would kill the process with SIGXFSZ. */
static int
set_length(int fd, const char *what, uint64_t bytes)
{
	struct rlimit most;
	if (getrlimit(RLIMIT_FSIZE, &most) == 0 && most.rlim_cur != RLIM_INFINITY &&
	    bytes > most.rlim_cur)
		return fail(-EFBIG,
		            "%s: a sparse file of %llu bytes is longer than RLIMIT_FSIZE (ulimit "
		            "-f) allows; create the arena with a smaller limit_bytes, and a smaller "
		            "members_max",
		            what, (unsigned long long)bytes);
	int rc;
	do
		rc = ftruncate(fd, (off_t)bytes);
	while (rc && errno == EINTR);
	return rc ? fail_file(what, "ftruncate") : 0;
}

/* The mode is set by itself, so that the umask has no say in it. */
static int
prepare(int fd, const char *what, uint64_t bytes, unsigned mode)
{
	int rc = fchmod(fd, mode) ? fail_file(what, "fchmod") : set_length(fd, what, bytes);
	if (rc == 0)
		return fd;
	direct_close(fd);
	return rc;
}

int
shmfile_private(uint64_t bytes, unsigned mode)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = -1;
	if (kernel_has(KERNEL_NOEXEC_SEAL))
		fd = memfd_create("shoal", flags | MFD_NOEXEC_SEAL);
	if (fd < 0 && (!kernel_has(KERNEL_NOEXEC_SEAL) || errno == EINVAL))
		fd = memfd_create("shoal", flags);
	if (fd < 0)
		return fail_file("a private arena", "memfd_create");
	/* A forked child's input is another one, and would cut the file off. */
	fd = descriptor_above(fd);
	int rc = prepare(fd, "a private arena", bytes, mode);
	if (rc >= 0 && fcntl(fd, F_ADD_SEALS, SEALS)) {
		rc = fail_file("a private arena", "sealing");
		direct_close(fd);
	}
	return rc;
}

int
shmfile_unnamed(const struct place *p, uint64_t bytes, unsigned mode)
{
	int fd = direct_open(p->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		return fail(-EOPNOTSUPP,
		            "arena '%s': the file system there has no unnamed files (O_TMPFILE); "
		            "choose a tmpfs, such as /dev/shm",
		            p->path);
	if (fd < 0)
		return fail_file(p->path, "making the file");
	return prepare(descriptor_above(fd), p->path, bytes, mode);
}

int
shmfile_taken(const struct place *p)
{
	return fail(-EEXIST, "there is an arena, or another file, named '%s' already: attach it, pass "
	            "SHOAL_OR_ATTACH, or remove it with shoal_arena_unlink",
	            p->path);
}

int
shmfile_publish(int fd, const struct place *p)
{
	char from[40];
	snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, from, p->dir, p->leaf, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno == EEXIST)
		return shmfile_taken(p);
	return fail_file(p->path, "naming the file through /proc");
}

static int
fail_open(const struct place *p)
{
	switch (errno) {
	case ENOENT:
		return fail(-ENOENT, "there is no arena '%s'", p->path);
	case ELOOP:
	case EMLINK:
		return fail(-EPERM, "'%s' is a symbolic link, which is not followed; remove it",
		            p->path);
	case EACCES:
	case EROFS:
		return fail(-EPERM,
		            "arena '%s' may not be opened by user %u: its owner or mode forbids it",
		            p->path, (unsigned)geteuid());
	case EISDIR:
	case ENXIO:
		return fail(-EPROTO, "'%s' is not an arena: it is no regular file", p->path);
	default:
		return fail_file(p->path, "opening it");
	}
}

static int
check_opened(const struct place *p, const struct shmfile *f)
{
	if (f->links == 0)
		return fail(-ENOENT, "the arena '%s' was unlinked at this moment", p->path);
	if (!p->own)
		return 0;
	if (f->owner != geteuid())
		return fail(-EPERM,
		            "the file '%s' belongs to user %u, not to user %u, and is not used",
		            p->path, (unsigned)f->owner, (unsigned)geteuid());
	if (f->links > 1)
		return fail(-EPERM, "the file '%s' has %u hard links; an arena has one", p->path,
		            f->links);
	return 0;
}

int
shmfile_open(const struct place *p, bool readonly)
{
	int fd = direct_open(p->dir, p->leaf, (readonly ? O_RDONLY : O_RDWR) | OPEN_SAFELY);
	if (fd < 0)
		return fail_open(p);
	struct shmfile f;
	fd = descriptor_above(fd);
	int rc = shmfile_look(fd, p->path, &f);
	if (rc == 0)
		rc = check_opened(p, &f);
	if (rc == 0)
		return fd;
	direct_close(fd);
	return rc;
}

int
shmfile_copy(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return fail(-errno, "descriptor %d cannot be copied: %s%s", fd, strerror(errno),
		            errno == EMFILE ? DESCRIPTORS_HINT : "");
	return copy;
}

int
shmfile_look(int fd, const char *what, struct shmfile *out)
{
	struct stat s;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &s))
		return fail_file(what, "looking at the file");
	if (!S_ISREG(s.st_mode) || (flags & O_ACCMODE) == O_WRONLY || (flags & O_PATH))
		return fail(-EPROTO, "%s is not an arena: it is no regular file that can be read",
		            what);
	int seals = fcntl(fd, F_GET_SEALS);
	*out = (struct shmfile){
		.device = s.st_dev, .inode = s.st_ino, .bytes = (uint64_t)s.st_size,
		.mode = s.st_mode & 0777, .links = (unsigned)s.st_nlink, .owner = s.st_uid,
		.fixed = seals >= 0 && (seals & F_SEAL_SHRINK),
		.readonly = (flags & O_ACCMODE) == O_RDONLY,
	};
	return 0;
}

bool
shmfile_same(int fd, const struct shmfile *f)
{
	struct stat s;
	return fstat(fd, &s) == 0 && s.st_dev == f->device && s.st_ino == f->inode;
}

ssize_t
shmfile_read(int fd, void *out, size_t bytes)
{
	size_t done = 0;
	while (done < bytes) {
		ssize_t n = direct_pread(fd, (char *)out + done, bytes - done, (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

uint64_t
shmfile_backed(int fd)
{
	struct stat s;
	struct statfs system;
	if (fstatfs(fd, &system) || system.f_type != TMPFS_MAGIC || fstat(fd, &s))
		return UINT64_MAX;
	return (uint64_t)s.st_blocks * 512;
}

int
shmfile_back(int fd, uint64_t from, uint64_t bytes)
{
	sigset_t old;
	int rc = direct_fallocate(fd, (off_t)from, (off_t)bytes);
	if (!rc || errno != EINTR)
		return rc ? -errno : 0;
	/* A kernel before 6.11 undoes all at any signal: a timer's would never let it end. */
	signals_block(&old);
	do
		rc = direct_fallocate(fd, (off_t)from, (off_t)bytes);
	while (rc && errno == EINTR);
	rc = rc ? -errno : 0;
	signals_restore(&old);
	return rc;
}

void *
shmfile_map(int fd, uint64_t bytes, unsigned flags, int *rc)
{
	int prot = flags & SHMFILE_READONLY ? PROT_READ : PROT_READ | PROT_WRITE;
	void *base = mmap(NULL, bytes, prot, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED) {
		*rc = -errno;
		return NULL;
	}
	madvise(base, bytes, MADV_DONTDUMP);
	if (flags & SHMFILE_HUGE)
		madvise(base, bytes, MADV_HUGEPAGE);
	*rc = 0;
	return base;
}

int
shmfile_own(void *base, uint64_t from, uint64_t bytes, int fd)
{
	void *at = mmap((char *)base + from, bytes, PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd, (off_t)from);
	return at == MAP_FAILED ? -errno : 0;
}

void
shmfile_unmap(void *base, uint64_t bytes)
{
	munmap(base, bytes);
}

void
shmfile_path(int fd, char *out, size_t bytes)
{
	char link[40];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, out, bytes - 1);
	out[n > 0 ? n : 0] = '\0';
}

static int
open_bare(const struct place *p)
{
	int fd = direct_open(p->dir, p->leaf, O_RDONLY | OPEN_SAFELY);
	return fd < 0 ? -errno : fd;
}

static int
flock_for_a_while(int fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		direct_poll(NULL, 0, &(struct timespec){ .tv_nsec = LOCK_PAUSE_NS });
	}
	return -EBUSY;
}

/*
 * Two may find the same file dead at once. If the slower one removed the name after the faster one
 * did and a new file had taken it, the new one would be lost; so each looks once more while it
 * holds the old file's lock.
 */
int
shmfile_lock(const struct place *p, int fd)
{
	struct stat s, mine;
	int locked = open_bare(p);
	if (locked < 0)
		return locked;
	int rc = flock_for_a_while(locked);
	if (rc == 0 && (fstat(locked, &s) || fstat(fd, &mine) || s.st_nlink == 0 ||
	                s.st_ino != mine.st_ino || s.st_dev != mine.st_dev))
		rc = -ENOENT;
	if (rc == 0)
		return locked;
	direct_close(locked);
	return rc;
}

int
shmfile_unlink_locked(const struct place *p)
{
	return unlinkat(p->dir, p->leaf, 0) ? -errno : 0;
}

/* Any file may stand at a path; in this user's own directory there are arenas only. */
static bool
is_foreign(const struct place *p, int fd, uint64_t magic)
{
	uint64_t seen = 0;
	return !p->own && (shmfile_read(fd, &seen, sizeof seen) < 0 || seen != magic);
}

int
shmfile_unlink(const struct place *p, uint64_t magic)
{
	int rc, fd = open_bare(p);
	/* What cannot be opened, such as a symbolic link, has no lock to take. */
	if (p->own && (fd == -ELOOP || fd == -EACCES || fd == -ENXIO)) {
		rc = shmfile_unlink_locked(p);
	} else if (fd == -ELOOP || fd == -ENXIO) {
		return fail(-EPROTO, "'%s' is no arena, and is not removed", p->path);
	} else if (fd < 0) {
		rc = fd;
	} else if (is_foreign(p, fd, magic)) {
		direct_close(fd);
		return fail(-EPROTO, "'%s' is no arena, and is not removed", p->path);
	} else {
		int locked = shmfile_lock(p, fd);
		rc = locked < 0 ? locked : shmfile_unlink_locked(p);
		if (locked >= 0)
			direct_close(locked);
		direct_close(fd);
	}
	return rc ? fail(rc, "the arena '%s' cannot be unlinked: %s", p->path, strerror(-rc)) : 0;
}

void
shmfile_close(int fd)
{
	direct_close(fd);
}

uint64_t
shmfile_random(void)
{
	uint64_t value = 0;
	if (direct_getrandom(&value, sizeof value, GRND_NONBLOCK) != sizeof value)
		value = (uint64_t)shoal_now() * UINT64_C(0x9e3779b97f4a7c15) +
		        (uint64_t)kernel_tid();
	return value;
}
