/*
 * The tutorial's program forgets an import, so each task fails; Python raises the first worker's
 * exception in the parent. Here map tells how many failed, shoal_error what the first one said.
 */
#include <shoal/shoal.h>

static int
clock_run(shoal_task *task)
{
	return shoal_task_fail(task, "NameError: name 'time' is not defined");
}

int
main(void)
{
	const shoal_pool_options five = { .workers = 5 };
	int seconds[20] = { 0 };
	shoal_pool *pool;
	ssize_t failed;

	for (int i = 0; i < 20; i++)
		seconds[i] = 1;
	if (shoal_pool_create(&five, &pool) < 0)
		return shoal_perror("pool"), 1;
	failed = shoal_pool_map(pool, clock_run, seconds, sizeof *seconds, NULL, 0, 20, NULL);
	if (failed)
		shoal_perror("map");
	shoal_pool_destroy(pool);
	return failed != 0;
}
