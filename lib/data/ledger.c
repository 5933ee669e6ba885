#include "data/ledger.h"
#include "arena/walk.h"
#include "base/clock.h"
#include "base/error.h"

#define STALE UINT64_C(1)
#define BEARS UINT64_C(2)
#define LINK_MASK (((UINT64_C(1) << 40) - 1) & ~(uint64_t)(LEDGER_BLOCK_MIN - 1))

static uint64_t
part_word(const struct ledger_hold *h, uint64_t link, uint64_t marks)
{
	return block_word(BLOCK_PART, h->object, link | h->index << 2 | marks);
}

static uint64_t
part_link(uint64_t word)
{
	return word & LINK_MASK;
}

/* Of this container, chained by this ledger, with these marks but for BEARS. */
static bool
is_chained(const struct ledger_hold *h, uint64_t word, uint64_t marks)
{
	return (word & ~LINK_MASK & ~BEARS) == part_word(h, 0, marks);
}

static int
damaged(const struct ledger_hold *h, uint64_t block)
{
	return fail(-EPROTO,
	            "offset %#llx is no block of container %u of arena '%s': shared memory was "
	            "overwritten",
	            (unsigned long long)block, h->object, h->arena->name);
}

/* ---- coming in and going out ---- */

void
ledger_open(struct ledger_hold *h, uint32_t what)
{
	struct ledger *l = h->ledger;
	h->then[0].at = h->then[1].at = NULL;
	store_relaxed(ledger_what(l), what);
	store_relaxed(&l->then[0].at, 0);
	store_relaxed(&l->then[1].at, 0);
	store_relaxed(&l->taking, 0);
	store_relaxed(&l->fresh, 0);
	store_relaxed(&l->stale, 0);
	fence_crash();
	store_relaxed(ledger_op(l), LEDGER_OPEN);
	/* Pairs with ledger_look: who sees it odd sees this change's op, and all earlier changes. */
	store_release(&l->writes, load_relaxed(&l->writes) | 1);
	/* Before the change's own stores: who reads many items sees `writes` odd, or nothing of it. */
	fence_release();
}

int
ledger_adopt(struct ledger_hold *h, uint64_t block)
{
	struct ledger *l = h->ledger;
	uint64_t held = block_word(BLOCK_HELD, 0, member_own_tag(h->me));
	word64 *word = block_word_at(h->arena, block);
	if (unlikely(!word || block % LEDGER_BLOCK_MIN || load_relaxed(word) != held)) {
		hand_clear(&h->me->hand);
		return damaged(h, block);
	}
	store_relaxed(&l->taking, block);
	fence_crash();
	store_release(word, part_word(h, load_relaxed(&l->fresh), 0));
	fence_crash();
	store_relaxed(&l->fresh, block);
	fence_crash();
	hand_clear(&h->me->hand);
	return 0;
}

int
ledger_take(struct ledger_hold *h, size_t bytes, uint64_t *block)
{
	if (bytes < LEDGER_BLOCK_MIN)
		bytes = LEDGER_BLOCK_MIN;
	int rc = block_take(h->arena, h->thread, h->me, bytes, block);
	return rc ? rc : ledger_adopt(h, *block);
}

int
ledger_bears(struct ledger_hold *h, uint64_t block)
{
	word64 *word = block_word_at(h->arena, block);
	uint64_t seen = word ? load_relaxed(word) : 0;
	if (!word || !is_chained(h, seen, 0))
		return damaged(h, block);
	store_release(word, seen | BEARS);
	fence_crash();
	return 0;
}

int
ledger_retire(struct ledger_hold *h, uint64_t block, bool bears)
{
	struct ledger *l = h->ledger;
	word64 *word = block_word_at(h->arena, block);
	uint64_t seen = word ? load_relaxed(word) : 0;
	if (unlikely(!word || block % LEDGER_BLOCK_MIN || block_state(seen) != BLOCK_PART ||
	             block_object(seen) != h->object))
		return damaged(h, block);
	store_release(word, part_word(h, load_relaxed(&l->stale), bears ? STALE | BEARS : STALE));
	fence_crash();
	store_relaxed(&l->stale, block);
	return 0;
}

void
ledger_then(struct ledger_hold *h, unsigned which, word64 *at, uint64_t to)
{
	struct ledger_store *s = &h->ledger->then[which];
	h->then[which].at = at;
	h->then[which].to = to;
	store_relaxed(&s->to, to);
	store_relaxed(&s->at, arena_offset(h->arena, at));
}

/* ---- after the commit ---- */

static void
store_then(struct ledger_hold *h)
{
	for (int i = 0; i < 2; i++)
		if (h->then[i].at)
			store_release(h->then[i].at, h->then[i].to);
}

/*
 * The head of a chain, if its word still says so: then `next` is the one behind it, and its
 * references are dropped. Else 0 comes back: it left the chain already, and `next` is known.
 */
static uint64_t
detach(struct ledger_hold *h, uint64_t block, uint64_t marks, word64 **at)
{
	*at = block_word_at(h->arena, block);
	uint64_t word = *at ? load_acquire(*at) : 0;
	if (!is_chained(h, word, marks))
		return 0;
	if ((word & BEARS) && h->kind->drop)
		h->kind->drop(h, block);
	store_relaxed(&h->ledger->next, part_link(word));
	fence_crash();
	return word;
}

/* By its living holder, into its magazine. */
static void
free_stale(struct ledger_hold *h)
{
	struct ledger *l = h->ledger;
	uint64_t block;
	while ((block = load_relaxed(&l->stale))) {
		word64 *at;
		uint64_t word = detach(h, block, STALE, &at);
		if (unlikely(!word))
			break;
		hand_take(&h->me->hand, block);
		fence_crash();
		store_release(at, block_word(BLOCK_HELD, 0, member_own_tag(h->me)));
		fence_crash();
		store_relaxed(&l->stale, part_link(word));
		fence_crash();
		(void)block_give(h->arena, h->me, block);
	}
}

/*
 * Any number of times, by one after the other. Only the first may have left the chain already; a
 * chain that leads elsewhere later on was overwritten, and is let go.
 */
static void
free_chain(struct ledger_hold *h, word64 *head, uint64_t marks)
{
	uint64_t block;
	for (bool first = true; (block = load_relaxed(head)); first = false) {
		word64 *at;
		uint64_t word = detach(h, block, marks, &at);
		if (word)
			block_reclaim(h->arena, block, word);
		else if (!first)
			break;
		fence_crash();
		store_relaxed(head, load_relaxed(&h->ledger->next));
	}
}

static void
close_ledger(struct ledger *l)
{
	store_relaxed(&l->taking, 0);
	store_relaxed(&l->fresh, 0);
	store_relaxed(&l->stale, 0);
	/* A reader of many items that sees `writes` even again sees all of the change. */
	store_release(&l->writes, (load_relaxed(&l->writes) | 1) + 1);
	store_release(ledger_op(l), LEDGER_IDLE);
}

void
ledger_commit(struct ledger_hold *h, word64 *at, uint64_t to)
{
	struct ledger *l = h->ledger;
	store_relaxed(&l->commit.at, arena_offset(h->arena, at));
	store_relaxed(&l->commit.to, to);
	fence_crash();
	/* Pairs with has_happened: it compares these two, not those of an earlier change. */
	store_release(ledger_op(l), LEDGER_COMMITTING);
	fence_crash();
	/* Pairs with the readers' load_acquire of the word: they see the blocks that it leads to. */
	store_release(at, to);
	store_then(h);
	/* Before anything is freed and written by its next owner: who reads that sees the version. */
	fence_release();
	uint32_t what = load_relaxed(ledger_what(l));
	if (what && h->kind->finish)
		h->kind->finish(h, what);
	/* One who sweeps in the midst of another call may have a block of that in its hand. */
	if (likely(!load_relaxed(&h->me->hand.block)))
		free_stale(h);
	else
		free_chain(h, &l->stale, STALE);
	close_ledger(l);
}

/* ---- repair ---- */

/* A word of the container's that a ledger names: NULL where there is none. */
static word64 *
named_word(const struct ledger_hold *h, const word64 *at)
{
	uint64_t offset = load_relaxed(at);
	struct block_found b;
	if (offset % sizeof(word64) || !block_around(h->arena, offset, &b))
		return NULL;
	uint64_t word = load_relaxed(b.word);
	bool its = block_state(word) == BLOCK_PART || block_state(word) == BLOCK_OBJECT;
	return its && block_object(word) == h->object ? arena_at(h->arena, offset) : NULL;
}

/* What the dead one left, in private memory. False: it names what is not the container's. */
static bool
read_change(struct ledger_hold *h, bool *committed)
{
	struct ledger *l = h->ledger;
	uint32_t op = load_relaxed(ledger_op(l));
	*committed = false;
	for (int i = 0; i < 2; i++) {
		uint64_t at = load_relaxed(&l->then[i].at);
		h->then[i].at = at ? named_word(h, &l->then[i].at) : NULL;
		h->then[i].to = load_relaxed(&l->then[i].to);
		if (at && !h->then[i].at)
			return false;
	}
	const word64 *at = op == LEDGER_COMMITTING ? named_word(h, &l->commit.at) : NULL;
	*committed = at && load_acquire(at) == load_relaxed(&l->commit.to);
	return op == LEDGER_OPEN || at;
}

/* The block whose word was set for the chain, but which is not its head yet. */
static void
finish_taking(struct ledger_hold *h)
{
	struct ledger *l = h->ledger;
	uint64_t block = load_relaxed(&l->taking), fresh = load_relaxed(&l->fresh);
	const word64 *word = block && block != fresh ? block_word_at(h->arena, block) : NULL;
	if (word && load_acquire(word) == part_word(h, fresh, 0))
		store_relaxed(&l->fresh, block);
	fence_crash();
	store_relaxed(&l->taking, 0);
}

/*
 * Each step may be the last of this one: the next one finds `op` as it was. What was not committed
 * stays so, and what was is finished, since nothing else changes the word at commit.at.
 */
static void
repair(struct ledger_hold *h)
{
	struct ledger *l = h->ledger;
	uint32_t op = load_acquire(ledger_op(l));
	bool committed;
	if (op == LEDGER_IDLE) {
		if (load_relaxed(&l->writes) & 1)
			close_ledger(l);
		return;
	}
	if (op >= LEDGER_DAMAGED || !read_change(h, &committed)) {
		store_release(ledger_op(l), LEDGER_DAMAGED);
		return;
	}
	if (committed) {
		uint32_t what = load_relaxed(ledger_what(l));
		store_then(h);
		fence_release();
		if (what && h->kind->finish)
			h->kind->finish(h, what);
		free_chain(h, &l->stale, STALE);
	} else {
		finish_taking(h);
		free_chain(h, &l->fresh, 0);
	}
	close_ledger(l);
}

void
ledger_give_up(struct ledger_hold *h)
{
	free_chain(h, &h->ledger->fresh, 0);
	close_ledger(h->ledger);
}

static void
mend(struct ledger_hold *h)
{
	repair(h);
	robust_mend(&h->ledger->lock);
}

/* With the lock: whether the ledger can be used. Else the lock goes back. */
static bool
is_usable(struct ledger_hold *h)
{
	if (likely(load_relaxed(ledger_op(h->ledger)) == LEDGER_IDLE))
		return true;
	store_release(ledger_op(h->ledger), LEDGER_DAMAGED);
	ledger_unlock(h);
	return false;
}

int
ledger_lock_until(struct ledger_hold *h, int64_t deadline)
{
	int rc = robust_take(h->thread, &h->ledger->lock, deadline);
	if (unlikely(rc == -EOWNERDEAD))
		mend(h);
	else if (unlikely(rc == -ETIMEDOUT))
		return rc;
	else if (unlikely(rc))
		return fail(-EPROTO,
		            "this thread has ledger %u of container %u of arena '%s' already: shared "
		            "memory was overwritten",
		            h->index, h->object, h->arena->name);
	if (likely(is_usable(h)))
		return 0;
	return fail(-EPROTO,
	            "ledger %u of container %u of arena '%s' contradicts itself: shared memory was "
	            "overwritten; destroy the container",
	            h->index, h->object, h->arena->name);
}

int
ledger_lock(struct ledger_hold *h)
{
	return ledger_lock_until(h, CLOCK_NEVER);
}

bool
ledger_try(struct ledger_hold *h)
{
	int rc = robust_try(h->thread, &h->ledger->lock);
	if (rc == -EOWNERDEAD)
		mend(h);
	return (rc == 0 || rc == -EOWNERDEAD) && is_usable(h);
}

void
ledger_unlock(struct ledger_hold *h)
{
	robust_release(h->thread, &h->ledger->lock);
}

void
ledger_recover(struct ledger_hold *h)
{
	if (ledger_try(h))
		ledger_unlock(h);
}

/* ---- for readers ---- */

/* What a change that is under way, or was left so, says of itself. False: another one just now. */
static bool
has_happened(const shoal_arena *a, struct ledger *l, bool *committed)
{
	uint32_t op = load_acquire(ledger_op(l));
	uint64_t at = load_relaxed(&l->commit.at), end = arena_pages_end(a);
	*committed = op == LEDGER_DAMAGED;
	if (op != LEDGER_COMMITTING)
		return op == LEDGER_OPEN || op == LEDGER_DAMAGED;
	if (at % sizeof(word64) || at < a->data_at || at >= end)
		return false;
	const word64 *word = arena_at(a, at);
	/* Pairs with the commit: what is read from now on is of the new state. */
	*committed = load_acquire(word) == load_relaxed(&l->commit.to);
	return true;
}

bool
ledger_look(const shoal_arena *a, struct ledger *l, struct ledger_state *out)
{
	/* Pairs with ledger_open and close_ledger: all changes before this number are seen. */
	*out = (struct ledger_state){ .writes = load_acquire(&l->writes) };
	if (likely(!(out->writes & 1)))
		return true;
	bool is = has_happened(a, l, &out->committed);
	/* Else it may be of a later change what was found. */
	fence_acquire();
	return is && load_relaxed(&l->writes) == out->writes;
}

bool
ledger_still(const shoal_arena *a, struct ledger *l, const struct ledger_state *first)
{
	struct ledger_state now;
	/* Pairs with ledger_open's fence: who read what a later change wrote sees its `writes`. */
	fence_acquire();
	return ledger_look(a, l, &now) && now.writes == first->writes &&
	       now.committed == first->committed;
}

bool
ledger_idle(struct ledger *l)
{
	return load_acquire(ledger_op(l)) == LEDGER_IDLE && !(load_relaxed(&l->writes) & 1);
}

/* ---- what cannot be taken apart ---- */

static void
reclaim_part(void *arg, const struct block_seen *b)
{
	struct ledger_hold *h = arg;
	if (block_state(b->word) != BLOCK_PART || block_object(b->word) != h->object)
		return;
	if ((b->word & BEARS) && h->kind->drop)
		h->kind->drop(h, b->offset);
	block_reclaim(h->arena, b->offset, b->word);
}

void
ledger_reclaim(struct ledger_hold *h)
{
	(void)walk_blocks(h->arena, reclaim_part, h);
}
