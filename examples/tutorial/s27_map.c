/* Twenty tasks of a second for five workers, by one call that gives all of the results. */
#include <time.h>
#include <unistd.h>
#include <shoal/shoal.h>

static int
clock_run(shoal_task *task)
{
	int k = *(const int *)task->in;

	for (int i = 0; i < k; i++) {
		time_t now = time(NULL);

		printf("%d the time is %s", getpid(), ctime(&now));
		fflush(stdout);
		sleep((unsigned)k);
	}
	return 0;
}

int
main(void)
{
	const shoal_pool_options five = { .workers = 5 };
	int l[20];
	shoal_pool *p;
	ssize_t failed;

	for (int i = 0; i < 20; i++)
		l[i] = 1;
	if (shoal_pool_create(&five, &p) < 0)
		return shoal_perror("pool"), 1;
	failed = shoal_pool_map(p, clock_run, l, sizeof *l, NULL, 0, 20, NULL);
	shoal_pool_destroy(p);
	return failed != 0;
}
