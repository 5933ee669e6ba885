#include "people.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#include "arena/layout.h"
#include "late.h"
#include "name.h"

enum {
	PERSON_MS = 1500
};

enum step_who step_me;
static pid_t driver_pid;

/* ---- processors ---- */

static cpu_set_t cpus;

/* On which the driver is: several of them are spread over all when they may use all. */
static int
this_cpu(void)
{
	if (!CPU_COUNT(&cpus) && sched_getaffinity(0, sizeof cpus, &cpus))
		return -1;
	return sched_getcpu();
}

void
people_share_cpu(pid_t tid)
{
	cpu_set_t one;
	int cpu = this_cpu();
	if (cpu < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(tid, sizeof one, &one);
	sched_setaffinity(0, sizeof one, &one);
}

void
people_use_all_cpus(void)
{
	if (CPU_COUNT(&cpus))
		sched_setaffinity(0, sizeof cpus, &cpus);
}

int64_t
step_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* ---- in the child ---- */

void
step_fail(struct step_world *w, const char *format, ...)
{
	uint32_t none = 0;
	if (__atomic_compare_exchange_n(&w->failed, &none, 1, false, __ATOMIC_SEQ_CST,
	                                __ATOMIC_SEQ_CST)) {
		va_list args;
		va_start(args, format);
		vsnprintf(w->text, sizeof w->text, format, args);
		va_end(args);
	}
	if (getpid() == driver_pid) {
		printf("%s: setup: %s\n", w->of->name, w->text);
		fflush(stdout);
	}
	_exit(1);
}

int64_t
step_begin(struct step_world *w, const char *what)
{
	snprintf(w->doing, sizeof w->doing, "%s", what);
	step_mine(w)->inside = 1;
	return step_now();
}

void
step_end(struct step_world *w, const char *what, int64_t began)
{
	int64_t took = step_now() - began;
	step_mine(w)->inside = 0;
	if (took <= w->slowest_ns)
		return;
	w->slowest_ns = took;
	snprintf(w->slowest, sizeof w->slowest, "%s", what);
}

void
step_must_wake(struct step_world *w, int ms, const char *why)
{
	int64_t began = step_begin(w, why);
	while (w->part[STEP_SLEEPER].inside && step_now() - began < ms * INT64_C(1000000))
		usleep(20);
	STEP_REQUIRE(w, !w->part[STEP_SLEEPER].inside, "it sleeps on: %s", why);
	step_end(w, why, began);
}

void
step_meet(struct step_world *w, uint32_t count)
{
	__atomic_add_fetch(&w->ready, 1, __ATOMIC_SEQ_CST);
	for (int64_t began = step_now(); w->ready < count && step_now() - began < 20000000;)
		;
}

/* ---- in the driver ---- */

static void
tick(int signal)
{
	(void)signal;
}

/*
 * The timer ends waits of the driver that would else not see a victim fall asleep. Children do not
 * inherit it.
 */
void
people_init(void)
{
	struct sigaction action = { .sa_handler = tick };
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } };
	driver_pid = getpid();
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

/*
 * Where a member's tag stands in memory, a process with that id would be taken for the one that is
 * named there (name.c). Worlds have few members.
 */
static bool
reads_like_a_tag(pid_t pid)
{
	uint32_t index = tag_index((uint32_t)pid);
	return index > 0 && index <= 16;
}

pid_t
people_fork(void)
{
	pid_t driver = getpid(), pid;
	fflush(NULL);
	while (reads_like_a_tag(pid = fork()))
		waitpid(pid, NULL, 0);
	if (pid != 0)
		return pid;
	if (reads_like_a_tag(getpid()))
		_exit(0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != driver)
		_exit(99);
	people_use_all_cpus();
	return 0;
}

bool
people_sleeps(pid_t tid)
{
	char path[64], text[256] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", (int)tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	const char *state = n > 0 ? strrchr(text, ')') : NULL;
	return state && state[1] == ' ' && state[2] == 'S';
}

long
people_sleep_count(pid_t tid)
{
	char path[64], line[100];
	long count = 0;
	snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file) &&
	       sscanf(line, "voluntary_ctxt_switches: %ld", &count) != 1)
		;
	if (file)
		fclose(file);
	return count;
}

struct person
people_start(struct step_world *w, enum step_who who, step_fn *fn)
{
	struct person p = { .who = who };
	w->part[who].inside = 0;
	p.pid = people_fork();
	if (p.pid == 0) {
		driver_pid = 0;
		step_me = who;
		fn(w);
		w->part[who].done = 1;
		_exit(0);
	}
	names_add(who, p.pid);
	return p;
}

bool
people_asleep(struct step_world *w, const struct person *p)
{
	int64_t began = step_now();
	int seen = 0;
	while (step_now() - began < 500000000) {
		if (w->part[p->who].done || w->failed)
			return false;
		seen = w->part[p->who].inside && people_sleeps(p->pid) ? seen + 1 : 0;
		if (seen == 3)
			return true;
		usleep(30);
	}
	return false;
}

static bool
person_wait(struct person *p, int ms)
{
	int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	int64_t end = step_now() + ms * INT64_C(1000000);
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	int n = 0;
	while (n <= 0 && step_now() < end)
		n = poll(&wait, 1, (int)((end - step_now()) / 1000000) + 1);
	close(fd);
	return n > 0;
}

static __attribute__((format(printf, 2, 3))) void
note(struct step_world *w, const char *format, ...)
{
	if (w->failed)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(w->text, sizeof w->text, format, args);
	va_end(args);
	w->failed = 1;
}

void
people_kill(struct person *p)
{
	if (p->pid <= 0)
		return;
	late_note(p->pid);
	kill(p->pid, SIGKILL);
	while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
		;
	p->pid = 0;
}

/* Where a hung process stands, in its own words and the kernel's. */
static void
person_hung(struct step_world *w, struct person *p)
{
	char path[64], call[200] = "?";
	snprintf(path, sizeof path, "/proc/%d/syscall", (int)p->pid);
	FILE *file = fopen(path, "r");
	if (file) {
		if (!fgets(call, sizeof call, file))
			call[0] = 0;
		fclose(file);
	}
	call[strcspn(call, "\n")] = 0;
	p->hung = true;
	note(w, "%d hangs in: %s (system call %s)", p->who, w->doing, call);
}

bool
people_end(struct step_world *w, struct person *p)
{
	if (!person_wait(p, PERSON_MS)) {
		person_hung(w, p);
		people_kill(p);
		return false;
	}
	late_note(p->pid);
	while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
		;
	p->pid = 0;
	if (WIFSIGNALED(p->status))
		note(w, "%d ended by signal %d in: %s", p->who, WTERMSIG(p->status), w->doing);
	else if (WEXITSTATUS(p->status) != 0)
		note(w, "%d ended with status %d in: %s", p->who, WEXITSTATUS(p->status), w->doing);
	return !w->failed;
}

bool
people_run(struct step_world *w, enum step_who who, step_fn *fn)
{
	struct person p = people_start(w, who, fn);
	return people_end(w, &p);
}

bool
people_try(struct step_world *w, enum step_who who, step_fn *fn, int ms)
{
	struct person p = people_start(w, who, fn);
	if (!person_wait(&p, ms)) {
		people_kill(&p);
		return false;
	}
	people_end(w, &p);
	return true;
}
