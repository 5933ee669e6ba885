/* A handler before a chosen instruction of an operation, as a signal may come there. */
#ifndef TESTS_STEPS_H
#define TESTS_STEPS_H

#include "harness.h"

/* The trap flag works like this on x86-64 alone; ThreadSanitizer puts signals off. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define HAS_STEPS 1

#include <signal.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

/* Instructions from one try to the next: a sanitizer makes many more of them, and steps slowly. */
#define STEPS_STRIDE (1 + 12 * (HARNESS_SLOW > 1))

struct steps {
	volatile bool on, came;
	volatile uint32_t at, done;
	volatile uint32_t waits; /* how often it has asked the kernel to let it sleep on a futex */
	greg_t entry; /* not 0: there, whatever `at` is */
	void (*come)(void);
	/* For the test to set: what other threads it has do nothing of the library's until come(). */
	bool others_wait;
};

extern struct steps steps;

/*
 * Runs op(arg), and come() before its instruction number `at`, or where signals are blocked there
 * before the first one where they are not, as a signal's handler would. False: it has not so many,
 * but steps.done. Also inside come().
 */
bool steps_into(void (*op)(void *), void *arg, uint32_t at, void (*come)(void));

/*
 * The number of the instruction before which come() came last, in this process or a child: up to
 * there no other `at` makes a difference.
 */
uint32_t steps_last(void);

/* As that, where the operation first calls a function of the library, which is not inlined. */
bool steps_into_call(void (*op)(void *), void *arg, void (*entry)(void), void (*come)(void));

/*
 * From come(): goes on unstepped until that function is called, which is where come() is called
 * again. So it sleeps, which a sanitizer's steps from the look at the clock to the kernel are too
 * slow for. No signals may be blocked there.
 */
void steps_run_to(void (*entry)(void));

/* From the middle of something on: come() before instruction number `at` from here. */
void steps_begin(uint32_t at, void (*come)(void));
void steps_end(void);

/* A handler that forks, as one of SIGCHLD may, to start anew what has ended. */
static inline void
steps_fork(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	REQUIRE(pid > 0);
	REQUIRE_EQ(waitpid(pid, NULL, 0), pid);
}

#else
#define HAS_STEPS 0
#endif

#endif
