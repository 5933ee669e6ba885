/*
 * compare.h - this run beside an older one
 *
 * What is compared is each of shoal's series to what its ratios are against, repetition by
 * repetition: ratios hold where absolute times do not. Where a cell has no such series, the values
 * themselves are compared. A change counts when the repetitions of the two runs do not overlap,
 * their medians lie further apart than the repetitions of either, and by more than 5 %.
 */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include "session.h"

/* How many series became worse, each a line; -1 where the old file cannot be used. */
int compare_with(const struct session *, const char *path, FILE *out);

#endif
