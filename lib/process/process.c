#include "process/process.h"
#include "base/direct.h"
#include "base/error.h"
#include "process/family.h"
#include "process/method.h"
#include "process/bundle.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_BYTES 63
#define ARENAS_MAX 255 /* what a reference can tell apart */
#define PREFIX "Process-"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

int
process_check(const struct shoal_process *p, const char *call)
{
	if (!p)
		return fail(-EINVAL, "%s: the process handle is NULL", call);
	family_meet();
	if (p->maker != family.pid)
		return fail(-EPERM, "%s: the handle of %s is process %d's, not %d's", call,
		            p->name, (int)p->maker, (int)family.pid);
	return 0;
}

/* The colon is in the names that the library gives. */
static int
check_name(const char *name)
{
	static const char allowed[] = LETTERS "0123456789._-:";
	size_t bytes = strnlen(name, NAME_MAX_BYTES + 1);
	if (bytes < 1 || bytes > NAME_MAX_BYTES)
		return fail(-EINVAL, "a process's name has 1 to %d bytes, this one %s",
		            NAME_MAX_BYTES, bytes ? "more" : "none");
	if (strspn(name, allowed) < bytes)
		return fail(-EINVAL, "the name \"%s\" has bytes beside A-Z a-z 0-9 . _ - :",
		            name);
	return 0;
}

static int
check_arenas(const shoal_process_options *o)
{
	if (o->arena_count > ARENAS_MAX)
		return fail(-EINVAL, "a process takes up to %d arenas, not %zu", ARENAS_MAX,
		            o->arena_count);
	if (o->arena_count && !o->arenas)
		return fail(-EINVAL, "arena_count is %zu, arenas is NULL", o->arena_count);
	for (size_t i = 0; i < o->arena_count; i++)
		if (!o->arenas[i])
			return fail(-EINVAL, "arenas[%zu] of %zu is NULL", i, o->arena_count);
	return 0;
}

static int
check_options(const shoal_process_options *o, const void *arg)
{
	for (size_t i = 0; i < sizeof o->reserved_ / sizeof *o->reserved_; i++)
		if (o->reserved_[i])
			return fail(-EINVAL, "process options: reserved_ is not zero");
	if (o->arg_bytes && !arg)
		return fail(-EINVAL, "arg_bytes is %zu, arg is NULL", o->arg_bytes);
	int rc = o->name ? check_name(o->name) : 0;
	if (!rc)
		rc = check_arenas(o);
	return rc ? rc : method_check(o->method, o->arg_bytes);
}

/* "Process-" and the numbers of the line of descent; and where the numbers begin in it. */
static void
write_names(struct shoal_process *p, char *at, const char *name, unsigned number)
{
	const char *above = family.self.path;
	char *path = stpcpy(at, PREFIX);
	char *end = path + sprintf(path, "%s%s%u", above, *above ? ":" : "", number);
	p->path = path;
	p->name = name ? strcpy(end + 1, name) : at;
}

/* One block: the handle, the list of its arenas, its names. */
static struct shoal_process *
allocate(const shoal_process_options *o)
{
	size_t names = sizeof PREFIX + strlen(family.self.path) + 1 + 3 * sizeof(unsigned) +
	               (o->name ? strlen(o->name) + 1 : 0);
	size_t arenas = o->arena_count * sizeof *o->arenas;
	struct shoal_process *p = malloc(sizeof *p + arenas + names);
	if (!p)
		return NULL;
	memset(p, 0, sizeof *p);
	p->arenas = (shoal_arena **)(p + 1);
	p->arena_count = o->arena_count;
	if (arenas)
		memcpy(p->arenas, o->arenas, arenas);
	family_lock();
	write_names(p, (char *)(p->arenas + p->arena_count), o->name, ++family.numbers);
	family_unlock();
	return p;
}

int
shoal_process_create(int (*run)(void *), void *arg, const shoal_process_options *options,
                     shoal_process **out)
{
	static const shoal_process_options none;
	const shoal_process_options *o = options ? options : &none;
	if (!run || !out)
		return fail(-EINVAL, "process create: %s is NULL", run ? "out" : "run");
	family_meet();
	int rc = check_options(o, arg);
	if (rc < 0)
		return rc;
	struct shoal_process *p = allocate(o);
	if (!p)
		return fail(-ENOMEM, "no memory for the handle of a process");
	p->kind = PROCESS_CHILD;
	p->maker = family.pid;
	p->run = run;
	p->arg = arg;
	p->arg_bytes = o->arg_bytes;
	p->method = o->method;
	p->daemon = o->daemon || family.self.daemon;
	p->last_signal = SIGTERM;
	p->fd = -1;
	p->lifeline = (struct lifeline)LIFELINE_NONE;
	*out = p;
	return 0;
}

int
shoal_process_spawn(int (*run)(void *), void *arg, const shoal_process_options *options,
                    shoal_process **out)
{
	struct shoal_process *p;
	int rc = shoal_process_create(run, arg, options, &p);
	if (rc < 0)
		return rc;
	p->kept = !out;
	rc = shoal_process_start(p);
	if (rc < 0)
		process_free(p);
	else if (out)
		*out = p;
	return rc;
}

void
process_leave_cradle(struct shoal_process *p)
{
	if (p->bundle)
		bundle_drop(p->bundle);
	else if (p->cradle)
		cradle_give(p->cradle);
	p->bundle = NULL;
	p->cradle = NULL;
}

void
process_free(struct shoal_process *p)
{
	lifeline_drop(&p->lifeline);
	process_leave_cradle(p);
	if (p->fd >= 0)
		direct_close(p->fd);
	free(p);
}

void
process_pin(struct shoal_process *p)
{
	p->pins++;
}

void
process_unpin(struct shoal_process *p)
{
	if (--p->pins == 0 && p->closed)
		process_free(p);
}

int
shoal_process_close(shoal_process *p)
{
	if (!p)
		return 0;
	int rc = process_check(p, "process close");
	if (rc < 0)
		return rc;
	if (p->kind != PROCESS_CHILD)
		return fail(-EPERM, "process close: that of %s is the library's own", p->name);
	(void)process_settle(p);
	family_lock();
	bool busy = p->state != PROCESS_NEW && !process_reap(p);
	if (!busy) {
		family_remove(p);
		p->closed = true;
		if (!p->pins)
			process_free(p);
	}
	family_unlock();
	return busy ? fail(-EBUSY, "process close: %s is running; join it first", p->name) : 0;
}

pid_t
shoal_process_pid(const shoal_process *p)
{
	if (!p)
		return 0;
	family_lock();
	pid_t pid = p->pid;
	family_unlock();
	return pid;
}

const char *
shoal_process_name(const shoal_process *p)
{
	return p ? p->name : NULL;
}
