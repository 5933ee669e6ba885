/*
 * Whether a call on a queue or a pipe's end would go on without waiting, for one who waits for
 * several objects at once (process/wait_any.c).
 *
 * Such a one takes nothing, so it sleeps at the gates of those who poll, which are opened for all.
 * Between its looks it is in no call: any of the objects may be destroyed, and its memory be
 * another's. So it knows them by generation, and touches one only while its record names it, as
 * every call does.
 *
 * A putter that dies between its message and the wake has named the getters' gate: the kernel wakes
 * one there, whatever the gate's value. So that gate is watched too, and a getter's own wake may
 * come here: queue_ready_woken passes it on. One that dies in between leaves that getter to its
 * slice of 50 ms, unless it had named the gate itself, which it can do for one only.
 */
#ifndef RING_READY_H
#define RING_READY_H

#include "arena/arena.h"
#include "base/futex.h"
#include <shoal/pipe.h>
#include <shoal/sync.h>

struct ready_object {
	shoal_arena *arena;
	uint32_t index;
	uint32_t generation;
};

/* What tells when the answer changes. */
struct ready_words {
	struct futex_watch list[6];
	unsigned count;
	bool sliced;     /* look again after FUTEX_SLICE_NS all the same */
	word32 *pending; /* to be named by one who sleeps: robust_pending_set; or NULL */
};

/* Whether it is still the object that it was at begin, and not destroyed. */
bool ready_lives(const struct ready_object *o);

/* 0, or why nobody can wait for it: -EINVAL, -EPERM, -EPROTO, -EDEADLK, -EBUSY, -EUSERS. */
int queue_ready_begin(shoal_queue *q, struct ready_object *o);
int pipe_ready_begin(shoal_pipe_end *end, struct ready_object *o);
int event_ready_begin(shoal_event *e, struct ready_object *o);

/*
 * A get, or recv, would not wait; the event is set; or it is destroyed. `words` are filled where
 * the answer is no, as they were before it was found. NULL: the caller polls, and the object's
 * descriptor is made unreadable where the answer is no.
 */
bool queue_ready(shoal_queue *q, const struct ready_object *o, struct ready_words *words);
bool pipe_ready(shoal_pipe_end *end, const struct ready_object *o, struct ready_words *words);
bool event_ready(shoal_event *e, const struct ready_object *o, struct ready_words *words);

/* Whoever makes it ready has to tell from now on; kernel_barrier or a fence has to follow. */
void queue_ready_arm(shoal_queue *q, const struct ready_object *o);
void pipe_ready_arm(shoal_pipe_end *end, const struct ready_object *o);
void event_ready_arm(shoal_event *e, const struct ready_object *o);

/* After a sleep: what this one was told in the stead of others is passed on to them. */
void queue_ready_woken(shoal_queue *q, const struct ready_object *o, bool ready);
void pipe_ready_woken(shoal_pipe_end *end, const struct ready_object *o, bool ready);
void event_ready_woken(shoal_event *e, const struct ready_object *o, bool ready);

#endif
