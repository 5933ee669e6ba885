/* Criterion has the runner and its main; only a failure is handed to it. */
#include "harness.h"

void
test_stop(const char *file, int line, const char *text)
{
	struct criterion_assert_stats stats = {
		.passed = false, .file = file, .line = (unsigned)line, .message = text
	};
	criterion_send_assert(&stats);
	criterion_abort_test();
}
