/* What the tests of pools share: tasks, and looks at what is left. */
#ifndef TESTS_POOL_COMMON_H
#define TESTS_POOL_COMMON_H

#include "harness.h"
#include <dirent.h>
#include <shoal/shoal.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- tasks ---- */

static inline __attribute__((unused)) int
square(shoal_task *t)
{
	int n = *(const int *)t->in;
	if (t->out)
		*(int *)t->out = n * n;
	else
		return shoal_task_reply(t, &(int){ n * n }, sizeof n);
	return 0;
}

static inline __attribute__((unused)) int
own_input(shoal_task *t)
{
	return shoal_task_reply(t, t->in, t->in_bytes);
}

/* An initializer that lasts until the test lets the worker in. */
static _Atomic int *let_in __attribute__((unused));

static inline __attribute__((unused)) int
wait_outside(void *arg)
{
	(void)arg;
	while (!atomic_load(let_in))
		sleep_ms(1);
	return 0;
}

/* Milliseconds, as an int. */
static inline __attribute__((unused)) int
nap(shoal_task *t)
{
	sleep_ms(*(const int *)t->in);
	return 0;
}

static inline __attribute__((unused)) int
own_pid(shoal_task *t)
{
	int pid = getpid();
	return shoal_task_reply(t, &pid, sizeof pid);
}

static inline __attribute__((unused)) int
die_by(shoal_task *t)
{
	raise(*(const int *)t->in);
	return 0;
}

static inline __attribute__((unused)) int
fail_by(shoal_task *t)
{
	int code = *(const int *)t->in;
	shoal_task_fail(t, "the task was told to return %d", code);
	return code;
}

/* ---- pools ---- */

static inline __attribute__((unused)) shoal_pool *
pool_of(unsigned workers)
{
	shoal_pool *p = NULL;
	shoal_pool_options o = { .workers = workers };
	REQUIRE_EQ(shoal_pool_create(&o, &p), 0);
	return p;
}

static inline __attribute__((unused)) shoal_pool *
pool_with(const shoal_pool_options *o)
{
	shoal_pool *p = NULL;
	REQUIRE_EQ(shoal_pool_create(o, &p), 0);
	return p;
}

static inline __attribute__((unused)) void
finish(shoal_pool *p)
{
	REQUIRE_EQ(shoal_pool_close(p), 0);
	REQUIRE_EQ(shoal_pool_join(p, SHOAL_SEC(10)), 0);
	shoal_pool_destroy(p);
}

static inline __attribute__((unused)) shoal_result *
sent(shoal_pool *p, shoal_task_fn *fn, int arg)
{
	shoal_result *r = NULL;
	REQUIRE_EQ(shoal_pool_apply_async(p, fn, &arg, sizeof arg, NULL, NULL, &r), 0);
	return r;
}

static inline __attribute__((unused)) int
gotten(shoal_result *r)
{
	int value = -1;
	REQUIRE_EQ(shoal_result_get(r, &value, sizeof value, SHOAL_SEC(10)), sizeof value);
	return value;
}

static inline __attribute__((unused)) int
value_of(shoal_pool *p, shoal_task_fn *fn, int arg)
{
	shoal_result *r = sent(p, fn, arg);
	int value = gotten(r);
	shoal_result_free(r);
	return value;
}

static inline __attribute__((unused)) void
drop(shoal_pool *p, shoal_task_fn *fn, int arg)
{
	REQUIRE_EQ(shoal_pool_apply_async(p, fn, &arg, sizeof arg, NULL, NULL, NULL), 0);
}

static inline __attribute__((unused)) void
until_stat(shoal_pool *p, unsigned workers, uint64_t deaths)
{
	shoal_pool_info info;
	for (int i = 0; i < 5000; i++) {
		REQUIRE_EQ(shoal_pool_stat(p, &info), 0);
		if (info.workers == workers && info.deaths >= deaths)
			return;
		sleep_ms(1);
	}
	REQUIRE_EQ(info.workers, workers);
	REQUIRE(info.deaths >= deaths);
}

/* ---- what is left ---- */

static inline __attribute__((unused)) int
open_fds(void)
{
	int count = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

static inline __attribute__((unused)) int
threads(void)
{
	int count = 0;
	DIR *dir = opendir("/proc/self/task");
	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count - 2;
}

#endif
