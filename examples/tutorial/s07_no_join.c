/*
 * The same without close and join: the program prints "end" and ends. What its workers have not
 * done is dropped, and no worker is left, since they are daemons.
 */
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
	return 0;
}
