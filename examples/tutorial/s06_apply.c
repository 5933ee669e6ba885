/* The same with apply, which waits for each task: one after the other, and "end" is last. */
#include <unistd.h>
#include <shoal/shoal.h>

static int
run(shoal_task *task)
{
	sleep(2);
	printf("%d %d\n", *(const int *)task->in, getpid());
	fflush(stdout);
	return 0;
}

int
main(void)
{
	const shoal_pool_options five = { .workers = 5 };
	shoal_pool *pool;

	if (shoal_pool_create(&five, &pool) < 0)
		return shoal_perror("pool"), 1;
	for (int i = 0; i < 5; i++)
		if (shoal_pool_apply(pool, run, &i, sizeof i, NULL, 0) < 0)
			return shoal_perror("apply"), 1;
	puts("end");
	shoal_pool_close(pool);
	return shoal_pool_join(pool, SHOAL_FOREVER) < 0;
}
