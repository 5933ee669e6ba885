/*
 * What the harness promises, above all that it can fail: each failure here is a child's, seen from
 * outside.
 */
#include "harness.h"
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static int
give(void *arg)
{
	return *(int *)arg;
}

static int
hang(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return 0;
}

static int three = 3;

Test(harness, a_child_ends_with_its_result)
{
	expect_child(child(give, &three), 3, 5000);
}

Test(harness, a_killed_child_is_told_from_one_that_ended)
{
	pid_t pid = child(hang, NULL);
	kill(pid, SIGKILL);
	expect_killed(pid, SIGKILL, 5000);
}

/* The failures below say so on stderr, which would look like this test's. */
static void
be_quiet(void)
{
	REQUIRE(freopen("/dev/null", "w", stderr));
}

static int
require_the_impossible(void *arg)
{
	be_quiet();
	REQUIRE_EQ(*(int *)arg, 4);
	return 0;
}

static int
require_another_text(void *arg)
{
	(void)arg;
	be_quiet();
	REQUIRE_STR_EQ("one", "other");
	return 0;
}

static int
expect_another_status(void *arg)
{
	be_quiet();
	expect_child(child(give, arg), 4, 5000);
	return 0;
}

static int
expect_an_end_that_does_not_come(void *arg)
{
	be_quiet();
	expect_child(child(hang, arg), 0, 50);
	return 0;
}

static int
expect_an_end_where_a_signal_comes(void *arg)
{
	be_quiet();
	pid_t pid = child(hang, arg);
	kill(pid, SIGTERM);
	expect_child(pid, SIGTERM, 5000);
	return 0;
}

Test(harness, a_failure_in_a_child_is_its_exit_status)
{
	expect_child(child(require_the_impossible, &three), CHILD_FAILED, 5000);
	expect_child(child(require_another_text, NULL), CHILD_FAILED, 5000);
}

Test(harness, what_is_not_as_expected_fails)
{
	expect_child(child(expect_another_status, &three), CHILD_FAILED, 5000);
	expect_child(child(expect_an_end_that_does_not_come, NULL), CHILD_FAILED, 5000);
	expect_child(child(expect_an_end_where_a_signal_comes, NULL), CHILD_FAILED, 5000);
}

struct family { pid_t grandchild; };

static int
leave_a_child(void *arg)
{
	((volatile struct family *)arg)->grandchild = child(hang, NULL);
	return 0;
}

Test(harness, a_child_dies_with_its_parent)
{
	struct family *family = shared(sizeof *family);
	expect_child(child(leave_a_child, family), 0, 5000);
	/* Whoever inherits it may never collect it: then it is listed as dead. */
	char path[64], state = ' ';
	snprintf(path, sizeof path, "/proc/%d/stat", (int)family->grandchild);
	for (int i = 0; i < 500; i++) {
		FILE *f = fopen(path, "r");
		if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 'X';
		if (f)
			fclose(f);
		if (state == 'Z' || state == 'X')
			break;
		sleep_ms(10);
	}
	REQUIRE(state == 'Z' || state == 'X');
}

Test(harness, sleep_ms_sleeps)
{
	int64_t before = now_ns();
	sleep_ms(20);
	REQUIRE(now_ns() - before >= 20000000);
}

Test(harness, an_abort_can_be_what_is_expected, .signal = SIGABRT)
{
	raise(SIGABRT);
}
