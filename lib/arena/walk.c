#include "arena/walk.h"

uint32_t
walk_members(const shoal_arena *a)
{
	uint32_t high = load_acquire(&a->header->members_high);
	return high < a->members_max ? high : a->members_max;
}

static void
visit_slab(const shoal_arena *a, uint64_t page, unsigned class, walk_visit *visit, void *arg)
{
	const struct slab_class *c = &slab_classes[class];
	const word64 *words = slab_words(a, page);
	uint64_t at = arena_page_offset(a, page) + c->blocks_at;
	for (uint32_t i = 0; i < c->count; i++, at += c->bytes) {
		struct block_seen b = { at, c->bytes, load_acquire(&words[i]), class };
		visit(arg, &b);
	}
}

uint64_t
walk_blocks(const shoal_arena *a, walk_visit *visit, void *arg)
{
	uint64_t at = 0, high = arena_pages(a);
	while (at < high) {
		const struct page *p = arena_page(a, at);
		uint64_t word = load_acquire(&p->word);
		uint64_t pages = load_acquire(&p->pages);
		if (pages == 0 || pages > high - at)
			break;
		uint64_t offset = arena_page_offset(a, at);
		struct block_seen b = { offset, pages << PAGE_BITS, word, slab_class_of_run(pages) };
		bool slab = block_state(word) == BLOCK_SLAB;
		if (slab)
			b.class = block_low(word) < SMALL_CLASSES ? (unsigned)block_low(word)
			                                          : CLASSES;
		visit(arg, &b);
		if (slab && b.class < SMALL_CLASSES)
			visit_slab(a, at, b.class, visit, arg);
		at += pages;
	}
	return at;
}
