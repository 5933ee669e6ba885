/* The kinds that shoal_wait knows of itself; a pool's results are added by their own floor. */
#include "process/waitable.h"
#include "arena/arena.h"
#include "base/error.h"
#include "ring/ready.h"
#include <shoal/queue.h>

/* ---- queues, pipes, events: what the ring floor says of them ---- */

static struct ready_object
object_of(const struct waitable *w)
{
	return (struct ready_object){ w->owner, w->index, (uint32_t)w->life };
}

static int
begun(struct waitable *w, const struct ready_object *o, int rc)
{
	if (rc)
		return rc;
	w->owner = o->arena;
	w->index = o->index;
	w->life = o->generation;
	w->barrier = o->arena && (o->arena->flags & ARENA_MEMBARRIER);
	return 0;
}

static bool
tell_words(bool ready, const struct ready_words *words, struct waitable_sleep *s)
{
	for (unsigned i = 0; s && !ready && i < words->count; i++)
		waitable_watch(s, words->list[i].word, words->list[i].seen);
	if (s && !ready) {
		s->sliced |= words->sliced;
		s->pending = s->pending ? s->pending : words->pending;
	}
	return ready;
}

static int
queue_begin(struct waitable *w)
{
	struct ready_object o;
	int rc = queue_ready_begin(w->on.object, &o);
	return begun(w, &o, rc);
}

static bool
queue_look(struct waitable *w, struct waitable_sleep *s)
{
	struct ready_object o = object_of(w);
	struct ready_words words;
	return tell_words(queue_ready(w->on.object, &o, s ? &words : NULL), &words, s);
}

static void
queue_arm(struct waitable *w)
{
	struct ready_object o = object_of(w);
	queue_ready_arm(w->on.object, &o);
}

static void
queue_woken(struct waitable *w, bool ready)
{
	struct ready_object o = object_of(w);
	queue_ready_woken(w->on.object, &o, ready);
}

static int
queue_fd(struct waitable *w)
{
	return shoal_queue_fd(w->on.object);
}

static const struct waitable_kind queue_kind_ops = {
	.noun = "queue", .begin = queue_begin, .look = queue_look, .arm = queue_arm,
	.woken = queue_woken, .fd = queue_fd,
};

static int
pipe_begin(struct waitable *w)
{
	struct ready_object o;
	int rc = pipe_ready_begin(w->on.object, &o);
	return begun(w, &o, rc);
}

static bool
pipe_look(struct waitable *w, struct waitable_sleep *s)
{
	struct ready_object o = object_of(w);
	struct ready_words words;
	return tell_words(pipe_ready(w->on.object, &o, s ? &words : NULL), &words, s);
}

static void
pipe_arm(struct waitable *w)
{
	struct ready_object o = object_of(w);
	pipe_ready_arm(w->on.object, &o);
}

static void
pipe_woken(struct waitable *w, bool ready)
{
	struct ready_object o = object_of(w);
	pipe_ready_woken(w->on.object, &o, ready);
}

static int
pipe_fd(struct waitable *w)
{
	return shoal_pipe_fd(w->on.object);
}

static const struct waitable_kind pipe_kind_ops = {
	.noun = "end of a pipe", .begin = pipe_begin, .look = pipe_look, .arm = pipe_arm,
	.woken = pipe_woken, .fd = pipe_fd,
};

static int
event_begin(struct waitable *w)
{
	struct ready_object o;
	int rc = event_ready_begin(w->on.object, &o);
	return begun(w, &o, rc);
}

static bool
event_look(struct waitable *w, struct waitable_sleep *s)
{
	struct ready_object o = object_of(w);
	struct ready_words words;
	return tell_words(event_ready(w->on.object, &o, s ? &words : NULL), &words, s);
}

static void
event_arm(struct waitable *w)
{
	struct ready_object o = object_of(w);
	event_ready_arm(w->on.object, &o);
}

static void
event_woken(struct waitable *w, bool ready)
{
	struct ready_object o = object_of(w);
	event_ready_woken(w->on.object, &o, ready);
}

/* One in a program's own memory has none. */
static int
event_fd(struct waitable *w)
{
	return shoal_event_fd(w->on.object);
}

static const struct waitable_kind event_kind_ops = {
	.noun = "event", .begin = event_begin, .look = event_look, .arm = event_arm,
	.woken = event_woken, .fd = event_fd,
};

/* ---- processes and descriptors ---- */

static int
process_begin(struct waitable *w)
{
	int fd = shoal_process_fd(w->on.object);
	w->index = fd < 0 ? 0 : (uint32_t)fd;
	return fd < 0 ? fd : 0;
}

static int
process_fd(struct waitable *w)
{
	return (int)w->index;
}

static const struct waitable_kind process_kind_ops = {
	.noun = "process", .begin = process_begin, .fd = process_fd,
};

static int
plain_begin(struct waitable *w)
{
	return w->on.fd < 0 ? fail(-EBADF, "%d is no descriptor", w->on.fd) : 0;
}

static int
plain_fd(struct waitable *w)
{
	return w->on.fd;
}

static const struct waitable_kind plain_kind_ops = {
	.noun = "descriptor", .begin = plain_begin, .fd = plain_fd,
};

__attribute__((constructor)) static void
define_kinds(void)
{
	waitable_define(WAITABLE_QUEUE, &queue_kind_ops);
	waitable_define(WAITABLE_PIPE, &pipe_kind_ops);
	waitable_define(WAITABLE_PROCESS, &process_kind_ops);
	waitable_define(WAITABLE_EVENT, &event_kind_ops);
	waitable_define(WAITABLE_FD, &plain_kind_ops);
}
