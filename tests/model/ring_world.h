/*
 * The ring's protocol as a finite world, one step at a time.
 *
 * A world is all that matters of two places, a few blocks and up to seven members. A step is one
 * access to shared memory by one member; before any step its member may be killed or stopped.
 * The explorer (ring_explore.c) takes every step from every world that can be reached and asks
 * ring_check.c about each world in which nobody can go on. What is under test is the protocol
 * under sequential consistency; memory orders are not.
 *
 * What a member does is in ring_putter.c, ring_getter.c, ring_recoverer.c and ring_observer.c.
 */
#ifndef MODEL_RING_WORLD_H
#define MODEL_RING_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PLACES = 2,
	PUTTERS = 2,
	GETTERS = 2,
	MEMBERS = 7, /* putters 0, 1; getters 2, 3; recoverers 4, 5; observer 6 */
	MESSAGES = 7, /* 3 a putter, from 1 */
	BLOCKS = 9, /* from 1 */
	LOANS = 2,
	HOLE = 15, /* as tries: this place never held a message, or will never again */
	NONE = 255, /* as a position, a base */
};
enum {
	FIRST_GETTER = PUTTERS,
	FIRST_RECOVERER = PUTTERS + GETTERS,
	IMMORTAL = 5,
	OBSERVER = 6
};

/* A slot's word. */
enum place_state {
	EMPTY,
	WRITING,
	FULL,
	READING,
	BACK,
	CLOSED
};
struct word {
	uint8_t lap, state, owner, tries;
};

/* A block's word: low is the member's tag, or the place's position. */
enum block_state {
	FREE,
	MAGAZINE,
	HELD,
	PLACE
};
struct block_word {
	uint8_t state, low;
};

enum hand_kind {
	HAND_NONE,
	HAND_PUT,
	HAND_GET,
	HAND_RECOVER
};
struct hand {
	uint8_t block, kind, pos;
};
struct loan {
	uint8_t pos, block, base;
};

/* What others see of a member, and what outlives it. */
enum life {
	LIVING,
	DEAD,
	STOPPED,
	LEFT
};
struct record {
	uint8_t life; /* STOPPED is the explorer's knowledge: to all others it is alive */
	uint8_t generation;
	uint8_t recovering; /* tag of the one that recovers it */
	uint8_t pos, base; /* the call in progress */
	struct hand hand;
	struct loan loan[LOANS];
	uint8_t returns; /* it is giving a loan back to be delivered again */
	uint8_t magazine; /* one slot, written before the block's word becomes MAGAZINE(it) */
	uint8_t got, done; /* the JOINABLE row */
};

/* What dies with a member. All zero for one that just joined. */
struct mind {
	uint8_t pc;
	uint8_t cursor;
	uint8_t p, v, i, sum;
	uint8_t victim;
	uint8_t drops; /* it takes this message to throw it away */
	uint8_t backs_seen;
	uint8_t tasks; /* JOINABLE: what it has and will report */
	uint8_t again; /* a scan met a place that one who returns had: there is to be another one */
	uint8_t borrowed[LOANS];
	struct word seen;
	struct block_word saw;
};

struct world {
	/* Hashed in words of 8 bytes; what pads its end stays 0. */
	_Alignas(8) struct word turn[PLACES];
	uint8_t payload[PLACES][2]; /* the two halves of a message; of a long one, the block's number */
	uint8_t closing, backs;
	struct block_word block[BLOCKS];
	uint8_t content[BLOCKS];
	struct record record[MEMBERS];
	struct mind mind[MEMBERS];

	/* What no member can see: the bookkeeping of the checks. */
	uint8_t kills, stops, births, returned;
	uint8_t sent[PUTTERS];
	uint8_t dropped;
	uint8_t published[MESSAGES], delivered[MESSAGES];
	uint8_t last[GETTERS][PUTTERS];
};

/* Protocols that are wrong, each in one rule: the explorer must find that out. */
enum broken {
	SOUND,
	WRITER_TO_EMPTY, /* a dead writer's place becomes EMPTY again, not a hole */
	SLOW_IS_DEAD, /* a slow owner is taken for a dead one */
	MEND_BY_STORE, /* a place is mended by a store, not by a CAS from the word seen */
	LATE_COUNT, /* JOINABLE: the count follows the release */
	EARLY_HAND, /* the putter's hand is cleared before FULL */
	UNMENDED, /* nobody mends a dead writer's place */
	PASS_WRITING, /* a getter passes a place that is being written */
	KEEP_WORD, /* a reader leaves the block's word alone and releases the place */
	HAND_BY_PLACE, /* a dead putter's hand is judged by its place alone */
	WRITER_IS_NOTHING, /* ... and a place that another one is writing counts as lost */
	HAND_WITHOUT_PLACE, /* ... whatever place the block's word names */
	EARLY_END, /* REDELIVER: the end is given while another one still reads */
	TRIES_MAKE_HOLE, /* one try too many makes READING(hole) */
	BACKS_IS_FLAG, /* backs is a flag that who scans clears, set after BACK alone */
	BACKS_CLEARED_LAST, /* so is it, and who scans clears it after the second scan too */
	BASE_AT_CLAIM, /* a loan's base is taken at its claim, not at its release */
	CALL_STAYS, /* the call's record still names the place that a loan names */
	TABLE_ORDER, /* loans are recovered in table order, not the half-counted one first */
	HOLE_SETS_DONE, /* a hole sets done = base + 1 */
	EARLY_DONE, /* what is dropped or a hole is done before its release */
	REUSED_EARLY, /* the record is used again before its hand is resolved */
	NO_LOCK, /* two may recover the same member at once */
	SIZE_ONE_LOOK, /* size does not look at the tail's place again */
	RETURN_UNMARKED, /* who returns a loan does not say so meanwhile */
	RETURN_TOLD_ONCE, /* ... and counts backs before the place is BACK, but not after it */
	RETURN_BLOCK_LAST, /* ... and gives the place back before its block */
	BROKEN_KINDS
};
extern const char *const broken_name[BROKEN_KINDS];

struct options {
	int putters, getters, puts[PUTTERS];
	int kills, stops, births;
	int loans, tries; /* tries: a message that came back so often is taken to be dropped */
	int returns; /* of loans, by living getters, in all */
	bool redeliver, joinable, blocks, closes, aborts, backs, size, join;
	bool straight; /* recovery frees a block by one CAS of its word, without a hand of its own */
	enum broken broken;
};
extern struct options opt;

/* The first promise that a step breaks. */
extern const char *violation;

/* backs is a number that only grows, but in two of the wrong protocols. */
static inline bool
backs_is_flag(void)
{
	return opt.broken == BACKS_IS_FLAG || opt.broken == BACKS_CLEARED_LAST;
}

/* Who makes a place BACK counts it before; the flag is set after. */
static inline bool
told_before(struct word mended)
{
	return opt.backs && mended.state == BACK && !backs_is_flag();
}

static inline bool
told_after(struct word mended)
{
	return opt.backs && mended.state == BACK && backs_is_flag();
}

/* ---- words: ring_words.c ---- */

uint8_t tag_of(const struct world *w, int who);
int tag_member(uint8_t tag);
bool tag_dead(const struct world *w, uint8_t tag);

static inline struct word
word(int lap, int state, int owner, int tries)
{
	return (struct word){ (uint8_t)lap, (uint8_t)state, (uint8_t)owner, (uint8_t)tries };
}

static inline bool
word_same(struct word a, struct word b)
{
	return a.lap == b.lap && a.state == b.state && a.owner == b.owner && a.tries == b.tries;
}

static inline int
lap_of(int p)
{
	return p / PLACES;
}

static inline struct word *
turn_of(struct world *w, int p)
{
	return &w->turn[p % PLACES];
}

static inline bool
word_hole(struct word t)
{
	return t.tries == HOLE;
}

bool word_holds_message(struct word t, int p);
/* ... or will, if its writer goes on. */
bool word_may_hold_message(struct word t, int p);

/* Laps that the word is ahead of position p; negative: behind. */
static inline int
ahead(const struct world *w, int p)
{
	return (int)w->turn[p % PLACES].lap - lap_of(p);
}

/* What anybody may make of a dead owner's word by one CAS. False: its recovery alone may. */
bool word_mended(struct word seen, struct word *mended);
/* The CAS of whoever mends; also counts what is dropped by it. */
void word_mend(struct world *w, int index, struct word seen, struct word mended);

int true_tail(const struct world *w);
int true_head(const struct world *w);

struct block_word block_is(int state, int low);
bool block_swap(struct world *w, int b, struct block_word from, struct block_word to);
/* who holds b and gives it back, to its magazine if that has room. */
void block_give_back(struct world *w, int who, int b);

/* A getter has message v in sight: each producer's in order, unless they may come back. */
void receive(struct world *w, int who, int v);
/* Message v is its taker's for good. */
void deliver(struct world *w, int v);

/* ---- members ---- */

/*
 * Takes who's next step in w: its name, or NULL when who has to wait. Where a member may do one
 * of several things, choice says which; NULL then only means that this one is not possible.
 */
typedef const char *step_fn(struct world *w, int who, int choice);
step_fn putter_step, getter_step, recoverer_step, observer_step;
int getter_choices(const struct world *w, int who);

enum {
	IDLE = 0,
	FINISHED = 99
};

/* ---- ring_check.c ---- */

/* What is wrong with a world in which nobody can go on, or NULL. */
const char *world_check(const struct world *w);
void world_print(const struct world *w);

#endif
