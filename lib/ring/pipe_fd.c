/* The descriptors of a pipe's end: see poller.h. */
#include "base/error.h"
#include "ring/pipe.h"
#include "ring/poller.h"

/* The pipe whose end it is, or NULL where its memory is another one's by now. */
static struct pipe *
pipe_at(shoal_arena *a, shoal_pipe_end *end, uint32_t *ring)
{
	struct pipe *p = pipe_of_end(end);
	word64 *block = block_word_at(a, arena_offset(a, p));
	uint64_t word = block ? load_acquire(block) : 0;
	if (block_state(word) != BLOCK_OBJECT || block_object(word) != p->object)
		return NULL;
	*ring = pipe_ring_bytes(a, p);
	return *ring ? p : NULL;
}

/* Closed, or its owner may be dead: a call finds out which. */
static bool
is_over(shoal_arena *a, const struct pipe *p, unsigned side)
{
	uint64_t own = load_acquire(&p->end[side].owner), other = load_acquire(&p->end[!side].owner);
	if ((own & (OWNER_CLOSED | OWNER_PEER_CLOSED)) || (other & OWNER_CLOSED))
		return true;
	uint32_t process = (uint32_t)(other >> 32) & 0xfff;
	return (other & OWNER_OWNED) && process_gone(a, process, (uint32_t)other);
}

static bool
readable(shoal_arena *a, void *object)
{
	shoal_pipe_end *end = object;
	uint32_t ring;
	struct pipe *p = pipe_at(a, end, &ring);
	struct pipe_message m;
	if (!p)
		return true;
	unsigned from = !(end->side & 1);
	uint64_t done = load_acquire(&p->way[from].done) & ~UINT64_C(7);
	return way_look(pipe_ring(p, ring, from), ring - 1, done, &m) != 0 || is_over(a, p, !from);
}

/* For what was refused last, or any short record. */
static bool
has_room(shoal_arena *a, void *object)
{
	shoal_pipe_end *end = object;
	uint32_t ring;
	struct pipe *p = pipe_at(a, end, &ring);
	word64 *word;
	if (!p)
		return true;
	struct pipe_way *w = &p->way[end->side & 1];
	uint64_t used = load_acquire(&w->tail) - way_free(w, &word);
	uint64_t wanted = load_relaxed(&w->wanted);
	return used + (wanted ? wanted : LINE) <= ring || is_over(a, p, end->side & 1);
}

static int
fd_of(shoal_pipe_end *end, bool room)
{
	shoal_arena *a = arena_of(end);
	if (!a)
		return fail(-EINVAL, "%p is no end of a pipe in a mapped arena", (void *)end);
	struct pipe *p = pipe_of_end(end);
	object_of_body(a, p, SHOAL_KIND_PIPE);
	unsigned side = end->side & 1, needed = room ? SHOAL_RIGHT : SHOAL_LEFT;
	if ((p->flags & SHOAL_PIPE_SIMPLEX) && side != needed)
		return fail(-EPERM, "the left end of a SIMPLEX pipe receives, the right end sends");
	if (room)
		return poller_fd(a, &p->way[side].room.poll, has_room, end);
	return poller_fd(a, &p->way[!side].data.poll, readable, end);
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
