/* Pools: apply, results and callbacks, map with failures, imap, deaths, the end. */
#include "outside.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int
square(shoal_task *task)
{
	int x = *(const int *)task->in;
	if (x < 0)
		return shoal_task_fail(task, "%d is negative", x);
	if (x == 13)
		raise(SIGKILL);
	x *= x;
	if (!task->out)
		return shoal_task_reply(task, &x, sizeof x);
	*(int *)task->out = x;
	return 0;
}

struct seen {
	int calls, sum;
	pid_t pid;
};

static void
done(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	struct seen *seen = arg;
	CHECK(code == 0 && out_bytes == sizeof(int) && !error);
	seen->calls++;
	seen->sum += *(const int *)out;
	seen->pid = getpid();
}

static void
results(shoal_pool *pool)
{
	struct seen seen = { 0 };
	shoal_result *r;
	int x = 5, y = 0;
	CHECK(shoal_pool_apply(pool, square, &x, sizeof x, &y, sizeof y) == 0 && y == 25);
	CHECK(shoal_pool_apply_async(pool, square, &x, sizeof x, done, &seen, &r) == 0);
	CHECK(shoal_result_wait(r, SHOAL_SEC(10)) == 0 && shoal_result_ready(r));
	CHECK(seen.calls == 1 && seen.sum == 25 && seen.pid == getpid());
	CHECK(shoal_result_get(r, &y, sizeof y, SHOAL_NOWAIT) == sizeof y && y == 25);
	CHECK(shoal_result_code(r) == 0 && shoal_result_cancel(r) == -EALREADY);
	shoal_result_free(r);
	x = -1;
	CHECK(shoal_pool_apply(pool, square, &x, sizeof x, &y, sizeof y) == -EIO);
	CHECK(strstr(shoal_error(), "-1 is negative"));
	x = 13;
	CHECK(shoal_pool_apply(pool, square, &x, sizeof x, &y, sizeof y) == -EOWNERDEAD);
}

void
pools(void)
{
	const shoal_pool_options two = { .workers = 2 };
	int in[100], out[100], codes[100];
	const shoal_map_options tell = { .codes = codes };
	shoal_results *it;
	shoal_pool_info info;
	shoal_pool *pool;
	size_t index;
	CHECK(shoal_pool_create(&two, &pool) == 0);
	results(pool);
	for (int i = 0; i < 100; i++)
		in[i] = i == 50 ? -50 : i == 13 ? 12 : i;
	CHECK(shoal_pool_map(pool, square, in, sizeof *in, out, sizeof *out, 100, &tell) == 1);
	CHECK(codes[50] == -EIO && codes[51] == 0 && out[99] == 99 * 99);
	CHECK(shoal_pool_imap(pool, square, in, sizeof *in, sizeof *out, 10, NULL, &it) == 0);
	for (int i = 0; i < 10; i++)
		CHECK(shoal_results_next(it, &index, out, sizeof *out, SHOAL_SEC(10)) == sizeof *out &&
		      index == (size_t)i && out[0] == i * i);
	CHECK(shoal_results_next(it, &index, out, sizeof *out, SHOAL_NOWAIT) == -EPIPE);
	shoal_results_free(it);
	CHECK(shoal_pool_stat(pool, &info) == 0 && info.deaths == 1 && info.tasks_failed >= 2);
	CHECK(shoal_pool_close(pool) == 0 && shoal_pool_join(pool, SHOAL_SEC(10)) == 0);
	CHECK(shoal_pool_apply(pool, square, in, sizeof *in, out, sizeof *out) == -EPIPE);
	CHECK(shoal_pool_terminate(pool) == 0);
	shoal_pool_destroy(pool);
}
