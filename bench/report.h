/* report.h - the table, and everything as JSON */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bars.h"
#include "session.h"

void report_table(const struct session *, FILE *);

/* Every repetition of every series, and the bars if there are any. 0 or a negative errno. */
int report_json(const struct session *, const struct bars *, const char *path);

#endif
