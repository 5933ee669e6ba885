/* Making, finding, closing and looking at pipes. */
#include "ring/pipe.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/kernel.h"
#include "base/racy.h"
#include "ring/handed.h"
#include "ring/poller.h"
#include <unistd.h>

#define FLAGS (SHOAL_PIPE_SIMPLEX | SHOAL_PIPE_SHARED_ENDS)

int
pipe_shape_of(const shoal_arena *a, const shoal_pipe_options *o, struct pipe_shape *out)
{
	static const shoal_pipe_options none;
	o = o ? o : &none;
	for (int i = 0; i < 4; i++)
		if (o->reserved_[i])
			return fail(-EINVAL, "shoal_pipe_options: reserved_ must be zero");
	if (o->flags & ~(unsigned)(FLAGS | SHOAL_WITH_OWNER | SHOAL_OR_OPEN))
		return fail(-EINVAL, "shoal_pipe_options: unknown flags %#x", o->flags);
	uint32_t ring = o->ring_bytes ? o->ring_bytes : RING_DEFAULT;
	if (ring < RING_MIN || ring > RING_MAX || (ring & (ring - 1)))
		return fail(-EINVAL, "ring_bytes is a power of two from %u to %u, or 0 for %u; not %u",
		            RING_MIN, RING_MAX, RING_DEFAULT, ring);
	out->ring_bytes = ring;
	out->flags = o->flags & FLAGS;
	out->bytes = PIPE_RINGS_AT + 2 * (size_t)ring;
	if (out->flags & SHOAL_PIPE_SHARED_ENDS)
		out->bytes += 2 * sizeof(word64) * a->members_max;
	return 0;
}

/* The maker counts as a user of both ends, so that they do not close between two users. */
static void
join(shoal_arena *a, struct pipe *p, unsigned side)
{
	uint32_t ring = pipe_ring_bytes(a, p);
	if (!ring || !(p->flags & SHOAL_PIPE_SHARED_ENDS))
		return;
	word64 *user = pipe_users(p, ring, a->members_max, side) + a->process;
	store_seq_cst(user, pipe_user_word(process_generation(a, a->process), 1));
}

/* False: it has ended since it was found, and its memory may be another's. */
static bool
join_found(shoal_arena *a, struct member *me, const struct object_found *o, unsigned side)
{
	word32 *name = object_stay(a, me, o->index, o->word >> 32);
	if (!name && !object_is_still(a, o->index, o->word))
		return false;
	join(a, o->body, side);
	if (name)
		object_unstay(name);
	return true;
}

/* One that create found: this process is a user of both its ends, as one that made it. */
static void
join_both(shoal_arena *a, struct member *me, struct pipe *p)
{
	uint32_t index = p->object;
	struct object_found o = { .index = index, .body = p };
	if (index >= objects_high(a))
		return;
	o.word = load_acquire(&arena_object(a, index)->word);
	for (unsigned side = 0; side < 2 && object_body_at(a, index) == (void *)p; side++)
		(void)join_found(a, me, &o, side);
}

/* Zero is an empty ring at position 0. */
static int
fill(shoal_arena *a, uint32_t index, void *body, const void *arg)
{
	const struct pipe_shape *shape = arg;
	struct pipe *p = body;
	uint64_t generation = load_relaxed(&arena_object(a, index)->word) >> 32;
	uint64_t nonce = handed_identity(index, generation) << 44 & OWNER_NONCE;
	p->ring_bytes = shape->ring_bytes;
	p->flags = shape->flags;
	racy_write(&p->object, &index, sizeof index); /* read by pipe_hand_out of an earlier one */
	for (unsigned side = 0; side < 2; side++) {
		p->end[side].side = side;
		store_relaxed(&p->end[side].owner,
		              nonce | (shape->flags & SHOAL_PIPE_SHARED_ENDS ? OWNER_SHARED : 0));
		join(a, p, side);
	}
	return 0;
}

int
pipe_body(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index,
          const struct pipe_shape *shape)
{
	int rc = object_body(a, t, me, index, shape->bytes);
	void *body = rc ? NULL : object_body_at(a, index);
	if (!body)
		return rc ? rc : -EPROTO;
	return fill(a, index, body, shape);
}

int
shoal_pipe_create(shoal_arena *a, const char *name, const shoal_pipe_options *options,
                  shoal_pipe_end **left, shoal_pipe_end **right)
{
	struct shoal_thread *t;
	struct member *me;
	struct pipe_shape shape = { 0 };
	void *body;
	int rc = arena_asked(__func__, a, &shape);
	if (rc || (rc = pipe_shape_of(a, options, &shape)) || (rc = member_here(a, &t, &me)))
		return rc;
	unsigned flags = options ? options->flags : 0;
	struct object_plan plan = { SHOAL_KIND_PIPE, flags, shape.bytes, fill, &shape };
	rc = object_create(a, t, me, name, &plan, &body);
	if (rc)
		return rc;
	struct pipe *p = body;
	if (flags & SHOAL_OR_OPEN)
		join_both(a, me, p);
	if (left)
		*left = pipe_hand_out(a, p, SHOAL_LEFT);
	if (right)
		*right = pipe_hand_out(a, p, SHOAL_RIGHT);
	return 0;
}

int
shoal_pipe_open(shoal_arena *a, const char *name, shoal_pipe_side side, shoal_time timeout,
                shoal_pipe_end **out)
{
	int64_t deadline = clock_deadline(timeout);
	struct object_found o;
	struct shoal_thread *t;
	struct member *me;
	if (side != SHOAL_LEFT && side != SHOAL_RIGHT)
		return fail(-EINVAL, "a pipe has a left and a right end, no %d", (int)side);
	int rc = arena_asked(__func__, a, out);
	if (rc || (rc = member_here(a, &t, &me)))
		return rc;
	do {
		rc = object_open(a, t, name, SHOAL_KIND_PIPE, deadline, &o);
		if (rc)
			return rc;
	} while (!join_found(a, me, &o, side));
	*out = pipe_hand_out(a, o.body, side);
	return 0;
}

/*
 * A reference made of an end's address. The left end's is the object's; the right one is no block
 * of its own, so its reference carries no generation.
 */
int
shoal_pipe_at(shoal_arena *a, shoal_ref ref, shoal_pipe_end **out)
{
	uint64_t offset = ref & ((UINT64_C(1) << 40) - 1);
	uint64_t body = offset - sizeof(shoal_pipe_end);
	unsigned side = SHOAL_LEFT;
	uint32_t index;
	int rc = arena_asked(__func__, a, out);
	if (rc)
		return rc;
	if (ref >> 56 == (a->id & 0xff) && offset > a->data_at && offset < a->bytes &&
	    !block_word_at(a, offset) && block_word_at(a, body)) {
		index = block_object(load_acquire(block_word_at(a, body)));
		if (index < objects_high(a))
			ref = object_ref(a, index);
		side = SHOAL_RIGHT;
	}
	rc = object_at(a, ref, SHOAL_KIND_PIPE, &index);
	struct pipe *p = rc ? NULL : object_body_at(a, index);
	if (!p)
		return rc ? rc : -EPROTO;
	*out = pipe_hand_out(a, p, side);
	return 0;
}

int
shoal_pipe_destroy(shoal_arena *a, shoal_pipe_end *end)
{
	struct shoal_thread *t;
	struct member *me;
	if (!end)
		return 0;
	int rc = arena_asked(__func__, a, end);
	if (rc || (rc = member_here(a, &t, &me)))
		return rc;
	/* The left end is where a block begins. */
	const void *body = block_word_at(a, arena_offset(a, end)) ? end : end - 1;
	return object_destroy(a, t, me, object_of_body(a, body, SHOAL_KIND_PIPE));
}

/* ---- whose it is ---- */

/*
 * Another one's end is not closed by it: its copy of the pointer just goes. Of a pipe that is gone
 * already the descriptors do, but not in a handler inside another call.
 */
void
shoal_pipe_close(shoal_pipe_end *end)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	int rc = end ? pipe_enter(end, PIPE_LOOK, &t, &h) : -EDEADLK;
	if (rc) {
		if (rc != -EDEADLK)
			poller_forget_ended(end);
		return;
	}
	if (h->shared) {
		if (load_relaxed(h->user) != h->user_word)
			store_seq_cst(h->user, h->user_word);
		pipe_leave_users(h->arena, h->pipe, h->side, h->arena->process, h->user_word);
	} else {
		/* Not one that another process has made its own since it was found to be nobody's. */
		pipe_shut_end(h->arena, h->pipe, h->side, h->found);
	}
	bool connection = h->pipe->flags & PIPE_CONNECTION;
	if (connection) {
		pipe_forget_fds(h);
		pipe_end_left(h->arena, h->pipe, !h->side);
	}
	pipe_leave(t, h);
	h->end = NULL;
	if (connection)
		object_sweep(h->arena, t, h->me);
}

/*
 * When the process started: without a descriptor for it nobody can tell whether there is one. The
 * number of a thread is no process's, and a zombie has ended.
 */
static int
look_up(pid_t pid, uint64_t *started)
{
	errno = 0;
	*started = pid > 0 && (uint64_t)pid <= OWNER_GIVEN_PID ? kernel_start_time(pid) : 0;
	if (*started && !kernel_process_ended(pid, *started))
		return 0;
	if (!*started && (errno == EMFILE || errno == ENFILE))
		return fail(-errno, "no descriptor to look up process %d with", (int)pid);
	return fail(-ENOENT, "there is no process %d to give the end to", (int)pid);
}

static int
give(struct pipe_handle *h, struct shoal_thread *t, pid_t to)
{
	if (h->shared)
		return fail(-EINVAL, "a shared end is everybody's; there is nothing to give");
	uint64_t started = 0;
	int rc = to ? look_up(to, &started) : 0;
	if (rc)
		return rc;
	/* From what it was when it was found to be mine, or nobody's, to give. */
	uint64_t word = h->found;
	uint64_t next = word & (OWNER_NONCE | OWNER_PEER_CLOSED);
	if (to)
		next |= pipe_given_word(to, started);
	if (pipe_pass_end(h, t, word, next) ||
	    pipe_pass_end(h, t, word | OWNER_PEER_CLOSED, next | OWNER_PEER_CLOSED))
		return 0;
	if (pipe_end_closed(h))
		return fail_quiet(-EPIPE, "this end of the pipe is closed, or the pipe was destroyed");
	return fail(-EBUSY, "the end changed hands meanwhile");
}

int
shoal_pipe_give(shoal_pipe_end *end, pid_t to)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	int rc = pipe_enter(end, PIPE_LOOK, &t, &h);
	if (rc)
		return rc;
	rc = give(h, t, to);
	pipe_leave(t, h);
	return rc;
}

/* ---- looking ---- */

static pid_t
owner_pid(shoal_arena *a, const shoal_pipe_end *end)
{
	uint64_t word = load_acquire(&end->owner);
	uint32_t process = (uint32_t)(word >> 32) & 0xfff;
	if (word & OWNER_GIVEN)
		return pipe_given_pid(word);
	if (!(word & OWNER_OWNED) || process >= a->members_max)
		return 0;
	return process_generation(a, process) == (uint32_t)word ? process_pid(a, process) : 0;
}

int
shoal_pipe_stat(const shoal_pipe_end *end, shoal_pipe_info *out)
{
	shoal_arena *a = arena_of(end);
	if (!a)
		return fail(-EINVAL, "%p is no end of a pipe in a mapped arena", (const void *)end);
	struct pipe *p;
	unsigned side;
	int rc = arena_asked(__func__, a, out);
	if (rc || (rc = pipe_find(a, end, &p, &side)))
		return rc;
	const struct pipe_way *tx = &p->way[side], *rx = &p->way[!side];
	*out = (shoal_pipe_info){
		.sent = load_relaxed(&tx->sent),
		.received = load_relaxed(&rx->received),
		.ring_bytes = p->ring_bytes,
		.left_owner = owner_pid(a, &p->end[SHOAL_LEFT]),
		.right_owner = owner_pid(a, &p->end[SHOAL_RIGHT]),
	};
	uint64_t done = load_acquire(&rx->done), tail = load_acquire(&rx->tail);
	out->waiting_bytes = tail > done ? (uint32_t)(tail - done) : 0;
	return 0;
}

/* A record that was passed while it was read was another one's, and may be overwritten by now. */
static int
look_unlocked(struct pipe_handle *h, struct pipe_message *m)
{
	for (;;) {
		uint64_t done = load_acquire(&h->rx->done);
		int rc = way_look(h->rx_ring, h->mask, done & ~UINT64_C(7), m);
		if (!h->shared || load_acquire(&h->rx->done) == done)
			return rc;
	}
}

/*
 * At a shared end it is looked at under the readers' lock where that is to be had in time. Else
 * without: what the one who has it takes at this moment may still seem to be there, and any of
 * those who share an end may be the one who gets the message anyway.
 */
int
pipe_look(struct pipe_handle *h, struct shoal_thread *t, struct pipe_wait *w,
          struct pipe_message *m)
{
	int rc = h->shared ? recv_lock(h, t, w) : 0;
	if (rc && !shoal_timed_out(rc))
		return rc;
	bool locked = h->shared && rc == 0;
	bool closed = pipe_end_closed(h) || pipe_peer_closed(h);
	rc = look_unlocked(h, m);
	if (locked)
		robust_release(t, &h->rx->reading);
	if (rc < 0)
		return fail(rc, "the ring of the pipe of object %u is damaged", h->object);
	return rc == 0 && closed ? -EPIPE : rc;
}

static int
no_reader(void)
{
	return fail(-EPERM, "the right end of a SIMPLEX pipe only sends");
}

static ssize_t
peek(struct pipe_handle *h, struct shoal_thread *t)
{
	struct pipe_message m;
	struct pipe_wait w = { .timeout = SHOAL_NOWAIT, .readers = true };
	for (;;) {
		int rc = pipe_look(h, t, &w, &m);
		if (rc > 0)
			return m.mark ? recv_refuse_marked() : (ssize_t)m.bytes;
		if (rc == -EPIPE)
			return fail_quiet(rc, "the other end of the pipe is closed, and nothing is left");
		if (rc)
			return rc;
		rc = pipe_wait(h, t, &w, &h->rx->done, 0);
		if (rc)
			return rc;
	}
}

ssize_t
shoal_pipe_peek_bytes(shoal_pipe_end *end)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	ssize_t rc = pipe_enter(end, PIPE_LOOK, &t, &h);
	if (rc)
		return rc;
	rc = h->rx ? peek(h, t) : no_reader();
	pipe_leave(t, h);
	return rc;
}

static int
wait_readable(struct pipe_handle *h, struct shoal_thread *t, shoal_time timeout)
{
	struct pipe_wait w = { .timeout = timeout, .readers = true, .poll = true };
	struct pipe_message m;
	for (;;) {
		int rc = pipe_look(h, t, &w, &m);
		if (rc > 0 || rc == -EPIPE)
			return 1;
		if (rc == 0)
			rc = pipe_wait(h, t, &w, pipe_header(h->rx_ring, h->mask, m.pos), 0);
		if (rc)
			return shoal_timed_out(rc) ? 0 : rc;
	}
}

int
shoal_pipe_poll(shoal_pipe_end *end, shoal_time timeout)
{
	struct shoal_thread *t;
	struct pipe_handle *h;
	int rc = pipe_enter(end, PIPE_LOOK, &t, &h);
	if (rc)
		return rc;
	void *old = t->robust->pending;
	rc = h->rx ? wait_readable(h, t, timeout) : no_reader();
	robust_pending_restore(t, old);
	pipe_leave(t, h);
	return rc;
}
