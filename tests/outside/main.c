/* Every section of the interface, by a program that knows only what is installed. */
#include "outside.h"

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
	signals(arena);
	anys(arena);
	cells(arena);
	containers(arena);
	processes(arena);
	starts(arena);
	waits(arena);
	pools();
	policies();
	CHECK(readme(arena) == 0);
	shoal_arena_info info;
	CHECK(shoal_arena_stat(arena, &info) == 0 && info.objects == 0);
	CHECK(shoal_arena_check(arena, stderr) == 0);
	shoal_arena_close(arena);
	puts("outside: every section");
	return 0;
}
