#include "process/bundle.h"
#include "base/descriptor.h"
#include "base/error.h"
#include "base/kernel.h"
#include "base/shmfile.h"
#include "process/family.h"
#include "process/method.h"
#include <limits.h>
#include <shoal/arena.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u
/* A file in memory of another layout is no bundle. */
#define VERSION (0x70617263u ^ SHOAL_VERSION ^ (uint32_t)sizeof(struct bundle))

static int
map_new(uint64_t bytes, struct bundle **out, int *fd)
{
	int rc = 0, made = shmfile_private(bytes, 0600);
	if (made < 0)
		return fail(made, "process start: no file in memory: %s", strerror(-made));
	/* The numbers below are for output that may be closed now: nobody shall write into it. */
	*fd = descriptor_above(made);
	if (*fd < DESCRIPTOR_FIRST)
		rc = -EMFILE;
	rc = rc ? rc : shmfile_back(*fd, 0, bytes);
	*out = rc ? NULL : shmfile_map(*fd, bytes, 0, &rc);
	if (*out)
		return 0;
	shmfile_close(*fd);
	return fail(rc, "process start: no file of %llu bytes in memory: %s",
	            (unsigned long long)bytes, strerror(-rc));
}

/* What stands behind the struct, and where the next string goes. */
static uint32_t
put_text(struct bundle *p, size_t *end, const char *text)
{
	uint32_t at = (uint32_t)*end;
	*end = at + strlen(text) + 1;
	strcpy((char *)p + at, text);
	return at;
}

static void
fill(struct bundle *to, const struct shoal_process *p, const char *directory)
{
	size_t end = sizeof *to;
	to->daemon = p->daemon;
	to->name = put_text(to, &end, p->name);
	to->path = put_text(to, &end, p->path);
	to->parent_name = put_text(to, &end, family.self.name);
	to->directory = *directory ? put_text(to, &end, directory) : 0;
	to->method = method_chosen();
	to->last_signal = p->last_signal;
	pthread_sigmask(SIG_SETMASK, NULL, &to->mask);
	to->arg_bytes = p->arg_bytes;
	to->fds[0] = p->lifeline.tied;
	for (size_t i = 0; i < p->arena_count; i++)
		to->fds[1 + i] = shoal_arena_fd(p->arenas[i]);
	to->fd_count = (uint32_t)(1 + p->arena_count);
	memcpy(bundle_arg(to), p->arg, p->arg_bytes);
}

int
bundle_pack(const struct shoal_process *p, shoal_start_method method, struct bundle **out, int *fd)
{
	char directory[PATH_MAX];
	struct code_ref code;
	int rc = code_refer((void (*)(void))p->run, &code);
	if (rc < 0)
		return rc;
	/* A server may stand elsewhere; what is executed from here stands here. */
	if (method != SHOAL_FORKSERVER || !getcwd(directory, sizeof directory))
		directory[0] = '\0';
	uint64_t head = sizeof **out + strlen(p->name) + strlen(p->path) +
	                strlen(family.self.name) + strlen(directory) + 4;
	head = (head + PAGE - 1) / PAGE * PAGE;
	/* A file in memory of more than there is would fill all of it before it is refused. */
	if (p->arg_bytes > INT64_MAX - head || p->arg_bytes > kernel_memory())
		return fail(-ENOMEM, "process start: no memory for arg_bytes %zu", p->arg_bytes);
	rc = map_new(head + p->arg_bytes, out, fd);
	if (rc < 0)
		return rc;
	struct bundle *to = *out;
	to->version = VERSION;
	to->parent = family.pid;
	to->head_bytes = head;
	to->code = code;
	fill(to, p, directory);
	return 0;
}

int
bundle_pack_server(struct bundle **out, int *fd)
{
	uint64_t head = (sizeof **out + PAGE - 1) / PAGE * PAGE;
	int rc = map_new(head, out, fd);
	if (rc < 0)
		return rc;
	(*out)->version = VERSION;
	(*out)->server = true;
	(*out)->parent = family.pid;
	(*out)->head_bytes = head;
	return 0;
}

struct bundle *
bundle_open(int fd)
{
	struct shmfile file;
	int rc;
	if (shmfile_look(fd, "a start token", &file) < 0 || !file.fixed ||
	    file.bytes < sizeof(struct bundle))
		return NULL;
	struct bundle *p = shmfile_map(fd, file.bytes, 0, &rc);
	if (!p)
		return NULL;
	bool whole = p->version == VERSION && p->head_bytes + p->arg_bytes == file.bytes;
	if (whole && (!p->arg_bytes || !shmfile_own(p, p->head_bytes, p->arg_bytes, fd)))
		return p;
	shmfile_unmap(p, file.bytes);
	return NULL;
}

bool
bundle_take(struct bundle *p)
{
	return cas32_acq_rel(&p->taken, 0, 1);
}

const char *
bundle_text(const struct bundle *p, uint32_t at)
{
	return (const char *)p + at;
}

void *
bundle_arg(struct bundle *p)
{
	return (char *)p + p->head_bytes;
}

/* From then on the mapping is as long as the head. */
void
bundle_shrink(struct bundle *p)
{
	if (p->arg_bytes)
		shmfile_unmap(bundle_arg(p), p->arg_bytes);
}

void
bundle_drop(struct bundle *p)
{
	shmfile_unmap(p, p->head_bytes);
}
