/* Three processes say hello, and at which address they see the queue: a fork's is its parent's. */
#include <unistd.h>
#include <shoal/shoal.h>

static shoal_queue *q;

static int
run(void *number)
{
	sleep(2);
	return shoal_queue_put_any(q, SHOAL_LIST("hello", (intptr_t)number, (intptr_t)q),
	                           SHOAL_FOREVER);
}

int
main(void)
{
	shoal_process *m[3];
	shoal_arena *arena;
	shoal_any got;

	if (shoal_arena_create(NULL, NULL, &arena) < 0 || shoal_queue_create(arena, NULL, NULL, &q) < 0)
		return shoal_perror("queue"), 1;
	printf("main_id: %jd\n", (intmax_t)(intptr_t)q);
	for (intptr_t i = 0; i < 3; i++)
		if (shoal_process_spawn(run, (void *)i, NULL, &m[i]) < 0)
			return shoal_perror("process"), 1;
	for (int i = 0; i < 3 && shoal_queue_get_any(q, &got, SHOAL_FOREVER) == 0; i++) {
		shoal_any_print(&got, stdout);
		puts("");
		shoal_any_clear(&got);
	}
	for (int i = 0; i < 3; i++)
		shoal_process_join(m[i], SHOAL_FOREVER);
	return 0;
}
