/* progress.h - how far it is, and the time left */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

#include "run.h"

struct progress {
	size_t done, total;
	uint64_t began_ns, said_ns;
	bool terminal;
};

void progress_begin(struct progress *, size_t steps);
void progress_show(struct progress *, const struct plan *);
void progress_step(struct progress *);
void progress_end(struct progress *);

/* One line over the last one, on a terminal only. */
void progress_say(const char *text);

/* "one way, 1:1, 64 KiB": into text, which is returned. */
const char *cell_text(const struct plan *, char text[128]);

#endif
