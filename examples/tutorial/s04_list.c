/* Ten processes append to one list. There is no Manager's process: the list is in shared memory. */
#include <shoal/shoal.h>

static shoal_list *list;

static int
run(void *number)
{
	return shoal_list_append(list, SHOAL_ANY((intptr_t)number));
}

int
main(void)
{
	shoal_process *p[10];
	shoal_arena *arena;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_list_create(arena, NULL, NULL, &list) < 0)
		return shoal_perror("list"), 1;
	for (intptr_t i = 0; i < 10; i++)
		if (shoal_process_spawn(run, (void *)i, NULL, &p[i]) < 0)
			return shoal_perror("process"), 1;
	for (int i = 0; i < 10; i++)
		shoal_process_join(p[i], SHOAL_FOREVER);
	shoal_list_print(list, stdout);
	puts("");
	return 0;
}
