/* Three workers; each result goes to a callback, which runs in the process that made the pool. */
#include <unistd.h>
#include <shoal/shoal.h>

static int
foo(shoal_task *task)
{
	int i = *(const int *)task->in + 100;

	sleep(2);
	printf("in process %d\n", getpid());
	fflush(stdout);
	return shoal_task_reply(task, &i, sizeof i);
}

static void
bar(void *unused, int code, const void *out, size_t out_bytes, const char *error)
{
	(void)unused, (void)out_bytes;
	if (code == 0)
		printf("exec done %d %d\n", *(const int *)out, getpid());
	else
		printf("exec failed: %s\n", error);
}

int
main(void)
{
	const shoal_pool_options three = { .workers = 3 };
	shoal_pool *pool;

	if (shoal_pool_create(&three, &pool) < 0)
		return shoal_perror("pool"), 1;
	printf("main process %d\n", getpid());
	for (int i = 0; i < 10; i++)
		shoal_pool_apply_async(pool, foo, &i, sizeof i, bar, NULL, NULL);
	puts("done");
	shoal_pool_close(pool);
	return shoal_pool_join(pool, SHOAL_FOREVER) < 0;
}
