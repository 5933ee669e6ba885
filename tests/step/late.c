#include "late.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "step.h"

static int64_t began, noted, own, stolen;

/* The second number of a process's schedstat; a kernel without it says 0. */
static int64_t
delay_of(pid_t pid)
{
	char path[64], text[128] = "";
	snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	const char *second = n > 0 ? strchr(text, ' ') : NULL;
	return second ? strtoll(second, NULL, 10) : 0;
}

/* What the host of a virtual machine kept from it, of all processors, by the tick. */
static int64_t
stolen_ns(void)
{
	long long ticks = 0;
	FILE *file = fopen("/proc/stat", "re");
	if (file && fscanf(file, "cpu %*d %*d %*d %*d %*d %*d %*d %lld", &ticks) != 1)
		ticks = 0;
	if (file)
		fclose(file);
	return ticks * (1000000000 / sysconf(_SC_CLK_TCK));
}

void
late_begin(void)
{
	began = step_now();
	noted = 0;
	stolen = stolen_ns();
	own = delay_of(getpid());
}

void
late_note(pid_t pid)
{
	noted += delay_of(pid);
}

int64_t
late_ns(void)
{
	return noted + delay_of(getpid()) - own + stolen_ns() - stolen;
}

int64_t
late_wall_ns(void)
{
	return step_now() - began;
}
