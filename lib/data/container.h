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

/* ---- containers as objects ---- */

/*
 * One of that kind, or under SHOAL_OR_OPEN the one that there is; `fill`, which may be NULL, makes
 * the zeroed body ready before anybody sees it. 0; -EINVAL: unknown flags, reserved_ not zero; the
 * codes of object_make.
 */
typedef int container_fill(shoal_arena *a, uint32_t index, void *body, const void *unused);
int container_create(shoal_arena *a, const char *name, uint32_t kind, size_t bytes,
                     const shoal_container_options *options, container_fill *fill, void **out);
int container_open(shoal_arena *a, const char *name, uint32_t kind, shoal_time timeout, void **out);
int container_destroy(shoal_arena *a, void *body, uint32_t kind);

#endif
