/* Attributes set, deleted and read, killed and stopped at each instruction. */
#include <errno.h>
#include <string.h>

#include "arena_world.h"
#include "harness.h"

#include <shoal/data.h>

/* What a case's call does to "x", and what "x" is before and after it; NULL: there is none. */
struct shape {
	int (*call)(shoal_namespace *);
	const char *before, *after;
};

static void
setup(struct step_world *w)
{
	const struct shape *s = w->of->shape;
	shoal_namespace *n;
	arena_world(w);
	STEP_REQUIRE(w, shoal_namespace_create(w->arena, "n", NULL, &n) == 0, "%s", shoal_error());
	w->object[0] = n;
	STEP_REQUIRE(w, shoal_namespace_set(n, "other", SHOAL_ANY(7)) == 0, "%s", shoal_error());
	if (s->before)
		STEP_REQUIRE(w, shoal_namespace_set(n, "x", SHOAL_ANY(s->before)) == 0, "%s",
		             shoal_error());
}

static void
op(struct step_world *w)
{
	const struct shape *s = w->of->shape;
	step_mine(w)->result = s->call(w->object[0]);
}

/* NULL where there is none; the text lives until the next call. */
static const char *
look(struct step_world *w)
{
	static char text[64];
	shoal_any v;
	int rc;
	STEP_WITHIN(w, "get", rc = shoal_namespace_get(w->object[0], "x", &v));
	STEP_REQUIRE(w, rc == 0 || rc == -ENOENT, "get: %d, %s", rc, shoal_error());
	if (rc)
		return NULL;
	snprintf(text, sizeof text, "%s", shoal_any_string(&v, "no text"));
	shoal_any_clear(&v);
	return text;
}

static bool
is(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* In the end it has no "x", whatever was there. */
static void
check(struct step_world *w)
{
	const struct shape *s = w->of->shape;
	const struct step_part *part = &w->part[STEP_VICTIM];
	const char *x = look(w);
	shoal_any other;
	int rc;
	STEP_REQUIRE(w, is(x, s->before) || is(x, s->after), "x is neither as before nor as after");
	STEP_REQUIRE(w, is(x, s->after) || !part->done, "the call returned, and has not happened");
	STEP_REQUIRE(w, !part->done || part->result == 0, "the call returned %lld",
	             (long long)part->result);
	STEP_WITHIN(w, "get", rc = shoal_namespace_get(w->object[0], "other", &other));
	STEP_REQUIRE(w, rc == 0 && shoal_any_int(&other, 0) == 7, "the other attribute is lost");
	STEP_WITHIN(w, "set", rc = shoal_namespace_set(w->object[0], "x", SHOAL_ANY("anew")));
	STEP_REQUIRE(w, rc == 0 && is(look(w), "anew"), "set: %d, %s", rc, shoal_error());
	STEP_WITHIN(w, "del", rc = shoal_namespace_del(w->object[0], "x"));
	STEP_REQUIRE(w, rc == 0, "del: %d, %s", rc, shoal_error());
}

static int call_set(shoal_namespace *n) { return shoal_namespace_set(n, "x", SHOAL_ANY("new")); }
static int call_del(shoal_namespace *n) { return shoal_namespace_del(n, "x"); }

static int
call_get(shoal_namespace *n)
{
	shoal_any v;
	int rc = shoal_namespace_get(n, "x", &v);
	if (rc == 0)
		shoal_any_clear(&v);
	return rc;
}

#define NAMESPACE_CASE(name_, call_, before_, after_) \
	static const struct shape shape_##name_ = { call_, before_, after_ }; \
	STEP_CASE(namespace, name_, .shape = &shape_##name_, .setup = setup, .prepare = arena_join, \
	          .op = op, .check = check, .audit = arena_audit, .meet_prepare = arena_join, \
	          .meet = { meet_recover, meet_recover }, .role = { { "others", try_others } })

NAMESPACE_CASE(set_first, call_set, NULL, "new")
NAMESPACE_CASE(set_again, call_set, "old", "new")
NAMESPACE_CASE(del, call_del, "old", NULL)
NAMESPACE_CASE(get, call_get, "old", "old")
