/* Processes have names, as Python's have their classes'. */
#include <time.h>
#include <unistd.h>
#include <shoal/shoal.h>

static int
run(void *unused)
{
	time_t now;

	(void)unused;
	sleep(2);
	now = time(NULL);
	printf("%s %s", shoal_process_name(shoal_process_current()), ctime(&now));
	return 0;
}

int
main(void)
{
	static const char *const name[] = { "Myprocess-1", "Myprocess-2", "Myprocess-3" };
	shoal_process *m[3];

	for (int i = 0; i < 3; i++) {
		const shoal_process_options options = { .name = name[i] };

		if (shoal_process_spawn(run, NULL, &options, &m[i]) < 0)
			return shoal_perror("process"), 1;
	}
	for (int i = 0; i < 3; i++)
		shoal_process_join(m[i], SHOAL_FOREVER);
	return 0;
}
