#include "process/apart.h"
#include "base/clock.h"
#include "base/direct.h"
#include "base/error.h"
#include "base/pidfd.h"
#include "process/again.h"
#include "process/family.h"
#include "process/launch.h"
#include "process/server.h"
#include <string.h>
#include <unistd.h>

#define SERVERS_TRIED 3

/* A start under way. */
struct delivery {
	struct bundle *bundle;
	int bundle_fd;
	pid_t pid;
	int pidfd;
	unsigned server; /* 0: the process is this one's own child */
};

static int
hand_over(struct delivery *d, shoal_start_method method)
{
	if (method == SHOAL_FORKSERVER)
		return server_fork(d->bundle, d->bundle_fd, &d->pid, &d->pidfd, &d->server);
	return launch(d->bundle, d->bundle_fd, false, &d->pid, &d->pidfd);
}

/*
 * A process that will not do: it goes by itself, since it was refused, or has failed. Until then it
 * is waited for; that of a fork server is nobody's here.
 */
static void
discard(struct delivery *d)
{
	int code, rc;
	do
		rc = pidfd_sleep(d->pidfd, CLOCK_NEVER);
	while (rc == 0 || rc == -EINTR);
	pidfd_reap(d->pidfd, &code);
	direct_close(d->pidfd);
}

static int
explain(const struct shoal_process *p, const struct delivery *d, int said)
{
	if (said < 0)
		return fail(said, "process start: %s ended before its function began", p->name);
	char sentence[BUNDLE_SENTENCE];
	memcpy(sentence, d->bundle->sentence, sizeof sentence);
	sentence[sizeof sentence - 1] = '\0';
	int rc = d->bundle->failure < 0 ? d->bundle->failure : -EPROTO;
	return fail(rc, "process start: %s: %s", p->name, sentence);
}

static void
settle(struct shoal_process *p, const struct delivery *d)
{
	bundle_shrink(d->bundle);
	family_lock();
	lifeline_given(&p->lifeline);
	p->bundle = d->bundle;
	p->cradle = &d->bundle->cradle;
	p->server = d->server;
	p->pid = d->pid;
	p->fd = d->pidfd;
	p->state = PROCESS_RUNNING;
	family_unlock();
}

/* From here on the process has its parent's word and needs only to say that it is ready. */
static int
deliver(struct shoal_process *p, struct delivery *d, shoal_start_method method)
{
	int rc = hand_over(d, method);
	if (rc < 0) {
		cradle_refuse(&d->bundle->cradle);
		return rc;
	}
	cradle_open(&d->bundle->cradle);
	int said = cradle_wait_report(&d->bundle->cradle, d->pidfd);
	if (said != 1) {
		discard(d);
		return explain(p, d, said);
	}
	settle(p, d);
	return 0;
}

static int
start_once(struct shoal_process *p, shoal_start_method method)
{
	struct delivery d = { .pidfd = -1 };
	int rc = bundle_pack(p, method, &d.bundle, &d.bundle_fd);
	if (rc < 0)
		return rc;
	rc = deliver(p, &d, method);
	direct_close(d.bundle_fd);
	if (rc < 0) {
		bundle_shrink(d.bundle);
		bundle_drop(d.bundle);
	}
	return rc;
}

/* A bundle is for one process: with another server goes another one. */
int
apart_start(struct shoal_process *p, shoal_start_method method)
{
	int rc = again_check();
	for (int i = 0; !rc && i < SERVERS_TRIED; i++) {
		rc = start_once(p, method);
		if (rc != -ECONNRESET)
			break;
		rc = i + 1 < SERVERS_TRIED ? 0 : rc;
	}
	return rc;
}
