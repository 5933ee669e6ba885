#include "process/serve.h"
#include "base/direct.h"
#include "base/handover.h"
#include "base/pidfd.h"
#include "base/stream.h"
#include "process/birth.h"
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct ward {
	struct ward *next;
	pid_t pid;
	struct bundle *bundle;
};

static struct {
	int socket, parent, signals;
	struct ward *wards;                   /* children not yet waited for */
	struct sigaction on_int, on_child;    /* as the program has them */
} server;

/*
 * A terminal's interrupt is for the program, which may go on; an ignored SIGCHLD would hide how
 * children end. They get both back. 0, or why no end would be noticed.
 */
static int
set_signals(void)
{
	struct sigaction act = { .sa_handler = SIG_IGN };
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigaction(SIGINT, &act, &server.on_int);
	act.sa_handler = SIG_DFL;
	sigaction(SIGCHLD, &act, &server.on_child);
	pthread_sigmask(SIG_BLOCK, &child, NULL);
	server.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	return server.signals < 0 ? -errno : 0;
}

/* Streams that are closed here would have their numbers taken by what arrives. */
static void
hold_streams(void)
{
	int fd = direct_open(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = dup(fd);
	if (fd >= 0)
		direct_close(fd);
}

static void
set_stream(int to, int fd)
{
	direct_close(to);
	if (fd < 0)
		return;
	dup2(fd, to);
	direct_close(fd);
}

/* In the child: first the bundle's descriptor, last those that the bundle means, in their order. */
__attribute__((noreturn)) static void
become_child(struct bundle *p, const struct serve_request *r, const int *fds)
{
	direct_close(server.socket);
	direct_close(server.signals);
	direct_close(*fds++);
	sigaction(SIGINT, &server.on_int, NULL);
	sigaction(SIGCHLD, &server.on_child, NULL);
	set_stream(STDOUT_FILENO, r->out ? *fds++ : -1);
	set_stream(STDERR_FILENO, r->err ? *fds++ : -1);
	for (uint32_t i = 0; i < p->fd_count; i++)
		if (p->fds[i] >= 0)
			p->fds[i] = *fds++;
	birth(p, server.parent);
}

static void
take_in(struct bundle *p, pid_t pid, struct ward *w)
{
	*w = (struct ward){ .next = server.wards, .pid = pid, .bundle = p };
	server.wards = w;
	bundle_shrink(p);
	/* The next children have nothing to do with it. */
	madvise(p, p->head_bytes, MADV_DONTFORK);
}

/* The child waits in its cradle until the parent has its pidfd. */
static int
fork_child(struct bundle *p, const struct serve_request *r, const int *fds,
           struct serve_answer *a)
{
	struct ward *w = malloc(sizeof *w);
	if (!w)
		return -ENOMEM;
	pid_t pid = fork();
	if (!pid)
		become_child(p, r, fds);
	if (pid < 0) {
		free(w);
		return -errno;
	}
	a->pid = pid;
	int fd = pidfd_open_pid(pid);
	if (fd < 0)
		cradle_refuse(&p->cradle);
	take_in(p, pid, w);
	return fd;
}

static size_t
wanted(const struct bundle *p, const struct serve_request *r)
{
	size_t count = (size_t)r->out + r->err;
	for (uint32_t i = 0; i < p->fd_count; i++)
		count += p->fds[i] >= 0;
	return count;
}

/* What it gives is a pidfd, or -errno. */
static int
grant(const struct serve_request *r, const int *fds, size_t count, struct serve_answer *a)
{
	struct bundle *p = bundle_open(fds[0]);
	if (!p)
		return -ENOMEM;
	int rc = -EPROTO;
	if (count == 1 + wanted(p, r) && bundle_take(p))
		rc = fork_child(p, r, fds, a);
	if (rc < 0 && !a->pid) {
		bundle_shrink(p);
		bundle_drop(p);
	}
	return rc;
}

static void
answer_one(void)
{
	struct serve_request r;
	struct serve_answer a = { .rc = 0 };
	int fds[HANDOVER_FDS];
	int count = handover_recv(server.socket, &r, sizeof r, fds);
	if (count == -EPIPE || count == -ECONNRESET)
		_exit(EXIT_SUCCESS);
	int fd = count < 0 ? count : count ? grant(&r, fds, (size_t)count, &a) : -EPROTO;
	a.rc = fd < 0 ? fd : 0;
	/* One who hears nothing would wait for as long as this server lives. */
	if (handover_send(server.socket, &a, sizeof a, &fd, fd >= 0))
		_exit(EXIT_FAILURE);
	if (fd >= 0)
		direct_close(fd);
	while (count > 0)
		direct_close(fds[--count]);
}

static void
collect(void)
{
	struct signalfd_siginfo info;
	int status;
	while (direct_read(server.signals, &info, sizeof info) > 0)
		continue;
	for (pid_t pid; (pid = direct_waitpid(-1, &status, WNOHANG)) > 0;) {
		struct ward **at = &server.wards;
		while (*at && (*at)->pid != pid)
			at = &(*at)->next;
		struct ward *w = *at;
		if (!w)
			continue;
		*at = w->next;
		cradle_note_end(&w->bundle->cradle, status);
		bundle_drop(w->bundle);
		free(w);
	}
}

static void
introduce(int rc)
{
	struct serve_answer a = { .rc = rc ? rc : 1 };
	if (handover_send(server.socket, &a, sizeof a, NULL, 0) || rc)
		_exit(EXIT_FAILURE);
}

void
serve(struct bundle *p)
{
	server.socket = p->fds[SERVE_SOCKET];
	server.parent = p->fds[SERVE_PARENT];
	fcntl(server.socket, F_SETFD, FD_CLOEXEC);
	fcntl(server.parent, F_SETFD, FD_CLOEXEC);
	bundle_drop(p);
	hold_streams();
	int rc = set_signals();
	stream_flush(true);
	introduce(rc);
	struct pollfd on[] = { { .fd = server.signals, .events = POLLIN },
		                   { .fd = server.parent, .events = POLLIN },
		                   { .fd = server.socket, .events = POLLIN } };
	for (;;) {
		if (direct_poll(on, 3, NULL) < 0)
			continue;
		if (on[0].revents)
			collect();
		if (on[1].revents)
			_exit(EXIT_SUCCESS);
		if (on[2].revents)
			answer_one();
	}
}
