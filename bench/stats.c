/* stats.c - medians and the like */
#include "stats.h"

#include <stdlib.h>

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int
compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static size_t
index_of(size_t count, double share)
{
	size_t i = (size_t)((double)count * share);

	return i < count ? i : count - 1;
}

struct spread
spread_of(double *values, size_t count)
{
	struct spread s = { 0, 0, 0 };

	if (count == 0)
		return s;
	qsort(values, count, sizeof *values, compare_doubles);
	s.min = values[0];
	s.max = values[count - 1];
	s.median = (values[(count - 1) / 2] + values[count / 2]) / 2;
	return s;
}

double
percentile(double *values, size_t count, double share)
{
	if (count == 0)
		return 0;
	qsort(values, count, sizeof *values, compare_doubles);
	return values[index_of(count, share)];
}

uint32_t
percentile_u32(uint32_t *values, size_t count, double share)
{
	if (count == 0)
		return 0;
	qsort(values, count, sizeof *values, compare_u32);
	return values[index_of(count, share)];
}
