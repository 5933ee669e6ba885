/* Being inside a call on a container: of whom, and of what. */
#include "dict_common.h"
#include <pthread.h>
#include <signal.h>

/* ---- a wrong kind of pointer ---- */

static int
append_to_a_value(void *unused)
{
	shoal_arena *a;
	shoal_list *l;
	shoal_value *v;
	void *p;
	(void)unused;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	REQUIRE_EQ(shoal_list_create(a, NULL, NULL, &l), 0);
	REQUIRE_EQ(shoal_list_append(l, SHOAL_ANY(1)), 0);
	REQUIRE_EQ(shoal_list_destroy(a, l), 0);
	do
		REQUIRE_EQ(shoal_alloc(a, 512, &p), 0);
	while (p != (void *)l);
	shoal_free(a, p);
	REQUIRE_EQ(shoal_value_create(a, NULL, SHOAL_I64, SHOAL_ANY(0), &v), 0);
	REQUIRE((void *)v == (void *)l);
	(void)shoal_list_append((shoal_list *)v, SHOAL_ANY(2));
	return 0;
}

/* Also where a list that this thread had used lay before. */
Test(container, what_is_no_list_stops)
{
	expect_killed(child(append_to_a_value, NULL), SIGABRT, 5000);
}

/* ---- through a read-only handle ---- */

struct watched {
	char name[40];
	volatile int opened, destroyed;
};

/* What it opened goes while it looks, and another container comes to lie there. */
static int
watches_the_end(void *arg)
{
	struct watched *seen = arg;
	shoal_arena *a;
	shoal_dict *d;
	shoal_any v;
	shoal_cursor cursor = { 0 };
	const shoal_any *key;
	REQUIRE_EQ(shoal_arena_attach_readonly(seen->name, SHOAL_SEC(5), &a), 0);
	REQUIRE_EQ(shoal_dict_open(a, "d", 0, &d), 0);
	REQUIRE_EQ(int_of(d, SHOAL_ANY(1)), 3);
	for (seen->opened = 1; !seen->destroyed;)
		usleep(100);
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(shoal_dict_get(d, SHOAL_ANY(1), &v), -ENOENT);
		REQUIRE(strstr(shoal_error(), "destroyed"));
		REQUIRE(!shoal_dict_has(d, SHOAL_ANY(1)));
		REQUIRE_EQ(shoal_dict_size(d), 0);
		REQUIRE_EQ(shoal_dict_snapshot(d, &v), -ENOENT);
		REQUIRE_EQ(shoal_dict_next(d, &cursor, &key, NULL), -ENOENT);
	}
	shoal_arena_close(a);
	return 0;
}

Test(container, one_that_is_watched_may_be_destroyed)
{
	struct dict_world w;
	struct watched *seen = shared(sizeof *seen);
	shoal_list *l;
	snprintf(seen->name, sizeof seen->name, "dict-test-%d", (int)getpid());
	REQUIRE_EQ(shoal_arena_create(seen->name, NULL, &w.arena), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, "d", NULL, &w.dict), 0);
	REQUIRE_EQ(shoal_dict_set(w.dict, SHOAL_ANY(1), SHOAL_ANY(3)), 0);
	pid_t pid = child(watches_the_end, seen);
	while (!seen->opened)
		usleep(100);
	REQUIRE_EQ(shoal_dict_destroy(w.arena, w.dict), 0);
	REQUIRE_EQ(shoal_list_create(w.arena, "l", NULL, &l), 0);
	seen->destroyed = 1;
	expect_child(pid, 0, 5000);
	REQUIRE_EQ(shoal_arena_unlink(seen->name), 0);
	shoal_arena_close(w.arena);
}

/* ---- without a record ---- */

static void *
read_without_a_record(void *arg)
{
	shoal_dict *d = arg;
	shoal_any v;
	REQUIRE_EQ(int_of(d, SHOAL_ANY(1)), 3);
	REQUIRE(shoal_dict_has(d, SHOAL_ANY(1)));
	REQUIRE_EQ(shoal_dict_size(d), 500);
	REQUIRE_EQ(shoal_dict_snapshot(d, &v), 0);
	REQUIRE_EQ(v.count, 500);
	shoal_any_clear(&v);
	REQUIRE_EQ(shoal_dict_set(d, SHOAL_ANY(1), SHOAL_ANY(4)), -EUSERS);
	REQUIRE_EQ(shoal_dict_pop(d, SHOAL_ANY(1), &v), -EUSERS);
	return NULL;
}

Test(container, one_who_finds_no_record_reads_it)
{
	struct dict_world w;
	shoal_arena_options one = { .members_max = 1 };
	pthread_t thread;
	REQUIRE_EQ(shoal_arena_create(NULL, &one, &w.arena), 0);
	REQUIRE_EQ(shoal_dict_create(w.arena, NULL, NULL, &w.dict), 0);
	dict_fill(w.dict, 0, 500);
	REQUIRE_EQ(pthread_create(&thread, NULL, read_without_a_record, w.dict), 0);
	REQUIRE_EQ(pthread_join(thread, NULL), 0);
	dict_world_end(&w);
}
