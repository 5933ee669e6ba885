#include "base/lifeline.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

int
lifeline_make(struct lifeline *l)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	*l = (struct lifeline){ .held = ends[1], .tied = ends[0] };
	return 0;
}

static void
cut(int *fd)
{
	if (*fd < 0)
		return;
	close(*fd);
	*fd = -1;
}

/*
 * The child waits in its cradle until this is done. If the parent dies before the last of the
 * three, the child finds itself an orphan there and ends.
 */
int
lifeline_tie(struct lifeline *l, pid_t child)
{
	int rc = 0;
	if (fcntl(l->tied, F_SETOWN, child) || fcntl(l->tied, F_SETSIG, SIGTERM) ||
	    fcntl(l->tied, F_SETFL, O_ASYNC))
		rc = -errno;
	cut(&l->tied);
	return rc;
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
