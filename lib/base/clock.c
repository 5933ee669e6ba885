#include "base/clock.h"

#define NS_PER_S INT64_C(1000000000)

int64_t
clock_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t
clock_deadline(shoal_time timeout)
{
	if (timeout == SHOAL_FOREVER)
		return CLOCK_NEVER;
	int64_t now = clock_now();
	if (timeout <= 0)
		return now;
	return timeout > CLOCK_NEVER - now ? CLOCK_NEVER : now + timeout;
}

int64_t
clock_sooner(int64_t deadline, int64_t slice_ns)
{
	int64_t end = clock_now() + slice_ns;
	return deadline < end ? deadline : end;
}

struct timespec
clock_timespec(int64_t at_ns)
{
	return (struct timespec){ .tv_sec = at_ns / NS_PER_S, .tv_nsec = at_ns % NS_PER_S };
}

shoal_time
shoal_now(void)
{
	return clock_now();
}

shoal_time
shoal_left(shoal_time deadline)
{
	if (deadline == SHOAL_FOREVER)
		return SHOAL_FOREVER;
	int64_t now = clock_now();
	return deadline > now ? deadline - now : 0;
}
