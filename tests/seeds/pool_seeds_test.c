/* The tutorials' programs about pools: S5, S6, S7, S15, S19, S26, S27. */
#include "seeds/tutorial.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The tutorials sleep for whole seconds; what they show needs only that a sleep is felt. */
enum { SECOND_MS = 100 * HARNESS_SLOW };

static int64_t
seconds(int64_t ns)
{
	return ns / (SECOND_MS * INT64_C(1000000));
}

static shoal_pool *
new_pool(unsigned workers)
{
	shoal_pool *pool = NULL;
	shoal_pool_options o = { .workers = workers };
	REQUIRE_EQ(shoal_pool_create(&o, &pool), 0);
	return pool;
}

static void
close_and_join(shoal_pool *pool)
{
	REQUIRE_EQ(shoal_pool_close(pool), 0);
	REQUIRE_EQ(shoal_pool_join(pool, SHOAL_SEC(30)), 0);
	shoal_pool_destroy(pool);
}

static void
apply_async(shoal_pool *pool, shoal_task_fn *fn, int in, shoal_done_fn *done)
{
	REQUIRE_EQ(shoal_pool_apply_async(pool, fn, &in, sizeof in, done, NULL, NULL), 0);
}

/* How many different numbers stand after "pid" in the lines that have it. */
static size_t
distinct_pids(void)
{
	const struct transcript *t = transcript_lines();
	int seen[LINES_MAX];
	size_t count = 0;
	for (size_t i = 0; i < t->count; i++) {
		const char *at = strstr(t->line[i], " pid ");
		if (!at)
			continue;
		int pid = atoi(at + 5);
		size_t k = 0;
		while (k < count && seen[k] != pid)
			k++;
		seen[k] = pid;
		count += k == count;
	}
	return count;
}

static int
sleep_and_print(shoal_task *task)
{
	sleep_ms(2 * SECOND_MS);
	say("task %d pid %d", *(const int *)task->in, (int)getpid());
	return 0;
}

Test(pool_seeds, s5_five_tasks_at_once_in_five_processes)
{
	transcript_begin();
	int64_t begin = now_ns(), fair = fair_ns();
	shoal_pool *pool = new_pool(5);
	for (int i = 0; i < 5; i++)
		apply_async(pool, sleep_and_print, i, NULL);
	say("end");
	close_and_join(pool);
	int64_t took = now_ns() - begin, fairly = fair_ns() - fair;

	REQUIRE_EQ(transcript_lines()->count, 6);
	REQUIRE_STR_EQ(transcript_lines()->line[0], "end");
	REQUIRE_EQ(distinct_pids(), 5);
	REQUIRE(seconds(took) >= 2);
	REQUIRE(seconds(fairly) < 8); /* one after the other they would take 10 */
}

Test(pool_seeds, s6_apply_is_one_after_the_other)
{
	transcript_begin();
	int64_t begin = now_ns();
	shoal_pool *pool = new_pool(5);
	for (int i = 0; i < 5; i++)
		REQUIRE_EQ(shoal_pool_apply(pool, sleep_and_print, &i, sizeof i, NULL, 0), 0);
	say("end");
	close_and_join(pool);

	const struct transcript *t = transcript_lines();
	REQUIRE_EQ(t->count, 6);
	for (int i = 0, number, pid; i < 5; i++) {
		REQUIRE_EQ(sscanf(t->line[i], "task %d pid %d", &number, &pid), 2);
		REQUIRE_EQ(number, i);
	}
	REQUIRE_STR_EQ(t->line[5], "end");
	REQUIRE(seconds(now_ns() - begin) >= 10);
}

static int
leave_the_pool(void *unused)
{
	(void)unused;
	shoal_pool *pool = new_pool(5);
	for (int i = 0; i < 5; i++)
		apply_async(pool, sleep_and_print, i, NULL);
	say("end");
	exit(0);
}

Test(pool_seeds, s7_without_close_and_join_the_program_just_ends)
{
	transcript_begin();
	int64_t begin = fair_ns();
	pid_t pid = child(leave_the_pool, NULL);
	expect_child(pid, 0, 20 * SECOND_MS);
	REQUIRE(seconds(fair_ns() - begin) < 2);
	sleep_ms(3 * SECOND_MS);
	REQUIRE_EQ(transcript_lines()->count, 1);
	REQUIRE_EQ(said("end"), 1);
}

static int
exec_task(shoal_task *task)
{
	int value = *(const int *)task->in + 100;
	sleep_ms(2 * SECOND_MS);
	say("in process %d pid %d", value, (int)getpid());
	return shoal_task_reply(task, &value, sizeof value);
}

static void
bar(void *arg, int code, const void *out, size_t out_bytes, const char *error)
{
	(void)arg, (void)error;
	REQUIRE_EQ(code, 0);
	REQUIRE_EQ(out_bytes, sizeof(int));
	say("exec done %d in %d", *(const int *)out, (int)getpid());
}

Test(pool_seeds, s15_callbacks_come_in_the_main_process)
{
	transcript_begin();
	shoal_pool *pool = new_pool(3);
	for (int i = 0; i < 10; i++)
		apply_async(pool, exec_task, i, bar);
	say("done");
	close_and_join(pool);

	char line[64];
	REQUIRE_EQ(transcript_lines()->count, 21);
	REQUIRE_STR_EQ(transcript_lines()->line[0], "done");
	REQUIRE_EQ(distinct_pids(), 3);
	for (int i = 0; i < 10; i++) {
		snprintf(line, sizeof line, "exec done %d in %d", 100 + i, (int)getpid());
		REQUIRE_EQ(said(line), 1);
	}
}

Test(pool_seeds, s19_ten_tasks_in_three_rounds)
{
	transcript_begin();
	int64_t begin = now_ns(), fair = fair_ns();
	shoal_pool *pool = new_pool(4);
	for (int i = 0; i < 10; i++)
		apply_async(pool, sleep_and_print, i, NULL);
	close_and_join(pool);
	int64_t took = now_ns() - begin, fairly = fair_ns() - fair;

	REQUIRE_EQ(transcript_lines()->count, 10);
	REQUIRE_EQ(distinct_pids(), 4);
	REQUIRE(seconds(took) >= 6);
	REQUIRE(seconds(fairly) < 18); /* one after the other they would take 20 */
}

/* As the tutorial has it, something that the function needs is missing. */
static int
clock_without_time(shoal_task *task)
{
	return shoal_task_fail(task, "name 'time' is not defined");
}

Test(pool_seeds, s26_an_error_in_a_task_reaches_map)
{
	int in[20];
	for (int i = 0; i < 20; i++)
		in[i] = 1;
	shoal_pool *pool = new_pool(5);
	REQUIRE_EQ(shoal_pool_map(pool, clock_without_time, in, sizeof *in, NULL, 0, 20, NULL), 20);
	REQUIRE_STR_EQ(shoal_error(), "name 'time' is not defined");
	close_and_join(pool);
}

static int
clock_with_time(shoal_task *task)
{
	say("tick %d pid %d", *(const int *)task->in, (int)getpid());
	sleep_ms(*(const int *)task->in * SECOND_MS);
	return 0;
}

Test(pool_seeds, s27_twenty_clocks_in_five_processes)
{
	int in[20];
	for (int i = 0; i < 20; i++)
		in[i] = 1;
	transcript_begin();
	int64_t begin = now_ns(), fair = fair_ns();
	shoal_pool *pool = new_pool(5);
	REQUIRE_EQ(shoal_pool_map(pool, clock_with_time, in, sizeof *in, NULL, 0, 20, NULL), 0);
	int64_t took = now_ns() - begin, fairly = fair_ns() - fair;
	close_and_join(pool);

	REQUIRE_EQ(transcript_lines()->count, 20);
	REQUIRE_EQ(distinct_pids(), 5);
	REQUIRE(seconds(took) >= 4);
	REQUIRE(seconds(fairly) < 15); /* one after the other they would take 20 */
}
