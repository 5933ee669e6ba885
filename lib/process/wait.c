/* What is asked of a process from outside: whether it lives, how it ended, signals. */
#include "base/clock.h"
#include "base/direct.h"
#include "base/error.h"
#include "base/pidfd.h"
#include "base/thread.h"
#include "process/family.h"
#include "process/server.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define TRACER_SLICE_NS INT64_C(1000000)
#define INTERRUPT_SLICE_NS INT64_C(10000000)
#define SERVER_TELLS_NS INT64_C(1000000000) /* as shoal/process.h has it */

/* Its server is about to tell how it ended. One that is stopped is not waited for. */
static bool
may_be_told(struct shoal_process *p)
{
	if (!p->untold_from)
		p->untold_from = clock_now();
	return clock_now() - p->untold_from < SERVER_TELLS_NS;
}

bool
process_reap(struct shoal_process *p)
{
	if (p->state != PROCESS_RUNNING)
		return p->state == PROCESS_ENDED;
	int rc = pidfd_reap(p->fd, &p->code);
	if (rc == -EAGAIN || (rc < 0 && pidfd_sleep(p->fd, 0) != 1))
		return false;
	p->code_known = !rc || cradle_code(p->cradle, &p->code);
	if (!p->code_known && p->server && server_lives(p->server) && may_be_told(p))
		return false;
	p->code_known = p->code_known || pidfd_recall(p->fd, &p->code);
	p->state = PROCESS_ENDED;
	lifeline_drop(&p->lifeline);
	process_leave_cradle(p);
	if (!p->kept)
		family_remove(p);
	return true;
}

/* Its end has come, and its server has not told how yet. The lock is held. */
static bool
is_untold(const struct shoal_process *p)
{
	return p->kind == PROCESS_CHILD && p->state == PROCESS_RUNNING && p->untold_from;
}

bool
process_settle(struct shoal_process *p)
{
	for (;;) {
		family_lock();
		bool is = process_reap(p), untold = !is && is_untold(p);
		family_unlock();
		if (!untold)
			return is;
		pidfd_sleep(-1, clock_now() + TRACER_SLICE_NS);
	}
}

/*
 * The parent's pidfd is opened when it is first needed. Only the one whose child this is can have
 * the number that getppid gives, before and after: a parent that is gone gives its child to
 * another.
 */
static int
open_parent(struct shoal_process *p)
{
	if (p->fd >= 0)
		return 0;
	int fd = pidfd_open_pid(p->pid);
	if (getppid() != p->pid) {
		if (fd >= 0)
			direct_close(fd);
		fd = pidfd_open_ended();
	}
	if (fd < 0)
		return fail(fd, "no descriptor for the parent, %s: %s", p->name, strerror(-fd));
	p->fd = fd;
	return 0;
}

/* 0 when it has a pidfd. The lock is held. */
static int
need_fd(struct shoal_process *p, const char *call)
{
	if (p->kind == PROCESS_PARENT)
		return open_parent(p);
	if (p->fd < 0)
		return fail(-ECHILD, "%s: %s has not been started", call, p->name);
	return 0;
}

static bool
ended(struct shoal_process *p)
{
	if (p->kind == PROCESS_CHILD)
		return process_reap(p);
	if (p->kind != PROCESS_PARENT)
		return false;
	return p->fd >= 0 ? pidfd_sleep(p->fd, 0) == 1 : getppid() != p->pid;
}

/*
 * The one place where this layer sleeps: 1 when the process has ended. A thread that can be
 * interrupted wakes from time to time to see whether it is, since a pidfd and a word in memory
 * cannot be waited for together; one without a record, which nobody can name, sleeps through.
 */
static int
sleep_on(int fd, int64_t deadline)
{
	struct shoal_thread *t = thread_epoch() ? thread_here : NULL;
	if (t && thread_interrupted(t))
		return fail_quiet(-ECANCELED, "join was interrupted by shoal_thread_interrupt");
	int rc = pidfd_sleep(fd, t ? clock_sooner(deadline, INTERRUPT_SLICE_NS) : deadline);
	return rc < 0 && rc != -EINTR ? fail(rc, "poll of a process: %s", strerror(-rc)) : rc == 1;
}

bool
process_ended(struct shoal_process *p)
{
	family_lock();
	bool is = ended(p);
	family_unlock();
	return is;
}

static int
wait_for(struct shoal_process *p, int fd, shoal_time timeout)
{
	int64_t deadline = clock_deadline(timeout);
	/* Ended, but a tracer has it until it likes, or its server has not told: look again later. */
	bool traced = false;
	if (timeout <= 0 && p->kind == PROCESS_CHILD)
		(void)process_settle(p);
	while (!process_ended(p)) {
		if (timeout <= 0)
			return fail_quiet(-EAGAIN, "the process is still running");
		if (clock_now() >= deadline)
			return fail_quiet(-ETIMEDOUT, "the process ran on to the end of the time");
		int64_t wake = traced ? clock_sooner(deadline, TRACER_SLICE_NS) : deadline;
		int rc = sleep_on(traced ? -1 : fd, wake);
		if (rc < 0)
			return rc;
		traced = rc == 1;
	}
	return 0;
}

int
shoal_process_join(shoal_process *p, shoal_time timeout)
{
	int rc = process_check(p, "process join");
	if (rc < 0)
		return rc;
	if (p->kind == PROCESS_SELF)
		return fail(-EDEADLK, "process join: %s would wait for itself", p->name);
	family_lock();
	rc = need_fd(p, "process join");
	int fd = p->fd;
	family_unlock();
	return rc < 0 ? rc : wait_for(p, fd, timeout);
}

bool
shoal_process_is_alive(shoal_process *p)
{
	if (process_check(p, "process is_alive") < 0)
		return false;
	family_lock();
	bool alive = p->state == PROCESS_RUNNING && !ended(p) && !is_untold(p);
	family_unlock();
	return alive;
}

/* Why there is no code to give. */
static const char *
lack_of_code(const struct shoal_process *p)
{
	if (p->kind == PROCESS_PARENT)
		return "a parent's is not known to its child";
	if (p->state == PROCESS_ENDED)
		return p->server ? "its fork server did not tell"
		                 : "SIGCHLD is ignored, or another wait of this process took it";
	return "the process was not started";
}

int
shoal_process_exitcode(shoal_process *p, int *code)
{
	int rc = process_check(p, "process exitcode");
	if (rc < 0)
		return rc;
	if (!code)
		return fail(-EINVAL, "process exitcode: code is NULL");
	if (p->kind == PROCESS_CHILD)
		(void)process_settle(p);
	family_lock();
	if (p->state == PROCESS_RUNNING && !ended(p))
		rc = fail_quiet(-EAGAIN, "the process is still running");
	else if (p->state == PROCESS_ENDED && p->code_known)
		*code = p->code;
	else
		rc = fail(-ECHILD, "process exitcode of %s: %s", p->name, lack_of_code(p));
	family_unlock();
	return rc;
}

int
shoal_process_signal(shoal_process *p, int signo)
{
	int rc = process_check(p, "process signal");
	if (rc < 0)
		return rc;
	if (signo < 0 || signo > SIGRTMAX)
		return fail(-EINVAL, "process signal: there is no signal %d", signo);
	if (p->kind != PROCESS_CHILD)
		return fail(-ECHILD, "process signal: %s is not a child of this process", p->name);
	family_lock();
	rc = need_fd(p, "process signal");
	if (!rc && !process_reap(p)) {
		rc = pidfd_signal(p->fd, signo);
		rc = rc == -ESRCH ? 0 : rc;
		if (rc < 0)
			fail(rc, "process signal: %d to %s: %s", signo, p->name, strerror(-rc));
	}
	family_unlock();
	return rc;
}

int
shoal_process_terminate(shoal_process *p)
{
	return shoal_process_signal(p, SIGTERM);
}

int
shoal_process_kill(shoal_process *p)
{
	return shoal_process_signal(p, SIGKILL);
}

int
shoal_process_fd(const shoal_process *handle)
{
	struct shoal_process *p = (struct shoal_process *)(uintptr_t)handle;
	int rc = process_check(p, "process fd");
	if (rc < 0)
		return rc;
	if (p->kind == PROCESS_SELF)
		return fail(-ECHILD, "process fd: %s is not a child of this process", p->name);
	family_lock();
	rc = need_fd(p, "process fd");
	int fd = p->fd;
	family_unlock();
	return rc < 0 ? rc : fd;
}
