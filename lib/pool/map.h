/* The host's side of maps: jobs made, invited to, taken in, and what deaths leave of them. */
#ifndef POOL_MAP_H
#define POOL_MAP_H

#include "pool/result.h"

struct death;

/* AWAITED: TAKING, and somebody sleeps until `out` and codes are written, or never will be. */
enum map_taking { MAP_LEFT, MAP_TAKING, MAP_AWAITED, MAP_WRITTEN };

struct map {
	struct shoal_result *result; /* holds it, until it is buried */
	struct job *job;
	uint64_t id, crate;
	unsigned index; /* in the head's table */
	word32 taking;  /* enum map_taking: whether somebody takes it in; slept on */
	word32 users;   /* threads that are at its job's words without the lock: map_stop */
	pthread_mutex_t stopping; /* held by the one of these that takes what is not begun */
	void *out;      /* NULL: results lie in place */
	int *codes;
	void (*progress)(void *arg, size_t done, size_t total);
	void *progress_arg;
	size_t count;
	size_t told;    /* to progress */
	int64_t began;
	struct map *next; /* among the retired */
};

/* What is to be done, in the caller's memory. */
struct map_errand {
	const char *call;
	shoal_task_fn *fn;
	const void *in;
	size_t in_bytes;
	void *out;
	size_t out_bytes, count;
	shoal_map_options options;
	bool tell;
	struct shoal_result *result;
};

/* 0: it runs, and its result will be settled. */
int map_begin(struct shoal_pool *p, const struct map_errand *e);

/* Takes it in, if it has ended. */
bool map_harvest(struct shoal_pool *p, struct map *m);
unsigned map_harvest_all(struct shoal_pool *p);
/* Its result is not pending any more: waits until whoever takes it in has written all of it. */
void map_await_written(struct map *m);
/* 1 when it has ended. */
word32 *map_complete(struct map *m);
/* Items that have ended, by chunks. Under the pool's lock, while the map is in its table. */
size_t map_items_done(const struct shoal_pool *p, const struct map *m);
/* The collector is to take its end in. False: somebody has taken it in. */
bool map_tell(struct shoal_pool *p, struct map *m);
/* Nothing more of it is begun, and what is over by that is taken in; else the same. */
bool map_stop(struct shoal_pool *p, struct map *m);

/* The one at that place, held: another thread may take it in meanwhile. NULL: there is none. */
struct map *map_hold_nth(struct shoal_pool *p, unsigned i);

/* Says so if all chunks of it are DONE, by their rows. */
void map_look_whether_all(const struct shoal_pool *p, struct job *job);

void map_mourn(struct shoal_pool *p, struct death *d);
void map_invite_all(struct shoal_pool *p);
void map_bury_retired(struct shoal_pool *p);
void map_drop_all(struct shoal_pool *p);
size_t map_unbegun(struct shoal_pool *p);
/* All items of the pool that have ended with 0, or not; of maps under way those of whole chunks. */
void map_count(struct shoal_pool *p, uint64_t *done, uint64_t *failed);

/* In the thread of callbacks: tells those who want to know; when to look again. */
int64_t map_progress(struct shoal_pool *p);
void map_progress_last(struct map *m);

#endif
