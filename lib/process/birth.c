#include "process/birth.h"
#include "base/direct.h"
#include "base/error.h"
#include "base/lifeline.h"
#include "base/signals.h"
#include "base/stream.h"
#include "process/again.h"
#include "process/family.h"
#include "process/method.h"
#include "process/serve.h"
#include <shoal/arena.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the parent's handle is for a forked child: everything that it is known by. */
static struct shoal_process self;

static struct bundle *delivered;

static void
adopt(struct bundle *p, int parent_fd)
{
	self.name = bundle_text(p, p->name);
	self.path = bundle_text(p, p->path);
	self.daemon = p->daemon;
	self.maker = p->parent;
	self.cradle = &p->cradle;
	family_adopt(&self, bundle_text(p, p->parent_name), true);
	family.forked = true;
	family.parent.fd = parent_fd;
	method_inherit(p->method);
}

/* The descriptors have done their work when the arenas are mapped. */
static int
attach_arenas(struct bundle *p)
{
	size_t count = p->fd_count - 1;
	self.arenas = count ? calloc(count, sizeof *self.arenas) : NULL;
	if (count && !self.arenas)
		return fail(-ENOMEM, "no memory for a list of %zu arenas", count);
	for (size_t i = 0; i < count; i++) {
		int rc = shoal_arena_attach_fd(p->fds[1 + i], &self.arenas[i]);
		if (rc < 0)
			return rc;
	}
	/* The same descriptor may stand for several. */
	for (size_t i = 0; i < count; i++)
		direct_close(p->fds[1 + i]);
	family.self.arenas = self.arenas;
	family.self.arena_count = count;
	return 0;
}

static int
prepare(struct bundle *p, void (**run)(void))
{
	int rc = p->fds[0] >= 0 ? lifeline_accept(p->fds[0], p->last_signal) : 0;
	if (rc < 0)
		return fail(rc, "the lifeline: %s", strerror(-rc));
	if (p->directory && chdir(bundle_text(p, p->directory)))
		return fail(-errno, "the working directory '%s': %s",
		            bundle_text(p, p->directory), strerror(errno));
	rc = attach_arenas(p);
	return rc < 0 ? rc : code_find(&p->code, run);
}

__attribute__((noreturn)) static void
give_up(struct bundle *p, int rc)
{
	p->failure = rc;
	strncpy(p->sentence, shoal_error(), sizeof p->sentence - 1);
	cradle_report(&p->cradle, false);
	_exit(EXIT_FAILURE);
}

void
birth(struct bundle *p, int parent_fd)
{
	void (*run)(void) = NULL;
	adopt(p, parent_fd);
	int rc = prepare(p, &run);
	if (rc < 0)
		give_up(p, rc);
	if (!cradle_wait(&p->cradle, p->parent, parent_fd))
		_exit(EXIT_FAILURE);
	cradle_report(&p->cradle, true);
	signals_restore(&p->mask);
	shoal_process_exit(((int (*)(void *))run)(bundle_arg(p)));
}

static void
run_instead(void)
{
	if (delivered->server)
		serve(delivered);
	birth(delivered, -1);
}

/* Its parent has ended, or it was run by what another library has for a constructor. */
static bool
is_for_us(const struct bundle *p)
{
	return p->server || getppid() == p->parent;
}

/*
 * NULL when the token is an old one, of a descriptor that is gone. Where there is a bundle, main is
 * never what was asked for.
 */
static struct bundle *
redeem(const char *token)
{
	char *end;
	long fd = strtol(token, &end, 10);
	struct stat s;
	if (*end != ':' || fstat((int)fd, &s) || s.st_ino != strtoull(end + 1, NULL, 10))
		return NULL;
	struct bundle *p = bundle_open((int)fd);
	if (!p)
		stop("the program was executed again and has another libshoal than the one that "
		     "did it: was it replaced?");
	if (!is_for_us(p) || !bundle_take(p))
		_exit(EXIT_FAILURE);
	direct_close((int)fd);
	return p;
}

/* A program with privileges of its own takes no order from its environment. */
__attribute__((constructor)) static void
look_for_bundle(void)
{
	const char *token = secure_getenv(BIRTH_TOKEN);
	if (!token && getenv(BIRTH_TOKEN))
		_exit(EXIT_FAILURE);
	if (!token)
		return;
	delivered = redeem(token);
	unsetenv(BIRTH_TOKEN);
	if (delivered)
		again_instead_of_main(look_for_bundle, run_instead);
}
