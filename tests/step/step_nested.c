/*
 * Containers in dicts, dicts that are made with room and destroyed with something in them: killed
 * and stopped at each instruction.
 */
#include "arena_world.h"
#include "data/dict.h"
#include "harness.h"

#include <shoal/data.h>

/* object[0]: a dict; object[1]: a list that only the dict has; object[2]: one with a name. */

enum {
	ITEM = 4711,
	RESERVE = 200,
	KEYS = 12
};

static shoal_dict *
dict_of(struct step_world *w)
{
	return w->object[0];
}

static shoal_list *
list_of(struct step_world *w, const char *name)
{
	shoal_list *list;
	STEP_REQUIRE(w, shoal_list_create(w->arena, name, NULL, &list) == 0, "%s", shoal_error());
	STEP_REQUIRE(w, shoal_list_append(list, SHOAL_ANY(ITEM)) == 0, "%s", shoal_error());
	return list;
}

static void
setup(struct step_world *w)
{
	shoal_dict **d = (shoal_dict **)&w->object[0];
	arena_world(w);
	STEP_REQUIRE(w, shoal_dict_create(w->arena, "dict", NULL, d) == 0, "%s", shoal_error());
	((struct shoal_dict *)*d)->seed = 1;
	for (int i = 0; i < KEYS; i++)
		STEP_REQUIRE(w, shoal_dict_set(*d, SHOAL_ANY(i), SHOAL_ANY("a text")) == 0, "%s",
		             shoal_error());
	shoal_list *inner = list_of(w, NULL);
	shoal_any v = SHOAL_LIST(inner, "text", inner);
	STEP_REQUIRE(w, shoal_dict_set(*d, SHOAL_ANY("inner"), v) == 0, "%s", shoal_error());
	STEP_REQUIRE(w, shoal_list_destroy(w->arena, inner) == 0, "%s", shoal_error());
	w->object[1] = inner;
	w->object[2] = list_of(w, "list");
}

/* ---- operations ---- */

#define OP(name_, call_) \
	static void op_##name_(struct step_world *w) \
	{ \
		shoal_list *list = w->object[2]; \
		(void)list; \
		step_mine(w)->result = call_; \
	}

OP(set, shoal_dict_set(dict_of(w), SHOAL_ANY("new"), SHOAL_ANY(list)))
OP(replace, shoal_dict_set(dict_of(w), SHOAL_ANY("inner"), SHOAL_LIST(list)))
OP(overwrite, shoal_dict_set(dict_of(w), SHOAL_ANY("inner"), SHOAL_ANY(1)))
OP(pop, shoal_dict_pop(dict_of(w), SHOAL_ANY("inner"), NULL))
OP(popitem, shoal_dict_popitem(dict_of(w), NULL, NULL))
OP(clear, shoal_dict_clear(dict_of(w)))
OP(update, shoal_dict_update(dict_of(w), SHOAL_MAP("new", list, "inner", list)))
OP(setdefault, shoal_dict_setdefault(dict_of(w), SHOAL_ANY("new"), SHOAL_LIST(list), NULL))
OP(destroy, shoal_dict_destroy(w->arena, dict_of(w)))

static void
op_get(struct step_world *w)
{
	shoal_any v;
	step_mine(w)->result = shoal_dict_get(dict_of(w), SHOAL_ANY("inner"), &v);
	shoal_any_clear(&v);
}

static void
op_snapshot(struct step_world *w)
{
	shoal_any v;
	step_mine(w)->result = shoal_dict_snapshot(dict_of(w), &v);
	shoal_any_clear(&v);
}

/* What comes out is whole as long as it is not cleared. */
static void
op_take(struct step_world *w)
{
	shoal_any v, item;
	step_mine(w)->result = shoal_dict_pop(dict_of(w), SHOAL_ANY("inner"), &v);
	int rc = shoal_list_get(shoal_any_to_list(shoal_any_at(&v, 0)), 0, &item);
	STEP_REQUIRE(w, rc == 0 && shoal_any_int(&item, 0) == ITEM, "what was taken is lost: %d", rc);
	shoal_any_clear(&v);
}

static void
op_compare_exchange(struct step_world *w)
{
	shoal_any now, to = SHOAL_ANY(1);
	int rc = shoal_dict_get(dict_of(w), SHOAL_ANY("inner"), &now);
	if (rc == 0)
		rc = shoal_dict_compare_exchange(dict_of(w), SHOAL_ANY("inner"), &now, &to);
	shoal_any_clear(&now);
	step_mine(w)->result = rc;
}

static void
op_create(struct step_world *w)
{
	shoal_container_options options = { .reserve = RESERVE };
	shoal_dict *d;
	step_mine(w)->result = shoal_dict_create(w->arena, "other", &options, &d);
}

/* ---- survivors ---- */

static void
look_at(struct step_world *w, const shoal_any *v)
{
	shoal_any item;
	for (size_t i = 0; v->kind == SHOAL_ANY_LIST && i < v->count; i++)
		look_at(w, shoal_any_at(v, i));
	if (v->kind != SHOAL_ANY_OBJECT)
		return;
	int rc = shoal_list_get(shoal_any_to_list(v), 0, &item);
	STEP_REQUIRE(w, rc == 0 && shoal_any_int(&item, 0) == ITEM, "what is inside is lost: %d", rc);
}

static void
look_inside(struct step_world *w, shoal_dict *d)
{
	shoal_any all;
	int rc;
	STEP_WITHIN(w, "snapshot", rc = shoal_dict_snapshot(d, &all));
	STEP_REQUIRE(w, rc == 0, "snapshot: %d, %s", rc, shoal_error());
	for (size_t i = 0; i < all.count; i++)
		look_at(w, &all.as.items[2 * i + 1]);
	STEP_REQUIRE(w, all.count == shoal_dict_size(d), "%zu items, and a size of %zu", all.count,
	             shoal_dict_size(d));
	shoal_any_clear(&all);
	STEP_WITHIN(w, "set", rc = shoal_dict_set(d, SHOAL_ANY("last"), SHOAL_ANY("text")));
	STEP_REQUIRE(w, rc == 0, "set: %d, %s", rc, shoal_error());
}

/* Those that are there are whole; in the end nothing is there. */
static void
check(struct step_world *w)
{
	static const char *const name[] = { "dict", "other" };
	shoal_dict *d;
	shoal_list *list;
	int rc;
	STEP_WITHIN(w, "recover", rc = shoal_arena_recover(w->arena));
	STEP_REQUIRE(w, rc >= 0, "recover: %d", rc);
	for (int i = 0; i < 2; i++) {
		if (shoal_dict_open(w->arena, name[i], SHOAL_NOWAIT, &d))
			continue;
		look_inside(w, d);
		STEP_WITHIN(w, "destroy", rc = shoal_dict_destroy(w->arena, d));
		STEP_REQUIRE(w, rc == 0, "destroy: %d, %s", rc, shoal_error());
	}
	if (shoal_list_open(w->arena, "list", SHOAL_NOWAIT, &list) == 0)
		STEP_WITHIN(w, "destroy", rc = shoal_list_destroy(w->arena, list));
	STEP_REQUIRE(w, rc == 0, "destroy: %d, %s", rc, shoal_error());
}

#define CASE(name_, ...) \
	STEP_CASE(nested, name_, .setup = setup, .prepare = arena_join, .op = op_##name_, \
	          .check = check, .audit = arena_audit, .meet_prepare = arena_join, \
	          .meet = { meet_recover, meet_recover }, __VA_ARGS__)
/* The same windows hold up the same people, whichever call drops what is inside. */
#define NO_ROLES .crowd = NULL
#define ROLES .role = { { "others", try_others }, { "create", try_list } }
CASE(set, ROLES)
CASE(replace, ROLES)
CASE(overwrite, ROLES)
CASE(pop, ROLES)
CASE(take, ROLES)
CASE(popitem, ROLES)
CASE(clear, NO_ROLES)
CASE(update, NO_ROLES)
CASE(setdefault, NO_ROLES)
CASE(compare_exchange, NO_ROLES)
CASE(get, NO_ROLES)
CASE(snapshot, NO_ROLES)
CASE(create, NO_ROLES)
CASE(destroy, NO_ROLES)
