/*
 * What every test includes.
 *
 *	Test(queue, a_full_queue_refuses_without_blocking, .timeout = 5)
 *	{
 *		pid_t pid = child(putter, queue);
 *		expect_child(pid, 0, 1000);
 *		REQUIRE_EQ(shoal_queue_size(queue), 3);
 *	}
 *
 * Options: .timeout (seconds; 20 when not given), .init, .fini, .signal, .exit_code, .disabled,
 * .description. They mean the same under both back ends: Criterion (back_end_criterion.c), and with
 * -DHARNESS_PLAIN a small runner (back_end_plain.c) for builds in which Criterion cannot run.
 *
 * REQUIRE* work in the test and in the processes it makes. In a child a failure is a line on stderr
 * and exit status 101. Criterion's own macros must not be used: in a child they hang the whole run.
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Sanitized code takes longer: harness times are multiplied by this. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HARNESS_SLOW 4
#else
#define HARNESS_SLOW 1
#endif
#define HARNESS_TIMEOUT (20 * HARNESS_SLOW)

enum { CHILD_FAILED = 101 };

/* Stops the test when `cond` is false. */
#define REQUIRE(cond) ((cond) ? (void)0 : test_fail(__FILE__, __LINE__, "not so: %s", #cond))

/* Both integers are printed when they differ. */
#define REQUIRE_EQ(a, b) require_eq(__FILE__, __LINE__, #a, (long long)(a), #b, (long long)(b))

#define REQUIRE_STR_EQ(a, b) require_str_eq(__FILE__, __LINE__, #a, (a), #b, (b))

/*
 * Forks a child that runs run(arg) and ends with its result by _exit, whatever happens. It dies
 * with the thread that made it. One thread of a process makes and expects children, not several at
 * once. A child that still lives when its test ends fails the test and is killed.
 */
pid_t child(int (*run)(void *), void *arg);
/* The same by _Fork: no library is told. For processes with one thread: malloc may be locked. */
pid_t untold_child(int (*run)(void *), void *arg);
/* ThreadSanitizer is not told either, and takes the child's steps for the parent's. */
#if defined(__SANITIZE_THREAD__)
#define NOT_SEEN_BY_TSAN true
#else
#define NOT_SEEN_BY_TSAN false
#endif

/*
 * Waits until the child has ended, with this exit status or by this signal; kills it when the time
 * is up.
 */
#define expect_child(pid, code, timeout_ms) \
	expect_exit(__FILE__, __LINE__, (pid), (code), (timeout_ms))
#define expect_killed(pid, signo, timeout_ms) \
	expect_signal(__FILE__, __LINE__, (pid), (signo), (timeout_ms))

/* Whether the caller is the only thread of its process, beside those of the test's runner. */
bool is_alone(void);

/* Zeroed memory that the children share; it goes with the test. */
void *shared(size_t bytes);

int64_t now_ns(void);
int64_t thread_cpu_ns(void); /* of the processor that the calling thread has used */
/*
 * A clock for upper bounds: it stands still while the machine lets somebody wait for a CPU, and
 * while its host takes a CPU away, as the kernel counts them (/proc/pressure/cpu, and what
 * /proc/stat calls stolen, of all CPUs together). On a quiet machine, and where nobody counts, it
 * runs as now_ns() does. It is the same in all processes. Only differences mean anything, and they
 * may be below zero: the time of two CPUs goes off at once, and what is stolen comes in ticks.
 */
int64_t fair_ns(void);
void sleep_ms(int ms);

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void require_eq(const char *file, int line, const char *a_text, long long a, const char *b_text,
                long long b);
void require_str_eq(const char *file, int line, const char *a_text, const char *a,
                    const char *b_text, const char *b);
void expect_exit(const char *file, int line, pid_t pid, int code, int timeout_ms);
void expect_signal(const char *file, int line, pid_t pid, int signo, int timeout_ms);

/* One test as both back ends see it. */
struct test {
	const char *suite, *name;
	void (*body)(void);
	void (*init)(void);
	void (*fini)(void);
	double timeout;
	int signal, exit_code;
	bool disabled;
	const char *description;
	struct test *next;
	char sentinel_;
};

/* Runs the test's init, body and fini, then looks for children that are left. */
void test_run(struct test *test);

/* What is left to do when the body was cut short: its fini, and the end of its children. */
void test_clean(void);

/* Of the back end: reports a failure in the test's own process and ends the test. */
_Noreturn void test_stop(const char *file, int line, const char *text);

/* One line on stderr, in one write, so that the lines of several processes do not mix. */
void test_complain(const char *file, int line, const char *text);

#define TEST_(suite_, name_, ...) \
	static void suite_##_##name_##_body(void); \
	static struct test suite_##_##name_##_test = { .timeout = HARNESS_TIMEOUT, __VA_ARGS__, \
		.suite = #suite_, .name = #name_, .body = suite_##_##name_##_body }; \
	TEST_BACK_END_(suite_, name_, __VA_ARGS__) \
	static void suite_##_##name_##_body(void)

#ifdef HARNESS_PLAIN
#define Test(...) TEST_(__VA_ARGS__, .sentinel_ = 0)
void test_register(struct test *test);
#define TEST_BACK_END_(suite_, name_, ...) \
	__attribute__((constructor)) static void suite_##_##name_##_register(void) \
	{ \
		test_register(&suite_##_##name_##_test); \
	}
#else
#include <criterion/criterion.h>
#undef Test
#define Test(...) TEST_(__VA_ARGS__, .sentinel_ = 0)
#define TEST_BACK_END_(suite_, name_, ...) \
	CR_TEST_BASE(suite_, name_, .timeout = HARNESS_TIMEOUT, __VA_ARGS__, .init = NULL, \
	             .fini = test_clean) \
	{ \
		test_run(&suite_##_##name_##_test); \
	}
#endif

static inline bool
skip_unless(bool can, const char *what)
{
	if (!can)
		fprintf(stderr, "skipped: it needs %s\n", what);
	return !can;
}

#endif
