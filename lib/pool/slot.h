/* The host's side of slots: filled, sent, their ends taken in, given back. */
#ifndef POOL_SLOT_H
#define POOL_SLOT_H

#include "pool/result.h"

/* What is to be done, in the caller's memory. */
struct errand {
	const char *call; /* for sentences */
	shoal_task_fn *fn;
	const void *in;
	size_t in_bytes;
	size_t out_bytes; /* of an item's answer in place; 0: none */
	size_t items, index;
	shoal_time timeout;
	bool any_length;  /* of its answer */
	bool tell;        /* the collector is to take its end in */
	bool closed_too;  /* it was promised before the pool was closed */
	int64_t deadline; /* for a slot: 0 gives -EAGAIN rather than to wait */
	struct shoal_result *result;
};

/* 0: it is on its way, and its result will be settled. Else the result is as it was. */
int slot_send(struct shoal_pool *p, const struct errand *e);

/* Takes in the end of the task in that slot, if it has come. */
bool slot_harvest(struct shoal_pool *p, uint32_t index);
/* All whose bits are set; how many. */
unsigned slot_harvest_all(struct shoal_pool *p);
/* A QUEUED one of this id never begins. False: it runs, or is over. */
bool slot_recall(struct shoal_pool *p, uint64_t id);
/* Of one that slot_recall found running no further item begins. */
void slot_stop(struct shoal_pool *p, uint64_t id);
/* The collector is to take in its end, from now on. */
void slot_tell(struct shoal_pool *p, uint64_t id);

/* A message for the workers; where it finds no place, the supervisor sends it later. */
void slot_put(struct shoal_pool *p, uint64_t message);

/* Under the lock: one more, or one less, wants every end to be told. */
void slot_want(struct shoal_pool *p, int more);

/* Items of slots that nobody has begun. */
size_t slot_unbegun(struct shoal_pool *p);

/* Whether some task is QUEUED or RUNNING, be its result wanted or not. */
bool slot_any_runs(const struct shoal_pool *p);

/* Wakes the collector, and who waits for a slot. */
void slot_ring(struct shoal_pool *p);

static inline uint32_t
slot_high(const struct shoal_pool *p)
{
	return load_acquire(&p->head->high);
}

#endif
