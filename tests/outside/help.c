/* What the sections share: other processes and threads, and what is written. */
#include "outside.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void
with_code(int (*run)(void *), void *arg, int expected)
{
	shoal_process *child;
	int code = -1;
	CHECK(shoal_process_spawn(run, arg, NULL, &child) == 0);
	CHECK(shoal_process_join(child, SHOAL_SEC(10)) == 0);
	CHECK(shoal_process_exitcode(child, &code) == 0 && code == expected);
	CHECK(shoal_process_close(child) == 0);
}

void
in_child(int (*run)(void *), void *arg)
{
	with_code(run, arg, 0);
}

void
to_death(int (*run)(void *), void *arg)
{
	with_code(run, arg, -SIGKILL);
}

void
in_thread(void *(*run)(void *), void *arg)
{
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, run, arg) == 0 && pthread_join(thread, NULL) == 0);
}

void
stderr_to(FILE *paper)
{
	static int before = -1;
	fflush(stderr);
	if (paper) {
		before = dup(STDERR_FILENO);
		CHECK(before >= 0 && dup2(fileno(paper), STDERR_FILENO) >= 0);
	} else {
		CHECK(dup2(before, STDERR_FILENO) >= 0 && close(before) == 0);
	}
}

bool
wrote(FILE *paper, const char *text)
{
	char is[1024];
	CHECK(fflush(paper) == 0 && fseek(paper, 0, SEEK_SET) == 0);
	size_t bytes = fread(is, 1, sizeof is - 1, paper);
	is[bytes] = '\0';
	CHECK(fclose(paper) == 0);
	return !strcmp(is, text);
}
