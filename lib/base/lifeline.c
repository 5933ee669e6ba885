#include "base/lifeline.h"
#include "base/descriptor.h"
#include "base/direct.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

int
lifeline_make(struct lifeline *l)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	/* A forked child's input is another one, and would cut what lies in its place. */
	*l = (struct lifeline){ .held = descriptor_above(ends[1]), .tied = descriptor_above(ends[0]) };
	return 0;
}

static void
cut(int *fd)
{
	if (*fd < 0)
		return;
	direct_close(*fd);
	*fd = -1;
}

static int
tie(int tied, pid_t child, int signo)
{
	if (fcntl(tied, F_SETOWN, child) || fcntl(tied, F_SETSIG, signo) ||
	    fcntl(tied, F_SETFL, O_ASYNC))
		return -errno;
	return 0;
}

/*
 * The child waits in its cradle until this is done. If the parent dies before the last of the
 * three, the child finds itself an orphan there and ends.
 */
int
lifeline_tie(struct lifeline *l, pid_t child, int signo)
{
	int rc = tie(l->tied, child, signo);
	cut(&l->tied);
	return rc;
}

/* A parent that ended before the tie sends nothing. */
int
lifeline_accept(int tied, int signo)
{
	struct pollfd p = { .fd = tied };
	int rc = fcntl(tied, F_SETFD, FD_CLOEXEC) ? -errno : tie(tied, getpid(), signo);
	return !rc && direct_poll(&p, 1, &(struct timespec){ 0 }) == 1 ? -EPIPE : rc;
}

void
lifeline_given(struct lifeline *l)
{
	cut(&l->tied);
}

void
lifeline_let_go(struct lifeline *l)
{
	cut(&l->held);
}

void
lifeline_drop(struct lifeline *l)
{
	cut(&l->tied);
	cut(&l->held);
}
