/*
 * Tests of pools that are the same under each start method. Workers that were not forked know
 * nothing of the test's memory: what they are to know goes to them as a task's input.
 */
#ifndef TESTS_POOL_METHODS_H
#define TESTS_POOL_METHODS_H

#include "pool/common.h"

static shoal_start_method method;

#define EACH_METHOD(name) \
	static void name(void); \
	Test(pool_by_fork, name) \
	{ \
		method = SHOAL_FORK; \
		name(); \
	} \
	Test(pool_by_server, name) \
	{ \
		method = SHOAL_FORKSERVER; \
		name(); \
	} \
	Test(pool_by_spawn, name) \
	{ \
		method = SHOAL_SPAWN; \
		name(); \
	} \
	static void name(void)

static inline __attribute__((unused)) shoal_pool *
pool_so(shoal_pool_options o)
{
	o.method = method;
	return pool_with(&o);
}

/* So often, or once where each worker is the whole program executed again. */
static inline __attribute__((unused)) int
rounds(int times)
{
	return method == SHOAL_SPAWN ? 1 : times;
}

/* Until the result is there: its code. */
static inline __attribute__((unused)) int
code_of(shoal_result *r)
{
	REQUIRE_EQ(shoal_result_wait(r, SHOAL_SEC(10)), 0);
	return shoal_result_code(r);
}

#endif
