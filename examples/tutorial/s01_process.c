/*
 * Two processes print their own and their parent's number. Where Python derives a class from
 * Process, C has a function. Nobody joins them: the program ends when its processes have.
 */
#include <unistd.h>
#include <shoal/shoal.h>

static int
run(void *unused)
{
	(void)unused;
	printf("%d %d\n", getpid(), getppid());
	return 0;
}

int
main(void)
{
	if (shoal_process_spawn(run, NULL, NULL, NULL) < 0 ||
	    shoal_process_spawn(run, NULL, NULL, NULL) < 0)
		return shoal_perror("process"), 1;
	printf("%d\n", getpid());
	return 0;
}
