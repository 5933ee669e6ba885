/* stat, next and check: on sound arenas, and on ones damaged in one place, or in many at random. */
#include "arena/block.h"
#include "arena/common.h"
#include "arena/object.h"
#include "base/clock.h"
#include "base/kernel.h"
#include <signal.h>

static shoal_arena *a;
static struct shoal_thread *t;
static struct member *me;

static void
begin(void)
{
	a = create(NULL, &small);
	REQUIRE_EQ(member_here(a, &t, &me), 0);
}

static shoal_arena_info
info_of(const shoal_arena *arena)
{
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(arena, &info), 0);
	return info;
}

static uint32_t
make_object(const char *name, size_t bytes)
{
	struct object_made made;
	REQUIRE_EQ(object_make(a, t, me, name, SHOAL_KIND_MEMORY, 0, CLOCK_NEVER, &made), 0);
	REQUIRE_EQ(object_body(a, t, me, made.index, bytes), 0);
	object_publish(a, me, made.index);
	return made.index;
}

/* ---- counts ---- */

Test(stat, a_new_arena_is_empty)
{
	a = create(NULL, NULL);
	shoal_arena_info info = info_of(a);
	REQUIRE_EQ(info.limit_bytes, (size_t)64 << 30);
	REQUIRE_EQ(info.taken_bytes, 0);
	REQUIRE_EQ(info.blocks, 0);
	REQUIRE_EQ(info.objects, 0);
	REQUIRE_EQ(info.members, 0);
	REQUIRE_EQ(info.members_max, 256);
	REQUIRE_EQ(info.deaths, 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

Test(stat, blocks_are_counted_until_they_are_freed)
{
	begin();
	void *p = shoal_new(a, 100), *q = shoal_new(a, 200000);
	shoal_arena_info info = info_of(a);
	REQUIRE_EQ(info.members, 1);
	REQUIRE_EQ(info.blocks, 2);
	REQUIRE(info.used_bytes >= 200100 && info.used_bytes < 300000);
	REQUIRE(info.taken_bytes >= info.used_bytes && info.taken_bytes <= info.limit_bytes);
	shoal_free(a, p);
	shoal_free(a, q);
	REQUIRE_EQ(info_of(a).blocks, 0);
	REQUIRE_EQ(info_of(a).used_bytes, 0);
	REQUIRE_EQ(info_of(a).taken_bytes, info.taken_bytes);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

static int
take_and_die(void *unused)
{
	(void)unused;
	for (int i = 0; i < 10; i++)
		shoal_free(a, shoal_new(a, 1000));
	return raise(SIGKILL);
}

Test(stat, deaths_are_counted)
{
	begin();
	expect_killed(child(take_and_die, NULL), SIGKILL, 5000);
	REQUIRE_EQ(info_of(a).members, 1);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	REQUIRE_EQ(info_of(a).deaths, 1);
	REQUIRE_EQ(info_of(a).recoveries, 1);
	REQUIRE_EQ(info_of(a).blocks, 0);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

static int
stat_without(void *unused)
{
	(void)unused;
	store_relaxed(&kernel_known_, 0);
	REQUIRE_EQ(setenv("SHOAL_WITHOUT", "waitv,pending,uring", 1), 0);
	uint32_t off = SHOAL_HAS_WAITV | SHOAL_HAS_PENDING_RULE | SHOAL_HAS_URING;
	REQUIRE_EQ(info_of(a).features & off, 0);
	return 0;
}

Test(stat, features_are_what_was_found)
{
	begin();
	REQUIRE_EQ(info_of(a).features & ~(uint32_t)SHOAL_HAS_MEMBARRIER,
	           kernel_features() & ~(uint32_t)KERNEL_MEMBARRIER);
	expect_child(child(stat_without, NULL), 0, 5000);
	shoal_arena_close(a);
}

/* ---- the list ---- */

Test(stat, next_lists_each_object_once)
{
	static const char *const names[] = { "first", "second", NULL, "fourth" };
	shoal_object_info o;
	uint64_t at = 0;
	begin();
	REQUIRE_EQ(shoal_arena_next(a, &at, &o), 0);
	uint32_t second = 0;
	for (int i = 0; i < 4; i++) {
		uint32_t index = make_object(names[i], 1000);
		second = i == 1 ? index : second;
	}
	REQUIRE_EQ(info_of(a).objects, 4);
	at = 0;
	for (int i = 0; i < 4; i++) {
		REQUIRE_EQ(shoal_arena_next(a, &at, &o), 1);
		REQUIRE_STR_EQ(o.name, names[i] ? names[i] : "");
		REQUIRE_EQ(o.kind, SHOAL_KIND_MEMORY);
		REQUIRE_EQ(o.owner, 0);
		REQUIRE(o.used_bytes >= 1000);
		char *body = shoal_deref(a, o.ref);
		REQUIRE(body && shoal_ref_of(a, body) == o.ref);
	}
	REQUIRE_EQ(shoal_arena_next(a, &at, &o), 0);
	REQUIRE_EQ(shoal_arena_next(a, &at, &o), 0);
	shoal_ref old = object_ref(a, second);
	REQUIRE_EQ(object_destroy(a, t, me, second), 0);
	REQUIRE(shoal_deref(a, old) == NULL);
	int left = 0;
	for (at = 0; shoal_arena_next(a, &at, &o) == 1; left++)
		REQUIRE(strcmp(o.name, "second") != 0);
	REQUIRE_EQ(left, 3);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

/* ---- one damage ---- */

/* The check finds it, says so in as many lines, and finds nothing once it is put right. */
static void
require_found(const char *word)
{
	char *text;
	size_t bytes;
	FILE *report = open_memstream(&text, &bytes);
	int found = shoal_arena_check(a, report);
	fclose(report);
	int lines = 0;
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	if (found < 1 || lines != found || !strstr(text, word))
		test_fail(__FILE__, __LINE__, "%d violations, not '%s': %s", found, word, text);
	REQUIRE_EQ(shoal_arena_check(a, NULL), found);
	free(text);
}

static void
damage64(word64 *word, uint64_t value, const char *said)
{
	uint64_t was = load_relaxed(word);
	store_relaxed(word, value);
	require_found(said);
	store_relaxed(word, was);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
}

static void
damage32(word32 *word, uint32_t value, const char *said)
{
	uint32_t was = load_relaxed(word);
	store_relaxed(word, value);
	require_found(said);
	store_relaxed(word, was);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
}

Test(check, a_word_that_is_wrong_is_found)
{
	begin();
	void *p = shoal_new(a, 100);
	word64 *word = block_word_at(a, arena_offset(a, p));
	damage64(word, block_word(15, 0, 0), "no state");
	damage64(word, block_word(BLOCK_FREE, 1, 0), "free block");
	damage64(word, block_word(BLOCK_HELD, 0, 0x7777), "nobody's");
	damage64(word, block_word(BLOCK_MAGAZINE, 0, 0x7777), "nobody's");
	damage64(word, block_word(BLOCK_HELD, 0, member_tag(a, me)), "none of its hands");
	damage64(word, block_word(BLOCK_MAGAZINE, 0, member_tag(a, me)), "0 slots");
	damage64(word, block_word(BLOCK_PLACE, 77, 0), "object 77");
	damage64(word, block_word(BLOCK_OBJECT, 77, 0), "object 77");
	damage64(word, block_word(BLOCK_SLAB, 0, 3), "slab page");
	shoal_arena_close(a);
}

Test(check, a_page_that_is_wrong_is_found)
{
	begin();
	void *p = shoal_new(a, 100000);
	REQUIRE(shoal_new(a, 100) != NULL);
	struct page *run = arena_page(a, page_of(a, arena_offset(a, p)));
	damage32(&run->pages, 0, "length");
	damage32(&run->pages, 0x7fffffff, "length");
	damage64(&run->word, block_word(BLOCK_SLAB, 0, 30), "slab page");
	unsigned class = slab_class_of(100);
	damage32(&a->header->slab_head[class], 0, "its list has 0");
	damage32(&a->header->slab_head[class], 5000, "leads elsewhere");
	struct page *slab = arena_page(a, load_relaxed(&a->header->slab_head[class]) - 1);
	damage32(&slab->next, load_relaxed(&a->header->slab_head[class]), "leads elsewhere");
	damage64(&a->header->pages_high, 1 << 20, "pages_high");
	shoal_arena_close(a);
}

Test(check, a_record_that_is_wrong_is_found)
{
	begin();
	struct magazine *g = &me->magazines[slab_class_of(100)];
	REQUIRE(shoal_new(a, 100) != NULL);
	REQUIRE(load_relaxed(&g->count) > 2);
	damage32(&g->count, load_relaxed(&g->count) - 1, "0 slots");
	damage32(&g->count, 1000, "1000 blocks");
	damage64(&g->slot[0], load_relaxed(&g->slot[1]), "2 slots");
	damage64(&g->slot[0], 12345, "which is not");
	damage64(&me->generation, 5, "nobody's");
	damage32(&me->process, 999, "process record");
	damage32(&me->call.object, 999999, "there is none");
	shoal_arena_close(a);
}

static int
join_and_leave(void *unused)
{
	(void)unused;
	REQUIRE(shoal_new(a, 100) != NULL);
	shoal_arena_close(a);
	return 0;
}

Test(check, a_free_record_holds_nothing)
{
	begin();
	expect_child(child(join_and_leave, NULL), 0, 5000);
	REQUIRE_EQ(load_relaxed(&a->header->members_high), 2);
	struct member *m = arena_member(a, 2);
	REQUIRE_EQ(load_relaxed(&m->life.word), 0);
	damage64(&m->hand.block, 4096, "hand");
	damage64(&m->page_hand.block, 4096, "hand");
	damage32(&m->call.object, 1, "call");
	damage32(&m->making, 1, "half-made");
	damage32(&m->loans[31].state, 1, "loan 31");
	damage32(&m->magazines[7].count, 1, "class 7");
	shoal_arena_close(a);
}

Test(check, an_object_that_is_wrong_is_found)
{
	begin();
	struct object *o = arena_object(a, make_object("one", 1000));
	struct object *two = arena_object(a, make_object("two", 1000));
	uint64_t word = load_relaxed(&o->word);
	damage64(&o->body, 0, "body");
	damage64(&o->body, a->bytes - 64, "body");
	damage64(&o->body, a->data_at + 8, "body");
	damage64(&o->body, UINT64_MAX, "body");
	damage64(&o->word, (word & ~UINT64_C(0xf0000000)) | UINT64_C(0x90000000), "state");
	damage64(&o->word, (word & ~UINT64_C(0xf0000000)), "which is none");
	uint64_t making = (word & ~UINT64_C(0xffffffff)) | OBJECT_MAKING << 28 | 0x7777;
	damage64(&o->word, making, "nobody's");
	damage32(&o->owner, 1000, "process record");
	memcpy(two->name, "one", 4);
	require_found("one name");
	memcpy(two->name, "two", 4);
	memset(two->name, 'x', NAME_BYTES);
	require_found("without an end");
	shoal_object_info info;
	for (uint64_t at = 0; shoal_arena_next(a, &at, &info) == 1;)
		REQUIRE(strlen(info.name) < 64);
	shoal_arena_close(a);
}

/* ---- much damage ---- */

static uint32_t seed;

static uint32_t
any(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)seed * below >> 32);
}

static void
look_at_all(void)
{
	shoal_arena_info info;
	shoal_object_info o;
	REQUIRE(shoal_arena_check(a, NULL) >= 0);
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	uint64_t n = 0;
	for (uint64_t at = 0; shoal_arena_next(a, &at, &o) == 1; n++)
		(void)shoal_deref(a, o.ref);
	REQUIRE(n < OBJECTS_MAX);
}

/*
 * Of the header only what changes while an arena lives is believed; a handle has its own copy of
 * the rest.
 */
static void
damage_somewhere(void)
{
	static const uint8_t bytes[] = { 0, 1, 0x7f, 0x80, 0xff };
	const uint64_t from[] = { 0, a->members_at, a->objects_at, a->pages_at, a->data_at };
	const uint32_t span[] = { 1024, 24576, 4096, 1024, 1 << 20 };
	uint32_t where = any(5);
	for (uint32_t i = any(8) + 1; i; i--)
		a->base[from[where] + any(span[where])] = (char)(any(2) ? bytes[any(5)] : any(256));
}

static int
look_at_damaged(void *arg)
{
	seed = (uint32_t)(uintptr_t)arg;
	begin();
	make_object("one", 1000);
	make_object(NULL, 100000);
	for (size_t n = 1; n < 100000; n *= 3)
		REQUIRE(shoal_new(a, n) != NULL);
	for (int i = 0; i < 150; i++) {
		damage_somewhere();
		look_at_all();
	}
	return 0;
}

Test(check, random_damage_leads_nowhere, .timeout = 60)
{
	for (uintptr_t i = 1; i <= 8; i++)
		expect_child(child(look_at_damaged, (void *)i), 0, 10000);
}
