/* Kinds of named objects, as the cases about making, opening and destroying them see them. */
#ifndef STEP_OBJECT_KINDS_H
#define STEP_OBJECT_KINDS_H

#include "arena_world.h"

#include <shoal/base.h>

enum { OBJECT_TIMEOUT_MS = 300 };

struct object_kind {
	int (*create)(struct step_world *, const char *name, void **out);
	int (*open)(struct step_world *, const char *name, shoal_time timeout, void **out);
	int (*destroy)(struct step_world *, void *object);
	void (*fill)(struct step_world *); /* setup's, with something of its own in object[0] */
};

extern const struct object_kind step_rwlock_kind, step_semaphore_kind, step_condition_kind;
extern const struct object_kind step_event_kind, step_value_kind, step_array_kind;
extern const struct object_kind step_dict_kind, step_lock_kind, step_memory_kind;
extern const struct object_kind step_queue_kind, step_pipe_kind;
extern const struct object_kind step_list_kind, step_namespace_kind;

/* An event, with another one in object[1]. */
extern const struct object_kind step_event_fd_kind;

#endif
