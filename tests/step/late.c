#include "late.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "step.h"

static int64_t began, noted, own;

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

void
late_begin(void)
{
	began = step_now();
	noted = 0;
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
	return noted + delay_of(getpid()) - own;
}

int64_t
late_wall_ns(void)
{
	return step_now() - began;
}
