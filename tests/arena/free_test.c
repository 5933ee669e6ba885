/* What must not be freed, on the quick way and on the other: SIGABRT, and nothing is changed. */
#include "arena/block.h"
#include "common.h"
#include <signal.h>

static void *
take(shoal_arena *a, size_t bytes)
{
	void *p = shoal_new(a, bytes);
	REQUIRE(p);
	return p;
}

/* From here on this process knows how far the pages reach. */
static void
free_one(shoal_arena *a)
{
	shoal_free(a, take(a, 64));
	shoal_free(a, take(a, 64));
	REQUIRE_EQ(load_relaxed(&a->pages_seen), arena_pages(a));
}

static int
free_twice(void *arg)
{
	void *p = take(arg, 100);
	shoal_free(arg, p);
	shoal_free(arg, p);
	return 0;
}

static int
free_inside(void *arg)
{
	shoal_free(arg, (char *)take(arg, 100) + 16);
	return 0;
}

static int
free_foreign(void *arg)
{
	static char mine[64];
	take(arg, 64);
	shoal_free(arg, mine);
	return 0;
}

static int
free_inside_a_run(void *arg)
{
	char *p = take(arg, 1 << 20);
	shoal_free(arg, p + PAGE_BYTES);
	return 0;
}

static int
free_the_header(void *arg)
{
	shoal_arena *a = arg;
	take(a, 64);
	shoal_free(a, a->base + LINE);
	return 0;
}

static int
free_the_block_words(void *arg)
{
	shoal_arena *a = arg;
	uint64_t page = page_of(a, arena_offset(a, take(a, 64)));
	shoal_free(a, a->base + arena_page_offset(a, page) + 64);
	return 0;
}

/* Where no memory is yet. */
static int
free_behind_all(void *arg)
{
	shoal_arena *a = arg;
	take(a, 64);
	shoal_free(a, a->base + arena_page_offset(a, arena_pages(a)) + LINE);
	return 0;
}

static int
free_it(void *arg)
{
	void **p = arg;
	take(p[0], 2000);
	shoal_free(p[0], p[1]);
	return 0;
}

static int (*const wrong[])(void *) = {
	free_twice, free_inside, free_foreign, free_inside_a_run, free_the_header,
	free_the_block_words, free_behind_all,
};

Test(free, what_is_not_yours_stops_the_process)
{
	shoal_arena *a = create(NULL, NULL);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		expect_killed(child(wrong[i], a), SIGABRT, 5000);
	free_one(a);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		expect_killed(child(wrong[i], a), SIGABRT, 5000);
	REQUIRE(shoal_arena_recover(a) >= 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

/* What the page of its block says is overwritten: another state, no such class, another one. */
Test(free, a_damaged_page_has_no_blocks)
{
	shoal_arena *a = create(NULL, NULL);
	void *p = take(a, 64), *args[] = { a, p };
	word64 *word = &arena_page(a, page_of(a, arena_offset(a, p)))->word;
	uint64_t whole = load_relaxed(word);
	const uint64_t damage[] = {
		block_word(BLOCK_USER, 0, 2), block_word(BLOCK_SLAB, 0, SMALL_CLASSES),
		block_word(BLOCK_SLAB, 0, 31), block_word(BLOCK_SLAB, 0, UINT32_MAX),
		block_word(BLOCK_SLAB, 0, 9), UINT64_MAX,
	};
	free_one(a);
	for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
		store_relaxed(word, damage[i]);
		expect_killed(child(free_it, args), SIGABRT, 5000);
	}
	store_relaxed(word, whole);
	shoal_free(a, p);
	REQUIRE(shoal_arena_recover(a) >= 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

/* Another handle in the same place knows nothing of what the one before had looked up. */
Test(free, each_handle_looks_for_itself)
{
	shoal_arena *a = create(NULL, NULL);
	unsigned seat = a->seat;
	free_one(a);
	shoal_arena_close(a);
	a = create(NULL, NULL);
	REQUIRE_EQ(a->seat, seat);
	REQUIRE_EQ(load_relaxed(&a->pages_seen), 0);
	shoal_arena_close(a);
}
