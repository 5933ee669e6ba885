/*
 * The slot word: the owner is in it. No shared counter decides anything: a place is claimed,
 * published, taken and given back by its own word, which names the member that has it.
 *
 *	bits 63..40  owner: the tag of the member that writes or reads the place, 0 in the other states
 *	bits 39..8   lap: how often the ring has gone round; place p = lap * capacity + index
 *	bits  7..3   tries: deliveries so far (READING, BACK); 31 marks a hole; GROUP: its phase
 *	bits  2..0   state
 *
 * The low half holds the state and the low 24 bits of the lap, so it changes at every step:
 * sleepers watch it with a futex. (With the lap in the high half EMPTY(l) and EMPTY(l+1) would look
 * alike there: a lost wake-up.)
 *
 *	EMPTY(l)        -> WRITING(l,me)      CAS of the putter
 *	                -> CLOSED(l)          CAS of a closer or getter; never leaves
 *	WRITING(l,m)    -> FULL(l)            m's release store
 *	                -> HOLE(l)            m dead: anybody's CAS. A hole is FULL with tries 31
 *	FULL(l), HOLE(l)-> READING(l,me,t)    CAS of the getter; what was a hole stays one if its taker
 *	                                      dies
 *	READING(l,m,t)  -> EMPTY(l+1)         m's release store; m dead: see queue_recover.c
 *	                -> BACK(l,t)          m dead, REDELIVER
 *	                -> BACK(l,t-1)        m itself (shoal_loan_return), which counts in flags; t = 0
 *	                                      stays 0
 *	BACK(l,t)       -> READING(l,me,t+1)  CAS of a getter
 *
 * Every exit from WRITING and READING is its owner's store, or one CAS from exactly the word seen
 * once the owner is dead. A dead owner cannot write, so a stuck place needs no lock and no scan of
 * the living; a stale recoverer's CAS fails. A live owner, stopped or not, is waited for. Checked
 * exhaustively by tests/model/. What several places do together is in group.h.
 */
#ifndef RING_SLOT_H
#define RING_SLOT_H

#include "base/atomic.h"

/* GROUP: one of several places together, see group.h */
enum slot_state { EMPTY, WRITING, FULL, READING, BACK, CLOSED, GROUP };

#define TRIES_HOLE 31u
#define TRIES_MAX 30u

/*
 * Of flags: bit 0 SLOT_BLOCK; bits 26..1 the message's mark (mark.h); bits 31..27 how often living
 * takers have returned it, 31 at most, beside the deliveries that the word counts.
 */
enum { SLOT_INLINE, SLOT_BLOCK };
#define SLOT_MARK_SHIFT 1
#define SLOT_RETURNS_SHIFT 27
#define SLOT_RETURNS_MAX 31u

struct slot {
	word64 turn;
	union {
		struct {
			word32 bytes; /* of the message; valid from FULL to the taker's release */
			word32 flags; /* SLOT_BLOCK: the payload is the offset of its block */
		};
		word64 plain; /* both: of a message inside, without a mark, its length */
	};
	char payload[];
};
#define SLOT_HEADER 16u
_Static_assert(offsetof(struct slot, payload) == SLOT_HEADER, "nothing lies between");
_Static_assert(SLOT_INLINE == 0 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "a plain message's length is all of the word");
/* Slots are a line long, or a longer multiple of this, so that payloads are aligned to it. */
#define SLOT_ALIGN 16u

static inline uint64_t
slot_word(enum slot_state state, uint32_t lap, uint32_t owner, uint32_t tries)
{
	return (uint64_t)owner << 40 | (uint64_t)lap << 8 | tries << 3 | state;
}

static inline enum slot_state
slot_state(uint64_t word)
{
	return (enum slot_state)(word & 7);
}

static inline uint32_t
slot_tries(uint64_t word)
{
	return (uint32_t)word >> 3 & 31;
}

static inline uint32_t
slot_lap(uint64_t word)
{
	return (uint32_t)(word >> 8);
}

static inline uint32_t
slot_owner(uint64_t word)
{
	return (uint32_t)(word >> 40);
}

static inline bool
slot_is_hole(uint64_t word)
{
	return slot_tries(word) == TRIES_HOLE;
}

static inline bool
slot_has_block(const struct slot *s)
{
	return load_relaxed(&s->flags) & SLOT_BLOCK;
}

static inline uint32_t
slot_mark(uint32_t flags)
{
	return (flags & ((UINT32_C(1) << SLOT_RETURNS_SHIFT) - 1)) >> SLOT_MARK_SHIFT;
}

static inline uint32_t
slot_returns(uint32_t flags)
{
	return flags >> SLOT_RETURNS_SHIFT;
}

/* What a futex can watch of it. */
static inline word32 *
slot_low(struct slot *s)
{
	return (word32 *)(void *)&s->turn;
}

#endif
