/*
 * subject.h - one way to carry messages from process to process, to start one, one heap, lock, map
 *
 * Every subject, ours or a peer, is driven through this table by the same loops, so each pays the
 * same indirect call, learns the length only at run time and cannot be inlined into its caller.
 */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SUBJECT_LENDS = 1, /* carries messages in place, by lend/commit and borrow/release */
	SUBJECT_BATCHES = 2, /* carries up to `batch` messages a call */
	SUBJECT_ALLOCATES = 4, /* carries nothing: a pair of alloc and free */
	SUBJECT_IS_BASE = 8, /* what the table's ratios are against */
	SUBJECT_LOCKS = 16, /* carries nothing: a lock */
	SUBJECT_SPINS = 32, /* whoever waits never sleeps; of a lock: while the holder runs */
	SUBJECT_SURVIVES = 64, /* the lock of a dead holder is the next one's */
	SUBJECT_MAPS = 128, /* carries nothing: keys of 8 bytes and their values */
	SUBJECT_THREADS = 256, /* its workers are threads of one process: it cannot do more */
	SUBJECT_PRIVATE = 512, /* each worker has a map of its own: what sharing may cost */
	SUBJECT_SPINS_FIRST = 1 << 16, /* whoever waits sleeps after a while; without either, at once */
	SUBJECT_COUNTED = 1 << 17, /* recv is 0 after a while without messages: ends are counted out */
	SUBJECT_STARTS = 1024, /* carries nothing: a process that ends at once */
	SUBJECT_FULL_ONLY = 1 << 18, /* the quick run goes without it */
};

enum {
	BATCH_MAX = 32,
	SIDE_MAX = 20, /* producers, or consumers */
	WORKERS_MAX = 2 * SIDE_MAX,
	WAYS_MAX = 3,
	KIBI = 1024,
	MEBI = 1024 * 1024,
};

/* opening is what open() is told, and where it leaves its ways ([0] there, [1] back) or locks. */
struct opening {
	size_t bytes;
	unsigned producers, consumers; /* of messages */
	bool duplex;
	uint32_t keys; /* of a map */
	void *way[WAYS_MAX];
	void *arena;
};

struct plan;
struct timing;
struct sample;

struct subject {
	const char *name;
	const char *about;
	unsigned traits;
	size_t batch;
	size_t bytes_max;
	int (*open)(struct opening *); /* NULL: not found by configure */
	int (*close)(struct opening *); /* 0, or what was found wrong afterwards */

	/* Each may be NULL. What it carries of sizes and shapes; NULL: all up to bytes_max. */
	bool (*fits)(const struct plan *);

	/*
	 * Each worker makes the ways it uses by itself, before anyone sends; the first `producers` are
	 * the producers. leave comes when all workers have what they wanted.
	 */
	int (*enter)(struct opening *, unsigned worker);
	void (*leave)(struct opening *);

	/* The whole repetition is somebody else's, and nothing else is called: 0 or -errno. */
	int (*run)(const struct plan *, const struct timing *, struct sample *);

	/* Both return how many messages went, at least one, or a negative errno. */
	long (*send)(void *way, const void *items, size_t bytes, size_t count);
	long (*recv)(void *way, void *items, size_t bytes, size_t count);

	/* One loan a way and process is out at a time; NULL is a failure. */
	void *(*lend)(void *way, size_t bytes);
	int (*commit)(void *way);
	const void *(*borrow)(void *way, size_t bytes);
	void (*release)(void *way);

	void *(*allocate)(void *arena, size_t bytes);
	void (*give)(void *arena, void *block);

	/* Both 0 or a negative errno; -EOWNERDEAD: held, its last holder died, and it is mended. */
	int (*lock)(void *it);
	int (*unlock)(void *it);

	/* A process that does nothing, until it has been waited for: 0 or a negative errno. */
	int (*start)(void);

	/* Each worker joins the map by itself; NULL is a failure. get returns the value's bytes. */
	void *(*join)(const struct opening *);
	int (*set)(void *map, uint64_t key, const void *value, size_t bytes);
	long (*get)(void *map, uint64_t key, void *value, size_t bytes);

	/* As set, but the answers are waited for only when value is NULL. May be NULL. */
	int (*fill)(void *map, uint64_t key, const void *value, size_t bytes);
};

extern const struct subject subject_queue, subject_queue_batch, subject_queue_loan;
extern const struct subject subject_shoal_pipe, subject_shoal_pipe_batch, subject_shoal_pipe_loan;
extern const struct subject subject_shoal_pipe_default, subject_queue_spinning;
extern const struct subject subject_pipe, subject_pipe_large, subject_pipe_batch;
extern const struct subject subject_vmsplice, subject_vmsplice_loan;
extern const struct subject subject_stream, subject_seqpacket, subject_mq, subject_eventfd;
extern const struct subject subject_zeromq, subject_nng, subject_queue_boost, subject_queue_tbb;
extern const struct subject subject_ck_spsc, subject_ck_mpmc;
extern const struct subject subject_rte_ring_spsc, subject_rte_ring_spsc_batch;
extern const struct subject subject_rte_ring, subject_rte_ring_batch;
extern const struct subject subject_rte_ring_rts, subject_rte_ring_hts;
extern const struct subject subject_python_queue, subject_python_simple, subject_python_pipe;
extern const struct subject subject_mutex, subject_vyukov;
extern const struct subject subject_alloc, subject_malloc;
extern const struct subject subject_lock, subject_lock_normal, subject_lock_robust, subject_lock_pi;
extern const struct subject subject_lock_sem, subject_lock_ck, subject_lock_boost;

extern const struct subject subject_bare_fork, subject_start_fork, subject_start_server;
extern const struct subject subject_start_spawn, subject_bare_spawn;
#define SUBJECT_NOTHING "--nothing" /* asks the program to end at once */

extern const struct subject subject_dict, subject_map_boost, subject_map_lmdb;
extern const struct subject subject_map_redis, subject_map_memcached, subject_map_python;
extern const struct subject subject_map_lfht, subject_map_private;

extern const struct subject *const subjects[];
extern const size_t subject_count;

/* By its name: what is measured for its own sake, and not as a peer. */
bool subject_is_ours(const struct subject *);

/* How many invariants of the arena are violated after the run, each a line on stderr. */
int close_arena(struct opening *);

/* Each of the ways becomes a lock of that size, on cache lines of its own. */
int open_locks(struct opening *, size_t bytes, int (*init)(void *lock));

/* shared_memory is populated at once, zeroed, and gone with its last process; NULL on failure. */
void *shared_memory(size_t bytes);

#endif
