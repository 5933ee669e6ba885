#include "arena/block.h"
#include "base/error.h"
#include "base/racy.h"
#include <string.h>

#define RUN_LARGEST 16u /* pages: longer runs have no magazine */

static const uint8_t run_slots[RUN_CLASSES] = { 8, 8, 4, 4, 4 };

static uint32_t
slots(unsigned class)
{
	return class < SMALL_CLASSES ? slab_classes[class].slots : run_slots[class - SMALL_CLASSES];
}

/* The class for a length: CLASSES when it needs a run without magazine. *pages: its length. */
static ALWAYS_INLINE unsigned
class_of(size_t bytes, uint32_t *pages)
{
	if (likely(bytes <= SLAB_LARGEST))
		return slab_class_of(bytes);
	*pages = (uint32_t)((bytes + PAGE_BYTES - 1) >> PAGE_BITS);
	for (unsigned i = 0; i < RUN_CLASSES; i++)
		if (*pages <= 1u << i)
			return SMALL_CLASSES + i;
	return CLASSES;
}

static int
damaged(const shoal_arena *a)
{
	return fail(-EPROTO,
	            "what this thread has ready in arena '%s' is not its own: shared memory was "
	            "overwritten",
	            a->name);
}

/* What is popped from a magazine: the slot and its block. */
struct popped {
	struct magazine *magazine;
	uint32_t left; /* what count becomes */
	uint32_t tag;  /* mine */
	uint64_t offset;
	word64 *word;
};

static __attribute__((noinline)) word64 *
run_word_at(const shoal_arena *a, uint64_t offset, unsigned class)
{
	struct block_found b;
	return block_find(a, offset, &b) && b.class == class ? b.word : NULL;
}

static ALWAYS_INLINE word64 *
if_own(word64 *word, uint32_t tag)
{
	return likely(word && load_relaxed(word) == block_word(BLOCK_MAGAZINE, 0, tag)) ? word : NULL;
}

/*
 * The word of the block in a slot of my magazine, or NULL where it does not say so: slots and
 * counts stand where others may have written, and the word alone is believed. It may stand anywhere
 * in the arena, but nowhere else. A run's may be another one's as soon as it is read.
 */
static word64 *
own_word(const shoal_arena *a, uint32_t tag, uint64_t offset, unsigned class)
{
	return if_own(class < SMALL_CLASSES ? slab_word_at(a, offset, class)
	                                    : run_word_at(a, offset, class), tag);
}

/*
 * Crash points: until the word changes, the block is MAGAZINE(m) in a slot, whatever count says;
 * then it is what the word says, and the hand names it. False: there is no such block.
 */
static ALWAYS_INLINE bool
pop(struct shoal_arena *a, struct member *me, unsigned class, const struct slab_class *c,
    struct popped *p)
{
	struct magazine *g = p->magazine = &me->magazines[class];
	p->left = load_relaxed(&g->count) - 1;
	if (unlikely(p->left >= MAGAZINE_SLOTS))
		return false;
	p->tag = member_own_tag(me);
	p->offset = load_relaxed(&g->slot[p->left]);
	if (unlikely(p->offset >= a->bytes))
		return false;
	p->word = if_own(slab_word_of(a, p->offset, c), p->tag);
	if (unlikely(!p->word))
		return false;
	hand_take(&me->hand, p->offset);
	return true;
}

static ALWAYS_INLINE void
popped(const struct popped *p, enum block_state state)
{
	fence_crash();
	store_release(p->word, block_word(state, 0, p->tag));
	store_relaxed(&p->magazine->count, p->left);
}

/*
 * The class for the length, and, of a small one, something in the magazine; else it needs a run of
 * *pages.
 */
static ALWAYS_INLINE int
stock(shoal_arena *a, struct shoal_thread *t, struct member *me, size_t bytes, unsigned *class,
      uint32_t *pages)
{
	if (unlikely(bytes > arena_limit(a)))
		return fail(-ENOMEM, "%zu bytes are more than the arena's limit of %llu", bytes,
		            (unsigned long long)arena_limit(a));
	*class = class_of(bytes ? bytes : 1, pages);
	/* A count that is beyond the slots is none. */
	if (unlikely(*class >= SMALL_CLASSES) ||
	    likely(load_relaxed(&me->magazines[*class].count) - 1 < MAGAZINE_SLOTS))
		return 0;
	return slab_refill(a, t, me, *class);
}

/*
 * A run from my magazine: HELD(me), named by my hand. What another one made FREE, since it needed
 * pages, is passed by. Until then others may have it, so nothing is written to it before.
 *
 * A slot may name a run that came back to me another way and is in use: so the hand names only what
 * was MAGAZINE(me), which nobody else makes USER(me) before the CAS. Recovery frees that of a hand.
 */
static bool
pop_run(shoal_arena *a, struct member *me, unsigned class, uint64_t *offset)
{
	struct magazine *g = &me->magazines[class];
	uint32_t count = load_relaxed(&g->count), tag = member_own_tag(me);
	for (count = count > MAGAZINE_SLOTS ? 0 : count; count > 0;) {
		*offset = load_relaxed(&g->slot[--count]);
		word64 *word = own_word(a, tag, *offset, class);
		if (unlikely(!word)) {
			store_relaxed(&g->count, count);
			continue;
		}
		hand_take(&me->hand, *offset);
		fence_crash();
		bool mine = cas64_acq_rel(word, block_word(BLOCK_MAGAZINE, 0, tag),
		                          block_word(BLOCK_HELD, 0, tag));
		store_relaxed(&g->count, count);
		if (mine)
			return true;
		hand_clear(&me->hand);
	}
	return false;
}

/* Of its class's length; where there is no such run, of as many pages as it needs. */
static int
take_run(shoal_arena *a, struct shoal_thread *t, struct member *me, unsigned class,
         uint32_t pages, uint64_t *offset)
{
	uint64_t page;
	if (class < CLASSES && pop_run(a, me, class, offset))
		return 0;
	uint32_t whole = class < CLASSES ? 1u << (class - SMALL_CLASSES) : pages;
	struct error_kept kept;
	error_keep(&kept);
	int rc = page_take(a, t, me, whole, &me->hand, HAND_TAKE, &page);
	if (unlikely((rc == -ENOMEM || rc == -ENOSPC) && whole > pages)) {
		error_restore(&kept);
		rc = page_take(a, t, me, pages, &me->hand, HAND_TAKE, &page);
	}
	if (rc == 0)
		*offset = arena_page_offset(a, page);
	return rc;
}

int
block_take(shoal_arena *a, struct shoal_thread *t, struct member *me, size_t bytes,
           uint64_t *offset)
{
	uint32_t pages = 0;
	unsigned class = CLASSES;
	struct popped p;
	int rc = stock(a, t, me, bytes, &class, &pages);
	if (unlikely(rc))
		return rc;
	if (class >= SMALL_CLASSES)
		return take_run(a, t, me, class, pages, offset);
	if (unlikely(!pop(a, me, class, &slab_classes[class], &p)))
		return damaged(a);
	popped(&p, BLOCK_HELD);
	*offset = p.offset;
	return 0;
}

static void
note_free(shoal_arena *a, uint64_t offset, unsigned class)
{
	if (class < SMALL_CLASSES)
		slab_note_free(a, offset, class);
}

/*
 * The older half goes back, so that what one member frees another one can take; how many stay. A
 * slot with another one's block is passed by.
 */
static uint32_t
flush_half(shoal_arena *a, struct member *me, unsigned class)
{
	struct magazine *g = &me->magazines[class];
	uint32_t count = load_relaxed(&g->count);
	if (count > MAGAZINE_SLOTS)
		count = MAGAZINE_SLOTS;
	uint32_t half = (count + 1) / 2;
	for (uint32_t i = 0; i < half; i++) {
		uint64_t offset = load_relaxed(&g->slot[i]);
		word64 *word = own_word(a, member_own_tag(me), offset, class);
		if (unlikely(!word))
			continue;
		if (class < SMALL_CLASSES)
			store_release(word, block_word(BLOCK_FREE, 0, 0));
		else
			cas64_acq_rel(word, block_word(BLOCK_MAGAZINE, 0, member_own_tag(me)),
			              block_word(BLOCK_FREE, 0, 0));
		note_free(a, offset, class);
	}
	/*
	 * Between these stores a block may stand in two slots: its word, and a CAS from it, counts it
	 * once.
	 */
	for (uint32_t i = half; i < count; i++)
		store_relaxed(&g->slot[i - half], load_relaxed(&g->slot[i]));
	store_relaxed(&g->count, count - half);
	return count - half;
}

/* Into my magazine, which has room; `count` is read once, since others may write there. */
static ALWAYS_INLINE void
keep(struct member *me, unsigned class, uint64_t offset, word64 *word, uint32_t count)
{
	struct magazine *g = &me->magazines[class];
	store_relaxed(&g->slot[count], offset);
	fence_crash();
	store_release(word, block_word(BLOCK_MAGAZINE, 0, member_own_tag(me)));
	store_relaxed(&g->count, count + 1);
}

static ALWAYS_INLINE void
give(shoal_arena *a, struct member *me, uint64_t offset, const struct block_found *b)
{
	if (unlikely(b->class == CLASSES)) {
		store_release(b->word, block_word(BLOCK_FREE, 0, 0));
		hand_clear(&me->hand);
		return;
	}
	uint32_t count = load_relaxed(&me->magazines[b->class].count);
	if (unlikely(count >= slots(b->class)))
		count = flush_half(a, me, b->class);
	keep(me, b->class, offset, b->word, count);
	hand_clear(&me->hand);
}

int
block_give(shoal_arena *a, struct member *me, uint64_t offset)
{
	struct block_found b;
	if (unlikely(!block_find(a, offset, &b) ||
	             load_relaxed(b.word) != block_word(BLOCK_HELD, 0, member_own_tag(me)))) {
		hand_clear(&me->hand);
		return fail(-EPROTO,
		            "offset %#llx of arena '%s' is no block of this thread: shared memory was "
		            "overwritten",
		            (unsigned long long)offset, a->name);
	}
	give(a, me, offset, &b);
	return 0;
}

size_t
block_bytes(const shoal_arena *a, uint64_t offset)
{
	struct block_found b;
	return block_find(a, offset, &b) ? b.bytes : 0;
}

bool
block_reclaim(shoal_arena *a, uint64_t offset, uint64_t seen)
{
	struct block_found b;
	if (!block_find(a, offset, &b) || !cas64_acq_rel(b.word, seen, block_word(BLOCK_FREE, 0, 0)))
		return false;
	note_free(a, offset, b.class);
	return true;
}

bool
block_change(const shoal_arena *a, uint64_t offset, uint64_t seen, uint64_t to)
{
	word64 *word = block_word_at(a, offset);
	return word && cas64_acq_rel(word, seen, to);
}

void
block_empty_magazines(shoal_arena *a, struct member *m, uint32_t tag)
{
	uint64_t its = block_word(BLOCK_MAGAZINE, 0, tag);
	for (unsigned class = 0; class < CLASSES; class++) {
		struct magazine *g = &m->magazines[class];
		for (unsigned i = 0; i < MAGAZINE_SLOTS; i++) {
			uint64_t offset = load_relaxed(&g->slot[i]);
			if (offset)
				block_reclaim(a, offset, its);
		}
		store_relaxed(&g->count, 0);
	}
}

/* ---- the public calls ---- */

/* Who looks at an object, and then whether it is still there, may be reading this. */
static void *
zeroed(void *block, size_t bytes)
{
	racy_clear(block, bytes);
	return block;
}

/*
 * Crash points: while the hand names the block, a death gives it back, also when its word says USER
 * already. The hand is cleared last, so what a killed call took is never lost.
 */
static ALWAYS_INLINE int
alloc(shoal_arena *a, struct shoal_thread *t, struct member *me, size_t bytes, void **out)
{
	uint32_t pages = 0;
	unsigned class = CLASSES;
	struct popped p;
	int rc = stock(a, t, me, bytes, &class, &pages);
	if (unlikely(rc))
		return rc;
	if (likely(class < SMALL_CLASSES)) {
		if (unlikely(!pop(a, me, class, &slab_classes[class], &p)))
			return damaged(a);
		*out = zeroed(arena_at(a, p.offset), bytes);
		popped(&p, BLOCK_USER);
	} else {
		uint64_t offset;
		rc = take_run(a, t, me, class, pages, &offset);
		if (rc)
			return rc;
		*out = memset(arena_at(a, offset), 0, bytes);
		store_release(&arena_page(a, page_of(a, offset))->word,
		              block_word(BLOCK_USER, 0, member_own_tag(me)));
	}
	hand_clear(&me->hand);
	return 0;
}

static int
nested(void)
{
	return fail(-EDEADLK, "shoal_alloc was called by a signal handler inside another call");
}

/* The way of every call that cannot go the quick one. */
static __attribute__((noinline)) int
alloc_slow(shoal_arena *a, size_t bytes, void **out)
{
	struct shoal_thread *t;
	struct member *me;
	int rc = arena_asked("shoal_alloc", a, out);
	if (rc)
		return rc;
	*out = NULL;
	if (unlikely(thread_is_nested(thread_known())))
		return nested();
	rc = member_here(a, &t, &me);
	if (unlikely(rc))
		return rc;
	t->busy = 1;
	rc = alloc(a, t, me, bytes, out);
	t->busy = 0;
	return rc;
}

/* What fits a vector register of either machine. */
typedef uint64_t vector_16 __attribute__((vector_size(16)));

/* The classes of what is at most a line: most of what is allocated. */
static const struct slab_class line_classes[] = { SLAB_CLASS(16), SLAB_CLASS(32), SLAB_CLASS(64) };

/*
 * A block of at most a line from a magazine that has one: nothing is called on the way, and the
 * class is known to the compiler, so all of it stays in registers. What is not as it should be is
 * found again, and told, on the other way: false.
 */
static ALWAYS_INLINE bool
alloc_quickly(shoal_arena *a, struct shoal_thread *t, struct member *me, unsigned class, void **out)
{
	const struct slab_class *c = &line_classes[class];
	struct popped p;
	t->busy = 1;
	fence_compiler();
	bool has = pop(a, me, class, c, &p);
	if (likely(has)) {
		vector_16 *v = *out = arena_at(a, p.offset);
		for (unsigned i = 0; i < c->bytes / sizeof *v; i++)
			v[i] = (vector_16){ 0 };
		popped(&p, BLOCK_USER);
		hand_clear(&me->hand);
	}
	fence_compiler();
	t->busy = 0;
	return has;
}

int
shoal_alloc(shoal_arena *a, size_t bytes, void **out)
{
	struct shoal_thread *t = thread_known();
	struct member *me = t && a && out ? member_seat(a, t) : NULL;
	if (unlikely(!me || t->busy || bytes > LINE))
		return alloc_slow(a, bytes, out);
	bool done = bytes > 32 ? alloc_quickly(a, t, me, 2, out)
	          : bytes > 16 ? alloc_quickly(a, t, me, 1, out) : alloc_quickly(a, t, me, 0, out);
	return likely(done) ? 0 : alloc_slow(a, bytes, out);
}

void *
shoal_new(shoal_arena *a, size_t bytes)
{
	void *p;
	return shoal_alloc(a, bytes, &p) ? NULL : p;
}

/*
 * The block goes into this thread's magazine, where it has a record and is in no signal handler
 * inside another call, which may be at the magazines. Else where its class is, past them: what was
 * interrupted may be the C library's malloc, a change of the thread's robust list, or its joining,
 * so nothing is allocated and no arena joined.
 */
static __attribute__((noinline)) void
free_slow(shoal_arena *a, void *p)
{
	if (!p)
		return;
	if (!a)
		stop("shoal_free(%p): the arena is NULL", p);
	struct shoal_thread *t = thread_known();
	struct member *me = t && !t->busy ? member_seat(a, t) : NULL;
	if (!me && member_may_write(a, NULL))
		return;
	struct block_found b;
	uint64_t offset = arena_offset(a, p), word = 0;
	uint64_t pages = arena_pages(a);
	/* Only where it has changed: each thread's quick way reads that line. */
	if (load_relaxed(&a->pages_seen) != pages)
		store_relaxed(&a->pages_seen, pages);
	if (arena_holds(a, p) && block_find(a, offset, &b))
		word = load_relaxed(b.word);
	if (block_state(word) != BLOCK_USER || (!me && !block_reclaim(a, offset, word)))
		stop("shoal_free(%p): not memory that shoal_alloc gave from this arena, or freed already",
		     p);
	if (!me)
		return;
	t->busy = 1;
	give(a, me, offset, &b);
	t->busy = 0;
}

/* As in alloc_quickly, for a small block; false: nothing was done. */
static ALWAYS_INLINE bool
free_quickly(shoal_arena *a, struct shoal_thread *t, struct member *me, uint64_t offset)
{
	unsigned class;
	word64 *word = slab_find(a, offset, &class);
	if (unlikely(!word || block_state(load_relaxed(word)) != BLOCK_USER))
		return false;
	t->busy = 1;
	fence_compiler();
	uint32_t count = load_relaxed(&me->magazines[class].count);
	bool has_room = count < slab_classes[class].slots;
	if (likely(has_room))
		keep(me, class, offset, word, count);
	fence_compiler();
	t->busy = 0;
	return has_room;
}

/*
 * Crash points: until the word changes, the memory is the user's as before; then it is in a
 * magazine's slot. The hand, empty before, stays empty. Without a record it is free by one step.
 */
void
shoal_free(shoal_arena *a, void *p)
{
	struct shoal_thread *t = thread_known();
	struct member *me = t && a ? member_seat(a, t) : NULL;
	if (unlikely(!me || t->busy || !free_quickly(a, t, me, arena_offset(a, p))))
		free_slow(a, p);
}
