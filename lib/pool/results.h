/*
 * Iterators: imap's. Batches of items are sent as the window allows; their results wait here.
 *
 * Two locks: `feeding` is held by who sends batches, and may wait for a place in the pool; `lock`
 * guards the lists, and is taken by those who settle results, so nothing waits under it.
 */
#ifndef POOL_RESULTS_H
#define POOL_RESULTS_H

#include "pool/result.h"

struct shoal_results {
	struct shoal_pool *pool; /* held */
	uint32_t generation;
	word32 references; /* the handle's, and one for each batch that is not READY */
	bool ordered; /* nothing comes into `ready` */
	shoal_task_fn *fn;
	const char *in;
	size_t in_bytes, out_bytes, count, chunk, window;
	shoal_time timeout;
	void (*progress)(void *arg, size_t done, size_t total);
	void *progress_arg;
	int64_t began;

	pthread_mutex_t feeding;
	/* Items sent, or given up; those that are not begun count as one of the pool's unsettled. */
	size_t begun;
	word32 lifted;   /* 1: somebody joins the pool: the window is no limit */
	word64 taken;    /* items given out */
	word64 unsent;   /* the pool ended before it was sent the items from here on; else beyond all */

	pthread_mutex_t lock;
	struct shoal_result *first, *last;       /* batches begun and not given out */
	struct shoal_result *ready, *ready_last; /* of them, as they come; only when not ordered */
	word32 changes;  /* one is READY: slept on */

	struct shoal_result *current; /* the batch whose items are given out */
	size_t current_at;
	struct shoal_results *next, **link; /* of the pool's, under its lock */
};

/* Sends what the window allows; waits only when nothing is in work. 0, or why nothing is. */
int results_feed(struct shoal_results *it, int64_t deadline);
void results_take_out(struct shoal_results *it, struct shoal_result *r);

/* A batch of it is about to be READY. */
void results_note(struct shoal_results *it, struct shoal_result *r);
/* It is. */
void results_drop(struct shoal_results *it);

/*
 * Who joins the pool has all that its iterators have not begun sent, as far as there are places.
 * Who is sending already goes on with it, and is not waited for.
 */
void results_feed_all(struct shoal_pool *p);

#endif
