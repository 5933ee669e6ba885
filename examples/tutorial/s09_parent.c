/* A child's parent is the process that started it. */
#include <unistd.h>
#include <shoal/shoal.h>

static void
info(void)
{
	printf("parent %d\n", getppid());
	printf("process %d\n\n\n", getpid());
}

static int
f(void *unused)
{
	(void)unused;
	info();
	return 0;
}

int
main(void)
{
	info();
	if (shoal_process_spawn(f, NULL, NULL, NULL) < 0)
		return shoal_perror("process"), 1;
	return 0;
}
