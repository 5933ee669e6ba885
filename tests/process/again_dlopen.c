/* A program that has the library by dlopen: executed again it would run its main function. */
#include <dlfcn.h>
#include <pthread.h>
#include <shoal/process.h>
#include <stdio.h>
#include <unistd.h>

static int
say(void *arg)
{
	printf("child %s\n", (const char *)arg);
	return 7;
}

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
	pthread_t t;
	void *shoal = dlopen(argc > 1 ? argv[1] : "", RTLD_NOW | RTLD_GLOBAL);
	if (!shoal)
		return fprintf(stderr, "%s\n", dlerror()), 1;
	__typeof__(&shoal_process_spawn) spawn =
		(__typeof__(&shoal_process_spawn))(uintptr_t)dlsym(shoal, "shoal_process_spawn");
	__typeof__(&shoal_process_join) join =
		(__typeof__(&shoal_process_join))(uintptr_t)dlsym(shoal, "shoal_process_join");
	printf("main\n");
	fflush(stdout);
	pthread_create(&t, NULL, idle, NULL);
	for (int method = 0; method <= SHOAL_SPAWN; method++) {
		shoal_process_options o = { .method = (shoal_start_method)method, .arg_bytes = 6 };
		shoal_process *p;
		int rc = spawn(say, "copied", &o, &p);
		printf("%d\n", rc);
		if (!rc)
			join(p, SHOAL_FOREVER);
	}
	return 0;
}
