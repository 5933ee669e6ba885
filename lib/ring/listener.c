/* Making, finding and ending listeners, and what the arena asks of them: see listener.h. */
#include "ring/listener.h"
#include "base/clock.h"
#include "base/error.h"
#include "ring/kinds.h"
#include "ring/poller.h"
#include <unistd.h>

/* ---- entries ---- */

/* The pipe that the entry names, by its index, body and generation. */
static struct pipe *
entry_pipe(const shoal_arena *a, uint64_t entry, uint64_t *word)
{
	uint32_t object = listener_entry_object(entry);
	if (!object || object >= objects_high(a))
		return NULL;
	const struct object *o = arena_object(a, object);
	*word = load_acquire(&o->word);
	if (((*word >> 32) & 0xfffff) != ((entry >> 24) & 0xfffff) ||
	    load_relaxed(&o->kind) != SHOAL_KIND_PIPE || !object_has_body(a, object))
		return NULL;
	struct pipe *p = object_body_at(a, object);
	return p && (p->flags & PIPE_CONNECTION) && pipe_ring_bytes(a, p) ? p : NULL;
}

enum listener_entry_state
listener_look(const shoal_arena *a, uint64_t entry)
{
	uint64_t word;
	if (!entry)
		return ENTRY_NONE;
	const struct pipe *p = entry_pipe(a, entry, &word);
	if (!p)
		return ENTRY_STALE;
	if (object_state(word) == OBJECT_MAKING)
		return member_state(a, object_tag(word)) == MEMBER_ALIVE ? ENTRY_COMING : ENTRY_STALE;
	bool pending = load_acquire(&p->end[SHOAL_LEFT].owner) & OWNER_PENDING;
	return object_state(word) == OBJECT_READY && pending ? ENTRY_PENDING : ENTRY_STALE;
}

bool
listener_first(const shoal_arena *a, shoal_listener *l, uint32_t *place, uint64_t *entry)
{
	bool found = false;
	for (uint32_t i = 0; i < BACKLOG; i++) {
		uint64_t at = load_acquire(&l->pending[i]);
		if (listener_look(a, at) != ENTRY_PENDING)
			continue;
		/* As a signed difference of 24 bits. */
		if (found && (((uint32_t)at - (uint32_t)*entry) & 0x800000) == 0)
			continue;
		*place = i;
		*entry = at;
		found = true;
	}
	return found;
}

/* Under a name of its own, since it may end by itself meanwhile. */
static void
refuse(shoal_arena *a, struct member *me, word64 *place)
{
	uint64_t word, entry = load_acquire(place);
	struct pipe *p = entry ? entry_pipe(a, entry, &word) : NULL;
	word32 *name = p ? object_stay(a, me, listener_entry_object(entry), word >> 32) : NULL;
	if (!name)
		return;
	uint64_t owner = load_acquire(&p->end[SHOAL_LEFT].owner);
	if (owner & OWNER_PENDING)
		pipe_shut_end(a, p, SHOAL_LEFT, owner);
	object_unstay(name);
}

void
listener_refuse_all(shoal_arena *a, shoal_listener *l, struct member *me)
{
	for (uint32_t i = 0; i < BACKLOG; i++)
		refuse(a, me, &l->pending[i]);
}

/* ---- calls ---- */

bool
listener_abandoned(shoal_arena *a, const shoal_listener *l)
{
	return process_gone(a, l->process, l->process_generation);
}

void
listener_wake_all(shoal_listener *l)
{
	gate_open_all(&l->accept.wait);
	gate_open_all(&l->accept.poll);
	gate_open_all(&l->room);
}

bool
listener_over(const struct listener_call *c)
{
	return load_seq_cst(&arena_object(c->arena, c->object)->word) != c->alive;
}

int
listener_enter(shoal_arena *a, uint32_t object, struct listener_call *c)
{
	*c = (struct listener_call){ .arena = a, .object = object };
	if (thread_is_nested(thread_known()))
		return fail(-EDEADLK, "a listener's call in a signal handler inside another call");
	int rc = member_here(a, &c->thread, &c->me);
	if (rc)
		return rc;
	c->thread->busy = 1;
	fence_compiler();
	c->alive = load_acquire(&arena_object(a, object)->word);
	store_release(&c->me->call.object, object);
	fence_seq_cst();
	if (object_state(c->alive) == OBJECT_READY && !listener_over(c) &&
	    load_relaxed(&arena_object(a, object)->kind) == SHOAL_KIND_LISTENER)
		c->listener = object_body_at(a, object);
	if (c->listener && object_body_bytes(a, c->listener) >= sizeof *c->listener)
		return 0;
	listener_leave(c);
	return fail_quiet(-EPIPE, "the listener was destroyed, or its process has ended");
}

void
listener_leave(const struct listener_call *c)
{
	store_release(&c->me->call.object, 0);
	c->thread->busy = 0;
}

bool
listener_recover(const struct listener_call *c)
{
	if (!listener_abandoned(c->arena, c->listener))
		return false;
	(void)member_recover_all(c->arena, c->thread, c->me);
	object_recover_owned(c->arena, c->thread, c->me);
	return true;
}

/* ---- making ---- */

static int
check_options(shoal_arena *a, const char *name, const shoal_pipe_options *o, shoal_listener **out,
              struct pipe_shape *shape)
{
	if (!a || !name || !out)
		return fail(-EINVAL, "a listener needs an arena, a name, and a place for its handle");
	if (o && (o->flags & SHOAL_PIPE_SHARED_ENDS))
		return fail(-EINVAL, "a connection's ends are each one process's: SHARED_ENDS is not for "
		                     "listeners; shoal_pipe_give passes an end on");
	return pipe_shape_of(a, o, shape);
}

static int
fill(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t index,
     const struct pipe_shape *shape)
{
	int rc = object_body(a, t, me, index, sizeof(struct shoal_listener));
	shoal_listener *l = rc ? NULL : object_body_at(a, index);
	if (!l)
		return rc ? rc : -EPROTO;
	l->object = index;
	l->process = a->process;
	l->process_generation = process_generation(a, a->process);
	l->ring_bytes = shape->ring_bytes;
	l->flags = shape->flags;
	object_own(a, index, SHOAL_WITH_OWNER);
	return 0;
}

/* One whose process has ended is in the way of its successor no longer than until it is noticed. */
static int
make(shoal_arena *a, struct shoal_thread *t, struct member *me, const char *name, unsigned flags,
     struct object_made *made)
{
	int rc = object_make(a, t, me, name, SHOAL_KIND_LISTENER, flags, CLOCK_NEVER, made);
	shoal_listener *there = rc == 0 && made->existed ? object_body_at(a, made->index) : NULL;
	if (rc != -EEXIST && !(there && listener_abandoned(a, there)))
		return rc;
	(void)member_recover_all(a, t, me);
	object_recover_owned(a, t, me);
	return object_make(a, t, me, name, SHOAL_KIND_LISTENER, flags, CLOCK_NEVER, made);
}

int
shoal_listener_create(shoal_arena *a, const char *name, const shoal_pipe_options *options,
                      shoal_listener **out)
{
	struct shoal_thread *t;
	struct member *me;
	struct pipe_shape shape;
	struct object_made made;
	int rc = check_options(a, name, options, out, &shape);
	if (rc || (rc = member_here(a, &t, &me)))
		return rc;
	rc = make(a, t, me, name, options ? options->flags : 0, &made);
	if (rc)
		return rc;
	if (!made.existed) {
		rc = fill(a, t, me, made.index, &shape);
		if (rc) {
			object_abandon(a, me, made.index);
			return rc;
		}
		object_publish(a, me, made.index);
	}
	*out = object_body_at(a, made.index);
	return *out ? 0 : -EPROTO;
}

int
shoal_listener_destroy(shoal_arena *a, shoal_listener *l)
{
	struct shoal_thread *t;
	struct member *me;
	if (!l)
		return 0;
	int rc = member_here(a, &t, &me);
	if (rc)
		return rc;
	return object_destroy(a, t, me, object_of_body(a, l, SHOAL_KIND_LISTENER));
}

/* ---- the descriptor ---- */

/* The process, so that its end is told; its own need not be. */
static enum poller_answer
name_peer(shoal_arena *a, const shoal_listener *l, struct poller_peer *peer)
{
	if (l->process >= a->members_max)
		return POLLER_READY;
	const struct process_record *p = arena_process(a, l->process);
	uint64_t word = load_acquire(&p->word);
	if ((uint32_t)word != (uint32_t)getpid())
		*peer = (struct poller_peer){ (pid_t)(uint32_t)word, process_started(p, word) };
	return peer->pid && !peer->started ? POLLER_UNTOLD : POLLER_TOLD;
}

static enum poller_answer
acceptable(const struct poller_object *o, struct poller_peer *peer)
{
	uint32_t index, place;
	uint64_t entry;
	shoal_arena *a = o->arena;
	shoal_listener *l = o->object;
	if (object_find_body(a, l, SHOAL_KIND_LISTENER, &index) || !object_ready(a, index) ||
	    listener_abandoned(a, l) || listener_first(a, l, &place, &entry))
		return POLLER_READY;
	return name_peer(a, l, peer);
}

int
shoal_listener_fd(shoal_listener *l)
{
	shoal_arena *a = arena_of(l);
	if (!a)
		return fail(-EINVAL, "%p is no listener in a mapped arena", (void *)l);
	struct poller_object o = { .arena = a, .gate = &l->accept.poll, .dying = { &l->accept.wait },
		                   .bell = &l->bell.word, .polled = &l->polled,
		                   .look = acceptable, .object = l };
	word32 *name;
	int rc = object_stay_at(a, l, SHOAL_KIND_LISTENER, &o.seen_as, &name);
	if (rc)
		return rc;
	rc = poller_fd(&o);
	object_unstay(name);
	return rc;
}

/* ---- for the arena ---- */

static shoal_listener *
body(const shoal_arena *a, uint32_t object)
{
	shoal_listener *l = object_body_at(a, object);
	return l && object_body_bytes(a, l) >= sizeof *l ? l : NULL;
}

static struct robust *
bell(const shoal_arena *a, uint32_t object)
{
	shoal_listener *l = body(a, object);
	return l ? &l->bell : NULL;
}

/* What the dead one had done others find; those who sleep look again. */
static void
recover_call(shoal_arena *a, struct shoal_thread *t, struct member *me, struct member *dead,
             uint32_t object)
{
	shoal_listener *l = body(a, object);
	if (l)
		listener_wake_all(l);
	(void)t, (void)me, (void)dead;
}

/* One who has no record of its own just now leaves the ends to the burial. */
static void
shut(shoal_arena *a, uint32_t object)
{
	shoal_listener *l = body(a, object);
	struct shoal_thread *t = thread_known();
	struct member *me = t ? member_seat(a, t) : NULL;
	if (l && me)
		listener_refuse_all(a, l, me);
	if (l)
		listener_wake_all(l);
}

/* Also what came after it was destroyed. */
static void
empty(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t object)
{
	shoal_listener *l = body(a, object);
	if (l)
		listener_refuse_all(a, l, me);
	(void)t;
}

static uint64_t
size(const shoal_arena *a, uint32_t object)
{
	const shoal_listener *l = body(a, object);
	uint64_t n = 0;
	for (uint32_t i = 0; l && i < BACKLOG; i++)
		n += listener_look(a, load_acquire(&l->pending[i])) == ENTRY_PENDING;
	return n;
}

/* No entry is wrong: what names no pending connection is stale. */
static int
check(shoal_arena *a, uint32_t object, uint64_t parts, FILE *report)
{
	const shoal_listener *l = body(a, object);
	(void)parts;
	if (l && l->object == object && l->process < a->members_max)
		return 0;
	if (report)
		fprintf(report, "listener %u: the body is damaged\n", object);
	return 1;
}

const struct kind_ops listener_kind = {
	.recover_call = recover_call,
	.bell = bell,
	.shut = shut,
	.empty = empty,
	.size = size,
	.check = check,
};
