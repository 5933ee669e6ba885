/* References in containers and messages, and the objects that they keep. */
#include "referred.h"
#include <shoal/queue.h>

Test(hold, what_is_held_stays_without_its_name)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *v = new_value(a, "v", 7), *other;
	uint32_t i = index_of(a, v, SHOAL_KIND_VALUE);
	shoal_ref ref = shoal_ref_of(a, v);
	word32 *counted = new_progress(a);
	REQUIRE_EQ(hold(a, i, 1, counted, 1), 0);
	REQUIRE_EQ(load_relaxed(counted), 1);
	REQUIRE_EQ(shoal_value_destroy(a, v), 0);
	REQUIRE_FAILS(shoal_value_open(a, "v", SHOAL_NOWAIT, &other), -ENOENT, "v");
	REQUIRE_EQ(shoal_value_add_int(v, 1), 8);
	REQUIRE_EQ(shoal_value_at(a, ref, &other), 0);
	REQUIRE(other == v);
	REQUIRE_FAILS(shoal_value_destroy(a, v), -ENOENT, "destroyed");
	other = new_value(a, "v", 1);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_object_info o;
	for (uint64_t at = 0; shoal_arena_next(a, &at, &o) == 1;)
		REQUIRE_STR_EQ(o.name, o.ref == ref ? "" : "v");

	REQUIRE_EQ(hold(a, i, -1, counted, 0), 0);
	REQUIRE_EQ(load_relaxed(counted), 0);
	sweep(a);
	REQUIRE_EQ(state_of(a, i), OBJECT_NONE);
	REQUIRE_EQ(shoal_value_at(a, ref, &v), -ENOENT);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

Test(hold, held_and_let_go_again_it_is_its_makers)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *v = new_value(a, "v", 7);
	uint32_t i = index_of(a, v, SHOAL_KIND_VALUE);
	word32 *counted = new_progress(a);
	REQUIRE_EQ(hold(a, i, 1, counted, 1), 0);
	REQUIRE_EQ(hold(a, i, 1, counted, 2), 0);
	REQUIRE_EQ(holds_of(a, i), 2);
	REQUIRE_EQ(hold(a, i, -1, counted, 1), 0);
	REQUIRE_EQ(hold(a, i, -1, counted, 0), 0);
	sweep(a);
	REQUIRE_EQ(state_of(a, i), OBJECT_READY);
	REQUIRE_EQ(shoal_value_destroy(a, v), 0);
	REQUIRE_EQ(state_of(a, i), OBJECT_NONE);
	shoal_arena_close(a);
}

Test(hold, what_cannot_be_changes_nothing)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *v = new_value(a, "v", 7);
	uint32_t i = index_of(a, v, SHOAL_KIND_VALUE);
	word32 *counted = new_progress(a);
	word32 outside = { 0 };
	REQUIRE_EQ(hold(a, i, 1, counted, 2), -EAGAIN);
	REQUIRE_EQ(hold(a, i, -1, counted, 0), -EAGAIN);
	store_relaxed(counted, 1);
	REQUIRE_FAILS(hold(a, i, -1, counted, 0), -EPROTO, "fewer");
	REQUIRE_EQ(hold(a, i, 1, &outside, 1), -EPROTO);
	REQUIRE_EQ(hold(a, 0, 1, counted, 2), -EPROTO);
	REQUIRE_EQ(hold(a, 1 << 20, 1, counted, 2), -EPROTO);
	REQUIRE_EQ(holds_of(a, i), 0);
	REQUIRE_EQ(shoal_value_destroy(a, v), 0);
	REQUIRE_FAILS(hold(a, i, 1, counted, 2), -ENOENT, "destroyed");
	REQUIRE_EQ(load_relaxed(counted), 1);
	shoal_arena_close(a);
}

/* A queue does not last: it ends at once, but its entry is no other's while it is referred to. */
Test(hold, a_destroyed_queue_keeps_its_entry)
{
	shoal_arena *a = create(NULL, &small);
	shoal_queue *q;
	REQUIRE_EQ(shoal_queue_create(a, "q", NULL, &q), 0);
	uint32_t i = index_of(a, q, SHOAL_KIND_QUEUE), found;
	shoal_ref ref = shoal_ref_of(a, q);
	word32 *counted = new_progress(a);
	REQUIRE_EQ(hold(a, i, 1, counted, 1), 0);
	REQUIRE_EQ(shoal_queue_destroy(a, q), 0);
	REQUIRE_EQ(state_of(a, i), OBJECT_DYING);
	REQUIRE_EQ(shoal_queue_at(a, ref, &q), -ENOENT);
	REQUIRE_EQ(hold_object(a, ref, &found), 0);
	REQUIRE_EQ(found, i);
	REQUIRE_EQ(hold(a, i, -1, counted, 0), 0);
	sweep(a);
	REQUIRE_EQ(state_of(a, i), OBJECT_NONE);
	REQUIRE_EQ(hold_object(a, ref, &found), -ENOENT);
	REQUIRE_EQ(shoal_arena_check(a, stderr), 0);
	shoal_arena_close(a);
}

/* ---- deaths ---- */

struct scene {
	shoal_arena *a;
	uint32_t object;
	word32 *counted;
	uint32_t parts; /* of the change that the dead one has done */
};

/* Killed in the middle of a hold_change from 0 to 1. */
static int
die_holding(void *arg)
{
	const struct scene *s = arg;
	struct here h = here(s->a);
	struct hold_intent *i = &s->a->header->intent;
	REQUIRE_EQ(hold_lock(s->a, h.t, INT64_MAX), 0);
	store_relaxed(&i->progress_at, arena_offset(s->a, s->counted));
	store_relaxed(&i->progress, 1);
	store_relaxed(&i->object, s->object);
	store_relaxed(&i->holds, 1);
	if (s->parts > 0)
		store_release(&i->open, 1);
	if (s->parts > 1)
		store_relaxed(&arena_object(s->a, s->object)->holds, 1);
	if (s->parts > 2)
		store_relaxed(s->counted, 1);
	raise(SIGKILL);
	return 0;
}

Test(hold, what_a_dead_one_began_is_done_once)
{
	for (uint32_t parts = 0; parts < 4; parts++) {
		shoal_arena *a = create(NULL, &small);
		shoal_value *v = new_value(a, NULL, 7);
		struct scene s = { a, index_of(a, v, SHOAL_KIND_VALUE), new_progress(a), parts };
		expect_killed(child(die_holding, &s), SIGKILL, 5000);
		hold_settle(a, here(a).t);
		REQUIRE_EQ(load_relaxed(s.counted), parts > 0);
		REQUIRE_EQ(holds_of(a, s.object), parts > 0);
		uint32_t n = load_relaxed(s.counted);
		REQUIRE_EQ(hold(a, s.object, 1, s.counted, n + 1), 0);
		REQUIRE_EQ(holds_of(a, s.object), n + 1);
		shoal_arena_close(a);
	}
}

/* Its recovery does it before anybody looks at what else it had. */
Test(hold, recovery_settles)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *v = new_value(a, NULL, 7);
	struct scene s = { a, index_of(a, v, SHOAL_KIND_VALUE), new_progress(a), 2 };
	expect_killed(child(die_holding, &s), SIGKILL, 5000);
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	REQUIRE_EQ(load_relaxed(s.counted), 1);
	REQUIRE_EQ(load_relaxed(&a->header->hold_lock.word), 0);
	shoal_arena_close(a);
}

/* It dies after the store that makes the object due, before it noted it. */
static int
die_letting_go(void *arg)
{
	const struct scene *s = arg;
	REQUIRE_EQ(hold(s->a, s->object, -1, s->counted, 0), 0);
	store_seq_cst(&s->a->header->dying, 0);
	raise(SIGKILL);
	return 0;
}

Test(hold, recovery_finds_what_was_not_noted)
{
	shoal_arena *a = create(NULL, &small);
	shoal_value *v = new_value(a, NULL, 7);
	struct scene s = { a, index_of(a, v, SHOAL_KIND_VALUE), new_progress(a), 0 };
	REQUIRE_EQ(hold(a, s.object, 1, s.counted, 1), 0);
	REQUIRE_EQ(shoal_value_destroy(a, v), 0);
	expect_killed(child(die_letting_go, &s), SIGKILL, 5000);
	sweep(a);
	REQUIRE_EQ(state_of(a, s.object), OBJECT_KEPT);
	REQUIRE_EQ(shoal_arena_recover(a), 1);
	REQUIRE_EQ(state_of(a, s.object), OBJECT_NONE);
	shoal_arena_close(a);
}

/* ---- many ---- */

/* Making one costs the same whether there are few others or many. */
Test(hold, many_objects_are_made_fast)
{
	enum { ALL = 60000, SOME = 5000 };
	shoal_arena *a = create(NULL, NULL);
	int64_t first = 0, last = 0;
	for (int round = 0; round < ALL / SOME; round++) {
		int64_t fair = fair_ns(), began = now_ns();
		for (int i = 0; i < SOME; i++)
			new_value(a, NULL, i);
		last = fair_ns() - fair;
		if (round == 0)
			first = now_ns() - began;
	}
	fprintf(stderr, "%d objects: the first %d in %lld us, the last in %lld us\n", ALL, SOME,
	        (long long)first / 1000, (long long)last / 1000);
	REQUIRE(last < 8 * first + SHOAL_MS(50));
	shoal_arena_info info;
	REQUIRE_EQ(shoal_arena_stat(a, &info), 0);
	REQUIRE_EQ(info.objects, ALL);
	shoal_arena_close(a);
}
