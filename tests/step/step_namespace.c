/*
 * Attributes of namespaces set, read and deleted, killed and stopped at each instruction: the
 * attribute is as it was before the call, or as it is after it, and all others are as they were.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arena_world.h"
#include "harness.h"

#include <shoal/data.h>

/* What a case's call does to an attribute; NULL: it is not there. */
struct shape {
	const char *attribute, *before, *after;
};

enum { KEPT = 7 };

/* Too long for an item, so that it lies in a block. */
static const char long_text[] =
	"a text that is too long for its item, and so is in a block of its own, with some more "
	"words, so that it is too long in any case: one, two, three, four, five, six, seven";

static const struct shape fresh = { "new", NULL, long_text };
static const struct shape again = { "text", long_text, "short" };
static const struct shape gone = { "text", long_text, NULL };
static const struct shape same = { "text", long_text, long_text };

static const struct shape *
shape(const struct step_world *w)
{
	return w->shape;
}

static void
must_set(struct step_world *w, const char *attribute, shoal_any value)
{
	int rc;
	STEP_WITHIN(w, "set", rc = shoal_namespace_set(w->object[0], attribute, value));
	STEP_REQUIRE(w, rc == 0, "set: %d, %s", rc, shoal_error());
}

static void
setup(struct step_world *w)
{
	arena_world(w);
	int rc = shoal_namespace_create(w->arena, "old", NULL, (shoal_namespace **)&w->object[0]);
	STEP_REQUIRE(w, rc == 0, "create: %d, %s", rc, shoal_error());
	must_set(w, "kept", SHOAL_ANY(KEPT));
	must_set(w, "text", SHOAL_ANY(long_text));
	step_mine(w)->inside = 0;
}

/* ---- the calls ---- */

static void
set_op(struct step_world *w)
{
	const struct shape *s = shape(w);
	step_mine(w)->result =
		shoal_namespace_set(w->object[0], s->attribute, shoal_any_from_string(s->after));
}

static void
del_op(struct step_world *w)
{
	step_mine(w)->result = shoal_namespace_del(w->object[0], shape(w)->attribute);
}

static void
get_op(struct step_world *w)
{
	shoal_any v;
	step_mine(w)->result = shoal_namespace_get(w->object[0], shape(w)->attribute, &v);
	shoal_any_clear(&v);
}

/* ---- what survivors demand ---- */

static bool
is(const shoal_any *v, const char *text)
{
	return text ? v->kind == SHOAL_ANY_STRING && !strcmp(shoal_any_string(v, ""), text)
	            : v->kind == SHOAL_ANY_NIL;
}

static void
demand(struct step_world *w)
{
	const struct shape *s = shape(w);
	const struct step_part *part = &w->part[STEP_VICTIM];
	shoal_any v;
	int rc;
	STEP_WITHIN(w, "get", rc = shoal_namespace_get(w->object[0], s->attribute, &v));
	STEP_REQUIRE(w, rc == 0 || rc == -ENOENT, "get: %d, %s", rc, shoal_error());
	STEP_REQUIRE(w, is(&v, s->after) || (!part->done && is(&v, s->before)),
	             "the attribute is neither as it was nor as it was to be");
	STEP_REQUIRE(w, !part->done || part->result == 0, "the call: %d", (int)part->result);
	shoal_any_clear(&v);
	STEP_WITHIN(w, "get", rc = shoal_namespace_get(w->object[0], "kept", &v));
	STEP_REQUIRE(w, rc == 0 && shoal_any_int(&v, 0) == KEPT, "another one's value is lost: %d", rc);
}

/* All that there may be is overwritten, and goes. */
static void
check(struct step_world *w)
{
	static const char *const name[] = { "kept", "text", "new" };
	int rc;
	demand(w);
	for (int i = 0; i < 3; i++) {
		must_set(w, name[i], SHOAL_ANY("another value"));
		STEP_WITHIN(w, "del", rc = shoal_namespace_del(w->object[0], name[i]));
		STEP_REQUIRE(w, rc == 0, "del: %d, %s", rc, shoal_error());
	}
}

static void
crowd(struct step_world *w)
{
	static const char *const name[] = { "left", "right" };
	shoal_any v;
	int rc;
	arena_join(w);
	step_meet(w, 2);
	for (int i = 0; i < 6; i++) {
		const char *mine = name[step_me == STEP_RIGHT];
		must_set(w, mine, SHOAL_ANY(i));
		STEP_WITHIN(w, "get", rc = shoal_namespace_get(w->object[0], mine, &v));
		STEP_REQUIRE(w, rc == 0 && shoal_any_int(&v, -1) == i, "get: %d, not what was set", rc);
	}
	STEP_WITHIN(w, "del", rc = shoal_namespace_del(w->object[0], name[step_me == STEP_RIGHT]));
	STEP_REQUIRE(w, rc == 0, "del: %d, %s", rc, shoal_error());
}

/* ---- who comes upon it, and who is held up ---- */

static void
meet_again(struct step_world *w)
{
	w->of->op(w);
}

static bool
try_read(struct step_world *w, int64_t ns)
{
	int64_t began = step_now();
	char text[400] = "";
	FILE *to = fmemopen(text, sizeof text, "w");
	shoal_any v;
	if (shoal_namespace_get(w->object[0], "kept", &v) == 0)
		shoal_any_clear(&v);
	int rc = to ? shoal_namespace_print(w->object[0], to) : -1;
	bool held = step_now() - began > ns;
	if (to)
		fclose(to);
	STEP_REQUIRE(w, rc == 0 && strstr(text, "\"kept\""), "print: %d, %s", rc, text);
	return held;
}

#define NAMESPACE_CASE(name_, shape_, op_, ...) \
	STEP_CASE(namespace, name_, .shape = &(shape_), .setup = setup, .prepare = arena_join, \
	          .op = op_, .check = check, .crowd = crowd, .audit = arena_audit, \
	          .meet_prepare = arena_join, .meet = { __VA_ARGS__ }, \
	          .role = { { "others", try_others }, { "reader", try_read } })

NAMESPACE_CASE(set_new, fresh, set_op, meet_recover, meet_again)
NAMESPACE_CASE(set_again, again, set_op, meet_recover, meet_again)
NAMESPACE_CASE(del, gone, del_op, meet_recover, meet_recover)
NAMESPACE_CASE(get, same, get_op, meet_recover, meet_recover)
