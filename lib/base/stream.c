#include "base/stream.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <unistd.h>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define ALONE __libc_single_threaded
#else
#define ALONE 0
#endif

bool
stream_alone(void)
{
	return ALONE != 0;
}

/* A stream that is closed or broken does not keep a process from starting or ending. */
void
stream_flush(bool all)
{
	if (all) {
		fflush(NULL);
		return;
	}
	fflush(stdout);
	fflush(stderr);
}

void
stream_flush_written(void)
{
	if (__fpending(stdout))
		fflush(stdout);
	if (__fpending(stderr))
		fflush(stderr);
}

/* The C library's fork has freed their locks, whoever held them in the parent. */
void
stream_drop(void)
{
	__fpurge(stdout);
	__fpurge(stderr);
}

bool
stream_input_used(void)
{
	return __fbufsize(stdin) > 0;
}

/*
 * Closed first: so it works with no descriptor to spare, and without /dev/null there is just no
 * input.
 */
void
stream_empty_input(bool used)
{
	const char path[] = "/dev/null"; /* on the stack, which is there already */
	close(STDIN_FILENO);
	int fd = open(path, O_RDONLY);
	if (fd > STDIN_FILENO)
		close(fd);
	if (!used)
		return;
	__fpurge(stdin);
	clearerr(stdin);
}
