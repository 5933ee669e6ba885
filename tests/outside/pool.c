/* Pools: apply, results and callbacks, maps of each kind with failures, progress, the end. */
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
	int calls, code, sum;
	pid_t pid;
	char text[64];
};

static void
done(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	struct seen *seen = arg;
	seen->calls++;
	seen->code = code;
	seen->pid = getpid();
	snprintf(seen->text, sizeof seen->text, "%s", error ? error : "none");
	for (size_t i = 0; out && i < out_bytes / sizeof(int); i++)
		seen->sum += ((const int *)out)[i];
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
	CHECK(seen.calls == 1 && seen.code == 0 && seen.sum == 25 && seen.pid == getpid());
	CHECK(!strcmp(seen.text, "none") && !strcmp(shoal_result_error(r), ""));
	CHECK(shoal_result_get(r, &y, 1, SHOAL_NOWAIT) == -EMSGSIZE && shoal_needed() == sizeof y);
	CHECK(shoal_result_get(r, &y, sizeof y, SHOAL_NOWAIT) == sizeof y && y == 25);
	CHECK(shoal_result_code(r) == 0 && shoal_result_cancel(r) == -EALREADY);
	shoal_result_free(r);
	x = -1;
	CHECK(shoal_pool_apply(pool, square, &x, sizeof x, &y, sizeof y) == -EIO);
	CHECK(strstr(shoal_error(), "-1 is negative"));
	CHECK(shoal_pool_apply_async(pool, square, &x, sizeof x, done, &seen, &r) == 0);
	CHECK(shoal_result_get(r, NULL, 0, SHOAL_SEC(10)) == -EIO && shoal_result_code(r) == -EIO);
	CHECK(!strcmp(shoal_result_error(r), "-1 is negative") && seen.code == -EIO);
	CHECK(!strcmp(seen.text, "-1 is negative"));
	shoal_result_free(r);
	x = 13;
	CHECK(shoal_pool_apply(pool, square, &x, sizeof x, &y, sizeof y) == -EOWNERDEAD);
}

/* ---- a task that is not begun ---- */

struct gate {
	shoal_semaphore begun;
	shoal_event go;
};

static int
pass(shoal_task *task)
{
	struct gate *gate = *(struct gate *const *)task->in;
	CHECK(shoal_semaphore_release(&gate->begun) == 0);
	return shoal_event_wait(&gate->go, SHOAL_SEC(10));
}

/* With both workers busy a task is not begun, and can be taken back; theirs cannot. */
static void
cancelling(shoal_pool *pool, struct gate *gate)
{
	shoal_result *busy[2], *r;
	struct seen seen = { 0 };
	CHECK(shoal_semaphore_init(&gate->begun, 0, 0) == 0 && shoal_event_init(&gate->go) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(shoal_pool_apply_async(pool, pass, &gate, sizeof gate, NULL, NULL, &busy[i]) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(shoal_semaphore_acquire(&gate->begun, SHOAL_SEC(10)) == 0);
	CHECK(shoal_pool_apply_async(pool, pass, &gate, sizeof gate, done, &seen, &r) == 0);
	CHECK(!shoal_result_ready(r) && shoal_result_code(r) == -EAGAIN);
	CHECK(shoal_result_wait(r, SHOAL_MS(1)) == -ETIMEDOUT && shoal_result_cancel(r) == 0);
	CHECK(shoal_result_wait(r, SHOAL_SEC(10)) == 0 && shoal_result_code(r) == -ECANCELED);
	CHECK(seen.calls == 1 && seen.code == -ECANCELED);
	CHECK(shoal_result_cancel(busy[0]) == -EBUSY);
	shoal_result_free(r);
	shoal_waitable on[] = { shoal_on_result(busy[0]), shoal_on_result(busy[1]) };
	CHECK(shoal_wait(on, 2, SHOAL_NOWAIT) == 0 && shoal_event_set(&gate->go) == 0);
	CHECK(shoal_wait(on, 2, SHOAL_SEC(10)) >= 1);
	for (int i = 0; i < 2; i++) {
		CHECK(shoal_result_get(busy[i], NULL, 0, SHOAL_SEC(10)) == 0);
		shoal_result_free(busy[i]);
	}
	CHECK(shoal_semaphore_value(&gate->begun) == 0);
}

/* ---- maps ---- */

enum { ITEMS = 100 };

static int in[ITEMS], out[ITEMS], codes[ITEMS];

static void
progress(void *arg, size_t ended, size_t total)
{
	size_t *last = arg;
	CHECK(ended >= *last && ended <= total && total == ITEMS);
	*last = ended;
}

static void
maps(shoal_pool *pool)
{
	size_t last = 0;
	const shoal_map_options tell = { .codes = codes, .progress = progress, .progress_arg = &last };
	struct seen seen = { 0 };
	shoal_result *r;
	int failed;
	CHECK(shoal_pool_map(pool, square, in, sizeof *in, out, sizeof *out, ITEMS, &tell) == 1);
	CHECK(codes[50] == -EIO && codes[51] == 0 && out[99] == 99 * 99 && last == ITEMS);
	CHECK(strstr(shoal_error(), "-50 is negative"));
	memset(out, 0, sizeof out);
	CHECK(shoal_pool_map_async(pool, square, in, sizeof *in, out, sizeof *out, ITEMS, NULL, done,
	                           &seen, &r) == 0);
	failed = (int)shoal_result_get(r, NULL, 0, SHOAL_SEC(10));
	CHECK(failed == 1 && shoal_result_code(r) == -EIO && out[50] == 0 && out[99] == 99 * 99);
	CHECK(!strcmp(shoal_result_error(r), "-50 is negative"));
	CHECK(seen.calls == 1 && seen.code == -EIO && !strcmp(seen.text, "-50 is negative"));
	shoal_result_free(r);
}

/* One after the other in their order; as they come, and no more at once than fit the window. */
static void
iterators(shoal_pool *pool)
{
	const shoal_map_options few = { .window = 4, .chunk = 2 };
	shoal_results *it;
	size_t index;
	bool came[ITEMS] = { false };
	int x;
	CHECK(shoal_pool_imap(pool, square, in, sizeof *in, sizeof x, 10, NULL, &it) == 0);
	for (int i = 0; i < 10; i++)
		CHECK(shoal_results_next(it, &index, &x, sizeof x, SHOAL_SEC(10)) == sizeof x &&
		      index == (size_t)i && x == i * i);
	CHECK(shoal_results_next(it, &index, &x, sizeof x, SHOAL_NOWAIT) == -EPIPE && index == 10);
	shoal_results_free(it);
	CHECK(shoal_pool_imap_unordered(pool, square, in, sizeof *in, sizeof x, ITEMS, &few, &it) == 0);
	for (int i = 0; i < ITEMS; i++) {
		ssize_t rc = shoal_results_next(it, &index, &x, sizeof x, SHOAL_SEC(10));
		CHECK(index < ITEMS && !came[index]);
		CHECK(index == 50 ? rc == -EIO : rc == sizeof x && x == in[index] * in[index]);
		came[index] = true;
	}
	CHECK(shoal_results_next(it, &index, &x, sizeof x, SHOAL_NOWAIT) == -EPIPE);
	shoal_results_free(it);
}

/* Where stderr is no terminal the bar is drawn once, at the end; by a pool's map as by hand. */
static void
bars(shoal_pool *pool)
{
	const shoal_map_options drawn = { .progress = shoal_progress_bar, .progress_arg = "squares" };
	const char *const ends[] = { "half: 100%|##############################| 2/2 [",
		                         "squares: 100%|##############################| 10/10 [" };
	FILE *paper = tmpfile();
	char line[128];
	CHECK(paper);
	stderr_to(paper);
	shoal_progress_bar("half", 1, 2);
	shoal_progress_bar("half", 2, 2);
	ssize_t failed = shoal_pool_map(pool, square, in, sizeof *in, out, sizeof *out, 10, &drawn);
	stderr_to(NULL);
	CHECK(failed == 0 && fseek(paper, 0, SEEK_SET) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(fgets(line, sizeof line, paper) && !strncmp(line, ends[i], strlen(ends[i])));
	CHECK(!fgets(line, sizeof line, paper) && fclose(paper) == 0);
}

void
pools(void)
{
	const shoal_pool_options two = { .workers = 2 };
	shoal_pool_info info;
	shoal_arena *arena;
	shoal_pool *pool;
	for (int i = 0; i < ITEMS; i++)
		in[i] = i == 50 ? -50 : i == 13 ? 12 : i;
	CHECK(shoal_arena_create(NULL, NULL, &arena) == 0);
	struct gate *gate = shoal_new(arena, sizeof *gate);
	CHECK(gate && shoal_pool_create(&two, &pool) == 0);
	results(pool);
	cancelling(pool, gate);
	maps(pool);
	iterators(pool);
	bars(pool);
	CHECK(shoal_pool_stat(pool, &info) == 0 && info.deaths == 1 && info.tasks_failed >= 4);
	CHECK(info.workers >= 1 && info.tasks_done >= 3 * ITEMS && info.queued == 0);
	CHECK(shoal_pool_join(pool, SHOAL_NOWAIT) == -EINVAL);
	CHECK(shoal_pool_close(pool) == 0 && shoal_pool_join(pool, SHOAL_SEC(10)) == 0);
	CHECK(shoal_pool_apply(pool, square, in, sizeof *in, out, sizeof *out) == -EPIPE);
	CHECK(shoal_pool_terminate(pool) == 0);
	shoal_pool_destroy(pool);
	shoal_arena_close(arena);
}
