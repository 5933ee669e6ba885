/* Two clocks side by side: a process's state is the struct that its function is given. */
#include <time.h>
#include <unistd.h>
#include <shoal/shoal.h>

struct clock_process {
	int x;
	unsigned y;
};

static int
clock_run(void *arg)
{
	const struct clock_process *self = arg;

	for (int i = 0; i < self->x; i++) {
		time_t now = time(NULL);

		printf("%d==%s", getpid(), ctime(&now));
		fflush(stdout);
		sleep(self->y);
	}
	return 0;
}

int
main(void)
{
	struct clock_process five = { .x = 5, .y = 1 };
	shoal_process *p, *p1;

	if (shoal_process_spawn(clock_run, &five, NULL, &p) < 0 ||
	    shoal_process_spawn(clock_run, &five, NULL, &p1) < 0 ||
	    shoal_process_join(p, SHOAL_FOREVER) < 0 || shoal_process_join(p1, SHOAL_FOREVER) < 0)
		return shoal_perror("clock"), 1;
	return 0;
}
