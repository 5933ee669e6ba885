/* Ten tasks of two seconds for four workers: three rounds. */
#include <unistd.h>
#include <shoal/shoal.h>

static int
first_func(shoal_task *task)
{
	printf("in first func: process%d %d\n", *(const int *)task->in, getpid());
	fflush(stdout);
	return (int)sleep(2);
}

int
main(void)
{
	const shoal_pool_options four = { .workers = 4 };
	shoal_pool *pool;

	if (shoal_pool_create(&four, &pool) < 0)
		return shoal_perror("pool"), 1;
	printf("main process id: %d\n", getpid());
	fflush(stdout);
	for (int i = 0; i < 10; i++)
		if (shoal_pool_apply_async(pool, first_func, &i, sizeof i, NULL, NULL, NULL) < 0)
			return shoal_perror("apply_async"), 1;
	shoal_pool_close(pool);
	return shoal_pool_join(pool, SHOAL_FOREVER) < 0;
}
