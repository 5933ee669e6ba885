/* death.h - how long the others wait when a member is killed */
#ifndef BENCH_DEATH_H
#define BENCH_DEATH_H

#include <stdint.h>

enum victim {
	VICTIM_PUT,
	VICTIM_PUT_MANY,
	VICTIM_GET
};

struct death_result {
	double p50_ms, p99_ms, max_ms;
	/* The same silence where nobody is killed: the machine's own. */
	double calm_p99_ms, calm_max_ms;
	unsigned kills;
	uint64_t recoveries; /* members that the others have reaped */
	char error[160];
};

void death_run(enum victim, unsigned kills, struct death_result *out);

#endif
