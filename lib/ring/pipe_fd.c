/* The descriptors of a pipe's end: see poller.h. */
#include "base/error.h"
#include "ring/pipe.h"
#include "ring/poller.h"
#include <unistd.h>

/* The pipe whose end it is, or NULL where its memory is another one's by now. */
static struct pipe *
pipe_at(shoal_arena *a, shoal_pipe_end *end, unsigned *side, uint32_t *ring)
{
	struct pipe *p;
	*ring = pipe_find(a, end, &p, side) ? 0 : pipe_ring_bytes(a, p);
	return *ring ? p : NULL;
}

/* A shared end whose users have all left or died; nobody is told of one by one. */
static bool
users_gone(shoal_arena *a, const struct pipe *p, unsigned side)
{
	uint32_t ring = pipe_ring_bytes(a, (struct pipe *)(uintptr_t)p);
	const word64 *row = pipe_users((struct pipe *)(uintptr_t)p, ring, a->members_max, side);
	bool used = false;
	for (uint32_t i = 0; ring && i < a->members_max; i++) {
		uint64_t user = load_acquire(&row[i]);
		if ((user & USER_STATE) != 1)
			continue;
		used |= !process_gone(a, i, (uint32_t)(user >> 2));
	}
	return !used && ring;
}

/* Nothing tells of the death of the pipe's owner, who need not be at one of its ends. */
static bool
has_owner(const shoal_arena *a, const struct pipe *p)
{
	uint32_t object = p->object;
	return object < objects_high(a) && object_has_owner(a, object);
}

/* Closed, or its owner, or the pipe's, may be dead: a call finds out which. */
static bool
is_over(shoal_arena *a, const struct pipe *p, unsigned side)
{
	uint64_t own = load_acquire(&p->end[side].owner), other = load_acquire(&p->end[!side].owner);
	uint32_t object = p->object;
	if (object >= objects_high(a) || !object_ready(a, object) || object_is_orphan(a, object))
		return true;
	if ((own & (OWNER_CLOSED | OWNER_PEER_CLOSED)) || (other & OWNER_CLOSED))
		return true;
	if (other & OWNER_SHARED && p->flags & SHOAL_PIPE_SHARED_ENDS)
		return users_gone(a, p, !side);
	if (other & OWNER_GIVEN)
		return pipe_given_ended(other);
	uint32_t process = (uint32_t)(other >> 32) & 0xfff;
	return (other & OWNER_OWNED) && process_gone(a, process, (uint32_t)other);
}

/*
 * Who is at the other end, so that its death is told; not of the users of a shared end. A gate
 * tells when an end that was nobody's, or was given away, becomes somebody's.
 */
static enum poller_answer
name_peer(shoal_arena *a, const shoal_pipe_end *end, struct poller_peer *peer)
{
	uint64_t owner = load_acquire(&end->owner);
	uint32_t process = (uint32_t)(owner >> 32) & 0xfff;
	if (owner & OWNER_GIVEN) {
		*peer = (struct poller_peer){ pipe_given_pid(owner), pipe_given_started(owner) };
	} else if (owner & OWNER_SHARED || process >= a->members_max) {
		return POLLER_UNTOLD;
	} else if (owner & OWNER_OWNED) {
		const struct process_record *p = arena_process(a, process);
		uint64_t word = load_acquire(&p->word);
		if ((uint32_t)(word >> 32) != (uint32_t)owner)
			return POLLER_UNTOLD;
		*peer = (struct poller_peer){ (pid_t)(uint32_t)word, process_started(p, word) };
	}
	if (peer->pid == getpid())
		*peer = (struct poller_peer){ 0 };
	return peer->pid && !peer->started ? POLLER_UNTOLD : POLLER_TOLD;
}

static enum poller_answer
readable(const struct poller_object *o, struct poller_peer *peer)
{
	shoal_arena *a = o->arena;
	shoal_pipe_end *end = o->object;
	uint32_t ring;
	unsigned side;
	struct pipe *p = pipe_at(a, end, &side, &ring);
	struct pipe_message m;
	if (!p)
		return POLLER_READY;
	unsigned from = !side;
	uint64_t done = load_acquire(&p->way[from].done) & ~UINT64_C(7);
	if (way_look(pipe_ring(p, ring, from), ring - 1, done, &m) != 0 || is_over(a, p, !from))
		return POLLER_READY;
	enum poller_answer answer = name_peer(a, &p->end[from], peer);
	return has_owner(a, p) ? POLLER_UNTOLD : answer;
}

/* The bytes that the last one who sent was refused for; a short record's, if it was not. */
static uint64_t
room_wanted(const struct pipe_way *w)
{
	uint64_t wanted = load_relaxed(&w->wanted);
	uint32_t bytes = (uint32_t)wanted;
	return bytes && wanted == way_wanted(w, bytes) ? bytes : LINE;
}

/*
 * For what was refused last, or any short record. The reader tells only now and then of the room
 * that it makes.
 */
static enum poller_answer
has_room(const struct poller_object *o, struct poller_peer *unused)
{
	shoal_arena *a = o->arena;
	shoal_pipe_end *end = o->object;
	uint32_t ring;
	unsigned side;
	struct pipe *p = pipe_at(a, end, &side, &ring);
	word64 *word;
	(void)unused;
	if (!p)
		return POLLER_READY;
	struct pipe_way *w = &p->way[side];
	uint64_t used = load_acquire(&w->tail) - way_free(w, &word);
	if (used + room_wanted(w) <= ring || is_over(a, p, side))
		return POLLER_READY;
	return POLLER_UNTOLD;
}

/* In a call that names the pipe. */
static int
fd_inside(shoal_arena *a, struct pipe *p, unsigned side, bool room, struct object_seen seen)
{
	unsigned needed = room ? SHOAL_RIGHT : SHOAL_LEFT;
	if ((p->flags & SHOAL_PIPE_SIMPLEX) && side != needed)
		return fail(-EPERM, "the left end of a SIMPLEX pipe receives, the right end sends");
	struct pipe_gates *gates = room ? &p->way[side].room : &p->way[!side].data;
	struct poller_object o = { .arena = a, .gate = &gates->poll, .dying = { &gates->wait },
		                   .bell = &p->bell.word, .polled = &p->polled, .seen_as = seen,
		                   .look = room ? has_room : readable, .object = &p->end[side] };
	return poller_fd(&o);
}

static int
fd_of(shoal_pipe_end *end, bool room)
{
	shoal_arena *a = arena_of(end);
	if (!a)
		return fail(-EINVAL, "%p is no end of a pipe in a mapped arena", (void *)end);
	struct pipe *p;
	struct object_seen seen;
	unsigned side;
	word32 *name;
	int rc = pipe_find(a, end, &p, &side);
	if (rc || (rc = object_stay_at(a, p, SHOAL_KIND_PIPE, &seen, &name)))
		return rc;
	rc = fd_inside(a, p, side, room, seen);
	object_unstay(name);
	return rc;
}

int
shoal_pipe_fd(shoal_pipe_end *end)
{
	return fd_of(end, false);
}

int
shoal_pipe_room_fd(shoal_pipe_end *end)
{
	return fd_of(end, true);
}

void
pipe_forget_fds(const struct pipe_handle *h)
{
	poller_forget(&h->pipe->way[h->side].room.poll);
	poller_forget(&h->pipe->way[!h->side].data.poll);
}
