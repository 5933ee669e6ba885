/* What others do with a list while a value comes in, and what is left where it does not. */
#include "data/list.h"
#include "list_common.h"
#include "steps.h"
#include <pthread.h>

enum { LONG = 100000 };

static char text[LONG];

#if HAS_STEPS

static struct world there;
static shoal_any value;
static int rc, rc_beside;

static void *
appends(void *unused)
{
	struct list_call c;
	rc_beside = list_enter(&c, there.list);
	if (rc_beside)
		return unused;
	bool is = ledger_try(&c.hold);
	if (is)
		ledger_unlock(&c.hold);
	rc_beside = list_leave_call(&c, is ? 0 : -EBUSY);
	return unused;
}

static void
another(void)
{
	pthread_t thread;
	rc_beside = -EAGAIN;
	REQUIRE_EQ(pthread_create(&thread, NULL, appends, NULL), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
}

static void
append_op(void *list)
{
	rc = shoal_list_append(list, value);
}

static void
insert_op(void *list)
{
	rc = shoal_list_insert(list, 0, value);
}

static void
set_op(void *list)
{
	rc = shoal_list_set(list, 0, value);
}

/* In the midst of each call that takes memory for the value, and of each that writes it there. */
Test(list, others_write_while_a_value_is_copied)
{
	void (*const op[])(void *) = { append_op, insert_op, set_op };
	shoal_any values[] = { shoal_any_from_bytes(text, LONG), SHOAL_LIST(1, "two", 3.0) };
	void (*const in[])(void) = { (void (*)(void))block_take, (void (*)(void))cell_write };
	there = world_make();
	REQUIRE_EQ(shoal_list_append(there.list, SHOAL_ANY(1)), 0);
	for (int i = 0; i < 3; i++)
		for (int n = 0; n < 2; n++) {
			value = values[n];
			REQUIRE(steps_into_call(op[i], there.list, in[n], another));
			REQUIRE_EQ(rc, 0);
			REQUIRE_EQ(rc_beside, 0);
		}
	REQUIRE_EQ(shoal_list_size(there.list), 5);
	REQUIRE_EQ(shoal_list_count(there.list, values[0]), 2);
	REQUIRE_EQ(shoal_list_count(there.list, values[1]), 2);
	world_end(there);
}

#endif

/* The block is made before it is known that there is no such place, or that the list is damaged. */
Test(list, a_value_that_does_not_come_in_leaves_nothing)
{
	struct world w = world_make();
	shoal_arena_info before, after;
	shoal_any v = shoal_any_from_bytes(text, LONG);
	REQUIRE_EQ(shoal_list_append(w.list, v), 0);
	REQUIRE_EQ(shoal_list_append(w.list, SHOAL_ANY(1)), 0);
	REQUIRE_EQ(shoal_list_pop(w.list, 0, NULL), 0);
	REQUIRE_EQ(shoal_arena_stat(w.arena, &before), 0);
	REQUIRE_EQ(shoal_list_set(w.list, 1, v), -ENOENT);
	struct ledger *l = &w.list->ledger;
	store_relaxed(ledger_op(l), LEDGER_DAMAGED);
	REQUIRE_EQ(shoal_list_set(w.list, 0, v), -EPROTO);
	REQUIRE_EQ(shoal_list_append(w.list, v), -EPROTO);
	REQUIRE_EQ(shoal_list_insert(w.list, 0, v), -EPROTO);
	store_relaxed(ledger_op(l), LEDGER_IDLE);
	REQUIRE_EQ(shoal_arena_stat(w.arena, &after), 0);
	REQUIRE_EQ(after.blocks, before.blocks);
	REQUIRE_EQ(shoal_list_size(w.list), 1);
	world_end(w);
}
