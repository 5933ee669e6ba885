/* What the tests of this floor share. */
#ifndef TESTS_DATA_COMMON_H
#define TESTS_DATA_COMMON_H

#include "../arena/common.h"
#include <shoal/shoal.h>
#include <signal.h>

static inline shoal_value *
value(shoal_arena *a, shoal_type type, shoal_any first)
{
	shoal_value *v;
	REQUIRE_EQ(shoal_value_create(a, NULL, type, first, &v), 0);
	return v;
}

static inline shoal_array *
array(shoal_arena *a, shoal_type type, size_t count)
{
	shoal_array *x;
	REQUIRE_EQ(shoal_array_create(a, NULL, type, count, &x), 0);
	return x;
}

#endif
