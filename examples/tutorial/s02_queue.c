/* A child puts into a queue that it inherited; the queue is in memory that both share. */
#include <shoal/shoal.h>

static shoal_queue *q;

static int
run(void *unused)
{
	(void)unused;
	return shoal_queue_put_any(q, SHOAL_ANY(1), SHOAL_FOREVER);
}

int
main(void)
{
	shoal_arena *arena;
	shoal_any got;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 ||
	    shoal_queue_create(arena, NULL, NULL, &q) < 0 ||
	    shoal_process_spawn(run, NULL, NULL, NULL) < 0 ||
	    shoal_queue_get_any(q, &got, SHOAL_FOREVER) < 0)
		return shoal_perror("queue"), 1;
	printf("%d\n", (int)shoal_any_int(&got, 0));
	shoal_any_clear(&got);
	return 0;
}
