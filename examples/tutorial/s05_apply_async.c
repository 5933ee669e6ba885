/* Five workers, five tasks that sleep, all at once; close and join wait for them. */
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
		if (shoal_pool_apply_async(pool, run, &i, sizeof i, NULL, NULL, NULL) < 0)
			return shoal_perror("apply_async"), 1;
	puts("end");
	fflush(stdout);
	shoal_pool_close(pool);
	return shoal_pool_join(pool, SHOAL_FOREVER) < 0;
}
