/* Ten processes print one line each, under a lock, so that no two lines are mixed on the screen. */
#include <shoal/shoal.h>

static shoal_lock *lock;

static int
f(void *number)
{
	SHOAL_HOLD(lock);
	printf("hello ");
	fflush(stdout);
	printf("world %d\n", (int)(intptr_t)number);
	fflush(stdout);
	return 0;
}

int
main(void)
{
	shoal_arena *arena;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_lock_create(arena, NULL, 0, &lock) < 0)
		return shoal_perror("lock"), 1;
	for (intptr_t i = 0; i < 10; i++)
		if (shoal_process_spawn(f, (void *)i, NULL, NULL) < 0)
			return shoal_perror("process"), 1;
	return 0;
}
