/* Lists whose memory was overwritten: calls end, say so, and write nowhere but into the list. */
#include "data/list.h"
#include "list_common.h"
#include <pthread.h>

static struct list_top *
top_of(const struct world *w)
{
	return arena_at(w->arena, load_relaxed(&w->list->top));
}

static struct world
damaged_world(int items)
{
	struct world w = world_make();
	for (int i = 0; i < items; i++)
		REQUIRE_EQ(shoal_list_append(w.list, i % 8 ? SHOAL_ANY(i) : SHOAL_ANY("a block")), 0);
	return w;
}

/* Every call comes back, whatever it says. */
static void
try_everything(const struct world *w)
{
	shoal_list *l = w->list;
	shoal_any v;
	for (ptrdiff_t i = -3; i < 3; i++) {
		if (shoal_list_get(l, i * 40, &v) == 0)
			shoal_any_clear(&v);
		(void)shoal_list_set(l, i * 40, SHOAL_ANY(1));
		(void)shoal_list_add_int(l, i * 40, 1, NULL);
		(void)shoal_list_insert(l, i * 40, SHOAL_ANY("text"));
		if (shoal_list_pop(l, i * 40, &v) == 0)
			shoal_any_clear(&v);
	}
	if (shoal_list_snapshot(l, &v) == 0)
		shoal_any_clear(&v);
	(void)shoal_list_append(l, SHOAL_ANY("text"));
	(void)shoal_list_extend(l, SHOAL_LIST(1, 2, 3));
	(void)shoal_list_index(l, SHOAL_ANY("none"));
	(void)shoal_list_sort(l, NULL, NULL);
	(void)shoal_list_reverse(l);
	(void)shoal_list_size(l);
	(void)shoal_arena_check(w->arena, NULL);
	(void)shoal_list_clear(l);
	(void)shoal_list_destroy(w->arena, l);
	shoal_arena_close(w->arena);
}

Test(list_damage, children_that_lead_back_to_their_node)
{
	struct world w = damaged_world(200 * (int)LEAF_SLOTS);
	struct list_top *top = top_of(&w);
	REQUIRE(load_relaxed(&top->height) >= 2);
	struct node *root = arena_at(w.arena, load_relaxed(&top->root));
	for (uint32_t i = 0; i < NODE_CHILDREN; i++) {
		store_relaxed(&root->at[i].child, load_relaxed(&top->root));
		store_relaxed(&root->at[i].items, load_relaxed(&top->tree_count) / NODE_CHILDREN);
	}
	store_relaxed(&top->height, LIST_HEIGHT_MAX);
	REQUIRE(shoal_arena_check(w.arena, NULL) > 0);
	REQUIRE_EQ(shoal_list_clear(w.list), -EPROTO);
	try_everything(&w);
}

/* What is damaged is found by its blocks' own words; what it held is let go. */
Test(list_damage, its_end_gives_back_what_it_had)
{
	struct world w = damaged_world(200 * (int)LEAF_SLOTS);
	shoal_list *inner;
	shoal_arena_info info;
	REQUIRE_EQ(shoal_list_create(w.arena, NULL, NULL, &inner), 0);
	REQUIRE_EQ(shoal_list_insert(w.list, 3000, SHOAL_LIST(inner, inner)), 0);
	REQUIRE_EQ(shoal_list_destroy(w.arena, inner), 0);
	struct list_top *top = top_of(&w);
	struct node *root = arena_at(w.arena, load_relaxed(&top->root));
	store_relaxed(&root->at[1].child, load_relaxed(&top->root));
	REQUIRE_EQ(shoal_list_clear(w.list), -EPROTO);
	REQUIRE_EQ(shoal_list_destroy(w.arena, w.list), 0);
	REQUIRE_EQ(shoal_arena_check(w.arena, stderr), 0);
	REQUIRE_EQ(shoal_arena_stat(w.arena, &info), 0);
	REQUIRE_EQ(info.blocks, 0);
	REQUIRE_EQ(info.objects, 0);
	shoal_arena_close(w.arena);
}

Test(list_damage, counts_beyond_everything)
{
	static const uint64_t counts[] = { UINT64_MAX, UINT64_MAX / 8, UINT64_C(1) << 40, 100000 };
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		struct world w = damaged_world(200);
		store_relaxed(&top_of(&w)->tree_count, counts[i]);
		REQUIRE(shoal_arena_check(w.arena, NULL) > 0);
		try_everything(&w);
	}
}

/* Whatever word of the top, of a leaf or of an item it is. */
Test(list_damage, any_word_may_be_anything)
{
	uint64_t x = 88172645463325252u;
	for (int round = 0; round < 60; round++) {
		struct world w = damaged_world(200);
		struct list_top *top = top_of(&w);
		struct leaf *tail = arena_at(w.arena, load_relaxed(&top->tail));
		word64 *item = arena_at(w.arena, load_relaxed(&tail->slot[0]));
		word64 *root = arena_at(w.arena, load_relaxed(&top->root));
		word64 *at[] = { (word64 *)top, root, (word64 *)tail, item };
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		uint64_t value = round % 3 ? x >> (x % 64) : (x >> 40) & ~UINT64_C(63);
		store_relaxed(&at[round % 4][x >> 33 & 3], value);
		try_everything(&w);
	}
}

/* A tail that is not the list's is not written to. */
Test(list_damage, what_is_another_ones_stays_as_it_is)
{
	struct world w = damaged_world(10);
	uint64_t *other = shoal_new(w.arena, sizeof(struct leaf));
	memset(other, 7, sizeof(struct leaf));
	store_relaxed(&top_of(&w)->tail, arena_offset(w.arena, other));
	REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(1)), -EPROTO);
	REQUIRE_EQ(shoal_list_set(w.list, 0, SHOAL_ANY(1)), -EPROTO);
	REQUIRE_EQ(shoal_list_insert(w.list, 0, SHOAL_ANY(1)), -EPROTO);
	for (size_t i = 0; i < LEAF_SLOTS; i++)
		REQUIRE_EQ(other[i], UINT64_C(0x0707070707070707));
	shoal_free(w.arena, other);
	try_everything(&w);
}

/* ---- threads, for ThreadSanitizer ---- */

static void *
thread_works(void *arg)
{
	const struct world *w = arg;
	for (int i = 0; i < 3000; i++) {
		shoal_any v, text = i % 2 ? SHOAL_ANY("a text that has a block") : SHOAL_LIST(i, "x");
		REQUIRE_EQ(shoal_list_append(w->list, text), 0);
		REQUIRE_EQ(shoal_list_insert(w->list, i % 7, SHOAL_ANY(i)), 0);
		(void)shoal_list_set(w->list, i % 5, text);
		if (shoal_list_get(w->list, i % 90, &v) == 0)
			shoal_any_clear(&v);
		if (i % 16 == 0 && shoal_list_slice(w->list, 0, 20, &v) == 0)
			shoal_any_clear(&v);
		if (shoal_list_size(w->list) > 150)
			(void)shoal_list_clear(w->list);
	}
	return NULL;
}

Test(list_damage, threads_do_not_damage_it)
{
	struct world w = world_make();
	pthread_t thread[3];
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(pthread_create(&thread[i], NULL, thread_works, &w), 0);
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(pthread_join(thread[i], NULL), 0);
	world_end(w);
}
