/*
 * shoal-step: the cases as tests, or by hand:
 *	shoal-step --run [part of a name]    runs the cases one after another, without the test
 *	                                     framework
 *	shoal-step --held > held.txt         prints who is held up where: only after a change that means
 *	                                     to alter it
 *	shoal-step --uncovered               lists the public functions that no case watches and
 *	                                     without.txt does not excuse
 *	shoal-step --cases                   lists them
 *	shoal-step-bare --case NAME          is a case's driver
 * Environment: STEP_FULL=1 everything, STEP_STRIDE=n each n-th instruction, STEP_STATES=n recovery
 * from so many of a case's states, STEP_PHASES: those of k(ill), s(leeper), r(ecovery), h(eld up)
 * that it names, STEP_DONE=file an interrupted run goes on where it was (done.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cover.h"
#include "done.h"
#include "harness.h"
#include "step.h"

enum { CASES_MAX = 512 };

static const struct step_case *cases[CASES_MAX];
static size_t case_count;

void
step_register(const struct step_case *c)
{
	if (case_count == CASES_MAX) {
		fprintf(stderr, "more than %d cases: %s is not taken\n", CASES_MAX, c->name);
		abort();
	}
	cases[case_count++] = c;
}

/* A case by its whole name, or all whose names have this part. */
static bool
is_meant(const struct step_case *c, const char *part)
{
	for (size_t i = 0; i < case_count; i++) {
		if (!strcmp(cases[i]->name, part))
			return cases[i] == c;
	}
	return strstr(c->name, part) != NULL;
}

static int
run_some(const char *part)
{
	int failed = 0;
	done_begin();
	for (size_t i = 0; i < case_count; i++) {
		if (is_meant(cases[i], part))
			failed += step_run(cases[i]) != 0;
	}
	fprintf(stderr, "%d failed\n", failed);
	return failed != 0;
}

static int
drive(const char *name)
{
	for (size_t i = 0; i < case_count; i++) {
		if (!strcmp(cases[i]->name, name))
			step_drive(cases[i]);
	}
	return 200;
}

static int
list_cases(void)
{
	for (size_t i = 0; i < case_count; i++)
		puts(cases[i]->name);
	return 0;
}

/* Traces alone tell what is called. */
static int
list_uncovered(void)
{
	unsetenv("STEP_DONE");
	setenv("STEP_PHASES", "-", 1);
	setenv("STEP_QUIET", "1", 1);
	if (!cover_begin()) {
		puts("this program's symbols cannot be read: is nm there?");
		return 1;
	}
	for (size_t i = 0; i < case_count; i++) {
		if (!cases[i]->control)
			step_run(cases[i]);
	}
	return cover_report() != 0;
}

static int
print_held(const char *part)
{
	unsetenv("STEP_DONE");
	setenv("STEP_HELD", "print", 1);
	setenv("STEP_PHASES", "h", 1);
	setenv("STEP_QUIET", "1", 1);
	puts("# Who is held up while the victim stands still: case, role, at how many places in the "
	     "code of how many (instructions that went by of how many): first-last, where.");
	puts("# Compiler " __VERSION__ ", -O2, x86-64. Made by shoal-step --held; a change that means "
	     "to alter it makes it anew.");
	int failed = 0;
	for (size_t i = 0; i < case_count; i++) {
		/* In this phase alone the controls have nothing to fail at. */
		if (is_meant(cases[i], part) && step_run(cases[i]) != 0 && !cases[i]->control)
			failed++;
	}
	if (failed)
		fprintf(stderr, "%d failed\n", failed);
	return failed != 0;
}

int
main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--cases"))
		return list_cases();
	if (argc > 2 && !strcmp(argv[1], "--case"))
		return drive(argv[2]);
	if (argc > 1 && !strcmp(argv[1], "--uncovered"))
		return list_uncovered();
	if (argc > 1 && !strcmp(argv[1], "--run"))
		return run_some(argc > 2 ? argv[2] : "");
	if (argc > 1 && !strcmp(argv[1], "--held"))
		return print_held(argc > 2 ? argv[2] : "");
	struct criterion_test_set *tests = criterion_initialize();
	int rc = 0;
	if (criterion_handle_args(argc, argv, true)) {
		done_begin();
		rc = !criterion_run_all_tests(tests);
		done_end(rc == 0);
	}
	criterion_finalize(tests);
	return rc;
}
