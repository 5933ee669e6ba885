/*
 * The runner for builds in which Criterion cannot run (ThreadSanitizer). Like Criterion it executes
 * the program again for each test, in a session of its own, and ends with the same closing line.
 *
 *	shoal-tests [--filter PATTERN] [--list]		PATTERN is an extended glob on suite/name
 */
#include "harness.h"
#include <fnmatch.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct test *first, **last = &first;

void
test_register(struct test *test)
{
	*last = test;
	last = &test->next;
}

static bool
same_test(const struct test *test, const char *path)
{
	char own[256];
	snprintf(own, sizeof own, "%s/%s", test->suite, test->name);
	return fnmatch(path, own, FNM_EXTMATCH) == 0;
}

void
test_stop(const char *file, int line, const char *text)
{
	test_complain(file, line, text);
	test_clean();
	_exit(1);
}

/* In the process of one test. */
static int
run_one(const char *path)
{
	for (struct test *test = first; test; test = test->next) {
		if (same_test(test, path)) {
			test_run(test);
			return 0;
		}
	}
	return 2;
}

static pid_t
start(const struct test *test)
{
	char path[256], self[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", test->suite, test->name);
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n < 0)
		return -1;
	self[n] = '\0';
	pid_t pid = fork();
	if (pid == 0) {
		setsid();
		execl(self, self, "--run", path, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* False when the time ran out; the test and all of its session's first group are killed then. */
static bool
ends_in_time(pid_t pid, double seconds)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool ended = poll(&p, 1, (int)(seconds * 1000)) == 1;
	close(fd);
	if (!ended)
		kill(-pid, SIGKILL);
	return ended;
}

enum verdict { PASSED, FAILED, CRASHED };

static enum verdict
judge(const struct test *test, int status)
{
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == test->signal ? PASSED : CRASHED;
	return test->signal == 0 && WEXITSTATUS(status) == test->exit_code ? PASSED : FAILED;
}

static enum verdict
run_apart(const struct test *test)
{
	int status = 0;
	pid_t pid = start(test);
	if (pid < 0)
		return FAILED;
	bool ended = ends_in_time(pid, test->timeout);
	waitpid(pid, &status, 0);
	enum verdict verdict = ended ? judge(test, status) : FAILED;
	if (!ended)
		printf("[FAIL] %s::%s: Timed out. (%.2fs)\n", test->suite, test->name, test->timeout);
	else if (verdict != PASSED)
		printf("[FAIL] %s::%s: wait status %#x\n", test->suite, test->name, (unsigned)status);
	return verdict;
}

int
main(int argc, char **argv)
{
	const char *filter = "*";
	unsigned count[3] = { 0 };
	bool list = false;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--run") && i + 1 < argc)
			return run_one(argv[i + 1]);
		if (!strcmp(argv[i], "--filter") && i + 1 < argc)
			filter = argv[++i];
		else if (!strcmp(argv[i], "--list"))
			list = true;
	}
	for (const struct test *test = first; test; test = test->next) {
		if (test->disabled || !same_test(test, filter))
			continue;
		if (list)
			printf("%s/%s\n", test->suite, test->name);
		else
			count[run_apart(test)]++;
		fflush(stdout);
	}
	if (!list)
		printf("[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: %u \n",
		       count[PASSED] + count[FAILED] + count[CRASHED], count[PASSED],
		       count[FAILED] + count[CRASHED], count[CRASHED]);
	return count[FAILED] + count[CRASHED] > 0;
}
