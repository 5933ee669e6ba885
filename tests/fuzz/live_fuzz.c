/*
 * Words of a living arena overwritten between the calls of one who uses it: every call gives a
 * result or an error, without a crash, without an endless loop, without a step outside the mapping.
 */
#include "live_run.h"
#include "live_world.h"
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	live_begin();
	atexit(live_end);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	live_run(data, bytes);
	return 0;
}
