/* Every section of the interface, by a program that knows only what is installed. */
#include "outside.h"
#include <string.h>

void
in_child(int (*run)(void *), void *arg)
{
	shoal_process *child;
	int code = -1;
	CHECK(shoal_process_spawn(run, arg, NULL, &child) == 0);
	CHECK(shoal_process_join(child, SHOAL_SEC(10)) == 0);
	CHECK(shoal_process_exitcode(child, &code) == 0 && code == 0);
	CHECK(shoal_process_close(child) == 0);
}

void
rules(void)
{
	CHECK(shoal_version() == SHOAL_VERSION);
	CHECK(shoal_timed_out(-EAGAIN) && shoal_timed_out(-ETIMEDOUT) && !shoal_timed_out(0));
	CHECK(strlen(shoal_strerror(-EPIPE)) > 0 && strlen(shoal_strerror(EPIPE)) > 0);
	shoal_time begin = shoal_now();
	CHECK(begin > 0 && shoal_left(begin) == 0 && shoal_left(begin + SHOAL_SEC(60)) > 0);

	/* An interrupt ends the next wait, once. */
	shoal_event event;
	CHECK(shoal_event_init(&event) == 0);
	shoal_thread_interrupt(shoal_thread_self());
	CHECK(shoal_event_wait(&event, SHOAL_SEC(10)) == -ECANCELED);
	CHECK(shoal_event_wait(&event, SHOAL_MS(1)) == -ETIMEDOUT);
	CHECK(shoal_event_wait(&event, -1) == -EAGAIN);
}

int
main(void)
{
	shoal_arena *arena;
	rules();
	arenas();
	CHECK(shoal_arena_create(NULL, NULL, &arena) == 0);
	queues(arena);
	pipes(arena);
	locks(arena);
	data(arena);
	processes(arena);
	waits(arena);
	pools();
	CHECK(readme(arena) == 0);
	CHECK(shoal_arena_check(arena, stderr) == 0);
	shoal_arena_close(arena);
	puts("outside: every section");
	return 0;
}
