#include "data/container.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/kernel.h"

__thread struct container_known container_known[1 << CONTAINER_KNOWN_BITS]
	__attribute__((tls_model("initial-exec")));

static bool
is_used(const struct container_known *k)
{
	return k->body && k->epoch == thread_epoch();
}

/* Where it is, or is to be: beside home while another one is there. */
static struct container_known *
room_of(const void *body)
{
	uint32_t at = thread_home(body, CONTAINER_KNOWN_BITS);
	struct container_known *k = container_find(body), *home = &container_known[at];
	if (k)
		return k;
	k = &container_known[at ^ 1];
	return is_used(home) && !is_used(k) ? k : home;
}

enum way {
	WRITES,
	READS, /* without a record, if need be */
	FOUND, /* writes; it may be gone */
};

/* One without a record has nothing that would keep the container from going. */
static int
gone(const void *body, const shoal_arena *a)
{
	return fail(-ENOENT, "%p is no container of that kind in arena '%s' any more: it was destroyed",
	            body, a->name);
}

/*
 * The generation first, then the look that finds the kind there: whatever stands later at this
 * address has another one.
 */
static int
find_object(const void *body, uint32_t kind, enum way way, struct container_known *out)
{
	const shoal_arena *a = out->arena;
	uint32_t again;
	bool stays = out->me && way != FOUND;
	if (stays)
		out->object = object_of_body(a, body, kind);
	else if (object_find_body(a, body, kind, &out->object))
		return gone(body, a);
	out->word = &arena_object(a, out->object)->word;
	out->ready = load_acquire(out->word) >> 32 << 4 | OBJECT_READY;
	if (object_find_body(a, body, kind, &again) == 0 && again == out->object)
		return 0;
	return stays ? fail(-EPROTO, "%p was destroyed during the call", body) : gone(body, a);
}

/* For want of a record: none is to be had, or no memory for it. */
static bool
has_no_room(int rc)
{
	return rc == -EUSERS || rc == -ENOSPC;
}

static __attribute__((noinline)) int
find(const void *body, uint32_t kind, enum way way, struct container_known *out)
{
	struct shoal_thread *t;
	shoal_arena *a = arena_of(body);
	if (!a)
		stop("%p is in no mapped arena, or was destroyed", body);
	/* A reader needs none. */
	int rc = a->readonly ? 0 : member_here(a, &t, &out->me);
	if (rc && !(way == READS && has_no_room(rc)))
		return rc;
	if (rc || a->readonly)
		out->me = NULL;
	out->arena = a;
	rc = find_object(body, kind, way, out);
	if (rc)
		return rc;
	out->body = body;
	out->kind = kind;
	out->quick = out->me && a->flags & ARENA_MEMBARRIER ? kind : 0;
	out->epoch = thread_epoch_kept();
	return 0;
}

/* The object that was found, whole: what was made there since has another generation. */
static ALWAYS_INLINE bool
stands(const struct container *c)
{
	uint64_t word = load_acquire(&arena_object(c->arena, c->object)->word);
	enum object_state state = object_state(word);
	return word >> 32 == c->generation && (state == OBJECT_READY || state == OBJECT_KEPT);
}

/*
 * The record names it, if there is one, from before the look whether it is there. Else the record
 * names nothing.
 */
static ALWAYS_INLINE bool
try_enter(const struct container_known *k, struct shoal_thread *t, struct container *out)
{
	*out = (struct container){ k->arena, t, k->me, k->object, (uint32_t)(k->ready >> 4) };
	/* Pairs with the destroyer's barrier: it sees this, or `stands` sees what it did. */
	if (likely(k->me))
		store_relaxed(&k->me->call.object, k->object);
	if (unlikely(!(k->arena->flags & ARENA_MEMBARRIER)))
		fence_seq_cst();
	else
		fence_compiler();
	if (likely(stands(out)))
		return true;
	container_leave(out);
	return false;
}

/*
 * What the thread knew, if anything, is not so any more: another container may have come to lie
 * where that one was.
 */
static __attribute__((noinline)) int
enter_anew(const void *body, uint32_t kind, struct container *out, enum way way)
{
	struct shoal_thread *t = out->thread;
	t->busy = 1;
	fence_compiler();
	struct container_known *k = room_of(body);
	k->body = NULL;
	int rc = find(body, kind, way, k);
	if (rc == 0 && !k->me && way != READS)
		rc = fail(-EPERM, "arena '%s' is attached read-only", k->arena->name);
	if (rc) {
		t->busy = 0;
		return rc;
	}
	if (try_enter(k, out->thread, out))
		return 0;
	k->body = NULL;
	if (!k->me || way == FOUND)
		return gone(body, out->arena);
	stop("%p is no container of arena '%s' any more: it was destroyed", body, out->arena->name);
}

static ALWAYS_INLINE int
enter(const void *body, uint32_t kind, struct container *out, enum way way)
{
	struct shoal_thread *t = thread_self();
	if (unlikely(!t))
		return fail(-ENOMEM, "no memory for this thread's record");
	if (unlikely(thread_is_nested(t)))
		return fail(-EDEADLK,
		            "a container was called inside another call of its thread: by a signal "
		            "handler, or by an order of shoal_list_sort");
	out->thread = t;
	/* Before what it knows is read: a signal handler's call may make it another container's. */
	t->busy = 1;
	fence_compiler();
	const struct container_known *k = container_find(body);
	/* A forked child inherits what its parent's thread knew, but has no seat yet. */
	bool knows = k && k->epoch == thread_epoch() && k->kind == kind &&
	             k->me == member_seat(k->arena, t) && (k->me || way == READS);
	if (likely(knows && try_enter(k, t, out)))
		return 0;
	return enter_anew(body, kind, out, way);
}

int
container_enter(const void *body, uint32_t kind, struct container *out)
{
	return enter(body, kind, out, WRITES);
}

int
container_enter_found(const void *body, uint32_t kind, struct container *out)
{
	return enter(body, kind, out, FOUND);
}

int
container_enter_reader(const void *body, uint32_t kind, struct container *out)
{
	return enter(body, kind, out, READS);
}

void
container_leave(struct container *c)
{
	/* What was read or written inside is done before the destroyer goes on. */
	if (likely(c->me))
		store_release(&c->me->call.object, 0);
	c->thread->busy = 0;
}

/* Nothing kept it where it was: so it is looked at once more, after all that was read there. */
int
container_leave_reader(struct container *c, const void *body, int rc)
{
	if (unlikely(!c->me)) {
		fence_acquire();
		rc = stands(c) ? rc : gone(body, c->arena);
	}
	container_leave(c);
	return rc;
}

int
container_cannot_lock(const struct container *c, const char *kind)
{
	if (c->arena->readonly)
		return fail(-EPERM, "%s %u changes too fast to be read through a read-only handle", kind,
		            c->object);
	return fail(-EUSERS, "%s %u changes too fast to be read by a thread that finds no member's "
	                     "record in arena '%s'",
	            kind, c->object, c->arena->name);
}

/* ---- containers as objects ---- */

static int
options_check(const shoal_container_options *o)
{
	if (!o)
		return 0;
	if (o->flags & ~(unsigned)(SHOAL_OR_OPEN | SHOAL_WITH_OWNER))
		return fail(-EINVAL, "container options have unknown flags %#x", o->flags);
	for (size_t i = 0; i < sizeof o->reserved_ / sizeof *o->reserved_; i++)
		if (o->reserved_[i])
			return fail(-EINVAL, "reserved_[%zu] of container options is not 0", i);
	return 0;
}

/* The thread and its member, where it is in no other call: one that a signal interrupted. */
static int
maker(shoal_arena *a, struct shoal_thread **t, struct member **me)
{
	if (thread_is_nested(thread_known()))
		return fail(-EDEADLK, "a container is made or destroyed inside another call of its thread");
	return member_here(a, t, me);
}

int
container_create(const char *call, shoal_arena *a, const char *name, uint32_t kind, size_t bytes,
                 const shoal_container_options *options, container_fill *fill, void **out)
{
	struct shoal_thread *t;
	struct member *me;
	struct object_plan plan = { kind, options ? options->flags : 0, bytes, fill, NULL };
	int rc = arena_asked(call, a, out);
	if (rc)
		return rc;
	*out = NULL;
	rc = options_check(options);
	if (rc == 0)
		rc = maker(a, &t, &me);
	return rc ? rc : object_create(a, t, me, name, &plan, out);
}

int
container_open(const char *call, shoal_arena *a, const char *name, uint32_t kind,
               shoal_time timeout, void **out)
{
	struct object_found o;
	int rc = arena_asked(call, a, out);
	if (rc)
		return rc;
	rc = object_open(a, thread_self(), name, kind, clock_deadline(timeout), &o);
	*out = o.body;
	return rc;
}

int
container_destroy(shoal_arena *a, void *body, uint32_t kind)
{
	struct shoal_thread *t;
	struct member *me;
	if (!body)
		return 0;
	int rc = maker(a, &t, &me);
	return rc ? rc : object_destroy(a, t, me, object_of_body(a, body, kind));
}
