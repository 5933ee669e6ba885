/* The tutorials' programs about processes alone: S1, S9, S16, S21, S24, S25. */
#include "seeds/tutorial.h"
#include <string.h>
#include <unistd.h>

/* The tutorials sleep for whole seconds; what they show needs only that a sleep is felt. */
enum { SECOND_MS = 100 * HARNESS_SLOW };

static int64_t
seconds(int64_t ns)
{
	return ns / (SECOND_MS * INT64_C(1000000));
}

static int
print_own_and_parent(void *unused)
{
	(void)unused;
	say("%d %d", (int)getpid(), (int)getppid());
	return 0;
}

Test(process_seeds, s1_two_processes_print_who_they_are_and_who_made_them)
{
	transcript_begin();
	shoal_process *p1 = start(print_own_and_parent, NULL, NULL);
	shoal_process *p2 = start(print_own_and_parent, NULL, NULL);
	int first = (int)shoal_process_pid(p1), second = (int)shoal_process_pid(p2);
	say("%d", (int)getpid());
	finish(p1);
	finish(p2);

	char line[64];
	REQUIRE_EQ(transcript_lines()->count, 3);
	REQUIRE(first != second && first != getpid() && second != getpid());
	snprintf(line, sizeof line, "%d %d", first, (int)getpid());
	REQUIRE_EQ(said(line), 1);
	snprintf(line, sizeof line, "%d %d", second, (int)getpid());
	REQUIRE_EQ(said(line), 1);
	snprintf(line, sizeof line, "%d", (int)getpid());
	REQUIRE_EQ(said(line), 1);
}

static void
info(void)
{
	say("parent %d", (int)getppid());
	say("process %d", (int)getpid());
}

static int
print_info(void *unused)
{
	(void)unused;
	info();
	return 0;
}

Test(process_seeds, s9_the_childs_parent_is_the_parent)
{
	transcript_begin();
	info();
	shoal_process *p = start(print_info, NULL, NULL);
	int pid = (int)shoal_process_pid(p);
	finish(p);

	const struct transcript *t = transcript_lines();
	int me = 0, parent = 0, process = 0;
	REQUIRE_EQ(t->count, 4);
	REQUIRE_EQ(sscanf(t->line[1], "process %d", &me), 1);
	REQUIRE_EQ(sscanf(t->line[2], "parent %d", &parent), 1);
	REQUIRE_EQ(sscanf(t->line[3], "process %d", &process), 1);
	REQUIRE_EQ(me, getpid());
	REQUIRE_EQ(parent, me);
	REQUIRE_EQ(process, pid);
}

static int
print_name_and_sleep(void *name)
{
	say("%s %d", (const char *)name, (int)getpid());
	sleep_ms(2 * SECOND_MS);
	return 0;
}

Test(process_seeds, s16_ten_sleepers_take_as_long_as_one)
{
	static char name[10][32];
	shoal_process *p[10];
	transcript_begin();
	int64_t fair = fair_ns(), begin = now_ns();
	for (int i = 0; i < 10; i++) {
		snprintf(name[i], sizeof name[i], "process%d", i);
		p[i] = start(print_name_and_sleep, name[i], NULL);
	}
	for (int i = 0; i < 10; i++)
		finish(p[i]);
	int64_t took = now_ns() - begin, fairly = fair_ns() - fair;

	REQUIRE_EQ(transcript_lines()->count, 10);
	REQUIRE(seconds(took) >= 2);
	REQUIRE(seconds(fairly) < 10); /* one after the other they would take 20 */
}

static int
print_own_name(void *unused)
{
	(void)unused;
	say("%s", shoal_process_name(shoal_process_current()));
	return 0;
}

Test(process_seeds, s21_each_process_knows_its_name)
{
	static const char *const name[] = { "Myprocess-1", "Myprocess-2", "Myprocess-3" };
	shoal_process *p[3];
	transcript_begin();
	for (int i = 0; i < 3; i++) {
		p[i] = start(print_own_name, NULL, name[i]);
		REQUIRE_STR_EQ(shoal_process_name(p[i]), name[i]);
	}
	for (int i = 0; i < 3; i++)
		finish(p[i]);

	REQUIRE_EQ(transcript_lines()->count, 3);
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(said(name[i]), 1);
}

/* Python names a process after its class and number; a function has no class but Process. */
Test(process_seeds, s21_a_process_without_a_name_is_given_one)
{
	shoal_process *p[3];
	transcript_begin();
	for (int i = 0; i < 3; i++)
		p[i] = start(print_own_name, NULL, NULL);
	for (int i = 0; i < 3; i++)
		finish(p[i]);

	REQUIRE_EQ(said("Process-1"), 1);
	REQUIRE_EQ(said("Process-2"), 1);
	REQUIRE_EQ(said("Process-3"), 1);
}

struct clock_arguments {
	int times, seconds;
};

static int
print_the_time(void *arg)
{
	const struct clock_arguments *a = arg;
	for (int i = 0; i < a->times; i++) {
		say("%d %lld", (int)getpid(), (long long)now_ns());
		sleep_ms(a->seconds * SECOND_MS);
	}
	return 0;
}

static struct clock_arguments five_each_second = { 5, 1 };

/* The lines of one process are a second apart, and at least `times` of them are there. */
static void
require_ticks(pid_t pid, int times)
{
	const struct transcript *t = transcript_lines();
	long long last = 0, at;
	int seen = 0, from;
	for (size_t i = 0; i < t->count; i++) {
		REQUIRE_EQ(sscanf(t->line[i], "%d %lld", &from, &at), 2);
		if (from != pid)
			continue;
		REQUIRE(seen == 0 || seconds(at - last) >= 1);
		last = at;
		seen++;
	}
	REQUIRE_EQ(seen, times);
}

Test(process_seeds, s24_a_clock_ticks_five_times)
{
	transcript_begin();
	int64_t fair = fair_ns(), begin = now_ns();
	shoal_process *p = start(print_the_time, &five_each_second, NULL);
	pid_t pid = shoal_process_pid(p);
	finish(p);
	int64_t took = now_ns() - begin, fairly = fair_ns() - fair;

	REQUIRE_EQ(transcript_lines()->count, 5);
	require_ticks(pid, 5);
	REQUIRE(seconds(took) >= 5);
	REQUIRE(seconds(fairly) < 10);
}

Test(process_seeds, s25_two_clocks_tick_side_by_side)
{
	transcript_begin();
	int64_t begin = now_ns();
	shoal_process *p = start(print_the_time, &five_each_second, NULL);
	shoal_process *p1 = start(print_the_time, &five_each_second, NULL);
	pid_t first = shoal_process_pid(p), second = shoal_process_pid(p1);
	finish(p);
	finish(p1);
	int64_t took = now_ns() - begin;

	REQUIRE_EQ(transcript_lines()->count, 10);
	require_ticks(first, 5);
	require_ticks(second, 5);
	REQUIRE(seconds(took) >= 5);
	REQUIRE(seconds(took) < 10); /* one after the other they would take 10 */
}
