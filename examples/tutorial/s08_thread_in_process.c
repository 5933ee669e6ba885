/*
 * Ten processes, and a thread in each. Nobody joins the processes: the program waits for them when
 * it ends. A process's end is the end of its threads, though, so each one joins its own.
 */
#include <pthread.h>
#include <unistd.h>
#include <shoal/shoal.h>

static void *
thread_run(void *unused)
{
	printf("%#lx\n", (unsigned long)pthread_self());
	return unused;
}

static int
run(void *number)
{
	pthread_t thread;

	sleep(1);
	printf("hello jim %d\n", (int)(intptr_t)number);
	if (pthread_create(&thread, NULL, thread_run, NULL) != 0)
		return 1;
	return pthread_join(thread, NULL);
}

int
main(void)
{
	for (intptr_t i = 0; i < 10; i++)
		if (shoal_process_spawn(run, (void *)i, NULL, NULL) < 0)
			return shoal_perror("process"), 1;
	return 0;
}
