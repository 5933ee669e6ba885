/*
 * In place of Criterion, for the program in which a case's driver is: what that library brings with
 * it, a hundred mappings, would be copied with each of a driver's forks.
 */
#include <stdlib.h>

#define NOT_HERE(name) \
	void name(void); \
	void name(void) \
	{ \
		abort(); \
	}

NOT_HERE(criterion_initialize)
NOT_HERE(criterion_handle_args)
NOT_HERE(criterion_run_all_tests)
NOT_HERE(criterion_finalize)
NOT_HERE(criterion_send_assert)
NOT_HERE(criterion_abort_test)
NOT_HERE(criterion_internal_test_main)
NOT_HERE(criterion_internal_test_setup)
NOT_HERE(criterion_internal_test_teardown)
