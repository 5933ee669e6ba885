/*
 * Results: what the host keeps of each pending task, and gives out.
 *
 *	PENDING -> AWAITED (somebody sleeps) -> READY, once; whoever reads READY (acquire) sees code,
 *	bytes and text
 *
 * One is held by its user's handle and by the pool (until it is READY). Freed ones wait in a grave
 * until no reader of an RCU table can be at them: emptied by whoever puts the GRAVE_FULLth in.
 */
#ifndef POOL_RESULT_H
#define POOL_RESULT_H

#include "pool/pool.h"

enum result_state { RESULT_PENDING, RESULT_AWAITED, RESULT_READY };

struct map;

struct shoal_result {
	struct cds_lfht_node node; /* in pending */
	struct cds_wfcq_node call; /* in the queue of callbacks */
	word32 shown;   /* 1, released before it is in pending; acquired after */
	word32 put;     /* 1, released before it is in the queue of callbacks; acquired after */
	word32 state;   /* enum result_state; slept on */
	word32 references;
	word32 dropped; /* 1: its user wants nothing of it any more */
	word32 notice;  /* 1 + an eventfd that is readable when it is READY; 0: none */
	uint32_t generation;
	uint64_t id;
	shoal_pool *pool; /* gone, perhaps, when READY: result_pool */
	shoal_done_fn *done;
	void *arg;
	struct map *map;          /* its own; NULL: of a slot */
	bool called;              /* it ends in the thread that runs callbacks */
	struct shoal_results *it; /* NULL: nobody's batch */
	uint64_t items, index;    /* of a batch: how many, and the first one's number */
	uint64_t text_of;         /* of a batch: whose text it is */
	struct shoal_result *before, *after; /* of the iterator's, in the order of their beginning */
	void *to;                 /* apply: where the result goes; else NULL */
	size_t to_bytes;

	/* before READY its settler's, then everybody's to read */
	int code;
	bool whole;      /* settled by its items' ends, not by the pool's or a cancel */
	ssize_t length;  /* what get gives when the code is 0 */
	size_t bytes;    /* at `data` */
	void *data;      /* `small`, or from malloc, or the user's own (`borrowed`) */
	bool borrowed;
	char *text;      /* from malloc; NULL: none */
	struct shoal_result *next; /* of the iterator's ready ones, or in the grave */
	char small[INLINE_BYTES];
};

/* Not pending yet, held once for each of handle and pool. NULL: no memory. */
struct shoal_result *result_new(struct shoal_pool *p);
void result_drop(struct shoal_result *r);
/*
 * Its pool, to be dropped; NULL: the result is READY. What users do with results may come while the
 * pool ends, or after its handle was destroyed while a callback went on.
 */
struct shoal_pool *result_pool(const struct shoal_result *r);

/*
 * Under the pool's lock, while its phase lets it be sent: neither the workers nor the thread of
 * callbacks leave before it is READY. Uncounted when it is not sent after all.
 */
void result_count(struct shoal_pool *p, const struct shoal_result *r);
void result_uncount(struct shoal_pool *p, bool called);

/* Under the pool's lock: pending from here on. */
void result_add(struct shoal_pool *p, struct shoal_result *r);
/* Whoever gets it settles it. NULL: it is not pending any more. */
struct shoal_result *result_take(struct shoal_pool *p, uint64_t id);
bool result_take_this(struct shoal_pool *p, struct shoal_result *r);

/* It failed with this code and text ("" or NULL: the code's own sentence). */
void result_fail(struct shoal_result *r, int code, const char *text);
/* Room for its bytes: `small`, or memory of its own; NULL: it has failed with -ENOMEM. */
void *result_room(struct shoal_result *r, size_t bytes);
/* Its settler is done with it: the callback, if there is one, and then it is READY. */
void result_deliver(struct shoal_result *r);
/*
 * To be called when it is pending: the pool may have come to its end since it was seen open, and
 * whoever settled all that was pending have passed this one by.
 */
void result_overtaken(struct shoal_pool *p, struct shoal_result *r);
/* Its user wants nothing of it any more, and gives up the handle. */
void result_discard(struct shoal_result *r);
/* READY: wakes those who wait, and drops the pool's hold. */
void result_ready(struct shoal_result *r);

/* Waits until it is READY, taking its end in itself where it can. 0, -EAGAIN, … */
int result_await(struct shoal_result *r, const char *call, int64_t deadline, bool now);

#endif
