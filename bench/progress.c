/*
 * progress.c - how far it is, and the time left
 *
 * A terminal gets one line that is written over; a log gets a plain line every few seconds.
 */
#include "progress.h"

#include "clock.h"
#include "stage.h"

#include <stdio.h>
#include <unistd.h>

#define TERMINAL_NS 100000000ull
#define LOG_NS 10000000000ull

static const char *
size_text(size_t bytes, char text[32])
{
	if (bytes >= MEBI && bytes % MEBI == 0)
		snprintf(text, 32, "%zu MiB", bytes / MEBI);
	else if (bytes >= KIBI && bytes % KIBI == 0)
		snprintf(text, 32, "%zu KiB", bytes / KIBI);
	else
		snprintf(text, 32, "%zu B", bytes);
	return text;
}

const char *
cell_text(const struct plan *p, char text[128])
{
	char size[32];

	if (p->measure == LOCK_CONTENDED)
		snprintf(text, 128, "%s, %u processes, %u ns inside", measure_name(p->measure),
		         2 * p->pairs, p->inside_ns);
	else if (measure_is_map(p->measure))
		snprintf(text, 128, "%s, %u process%s, %u keys, values of %s",
		         measure_name(p->measure), workers_of(p), workers_of(p) > 1 ? "es" : "",
		         p->keys, size_text(p->bytes, size));
	else if (p->measure == PROCESS_START)
		snprintf(text, 128, "%s, beside %s of private memory", measure_name(p->measure),
		         p->beside_mib ? size_text(p->beside_mib * (size_t)MEBI, size) : "little");
	else if (measure_is_lock(p->measure))
		snprintf(text, 128, "%s", measure_name(p->measure));
	else if (!measure_is_message(p->measure))
		snprintf(text, 128, "%s, %s", measure_name(p->measure), size_text(p->bytes, size));
	else
		snprintf(text, 128, "%s, %u:%u, %s", measure_name(p->measure), p->producers, p->consumers,
		         size_text(p->bytes, size));
	return text;
}

void
progress_begin(struct progress *p, size_t steps)
{
	p->done = 0;
	p->total = steps;
	p->began_ns = p->said_ns = clock_ns();
	p->terminal = isatty(STDERR_FILENO);
}

static unsigned
seconds_left(const struct progress *p, uint64_t now)
{
	uint64_t spent = now - p->began_ns;

	return (unsigned)((spent * (p->total - p->done) / p->done + 999999999) / 1000000000);
}

void
progress_show(struct progress *p, const struct plan *plan)
{
	uint64_t now = clock_ns();
	char cell[128];

	if (p->done == 0 || now - p->said_ns < (p->terminal ? TERMINAL_NS : LOG_NS))
		return;
	p->said_ns = now;
	if (!p->terminal) {
		fprintf(stderr, "shoal-bench: %zu of %zu runs, %u s left\n", p->done, p->total,
		        seconds_left(p, now));
		return;
	}
	fprintf(stderr, "\r\033[K[%zu/%zu] %u s left: %s, %s", p->done, p->total,
	        seconds_left(p, now), cell_text(plan, cell), plan->subject->name);
	fflush(stderr);
}

void
progress_step(struct progress *p)
{
	p->done++;
}

void
progress_end(struct progress *p)
{
	if (p->terminal)
		fputs("\r\033[K", stderr);
}

void
progress_say(const char *text)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K%s", text);
}
