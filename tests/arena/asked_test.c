/* Calls without an arena, and without a place for what they give. */
#include <errno.h>
#include <shoal/shoal.h>
#include <signal.h>
#include <string.h>

#include "harness.h"

#define NEEDS_AN_ARENA "needs an arena, not NULL"
#define NEEDS_A_PLACE "needs a place for what it gives, not NULL"

static void
refused(int rc, const char *why)
{
	REQUIRE_EQ(rc, -EINVAL);
	REQUIRE(strstr(shoal_error(), why) != NULL);
}

static shoal_arena *
arena_make(void)
{
	shoal_arena *a;
	REQUIRE_EQ(shoal_arena_create(NULL, NULL, &a), 0);
	return a;
}

Test(asked, an_arena_needs_a_place, .timeout = HARNESS_TIMEOUT)
{
	shoal_arena *a = arena_make();
	refused(shoal_arena_create(NULL, NULL, NULL), "shoal_arena_create " NEEDS_A_PLACE);
	refused(shoal_arena_attach("a", 0, NULL), NEEDS_A_PLACE);
	refused(shoal_arena_attach_readonly("a", 0, NULL), NEEDS_A_PLACE);
	refused(shoal_arena_attach_fd(0, NULL), NEEDS_A_PLACE);
	refused(shoal_arena_stat(a, NULL), NEEDS_A_PLACE);
	refused(shoal_arena_next(a, &(uint64_t){ 0 }, NULL), NEEDS_A_PLACE);
	refused(shoal_arena_next(a, NULL, &(shoal_object_info){ 0 }), NEEDS_A_PLACE);
	refused(shoal_alloc(a, 8, NULL), "shoal_alloc " NEEDS_A_PLACE);
	shoal_arena_close(a);
}

Test(asked, what_is_done_with_an_arena_needs_one, .timeout = HARNESS_TIMEOUT)
{
	void *p;
	shoal_arena_close(NULL);
	shoal_free(NULL, NULL);
	refused(shoal_arena_stat(NULL, &(shoal_arena_info){ 0 }), NEEDS_AN_ARENA);
	refused(shoal_arena_next(NULL, &(uint64_t){ 0 }, &(shoal_object_info){ 0 }), NEEDS_AN_ARENA);
	refused(shoal_arena_check(NULL, NULL), NEEDS_AN_ARENA);
	refused(shoal_arena_recover(NULL), NEEDS_AN_ARENA);
	refused(shoal_arena_fd(NULL), NEEDS_AN_ARENA);
	refused(shoal_alloc(NULL, 8, &p), "shoal_alloc " NEEDS_AN_ARENA);
	REQUIRE(shoal_new(NULL, 1000) == NULL);
	refused(-EINVAL, NEEDS_AN_ARENA);
	REQUIRE_EQ(shoal_ref_of(NULL, &p), 0);
	refused(-EINVAL, "shoal_ref_of " NEEDS_AN_ARENA);
	REQUIRE(shoal_deref(NULL, 1) == NULL);
	refused(-EINVAL, "shoal_deref " NEEDS_AN_ARENA);
}

static int
free_without(void *p)
{
	shoal_free(NULL, p);
	return 0;
}

Test(asked, what_is_freed_needs_its_arena, .timeout = HARNESS_TIMEOUT)
{
	shoal_arena *a = arena_make();
	expect_killed(child(free_without, shoal_new(a, 8)), SIGABRT, 5000);
	shoal_arena_close(a);
}

/* Each way into an object: made, opened, found by a reference. */
static void
refused_all(shoal_arena *a, bool out, const char *why)
{
	void *p;
#define OUT(type) (out ? (type *)(void *)&p : NULL)
	shoal_any one = shoal_any_from_int(1);
	refused(shoal_memory_create(a, NULL, 8, NULL, NULL, OUT(void *)), why);
	refused(shoal_memory_open(a, "m", 0, OUT(void *), NULL), why);
	refused(shoal_value_create(a, NULL, SHOAL_I64, one, OUT(shoal_value *)), why);
	refused(shoal_value_open(a, "v", 0, OUT(shoal_value *)), why);
	refused(shoal_value_at(a, 1, OUT(shoal_value *)), why);
	refused(shoal_array_create(a, NULL, SHOAL_I64, 4, OUT(shoal_array *)), why);
	refused(shoal_array_open(a, "a", 0, OUT(shoal_array *)), why);
	refused(shoal_array_at(a, 1, OUT(shoal_array *)), why);
	refused(shoal_list_create(a, NULL, NULL, OUT(shoal_list *)), why);
	refused(shoal_list_open(a, "l", 0, OUT(shoal_list *)), why);
	refused(shoal_list_at(a, 1, OUT(shoal_list *)), why);
	refused(shoal_dict_create(a, NULL, NULL, OUT(shoal_dict *)), why);
	refused(shoal_dict_open(a, "d", 0, OUT(shoal_dict *)), why);
	refused(shoal_dict_at(a, 1, OUT(shoal_dict *)), why);
	refused(shoal_namespace_create(a, NULL, NULL, OUT(shoal_namespace *)), why);
	refused(shoal_namespace_open(a, "n", 0, OUT(shoal_namespace *)), why);
	refused(shoal_queue_create(a, NULL, NULL, OUT(shoal_queue *)), why);
	refused(shoal_queue_open(a, "q", 0, OUT(shoal_queue *)), why);
	refused(shoal_queue_at(a, 1, OUT(shoal_queue *)), why);
	refused(shoal_pipe_open(a, "p", SHOAL_LEFT, 0, OUT(shoal_pipe_end *)), why);
	refused(shoal_pipe_at(a, 1, OUT(shoal_pipe_end *)), why);
	refused(shoal_lock_create(a, NULL, 0, OUT(shoal_lock *)), why);
	refused(shoal_lock_open(a, "k", 0, OUT(shoal_lock *)), why);
	refused(shoal_rwlock_create(a, NULL, 0, OUT(shoal_rwlock *)), why);
	refused(shoal_rwlock_open(a, "r", 0, OUT(shoal_rwlock *)), why);
	refused(shoal_semaphore_create(a, NULL, 1, 2, OUT(shoal_semaphore *)), why);
	refused(shoal_semaphore_open(a, "s", 0, OUT(shoal_semaphore *)), why);
	refused(shoal_condition_create(a, NULL, OUT(shoal_condition *)), why);
	refused(shoal_condition_open(a, "c", 0, OUT(shoal_condition *)), why);
	refused(shoal_event_create(a, NULL, OUT(shoal_event *)), why);
	refused(shoal_event_open(a, "e", 0, OUT(shoal_event *)), why);
	refused(shoal_listener_create(a, "i", NULL, OUT(shoal_listener *)), "");
	refused(shoal_pipe_connect(a, "i", 0, OUT(shoal_pipe_end *)), "");
}

Test(asked, an_object_needs_an_arena, .timeout = HARNESS_TIMEOUT)
{
	shoal_pipe_end *left, *right;
	refused_all(NULL, true, NEEDS_AN_ARENA);
	refused(shoal_pipe_create(NULL, NULL, NULL, &left, &right), NEEDS_AN_ARENA);
}

Test(asked, an_object_needs_a_place, .timeout = HARNESS_TIMEOUT)
{
	shoal_arena *a = arena_make();
	shoal_arena_info before, after;
	REQUIRE_EQ(shoal_arena_stat(a, &before), 0);
	refused_all(a, false, NEEDS_A_PLACE);
	REQUIRE_EQ(shoal_arena_stat(a, &after), 0);
	REQUIRE_EQ(after.objects, before.objects);
	shoal_arena_close(a);
}

/* What is not in its arena is not destroyed, whichever it is. */
Test(asked, an_end_needs_an_arena, .timeout = HARNESS_TIMEOUT)
{
	shoal_arena *a = arena_make();
	shoal_queue *q;
	shoal_lock *l;
	shoal_list *list;
	shoal_value *v;
	REQUIRE_EQ(shoal_queue_create(a, NULL, NULL, &q), 0);
	REQUIRE_EQ(shoal_lock_create(a, NULL, 0, &l), 0);
	REQUIRE_EQ(shoal_list_create(a, NULL, NULL, &list), 0);
	REQUIRE_EQ(shoal_value_create(a, NULL, SHOAL_I64, shoal_any_from_int(1), &v), 0);
	refused(shoal_queue_destroy(NULL, q), NEEDS_AN_ARENA);
	refused(shoal_lock_destroy(NULL, l), NEEDS_AN_ARENA);
	refused(shoal_list_destroy(NULL, list), NEEDS_AN_ARENA);
	refused(shoal_value_destroy(NULL, v), NEEDS_AN_ARENA);
	REQUIRE_EQ(shoal_queue_destroy(NULL, NULL), 0);
	REQUIRE_EQ(shoal_list_destroy(NULL, NULL), 0);
	shoal_arena_close(NULL);
	shoal_queue_close(NULL);
	shoal_pipe_close(NULL);
	shoal_loan_release(NULL);
	shoal_cursor_clear(NULL);
	REQUIRE_EQ(shoal_queue_put(q, "m", 1, 0), 0);
	shoal_arena_close(a);
}
