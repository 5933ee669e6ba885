/* Whether there is a message, or the end of them, at a pipe's end: see ready.h. */
#include "base/error.h"
#include "ring/pipe.h"
#include "ring/ready.h"

static bool
enter(shoal_pipe_end *end, const struct ready_object *o, struct shoal_thread **t,
      struct pipe_handle **h)
{
	if (!ready_lives(o) || pipe_enter(end, PIPE_LOOK, t, h))
		return false;
	if (ready_lives(o) && (*h)->rx)
		return true;
	pipe_leave(*t, *h);
	return false;
}

/* Not by a call: one of an end that this process has closed is ready, as recv gives -EPIPE. */
static int
check(shoal_pipe_end *end)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	int rc = pipe_enter(end, PIPE_LOOK, &t, &h);
	if (rc)
		return rc == -EPIPE ? 0 : rc;
	rc = h->rx ? 0 : fail(-EPERM, "the right end of a SIMPLEX pipe only sends");
	pipe_leave(t, h);
	return rc;
}

int
pipe_ready_begin(shoal_pipe_end *end, struct ready_object *o)
{
	struct pipe *p;
	unsigned side;
	shoal_arena *a = arena_of(end);
	if (!a)
		return fail(-EINVAL, "%p is no end of a pipe in a mapped arena", (void *)end);
	int rc = pipe_find(a, end, &p, &side);
	uint32_t object = rc ? 0 : p->object;
	if (rc || (rc = check(end)))
		return rc;
	if (object >= objects_high(a))
		return fail(-EPROTO, "the pipe at %p is damaged: shared memory was overwritten",
		            (void *)end);
	uint64_t word = load_acquire(&arena_object(a, object)->word);
	*o = (struct ready_object){ a, object, (uint32_t)(word >> 32) };
	return 0;
}

static bool
look_in(struct pipe_handle *h, struct shoal_thread *t, struct ready_words *words)
{
	struct pipe_wait w = { .timeout = SHOAL_NOWAIT, .readers = true, .poll = true };
	struct pipe_message m;
	for (;;) {
		w.bell = bell_read(&h->pipe->bell);
		if (pipe_look(h, t, &w, &m))
			return true;
		word64 *header = pipe_header(h->rx_ring, h->mask, m.pos);
		if (!words) {
			if (pipe_wait(h, t, &w, header, 0))
				return false;
			continue;
		}
		*words = (struct ready_words){ 0 };
		words->count = pipe_watch(h, t, &w, header, 0, words->list, &words->sliced);
		if (words->count)
			return false;
	}
}

bool
pipe_ready(shoal_pipe_end *end, const struct ready_object *o, struct ready_words *words)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	if (!enter(end, o, &t, &h))
		return true;
	bool is = look_in(h, t, words);
	pipe_leave(t, h);
	return is;
}

void
pipe_ready_arm(shoal_pipe_end *end, const struct ready_object *o)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	if (!enter(end, o, &t, &h))
		return;
	store_relaxed(&h->rx->data.poll, GATE_ARMED);
	pipe_leave(t, h);
}

/* The death of who was at the other end may have told this one alone. */
void
pipe_ready_woken(shoal_pipe_end *end, const struct ready_object *o, bool ready)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	if (!ready || !enter(end, o, &t, &h))
		return;
	if (load_relaxed(&h->rx->data_any))
		way_wake_readers(h->rx);
	pipe_leave(t, h);
}
