#include "base/stream.h"
#include "base/cancel.h"
#include "base/direct.h"
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
	int old = cancel_forbid();
	if (all) {
		fflush(NULL);
	} else {
		fflush(stdout);
		fflush(stderr);
	}
	cancel_restore(old);
}

void
stream_flush_written(void)
{
	int old = cancel_forbid();
	if (__fpending(stdout))
		fflush(stdout);
	if (__fpending(stderr))
		fflush(stderr);
	cancel_restore(old);
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
	direct_close(STDIN_FILENO);
	int fd = direct_open(AT_FDCWD, path, O_RDONLY);
	if (fd > STDIN_FILENO)
		direct_close(fd);
	if (!used)
		return;
	__fpurge(stdin);
	clearerr(stdin);
}
