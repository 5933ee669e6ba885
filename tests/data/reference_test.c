#include "data/reference.h"
#include "arena/object.h"
#include "arena/pin.h"
#include "data/cell.h"
#include "harness.h"
#include <pthread.h>
#include <shoal/shoal.h>
#include <string.h>

static shoal_arena *arena;
static shoal_queue *queue;
static shoal_pipe_end *left, *right;

static void
set_up(void)
{
	shoal_arena_options options = { .limit_bytes = 16 << 20, .members_max = 16 };
	REQUIRE_EQ(shoal_arena_create(NULL, &options, &arena), 0);
	REQUIRE_EQ(shoal_queue_create(arena, "jobs", NULL, &queue), 0);
	REQUIRE_EQ(shoal_pipe_create(arena, NULL, NULL, &left, &right), 0);
}

static void
tear_down(void)
{
	REQUIRE_EQ(shoal_arena_check(arena, stderr), 0);
	shoal_arena_close(arena);
}

static uint32_t
index_of(const void *body, uint32_t kind)
{
	return object_of_body(arena, body, kind);
}

static bool
is_pinned(uint32_t object)
{
	pin_barrier(arena);
	pin_filter(arena, &object, 1);
	return object & PIN_FOUND;
}

static int
through(shoal_any v, struct cell *c, shoal_any *out)
{
	_Alignas(8) char bytes[256];
	int rc = cell_of(arena, &v, c);
	if (rc)
		return rc;
	REQUIRE(c->bytes <= sizeof bytes);
	cell_write(&v, c, bytes);
	return cell_read(arena, c, bytes, out);
}

Test(reference, an_object_goes_into_a_cell_and_comes_out_pinned)
{
	struct cell c;
	shoal_any out;
	set_up();
	uint32_t index = index_of(queue, SHOAL_KIND_QUEUE);
	REQUIRE(!is_pinned(index));
	REQUIRE_EQ(through(SHOAL_ANY(queue), &c, &out), 0);
	REQUIRE_EQ(c.bytes, 8);
	REQUIRE_EQ(c.refs, 1);
	REQUIRE(shoal_any_to_queue(&out) == queue);
	REQUIRE(is_pinned(index));
	shoal_any_clear(&out);
	REQUIRE(!is_pinned(index));
	shoal_any_clear(&out);
	tear_down();
}

Test(reference, both_ends_of_a_pipe_are_told_apart)
{
	struct cell c;
	shoal_any out;
	set_up();
	REQUIRE_EQ(through(SHOAL_LIST(left, right, right), &c, &out), 0);
	REQUIRE_EQ(c.refs, 3);
	REQUIRE(out.as.items[0].as.object == left);
	REQUIRE(out.as.items[1].as.object == right);
	REQUIRE(shoal_any_equal(&out.as.items[1], &out.as.items[2]));
	REQUIRE(!shoal_any_equal(&out.as.items[0], &out.as.items[1]));
	REQUIRE(is_pinned(index_of(left, SHOAL_KIND_PIPE)));
	shoal_any_clear(&out);
	REQUIRE(!is_pinned(index_of(left, SHOAL_KIND_PIPE)));
	tear_down();
}

Test(reference, a_copy_pins_for_itself)
{
	shoal_any v, copy, again;
	set_up();
	uint32_t index = index_of(queue, SHOAL_KIND_QUEUE);
	v = SHOAL_MAP("q", queue, "more", SHOAL_LIST(queue));
	REQUIRE_EQ(shoal_any_copy(&v, &copy), 0);
	REQUIRE_EQ(shoal_any_copy(shoal_any_find(&copy, "q"), &again), 0);
	shoal_any_clear(&copy);
	REQUIRE(is_pinned(index));
	REQUIRE(shoal_any_to_queue(&again) == queue);
	shoal_any_clear(&again);
	REQUIRE(!is_pinned(index));
	tear_down();
}

/* ---- whose pin ---- */

static void *
get_in_thread(void *out)
{
	shoal_any v = SHOAL_ANY(queue);
	REQUIRE_EQ(shoal_any_copy(&v, out), 0);
	return NULL;
}

static void *
clear_in_thread(void *v)
{
	shoal_any_clear(v);
	return NULL;
}

static void
in_thread(void *run(void *), shoal_any *arg)
{
	pthread_t thread;
	REQUIRE_EQ(pthread_create(&thread, NULL, run, arg), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
}

/* Its pin went with the thread that got it; this one's is another. */
Test(reference, what_an_ended_thread_got_clears_no_other_pin)
{
	shoal_any theirs, mine;
	set_up();
	uint32_t index = index_of(queue, SHOAL_KIND_QUEUE);
	in_thread(get_in_thread, &theirs);
	REQUIRE(!is_pinned(index));
	get_in_thread(&mine);
	shoal_any_clear(&theirs);
	REQUIRE(is_pinned(index));
	shoal_any_clear(&mine);
	REQUIRE(!is_pinned(index));
	tear_down();
}

struct holder {
	shoal_any theirs, mine;
	uint32_t object;
};

static void *
clear_of_the_record_before(void *arg)
{
	struct holder *h = arg;
	get_in_thread(&h->mine);
	shoal_any_clear(&h->theirs);
	REQUIRE(is_pinned(h->object));
	shoal_any_clear(&h->mine);
	REQUIRE(!is_pinned(h->object));
	return NULL;
}

/* Nor one in the record that was its own. */
Test(reference, what_an_ended_thread_got_clears_no_pin_in_the_next_ones_record)
{
	struct holder h;
	pthread_t thread;
	set_up();
	h.object = index_of(queue, SHOAL_KIND_QUEUE);
	in_thread(get_in_thread, &h.theirs);
	REQUIRE_EQ(pthread_create(&thread, NULL, clear_of_the_record_before, &h), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	tear_down();
}

Test(reference, a_living_thread_clears_what_another_one_got)
{
	shoal_any mine, other;
	set_up();
	uint32_t index = index_of(queue, SHOAL_KIND_QUEUE);
	get_in_thread(&mine);
	get_in_thread(&other);
	in_thread(clear_in_thread, &mine);
	REQUIRE(is_pinned(index));
	in_thread(clear_in_thread, &other);
	REQUIRE(!is_pinned(index));
	tear_down();
}

static int
clear_the_parents(void *parents)
{
	shoal_any mine;
	get_in_thread(&mine);
	shoal_any_clear(parents);
	struct shoal_thread *t;
	struct member *me;
	REQUIRE_EQ(member_here(arena, &t, &me), 0);
	REQUIRE(load_relaxed(arena_pins(arena, member_index(arena, me))) != 0);
	shoal_any_clear(&mine);
	REQUIRE_EQ(load_relaxed(arena_pins(arena, member_index(arena, me))), 0);
	return 0;
}

Test(reference, a_forked_child_clears_only_its_own)
{
	shoal_any mine;
	set_up();
	get_in_thread(&mine);
	expect_child(child(clear_the_parents, &mine), 0, 5000);
	REQUIRE(is_pinned(index_of(queue, SHOAL_KIND_QUEUE)));
	shoal_any_clear(&mine);
	REQUIRE(!is_pinned(index_of(queue, SHOAL_KIND_QUEUE)));
	tear_down();
}

/* Arenas of one size come to lie at one address, one after the other. */
Test(reference, what_a_closed_arena_gave_clears_no_pin_of_the_next)
{
	shoal_any old, now;
	set_up();
	const void *was = queue;
	get_in_thread(&old);
	tear_down();
	set_up();
	REQUIRE(queue == was);
	get_in_thread(&now);
	shoal_any_clear(&old);
	REQUIRE(is_pinned(index_of(queue, SHOAL_KIND_QUEUE)));
	shoal_any_clear(&now);
	tear_down();
}

Test(reference, those_inside_are_found_in_their_order)
{
	_Alignas(8) char bytes[256];
	struct cell c;
	shoal_ref refs[4] = { 0 };
	set_up();
	shoal_ref q = shoal_ref_of(arena, queue), p = shoal_ref_of(arena, left);
	shoal_any v = SHOAL_MAP("a", queue, "b", SHOAL_LIST(1, right, SHOAL_LIST(queue)));
	REQUIRE_EQ(cell_of(arena, &v, &c), 0);
	cell_write(&v, &c, bytes);
	REQUIRE_EQ(cell_refs(&c, bytes, refs, 4, 0), 3);
	REQUIRE(refs[0] == q && refs[1] == p && refs[2] == q);
	REQUIRE_EQ(cell_refs(&c, bytes, refs, 1, 1), 1);
	REQUIRE(refs[0] == p);
	REQUIRE_EQ(cell_refs(&c, bytes, refs, 4, 3), 0);
	v = SHOAL_ANY(right);
	REQUIRE_EQ(cell_of(arena, &v, &c), 0);
	cell_write(&v, &c, bytes);
	REQUIRE_EQ(cell_refs(&c, bytes, refs, 4, 0), 1);
	REQUIRE(refs[0] == p);
	REQUIRE_EQ(cell_refs(&c, bytes, refs, 4, 1), 0);
	tear_down();
}

Test(reference, objects_of_another_arena_are_refused)
{
	shoal_arena *other;
	struct cell c;
	set_up();
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &other), 0);
	shoal_any v = SHOAL_LIST(1, queue);
	REQUIRE_EQ(cell_of(other, &v, &c), -EINVAL);
	REQUIRE(strstr(shoal_error(), "not of arena"));
	REQUIRE_EQ(cell_of(NULL, &v, &c), -EINVAL);
	v = SHOAL_ANY((shoal_list *)(void *)queue);
	REQUIRE_EQ(cell_of(arena, &v, &c), -EINVAL);
	char bytes[64];
	v = SHOAL_LIST(queue);
	REQUIRE_EQ(shoal_any_encode(&v, bytes, sizeof bytes), -EINVAL);
	shoal_arena_close(other);
	tear_down();
}

Test(reference, what_was_destroyed_is_gone)
{
	_Alignas(8) char bytes[64];
	struct cell c;
	shoal_any out = SHOAL_ANY(77), v;
	set_up();
	uint32_t index = index_of(queue, SHOAL_KIND_QUEUE);
	v = SHOAL_LIST(left, queue, right);
	REQUIRE_EQ(cell_of(arena, &v, &c), 0);
	cell_write(&v, &c, bytes);
	REQUIRE_EQ(shoal_queue_destroy(arena, queue), 0);
	REQUIRE_EQ(cell_of(arena, &v, &c), -EINVAL);
	c = (struct cell){ .kind = SHOAL_ANY_LIST, .bytes = 43, .refs = 3, .nodes = 3 };
	REQUIRE_EQ(cell_read(arena, &c, bytes, &out), -ENOENT);
	REQUIRE_EQ(out.as.integer, 77);
	REQUIRE(!is_pinned(index));
	REQUIRE(!is_pinned(index_of(left, SHOAL_KIND_PIPE)));
	tear_down();
}

/* ---- containers whose items refer to what was destroyed ---- */

static shoal_list *list;
static shoal_dict *dict;

/* The second item is the queue's, the third has an end of the pipe in it; and both are gone. */
static void
fill_and_destroy(void)
{
	REQUIRE_EQ(shoal_list_create(arena, NULL, NULL, &list), 0);
	REQUIRE_EQ(shoal_dict_create(arena, NULL, NULL, &dict), 0);
	shoal_any item[] = { SHOAL_ANY(5), SHOAL_ANY(queue), SHOAL_LIST(right, 7), SHOAL_ANY("last") };
	for (int i = 0; i < 4; i++) {
		REQUIRE_EQ(shoal_list_append(list, item[i]), 0);
		REQUIRE_EQ(shoal_dict_set(dict, SHOAL_ANY(i), item[i]), 0);
	}
	REQUIRE_EQ(shoal_queue_destroy(arena, queue), 0);
	REQUIRE_EQ(shoal_pipe_destroy(arena, left), 0);
}

static void
expect_gone(int rc)
{
	REQUIRE_EQ(rc, -ENOENT);
	REQUIRE(strstr(shoal_error(), "a queue or pipe, reference 0x"));
}

static void
expect_items(const shoal_any *item, size_t step)
{
	shoal_any with_nil = SHOAL_LIST(SHOAL_NIL, 7);
	REQUIRE_EQ(shoal_any_int(&item[0], 0), 5);
	REQUIRE_EQ(item[step].kind, SHOAL_ANY_NIL);
	REQUIRE(shoal_any_equal(&item[2 * step], &with_nil));
	REQUIRE_STR_EQ(item[3 * step].as.string, "last");
}

Test(reference, a_list_whose_items_are_gone_is_whole)
{
	shoal_any out;
	set_up();
	fill_and_destroy();
	expect_gone(shoal_list_get(list, 1, &out));
	expect_gone(shoal_list_get(list, 2, &out));
	expect_gone(shoal_list_pop(list, 1, &out));
	REQUIRE_EQ(out.kind, SHOAL_ANY_NIL);
	REQUIRE_EQ(shoal_list_index(list, SHOAL_ANY("last")), 3);
	REQUIRE_EQ(shoal_list_count(list, SHOAL_ANY(5)), 1);
	REQUIRE_EQ(shoal_list_snapshot(list, &out), 0);
	expect_items(out.as.items, 1);
	shoal_any_clear(&out);
	REQUIRE_EQ(shoal_list_extend(list, SHOAL_ANY(list)), 0);
	REQUIRE_EQ(shoal_list_get(list, 5, &out), 0);
	REQUIRE_EQ(out.kind, SHOAL_ANY_NIL);
	REQUIRE_EQ(shoal_list_remove(list, SHOAL_ANY("last")), 0);
	REQUIRE_EQ(shoal_list_pop(list, 1, NULL), 0);
	REQUIRE_EQ(shoal_list_set(list, 1, SHOAL_ANY(6)), 0);
	REQUIRE_EQ(shoal_list_size(list), 6);
	tear_down();
}

Test(reference, a_dict_whose_values_are_gone_is_whole)
{
	const shoal_any *key, *value;
	shoal_cursor cursor = { 0 };
	shoal_any out, popped;
	int items = 0;
	set_up();
	fill_and_destroy();
	expect_gone(shoal_dict_get(dict, SHOAL_ANY(1), &out));
	expect_gone(shoal_dict_get(dict, SHOAL_ANY(2), &out));
	expect_gone(shoal_dict_pop(dict, SHOAL_ANY(1), &out));
	REQUIRE(shoal_dict_has(dict, SHOAL_ANY(1)));
	REQUIRE_EQ(shoal_dict_snapshot(dict, &out), 0);
	expect_items(out.as.items + 1, 2);
	shoal_any_clear(&out);
	while (shoal_dict_next(dict, &cursor, &key, &value) == 1)
		items++;
	REQUIRE_EQ(items, 4);
	REQUIRE_EQ(shoal_dict_pop(dict, SHOAL_ANY(3), NULL), 0);
	REQUIRE_EQ(shoal_dict_pop(dict, SHOAL_ANY(2), NULL), 0);
	REQUIRE_EQ(shoal_dict_popitem(dict, &out, &popped), 0);
	REQUIRE_EQ(shoal_any_int(&out, 0), 1);
	REQUIRE_EQ(popped.kind, SHOAL_ANY_NIL);
	REQUIRE_EQ(shoal_dict_get(dict, SHOAL_ANY(1), &out), -ENOENT);
	REQUIRE_STR_EQ(shoal_error(), "the dict has no such key");
	tear_down();
}

/* Each byte in each way: an error or some value, and no pin stays. */
Test(reference, damaged_ones_leave_no_pin)
{
	_Alignas(8) char bytes[64];
	struct cell c;
	shoal_any v, out;
	set_up();
	v = SHOAL_LIST(queue, SHOAL_LIST(queue, 1));
	REQUIRE_EQ(cell_of(arena, &v, &c), 0);
	cell_write(&v, &c, bytes);
	for (uint32_t i = 0; i < c.bytes; i++)
		for (unsigned x = 1; x < 256; x++) {
			bytes[i] ^= (char)x;
			if (cell_read(arena, &c, bytes, &out) == 0)
				shoal_any_clear(&out);
			bytes[i] ^= (char)x;
			REQUIRE(!is_pinned(index_of(queue, SHOAL_KIND_QUEUE)));
		}
	/* Too few nodes: what was pinned before that is seen goes too. */
	c.nodes--;
	REQUIRE_EQ(cell_read(arena, &c, bytes, &out), -EPROTO);
	REQUIRE(!is_pinned(index_of(queue, SHOAL_KIND_QUEUE)));
	tear_down();
}

/* One that no container ever had. */
static void
outlives_its_maker(void *body, uint32_t kind, shoal_any v)
{
	shoal_any kept;
	shoal_arena_info info;
	uint32_t index = index_of(body, kind);
	REQUIRE_EQ(shoal_any_copy(&v, &kept), 0);
	REQUIRE_EQ(kind == SHOAL_KIND_LIST ? shoal_list_destroy(arena, body)
	                                   : shoal_dict_destroy(arena, body), 0);
	REQUIRE_EQ(index_of(body, kind), index);
	if (kind == SHOAL_KIND_LIST)
		REQUIRE_EQ(shoal_list_append(shoal_any_to_list(&kept), SHOAL_ANY(1)), 0);
	else
		REQUIRE_EQ(shoal_dict_set(shoal_any_to_dict(&kept), SHOAL_ANY(1), SHOAL_ANY(1)), 0);
	REQUIRE_EQ(shoal_arena_check(arena, stderr), 0);
	shoal_any_clear(&kept);
	REQUIRE_EQ(shoal_arena_stat(arena, &info), 0);
	REQUIRE_EQ(info.blocks, 0);
}

Test(reference, a_copy_keeps_what_its_maker_destroys)
{
	shoal_list *l;
	shoal_dict *d;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &arena), 0);
	REQUIRE_EQ(shoal_list_create(arena, NULL, NULL, &l), 0);
	outlives_its_maker(l, SHOAL_KIND_LIST, SHOAL_ANY(l));
	REQUIRE_EQ(shoal_dict_create(arena, NULL, NULL, &d), 0);
	outlives_its_maker(d, SHOAL_KIND_DICT, SHOAL_ANY(d));
	tear_down();
}

/* Counted and dropped by a walk or two over the value, not by one for each. */
Test(reference, a_value_of_many_references_goes_as_it_came)
{
	enum { MANY = 20000 };
	shoal_list *l;
	shoal_dict *d;
	shoal_any *items = malloc(MANY * sizeof *items);
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &arena), 0);
	REQUIRE_EQ(shoal_list_create(arena, NULL, NULL, &l), 0);
	REQUIRE_EQ(shoal_dict_create(arena, NULL, NULL, &d), 0);
	REQUIRE_EQ(shoal_queue_create(arena, NULL, NULL, &queue), 0);
	for (int i = 0; i < MANY; i++)
		items[i] = SHOAL_ANY(queue);
	int64_t began = fair_ns();
	REQUIRE_EQ(shoal_dict_set(d, SHOAL_ANY("all"), shoal_any_from_items(items, MANY)), 0);
	REQUIRE_EQ(shoal_list_append(l, shoal_any_from_items(items, MANY)), 0);
	REQUIRE_EQ(shoal_dict_pop(d, SHOAL_ANY("all"), NULL), 0);
	REQUIRE_EQ(shoal_list_remove_at(l, 0), 0);
	REQUIRE(fair_ns() - began < SHOAL_SEC(2) * HARNESS_SLOW);
	free(items);
	tear_down();
}
