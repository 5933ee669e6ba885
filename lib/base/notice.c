#include "base/notice.h"
#include "base/descriptor.h"
#include "base/direct.h"
#include "base/signals.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>

#define STACK_BYTES (64 * 1024)

int
notice_open(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return fd < 0 ? -errno : descriptor_above(fd);
}

void
notice_raise(int fd)
{
	direct_write(fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

bool
notice_clear(int fd)
{
	uint64_t value;
	return direct_read(fd, &value, sizeof value) == sizeof value;
}

void
notice_close(int fd)
{
	direct_close(fd);
}

static int
create(void *(*run)(void *), size_t stack_bytes)
{
	pthread_t thread;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (stack_bytes)
		pthread_attr_setstacksize(&attr, stack_bytes);
	int rc = pthread_create(&thread, &attr, run, NULL);
	pthread_attr_destroy(&attr);
	return -rc;
}

/*
 * The C library puts the program's thread-local variables on the stack, and refuses one that has no
 * room for them; its own default has.
 */
int
notice_thread(void *(*run)(void *))
{
	sigset_t old;
	signals_block(&old);
	int rc = create(run, STACK_BYTES);
	if (rc == -EINVAL)
		rc = create(run, 0);
	signals_restore(&old);
	return rc;
}
