#include "harness.h"
#include <shoal/base.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/kernel.h"

enum { CHILDREN_MAX = 1024 };

static struct test *current;
static pid_t test_pid; /* the process in which a failure is the test's, not a child's */
static unsigned own_threads; /* the test's and its runner's, as the test begins */
static bool fini_done;
static pid_t children[CHILDREN_MAX]; /* made by this process and not yet expected */
static size_t child_count;

/* Prints in one write, so that the lines of several processes do not mix. */
void
test_complain(const char *file, int line, const char *text)
{
	char out[1400];
	int n = snprintf(out, sizeof out, "%s:%d: [pid %d] %s\n", file, line, (int)getpid(), text);
	ssize_t written = write(STDERR_FILENO, out, n < (int)sizeof out ? (size_t)n : sizeof out - 1);
	(void)written;
}

void
test_fail(const char *file, int line, const char *format, ...)
{
	char text[1200];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, 600, format, args);
	va_end(args);
	n = n < 600 ? n : 599;
	const char *why = shoal_error();
	if (strncmp(why, "no call of", 10) != 0)
		snprintf(text + n, sizeof text - (size_t)n, " (this thread's last failure: %s)", why);
	if (getpid() == test_pid)
		test_stop(file, line, text);
	test_complain(file, line, text);
	_exit(CHILD_FAILED);
}

void
require_eq(const char *file, int line, const char *a_text, long long a, const char *b_text,
           long long b)
{
	if (a != b)
		test_fail(file, line, "%s is %lld, but %s is %lld", a_text, a, b_text, b);
}

void
require_str_eq(const char *file, int line, const char *a_text, const char *a, const char *b_text,
               const char *b)
{
	if (!a || !b || strcmp(a, b) != 0)
		test_fail(file, line, "%s is \"%s\", but %s is \"%s\"", a_text, a ? a : "(null)", b_text,
		          b ? b : "(null)");
}

#ifdef HARNESS_COV
void __gcov_dump(void);
#else
static void
__gcov_dump(void)
{
}
#endif

/* In the new child. Its parent may have died before the request to die with it took effect. */
static _Noreturn void
run_child(pid_t parent, int (*run)(void *), void *arg)
{
	child_count = 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(CHILD_FAILED);
	int code = run(arg);
	__gcov_dump();
	_exit(code);
}

static pid_t
make_child(pid_t (*make)(void), int (*run)(void *), void *arg)
{
	pid_t parent = getpid();
	REQUIRE(child_count < CHILDREN_MAX);
	pid_t pid = make();
	if (pid == 0)
		run_child(parent, run, arg);
	REQUIRE(pid > 0);
	children[child_count++] = pid;
	return pid;
}

pid_t
child(int (*run)(void *), void *arg)
{
	return make_child(fork, run, arg);
}

pid_t
untold_child(int (*run)(void *), void *arg)
{
	return make_child(_Fork, run, arg);
}

static void
forget(pid_t pid)
{
	for (size_t i = 0; i < child_count; i++)
		if (children[i] == pid)
			children[i--] = children[--child_count];
}

/* True when the process ended in time. WEXITED alone does not see the stops of a traced child. */
static bool
wait_end(pid_t pid, int timeout_ms, siginfo_t *end)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd >= 0) {
		int64_t deadline = now_ns() + (int64_t)timeout_ms * 1000000, left;
		struct pollfd p = { .fd = fd, .events = POLLIN };
		while ((left = deadline - now_ns()) > 0 && poll(&p, 1, (int)(left / 1000000) + 1) <= 0)
			;
		close(fd);
	}
	end->si_pid = 0;
	while (waitid(P_PID, (id_t)pid, end, WEXITED | WNOHANG) != 0 && errno == EINTR)
		;
	return end->si_pid == pid;
}

static void
kill_child(pid_t pid)
{
	siginfo_t end;
	kill(pid, SIGKILL);
	while (waitid(P_PID, (id_t)pid, &end, WEXITED) != 0 && errno == EINTR)
		;
}

static void
expect_end(const char *file, int line, pid_t pid, int how, int status, int timeout_ms)
{
	siginfo_t end;
	const char *kind = how == CLD_EXITED ? "exit status" : "signal";
	bool ended = wait_end(pid, timeout_ms * HARNESS_SLOW, &end);
	forget(pid);
	if (!ended) {
		kill_child(pid);
		test_fail(file, line, "child %d did not end within %d ms; expected %s %d", (int)pid,
		          timeout_ms * HARNESS_SLOW, kind, status);
	}
	int end_how = end.si_code == CLD_DUMPED ? CLD_KILLED : end.si_code;
	if (end_how != how || end.si_status != status)
		test_fail(file, line, "child %d ended with %s %d; expected %s %d", (int)pid,
		          end_how == CLD_EXITED ? "exit status" : "signal", end.si_status, kind, status);
}

void
expect_exit(const char *file, int line, pid_t pid, int code, int timeout_ms)
{
	expect_end(file, line, pid, CLD_EXITED, code, timeout_ms);
}

void
expect_signal(const char *file, int line, pid_t pid, int signo, int timeout_ms)
{
	expect_end(file, line, pid, CLD_KILLED, signo, timeout_ms);
}

void *
shared(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(memory != MAP_FAILED);
	return memory;
}

static int64_t
read_clock(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t
now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t
thread_cpu_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

/* How a file of the kernel's begins; nothing where it cannot be read. */
static void
read_start(const char *path, char *text, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, bytes - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
}

static int64_t
waited_ns(void)
{
	char text[200];
	read_start("/proc/pressure/cpu", text, sizeof text);
	/* some avg10=… avg60=… avg300=… total=MICROSECONDS */
	const char *total = strstr(text, "total=");
	return total ? strtoll(total + 6, NULL, 10) * 1000 : 0;
}

static int64_t
stolen_ns(void)
{
	char text[200];
	read_start("/proc/stat", text, sizeof text);
	/* cpu user nice system idle iowait irq softirq STEAL …, in ticks, of all CPUs together */
	char *at = text + strcspn(text, " ");
	int64_t ticks = 0;
	for (int i = 0; i < 8; i++)
		ticks = strtoll(at, &at, 10);
	return ticks * (1000000000 / sysconf(_SC_CLK_TCK));
}

int64_t
fair_ns(void)
{
	int64_t held_back = waited_ns() + stolen_ns();
	return now_ns() - held_back;
}

void
sleep_ms(int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
		;
}

bool
is_alone(void)
{
	return kernel_threads() == (getpid() == test_pid ? own_threads : 1);
}

/*
 * Kills the children that still run and returns how many those were; ended ones are only collected.
 */
static int
kill_survivors(void)
{
	int alive = 0;
	while (child_count > 0) {
		pid_t pid = children[--child_count];
		siginfo_t end = { 0 };
		if (waitid(P_PID, (id_t)pid, &end, WEXITED | WNOHANG) == 0 && end.si_pid == 0) {
			alive++;
			kill_child(pid);
		}
	}
	return alive;
}

static void
run_fini(void)
{
	if (current->fini && !fini_done) {
		fini_done = true;
		current->fini();
	}
}

void
test_run(struct test *test)
{
	current = test;
	test_pid = getpid();
	own_threads = kernel_threads();
	if (test->init)
		test->init();
	test->body();
	run_fini();
	int alive = kill_survivors();
	if (alive)
		test_fail(test->suite, 0, "%s left %d children alive", test->name, alive);
}

void
test_clean(void)
{
	if (getpid() != test_pid || !current)
		return;
	run_fini();
	int alive = kill_survivors();
	if (alive)
		fprintf(stderr, "%s/%s: killed %d children that were left\n", current->suite, current->name,
		        alive);
}
