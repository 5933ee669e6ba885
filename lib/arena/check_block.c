#include "arena/check.h"
#include "arena/object.h"

#define OFFSET(b) ((unsigned long long)(b)->offset)

/* ---- whom a word names ---- */

static bool
dead(const struct member *m)
{
	return load_acquire(&m->life.word) & FUTEX_DIED;
}

/*
 * One that died between its stores may have the block in two slots, or in one beyond its count:
 * recovery goes by the words. For a living one it is exactly one slot below the count, but a run,
 * which others may take, and which may come back while its old slot names it.
 */
static void
check_magazine(struct check *c, const struct block_seen *b, const struct member *m)
{
	const struct magazine *g = &m->magazines[b->class];
	uint32_t count = load_relaxed(&g->count);
	uint32_t found = 0;
	if (dead(m) || count > MAGAZINE_SLOTS)
		count = MAGAZINE_SLOTS;
	for (uint32_t i = 0; i < count; i++)
		found += load_relaxed(&g->slot[i]) == b->offset;
	if (found == 0 || (found > 1 && b->class < SMALL_CLASSES && !dead(m)))
		check_wrong(c,
		            "block 0x%llx is in member %u's magazine of class %u, in %u slots",
		            OFFSET(b), member_index(c->a, m), b->class, found);
}

static bool
has_in_hand(const struct member *m, uint64_t offset)
{
	return load_relaxed(&m->hand.block) == offset ||
	       load_relaxed(&m->page_hand.block) == offset;
}

static bool
has_on_loan(const struct member *m, uint64_t offset)
{
	for (unsigned i = 0; i < LOANS_MAX; i++)
		if (load_relaxed(&m->loans[i].state) && load_relaxed(&m->loans[i].block) == offset)
			return true;
	return false;
}

static void
check_held(struct check *c, const struct block_seen *b, const struct member *m)
{
	if (!has_in_hand(m, b->offset) && !has_on_loan(m, b->offset))
		check_wrong(c, "block 0x%llx is held by member %u, in none of its hands and loans",
		            OFFSET(b), member_index(c->a, m));
}

static void
check_members_block(struct check *c, const struct block_seen *b)
{
	const struct member *m = check_bearer(c->a, (uint32_t)block_low(b->word));
	if (!m)
		check_wrong(c, "block 0x%llx is in state %u of tag 0x%llx, which is nobody's",
		            OFFSET(b), block_state(b->word),
		            (unsigned long long)block_low(b->word));
	else if (block_state(b->word) == BLOCK_HELD)
		check_held(c, b, m);
	else if (b->class < CLASSES)
		check_magazine(c, b, m);
	else
		check_wrong(c, "run 0x%llx is in a magazine, of a length that none has", OFFSET(b));
}

static void
check_objects_block(struct check *c, const struct block_seen *b)
{
	uint32_t i = block_object(b->word);
	bool is = i && i < objects_high(c->a);
	uint64_t word = is ? load_acquire(&arena_object(c->a, i)->word) : 0;
	if (object_state(word) == OBJECT_NONE)
		check_wrong(c, "block 0x%llx belongs to object %u, which is none", OFFSET(b), i);
	else if (block_state(b->word) == BLOCK_OBJECT &&
	         load_acquire(&arena_object(c->a, i)->body) != b->offset)
		check_wrong(c,
		            "block 0x%llx says it is the body of object %u, whose body is 0x%llx",
		            OFFSET(b), i,
		            (unsigned long long)load_acquire(&arena_object(c->a, i)->body));
}

static void
check_part(struct check *c, const struct block_seen *b)
{
	uint32_t i = block_object(b->word);
	check_objects_block(c, b);
	if (c->parts && i < c->objects)
		c->parts[i]++;
}

/* ---- the walk ---- */

static void
check_slab_page(struct check *c, const struct block_seen *b)
{
	if (b->class >= SMALL_CLASSES || b->bytes != PAGE_BYTES)
		check_wrong(c, "slab page 0x%llx has class %llu and %llu bytes", OFFSET(b),
		            (unsigned long long)block_low(b->word), (unsigned long long)b->bytes);
	else
		c->slab_pages[b->class]++;
}

static void
check_block(void *arg, const struct block_seen *b)
{
	struct check *c = arg;
	switch (block_state(b->word)) {
	case BLOCK_FREE:
		if (b->word)
			check_wrong(c, "free block 0x%llx has the word 0x%llx", OFFSET(b),
			            (unsigned long long)b->word);
		break;
	case BLOCK_MAGAZINE:
	case BLOCK_HELD:
		check_members_block(c, b);
		break;
	case BLOCK_USER:
		break;
	case BLOCK_PLACE:
	case BLOCK_OBJECT:
		check_objects_block(c, b);
		break;
	case BLOCK_PART:
		check_part(c, b);
		break;
	case BLOCK_SLAB:
		check_slab_page(c, b);
		break;
	default:
		check_wrong(c, "block 0x%llx has the word 0x%llx, which is no state", OFFSET(b),
		            (unsigned long long)b->word);
	}
}

void
check_blocks(struct check *c)
{
	uint64_t high = arena_pages(c->a);
	uint64_t end = walk_blocks(c->a, check_block, c);
	if (end != high)
		check_wrong(c, "page %llu has a length of %u pages, %llu are left to the end",
		            (unsigned long long)end, load_relaxed(&arena_page(c->a, end)->pages),
		            (unsigned long long)(high - end));
}

/* A link is a page's index plus 1. As many steps as the walk met pages, so a circle ends. */
static void
check_list(struct check *c, unsigned class)
{
	uint32_t link = load_acquire(&c->a->header->slab_head[class]);
	uint32_t met = 0;
	while (link && link <= arena_pages(c->a) && met <= c->slab_pages[class]) {
		const struct page *p = arena_page(c->a, link - 1);
		uint64_t word = load_acquire(&p->word);
		if (block_state(word) != BLOCK_SLAB || block_low(word) != class)
			break;
		met++;
		link = load_acquire(&p->next);
	}
	if (link || met != c->slab_pages[class])
		check_wrong(c, "class %u has %u pages, its list has %u and %s", class,
		            c->slab_pages[class], met, link ? "leads elsewhere" : "ends");
}

void
check_slabs(struct check *c)
{
	for (unsigned class = 0; class < SMALL_CLASSES; class++)
		check_list(c, class);
}
