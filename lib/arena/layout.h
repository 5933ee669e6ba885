/*
 * Everything that lies in an arena and is not a user's or a container's: read this first.
 *
 * One mapping, offsets from its start:
 *
 *	header | process records | member records | object table | name hashes | page table | pins |
 *	pages of 64 KiB …
 *
 * The file has its full length (limit_bytes) from the start and is sparse; memory is put behind a
 * part with fallocate before anybody touches it (records up to members_high, objects up to
 * objects_high, and so their hashes, each record's pins up to its own count, pages up to
 * pages_high), so a full tmpfs is an error of the call that grows, never a SIGBUS.
 *
 * Owners. A member is a thread that uses the arena. Its tag, 24 bits, is never 0:
 *	bits 11..0   index of its record, from 1
 *	bits 23..12  generation of the record modulo 4095, plus 1
 * A record is used again only after everything that bore its tag was resolved, so a tag that is
 * found is never ambiguous. Whoever finds the tag of a dead member may resolve what bears it by one
 * CAS from the word seen.
 *
 * Block words. Each block has one 64-bit word that says who holds it, and is the only truth about
 * it: there are no linked free lists that a death could cut. For small blocks the words stand at
 * the start of their page (slab.c), for runs of whole pages in the page table.
 *	bits 63..60  state: enum block_state
 *	bits 59..40  the object's index (BLOCK_PLACE, BLOCK_OBJECT, BLOCK_PART), else 0
 *	bits 39..0   the member's tag (BLOCK_MAGAZINE, BLOCK_HELD), the low bits of the place in the
 *	             object (BLOCK_PLACE), or the next block of a chain (BLOCK_PART)
 * State changes: FREE -> MAGAZINE(m) by CAS of the refiller; MAGAZINE(m) -> HELD(m) | USER | FREE
 * and back by stores of m (m dead: by the CAS of whoever recovers it); of a run, MAGAZINE(m) ->
 * HELD(m) by m's CAS, and -> FREE by that of anybody who needs pages; HELD(m) -> PLACE | OBJECT |
 * PART | USER by m's store; PLACE -> HELD(m) by the taker's CAS; PART -> HELD(m) by the store of
 * one who has the object's lock.
 *
 * Hands. Before a block's word becomes HELD(m), or leaves it, m's record names the block in a hand,
 * so that recovery finds it.
 */
#ifndef ARENA_LAYOUT_H
#define ARENA_LAYOUT_H

#include "base/atomic.h"
#include "sync/robust.h"

/* "\x89\nSHOAL1", little-endian; zero is not valid. */
#define ARENA_MAGIC UINT64_C(0x314c414f48530a89)
#define ARENA_VERSION 4u

#define PAGE_BITS 16
#define PAGE_BYTES (UINT64_C(1) << PAGE_BITS)
#define LIMIT_DEFAULT (UINT64_C(64) << 30)
#define LIMIT_MAX (UINT64_C(1) << 40)
#define MEMBERS_DEFAULT 256u
#define MEMBERS_MAX 4000u
#define OBJECTS_MAX (1u << 20) /* as block words have bits for */
#define NAME_BYTES 64

/* ---- tags and block words ---- */

#define TAG_INDEX_BITS 12
#define TAG_NONE 0u

static inline uint32_t
tag_make(uint32_t index, uint64_t generation)
{
	return index | ((uint32_t)(generation % 4095) + 1) << TAG_INDEX_BITS;
}

static inline uint32_t
tag_index(uint32_t tag)
{
	return tag & ((1u << TAG_INDEX_BITS) - 1);
}

enum block_state {
	BLOCK_FREE,      /* anybody's to take; 0, so fresh memory is free */
	BLOCK_MAGAZINE,  /* in a member's magazine */
	BLOCK_HELD,      /* in a member's hand or loan */
	BLOCK_USER,      /* given out by shoal_alloc */
	BLOCK_PLACE,     /* the message at a place of a queue or pipe */
	BLOCK_OBJECT,    /* the body of an object */
	/*
	 * page table only: a page of small blocks; bits 7..0 the class, 59..40 the record of its
	 * maker; never leaves
	 */
	BLOCK_SLAB,
	/*
	 * one of the blocks that an object has beside its body; the low bits mean something only while
	 * it is on a chain of the object: the offset of the next one, 0 at the end
	 */
	BLOCK_PART,
};

static inline uint64_t
block_word(enum block_state state, uint32_t object, uint64_t low)
{
	return (uint64_t)state << 60 | (uint64_t)object << 40 | (low & ((UINT64_C(1) << 40) - 1));
}

static inline enum block_state
block_state(uint64_t word)
{
	return (enum block_state)(word >> 60);
}

static inline uint32_t
block_object(uint64_t word)
{
	return (uint32_t)(word >> 40) & 0xfffff;
}

static inline uint64_t
block_low(uint64_t word)
{
	return word & ((UINT64_C(1) << 40) - 1);
}

/*
 * One page of 64 KiB, or the first of a run. Only entries that a walk from page 0 meets (each run's
 * first) are valid. Changed under the header's page lock, but for `word` of a run that its holder
 * gives back.
 */
struct page {
	word64 word;
	word32 pages; /* length of the run */
	word32 next;  /* BLOCK_SLAB: the next page of the class, 0 at the end */
};

/* ---- what a member holds ---- */

enum hand_kind {
	HAND_NONE,
	HAND_PUT,     /* a message on its way into place `pos` of `object` */
	HAND_GET,     /* a message taken from place `pos` of `object` */
	HAND_TAKE,    /* a block on its way to the user or into a new object, or back from there */
	HAND_PAGE,    /* a run on its way to become a slab page */
};

/*
 * block is written last when the hand fills (release) and cleared first when it empties: while it
 * is not 0, kind is valid, and of PUT and GET the rest, which is an older one's in TAKE and PAGE.
 * Offsets of blocks are never 0.
 */
struct hand {
	word64 block;
	word64 pos;
	word32 object;
	word32 kind;
};

/*
 * The call on a queue or pipe that the member is in: object is written last, and cleared when the
 * call ends.
 */
struct call {
	word64 pos;
	word32 object;
	word32 kind; /* of the ring floor */
};

enum { LOANS_MAX = 32, INSIDE_MAX = 4 };

/*
 * A block, or a place of a queue or pipe, lent to the user. state is written last when the entry
 * fills and cleared first when it empties; 0 is unused. Entries outlive what they are of: another
 * object may have its index, its memory and a place of the same position by then, so who matches an
 * entry with an object compares both its index and its generation.
 */
struct loan_entry {
	word64 pos;
	word64 block; /* offset, or 0: inside the ring */
	/*
	 * a queue that is JOINABLE: what had been taken and given back before, valid while it is given
	 * back; a pipe: where it notes what is lent out in place
	 */
	word64 base;
	word64 order; /* which came first */
	word32 object;
	word32 generation; /* of the object, as in its word */
	/* Both at once for one who clears it from another thread: loan_clear_of */
	union {
		struct {
			word32 state;  /* of the ring floor */
			word32 filled; /* how often; never falls, whose record it is by now */
		};
		word64 use;
	};
};

/* Small classes, then runs of 1, 2, 4, 8 and 16 pages. */
#define SMALL_CLASSES 30u
#define RUN_CLASSES 5u
#define CLASSES (SMALL_CLASSES + RUN_CLASSES)
#define MAGAZINE_SLOTS 31u

/*
 * Blocks ready for their member alone. A slot is written before its block's word becomes
 * MAGAZINE(m); count follows, so a dead member's blocks are those of all its slots, whatever count
 * says, whose word says MAGAZINE(it).
 */
struct magazine {
	word32 count;
	uint32_t unused;
	word64 slot[MAGAZINE_SLOTS];
};

/*
 * Counts that only the record's member writes (a recoverer writes in its own), never reset: the
 * arena's are their sums.
 */
struct counts {
	word64 deaths, recoveries, locks_autocleaned, dropped, redelivered;
};

struct member {
	/* lines 1, 2: life and death. Watched by those who wait for this member */
	_Alignas(SPACING) struct robust life;
	word64 generation;
	/* index of its process record, UINT32_MAX while it joins or leaves; that one's generation */
	word32 process;
	word32 process_generation;
	word32 tid;
	word32 borrowed; /* by a call of a thread that is no member: member_borrow */
	struct robust recovering; /* held by the one that recovers this member */
	char gap_[SPACING - 2 * sizeof(struct robust) - 24];
	/* lines 3, 4: what the member is doing, written at every call */
	struct call call;
	struct hand hand;      /* HAND_PUT, HAND_GET, HAND_TAKE */
	struct hand page_hand; /* HAND_PAGE, nested in the other */
	word32 making;         /* the object that it is creating or destroying, by index; 0 none */
	word32 tag;            /* its own, for itself; others reckon it from the generation */
	/* by index, locks and the like on which it is in a call, or what its recoverer is at; 0 none */
	word32 inside[INSIDE_MAX];
	/* arena/pin.h: entries with memory behind them (never falls), used ones, where to look */
	word32 pins, pins_high, pin_rover;
	/* data/envelope.h: of the message that it sends, by index; 0 none */
	word32 posting;
	/* the queue or pipe, and the place there, of a message that it has taken; 0 none */
	word32 opening;
	word64 opening_pos;
	/* lines 5 … */
	_Alignas(SPACING) struct counts counts;
	_Alignas(SPACING) struct loan_entry loans[LOANS_MAX];
	_Alignas(SPACING) struct magazine magazines[CLASSES];
};

_Static_assert(offsetof(struct member, call) == SPACING, "life has its own two lines");
_Static_assert(sizeof(struct member) <= 12 * 1024, "a member's record fits three small pages");
#define MEMBER_STRIDE UINT64_C(12288)

/*
 * A process that has the arena mapped. word = pid: claimed by CAS from 0, so that a claimer that
 * dies at once is named.
 */
struct process_record {
	word64 word;       /* generation << 32 | pid; pid 0: free */
	/* of the pid, in ticks after boot << 24 | low bits of the generation that it belongs to */
	word64 start_time;
	word32 died;       /* the generation of the process of which a member was found dead last */
	word32 ending;     /* the generation of the process that is at its normal end */
	uint32_t unused[10];
};
_Static_assert(sizeof(struct process_record) == 64, "one line");

/* ---- what members have in their hands of containers' objects: arena/pin.h ---- */

#define PINS_FIRST 1024u
#define PINS_MAX 16384u /* objects that a thread has in its hands at once, at least */
#define PIN_STRIDE (PINS_MAX * UINT64_C(4))

/* ---- objects ---- */

/*
 * OBJECT_KEPT: its maker has destroyed it, so it has no name; it lives while something refers to
 * it.
 */
enum object_state { OBJECT_NONE, OBJECT_MAKING, OBJECT_READY, OBJECT_DYING, OBJECT_KEPT };

/*
 * One named or unnamed object. Type-stable: an entry is only ever used as an entry.
 *	word  bits 63..32 generation, raised when the entry becomes NONE; 31..28 enum object_state;
 *	      27..24 unused; 23..0 the tag of the member that makes or destroys it (MAKING, DYING)
 *	owner  SHOAL_WITH_OWNER: the index of its maker's process record plus 1, else 0; and that
 *	      record's generation then. Written while MAKING, and as they are until the entry is MAKING
 *	      again: who read them between two looks at the same word read them of this object.
 *	      READY with an owner that is gone: an orphan, which whoever opens it, creates something
 *	      of its name, or is about to sleep on it destroys (object_end_orphan)
 *	holds  under the hold lock; `referred` is set before they are first raised, and before the
 *	      first pin, and stays until it is let go: while it is 0, nobody can have a pin
 */
struct object {
	word64 word;
	word64 body;      /* offset of its block, 0 while there is none */
	word32 kind;      /* SHOAL_KIND_… */
	word32 owner;
	word64 owner_generation;
	word64 bytes;     /* SHOAL_KIND_MEMORY: as its maker asked */
	word32 holds;     /* references from value blocks: arena/hold.h */
	word32 referred;
	word32 mailed;    /* a queue or pipe: messages with references went there */
	uint32_t unused[3];
	char name[NAME_BYTES]; /* written before the entry leaves MAKING; empty: none */
};
/*
 * Each entry's name has a hash in a table of its own, so that a look for a name reads 4 bytes of
 * each entry; 0 where there is none. Written with the name, and left when the entry ends.
 */
_Static_assert(sizeof(struct object) == 128, "two lines");

/* What is to be done under the hold lock, in absolute values: arena/hold.h. */
struct hold_intent {
	word64 progress_at; /* offset of the word */
	word32 progress;    /* its new value */
	word32 object;
	word32 holds;       /* its new ones */
	word32 open;        /* 1: the rest is valid, and may be half done */
};

/* ---- the header ---- */

enum { ARENA_NAMED = 1, ARENA_MEMBARRIER = 2, ARENA_UNLINK_LAST = 4 };
enum { ARENA_READY = 1, ARENA_DYING = 2 };

struct arena_header {
	/*
	 * never changes after the arena is published: copied once by whoever attaches, then validated
	 */
	uint64_t magic;
	uint32_t version;
	uint32_t layout; /* hash of the sizes and offsets above */
	uint64_t limit_bytes;
	uint64_t pages_max;
	uint32_t members_max;
	uint32_t objects_max;
	uint64_t processes_at, members_at, objects_at, names_at, pages_at, pins_at, data_at;
	uint32_t flags;
	uint32_t mode;
	uint64_t pid_namespace;
	uint64_t id; /* random; its low byte, never 0, is the arena's byte in references */

	/* changes rarely */
	_Alignas(SPACING) word32 state;
	word32 members_high; /* records with memory behind them */
	word32 objects_high;
	word32 names_gate;   /* sleepers in open; arena/gate.h */
	word64 pages_high;   /* pages with memory behind them: the end of the walk */

	/* locks */
	_Alignas(SPACING) struct robust page_lock;
	word64 rover; /* where the walk for a free run begins; under the page lock */
	_Alignas(SPACING) struct robust name_lock;
	_Alignas(SPACING) word32 slab_head[SMALL_CLASSES]; /* newest page of the class, 0 none */
	word32 slab_pages[SMALL_CLASSES];                 /* how many, as a hint */
	_Alignas(SPACING) struct robust hold_lock;
	struct hold_intent intent; /* under the hold lock */
	/*
	 * bit i % 64: among the entries of that remainder may be one to bury. Set before there is;
	 * cleared before one looks; a member's recovery sets all
	 */
	_Alignas(SPACING) word64 dying;
	word32 object_rover; /* entries below it are in use, as a hint; under the name lock */
};

#define HEADER_BYTES UINT64_C(4096)
_Static_assert(sizeof(struct arena_header) <= HEADER_BYTES, "the header fits its page");

#endif
