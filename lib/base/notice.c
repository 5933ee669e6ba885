#include "base/notice.h"
#include "base/descriptor.h"
#include "base/direct.h"
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

int
notice_thread(void *(*run)(void *))
{
	pthread_t thread;
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = pthread_create(&thread, &attr, run, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -rc;
}
