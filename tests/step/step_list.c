/*
 * Calls on lists, killed and stopped at each instruction. The list is as it was before the call, or
 * as it is after it; everybody else goes on with it.
 */
#include <stdio.h>
#include <string.h>

#include "arena_world.h"
#include "harness.h"

#include <shoal/data.h>

enum { LEAF = 64, ITEMS_MAX = 400, TIMEOUT = 2000 };

/* Some ints are too large for a slot and lie in blocks; item i is this one. */
static int64_t
item(int i)
{
	return i % 5 == 0 ? (INT64_C(1) << 61) + i : i;
}

struct model {
	int64_t item[ITEMS_MAX];
	int count;
};

static void
model_insert(struct model *m, int at, int64_t value)
{
	memmove(m->item + at + 1, m->item + at, (size_t)(m->count - at) * sizeof *m->item);
	m->item[at] = value;
	m->count++;
}

static void
model_remove(struct model *m, int at)
{
	m->count--;
	memmove(m->item + at, m->item + at + 1, (size_t)(m->count - at) * sizeof *m->item);
}

/* What a case's list has, what its call does, and what an array would do. */
struct shape {
	int items;   /* added first, all at once */
	int removed; /* then taken from the end */
	int at;      /* what the call is about */
	int (*call)(shoal_list *, int at);
	void (*model)(struct model *, int at);
};

static const struct shape *
shape_of(const struct step_world *w)
{
	return w->of->shape;
}

static struct model
model_before(const struct shape *s)
{
	struct model m = { .count = s->items - s->removed };
	for (int i = 0; i < m.count; i++)
		m.item[i] = item(i);
	return m;
}

static void
fill(struct step_world *w, shoal_list *list, int count)
{
	shoal_any items[ITEMS_MAX];
	for (int i = 0; i < count; i++)
		items[i] = SHOAL_ANY(item(i));
	int rc = shoal_list_extend(list, shoal_any_from_items(items, (size_t)count));
	STEP_REQUIRE(w, rc == 0, "extend: %d, %s", rc, shoal_error());
}

static void
setup(struct step_world *w)
{
	const struct shape *s = shape_of(w);
	shoal_list *list;
	arena_world(w);
	int rc = shoal_list_create(w->arena, "list", NULL, &list);
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
	w->object[0] = list;
	fill(w, list, s->items);
	for (int i = 0; i < s->removed; i++)
		STEP_REQUIRE(w, shoal_list_pop(list, -1, NULL) == 0, "pop: %s", shoal_error());
}

static void
op(struct step_world *w)
{
	step_mine(w)->result = shape_of(w)->call(w->object[0], shape_of(w)->at);
}

static bool
is_model(const shoal_any *list, const struct model *m)
{
	if (list->count != (size_t)m->count)
		return false;
	for (int i = 0; i < m->count; i++)
		if (shoal_any_int(shoal_any_at(list, (size_t)i), 0) != m->item[i])
			return false;
	return true;
}

static void
demand_moment(struct step_world *w, const shoal_any *all)
{
	const struct step_part *part = &w->part[STEP_VICTIM];
	struct model before = model_before(shape_of(w)), after = before;
	shape_of(w)->model(&after, shape_of(w)->at);
	bool is_after = is_model(all, &after), is_before = is_model(all, &before);
	STEP_REQUIRE(w, is_after || is_before, "%zu items, neither as before nor as after", all->count);
	STEP_REQUIRE(w, is_after || !part->done, "the call returned, and has not happened");
	STEP_REQUIRE(w, !part->done || part->result == 0, "the call returned %lld",
	             (long long)part->result);
}

/* In the end it is empty, so that what it has left over shows. */
static void
check(struct step_world *w)
{
	shoal_any all;
	int rc;
	STEP_WITHIN(w, "snapshot", rc = shoal_list_snapshot(w->object[0], &all));
	STEP_REQUIRE(w, rc == 0, "snapshot: %d, %s", rc, shoal_error());
	demand_moment(w, &all);
	STEP_REQUIRE(w, shoal_list_size(w->object[0]) == all.count, "its size is another");
	shoal_any_clear(&all);
	STEP_WITHIN(w, "append", rc = shoal_list_append(w->object[0], SHOAL_ANY("the last")));
	STEP_REQUIRE(w, rc == 0, "append: %d, %s", rc, shoal_error());
	STEP_WITHIN(w, "clear", rc = shoal_list_clear(w->object[0]));
	STEP_REQUIRE(w, rc == 0, "clear: %d, %s", rc, shoal_error());
}

/* Each adds an item of its own and takes it out again, so that in the end nothing has changed. */
static void
crowd(struct step_world *w)
{
	shoal_list *list = w->object[0];
	shoal_any mine = SHOAL_ANY(1000 + (int)step_me), got;
	int rc;
	arena_join(w);
	step_meet(w, 2);
	STEP_WITHIN(w, "append", rc = shoal_list_append(list, mine));
	STEP_REQUIRE(w, rc == 0, "append: %d, %s", rc, shoal_error());
	STEP_WITHIN(w, "get", rc = shoal_list_get(list, -1, &got));
	STEP_REQUIRE(w, rc == 0, "get: %d, %s", rc, shoal_error());
	shoal_any_clear(&got);
	STEP_WITHIN(w, "remove", rc = shoal_list_remove(list, mine));
	STEP_REQUIRE(w, rc == 0, "remove: %d, %s", rc, shoal_error());
}


static bool
try_get(struct step_world *w, int64_t ns)
{
	int64_t began = step_now();
	shoal_any got = SHOAL_NIL;
	for (int i = 0; i < 3; i++) {
		int rc = shoal_list_get(w->object[0], i, &got);
		STEP_REQUIRE(w, rc == 0 || rc == -ENOENT, "get: %d, %s", rc, shoal_error());
		if (rc == 0)
			shoal_any_clear(&got);
	}
	(void)shoal_list_size(w->object[0]);
	/* To let go what was inside one with lists in it may have to wait. */
	bool is_plain = shape_of(w);
	int rc = is_plain ? shoal_list_snapshot(w->object[0], &got) : 0;
	bool held = step_now() - began > ns;
	STEP_REQUIRE(w, rc == 0, "snapshot: %d, %s", rc, shoal_error());
	if (is_plain)
		demand_moment(w, &got);
	shoal_any_clear(&got);
	return held;
}

/* ---- the calls ---- */

static int call_append(shoal_list *l, int at) { return shoal_list_append(l, SHOAL_ANY(item(at))); }
static void model_append(struct model *m, int at) { model_insert(m, m->count, item(at)); }
static int call_pop(shoal_list *l, int at) { return shoal_list_pop(l, at, NULL); }
static void model_pop(struct model *m, int at) { model_remove(m, at < 0 ? m->count + at : at); }

static int
call_pop_value(shoal_list *l, int at)
{
	shoal_any v;
	int rc = shoal_list_pop(l, at, &v);
	shoal_any_clear(&v);
	return rc;
}

static int
call_insert(shoal_list *l, int at)
{
	return shoal_list_insert(l, at, SHOAL_ANY(item(350)));
}

static void model_insert_one(struct model *m, int at) { model_insert(m, at, item(350)); }
static int call_set(shoal_list *l, int at) { return shoal_list_set(l, at, SHOAL_ANY(item(350))); }
static void model_set(struct model *m, int at) { m->item[at] = item(350); }
static int call_set_small(shoal_list *l, int at) { return shoal_list_set(l, at, SHOAL_ANY(7)); }
static void model_set_small(struct model *m, int at) { m->item[at] = 7; }
static int call_add(shoal_list *l, int at) { return shoal_list_add_int(l, at, 3, NULL); }
static void model_add(struct model *m, int at) { m->item[at] += 3; }
static int call_remove_at(shoal_list *l, int at) { return shoal_list_remove_at(l, at); }
static int call_remove(shoal_list *l, int at) { return shoal_list_remove(l, SHOAL_ANY(item(at))); }
static int call_reverse(shoal_list *l, int at) { (void)at; return shoal_list_reverse(l); }
static int call_clear(shoal_list *l, int at) { (void)at; return shoal_list_clear(l); }

static void
model_reverse(struct model *m, int at)
{
	(void)at;
	for (int i = 0; i < m->count / 2; i++) {
		int64_t v = m->item[i];
		m->item[i] = m->item[m->count - 1 - i];
		m->item[m->count - 1 - i] = v;
	}
}

static void
model_clear(struct model *m, int at)
{
	(void)at;
	m->count = 0;
}

static int
call_extend(shoal_list *l, int at)
{
	shoal_any items[ITEMS_MAX];
	for (int i = 0; i < at; i++)
		items[i] = SHOAL_ANY(item(200 + i));
	return shoal_list_extend(l, shoal_any_from_items(items, (size_t)at));
}

static void
model_extend(struct model *m, int at)
{
	for (int i = 0; i < at; i++)
		model_insert(m, m->count, item(200 + i));
}

static int
downwards(const shoal_any *a, const shoal_any *b, void *arg)
{
	int64_t x = shoal_any_int(a, 0), y = shoal_any_int(b, 0);
	(void)arg;
	return (x < y) - (x > y);
}

static int
call_sort(shoal_list *l, int at)
{
	(void)at;
	return shoal_list_sort(l, downwards, NULL);
}

static void
model_sort(struct model *m, int at)
{
	(void)at;
	for (int i = 1; i < m->count; i++)
		for (int j = i; j > 0 && m->item[j] > m->item[j - 1]; j--) {
			int64_t v = m->item[j];
			m->item[j] = m->item[j - 1];
			m->item[j - 1] = v;
		}
}

/* All that only reads, one after the other. */
static int
call_read(shoal_list *l, int at)
{
	shoal_any v;
	int rc = shoal_list_get(l, at, &v);
	if (rc == 0)
		shoal_any_clear(&v);
	if (rc == 0)
		rc = shoal_list_slice(l, 0, 3, &v);
	if (rc == 0)
		shoal_any_clear(&v);
	if (rc == 0 && shoal_list_index(l, SHOAL_ANY(item(at))) != at)
		rc = -1;
	if (rc == 0 && shoal_list_count(l, SHOAL_ANY(item(at))) != 1)
		rc = -2;
	return rc;
}

static int
call_snapshot(shoal_list *l, int at)
{
	shoal_any v;
	int rc = shoal_list_snapshot(l, &v);
	if (rc == 0 && shoal_any_int(shoal_any_at(&v, (size_t)at), 0) != item(at))
		rc = -1;
	shoal_any_clear(&v);
	return rc;
}

static int
call_print(shoal_list *l, int at)
{
	char text[4000];
	FILE *to = fmemopen(text, sizeof text, "w");
	(void)at;
	int rc = to ? shoal_list_print(l, to) : -1;
	if (to)
		fclose(to);
	return rc;
}

static int
call_size(shoal_list *l, int at)
{
	return shoal_list_size(l) == (size_t)at ? 0 : -1;
}

static void
model_read(struct model *m, int at)
{
	(void)m;
	(void)at;
}

#define LIST_CASE(name_, items_, removed_, at_, call_, model_) \
	static const struct shape shape_##name_ = { items_, removed_, at_, call_, model_ }; \
	STEP_CASE(list, name_, .shape = &shape_##name_, .setup = setup, .prepare = arena_join, \
	  .op = op, .check = check, .crowd = crowd, .audit = arena_audit, .meet_prepare = arena_join, \
	  .meet = { meet_recover, meet_recover }, \
	  .role = { { "others", try_others }, { "get", try_get } })

LIST_CASE(append_first, 0, 0, 1, call_append, model_append)
LIST_CASE(append, 10, 0, 11, call_append, model_append)
LIST_CASE(append_block, 10, 0, 10, call_append, model_append)
LIST_CASE(append_to_full_tail, LEAF, 0, 100, call_append, model_append)
LIST_CASE(append_to_tree, 3 * LEAF, 0, 1, call_append, model_append)
LIST_CASE(pop, 10, 0, -1, call_pop, model_pop)
LIST_CASE(pop_block, 11, 0, -1, call_pop_value, model_pop)
LIST_CASE(pop_from_tree, 2 * LEAF + 1, 1, -1, call_pop_value, model_pop)
LIST_CASE(pop_last_leaf, LEAF + 1, 1, -1, call_pop, model_pop)
LIST_CASE(pop_front, 2 * LEAF + 5, 0, 0, call_pop, model_pop)
LIST_CASE(remove_at, 10, 0, 5, call_remove_at, model_pop)
LIST_CASE(remove, 10, 0, 5, call_remove, model_pop)
LIST_CASE(insert_in_tail, 10, 0, 3, call_insert, model_insert_one)
LIST_CASE(insert_in_full_tail, LEAF, 0, 3, call_insert, model_insert_one)
LIST_CASE(insert_in_tree, 2 * LEAF + 5, 0, 70, call_insert, model_insert_one)
LIST_CASE(set, 10, 0, 5, call_set, model_set)
LIST_CASE(set_small, 10, 0, 5, call_set_small, model_set_small)
LIST_CASE(set_in_tree, 2 * LEAF, 0, 4, call_set, model_set)
LIST_CASE(add_int, 10, 0, 4, call_add, model_add)
LIST_CASE(add_int_block, 10, 0, 5, call_add, model_add)
LIST_CASE(extend, 60, 0, 20, call_extend, model_extend)
LIST_CASE(reverse, LEAF + 6, 0, 0, call_reverse, model_reverse)
LIST_CASE(sort, 20, 0, 0, call_sort, model_sort)
LIST_CASE(clear, 2 * LEAF + 5, 0, 0, call_clear, model_clear)
LIST_CASE(read, LEAF + 5, 0, 5, call_read, model_read)
LIST_CASE(snapshot, LEAF + 5, 0, 5, call_snapshot, model_read)
LIST_CASE(print, 10, 0, 5, call_print, model_read)
LIST_CASE(size, 10, 0, 10, call_size, model_read)

/* ---- lists within lists: references counted, dropped, pinned ---- */

/* object[0]: the outer one; object[1]: one inside it, which its maker has destroyed. */
static void
setup_nested(struct step_world *w)
{
	shoal_list *outer, *inner;
	arena_world(w);
	STEP_REQUIRE(w, shoal_list_create(w->arena, "list", NULL, &outer) == 0, "%s", shoal_error());
	STEP_REQUIRE(w, shoal_list_create(w->arena, "inner", NULL, &inner) == 0, "%s", shoal_error());
	STEP_REQUIRE(w, shoal_list_append(inner, SHOAL_ANY(item(5))) == 0, "%s", shoal_error());
	STEP_REQUIRE(w, shoal_list_append(outer, SHOAL_LIST(inner, inner)) == 0, "%s", shoal_error());
	STEP_REQUIRE(w, shoal_list_destroy(w->arena, inner) == 0, "%s", shoal_error());
	w->object[0] = outer;
	w->object[1] = inner;
}

/* The inner list is whole as long as the outer one has it, and gone afterwards. */
static void
check_nested(struct step_world *w)
{
	shoal_any first, v;
	int rc;
	STEP_WITHIN(w, "get", rc = shoal_list_get(w->object[0], 0, &first));
	STEP_REQUIRE(w, rc == 0 || rc == -ENOENT, "get: %d, %s", rc, shoal_error());
	STEP_REQUIRE(w, rc == 0 || w->part[STEP_VICTIM].extra, "the item is not there any more");
	if (rc == 0 && first.kind != SHOAL_ANY_INT) {
		const shoal_any *inner = first.kind == SHOAL_ANY_LIST ? shoal_any_at(&first, 0) : &first;
		STEP_WITHIN(w, "get", rc = shoal_list_get(shoal_any_to_list(inner), 0, &v));
		STEP_REQUIRE(w, rc == 0 && shoal_any_int(&v, 0) == item(5), "what is inside is lost: %d",
		             rc);
	}
	if (rc == 0)
		shoal_any_clear(&first);
	STEP_WITHIN(w, "clear", rc = shoal_list_clear(w->object[0]));
	STEP_REQUIRE(w, rc == 0, "clear: %d, %s", rc, shoal_error());
}

static void
nested_append_op(struct step_world *w)
{
	step_mine(w)->result = shoal_list_append(w->object[0], SHOAL_ANY((shoal_list *)w->object[1]));
}

static void
nested_set_op(struct step_world *w)
{
	step_mine(w)->result = shoal_list_set(w->object[0], 0, SHOAL_ANY(1));
}

static void
nested_clear_op(struct step_world *w)
{
	step_mine(w)->extra = 1;
	step_mine(w)->result = shoal_list_clear(w->object[0]);
}

static void
nested_get_op(struct step_world *w)
{
	shoal_any v;
	step_mine(w)->result = shoal_list_get(w->object[0], 0, &v);
	shoal_any_clear(&v);
}

static void
nested_pop_op(struct step_world *w)
{
	shoal_any v;
	step_mine(w)->extra = 1;
	step_mine(w)->result = shoal_list_pop(w->object[0], 0, &v);
	shoal_any_clear(&v);
}

#define NESTED_CASE(name_) \
	STEP_CASE(list, nested_##name_, .setup = setup_nested, .prepare = arena_join, \
	  .op = nested_##name_##_op, .check = check_nested, .audit = arena_audit, \
	  .meet_prepare = arena_join, .meet = { meet_recover, meet_recover }, \
	  .role = { { "others", try_others }, { "get", try_get } })

NESTED_CASE(append)
NESTED_CASE(set)
NESTED_CASE(clear)
NESTED_CASE(get)
NESTED_CASE(pop)
