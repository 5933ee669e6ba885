/*
 * Being inside a call on a container, as a reader or a writer.
 *
 * The member's record names the container (call.object) from before the first look at it until
 * after the last, so that its memory stays while a call is inside, and so that recovery finds the
 * ledgers that a dead one may have left. Whoever destroys it looks at the records after a barrier
 * (or this one makes a fence, where the arena has no membarrier): so either it sees this call, or
 * this call sees that the object is gone.
 *
 * The way from a container's address to its arena and index is kept in a few entries for each
 * thread, which hold while thread_epoch stands still.
 */
#ifndef DATA_CONTAINER_H
#define DATA_CONTAINER_H

#include "arena/object.h"
#include <shoal/data.h>

struct container {
	shoal_arena *arena;
	struct shoal_thread *thread;
	struct member *me;
	uint32_t object;
	uint32_t generation; /* of its entry, when it was found */
};

/*
 * 0; -EDEADLK: in a signal handler that interrupted another call; -EPERM and others as
 * member_join. Stops with a sentence where `body` is no container of that kind, or was destroyed.
 */
int container_enter(const void *body, uint32_t kind, struct container *out);
/* The same where it may be gone, which gives -ENOENT: another one's, which was found by name. */
int container_enter_found(const void *body, uint32_t kind, struct container *out);
/*
 * The same for one who only reads: through a read-only handle, and where no record is to be had,
 * without one (me is NULL), so that nothing keeps the container from being destroyed meanwhile.
 * Then it gives -ENOENT where the others stop; and so does leaving it, whose result counts: what
 * was read may be of another one that lies there by now.
 */
int container_enter_reader(const void *body, uint32_t kind, struct container *out);
/* rc, or -ENOENT with a sentence. */
int container_leave_reader(struct container *c, const void *body, int rc);
/* Of a reader without a record, where readers take the writers' lock: -EPERM, -EUSERS. */
int container_cannot_lock(const struct container *c, const char *kind);
void container_leave(struct container *c);

/*
 * When a reader to whom writers were too quick gives up waiting for their lock, and tries again
 * without it: whoever has it may be stopped, and then nothing changes.
 */
#define CONTAINER_READER_NS INT64_C(5000000)

/* ---- what a thread knows of containers ---- */

/* A power of two. A thread that uses more containers in turn looks them up anew. */
#define CONTAINER_KNOWN_BITS 3

struct container_known {
	const void *body;
	shoal_arena *arena;
	struct member *me;
	const word64 *word; /* of the object's entry */
	uint64_t ready; /* that word from OBJECT_STATE_BIT on, of this generation and ready */
	uint32_t object;
	uint32_t kind;
	uint32_t quick; /* kind; 0: no visits, for want of a record or of membarrier */
	uint32_t epoch;
};

extern __thread struct container_known container_known[1 << CONTAINER_KNOWN_BITS]
	__attribute__((tls_model("initial-exec")));

/* At home or beside it; NULL: it is not known. */
static ALWAYS_INLINE struct container_known *
container_find(const void *body)
{
	uint32_t home = thread_home(body, CONTAINER_KNOWN_BITS);
	struct container_known *k = &container_known[home];
	if (likely(k->body == body))
		return k;
	k = &container_known[home ^ 1];
	return k->body == body ? k : NULL;
}

/*
 * Being inside for a thread that knows the container and has a record, without a call and in as few
 * instructions as can be: they are what keeps a processor from the next call's memory while it
 * waits for this one's. Where it says no, nothing was done, and container_enter is the way.
 */
struct container_visit {
	struct shoal_thread *thread;
	struct member *me;
	const shoal_arena *arena;
};

static ALWAYS_INLINE void
container_quit(const struct container_visit *v)
{
	/* What was read inside is read before the destroyer goes on: as container_leave. */
	store_release(&v->me->call.object, 0);
	v->thread->busy = 0;
}

static ALWAYS_INLINE bool
container_visit(const void *body, uint32_t kind, struct container_visit *out)
{
	struct shoal_thread *t = thread_here;
	if (unlikely(!t) || unlikely(t->busy | (uintptr_t)t->robust->pending))
		return false;
	/* Before what it knows is read: a signal handler's call may make it another container's. */
	t->busy = 1;
	fence_compiler();
	const struct container_known *k = container_find(body);
	/*
	 * A forked child inherits what its parent's thread knew. Before its first call it has the seat
	 * as well, but no epoch; after it, an epoch of its own, and a record of its own, or none.
	 */
	if (unlikely(!k) || unlikely(k->epoch != thread_epoch()) ||
	    unlikely(k->quick != kind) || unlikely(k->me != member_seat(k->arena, t))) {
		t->busy = 0;
		return false;
	}
	*out = (struct container_visit){ t, k->me, k->arena };
	/* As in try_enter, container.c: pairs with the destroyer's barrier. */
	store_relaxed(&out->me->call.object, k->object);
	fence_compiler();
	if (likely(load_acquire(k->word) >> OBJECT_STATE_BIT == k->ready))
		return true;
	container_quit(out);
	return false;
}

/* ---- containers as objects ---- */

/*
 * One of that kind, or under SHOAL_OR_OPEN the one that there is; `fill`, which may be NULL, makes
 * the zeroed body ready before anybody sees it. 0; -EINVAL: unknown flags, reserved_ not zero; the
 * codes of object_make.
 */
typedef int container_fill(shoal_arena *a, uint32_t index, void *body, const void *unused);
int container_create(const char *call, shoal_arena *a, const char *name, uint32_t kind,
                     size_t bytes, const shoal_container_options *options, container_fill *fill,
                     void **out);
int container_open(const char *call, shoal_arena *a, const char *name, uint32_t kind,
                   shoal_time timeout, void **out);
int container_destroy(shoal_arena *a, void *body, uint32_t kind);

#endif
