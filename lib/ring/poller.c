#include "ring/poller.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/notice.h"
#include "sync/gate.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_MAX 120u

enum source_state { WAITING, SIGNALLED };

struct source {
	struct source *next;
	shoal_arena *arena;
	word32 *gate;
	poller_ready_fn *ready;
	void *object;
	int fd;
	enum source_state state;
};

word32 poller_sources;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct source *sources;
static word32 kick; /* changes whenever the helper has to look at the list again */
static bool running;

static void
kick_helper(void)
{
	fetch_add_relaxed(&kick, 1);
	futex_wake(&kick, 1);
}

static void
look_at(struct source *s)
{
	if (s->state != WAITING || !s->ready(s->arena, s->object))
		return;
	s->state = SIGNALLED;
	notice_raise(s->fd);
}

/* The gates of those who wait: armed before the look, so that what comes after it is told. */
static unsigned
watch_all(struct futex_watch *watch)
{
	unsigned n = 0;
	watch[n++] = (struct futex_watch){ &kick, load_relaxed(&kick) };
	for (struct source *s = sources; s; s = s->next) {
		if (s->state != WAITING)
			continue;
		gate_arm(s->gate, s->arena->flags & ARENA_MEMBARRIER);
		look_at(s);
		if (s->state == WAITING && n < WATCH_MAX)
			watch[n++] = (struct futex_watch){ s->gate, GATE_ARMED };
	}
	return n;
}

/*
 * The list may change while it sleeps, and what it watches be unmapped: the kernel goes by the
 * file, not by the address.
 */
static void *
help(void *unused)
{
	struct futex_watch watch[WATCH_MAX];
	for (;;) {
		pthread_mutex_lock(&lock);
		unsigned n = watch_all(watch);
		pthread_mutex_unlock(&lock);
		int64_t until = n > 1 ? clock_sooner(CLOCK_NEVER, FUTEX_SLICE_NS) : CLOCK_NEVER;
		futex_wait_any(watch, n, until);
	}
	return unused;
}

static int
start_helper(void)
{
	if (running)
		return 0;
	int rc = notice_thread(help);
	running = rc == 0;
	return rc;
}

static void
drop(struct source **link)
{
	struct source *s = *link;
	*link = s->next;
	notice_close(s->fd);
	free(s);
	fetch_add_relaxed(&poller_sources, UINT32_MAX);
}

static void
forget_arena(shoal_arena *a)
{
	pthread_mutex_lock(&lock);
	for (struct source **link = &sources; *link;) {
		if ((*link)->arena == a)
			drop(link);
		else
			link = &(*link)->next;
	}
	pthread_mutex_unlock(&lock);
}

static void
before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void
after_fork_parent(void)
{
	pthread_mutex_unlock(&lock);
}

/* The eventfds are the parent's too: the child makes its own. */
static void
after_fork_child(void)
{
	while (sources)
		drop(&sources);
	running = false;
	pthread_mutex_unlock(&lock);
}

static void
begin(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
	arena_unmap_hook = forget_arena;
}

static struct source *
find(const word32 *gate)
{
	struct source *s = sources;
	while (s && s->gate != gate)
		s = s->next;
	return s;
}

static int
add(shoal_arena *a, word32 *gate, poller_ready_fn *ready, void *object)
{
	struct source *s = malloc(sizeof *s);
	if (!s)
		return fail(-ENOMEM, "no memory for a descriptor of a queue or pipe");
	*s = (struct source){ sources, a, gate, ready, object, notice_open(), WAITING };
	int rc = s->fd < 0 ? s->fd : start_helper();
	if (rc < 0) {
		if (s->fd >= 0)
			notice_close(s->fd);
		free(s);
		return fail(rc, "no descriptor for a queue or pipe: %s", strerror(-rc));
	}
	sources = s;
	fetch_add_relaxed(&poller_sources, 1);
	look_at(s);
	kick_helper();
	return s->fd;
}

int
poller_fd(shoal_arena *a, word32 *gate, poller_ready_fn *ready, void *object)
{
	if (a->readonly)
		return fail(-EPERM, "arena '%s' is attached read-only", a->name);
	pthread_once(&once, begin);
	pthread_mutex_lock(&lock);
	struct source *s = find(gate);
	int fd = s ? s->fd : add(a, gate, ready, object);
	pthread_mutex_unlock(&lock);
	return fd;
}

/* Cleared first, looked at after: what comes in between raises it again. */
void
poller_rearm_slow(word32 *gate)
{
	pthread_mutex_lock(&lock);
	struct source *s = find(gate);
	if (s && s->state == SIGNALLED) {
		notice_clear(s->fd);
		s->state = WAITING;
		look_at(s);
		if (s->state == WAITING)
			kick_helper();
	}
	pthread_mutex_unlock(&lock);
}
