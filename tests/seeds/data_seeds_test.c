/* The tutorials' programs about a Manager's lists and dicts: S4, S14, S20. */
#include "seeds/tutorial.h"
#include <unistd.h>

struct appender {
	shoal_list *list;
	shoal_dict *dict;
	int number;
};

static int
append_number(void *arg)
{
	const struct appender *me = arg;
	return shoal_list_append(me->list, SHOAL_ANY(me->number));
}

/* Every number from 0 on is there once, from that index on. */
static void
require_permutation(const shoal_any *list, size_t from, int count)
{
	unsigned seen = 0;
	REQUIRE_EQ(list->count, from + (size_t)count);
	for (size_t i = from; i < list->count; i++) {
		int64_t n = shoal_any_int(shoal_any_at(list, i), -1);
		REQUIRE(n >= 0 && n < count && !(seen & 1u << n));
		seen |= 1u << n;
	}
}

Test(data_seeds, s4_ten_processes_append_to_one_list)
{
	struct appender me[10];
	shoal_process *p[10];
	shoal_any all;
	shoal_list *list = new_list();
	for (int i = 0; i < 10; i++) {
		me[i] = (struct appender){ .list = list, .number = i };
		p[i] = start(append_number, &me[i], NULL);
	}
	for (int i = 0; i < 10; i++)
		finish(p[i]);
	REQUIRE_EQ(shoal_list_snapshot(list, &all), 0);
	require_permutation(&all, 0, 10);
	shoal_any_clear(&all);
}

static int
set_and_append(void *arg)
{
	const struct appender *me = arg;
	long pid = getpid();
	int rc = shoal_dict_set(me->dict, SHOAL_ANY(pid), SHOAL_ANY(pid));
	return rc ? rc : shoal_list_append(me->list, SHOAL_ANY(pid));
}

Test(data_seeds, s14_ten_processes_write_down_their_pids)
{
	struct appender me = { .list = new_list(), .dict = new_dict() };
	shoal_process *p[10];
	shoal_any all, value;
	REQUIRE_EQ(shoal_list_extend(me.list, SHOAL_LIST(0, 1, 2, 3, 4)), 0);
	for (int i = 0; i < 10; i++)
		p[i] = start(set_and_append, &me, NULL);
	for (int i = 0; i < 10; i++)
		finish(p[i]);
	REQUIRE_EQ(shoal_dict_size(me.dict), 10);
	REQUIRE_EQ(shoal_list_snapshot(me.list, &all), 0);
	REQUIRE_EQ(all.count, 15);
	for (int i = 0; i < 15; i++) {
		int64_t n = shoal_any_int(shoal_any_at(&all, (size_t)i), -1);
		if (i < 5)
			REQUIRE_EQ(n, i);
		else
			REQUIRE_EQ(shoal_dict_get(me.dict, SHOAL_ANY(n), &value), 0);
		if (i >= 5)
			REQUIRE_EQ(shoal_any_int(&value, -1), n);
	}
	shoal_any_clear(&all);
}

static int
op_in_dict(void *arg)
{
	const struct appender *me = arg;
	int rc = shoal_dict_set(me->dict, SHOAL_ANY(1), SHOAL_ANY("dict in op"));
	return rc ? rc : shoal_list_append(me->list, SHOAL_ANY((long)getpid()));
}

/* The parent does not join: it waits until all three have written, as the tutorial's sleeps. */
Test(data_seeds, s20_three_children_write_one_key_and_their_pids)
{
	struct appender me = { .list = new_list(), .dict = new_dict() };
	shoal_process *p[3];
	shoal_any value;
	for (int i = 0; i < 3; i++)
		p[i] = start(op_in_dict, &me, NULL);
	for (int i = 0; i < 10000 && shoal_list_size(me.list) < 3; i++)
		sleep_ms(1);
	REQUIRE_EQ(shoal_list_size(me.list), 3);
	REQUIRE_EQ(shoal_dict_size(me.dict), 1);
	REQUIRE_EQ(shoal_dict_get(me.dict, SHOAL_ANY(1), &value), 0);
	REQUIRE_STR_EQ(shoal_any_string(&value, ""), "dict in op");
	shoal_any_clear(&value);
	for (int i = 0; i < 3; i++) {
		shoal_any pid = shoal_any_from_int(shoal_process_pid(p[i]));
		REQUIRE_EQ(shoal_list_count(me.list, pid), 1);
	}
	for (int i = 0; i < 3; i++)
		finish(p[i]);
}
