/*
 * A program that is executed again by its starts. Its main function says so each time it runs: one
 * "main" is right, whatever is started. The children's function says whether all constructors were
 * there before it, also that of again_late.c, which is the last.
 *
 *	again METHOD...		2 FORKSERVER, 3 SPAWN, 0 with a second thread
 */
#include <pthread.h>
#include <shoal/process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern int again_late;
static int early;

__attribute__((constructor)) static void
begin(void)
{
	early = 1;
}

struct order {
	int method, depth;
};

static int say(void *arg);

static int
start(int method, int depth)
{
	struct order order = { method, depth };
	shoal_process_options o = { .method = (shoal_start_method)method, .arg_bytes = sizeof order };
	shoal_process *p;
	int code = -1, rc = shoal_process_spawn(say, &order, &o, &p);
	if (rc < 0) {
		printf("%d: %s\n", rc, shoal_error());
		return rc;
	}
	shoal_process_join(p, SHOAL_FOREVER);
	shoal_process_exitcode(p, &code);
	shoal_process_close(p);
	return code;
}

static int
say(void *arg)
{
	const struct order *order = arg;
	printf("child of %s, %s%s\n",
	       shoal_process_pid(shoal_process_parent()) == getppid() ? "its parent" : "a server",
	       early && again_late ? "all constructed" : "TOO EARLY",
	       getenv("SHOAL_CHILD") ? ", WITH TOKEN" : "");
	fflush(stdout);
	return order->depth ? start(order->method, order->depth - 1) : 7;
}
#ifdef NAMED
SHOAL_ENTRY(again_say, say);
#endif

static void *
idle(void *arg)
{
	for (;;)
		pause();
	return arg;
}

int
main(int argc, char **argv)
{
	printf("main\n");
	for (int i = 1; i < argc; i++) {
		pthread_t t;
		if (!strcmp(argv[i], "0"))
			pthread_create(&t, NULL, idle, NULL);
		printf("%d\n", start(atoi(argv[i]), 1));
	}
	return 0;
}
