#include "process/common.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

Test(process, before_during_and_after)
{
	shoal_process *p, *list[2];
	int code;
	REQUIRE_EQ(shoal_process_create(sleep_long, NULL, NULL, &p), 0);
	REQUIRE(!shoal_process_is_alive(p));
	REQUIRE_EQ(shoal_process_pid(p), 0);
	REQUIRE_EQ(shoal_process_join(p, 0), -ECHILD);
	REQUIRE_EQ(shoal_process_exitcode(p, &code), -ECHILD);
	REQUIRE_EQ(shoal_process_fd(p), -ECHILD);
	REQUIRE_EQ(shoal_process_terminate(p), -ECHILD);
	REQUIRE_EQ(shoal_process_children(list, 2), 0);

	REQUIRE_EQ(shoal_process_start(p), 0);
	REQUIRE(shoal_process_is_alive(p));
	REQUIRE(shoal_process_pid(p) > 0);
	REQUIRE_EQ(shoal_process_exitcode(p, &code), -EAGAIN);
	REQUIRE_EQ(shoal_process_children(list, 2), 1);
	REQUIRE(list[0] == p);
	REQUIRE_EQ(shoal_process_start(p), -EALREADY);
	REQUIRE_EQ(shoal_process_close(p), -EBUSY);

	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(code_of(p), -SIGKILL);
	REQUIRE(!shoal_process_is_alive(p));
	REQUIRE_EQ(shoal_process_join(p, SHOAL_FOREVER), 0);
	REQUIRE_EQ(shoal_process_start(p), -EALREADY);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(shoal_process_terminate(p), 0);
	REQUIRE_EQ(shoal_process_children(list, 2), 0);
	REQUIRE_EQ(shoal_process_close(p), 0);
	REQUIRE_EQ(shoal_process_close(NULL), 0);
}

Test(process, names_count_children_and_theirs, .init = make_board)
{
	static const shoal_process_options named = { .name = "reader-1" };
	REQUIRE_EQ(ended_code(spawned(tell_name, (void *)0, NULL)), 0);
	REQUIRE_EQ(ended_code(spawned(tell_name, (void *)1, &named)), 1);
	REQUIRE_EQ(ended_code(spawned(tell_name, (void *)2, NULL)), 2);
	REQUIRE_STR_EQ(board->text[0], "Process-1<MainProcess");
	REQUIRE_STR_EQ(board->text[4], "Process-1:1<Process-1");
	REQUIRE_STR_EQ(board->text[8], "Process-1:2<Process-1");
	REQUIRE_STR_EQ(board->text[1], "reader-1<MainProcess");
	REQUIRE_STR_EQ(board->text[5], "Process-2:1<reader-1");
	REQUIRE_STR_EQ(board->text[2], "Process-3<MainProcess");
	REQUIRE_STR_EQ(board->text[6], "Process-3:1<Process-3");
}

static int
sum_bytes(void *arg)
{
	const unsigned char *at = arg;
	int sum = 0;
	until(0, 1);
	for (int i = 0; i < 100; i++)
		sum += at[i];
	return sum & 0xff;
}

Test(process, an_argument_by_copy_is_the_childs_own, .init = make_board)
{
	shoal_process_options o = { .arg_bytes = 100, .method = SHOAL_FORK };
	unsigned char *memory = shared(100);
	memset(memory, 2, 100);
	shoal_process *p = spawned(sum_bytes, memory, &o);
	memset(memory, 9, 100);
	atomic_store(&board->value[0], 1);
	REQUIRE_EQ(ended_code(p), 200);
}

static int
see_arenas(void *arg)
{
	(void)arg;
	return shoal_process_arena(0) == (shoal_arena *)board &&
	       shoal_process_arena(1) == (shoal_arena *)(board + 1) && !shoal_process_arena(2);
}

Test(process, the_arenas_of_its_options_are_given_in_order, .init = make_board)
{
	shoal_arena *list[] = { (shoal_arena *)board, (shoal_arena *)(board + 1) };
	shoal_process_options o = { .arenas = list, .arena_count = 2 };
	shoal_process *p;
	REQUIRE(!shoal_process_arena(0));
	REQUIRE_EQ(shoal_process_create(see_arenas, NULL, &o, &p), 0);
	list[0] = list[1] = NULL;
	REQUIRE_EQ(shoal_process_start(p), 0);
	REQUIRE_EQ(ended_code(p), 1);
}

static void
refused(const shoal_process_options *o, void *arg, int code)
{
	shoal_process *p = NULL;
	REQUIRE_EQ(shoal_process_create(give_back, arg, o, &p), code);
	REQUIRE(!p);
	REQUIRE_EQ(shoal_process_spawn(give_back, arg, o, NULL), code);
	REQUIRE(strlen(shoal_error()) > 10);
}

Test(process, bad_options_are_refused)
{
	static char none[1], long_name[65];
	shoal_arena *hole[1] = { NULL };
	shoal_process *p;
	memset(long_name, 'x', 64);
	REQUIRE_EQ(shoal_process_create(NULL, NULL, NULL, &p), -EINVAL);
	REQUIRE_EQ(shoal_process_create(give_back, NULL, NULL, NULL), -EINVAL);
	REQUIRE_EQ(shoal_process_spawn(NULL, NULL, NULL, NULL), -EINVAL);
	refused(&(shoal_process_options){ .name = "" }, NULL, -EINVAL);
	refused(&(shoal_process_options){ .name = long_name }, NULL, -EINVAL);
	refused(&(shoal_process_options){ .name = "a/b" }, NULL, -EINVAL);
	refused(&(shoal_process_options){ .arg_bytes = 8 }, NULL, -EINVAL);
	refused(&(shoal_process_options){ .arena_count = 1 }, NULL, -EINVAL);
	refused(&(shoal_process_options){ .arena_count = 1, .arenas = hole }, NULL, -EINVAL);
	refused(&(shoal_process_options){ .arena_count = SIZE_MAX, .arenas = hole }, NULL, -EINVAL);
	refused(&(shoal_process_options){ .method = (shoal_start_method)9 }, NULL, -EINVAL);
	refused(&(shoal_process_options){ .method = SHOAL_SPAWN }, NULL, -EINVAL);
	refused(&(shoal_process_options){ .method = SHOAL_FORKSERVER }, none, -EINVAL);
	refused(&(shoal_process_options){ .reserved_ = { 0, 0, 0, 1 } }, NULL, -EINVAL);
#if HARNESS_SLOW == 1 /* a sanitizer ends the process for asking so much */
	shoal_process_options huge = { .arg_bytes = SIZE_MAX / 2, .method = SHOAL_FORK };
	REQUIRE_EQ(shoal_process_spawn(give_back, none, &huge, NULL), -ENOMEM);
	for (huge.method = SHOAL_FORKSERVER; huge.method <= SHOAL_SPAWN; huge.method++)
		REQUIRE(shoal_process_spawn(give_back, none, &huge, NULL) < 0);
	huge = (shoal_process_options){ .arg_bytes = (size_t)1 << 45, .method = SHOAL_FORKSERVER };
	REQUIRE_EQ(shoal_process_spawn(give_back, none, &huge, NULL), -ENOMEM);
#endif
}

Test(process, bad_handles_are_refused)
{
	int code;
	REQUIRE_EQ(shoal_process_start(NULL), -EINVAL);
	REQUIRE_EQ(shoal_process_join(NULL, 0), -EINVAL);
	REQUIRE(!shoal_process_is_alive(NULL));
	REQUIRE_EQ(shoal_process_exitcode(NULL, &code), -EINVAL);
	REQUIRE_EQ(shoal_process_exitcode(shoal_process_current(), NULL), -EINVAL);
	REQUIRE_EQ(shoal_process_terminate(NULL), -EINVAL);
	REQUIRE_EQ(shoal_process_pid(NULL), 0);
	REQUIRE(!shoal_process_name(NULL));
	REQUIRE_EQ(shoal_process_fd(NULL), -EINVAL);
	REQUIRE_EQ(shoal_process_at_exit(NULL, NULL, 0), -EINVAL);
}

Test(process, start_methods)
{
	REQUIRE_EQ(shoal_start_method_get(), SHOAL_FORK);
	REQUIRE_EQ(shoal_start_method_set((shoal_start_method)77), -EINVAL);
	for (shoal_start_method m = SHOAL_FORK; m <= SHOAL_SPAWN; m++) {
		REQUIRE_EQ(shoal_start_method_set(m), 0);
		REQUIRE_EQ(shoal_start_method_get(), m);
		REQUIRE_EQ(shoal_start_method_set(SHOAL_FORK), -EALREADY);
		REQUIRE_EQ(shoal_start_method_get(), m);
		REQUIRE_EQ(shoal_start_method_set(SHOAL_START_DEFAULT), 0);
		REQUIRE_EQ(shoal_start_method_get(), SHOAL_FORK);
	}
	REQUIRE(shoal_cpu_count() >= 1);
}

Test(process, many)
{
	static shoal_process *p[100];
	for (int i = 0; i < 100; i++)
		REQUIRE_EQ(ended_code(spawned(give_back, NULL, NULL)), 0);
	for (int i = 0; i < 100; i++)
		p[i] = spawned(sleep_long, NULL, NULL);
	REQUIRE_EQ(shoal_process_children(NULL, 0), 100);
	for (int i = 0; i < 100; i++)
		REQUIRE_EQ(shoal_process_terminate(p[i]), 0);
	for (int i = 0; i < 100; i++)
		REQUIRE_EQ(ended_code(p[i]), -SIGTERM);
}
