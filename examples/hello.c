#include <shoal/shoal.h>

static int
greet(void *queue)
{
	return shoal_queue_put(queue, "hello from a process", 21, SHOAL_FOREVER) < 0;
}

int
main(void)
{
	shoal_arena *arena;
	shoal_queue *queue;
	shoal_process *child;
	char text[64];
	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_queue_create(arena, NULL, NULL, &queue) < 0 ||
	    shoal_process_spawn(greet, queue, NULL, &child) < 0 ||
	    shoal_queue_get(queue, text, sizeof text, SHOAL_SEC(5)) < 0) {
		shoal_perror("hello");
		return 1;
	}
	puts(text);
	return shoal_process_join(child, SHOAL_SEC(5)) < 0;
}
