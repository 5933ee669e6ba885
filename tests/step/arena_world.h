/* An arena as a case's shared memory, and the look for what leaked. */
#ifndef STEP_ARENA_WORLD_H
#define STEP_ARENA_WORLD_H

#include <shoal/arena.h>
#include <shoal/data.h>

#include "step.h"

enum { WORLD_LIMIT = 8 << 20, WORLD_MEMBERS = 32 };

/* A private arena of a few MiB, watched. */
void arena_world(struct step_world *w);
/* Watches a mapped arena, found by the file behind it. */
void arena_world_watch(struct step_world *w, struct shoal_arena *arena);

/* recover, check, and compare what is used with the base. */
void arena_audit(struct step_world *w);

/*
 * For processes that are watched: a first call, so that being registered is not part of what is
 * watched.
 */
void arena_join(struct step_world *w);

/* Ways to come upon the dead that need no object, and what a stopped one must not hold up. */
void meet_recover(struct step_world *w);
bool try_others(struct step_world *w, int64_t ns);
/* A list is made and destroyed. */
bool try_list(struct step_world *w, int64_t ns);

#endif
