#include "arena/page.h"
#include "base/clock.h"
#include "base/error.h"

#define GROW_MAX UINT64_C(64) /* pages: 4 MiB at a time */

/* An entry inside a run has no length, whatever its word was. */
static bool
is_free(const struct page *p)
{
	return load_acquire(&p->word) == block_word(BLOCK_FREE, 0, 0) && load_relaxed(&p->pages);
}

/* A length of 0 or beyond the end is corruption; the walk must end all the same. */
static uint64_t
run_pages(const struct page *p, uint64_t at, uint64_t high)
{
	uint64_t n = load_relaxed(&p->pages);
	return n && n <= high - at ? n : high - at;
}

/*
 * Joins the free runs that follow the free run at `at`. The rover may have pointed into one of
 * them.
 */
static uint64_t
merge(shoal_arena *a, uint64_t at, uint64_t high)
{
	struct page *p = arena_page(a, at);
	uint64_t n = run_pages(p, at, high);
	while (at + n < high && is_free(arena_page(a, at + n))) {
		uint64_t more = run_pages(arena_page(a, at + n), at + n, high);
		uint64_t rover = load_relaxed(&a->header->rover);
		if (rover >= at && rover < at + n + more)
			store_relaxed(&a->header->rover, at);
		fence_crash();
		store_release(&p->pages, (uint32_t)(n + more));
		n += more;
	}
	return n;
}

/* The first free run of at least `pages` in [from, to), or `to`. */
static uint64_t
find(shoal_arena *a, uint64_t from, uint64_t to, uint64_t high, uint32_t pages)
{
	for (uint64_t at = from; at < to;) {
		uint64_t n = is_free(arena_page(a, at)) ? merge(a, at, high) : 0;
		if (n >= pages)
			return at;
		at += n ? n : run_pages(arena_page(a, at), at, high);
	}
	return to;
}

/*
 * Entries inside a run are zeroed, so that an address inside a run never looks like a block of its
 * own.
 */
static void
split(shoal_arena *a, uint64_t at, uint64_t high, uint32_t pages)
{
	struct page *p = arena_page(a, at);
	uint64_t n = run_pages(p, at, high);
	for (uint64_t i = at + 1; i < at + pages; i++)
		store_relaxed(&arena_page(a, i)->pages, 0);
	if (n <= pages)
		return;
	struct page *rest = arena_page(a, at + pages);
	store_relaxed(&rest->word, block_word(BLOCK_FREE, 0, 0));
	store_relaxed(&rest->pages, (uint32_t)n - pages);
	store_release(&p->pages, pages);
}

static uint64_t
grow_by(uint64_t high, uint64_t pages)
{
	uint64_t more = high / 8 < GROW_MAX ? high / 8 : GROW_MAX;
	return more > pages ? more : pages;
}

static int
back_pages(shoal_arena *a, uint64_t high, uint64_t more)
{
	int rc = arena_back(a, a->pages_at + high * sizeof(struct page), more * sizeof(struct page));
	if (rc == 0)
		rc = arena_back(a, arena_page_offset(a, high), more << PAGE_BITS);
	return rc;
}

/* The free pages at the end of the table, which a grown run joins. */
static uint64_t
free_tail(shoal_arena *a, uint64_t high)
{
	uint64_t tail = 0;
	for (uint64_t at = 0, n; at < high; at += n) {
		n = run_pages(arena_page(a, at), at, high);
		tail = is_free(arena_page(a, at)) ? tail + n : 0;
	}
	return tail;
}

/*
 * Puts memory behind at least `pages` more pages; *end is where they end. What a failed or killed
 * attempt backed is used by the next.
 */
static int
grow(shoal_arena *a, uint64_t high, uint32_t pages, uint64_t *end)
{
	uint64_t more = grow_by(high, pages);
	if (more > a->pages_max - high)
		more = a->pages_max - high;
	if (more < pages)
		return fail(-ENOMEM,
		            "the arena's limit of %llu bytes leaves no %u free pages of 64 KiB in a row "
		            "(those cut into small blocks stay so); create it with a larger limit_bytes",
		            (unsigned long long)arena_limit(a), pages);
	int rc = back_pages(a, high, more);
	if (rc && more > pages)
		rc = back_pages(a, high, more = pages);
	if (rc)
		return rc;
	struct page *p = arena_page(a, high);
	store_relaxed(&p->word, block_word(BLOCK_FREE, 0, 0));
	store_relaxed(&p->pages, (uint32_t)more);
	*end = high + more;
	/* Pairs with arena_pages: who sees them finds their entry, and memory behind them. */
	store_release(&a->header->pages_high, *end);
	return 0;
}

/*
 * What lies ready in magazines, whoever's, is free instead: its members find that when they come to
 * take it. False: there was nothing.
 */
static bool
free_idle(shoal_arena *a, uint64_t high)
{
	bool any = false;
	for (uint64_t at = 0; at < high; at += run_pages(arena_page(a, at), at, high)) {
		struct page *p = arena_page(a, at);
		uint64_t word = load_acquire(&p->word);
		if (block_state(word) == BLOCK_MAGAZINE)
			any |= cas64_acq_rel(&p->word, word, block_word(BLOCK_FREE, 0, 0));
	}
	return any;
}

/*
 * What was found missing grows at the end; there the free pages before it make up for what the
 * limit does not allow.
 */
static int
grow_and_find(shoal_arena *a, uint64_t high, uint32_t pages, uint64_t *index, uint64_t *end)
{
	uint64_t tail = a->pages_max - high < pages ? free_tail(a, high) : 0;
	int rc = grow(a, high, tail < pages ? (uint32_t)(pages - tail) : pages, end);
	if (rc)
		return rc;
	*index = find(a, high - tail, *end, *end, pages);
	if (*index < *end)
		return 0;
	return fail(-EPROTO,
	            "the page table of arena '%s' contradicts itself: shared memory was overwritten",
	            a->name);
}

/* From the rover on, and round. False: there is none. */
static bool
find_anywhere(shoal_arena *a, uint64_t high, uint32_t pages, uint64_t *index)
{
	uint64_t rover = load_relaxed(&a->header->rover);
	if (rover > high)
		rover = 0;
	*index = find(a, rover, high, high, pages);
	if (*index < high)
		return true;
	*index = find(a, 0, rover, high, pages);
	return *index < rover;
}

/* *end is the end of the table that the run was found in. */
static int
find_or_grow(shoal_arena *a, uint32_t pages, uint64_t *index, uint64_t *end)
{
	uint64_t high = *end = arena_pages(a);
	if (find_anywhere(a, high, pages, index))
		return 0;
	struct error_kept kept;
	error_keep(&kept);
	int rc = grow_and_find(a, high, pages, index, end);
	if (likely(rc == 0) || !free_idle(a, high))
		return rc;
	error_restore(&kept);
	if (find_anywhere(a, high, pages, index))
		return 0;
	/* The free pages at the end may be more by now. */
	return grow_and_find(a, high, pages, index, end);
}

int
page_take(shoal_arena *a, struct shoal_thread *t, struct member *me, uint32_t pages,
          struct hand *hand, enum hand_kind kind, uint64_t *index)
{
	struct robust *lock = &a->header->page_lock;
	int rc = robust_take(t, lock, CLOCK_NEVER);
	if (rc == -EOWNERDEAD) {
		/* The rover is a hint that may have been about to move off a run that is merged away. */
		store_relaxed(&a->header->rover, 0);
		robust_mend(lock);
	} else if (rc) {
		return fail(rc, "the page lock of the arena cannot be taken: %s", shoal_strerror(rc));
	}
	uint64_t end;
	rc = find_or_grow(a, pages, index, &end);
	if (rc == 0) {
		split(a, *index, end, pages);
		store_relaxed(&a->header->rover, *index);
		hand_fill(hand, kind, 0, 0, arena_page_offset(a, *index));
		store_release(&arena_page(a, *index)->word,
		              block_word(BLOCK_HELD, 0, member_own_tag(me)));
	}
	robust_release(t, lock);
	return rc;
}
