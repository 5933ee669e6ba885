/* A process prints the time five times, once a second; its arguments are a struct. */
#include <time.h>
#include <unistd.h>
#include <shoal/shoal.h>

struct ticks {
	int times;
	unsigned seconds;
};

static int
clock_run(void *arg)
{
	const struct ticks *ticks = arg;

	for (int i = 0; i < ticks->times; i++) {
		time_t now = time(NULL);

		printf("the time is %s", ctime(&now));
		fflush(stdout);
		sleep(ticks->seconds);
	}
	return 0;
}

int
main(void)
{
	struct ticks ticks = { .times = 5, .seconds = 1 };
	shoal_process *p;

	if (shoal_process_spawn(clock_run, &ticks, NULL, &p) < 0 ||
	    shoal_process_join(p, SHOAL_FOREVER) < 0)
		return shoal_perror("clock"), 1;
	return 0;
}
