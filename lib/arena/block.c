#include "arena/block.h"
#include "base/error.h"
#include <string.h>

#define RUN_LARGEST 16u /* pages: longer runs have no magazine */

static const uint8_t run_slots[RUN_CLASSES] = { 8, 8, 4, 4, 4 };

static uint32_t
slots(unsigned class)
{
	if (class >= SMALL_CLASSES)
		return run_slots[class - SMALL_CLASSES];
	return slab_classes[class].bytes <= 1024 ? MAGAZINE_SLOTS : 8;
}

/* The class for a length: CLASSES when it needs a run without magazine, of *pages. */
static ALWAYS_INLINE unsigned
class_of(size_t bytes, uint32_t *pages)
{
	if (likely(bytes <= SLAB_LARGEST))
		return slab_class_of(bytes);
	*pages = (uint32_t)((bytes + PAGE_BYTES - 1) >> PAGE_BITS);
	for (unsigned i = 0; i < RUN_CLASSES; i++)
		if (*pages <= 1u << i) {
			*pages = 1u << i;
			return SMALL_CLASSES + i;
		}
	return CLASSES;
}

/*
 * Crash points: until the word changes, the block is MAGAZINE(m) in a slot, whatever count says;
 * then it is what the word says, and the hand names it.
 */
static inline uint64_t
pop(struct shoal_arena *a, struct member *me, unsigned class, word64 **word)
{
	struct magazine *g = &me->magazines[class];
	uint64_t offset = load_relaxed(&g->slot[load_relaxed(&g->count) - 1]);
	hand_fill(&me->hand, HAND_TAKE, 0, 0, offset);
	*word = block_word_of(a, offset, class);
	return offset;
}

static inline void
popped(struct member *me, unsigned class, word64 *word, enum block_state state)
{
	struct magazine *g = &me->magazines[class];
	fence_crash();
	store_release(word, block_word(state, 0, member_own_tag(me)));
	store_relaxed(&g->count, load_relaxed(&g->count) - 1);
}

/*
 * A magazine with something in it for the length; CLASSES when there is none and it needs a run of
 * *pages.
 */
static ALWAYS_INLINE int
stock(shoal_arena *a, struct shoal_thread *t, struct member *me, size_t bytes, unsigned *class,
      uint32_t *pages)
{
	if (unlikely(bytes > a->bytes))
		return fail(-ENOMEM, "%zu bytes are more than the arena's limit of %llu", bytes,
		            (unsigned long long)a->bytes);
	*class = class_of(bytes ? bytes : 1, pages);
	/* A count that shared memory has wrong is none. */
	if (likely(*class < CLASSES &&
	           load_relaxed(&me->magazines[*class].count) - 1 < MAGAZINE_SLOTS))
		return 0;
	if (*class < SMALL_CLASSES)
		return slab_refill(a, t, me, *class);
	*class = CLASSES;
	return 0;
}

/* A run. What lies in my own magazines may be what is missing between two free ones. */
static int
take_run(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t pages,
         uint64_t *offset)
{
	uint64_t page;
	int rc = page_take(a, t, me, pages, &me->hand, HAND_TAKE, &page);
	if (unlikely(rc)) {
		block_empty_magazines(a, me, member_own_tag(me));
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
	word64 *word;
	int rc = stock(a, t, me, bytes, &class, &pages);
	if (unlikely(rc))
		return rc;
	if (likely(class < CLASSES)) {
		*offset = pop(a, me, class, &word);
		popped(me, class, word, BLOCK_HELD);
		return 0;
	}
	return take_run(a, t, me, pages, offset);
}

static void
note_free(shoal_arena *a, uint64_t offset, unsigned class)
{
	if (class < SMALL_CLASSES)
		slab_note_free(a, offset, class);
}

/* The older half goes back, so that what one member frees another one can take. */
static void
flush_half(shoal_arena *a, struct member *me, unsigned class)
{
	struct magazine *g = &me->magazines[class];
	uint32_t count = load_relaxed(&g->count);
	if (count > MAGAZINE_SLOTS)
		count = MAGAZINE_SLOTS;
	uint32_t half = (count + 1) / 2;
	for (uint32_t i = 0; i < half; i++) {
		uint64_t offset = load_relaxed(&g->slot[i]);
		store_release(block_word_of(a, offset, class), block_word(BLOCK_FREE, 0, 0));
		note_free(a, offset, class);
	}
	/*
	 * Between these stores a block may stand in two slots: its word, and a CAS from it, counts it
	 * once.
	 */
	for (uint32_t i = half; i < count; i++)
		store_relaxed(&g->slot[i - half], load_relaxed(&g->slot[i]));
	store_relaxed(&g->count, count - half);
}

static ALWAYS_INLINE void
give(shoal_arena *a, struct member *me, uint64_t offset, struct block_found b)
{
	if (unlikely(b.class == CLASSES)) {
		store_release(b.word, block_word(BLOCK_FREE, 0, 0));
		hand_clear(&me->hand);
		return;
	}
	struct magazine *g = &me->magazines[b.class];
	if (unlikely(load_relaxed(&g->count) >= slots(b.class)))
		flush_half(a, me, b.class);
	uint32_t count = load_relaxed(&g->count);
	store_relaxed(&g->slot[count], offset);
	fence_crash();
	store_release(b.word, block_word(BLOCK_MAGAZINE, 0, member_own_tag(me)));
	store_relaxed(&g->count, count + 1);
	hand_clear(&me->hand);
}

void
block_give(shoal_arena *a, struct member *me, uint64_t offset)
{
	struct block_found b;
	if (unlikely(!block_find(a, offset, &b)))
		stop("offset %#llx of arena '%s' is no block: shared memory was overwritten",
		     (unsigned long long)offset, a->name);
	give(a, me, offset, b);
}

size_t
block_bytes(const shoal_arena *a, uint64_t offset)
{
	struct block_found b;
	if (!block_find(a, offset, &b))
		return 0;
	if (b.class < SMALL_CLASSES)
		return slab_classes[b.class].bytes;
	return (size_t)load_relaxed(&arena_page(a, page_of(a, offset))->pages) << PAGE_BITS;
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

/* What fits a vector register of either machine. */
typedef uint64_t vector_16 __attribute__((vector_size(16)));

/* Blocks of up to a line are multiples of 16: a few stores, for most of what is allocated. */
static inline void *
zeroed(void *block, size_t bytes)
{
	vector_16 *v = block;
	if (bytes > LINE)
		return memset(block, 0, bytes);
	v[0] = (vector_16){ 0 };
	if (bytes > 16)
		v[1] = (vector_16){ 0 };
	if (bytes > 32)
		v[2] = v[3] = (vector_16){ 0 };
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
	word64 *word;
	int rc = stock(a, t, me, bytes, &class, &pages);
	if (unlikely(rc))
		return rc;
	if (likely(class < CLASSES)) {
		*out = zeroed(arena_at(a, pop(a, me, class, &word)), bytes);
		popped(me, class, word, BLOCK_USER);
	} else {
		uint64_t offset;
		rc = take_run(a, t, me, pages, &offset);
		if (rc)
			return rc;
		*out = memset(arena_at(a, offset), 0, bytes);
		store_release(&arena_page(a, page_of(a, offset))->word,
		              block_word(BLOCK_USER, 0, member_own_tag(me)));
	}
	hand_clear(&me->hand);
	return 0;
}

int
shoal_alloc(shoal_arena *a, size_t bytes, void **out)
{
	struct shoal_thread *t;
	struct member *me;
	*out = NULL;
	int rc = member_here(a, &t, &me);
	if (unlikely(rc))
		return rc;
	if (unlikely(t->busy))
		return fail(-EDEADLK, "shoal_alloc was called by a signal handler inside another call");
	t->busy = 1;
	rc = alloc(a, t, me, bytes, out);
	t->busy = 0;
	return rc;
}

void *
shoal_new(shoal_arena *a, size_t bytes)
{
	void *p;
	return shoal_alloc(a, bytes, &p) ? NULL : p;
}

/*
 * Crash points: until the word changes, the memory is the user's as before; then it is in a
 * magazine's slot. The hand, empty before, stays empty.
 */
void
shoal_free(shoal_arena *a, void *p)
{
	if (!p)
		return;
	struct shoal_thread *t;
	struct member *me;
	if (member_here(a, &t, &me))
		stop("shoal_free: %s", shoal_error());
	struct block_found b;
	if (!arena_holds(a, p) || !block_find(a, arena_offset(a, p), &b) ||
	    block_state(load_relaxed(b.word)) != BLOCK_USER)
		stop("shoal_free(%p): not memory that shoal_alloc gave from this arena, or freed already",
		     p);
	if (t->busy)
		stop("shoal_free(%p) in a signal handler that interrupted another call", p);
	t->busy = 1;
	give(a, me, arena_offset(a, p), b);
	t->busy = 0;
}
