/* clock.c - time, naps, processors, and children that cannot outlive us */
#include "clock.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	POLL_NS = 200 * 1000
};

uint64_t
clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void
clock_nap(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
		;
}

static uint64_t
nanoseconds(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

static uint64_t
cpu_ns_of(int whose)
{
	struct rusage usage;

	getrusage(whose, &usage);
	return nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
}

uint64_t
clock_cpu_ns(void)
{
	return cpu_ns_of(RUSAGE_SELF);
}

uint64_t
clock_thread_cpu_ns(void)
{
	return cpu_ns_of(RUSAGE_THREAD);
}

void
pin_to(unsigned n)
{
	static cpu_set_t given;
	static int count;
	cpu_set_t one;

	if (count == 0) {
		sched_getaffinity(0, sizeof given, &given);
		count = CPU_COUNT(&given);
	}
	n %= (unsigned)count;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &given) || n-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof one, &one);
		return;
	}
}

void
priority_shift(int by)
{
	int policy = sched_getscheduler(0);
	struct sched_param param;

	if ((policy != SCHED_FIFO && policy != SCHED_RR) || sched_getparam(0, &param) < 0)
		return;
	param.sched_priority += by;
	sched_setparam(0, &param);
}

/* The parent may have died before prctl took hold: then the child is somebody else's already. */
pid_t
fork_bound(void)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	return 0;
}

bool
wait_until(pid_t pid, uint64_t deadline_ns, int *status)
{
	for (;;) {
		pid_t got = waitpid(pid, status, WNOHANG);

		if (got == pid || (got < 0 && errno != EINTR))
			return true;
		if (clock_ns() >= deadline_ns)
			return false;
		clock_nap(POLL_NS);
	}
}
