/* A list of an int, nothing and a string goes through a queue, and is printed as JSON. */
#include <shoal/shoal.h>

static int
f(void *queue)
{
	return shoal_queue_put_any(queue, SHOAL_LIST(42, SHOAL_NIL, "hello"), SHOAL_FOREVER);
}

int
main(void)
{
	shoal_arena *arena;
	shoal_queue *queue;
	shoal_any got;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_queue_create(arena, NULL, NULL, &queue) < 0 ||
	    shoal_process_spawn(f, queue, NULL, NULL) < 0 ||
	    shoal_queue_get_any(queue, &got, SHOAL_FOREVER) < 0)
		return shoal_perror("queue"), 1;
	shoal_any_print(&got, stdout);
	puts("");
	shoal_any_clear(&got);
	return 0;
}
