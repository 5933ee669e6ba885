/* options.h - the command line */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "rings.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	CHOICES_MAX = 16
};

struct shape {
	unsigned producers, consumers;
};

struct options {
	bool quick, bars, list;
	bool full; /* neither --sizes nor --shapes beside it */
	const char *json, *csv, *compare, *only, *measure;
	unsigned reps, window_ms;
	enum rings rings;
	size_t sizes[CHOICES_MAX], size_count;
	struct shape shapes[CHOICES_MAX];
	unsigned shape_count;
};

/* True when the name contains one of the texts of --only, or when there are none. */
bool options_only(const char *only, const char *name);

/* Does not return after --help or a mistake. */
void options_read(struct options *, int argc, char **argv);

#endif
