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

#include "json_read.h"
#include "session.h"

/* What --json wrote there; NULL where it cannot be used, with a word on stderr. */
const struct json *compare_read(const char *path);

/* How many series became worse, each a line; -1 where there is none to compare. */
int compare_with(const struct session *, const struct json *, const char *path, FILE *out);

#endif
