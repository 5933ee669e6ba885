/*
 * subject_start.c - a process by each start method, beside a bare fork
 *
 * The bare one is fork, _exit and waitpid, and knows nothing of its child but its status. Ours
 * give, besides, a handle, a pidfd, a code that survives a SIGCHLD ignored, an empty standard
 * input and flushed streams; those that inherit nothing take an argument along.
 */
#include "subject.h"

#include <errno.h>
#include <shoal/process.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

static int
nothing_to_open(struct opening *o)
{
	(void)o;
	return 0;
}

static int
bare_start(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -errno;
}

/* The program's main function ends at once when it is told so. */
static int
bare_spawn(void)
{
	char name[] = "shoal-bench", nothing[] = SUBJECT_NOTHING;
	char *argv[] = { name, nothing, NULL };
	int status, rc;
	pid_t pid;

	rc = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ);
	if (rc)
		return -rc;
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -ECHILD;
}

static int
do_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int
start_by(shoal_start_method method)
{
	char word[8] = "nothing";
	shoal_process_options o = { .method = method };
	shoal_process *p;
	int code = -1, rc;

	if (method != SHOAL_FORK)
		o.arg_bytes = sizeof word;
	rc = shoal_process_spawn(do_nothing, word, &o, &p);
	if (rc < 0)
		return rc;
	rc = shoal_process_join(p, SHOAL_FOREVER);
	if (rc == 0)
		rc = shoal_process_exitcode(p, &code);
	shoal_process_close(p);
	return rc == 0 && code != 0 ? -ECHILD : rc;
}

static int
fork_start(void)
{
	return start_by(SHOAL_FORK);
}

static int
server_start(void)
{
	return start_by(SHOAL_FORKSERVER);
}

static int
spawn_start(void)
{
	return start_by(SHOAL_SPAWN);
}

const struct subject subject_bare_fork = {
	.name = "bare fork",
	.about = "fork, _exit, waitpid",
	.traits = SUBJECT_STARTS | SUBJECT_IS_BASE,
	.open = nothing_to_open,
	.start = bare_start,
};

const struct subject subject_bare_spawn = {
	.name = "bare spawn",
	.about = "posix_spawn of the same program, waitpid",
	.traits = SUBJECT_STARTS,
	.open = nothing_to_open,
	.start = bare_spawn,
};

const struct subject subject_start_fork = {
	.name = "start by fork",
	.about = "shoal_process_spawn by SHOAL_FORK, join, exitcode",
	.traits = SUBJECT_STARTS,
	.open = nothing_to_open,
	.start = fork_start,
};

const struct subject subject_start_server = {
	.name = "start by fork server",
	.about = "the same by SHOAL_FORKSERVER",
	.traits = SUBJECT_STARTS,
	.open = nothing_to_open,
	.start = server_start,
};

const struct subject subject_start_spawn = {
	.name = "start by spawn",
	.about = "the same by SHOAL_SPAWN: the program executed again",
	.traits = SUBJECT_STARTS,
	.open = nothing_to_open,
	.start = spawn_start,
};
