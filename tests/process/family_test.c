#include "process/common.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

Test(process_family, the_first_is_the_main_process)
{
	shoal_process *me = shoal_process_current();
	REQUIRE_STR_EQ(shoal_process_name(me), "MainProcess");
	REQUIRE_EQ(shoal_process_pid(me), getpid());
	REQUIRE(shoal_process_is_alive(me));
	REQUIRE(!shoal_process_parent());
	int code;
	REQUIRE_EQ(shoal_process_exitcode(me, &code), -EAGAIN);
	REQUIRE_EQ(shoal_process_join(me, SHOAL_FOREVER), -EDEADLK);
	REQUIRE_EQ(shoal_process_start(me), -EALREADY);
	REQUIRE_EQ(shoal_process_kill(me), -ECHILD);
	REQUIRE_EQ(shoal_process_close(me), -EPERM);
	REQUIRE_EQ(shoal_process_fd(me), -ECHILD);
	REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
}

static int
use_parents_handle(void *handle)
{
	int code;
	REQUIRE_EQ(shoal_process_join(handle, 0), -EPERM);
	REQUIRE_EQ(shoal_process_kill(handle), -EPERM);
	REQUIRE_EQ(shoal_process_exitcode(handle, &code), -EPERM);
	REQUIRE_EQ(shoal_process_start(handle), -EPERM);
	REQUIRE_EQ(shoal_process_fd(handle), -EPERM);
	REQUIRE_EQ(shoal_process_close(handle), -EPERM);
	REQUIRE(!shoal_process_is_alive(handle));
	REQUIRE_EQ(shoal_process_children(NULL, 0), 0);
	return 3;
}

Test(process_family, a_handle_is_its_makers)
{
	shoal_process *p = spawned(sleep_long, NULL, NULL);
	REQUIRE_EQ(ended_code(spawned(use_parents_handle, p, NULL)), 3);
	expect_child(child(use_parents_handle, p), 3, 5000);
	REQUIRE(shoal_process_is_alive(p));
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(ended_code(p), -SIGKILL);
}

static int
main_of_its_own(void *arg)
{
	(void)arg;
	REQUIRE_STR_EQ(shoal_process_name(shoal_process_current()), "MainProcess");
	REQUIRE_EQ(shoal_process_pid(shoal_process_current()), getpid());
	REQUIRE(!shoal_process_parent());
	REQUIRE_EQ(ended_code(spawned(give_back, (void *)4, NULL)), 4);
	return 6;
}

Test(process_family, after_a_fork_of_the_users_own_all_begins_anew)
{
	expect_child(child(main_of_its_own, NULL), 6, 5000);
}

Test(process_family, the_library_keeps_what_nobody_asked_for, .init = make_board)
{
	shoal_process *list[4];
	for (int i = 0; i < 200; i++)
		REQUIRE_EQ(shoal_process_spawn(give_back, NULL, NULL, NULL), 0);
	shoal_process_options named = { .name = "kept" };
	REQUIRE_EQ(shoal_process_spawn(say_and_sleep, (void *)0, &named, NULL), 0);
	while (shoal_process_children(list, 4) > 1)
		sleep_ms(5);
	REQUIRE_STR_EQ(shoal_process_name(list[0]), "kept");
	REQUIRE_EQ(shoal_process_kill(list[0]), 0);
	REQUIRE_EQ(code_of(list[0]), -SIGKILL);
	REQUIRE_EQ(shoal_process_children(list + 1, 3), 0);
	REQUIRE_EQ(shoal_process_close(list[0]), 0);
	REQUIRE(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

Test(process_family, children_says_how_many_there_are_beyond_the_room)
{
	shoal_process *p[3], *list[2] = { NULL, NULL };
	for (int i = 0; i < 3; i++)
		p[i] = spawned(sleep_long, NULL, NULL);
	REQUIRE_EQ(shoal_process_children(list, 1), 3);
	REQUIRE(list[0] == p[0] && !list[1]);
	for (int i = 0; i < 3; i++) {
		REQUIRE_EQ(shoal_process_kill(p[i]), 0);
		REQUIRE_EQ(ended_code(p[i]), -SIGKILL);
	}
}

static int
watch_parent(void *arg)
{
	shoal_process *parent = shoal_process_parent();
	bool early = (intptr_t)arg == 1;
	int fd = early ? shoal_process_fd(parent) : -1, code;
	REQUIRE(shoal_process_is_alive(parent));
	REQUIRE_EQ(shoal_process_exitcode(parent, &code), -EAGAIN);
	if (early) {
		REQUIRE_EQ(shoal_process_join(parent, SHOAL_MS(10)), -ETIMEDOUT);
		REQUIRE(!readable(fd, 0));
	}
	REQUIRE_EQ(shoal_process_kill(parent), -ECHILD);
	atomic_store(&board->value[0], 1);
	if (early)
		REQUIRE_EQ(shoal_process_join(parent, SHOAL_SEC(10)), 0);
	else
		while (shoal_process_is_alive(parent))
			sleep_ms(1);
	REQUIRE(!shoal_process_is_alive(parent));
	REQUIRE_EQ(shoal_process_join(parent, 0), 0);
	REQUIRE(readable(shoal_process_fd(parent), 0));
	REQUIRE_EQ(shoal_process_exitcode(parent, &code), -ECHILD);
	atomic_store(&board->value[1], 1);
	return 0;
}

static int
be_watched(void *arg)
{
	REQUIRE_EQ(shoal_process_spawn(watch_parent, arg, NULL, NULL), 0);
	return sleep_long(NULL);
}

static void
watched_parent_dies(int early)
{
	shoal_process *p = spawned(be_watched, (void *)(intptr_t)early, NULL);
	until(0, 1);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(ended_code(p), -SIGKILL);
	until(1, 1);
}

Test(process_family, a_child_sees_its_parents_death, .init = make_board)
{
	watched_parent_dies(1);
}

Test(process_family, a_child_that_asks_late_sees_its_parents_death, .init = make_board)
{
	watched_parent_dies(2);
}

/* What stands for a parent that is gone does not get what this one prints. */
static int
watch_without_output(void *arg)
{
	shoal_process *parent = shoal_process_parent();
	atomic_store(&board->value[0], 1);
	while (getppid() == shoal_process_pid(parent))
		sleep_ms(1);
	close(STDOUT_FILENO);
	atomic_store(&board->value[1], shoal_process_fd(parent));
	REQUIRE(fcntl(STDOUT_FILENO, F_GETFD) < 0);
	atomic_store(&board->value[2], 1);
	return arg != NULL;
}

static int
be_lost(void *arg)
{
	REQUIRE_EQ(shoal_process_spawn(watch_without_output, arg, NULL, NULL), 0);
	return sleep_long(NULL);
}

Test(process_family, a_dead_parents_descriptor_is_no_stream, .init = make_board)
{
	shoal_process *p = spawned(be_lost, NULL, NULL);
	until(0, 1);
	REQUIRE_EQ(shoal_process_kill(p), 0);
	REQUIRE_EQ(ended_code(p), -SIGKILL);
	until(2, 1);
	REQUIRE(atomic_load(&board->value[1]) > STDERR_FILENO);
}

static int
count_descriptors(void *arg)
{
	(void)arg;
	int count = 0;
	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

Test(process_family, descriptors_do_not_pile_up_in_children)
{
	static shoal_process *p[20];
	int before = ended_code(spawned(count_descriptors, NULL, NULL));
	for (int i = 0; i < 20; i++)
		p[i] = spawned(sleep_long, NULL, &(shoal_process_options){ .daemon = i % 2 });
	REQUIRE_EQ(ended_code(spawned(count_descriptors, NULL, NULL)), before);
	for (int i = 0; i < 20; i++) {
		REQUIRE_EQ(shoal_process_kill(p[i]), 0);
		REQUIRE_EQ(ended_code(p[i]), -SIGKILL);
	}
	REQUIRE_EQ(ended_code(spawned(count_descriptors, NULL, NULL)), before);
}
