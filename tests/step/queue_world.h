/* A queue as a case's subject: its shape, what survivors do with it, and what they demand. */
#ifndef STEP_QUEUE_WORLD_H
#define STEP_QUEUE_WORLD_H

#include <shoal/queue.h>

#include "arena_world.h"

struct queue_shape {
	uint32_t capacity, slot_bytes;
	unsigned flags;  /* of the queue; STEP_VALUES */
	uint32_t bytes;  /* of each message */
	uint32_t before; /* how many setup puts */
	uint32_t lost;   /* how many the victim may take with it */
	uint32_t sends;  /* how many messages the victim's call puts */
};

enum { TIMEOUT_MS = 300, MANY = 3, QUEUE_BYTES_MAX = 2000 };

/* `extra` of one who meets the dead: so many messages may it take, or send. */
enum { MEET_GETS = 1, MEET_PUTS = 256 };

static inline const struct queue_shape *
queue_shape(const struct step_world *w)
{
	return w->shape;
}

static inline shoal_queue *
queue_of(struct step_world *w)
{
	return w->object[0];
}

void queue_setup(struct step_world *w);

/* A message as this case's messages are: put or put_any, get or get_any. */
int queue_put(struct step_world *w, const void *message, shoal_time timeout);
ssize_t queue_get(struct step_world *w, void *buffer, shoal_time timeout);

/* One message of this process's; 0, or what put says. */
int queue_send(struct step_world *w, shoal_time timeout);
/* One message, logged; its length, or what get says. */
ssize_t queue_receive(struct step_world *w, shoal_time timeout);

/* The demands on an open queue, and on one that somebody closed or was closing. */
void queue_check(struct step_world *w);
void queue_check_closed(struct step_world *w);
void queue_crowd(struct step_world *w);

void queue_sleep_get(struct step_world *w);
void queue_sleep_put(struct step_world *w);
void queue_rouse_getter(struct step_world *w);
void queue_rouse_putter(struct step_world *w);
void queue_rouse_by_close(struct step_world *w);

void meet_prepare(struct step_world *w);
void meet_get(struct step_world *w);
void meet_put(struct step_world *w);
bool try_get(struct step_world *w, int64_t ns);
bool try_put(struct step_world *w, int64_t ns);
bool try_lap(struct step_world *w, int64_t ns);

#endif
