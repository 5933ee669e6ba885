#include "process/launch.h"
#include "base/descriptor.h"
#include "base/direct.h"
#include "base/error.h"
#include "base/image.h"
#include "process/again.h"
#include "process/birth.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_BYTES 64

/* What goes along, and what of it is closed here afterwards. */
struct luggage {
	int keep[1 + BUNDLE_FDS], lifted[BUNDLE_FDS];
	size_t keep_count, lifted_count;
};

static int
compare(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;
	return (x > y) - (x < y);
}

/* The numbers of streams that are closed here may be an arena's; there they are the streams'. */
static int
lift(struct luggage *l, int *fd)
{
	if (*fd >= DESCRIPTOR_FIRST)
		return 0;
	int above = fcntl(*fd, F_DUPFD_CLOEXEC, DESCRIPTOR_FIRST);
	if (above < 0)
		return fail(-errno, "no descriptor for a new process: %s", strerror(errno));
	l->lifted[l->lifted_count++] = above;
	*fd = above;
	return 0;
}

static int
pack(struct luggage *l, struct bundle *p, int bundle_fd)
{
	l->lifted_count = 0;
	l->keep_count = 1;
	l->keep[0] = bundle_fd;
	for (uint32_t i = 0; i < p->fd_count; i++) {
		if (p->fds[i] < 0)
			continue;
		int rc = lift(l, &p->fds[i]);
		if (rc < 0)
			return rc;
		l->keep[l->keep_count++] = p->fds[i];
	}
	qsort(l->keep, l->keep_count, sizeof *l->keep, compare);
	return 0;
}

static void
unpack(const struct luggage *l)
{
	for (size_t i = 0; i < l->lifted_count; i++)
		direct_close(l->lifted[i]);
}

/* This process's environment and the token; the strings stay where they are. */
static char **
environment(char *token)
{
	size_t count = 0;
	while (environ && environ[count])
		count++;
	char **all = malloc((count + 2) * sizeof *all);
	if (!all)
		return NULL;
	all[0] = token;
	if (count)
		memcpy(all + 1, environ, count * sizeof *all);
	all[count + 1] = NULL;
	return all;
}

static int
execute(const struct luggage *l, int bundle_fd, bool apart, pid_t *pid, int *pidfd)
{
	struct stat s;
	char token[TOKEN_BYTES], role[] = "[shoal]";
	char *argv[] = { program_invocation_name, role, NULL };
	if (fstat(bundle_fd, &s))
		return fail(-errno, "looking at a bundle: %s", strerror(errno));
	snprintf(token, sizeof token, BIRTH_TOKEN "=%d:%llu", bundle_fd,
	         (unsigned long long)s.st_ino);
	char **envp = environment(token);
	if (!envp)
		return fail(-ENOMEM, "process start: no memory for the environment");
	struct image image = { .argv = argv, .envp = envp, .keep = l->keep,
		                   .keep_count = l->keep_count, .apart = apart };
	int rc = image_start(&image, pid, pidfd);
	free(envp);
	return rc < 0 ? fail(rc, "the program cannot be executed again: %s", strerror(-rc)) : 0;
}

int
launch(struct bundle *p, int bundle_fd, bool apart, pid_t *pid, int *pidfd)
{
	struct luggage l;
	int rc = again_check_ids();
	if (rc < 0)
		return rc;
	rc = pack(&l, p, bundle_fd);
	if (!rc)
		rc = execute(&l, bundle_fd, apart, pid, pidfd);
	unpack(&l);
	return rc;
}
