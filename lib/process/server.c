#include "process/server.h"
#include "base/clock.h"
#include "base/direct.h"
#include "base/error.h"
#include "base/handover.h"
#include "base/pidfd.h"
#include "process/family.h"
#include "process/launch.h"
#include "process/serve.h"
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define END_NS INT64_C(1000000000)

/* One conversation at a time. Taken before the family's lock, never under it. */
static pthread_mutex_t talk = PTHREAD_MUTEX_INITIALIZER;

/* Guarded by both locks: either is enough to read. */
static struct {
	unsigned number; /* of the present one, and how many there were */
	int socket, pidfd;
} server = { 0, -1, -1 };

static void
set(int socket, int pidfd)
{
	family_lock();
	server.number += socket >= 0;
	server.socket = socket;
	server.pidfd = pidfd;
	family_unlock();
}

/* Where orphans become this process's children, as those of a container's first one do, it did. */
static void
drop(void)
{
	int socket = server.socket, pidfd = server.pidfd, code;
	set(-1, -1);
	if (socket >= 0)
		direct_close(socket);
	if (pidfd >= 0) {
		pidfd_reap(pidfd, &code);
		direct_close(pidfd);
	}
}

/*
 * The answer, and the one pidfd that comes with it when it is a good one. That the server has died
 * is told by its pidfd: its end of the socket may be open in a process that was just forked.
 */
static int
hear(int socket, int its_pidfd, struct serve_answer *a, int *pidfd)
{
	int fds[HANDOVER_FDS];
	int rc = pidfd_sleep_beside(its_pidfd, socket);
	int count = rc < 0 ? rc : handover_recv(socket, a, sizeof *a, fds);
	if (count < 0)
		return count == -EPIPE ? -ECONNRESET : count;
	if (count != (a->rc == 0)) {
		while (count > 0)
			direct_close(fds[--count]);
		return -EPROTO;
	}
	*pidfd = count ? fds[0] : -1;
	return a->rc;
}

static int
greet(int socket, int pidfd)
{
	struct serve_answer a;
	int none, rc = hear(socket, pidfd, &a, &none);
	if (rc >= 0)
		return 0;
	direct_close(pidfd);
	return fail(rc, "the fork server did not begin: %s", strerror(-rc));
}

static int
send_off(struct bundle *p, int bundle_fd, int socket, int *pidfd)
{
	pid_t pid;
	int me = pidfd_open_pid(getpid());
	if (me < 0)
		return fail(me, "no descriptor for the fork server's parent: %s", strerror(-me));
	p->fds[SERVE_SOCKET] = socket;
	p->fds[SERVE_PARENT] = me;
	p->fd_count = SERVE_FDS;
	int rc = launch(p, bundle_fd, true, &pid, pidfd);
	direct_close(me);
	return rc;
}

static int
make(void)
{
	struct bundle *p;
	int ends[2], fd, pidfd, rc = bundle_pack_server(&p, &fd);
	if (rc < 0)
		return rc;
	rc = handover_pair(ends);
	if (rc < 0)
		fail(rc, "no socket for the fork server: %s", strerror(-rc));
	if (!rc) {
		rc = send_off(p, fd, ends[1], &pidfd);
		direct_close(ends[1]);
		rc = rc ? rc : greet(ends[0], pidfd);
		if (!rc)
			set(ends[0], pidfd);
		else
			direct_close(ends[0]);
	}
	direct_close(fd);
	bundle_drop(p);
	return rc;
}

static bool
gone(void)
{
	return server.socket < 0 || pidfd_sleep(server.pidfd, 0) == 1;
}

static int
ask(const struct bundle *p, int bundle_fd)
{
	int fds[HANDOVER_FDS];
	size_t count = 0;
	struct serve_request r = { .out = fcntl(STDOUT_FILENO, F_GETFD) >= 0,
		                       .err = fcntl(STDERR_FILENO, F_GETFD) >= 0 };
	fds[count++] = bundle_fd;
	if (r.out)
		fds[count++] = STDOUT_FILENO;
	if (r.err)
		fds[count++] = STDERR_FILENO;
	for (uint32_t i = 0; i < p->fd_count; i++)
		if (p->fds[i] >= 0)
			fds[count++] = p->fds[i];
	int rc = handover_send(server.socket, &r, sizeof r, fds, count);
	return rc == -EPIPE ? -ECONNRESET : rc;
}

static int
converse(struct bundle *p, int bundle_fd, pid_t *pid, int *pidfd)
{
	struct serve_answer a;
	if (gone()) {
		drop();
		int rc = make();
		if (rc < 0)
			return rc;
	}
	int rc = ask(p, bundle_fd);
	rc = rc ? rc : hear(server.socket, server.pidfd, &a, pidfd);
	if (rc < 0) {
		/* What else it may say would be taken for the next answer. */
		if (rc == -ECONNRESET || rc == -EPROTO)
			drop();
		return fail(rc, "the fork server: %s", strerror(-rc));
	}
	*pid = a.pid;
	return 0;
}

int
server_fork(struct bundle *p, int bundle_fd, pid_t *pid, int *pidfd, unsigned *number)
{
	pthread_mutex_lock(&talk);
	int rc = converse(p, bundle_fd, pid, pidfd);
	*number = server.number;
	pthread_mutex_unlock(&talk);
	return rc;
}

bool
server_lives(unsigned number)
{
	return number == server.number && !gone();
}

/*
 * All children have ended, so it has nothing that would be lost. Before its turn to talk: who talks
 * may be waiting for one that is stopped.
 */
void
server_end(void)
{
	family_lock();
	if (server.pidfd >= 0)
		pidfd_signal(server.pidfd, SIGKILL);
	family_unlock();
	pthread_mutex_lock(&talk);
	if (!gone()) {
		pidfd_signal(server.pidfd, SIGKILL);
		pidfd_sleep(server.pidfd, clock_now() + END_NS);
	}
	drop();
	pthread_mutex_unlock(&talk);
}

void
server_forget(void)
{
	if (server.socket >= 0)
		direct_close(server.socket);
	if (server.pidfd >= 0)
		direct_close(server.pidfd);
	server.socket = server.pidfd = -1;
	talk = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}
