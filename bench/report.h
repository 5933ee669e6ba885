/* report.h - the table, and everything as JSON and CSV */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bars.h"
#include "host.h"
#include "limits.h"
#include "session.h"

/* As bench/README.md has it. */
#define REPORT_SCHEMA "shoal-bench 2"

/* All that there is to tell of one invocation. */
struct report {
	const struct session *session;
	const struct bars *bars; /* or NULL */
	const struct host *host;
	const struct limits *limits;
};

void report_table(const struct session *, FILE *);
void report_limits(const struct limits *, FILE *);

/* "sleeps", "spins" or "both"; empty where nobody waits. */
const char *report_waits(const struct plan *);

/* Every repetition of every series, as bench/README.md has it. 0 or a negative errno. */
int report_json(const struct report *, const char *path);
int report_csv(const struct session *, const char *path);

#endif
