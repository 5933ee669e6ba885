/*
 * Ledgers: one change of a container at a time, of any number of blocks, committed by one store.
 *
 * A container has one ledger, or one for each part of it that is changed independently (a dict: one
 * for each stripe of hashes, and one for what the stripes share). All changes of that part are made
 * by the holder of the ledger's lock, who writes here what it is about to do, so that whoever takes
 * the lock from a dead one finishes the change, or undoes it. Readers never look here, and wait for
 * nobody: they copy, and then compare a 64-bit version, which rises after the change has happened
 * and before any block that it took out is freed.
 *
 * A stopped holder holds up other writers of the same part, and nobody else: what it is about to do
 * has happened or not, and stays so. What a dead holder
 * left never waits for anybody: who recovers the dead one only tries the lock, since one who has it
 * was told and repairs.
 *
 * ---- the words ----
 *
 *	op      (own[0] of the lock) LEDGER_IDLE: nothing is under way, all the words below are 0 or
 *	        meaningless. LEDGER_OPEN: blocks are being put on the chains; nothing has happened.
 *	        LEDGER_COMMITTING: commit_at and commit_to are valid. The change has happened if and
 *	        only if the word at commit_at is commit_to. It has another value before, and changes
 *	        under this ledger alone; where the two may be equal, nothing is fresh or stale.
 *	        LEDGER_DAMAGED: what a dead holder left contradicts itself, and nobody changes this part
 *	        of the container any more
 *	what    (own[1]) for the container: what else is to be done after the commit
 *	then    up to two words that get new values after the commit: the version that readers
 *	        compare, first, and a count. Absolute values, so storing them again does no harm. at
 *	        0: none
 *	fresh   the blocks that the change brings in, a chain through their words
 *	taking  the block that is to be the head of fresh
 *	stale   the blocks that it takes out, a chain through their words
 *	next    while the head of a chain is freed: the one behind it
 *	writes  odd while a change is under way: readers of many items compare it, all ledgers'
 *	        at once, and look at op and commit where it is odd (ledger_look)
 *
 * The word of a block on a chain is BLOCK_PART of the container, and its low 40 bits are
 *	39..6  the next block of the chain (bits 39..6 of its offset; such blocks are of 64 bytes and
 *	       more, so the lower ones are 0), 0 at the end
 *	5..2   the index of the ledger
 *	1      BEARS: the block has references to objects, which are dropped before it is freed
 *	0      STALE: it is on the stale chain of that ledger, or was when its change was given up
 * The index makes it certain whose the block is: one that left the chain, was freed and came back
 * to the container in another ledger's change bears another index; and this ledger changes nothing
 * until it is repaired. So no repair depends on the dead one's record, nor on the order in which
 * things are recovered.
 *
 * ---- crash points ----
 *
 * A block comes in: HELD(me) and in my hand -> taking := it -> its word := PART(link fresh) ->
 * fresh := it -> the hand is cleared. A death before the word leaves it to the hand; after it,
 * `taking` names it, its word links to fresh, and the repairer puts it on the chain.
 * A block goes out: its word := PART(link stale, STALE) -> stale := it. Before the commit nothing
 * reads these chains; if the change is given up, the block stays in service with that word.
 * Freeing the head of a chain: its references go, one by one (hold.h) -> next := its link ->
 * my hand names it, its word := HELD(me) -> stale := next -> block_give. A death before HELD finds
 * the word as it was, and starts again; after it, the block is the hand's, and the chain goes on at
 * next. A repairer frees by one CAS from the exact word to FREE, and so needs no hand: it may be in
 * the midst of another call. So does a holder whose hand has a block: it puts a long message, and
 * buries what somebody who died there had let go.
 *
 * ---- what was overwritten ----
 *
 * A living holder stores where it knows, not where its ledger says. A repairer has the ledger
 * alone: what that names is changed only where it lies in the container's body or in one of its
 * parts, and no block leaves a chain whose word is not of that chain. Where that is not so, nothing
 * is done but that the ledger is LEDGER_DAMAGED: writers get -EPROTO, readers go on. When the
 * container ends, its blocks are found by their own words (ledger_reclaim).
 */
#ifndef DATA_LEDGER_H
#define DATA_LEDGER_H

#include "arena/block.h"

enum {
	LEDGER_IDLE,
	LEDGER_OPEN,
	LEDGER_COMMITTING,
	LEDGER_DAMAGED
};

struct ledger_store {
	word64 at; /* offset of the word, or 0 */
	word64 to;
};

struct ledger {
	_Alignas(SPACING) struct robust lock;
	struct ledger_store commit;
	struct ledger_store then[2];
	word64 fresh;
	word64 taking;
	word64 stale;
	word64 next;
	word64 writes;
};
_Static_assert(sizeof(struct ledger) == SPACING, "a ledger has two lines");

#define LEDGERS_MAX 16u /* of one container */
#define LEDGER_BLOCK_MIN 64u

struct ledger_hold;

/* What a kind of container adds. Both may run again after a death inside. */
struct ledger_kind {
	/* After the commit and the words of `then`, before anything is freed. May be NULL. */
	void (*finish)(struct ledger_hold *, uint32_t what);
	/* Drops the references that the block has counted. NULL where no block bears any. */
	void (*drop)(struct ledger_hold *, uint64_t block);
};

/* One that has a ledger's lock, or is about to take it; in its own memory. */
struct ledger_hold {
	shoal_arena *arena;
	struct shoal_thread *thread;
	struct member *me;
	struct ledger *ledger;
	const struct ledger_kind *kind;
	uint32_t object; /* the container's */
	uint32_t index; /* of the ledger among the container's */
	/* of this change, as the ledger says it: at NULL: none */
	struct {
		word64 *at;
		uint64_t to;
	} then[2];
};

static inline word32 *
ledger_op(struct ledger *l)
{
	return &l->lock.own[0];
}

static inline word32 *
ledger_what(struct ledger *l)
{
	return &l->lock.own[1];
}

/*
 * Takes the lock, however long that takes, and repairs what a dead holder left. 0, or -EPROTO where
 * the lock's word says that this thread has it, or the ledger is damaged: shared memory was
 * overwritten.
 */
int ledger_lock(struct ledger_hold *h);
/* The same until the deadline: -ETIMEDOUT, without a sentence. */
int ledger_lock_until(struct ledger_hold *h, int64_t deadline);
/* The same without waiting: false where another one has it, or it is damaged. */
bool ledger_try(struct ledger_hold *h);
void ledger_unlock(struct ledger_hold *h);

/* ---- a change: open, then come in, go out, then; commit or give up ---- */

void ledger_open(struct ledger_hold *h, uint32_t what);
/* A new block of at least `bytes`, on the chain of the fresh. 0, -ENOMEM, -ENOSPC, -EPROTO. */
int ledger_take(struct ledger_hold *h, size_t bytes, uint64_t *block);
/* The same with a block that is HELD(me), in my hand. */
int ledger_adopt(struct ledger_hold *h, uint64_t block);
/* The fresh block bears references from now on: before the first is counted. */
int ledger_bears(struct ledger_hold *h, uint64_t block);
/* The block goes out with the commit; `bears`: it has references to objects. */
int ledger_retire(struct ledger_hold *h, uint64_t block, bool bears);
/* Word 0: the version that readers compare; word 1: a count. */
void ledger_then(struct ledger_hold *h, unsigned which, word64 *at, uint64_t to);
/* The store of `to` at `at`, and what follows. */
void ledger_commit(struct ledger_hold *h, word64 *at, uint64_t to);
/* Nothing has happened: what came in is freed. */
void ledger_give_up(struct ledger_hold *h);

/* For recovery and destruction: repairs the ledger if a dead one left it so. Never waits. */
void ledger_recover(struct ledger_hold *h);

/*
 * For the end of a container that is too damaged to be taken apart: frees every block that says it
 * is a part of it, and drops the references of those that bear some. Nobody is inside. A look at
 * all of the arena's blocks. Again, where one dies in it.
 */
void ledger_reclaim(struct ledger_hold *h);

/* ---- for those who read more than a version is over ---- */

/*
 * Where a ledger stands. Two looks that find the same had no commit between them; so all that the
 * ledger is over was the same from the end of the first to the beginning of the second, for one who
 * sees what it leads to and nothing else: before its commit a change writes only where nothing
 * leads, and what it takes out is given back afterwards. (What may lead there twice is the
 * container's affair, as a dict's split.) Who makes the change may be stopped or dead: that only
 * makes it last. Where the store that commits changes nothing, it does not matter which it is.
 */
struct ledger_state {
	uint64_t writes;
	bool committed; /* where that is odd */
};

/* False: it changes just now. The container's memory may be anything, as for all readers. */
bool ledger_look(const shoal_arena *a, struct ledger *l, struct ledger_state *out);
/* The second look, after all that was read. */
bool ledger_still(const shoal_arena *a, struct ledger *l, const struct ledger_state *first);

/* For shoal_arena_check of a quiet arena: whether nothing is under way in it. */
bool ledger_idle(struct ledger *l);

#endif
