/* Ten processes sleep two seconds each, all at the same time, and are joined. */
#include <unistd.h>
#include <shoal/shoal.h>

static int
run(void *number)
{
	printf("process%d %d\n", (int)(intptr_t)number, getpid());
	return (int)sleep(2);
}

int
main(void)
{
	shoal_process *p[10];

	for (intptr_t i = 0; i < 10; i++)
		if (shoal_process_spawn(run, (void *)i, NULL, &p[i]) < 0)
			return shoal_perror("process"), 1;
	for (int i = 0; i < 10; i++)
		shoal_process_join(p[i], SHOAL_FOREVER);
	return 0;
}
