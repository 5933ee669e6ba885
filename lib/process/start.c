#include "base/direct.h"
#include "base/error.h"
#include "base/pidfd.h"
#include "base/stream.h"
#include "process/apart.h"
#include "process/family.h"
#include "process/method.h"
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* With the lock held: whether it may start, and what can fail before there is a child. */
static int
claim(struct shoal_process *p, shoal_start_method method)
{
	if (p->kind != PROCESS_CHILD || p->state != PROCESS_NEW)
		return fail(-EALREADY, "process start: %s has been started already", p->name);
	if (family.self.daemon)
		return fail(-EPERM, "process start: %s is a daemon and has no children",
		            family.self.name);
	int rc = family_hook_end();
	if (rc < 0)
		return rc;
	rc = p->daemon ? lifeline_make(&p->lifeline) : 0;
	if (rc < 0)
		return fail(rc, "process start: no pipe for %s: %s", p->name, strerror(-rc));
	p->cradle = method == SHOAL_FORK ? cradle_take() : NULL;
	if (method == SHOAL_FORK && !p->cradle) {
		lifeline_drop(&p->lifeline);
		return fail(-ENOMEM, "process start: no memory shared with %s", p->name);
	}
	p->state = PROCESS_STARTING;
	family_add(p);
	return 0;
}

static void
unclaim(struct shoal_process *p)
{
	family_lock();
	family_remove(p);
	lifeline_drop(&p->lifeline);
	process_leave_cradle(p);
	p->state = PROCESS_NEW;
	family_unlock();
}

/*
 * The cradle is opened under the lock: once the process is known to run, another thread that finds
 * it dead takes the cradle away.
 */
static void
settle(struct shoal_process *p, pid_t pid, int fd)
{
	family_lock();
	p->pid = pid;
	p->fd = fd;
	p->state = PROCESS_RUNNING;
	cradle_open(p->cradle);
	family_unlock();
}

/* What a child has to know of its parent as it was. */
struct legacy {
	const char *name;
	bool quiet, streams_clean, input_used;
};

__attribute__((noreturn)) static void
live(const struct shoal_process *p, void *arg, const struct legacy *l)
{
	family_adopt(p, l->name, l->streams_clean);
	if (l->quiet)
		stream_drop();
	stream_empty_input(l->input_used);
	if (!cradle_wait(p->cradle, p->maker, -1))
		_exit(EXIT_FAILURE);
	shoal_process_exit(p->run(arg));
}

/*
 * The child waits in its cradle and has not called anything of the user's: it goes without a
 * trace.
 */
static int
turn_away(struct shoal_process *p, pid_t pid, int rc)
{
	cradle_refuse(p->cradle);
	while (direct_waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return fail(rc, "process start: no descriptor for %s: %s", p->name, strerror(-rc));
}

static int
welcome(struct shoal_process *p, pid_t pid)
{
	int fd = pidfd_open_pid(pid);
	if (fd < 0)
		return turn_away(p, pid, fd);
	int rc = p->daemon ? lifeline_tie(&p->lifeline, pid, p->last_signal) : 0;
	if (rc < 0) {
		direct_close(fd);
		return turn_away(p, pid, rc);
	}
	settle(p, pid, fd);
	return 0;
}

static int
start_with(struct shoal_process *p, void *arg)
{
	struct legacy l = { family.self.name, p->quiet, stream_alone(), stream_input_used() };
	if (!p->quiet)
		stream_flush(l.streams_clean);
	pid_t pid = fork();
	if (!pid)
		live(p, arg, &l);
	return pid > 0 ? welcome(p, pid)
	               : fail(-errno, "process start: fork of %s: %s", p->name, strerror(errno));
}

/*
 * The copy is made before fork: memory that the two share may change as soon as start has
 * returned.
 */
static int
start_by_fork(struct shoal_process *p)
{
	if (!p->arg_bytes)
		return start_with(p, p->arg);
	void *copy = malloc(p->arg_bytes);
	if (!copy)
		return fail(-ENOMEM, "process start: no memory for arg_bytes %zu", p->arg_bytes);
	memcpy(copy, p->arg, p->arg_bytes);
	int rc = start_with(p, copy);
	free(copy);
	return rc;
}

static int
start(struct shoal_process *p, shoal_start_method method)
{
	if (method == SHOAL_FORK)
		return start_by_fork(p);
	if (!p->quiet)
		stream_flush(stream_alone());
	return apart_start(p, method);
}

int
shoal_process_start(shoal_process *p)
{
	int rc = process_check(p, "process start");
	if (rc < 0)
		return rc;
	shoal_start_method method = method_of(p->method, p->arg_bytes, p->run);
	family_lock();
	family_sweep();
	rc = claim(p, method);
	family_unlock();
	if (rc < 0)
		return rc;
	rc = start(p, method);
	if (rc < 0)
		unclaim(p);
	return rc;
}
