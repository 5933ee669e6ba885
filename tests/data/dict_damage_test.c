/* What the words of a dict lead to, when they were overwritten. */
#include "dict_common.h"

#include "data/dict_read.h"
#include <sys/resource.h>

static bool
lies_within(const shoal_arena *a, uint64_t offset, uint64_t bytes, uint64_t align)
{
	uint64_t end = arena_pages_end(a);
	return offset >= a->data_at && offset <= end && bytes <= end - offset && offset % align == 0;
}

Test(dict_damage, what_lies_beyond_memory_is_not_looked_at)
{
	struct dict_world w = dict_world(0);
	const shoal_arena *a = w.arena;
	struct dict_view unlooked = dict_view_of(a, w.dict), v = unlooked;
	uint64_t bytes[] = { 0, 1, 8, 9, 40, 64, 104, 4096, 65536, 65537, UINT64_C(1) << 33 };
	uint64_t near[] = { 0, a->data_at, arena_pages_end(a), UINT64_C(1) << 61, UINT64_C(1) << 63,
		                a->data_at + (UINT64_C(1) << 61), a->data_at + (UINT64_C(1) << 63) };
	REQUIRE(dict_read_look(&v));
	for (unsigned n = 0; n < sizeof near / sizeof *near; n++)
		for (uint64_t at = near[n] - 66000; at != near[n] + 200; at++)
			for (unsigned i = 0; i < sizeof bytes / sizeof *bytes; i++) {
				bool is = lies_within(a, at, bytes[i], 8), line = lies_within(a, at, 64, 64);
				REQUIRE_EQ(!!dict_seen(&v, at, bytes[i]), is);
				REQUIRE_EQ(!!dict_seen(&unlooked, at, bytes[i]), is);
				REQUIRE_EQ(!!dict_seen_lines(&v, at, 64), line);
				REQUIRE_EQ(!!dict_seen_lines(&unlooked, at, 64), line);
			}
	uint64_t pages = arena_pages(a);
	char value[8];
	REQUIRE_EQ(shoal_dict_get_bytes(w.dict, "k", 1, value, sizeof value), -ENOENT);
	store_relaxed(&a->header->pages_high, 0);
	REQUIRE_EQ(shoal_dict_get_bytes(w.dict, "k", 1, value, sizeof value), -EPROTO);
	store_relaxed(&a->header->pages_high, pages);
	dict_world_end(&w);
}

/* Each of the words that lead to a line leads into the midst of one. */
Test(dict_damage, what_leads_to_no_line_is_not_followed)
{
	struct dict_world w = dict_world(0);
	struct shoal_dict *d = w.dict;
	uint32_t k = 1;
	char value[8];
	REQUIRE_EQ(shoal_dict_set_bytes(d, &k, sizeof k, "v", 1), 0);
	word64 *at = &d->first.at[0], *more[FIRST];
	uint64_t was = load_relaxed(at);
	for (uint64_t by = 8; by < 64; by += 8) {
		store_relaxed(at, was + by);
		REQUIRE(shoal_dict_get_bytes(d, &k, sizeof k, value, sizeof value) < 0);
		REQUIRE(shoal_dict_set_bytes(d, &k, sizeof k, "v", 1) < 0);
	}
	/* Buckets are no nodes. */
	shoal_any all;
	store_relaxed(at, was | TREE);
	REQUIRE(shoal_dict_get_bytes(d, &k, sizeof k, value, sizeof value) < 0);
	REQUIRE(shoal_dict_set_bytes(d, &k, sizeof k, "v", 1) < 0);
	REQUIRE_EQ(shoal_dict_snapshot(d, &all), -EPROTO);
	store_relaxed(at, was);
	for (uint64_t by = 8; by < 64; by += 8) {
		for (unsigned i = 0; i < FIRST; i++) {
			more[i] = &d->buckets[i].more;
			store_relaxed(more[i], was + by);
		}
		for (k = 2; k < 100; k++) {
			REQUIRE_EQ(shoal_dict_get_bytes(d, &k, sizeof k, value, sizeof value), -ENOENT);
			(void)shoal_dict_pop_bytes(d, &k, sizeof k);
		}
	}
	for (unsigned i = 0; i < FIRST; i++)
		store_relaxed(more[i], 0);
	dict_world_end(&w);
}

/* Each slot has the same large entry, and each line leads to itself. */
Test(dict_damage, what_comes_again_is_not_gathered_for_ever)
{
	enum { LARGE = 1 << 20 };
	shoal_arena *a;
	shoal_dict *d;
	shoal_any out;
	const shoal_any *key, *value;
	shoal_cursor cursor = { 0 };
	char *text = calloc(1, LARGE);
	shoal_arena_options small = { .limit_bytes = 16 << 20 };
	REQUIRE_EQ(shoal_arena_create(NULL, &small, &a), 0);
	REQUIRE_EQ(shoal_dict_create(a, NULL, NULL, &d), 0);
	REQUIRE_EQ(shoal_dict_set(d, SHOAL_ANY("k"), shoal_any_from_bytes(text, LARGE)), 0);
	free(text);
	struct bucket *b = d->buckets;
	while (!load_relaxed(&b->slot[0]))
		b++;
	for (unsigned i = 1; i < SLOTS; i++)
		store_relaxed(&b->slot[i], load_relaxed(&b->slot[0]));
	store_relaxed(&b->more, arena_offset(a, b));
	struct rusage before, after;
	getrusage(RUSAGE_SELF, &before);
	REQUIRE_EQ(shoal_dict_snapshot(d, &out), -EPROTO);
	while (shoal_dict_next(d, &cursor, &key, &value) == 1)
		continue;
	getrusage(RUSAGE_SELF, &after);
	/* In KiB; quarantined memory of AddressSanitizer apart. */
	REQUIRE(after.ru_maxrss - before.ru_maxrss < (64 << 10) * HARNESS_SLOW * HARNESS_SLOW);
	shoal_cursor_clear(&cursor);
	shoal_arena_close(a);
}
