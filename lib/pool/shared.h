/*
 * What a pool and its workers share: read this first.
 *
 * It lies in an arena of the pool's own, which ends with the last of its processes. The pool's
 * process (the host) makes tasks and takes results; workers do tasks. Every word that two of them
 * change is changed by compare-and-swap from the word seen, so each step has exactly one author.
 *
 * A SLOT is a task: one item of apply, or a batch of imap. Its state word:
 *	bits 63..24  generation: raised when the slot becomes FREE, so a word never comes again
 *	bits 23..8   the worker's seat (RUNNING), else 0
 *	bits  7..0   enum slot_state
 * FREE -> FILLING (host, under its lock) -> QUEUED (host) -> RUNNING(w) (w) -> DONE (w) ->
 * TAKEN (host) -> FREE (host); RUNNING(w) -> QUEUED or DONE by the supervisor when w is dead;
 * QUEUED -> TAKEN by the host that cancels. A slot's id is generation << 20 | index: it is what the
 * work queue carries, so one that comes late or twice finds another word, and is passed by.
 *
 * Crash points of a worker in a slot: after it took the message and before RUNNING the task is
 * QUEUED with no message: the supervisor puts all QUEUED slots again after a death. RUNNING(dead):
 * seat->at tells the item; the supervisor settles it by the pool's policy. Between DONE and its bit
 * in `done`, or before the wakes that follow: the supervisor sets the bits of all DONE slots and
 * wakes.
 *
 * A JOB is a map. Its chunks are words:
 *	bit  63      some item of it failed: its part of the codes is valid, else all are 0
 *	bits 62..24  the first item of the chunk that is not settled yet, counted from the chunk's own
 *	bits 23..16  how often that item was tried
 *	bits 15..2   the worker's seat (CLAIMED, DONE), 0 where the host gave it up (DONE)
 *	bits  1..0   FREE, CLAIMED, DONE
 * FREE -> CLAIMED(w) -> DONE(w) by w; CLAIMED(dead) -> FREE (the rest of it) or DONE(dead) by the
 * supervisor; FREE -> DONE(0) by the host that gives the map up, with nothing else in the word
 * changed: its items from the first on were not begun, and none of them has a code. Seats begin at
 * 1, so that neither a worker nor the supervisor takes it for its own. `next` is a hint: whoever
 * finds it past the end looks through all chunks once more, so an add that a dead one made is no
 * loss. Rows count DONE chunks, one row a seat, row 0 those of the host, whose threads add to it in
 * turn; a dead one's row is counted anew from the words. Who sees that all rows together are all
 * chunks says so in `complete`; after each death the supervisor looks too.
 *
 * A worker names the job in its seat, reads where it lies, and looks whether that is still the one
 * (the first and the last sequentially consistent). The host, when the job is over, takes the id
 * away before it looks at the seats: so the memory of a job is given back when no seat names it,
 * and never waited for.
 *
 * A SEAT is what one worker at a time says of itself. `at` is 1 + the item that it is running, 0
 * between items. `deadline` is when that item is to be over, 0: never; the supervisor makes it
 * SEAT_OVERDUE by compare-and-swap before it kills, and a worker that finds it so stays where it
 * is: so the item that was too slow is the one that fails, and no later one.
 */
#ifndef POOL_SHARED_H
#define POOL_SHARED_H

#include "base/atomic.h"
#include "process/code.h"
#include <shoal/pool.h>
#include <shoal/queue.h>
#include <errno.h>

#define POOL_WORKERS_MAX 1000u
/*
 * Records in the pool's arena: one for each thread of the host that has called and has not ended,
 * up to this number; one for each of the pool's own threads (member_begin_beyond), and for each
 * worker. The arena keeps callers off the others' (threads_max), so a worker that comes for a dead
 * one finds a record.
 */
#define POOL_CALLERS_MAX 1000u
#define POOL_HELPERS 3u
#define POOL_DEPTH_MAX (1u << 20)
#define POOL_JOBS 64u
#define POOL_FUNCTIONS 256u /* a power of two */
#define TEXT_BYTES SHOAL_TASK_ERROR_BYTES
#define INLINE_BYTES 64u

/* ---- slots ---- */

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_QUEUED, SLOT_RUNNING, SLOT_DONE, SLOT_TAKEN };

static inline uint64_t
slot_word(uint64_t generation, uint32_t seat, enum slot_state state)
{
	return generation << 24 | (uint64_t)seat << 8 | (uint64_t)state;
}

static inline enum slot_state
slot_state(uint64_t word)
{
	return (enum slot_state)(word & 0xff);
}

static inline uint32_t
slot_seat(uint64_t word)
{
	return (uint32_t)(word >> 8) & 0xffff;
}

static inline uint64_t
slot_generation(uint64_t word)
{
	return word >> 24;
}

#define ID_INDEX_BITS 20
#define ID_JOB (UINT64_C(1) << 63)

static inline uint64_t
id_make(uint64_t generation, uint32_t index)
{
	return generation << ID_INDEX_BITS | index;
}

static inline uint32_t
id_index(uint64_t id)
{
	return (uint32_t)id & ((1u << ID_INDEX_BITS) - 1);
}

static inline uint64_t
id_generation(uint64_t id)
{
	return (id & ~ID_JOB) >> ID_INDEX_BITS;
}

/* What one who sleeps for this id writes into `wait`: never 0, and hardly ever another one's. */
static inline uint32_t
id_tag(uint64_t id)
{
	return (uint32_t)(id_generation(id) << 1) | 1;
}

enum slot_flags {
	SLOT_TELL = 1,  /* its end is to be told to the collector */
	SLOT_OUT = 2,   /* it has an area for the results of its items */
	SLOT_ANY = 4,   /* its answer has any length, and a place of its own */
	SLOT_STOP = 8,  /* nothing more of it is to be begun */
};

/* How an item ended: the length of its result, or its negative code. */
struct answer {
	int64_t value;
};

/*
 * What stands there for an item that was stopped before it began, and among a job's codes: no task
 * can say it, as it can -ECANCELED. The lower half of an answer is -ECANCELED all the same.
 */
#define ANSWER_UNBEGUN (INT64_MIN | (int64_t)(uint32_t)-ECANCELED)
#define CODE_UNBEGUN 1

struct slot {
	/* line 1: what changes */
	word64 state;
	word32 wait;  /* the tag of those who sleep until it is DONE; 0: nobody */
	word32 flags; /* enum slot_flags */
	word64 reply; /* the crate of shoal_task_reply, 0: none */
	uint64_t reply_bytes;
	struct answer answer; /* of a single item */
	uint32_t text_of;     /* 1 + the item whose text is in the slot's line of texts; 0: none */
	uint32_t tries;       /* of the item that is first now; the supervisor's */
	word64 first;         /* the first item to be run; the supervisor's */
	uint32_t function;
	uint32_t unused;
	/* line 2: what does not, while the slot is in use */
	uint64_t in;          /* offset of the inputs: `inline_in`, or a crate */
	uint64_t in_bytes;    /* of one item */
	uint64_t out;         /* offset of the results' area: `inline_out`, or a crate */
	uint64_t out_bytes;   /* of one item */
	uint64_t items;
	uint64_t index;       /* of the first item, as the task is told it */
	int64_t timeout;      /* of one item, 0: none */
	uint64_t crate;      /* offset of what inputs, results and answers lie in; 0: none */
	/* lines 3 and 4: small ones */
	char inline_in[INLINE_BYTES];
	char inline_out[INLINE_BYTES];
};
_Static_assert(sizeof(struct slot) == 256, "two pairs of lines");

/* ---- jobs ---- */

enum chunk_state { CHUNK_FREE, CHUNK_CLAIMED, CHUNK_DONE };
#define CHUNK_CODES (UINT64_C(1) << 63)

static inline uint64_t
chunk_word(uint64_t first, uint32_t tries, uint32_t seat, enum chunk_state state)
{
	return first << 24 | (uint64_t)(tries & 0xff) << 16 | (uint64_t)seat << 2 | (uint64_t)state;
}

static inline enum chunk_state
chunk_state(uint64_t word)
{
	return (enum chunk_state)(word & 3);
}

static inline uint32_t
chunk_seat(uint64_t word)
{
	return (uint32_t)(word >> 2) & 0x3fff;
}

static inline uint32_t
chunk_tries(uint64_t word)
{
	return (uint32_t)(word >> 16) & 0xff;
}

static inline uint64_t
chunk_first(uint64_t word)
{
	return (word & ~CHUNK_CODES) >> 24;
}

/* What one worker tells of its part in a job; row 0 is the host's. */
struct row {
	_Alignas(SPACING) word64 chunks; /* DONE ones */
	word32 failed;     /* 1: some item of it did */
	uint32_t unused;
	word64 text_of;    /* 1 + the item whose text this is; 0: none */
	char text[TEXT_BYTES];
};

struct job {
	/* never changes */
	uint64_t id;
	uint64_t count, chunk, chunks;
	uint64_t in, in_bytes;    /* offsets in the pool's arena, or in the options' one */
	uint64_t out, out_bytes;
	uint64_t rows, words, codes; /* offsets in the pool's arena */
	int64_t timeout;
	uint32_t function;
	uint8_t in_theirs, out_theirs; /* the options' arena */
	/* the hint, which all workers write */
	_Alignas(SPACING) word64 next; /* in lines of chunk words */
	/* what is waited for */
	_Alignas(SPACING) word32 complete;
	word32 stop; /* 1: nothing more of it is to be begun */
	word32 tell; /* 1: its end is to be told to the collector */
};

/* ---- seats ---- */

enum seat_phase {
	SEAT_EMPTY,
	SEAT_STARTING,     /* its process runs, or is about to */
	SEAT_INITIALIZING, /* in the initializer */
	SEAT_WORKING,
	SEAT_REFUSED,      /* the initializer failed, with `code` */
	SEAT_LEAVING,      /* ends by itself: enough tasks, or the pool is closed */
};

#define SEAT_OVERDUE UINT64_MAX

struct seat {
	_Alignas(SPACING) word32 phase;
	word32 code;
	word64 job;      /* the id of the job that it takes part in */
	word64 at;       /* 1 + the item that it is running */
	word64 deadline;
	word32 pid;      /* for those who look */
	word64 making;   /* the crate of a reply before its slot names it, and */
	word64 giving;   /* that of an earlier one while it goes back; 0: none */
};

/* ---- the whole ---- */

struct function {
	word64 pointer;       /* in the host, and in what was forked from it; 0: no function yet */
	uint64_t referred;    /* 1: `ref` finds it; 0: in forked workers only, where the pointer does */
	struct code_ref ref;
};

struct pool_head {
	/* never changes */
	uint32_t workers, depth;
	uint64_t seats, slots, texts, done; /* offsets */
	uint64_t context, initializer_arg;  /* the host's pointers, or an offset (bytes given) */
	uint64_t initializer_bytes;
	uint32_t initializer; /* function; ~0: none */
	uint32_t tasks_per_worker;
	uint32_t method; /* shoal_start_method */
	shoal_ref queue;
	uint8_t mask[128];    /* the signal mask of the thread that made the pool */
	/* `bell` is 1 while somebody in the host wants to hear of an end that is to be told */
	_Alignas(SPACING) word32 bell;
	word32 wanted; /* every end is to be told: somebody waits for a slot */
	/* the slots ever used are those below; the host's */
	word32 high;
	/* jobs[i] is the id of the one whose descriptor is at job_at[i]; 0: none */
	_Alignas(SPACING) word64 jobs[POOL_JOBS];
	word64 job_at[POOL_JOBS];
	/* functions of tasks, by number: functions.h */
	_Alignas(SPACING) struct function functions[POOL_FUNCTIONS];
};

#endif
