/* host.h - where and of what this was measured, and what about it disturbs */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include <stdbool.h>
#include <stdio.h>

enum {
	HOST_TEXT = 160,
	WARNINGS_MAX = 8,
};

struct host {
	char cpu[HOST_TEXT], kernel[HOST_TEXT], machine[HOST_TEXT], virt[HOST_TEXT];
	char governor[HOST_TEXT], clock[HOST_TEXT], thp[HOST_TEXT], thp_shmem[HOST_TEXT];
	unsigned processors, cores, packages; /* given to this process; in all */
	int smt; /* 1: on, 0: off, -1: unknown */
	double load; /* processes that wanted to run in the last minute */
	char warning[WARNINGS_MAX][HOST_TEXT];
	unsigned warnings;
	const char *git, *cc, *cflags;
};

void host_look(struct host *);

/* One line, and one for each warning. */
void host_print(const struct host *, FILE *);

#endif
