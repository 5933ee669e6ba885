/* subject_lock_pthread.c - the C library's locks, shared by processes */
#include "subject.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

static int
mutex_init(void *it, int robust, int protocol)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, robust);
	pthread_mutexattr_setprotocol(&attr, protocol);
	return -pthread_mutex_init(it, &attr);
}

static int
normal_init(void *it)
{
	return mutex_init(it, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
}

static int
robust_init(void *it)
{
	return mutex_init(it, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE);
}

static int
pi_init(void *it)
{
	return mutex_init(it, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT);
}

static int
normal_open(struct opening *o)
{
	return open_locks(o, sizeof(pthread_mutex_t), normal_init);
}

static int
robust_open(struct opening *o)
{
	return open_locks(o, sizeof(pthread_mutex_t), robust_init);
}

static int
pi_open(struct opening *o)
{
	return open_locks(o, sizeof(pthread_mutex_t), pi_init);
}

static int
mutex_lock(void *it)
{
	return -pthread_mutex_lock(it);
}

static int
robust_lock(void *it)
{
	int rc = pthread_mutex_lock(it);

	if (rc == EOWNERDEAD)
		pthread_mutex_consistent(it);
	return -rc;
}

static int
mutex_unlock(void *it)
{
	return -pthread_mutex_unlock(it);
}

static int
sem_begin(void *it)
{
	return sem_init(it, 1, 1) == 0 ? 0 : -errno;
}

static int
sem_open_all(struct opening *o)
{
	return open_locks(o, sizeof(sem_t), sem_begin);
}

static int
sem_lock(void *it)
{
	return sem_wait(it) == 0 ? 0 : -errno;
}

static int
sem_unlock(void *it)
{
	return sem_post(it) == 0 ? 0 : -errno;
}

const struct subject subject_lock_normal = {
	.name = "pthread mutex",
	.about = "process-shared; stays locked when its holder is killed",
	.traits = SUBJECT_LOCKS | SUBJECT_IS_BASE,
	.open = normal_open,
	.lock = mutex_lock,
	.unlock = mutex_unlock,
};

const struct subject subject_lock_robust = {
	.name = "pthread robust mutex",
	.about = "process-shared; told of a holder's death",
	.traits = SUBJECT_LOCKS | SUBJECT_SURVIVES,
	.open = robust_open,
	.lock = robust_lock,
	.unlock = mutex_unlock,
};

const struct subject subject_lock_pi = {
	.name = "pthread PI mutex",
	.about = "process-shared; the kernel spins for a waiter while the holder runs",
	.traits = SUBJECT_LOCKS | SUBJECT_SPINS,
	.open = pi_open,
	.lock = mutex_lock,
	.unlock = mutex_unlock,
};

const struct subject subject_lock_sem = {
	.name = "sem_t",
	.about = "a process-shared semaphore of one",
	.traits = SUBJECT_LOCKS,
	.open = sem_open_all,
	.lock = sem_lock,
	.unlock = sem_unlock,
};
