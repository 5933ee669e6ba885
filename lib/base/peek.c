#include "base/peek.h"
#include "base/cancel.h"
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

bool
peek_copy(const void *from, void *to, size_t bytes)
{
	struct iovec local = { to, bytes }, remote = { (void *)(uintptr_t)from, bytes };
	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)bytes;
}

struct region {
	uint64_t from, to, at, inode;
	unsigned major, minor;
};

static bool
region_read(FILE *maps, struct region *r)
{
	char line[512];
	if (!fgets(line, sizeof line, maps))
		return false;
	return sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %x:%x %" SCNu64, &r->from, &r->to,
	              &r->at, &r->major, &r->minor, &r->inode) == 6;
}

/* Memory that is no file's has neither device nor inode: then only the one mapping counts. */
static bool
one_object(const struct region *a, const struct region *b)
{
	if (!a->inode || !b->inode)
		return a->from == b->from;
	return a->inode == b->inode && a->major == b->major && a->minor == b->minor;
}

static bool
distance(const void *from, const void *to, int64_t *bytes)
{
	uint64_t first = (uintptr_t)from, second = (uintptr_t)to;
	struct region r, of_first = { 0 }, of_second = { 0 };
	FILE *maps = fopen("/proc/self/maps", "re");
	if (!maps)
		return false;
	while (region_read(maps, &r)) {
		if (first >= r.from && first < r.to)
			of_first = r;
		if (second >= r.from && second < r.to)
			of_second = r;
	}
	fclose(maps);
	if (!of_first.to || !of_second.to || !one_object(&of_first, &of_second))
		return false;
	*bytes = (int64_t)((second - of_second.from + of_second.at) -
	                   (first - of_first.from + of_first.at));
	return true;
}

/* Who waits for a lock comes here. */
bool
peek_distance(const void *from, const void *to, int64_t *bytes)
{
	int old = cancel_forbid();
	bool known = distance(from, to, bytes);
	cancel_restore(old);
	return known;
}

static pid_t
process_of(pid_t thread)
{
	char path[40], line[128];
	int pid = 0;
	snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
	FILE *status = fopen(path, "re");
	if (!status)
		return 0;
	while (!pid && fgets(line, sizeof line, status))
		sscanf(line, "Tgid: %d", &pid);
	fclose(status);
	return pid;
}

pid_t
peek_process(pid_t thread)
{
	int old = cancel_forbid();
	pid_t pid = process_of(thread);
	cancel_restore(old);
	return pid;
}
