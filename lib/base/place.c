#include "base/place.h"
#include "base/direct.h"
#include "base/error.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_BYTES 63

static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

static bool
names_a_file(const char *leaf)
{
	return *leaf && strcmp(leaf, ".") && strcmp(leaf, "..");
}

static int
plain_path(const char *name, struct place *p)
{
	size_t n = strnlen(name, NAME_MAX_BYTES + 1);
	if (n > NAME_MAX_BYTES || strspn(name, good) != n || !names_a_file(name))
		return fail(-EINVAL,
		            "'%.64s' cannot be an arena's name: 1 to 63 bytes of A-Z a-z 0-9 . _ - "
		            "or a path with a '/'",
		            name);
	snprintf(p->path, sizeof p->path, "/dev/shm/shoal-%u/%s", (unsigned)geteuid(), name);
	p->own = true;
	return 0;
}

/* Made absolute, so that the name is the same file after a chdir. */
static int
chosen_path(const char *name, struct place *p)
{
	char here[PLACE_BYTES] = "";
	if (*name != '/' && !getcwd(here, sizeof here))
		return fail(errno == ERANGE ? -EINVAL : -errno,
		            "the working directory, where '%.128s' begins, has no usable path: %s",
		            name, strerror(errno));
	int n = snprintf(p->path, sizeof p->path, "%s%s%s", here, *name == '/' ? "" : "/", name);
	if (n >= (int)sizeof p->path)
		return fail(-EINVAL, "the path '%.64s…' of an arena is longer than %d bytes",
		            name, PLACE_BYTES - 1);
	p->own = false;
	return 0;
}

static int
find_path(const char *name, struct place *p)
{
	if (!name)
		return fail(-EINVAL, "an arena to attach or unlink needs a name");
	int rc = strchr(name, '/') ? chosen_path(name, p) : plain_path(name, p);
	if (rc)
		return rc;
	p->leaf = strrchr(p->path, '/') + 1;
	if (!names_a_file(p->leaf))
		return fail(-EINVAL, "the path '%s' of an arena names a directory", p->path);
	return 0;
}

/*
 * Without this anybody could have put the directory there first, in a /dev/shm that all may write
 * to.
 */
static int
check_own(int dir, const char *path)
{
	struct stat s;
	if (fstat(dir, &s))
		return fail(-errno, "'%s' cannot be looked at: %s", path, strerror(errno));
	if (s.st_uid != geteuid())
		return fail(-EPERM,
		            "the directory '%s' belongs to user %u, not to user %u, and is not "
		            "used; have it removed",
		            path, (unsigned)s.st_uid, (unsigned)geteuid());
	if (s.st_mode & 077)
		return fail(-EPERM,
		            "the directory '%s' has mode %03o, open to others; make it 0700", path,
		            (unsigned)s.st_mode & 0777);
	return 0;
}

static int
open_directory(const char *path, const struct place *p, bool make)
{
	if (p->own && make && mkdir(path, 0700) && errno != EEXIST)
		return fail(-errno, "the directory '%s' for named arenas cannot be made: %s", path,
		            strerror(errno));
	int dir = direct_open(AT_FDCWD, path,
	                      O_PATH | O_DIRECTORY | O_CLOEXEC | (p->own ? O_NOFOLLOW : 0));
	if (dir >= 0)
		return dir;
	int rc = errno == ENOTDIR && p->own ? -EPERM : -errno;
	return fail(rc, "there is no usable directory '%s' for the arena '%s': %s", path, p->leaf,
	            strerror(errno));
}

int
place_find(const char *name, bool make, struct place *out)
{
	int rc = find_path(name, out);
	if (rc)
		return rc;
	char path[PLACE_BYTES];
	size_t n = (size_t)(out->leaf - out->path) - 1;
	snprintf(path, sizeof path, "%.*s", n ? (int)n : 1, out->path);
	out->dir = open_directory(path, out, make);
	if (out->dir < 0)
		return out->dir;
	rc = out->own ? check_own(out->dir, path) : 0;
	if (rc)
		place_leave(out);
	return rc;
}

void
place_leave(struct place *p)
{
	direct_close(p->dir);
	p->dir = -1;
}
