/*
 * Loans: memory of a ring in a thread's hands. The thread's record has an entry for each, so that a
 * death ends them.
 *
 * What a queue's loan may be, by its entry's state (the pipe has states of its own, from
 * LOAN_STATES_OF_PIPE up):
 *	RESERVED   block HELD(me), to be sent
 *	PLACE      place READING(me); block HELD(me) if there is one
 *	KEPT       as PLACE, by a get on a JOINABLE | REDELIVER queue; task_done ends the oldest, and
 *	           with the queue it ends once the entry is needed
 *	RELEASING  as PLACE, being given back: `base` says what had been counted before
 *	BLOCK      block HELD(me); its place went on when it was taken
 */
#ifndef RING_LOAN_H
#define RING_LOAN_H

#include "ring/queue.h"

enum loan_state {
	LOAN_NONE,
	LOAN_RESERVED,
	LOAN_PLACE,
	LOAN_KEPT,
	LOAN_RELEASING,
	LOAN_BLOCK,
	LOAN_STATES_OF_PIPE = 16
};

/* shoal_loan.kind: what it is of, and which way. 0: ended. */
enum {
	LOAN_OF_QUEUE = 1,
	LOAN_OF_PIPE = 2,
	LOAN_OF = 0xff,
	LOAN_TO_SEND = 0x100,
	LOAN_RECEIVED = 0x200
};

/*
 * shoal_loan.internal_; ENTRY: its index, from LOAN_RESERVED_SHIFT on the bytes reserved, and from
 * LOAN_OBJECT_SHIFT on the object's index; POS: its place in the ring, or, of what is to be sent
 * and has none, which one of its thread's loans it is; TAG: whose it is, and the object's
 * generation above.
 */
enum { LOAN_RING, LOAN_ENTRY, LOAN_POS, LOAN_TAG, LOAN_BLOCK_OFFSET };
#define LOAN_RESERVED_SHIFT 8
#define LOAN_OBJECT_SHIFT 44
#define LOAN_RESERVED_MAX ((UINT64_C(1) << (LOAN_OBJECT_SHIFT - LOAN_RESERVED_SHIFT)) - 1)

_Static_assert((1 << LOAN_RESERVED_SHIFT) % LOANS_MAX == 0 && MESSAGE_MAX <= LOAN_RESERVED_MAX &&
               OBJECTS_MAX <= UINT32_C(1) << (64 - LOAN_OBJECT_SHIFT), "ENTRY holds all three");

static inline void
loan_name_entry(shoal_loan *loan, size_t reserved, const struct loan_entry *l, struct member *of)
{
	loan->internal_[LOAN_ENTRY] = (uint64_t)load_relaxed(&l->object) << LOAN_OBJECT_SHIFT |
	                              (uint64_t)reserved << LOAN_RESERVED_SHIFT |
	                              (uint64_t)(l - of->loans);
}

static inline uint64_t
loan_which(const shoal_loan *loan, const struct loan_entry *l)
{
	return load_relaxed(loan->kind & LOAN_TO_SEND ? &l->order : &l->pos);
}

static inline void
loan_name_which(shoal_loan *loan, const struct loan_entry *l)
{
	loan->internal_[LOAN_POS] = loan_which(loan, l);
}

/* 0: of what is to be sent. */
static inline uint64_t
loan_pos(const shoal_loan *loan)
{
	return loan->kind & LOAN_TO_SEND ? 0 : loan->internal_[LOAN_POS];
}

static inline void
loan_name_owner(shoal_loan *loan, const struct loan_entry *l, uint32_t tag)
{
	loan->internal_[LOAN_TAG] = (uint64_t)load_relaxed(&l->generation) << 32 | tag;
}

static inline struct loan_entry *
loan_entry(const shoal_loan *loan, struct member *of)
{
	return &of->loans[loan->internal_[LOAN_ENTRY] % LOANS_MAX];
}

static inline size_t
loan_reserved(const shoal_loan *loan)
{
	return (size_t)(loan->internal_[LOAN_ENTRY] >> LOAN_RESERVED_SHIFT & LOAN_RESERVED_MAX);
}

static inline uint32_t
loan_tag(const shoal_loan *loan)
{
	return (uint32_t)loan->internal_[LOAN_TAG];
}

static inline uint32_t
loan_object(const shoal_loan *loan)
{
	return (uint32_t)(loan->internal_[LOAN_ENTRY] >> LOAN_OBJECT_SHIFT);
}

static inline uint32_t
loan_generation(const shoal_loan *loan)
{
	return (uint32_t)(loan->internal_[LOAN_TAG] >> 32);
}

/* The entry is of this very object, and of none that had its index before. */
static inline bool
loan_is_of(const struct loan_entry *l, uint32_t object, uint64_t generation)
{
	return load_relaxed(&l->object) == object && load_relaxed(&l->generation) == generation;
}

/*
 * An unused entry of this member, or NULL: all LOANS_MAX are out. Where there is none, what was
 * kept of queues that were destroyed is given up.
 */
struct loan_entry *loan_free_entry(struct member *me);

void loan_fill(struct loan_entry *l, uint32_t object, uint32_t generation, uint64_t pos,
               uint64_t block, uint32_t state);
void loan_clear(struct loan_entry *l);
/*
 * Another thread's, for one who adopts its loan: `use` is what loan_use gave before the entry was
 * found to be the loan's, and its member, after that, to be alive. It is left alone where it has
 * been cleared since, or filled again: by that thread, or by the next one whose record it is.
 */
static inline uint64_t
loan_use(const struct loan_entry *l)
{
	return load_acquire(&l->use);
}

static inline enum loan_state
loan_use_state(uint64_t use)
{
	return (enum loan_state)(uint32_t)use;
}

void loan_clear_of(struct loan_entry *l, uint64_t use);
/* -EMSGSIZE, -EINVAL. */
int loan_too_long(const shoal_loan *loan);
int loan_ended(void);
/* The entry names what the loan names: neither is another one's by now, or overwritten. */
bool loan_is_entry(const shoal_loan *loan, const struct loan_entry *l);

/* ---- a queue's ---- */

/* What this thread took is in the entry from now on, not in the call and the hand. */
void loan_record(struct cursor *c, struct loan_entry *l, const struct taken *m);
/* Counted and given back. */
void loan_end(struct cursor *c, struct loan_entry *l, const struct taken *m);
/* Copied out, and kept until task_done. 0 or -EPROTO. */
int loan_keep(struct cursor *c, struct loan_entry *l, struct taken *m, void *to);
/* The oldest that a get kept on this queue: ended. False where there is none. */
bool loan_end_oldest(struct cursor *c);
/* How many messages of this queue the thread has borrowed. */
uint32_t loan_count(const struct cursor *c);

int queue_loan_commit(shoal_loan *, shoal_time timeout);
void queue_loan_release(shoal_loan *);
int queue_loan_finish(shoal_loan *);
int queue_loan_return(shoal_loan *);
int queue_loan_adopt(shoal_loan *);

#endif
