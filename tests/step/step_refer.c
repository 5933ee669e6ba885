/*
 * References counted and dropped, pins taken and dropped, objects that end by them: killed and
 * stopped at each instruction.
 */
#include "arena_world.h"
#include "harness.h"

#include "arena/hold.h"
#include "arena/object.h"
#include "arena/pin.h"

#include <shoal/data.h>

/* object[0]: a value; object[1]: a block that says how many references to it were counted. */

struct here {
	struct shoal_thread *t;
	struct member *me;
};

static struct here
here(struct step_world *w)
{
	struct here h;
	int rc = member_here(w->arena, &h.t, &h.me);
	STEP_REQUIRE(w, rc == 0, "join: %d", rc);
	return h;
}

static uint32_t
index_of(struct step_world *w)
{
	uint64_t offset = arena_offset(w->arena, w->object[0]);
	for (uint32_t i = 1; i < objects_high(w->arena); i++)
		if (load_acquire(&arena_object(w->arena, i)->body) == offset)
			return i;
	return 0;
}

static word32 *
counted(const struct step_world *w)
{
	return w->object[1];
}

static int
change(struct step_world *w, int delta, uint32_t to)
{
	struct here h = here(w);
	return hold_change(w->arena, h.t, h.me, index_of(w), delta, counted(w), to);
}

static void
sweep(struct step_world *w)
{
	struct here h = here(w);
	object_sweep(w->arena, h.t, h.me);
}

static void
setup(struct step_world *w)
{
	arena_world(w);
	shoal_value **v = (shoal_value **)&w->object[0];
	bool ok = shoal_value_create(w->arena, NULL, SHOAL_I32, SHOAL_ANY(42), v) == 0 &&
	          shoal_alloc(w->arena, 64, &w->object[1]) == 0;
	STEP_REQUIRE(w, ok, "setup: %s", shoal_error());
}

static void
setup_held(struct step_world *w)
{
	setup(w);
	STEP_REQUIRE(w, change(w, 1, 1) == 0, "%s", shoal_error());
}

/* Only the reference keeps it. */
static void
setup_kept(struct step_world *w)
{
	setup_held(w);
	STEP_REQUIRE(w, shoal_value_destroy(w->arena, w->object[0]) == 0, "%s", shoal_error());
}

/* ---- operations ---- */

static void
hold_op(struct step_world *w)
{
	step_mine(w)->result = change(w, 1, 1);
}

static void
drop_op(struct step_world *w)
{
	step_mine(w)->result = change(w, -1, 0);
	sweep(w);
}

static void
destroy_op(struct step_world *w)
{
	step_mine(w)->result = shoal_value_destroy(w->arena, w->object[0]);
}

static void
pin_op(struct step_world *w)
{
	struct here h = here(w);
	struct pin p;
	step_mine(w)->result = pin_take(w->arena, h.me, index_of(w), &p);
	pin_drop(w->arena, h.t, h.me, &p);
}

static struct pin taken; /* of the victim */

static void
take_pin(struct step_world *w)
{
	STEP_REQUIRE(w, pin_take(w->arena, here(w).me, index_of(w), &taken) == 0, "%s",
	             shoal_error());
}

/* What the victim has pinned loses its last reference, then the pin. */
static void
unpin_op(struct step_world *w)
{
	struct here h = here(w);
	step_mine(w)->result = change(w, -1, 0);
	sweep(w);
	pin_drop(w->arena, h.t, h.me, &taken);
}

/* ---- survivors ---- */

/* The object's count and the block's are one, whatever the victim did of it; then it goes. */
static void
check(struct step_world *w)
{
	shoal_arena *a = w->arena;
	int rc;
	STEP_WITHIN(w, "recover", rc = shoal_arena_recover(a));
	STEP_REQUIRE(w, rc >= 0, "recover: %d", rc);
	hold_settle(a, here(w).t);
	uint32_t i = index_of(w), n = load_acquire(counted(w));
	STEP_REQUIRE(w, n <= 1, "counted %u", n);
	if (i) {
		uint32_t holds = load_acquire(&arena_object(a, i)->holds);
		STEP_REQUIRE(w, holds == n, "%u holds, %u counted", holds, n);
		STEP_REQUIRE(w, !object_ready(a, i) || shoal_value_get_int(w->object[0]) == 42,
		             "the value has changed");
	}
	STEP_REQUIRE(w, i || n == 0, "what is referred to is gone");
	if (i && object_state(load_acquire(&arena_object(a, i)->word)) == OBJECT_READY)
		STEP_WITHIN(w, "destroy", (void)shoal_value_destroy(a, w->object[0]));
	if (n)
		STEP_WITHIN(w, "drop", drop_op(w));
	sweep(w);
	/* The victim may stand still with a pin: then it goes when that has gone. */
	STEP_REQUIRE(w, !w->killed || !index_of(w), "it stays though nothing refers to it");
}

static void
last(struct step_world *w)
{
	sweep(w);
	arena_audit(w);
}

static bool
try_create(struct step_world *w, int64_t ns)
{
	int64_t began = step_now();
	shoal_value *v = NULL;
	bool ok = shoal_value_create(w->arena, NULL, SHOAL_I32, SHOAL_NIL, &v) == 0 &&
	          shoal_value_destroy(w->arena, v) == 0;
	STEP_REQUIRE(w, ok, "create, destroy: %s", shoal_error());
	return step_now() - began > ns;
}

#define CASE(name_, setup_, prepare_, op_) \
	STEP_CASE(refer, name_, .setup = setup_, .prepare = prepare_, .op = op_, .check = check, \
	          .audit = last, .meet_prepare = arena_join, \
	          .meet = { meet_recover, meet_recover }, \
	          .role = { { "others", try_others }, { "create", try_create } })
CASE(hold, setup, arena_join, hold_op)
CASE(drop, setup_held, arena_join, drop_op)
CASE(drop_last, setup_kept, arena_join, drop_op)
CASE(destroy_held, setup_held, arena_join, destroy_op)
CASE(pin, setup, arena_join, pin_op)
CASE(destroy_pinned, setup, take_pin, destroy_op)
CASE(unpin_last, setup_kept, take_pin, unpin_op)
