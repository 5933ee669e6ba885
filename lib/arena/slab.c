#include "arena/slab.h"
#include "base/error.h"
#include <string.h>

#define HINT_FULL UINT32_MAX

/* Steps of at most a quarter; the largest fill the page without a rest. */
const struct slab_class slab_classes[SMALL_CLASSES] = {
	SLAB_CLASS(16),   SLAB_CLASS(32),   SLAB_CLASS(64),    SLAB_CLASS(128),   SLAB_CLASS(192),
	SLAB_CLASS(256),  SLAB_CLASS(320),  SLAB_CLASS(384),   SLAB_CLASS(448),   SLAB_CLASS(512),
	SLAB_CLASS(640),  SLAB_CLASS(768),  SLAB_CLASS(896),   SLAB_CLASS(1024),  SLAB_CLASS(1280),
	SLAB_CLASS(1536), SLAB_CLASS(1792), SLAB_CLASS(2048),  SLAB_CLASS(2560),  SLAB_CLASS(3072),
	SLAB_CLASS(3584), SLAB_CLASS(4096), SLAB_CLASS(5120),  SLAB_CLASS(6144),  SLAB_CLASS(8192),
	SLAB_CLASS(10880), SLAB_CLASS(13056), SLAB_CLASS(16256), SLAB_CLASS(21760), SLAB_CLASS(32640),
};

/* Up to here the classes are 16, 32 and the multiples of 64. */
#define REGULAR 512u

unsigned
slab_class_of(size_t bytes)
{
	if (bytes <= REGULAR)
		return bytes <= 32 ? bytes > 16 : (unsigned)(2 + (bytes - 1) / 64);
	unsigned low = 10, high = SMALL_CLASSES - 1;
	while (low < high) {
		unsigned middle = (low + high) / 2;
		if (slab_classes[middle].bytes < bytes)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static word32 *
hint_of(const shoal_arena *a, uint64_t page)
{
	return arena_at(a, arena_page_offset(a, page));
}

/*
 * Takes free blocks of one page into the magazine, which has `count`, and gives how many it has
 * then. The slot is written before the word, so a death in between leaves a block that is free, or
 * one that recovery finds in the slot.
 */
static uint32_t
take_from(shoal_arena *a, struct member *me, unsigned class, uint64_t page, uint32_t from,
          uint32_t count, uint32_t want)
{
	const struct slab_class *c = &slab_classes[class];
	struct magazine *g = &me->magazines[class];
	word64 *words = slab_words(a, page);
	uint64_t mine = block_word(BLOCK_MAGAZINE, 0, member_own_tag(me));
	uint64_t base = arena_page_offset(a, page) + c->blocks_at;
	uint32_t i = from < c->count ? from : 0;
	store_relaxed(hint_of(a, page), HINT_FULL);
	for (uint32_t n = 0; n < c->count && count < want; n++, i = i + 1 < c->count ? i + 1 : 0) {
		if (load_relaxed(&words[i]) != 0)
			continue;
		store_relaxed(&g->slot[count], base + (uint64_t)i * c->bytes);
		fence_crash();
		if (!cas64_acq_rel(&words[i], 0, mine))
			continue;
		store_relaxed(&g->count, ++count);
	}
	if (count == want)
		store_relaxed(hint_of(a, page), i);
	return count;
}

static bool
is_slab(const shoal_arena *a, uint64_t page, unsigned class)
{
	uint64_t word = load_acquire(&arena_page(a, page)->word);
	return block_state(word) == BLOCK_SLAB && block_low(word) == class;
}

/*
 * The pages of the class, newest first; `all`: whatever their hints say. A link to another page is
 * damage, and ends the list, as a circle does in the end.
 */
static bool
take_from_any(shoal_arena *a, struct member *me, unsigned class, bool all)
{
	uint32_t want = slab_classes[class].slots / 2u + 1, count = 0;
	uint64_t high = arena_pages(a);
	uint64_t steps = 0;
	uint32_t link = load_acquire(&a->header->slab_head[class]);
	while (link && link <= high && steps++ < high && is_slab(a, link - 1, class)) {
		uint64_t page = link - 1;
		uint32_t hint = load_relaxed(hint_of(a, page));
		if (all || hint != HINT_FULL)
			count = take_from(a, me, class, page, hint == HINT_FULL ? 0 : hint, count, want);
		if (count >= want)
			break;
		link = load_acquire(&arena_page(a, page)->next);
	}
	return count > 0;
}

/* Links hold the page's index plus 1, so that 0 ends the list. */
static void
push_page(shoal_arena *a, uint64_t page, unsigned class)
{
	word32 *head = &a->header->slab_head[class];
	uint32_t seen;
	do {
		seen = load_acquire(head);
		store_relaxed(&arena_page(a, page)->next, seen);
	} while (!cas32_acq_rel(head, seen, (uint32_t)page + 1));
}

/*
 * Crash points: until its word says SLAB the run is HELD(me) and the hand gives it back; from then
 * on whoever recovers me looks whether it is on the list, and pushes it if not (slab_adopt).
 */
static int
add_page(shoal_arena *a, struct shoal_thread *t, struct member *me, unsigned class)
{
	uint64_t page;
	int rc = page_take(a, t, me, 1, &me->page_hand, HAND_PAGE, &page);
	if (rc)
		return rc;
	memset(arena_at(a, arena_page_offset(a, page)), 0, slab_classes[class].blocks_at);
	store_release(&arena_page(a, page)->word, block_word(BLOCK_SLAB, member_index(a, me), class));
	push_page(a, page, class);
	hand_clear(&me->page_hand);
	fetch_add_relaxed(&a->header->slab_pages[class], 1);
	return 0;
}

/* 1: the magazine has some. 0: others were faster. Or why there are none. */
static int
refill_or_add(shoal_arena *a, struct shoal_thread *t, struct member *me, unsigned class)
{
	struct error_kept kept;
	error_keep(&kept);
	int rc = add_page(a, t, me, class);
	if (likely(rc == 0))
		return take_from_any(a, me, class, false);
	if (!take_from_any(a, me, class, true))
		return rc;
	error_restore(&kept);
	return 1;
}

/* Others may empty a new page before this one comes to it; not for ever. */
#define REFILL_TRIES 1000

int
slab_refill(shoal_arena *a, struct shoal_thread *t, struct member *me, unsigned class)
{
	for (int tries = 0; tries < REFILL_TRIES; tries++) {
		uint32_t pages = load_relaxed(&a->header->slab_pages[class]);
		/* Hints may hide free blocks: before the pages double, each is looked at. */
		bool all = (pages & (pages - 1)) == 0;
		if (take_from_any(a, me, class, all))
			return 0;
		int rc = refill_or_add(a, t, me, class);
		if (rc)
			return rc < 0 ? rc : 0;
	}
	return fail(-EPROTO, "arena '%s' gives no block of %u bytes: shared memory was overwritten",
	            a->name, slab_classes[class].bytes);
}

void
slab_note_free(shoal_arena *a, uint64_t offset, unsigned class)
{
	store_relaxed(hint_of(a, page_of(a, offset)), slab_index(a, offset, class));
}

/*
 * Only what the dead one itself made a slab page: it may also have died before the run was its own,
 * and another member made it one, which is about to push it.
 */
void
slab_adopt(shoal_arena *a, const struct member *dead, uint64_t offset)
{
	uint64_t page = page_of(a, offset), high = arena_pages(a);
	if (offset < a->data_at || page >= high)
		return;
	uint64_t word = load_acquire(&arena_page(a, page)->word);
	unsigned class = (unsigned)block_low(word);
	if (block_state(word) != BLOCK_SLAB || class >= SMALL_CLASSES ||
	    block_object(word) != member_index(a, dead))
		return;
	uint32_t link = load_acquire(&a->header->slab_head[class]);
	for (uint64_t steps = 0; link && link <= high && steps < high; steps++) {
		if (link == page + 1)
			return;
		link = load_acquire(&arena_page(a, link - 1)->next);
	}
	push_page(a, page, class);
}

static bool
find_small(const shoal_arena *a, uint64_t offset, struct block_found *out)
{
	if (out->class >= SMALL_CLASSES)
		return false;
	out->word = slab_word_at(a, offset, out->class);
	out->bytes = slab_classes[out->class].bytes;
	return out->word;
}

unsigned
slab_class_of_run(uint64_t pages)
{
	for (unsigned i = 0; i < RUN_CLASSES; i++)
		if (pages == 1u << i)
			return SMALL_CLASSES + i;
	return CLASSES;
}

/* In a run the entries behind the first have no length. */
bool
block_around(const shoal_arena *a, uint64_t offset, struct block_found *out)
{
	uint64_t page = page_of(a, offset);
	if (page >= arena_pages(a))
		return false;
	while (page > 0 && !load_relaxed(&arena_page(a, page)->pages))
		page--;
	uint64_t start = arena_page_offset(a, page);
	uint64_t word = load_acquire(&arena_page(a, page)->word);
	if (block_state(word) == BLOCK_SLAB) {
		const struct slab_class *c = &slab_classes[block_low(word) % SMALL_CLASSES];
		uint64_t rest = offset - start - c->blocks_at;
		if (offset - start < c->blocks_at)
			return false;
		start += c->blocks_at + rest / c->bytes * c->bytes;
	}
	return block_find(a, start, out) && offset - start < out->bytes;
}

bool
block_find(const shoal_arena *a, uint64_t offset, struct block_found *out)
{
	uint64_t page = page_of(a, offset);
	if (page >= arena_pages(a))
		return false;
	struct page *p = arena_page(a, page);
	uint64_t word = load_acquire(&p->word);
	if (likely(block_state(word) == BLOCK_SLAB)) {
		out->class = (unsigned)block_low(word);
		return find_small(a, offset, out);
	}
	uint32_t pages = load_relaxed(&p->pages);
	*out = (struct block_found){ &p->word, slab_class_of_run(pages), (uint64_t)pages << PAGE_BITS };
	return pages && pages <= a->pages_max - page && offset == arena_page_offset(a, page);
}
