/* How a process ends: its cleanups, its children, its streams, its exit code. */
#include "arena/close.h"
#include "base/direct.h"
#include "base/error.h"
#include "base/pidfd.h"
#include "base/stream.h"
#include "base/thread.h"
#include "process/cleanup.h"
#include "process/family.h"
#include "process/server.h"
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* A stopped daemon takes its SIGTERM only when it goes on. */
static void
end_daemons(void)
{
	family_lock();
	for (struct shoal_process *p = family.children; p; p = p->next) {
		if (!p->daemon || p->state != PROCESS_RUNNING)
			continue;
		pidfd_signal(p->fd, SIGTERM);
		pidfd_signal(p->fd, SIGCONT);
	}
	family_unlock();
}

/* One that is left, pinned: another thread may join it as well, and then close it. */
static struct shoal_process *
one_running(void)
{
	family_lock();
	struct shoal_process *p = family.children;
	while (p && p->state != PROCESS_RUNNING)
		p = p->next;
	if (p)
		process_pin(p);
	family_unlock();
	return p;
}

/* False: it cannot be joined. An interrupt ends the wait for one, no more: it is joined again. */
static bool
join_pinned(struct shoal_process *p)
{
	int rc = shoal_process_join(p, SHOAL_FOREVER);
	bool joins = rc == 0 || rc == -ECANCELED || shoal_process_is_alive(p);
	family_lock();
	process_unpin(p);
	family_unlock();
	return joins;
}

static void
join_all(void)
{
	for (struct shoal_process *p; (p = one_running());)
		if (!join_pinned(p))
			return;
}

static void
end_family(void)
{
	cleanup_run(CLEANUP_BEFORE_CHILDREN);
	end_daemons();
	join_all();
	server_end();
	cleanup_run(CLEANUP_ALL);
}

/* An address that no other thread of the process has. */
static uint64_t
this_thread(void)
{
	static __thread char here;
	return (uintptr_t)&here;
}

/*
 * One thread does it; others that want to wait for it; what it calls meanwhile and wants to goes on
 * at once.
 */
static bool
first_to(word64 *one)
{
	uint64_t me = this_thread();
	if (cas64_acq_rel(one, 0, me))
		return true;
	while (load_relaxed(one) != me)
		direct_pause();
	return false;
}

static void
at_normal_end(void)
{
	if (family.pid == getpid() && first_to(&family.ending))
		end_family();
}

/*
 * Twice: what is left for another thread that calls exit, or returns from main, while one of them
 * runs already is the other one, which keeps it there.
 */
int
family_hook_end(void)
{
	if (!family.hooked && (atexit(at_normal_end) || atexit(at_normal_end)))
		return fail(-ENOMEM, "no memory for an atexit handler");
	family.hooked = true;
	return 0;
}

/*
 * The C library lets every thread that calls exit go on where the others are: one alone calls it
 * from here. A cleanup of the end that runs already is not kept.
 */
static void
exit_first_process(int status)
{
	if (load_relaxed(&family.ending) != this_thread())
		(void)first_to(&family.leaving);
	exit(status & 0xff);
}

/*
 * Leaving its arenas in order, the process is no death that others have to look into; killed
 * anywhere in here it is one, and loses nothing. The code comes last: where it stands, all else is
 * done.
 */
void
shoal_process_exit(int status)
{
	family_meet();
	if (!family.forked)
		exit_first_process(status);
	if (first_to(&family.ending))
		end_family();
	stream_flush(family.streams_clean && stream_alone());
	thread_leave();
	arena_end_all();
	if (family.cradle)
		cradle_leave_code(family.cradle, status);
	_exit(status & 0xff);
}
