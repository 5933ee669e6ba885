/* Values and arrays changed, killed and stopped at each instruction: all of it or nothing. */
#include <string.h>

#include "arena_world.h"
#include "harness.h"

#include <shoal/data.h>

enum { BEFORE = 5, CELLS = 9 };

static void
setup(struct step_world *w)
{
	static const uint8_t cells[CELLS] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	arena_world(w);
	shoal_value **v = (shoal_value **)&w->object[0], **d = (shoal_value **)&w->object[1];
	shoal_array **x = (shoal_array **)&w->object[2];
	bool ok = shoal_value_create(w->arena, NULL, SHOAL_I16, SHOAL_ANY(BEFORE), v) == 0 &&
	          shoal_value_create(w->arena, NULL, SHOAL_F64, SHOAL_ANY(BEFORE), d) == 0 &&
	          shoal_array_create(w->arena, NULL, SHOAL_U8, CELLS, x) == 0 &&
	          shoal_array_write(*x, 0, CELLS, cells) == 0;
	STEP_REQUIRE(w, ok, "setup: %s", shoal_error());
}

/* What a case does, and what it makes of BEFORE. */
struct change {
	void (*make)(struct step_world *, shoal_value *);
	int64_t to;
};

static const struct change *
change_of(const struct step_world *w)
{
	return w->shape;
}

static void
int_op(struct step_world *w)
{
	change_of(w)->make(w, w->object[0]);
}

static void
real_op(struct step_world *w)
{
	change_of(w)->make(w, w->object[1]);
}

static void
demand(struct step_world *w, int64_t is)
{
	const struct change *c = change_of(w);
	bool done = w->part[STEP_VICTIM].done;
	STEP_REQUIRE(w, is == c->to || (!done && is == BEFORE), "the value is %lld", (long long)is);
}

/* Two at once have added before, each of them 1. */
static void
check_int(struct step_world *w)
{
	shoal_value *v = w->object[0];
	demand(w, shoal_value_get_int(v));
	STEP_REQUIRE(w, shoal_value_add_int(v, 1) == shoal_value_get_int(v), "add is lost");
	shoal_value_set_int(v, BEFORE);
}

static void
check_real(struct step_world *w)
{
	shoal_value *v = w->object[1];
	demand(w, (int64_t)shoal_value_get_double(v));
	shoal_value_set_double(v, BEFORE);
}

static void set_int(struct step_world *w, shoal_value *v) { (void)w; shoal_value_set_int(v, 6); }
static void
add_int(struct step_world *w, shoal_value *v)
{
	step_mine(w)->result = shoal_value_add_int(v, 3);
}
static void
exchange_int(struct step_world *w, shoal_value *v)
{
	step_mine(w)->result = shoal_value_exchange_int(v, 7);
}
static void
compare_exchange_int(struct step_world *w, shoal_value *v)
{
	int64_t expected = BEFORE;
	step_mine(w)->result = shoal_value_compare_exchange_int(v, &expected, 9);
}
static void
set_double(struct step_world *w, shoal_value *v)
{
	(void)w;
	shoal_value_set_double(v, 6);
}
static void
add_double(struct step_world *w, shoal_value *v)
{
	step_mine(w)->result = (int64_t)shoal_value_add_double(v, 3);
}

static const struct change to_set = { set_int, 6 }, to_add = { add_int, 8 },
                           to_exchange = { exchange_int, 7 },
                           to_compare = { compare_exchange_int, 9 },
                           to_set_double = { set_double, 6 }, to_add_double = { add_double, 8 };

/* ---- arrays ---- */

static void
array_set_op(struct step_world *w)
{
	step_mine(w)->result = shoal_array_set(w->object[2], 4, SHOAL_ANY(77));
}

static void
array_write_op(struct step_world *w)
{
	static const uint8_t cells[CELLS] = { 101, 102, 103, 104, 105, 106, 107, 108, 109 };
	step_mine(w)->result = shoal_array_write(w->object[2], 0, CELLS, cells);
}

/* Each cell is as it was, or is to be: from the first on, as far as the dead one came. */
static void
check_write(struct step_world *w)
{
	uint8_t cells[CELLS];
	bool before = false;
	STEP_REQUIRE(w, shoal_array_read(w->object[2], 0, CELLS, cells) == 0, "%s", shoal_error());
	for (int i = 0; i < CELLS; i++) {
		bool is_before = cells[i] == i + 1;
		STEP_REQUIRE(w, is_before || cells[i] == 101 + i, "cell %d is %u", i, cells[i]);
		STEP_REQUIRE(w, is_before || !before, "cell %d is written before others", i);
		before |= is_before;
		STEP_REQUIRE(w, !is_before || !w->part[STEP_VICTIM].done, "cell %d is not written", i);
	}
}

static void
check_set(struct step_world *w)
{
	uint8_t cells[CELLS];
	STEP_REQUIRE(w, shoal_array_read(w->object[2], 0, CELLS, cells) == 0, "%s", shoal_error());
	STEP_REQUIRE(w, cells[4] == 77 || (cells[4] == 5 && !w->part[STEP_VICTIM].done),
	             "the cell is %u", cells[4]);
	STEP_REQUIRE(w, cells[3] == 4 && cells[5] == 6, "cells beside it are %u and %u", cells[3],
	             cells[5]);
}

/* ---- their locks ---- */

static void
lock_op(struct step_world *w)
{
	shoal_rlock *lock = shoal_value_lock(w->object[0]);
	int rc = shoal_rlock_acquire(lock, SHOAL_FOREVER);
	if (rc == 0)
		rc = shoal_rlock_release(lock);
	step_mine(w)->result = rc;
}

static void
check_lock(struct step_world *w)
{
	shoal_rlock *lock = shoal_value_lock(w->object[0]);
	int rc;
	STEP_WITHIN(w, "acquire", rc = shoal_rlock_acquire(lock, SHOAL_SEC(1)));
	STEP_REQUIRE(w, rc == 0 || rc == -EOWNERDEAD, "acquire: %d", rc);
	if (rc)
		shoal_rlock_consistent(lock);
	STEP_REQUIRE(w, shoal_rlock_release(lock) == 0, "release");
}

#define CASE(name_, op_, check_, ...) \
	STEP_CASE(data, name_, .setup = setup, .prepare = arena_join, .op = op_, .check = check_, \
	          .audit = arena_audit, .meet_prepare = arena_join, \
	          .meet = { meet_recover, meet_recover }, \
	          .role = { { "others", try_others } }, __VA_ARGS__)
CASE(value_set_int, int_op, check_int, .shape = &to_set)
CASE(value_add_int, int_op, check_int, .shape = &to_add)
CASE(value_exchange_int, int_op, check_int, .shape = &to_exchange)
CASE(value_compare_exchange_int, int_op, check_int, .shape = &to_compare)
CASE(value_set_double, real_op, check_real, .shape = &to_set_double)
CASE(value_add_double, real_op, check_real, .shape = &to_add_double)
CASE(value_lock, lock_op, check_lock, .shape = NULL)
CASE(array_set, array_set_op, check_set, .shape = NULL)
CASE(array_write, array_write_op, check_write, .shape = NULL)
