/* pool.c - rates and round trips of pools */
#include "pool.h"

#include "clock.h"
#include "subject.h"

#include <shoal/shoal.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	REPS = 7,
	PYTHON_REPS = 3,
	ITEMS_ONE = 1000000,
	ITEMS_DEFAULT = 4000000,
	ROUNDS = 5, /* maps in a repetition, of which the fastest counts */
	TRIPS = 4000,
	TRIPS_WARM = 500,
	BURST = 4000,
	DEADLINE_S = 60
};

/* What a side's process leaves: millions a second, or microseconds; 0: it failed. */
struct side {
	double value;
	char error[120];
};

typedef void side_run(struct side *, enum pool_row);

/* ---- maps ---- */

static int __attribute__((noinline))
item(const long *in, long *out)
{
	*out = *in * 2 + 1;
	return 0;
}

static int
item_task(shoal_task *task)
{
	*(long *)task->out = *(const long *)task->in * 2 + 1;
	return 0;
}

static long
items_of(enum pool_row row)
{
	return row == POOL_MAP_ONE ? ITEMS_ONE : ITEMS_DEFAULT;
}

static long
chunk_of(enum pool_row row)
{
	long shares = 4 * (long)shoal_cpu_count();

	return row == POOL_MAP_ONE ? 1 : (ITEMS_DEFAULT + shares - 1) / shares;
}

static bool
is_right(const long *in, const long *out, long count)
{
	for (long i = 0; i < count; i++)
		if (out[i] != in[i] * 2 + 1)
			return false;
	return true;
}

static void
fill(long *in, long *out, long count)
{
	for (long i = 0; i < count; i++) {
		in[i] = i ^ 0x55;
		out[i] = 0;
	}
}

static double
fastest_map(shoal_pool *pool, const long *in, long *out, long count, long chunk)
{
	shoal_map_options options = { .chunk = (size_t)chunk };
	double best = 0;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t began = clock_ns();
		ssize_t rc = shoal_pool_map(pool, item_task, in, sizeof *in, out, sizeof *out,
		                            (size_t)count, &options);
		double rate = (double)count * 1e3 / (double)(clock_ns() - began);

		if (rc)
			return 0;
		if (rate > best)
			best = rate;
	}
	return best;
}

static void
our_map(struct side *s, enum pool_row row)
{
	long count = items_of(row);
	shoal_arena *arena;
	shoal_pool *pool;

	if (shoal_arena_create(NULL, NULL, &arena) < 0)
		return;
	long *in = shoal_new(arena, (size_t)count * sizeof *in);
	long *out = shoal_new(arena, (size_t)count * sizeof *out);
	shoal_pool_options options = { .arena = arena };

	if (!in || !out || shoal_pool_create(&options, &pool) < 0)
		return;
	fill(in, out, count);
	s->value = fastest_map(pool, in, out, count, chunk_of(row));
	if (!is_right(in, out, count))
		s->value = 0;
	snprintf(s->error, sizeof s->error, "%s", shoal_error());
	shoal_pool_destroy(pool);
}

static void
openmp_side(struct side *s, enum pool_row row)
{
	long count = items_of(row);
	long *in = calloc((size_t)count, sizeof *in), *out = calloc((size_t)count, sizeof *out);

	if (!in || !out)
		return;
	fill(in, out, count);
	for (int round = 0; round < ROUNDS; round++) {
		double seconds = openmp_map(item, in, out, count, chunk_of(row),
		                            (int)shoal_cpu_count());
		double rate = (double)count / 1e6 / seconds;

		if (seconds > 0 && rate > s->value)
			s->value = rate;
	}
	if (!is_right(in, out, count))
		s->value = 0;
}

/* ---- round trips and bursts ---- */

static int
trip_task(shoal_task *task)
{
	long n = *(const long *)task->in + 1;

	return shoal_task_reply(task, &n, sizeof n);
}

static bool
one_trip(shoal_pool *pool, long n)
{
	shoal_result *result;
	long answer = 0;

	if (shoal_pool_apply_async(pool, trip_task, &n, sizeof n, NULL, NULL, &result) < 0)
		return false;
	shoal_result_get(result, &answer, sizeof answer, SHOAL_SEC(10));
	shoal_result_free(result);
	return answer == n + 1;
}

static double
trips(shoal_pool *pool)
{
	static uint32_t took[TRIPS];

	for (long i = 0; i < TRIPS_WARM + TRIPS; i++) {
		uint64_t began = clock_ns();

		if (!one_trip(pool, i))
			return 0;
		if (i >= TRIPS_WARM)
			took[i - TRIPS_WARM] = (uint32_t)(clock_ns() - began);
	}
	return percentile_u32(took, TRIPS, 0.5) / 1e3;
}

static double
burst(shoal_pool *pool)
{
	static shoal_result *result[BURST];
	uint64_t began = clock_ns();
	long sum = 0;

	for (long i = 0; i < BURST; i++)
		if (shoal_pool_apply_async(pool, trip_task, &i, sizeof i, NULL, NULL, &result[i]) < 0)
			return 0;
	for (long i = 0; i < BURST; i++) {
		long answer = 0;

		shoal_result_get(result[i], &answer, sizeof answer, SHOAL_SEC(10));
		shoal_result_free(result[i]);
		sum += answer == i + 1;
	}
	return sum == BURST ? BURST * 1e3 / (double)(clock_ns() - began) : 0;
}

static void
our_trips(struct side *s, enum pool_row row)
{
	shoal_pool_options options = { .workers = 2 };
	shoal_pool *pool;

	if (shoal_pool_create(&options, &pool) == 0)
		s->value = row == POOL_BURST_PYTHON ? burst(pool) : trips(pool);
	snprintf(s->error, sizeof s->error, "%s", shoal_error());
}

/* ---- Python ---- */

#define PYTHON_BEGIN \
	"python3 -c '\n" \
	"import time\n" \
	"def f(n): return n + 1\n" \
	"def trips(once, n):\n" \
	"    for i in range(200): once(i)\n" \
	"    took = []\n" \
	"    for i in range(n):\n" \
	"        t = time.perf_counter(); once(i); took.append(time.perf_counter() - t)\n" \
	"    took.sort(); print(took[n // 2] * 1e6)\n"
#define PYTHON_END "' 2>/dev/null"

static const char *const scripts[] = {
	[POOL_TRIP_PYTHON] =
		PYTHON_BEGIN "from multiprocessing import Pool\np = Pool(2)\n"
		             "trips(lambda i: p.apply_async(f, (i,)).get(), 2000)\n"
		             "p.terminate()" PYTHON_END,
	[POOL_TRIP_EXECUTOR] =
		PYTHON_BEGIN "from concurrent.futures import ProcessPoolExecutor\n"
		             "p = ProcessPoolExecutor(2)\n"
		             "trips(lambda i: p.submit(f, i).result(), 1000)\n"
		             "p.shutdown()" PYTHON_END,
	[POOL_BURST_PYTHON] =
		PYTHON_BEGIN "from multiprocessing import Pool\np = Pool(2)\n"
		             "p.apply(f, (1,))\nt = time.perf_counter()\n"
		             "r = [p.apply_async(f, (i,)) for i in range(4000)]\n"
		             "s = sum(x.get() for x in r)\n"
		             "print(4000 / 1e6 / (time.perf_counter() - t))\n"
		             "p.terminate()" PYTHON_END,
};

static void
python_side(struct side *s, enum pool_row row)
{
	FILE *python = popen(scripts[row], "r");

	if (!python || fscanf(python, "%lf", &s->value) != 1)
		s->value = 0;
	if (python)
		pclose(python);
}

/* ---- repetitions ---- */

static bool
is_map(enum pool_row row)
{
	return row == POOL_MAP_ONE || row == POOL_MAP_DEFAULT;
}

static bool
is_trip(enum pool_row row)
{
	return row == POOL_TRIP_PYTHON || row == POOL_TRIP_EXECUTOR;
}

const char *
pool_lacks(enum pool_row row)
{
	long in = 1, out = 0;

	if (is_map(row))
		return openmp_map(item, &in, &out, 1, 1, 1) < 0 ? "no OpenMP" : NULL;
	return system("command -v python3 >/dev/null 2>&1") ? "no python3" : NULL;
}

/* The side in a process of its own, so that neither inherits the other's threads or memory. */
static bool
run_side(side_run *run, enum pool_row row, double *value, char error[120])
{
	struct side *shared = shared_memory(sizeof *shared);
	int status = 1;
	pid_t pid = shared ? fork() : -1;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(DEADLINE_S);
		run(shared, row);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	*value = shared && status == 0 ? shared->value : 0;
	if (*value <= 0)
		snprintf(error, 120, "%s", shared ? shared->error : "no memory");
	return *value > 0;
}

void
pool_run(enum pool_row row, struct pool_result *out)
{
	unsigned reps = is_map(row) ? REPS : PYTHON_REPS;
	double ours[REPS], peer[REPS], ratio[REPS];
	char why[120] = "";
	size_t count = 0;

	memset(out, 0, sizeof *out);
	for (unsigned i = 0; i < reps; i++) {
		if (!run_side(is_map(row) ? our_map : our_trips, row, &ours[count], why) ||
		    !run_side(is_map(row) ? openmp_side : python_side, row, &peer[count], why))
			continue;
		ratio[count] = is_trip(row) ? peer[count] / ours[count] : ours[count] / peer[count];
		count++;
	}
	if (!count) {
		snprintf(out->error, sizeof out->error, "not measured: %s", why);
		return;
	}
	out->ratio = spread_of(ratio, count);
	out->ours = spread_of(ours, count).median;
	out->peer = spread_of(peer, count).median;
}
