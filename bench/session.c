/* session.c - all series of one invocation, run cell by cell with interleaved repetitions */
#include "session.h"

#include "limits.h"
#include "progress.h"

#include <stdlib.h>
#include <string.h>

#define FIXED_RATE_DEFAULT 0.1
#define TRIES 3

bool
same_cell(const struct plan *a, const struct plan *b)
{
	return a->measure == b->measure && a->producers == b->producers &&
	       a->consumers == b->consumers && a->pairs == b->pairs && a->bytes == b->bytes &&
	       a->inside_ns == b->inside_ns && a->keys == b->keys &&
	       a->beside_mib == b->beside_mib;
}

static void *
grown(void *memory, size_t bytes)
{
	memory = realloc(memory, bytes);
	if (!memory) {
		fputs("shoal-bench: out of memory\n", stderr);
		exit(2);
	}
	return memory;
}

long
session_add(struct session *s, const struct plan *p)
{
	struct series *added;

	if (!plan_possible(p))
		return -1;
	for (size_t i = 0; i < s->count; i++)
		if (s->series[i].plan.subject == p->subject && same_cell(&s->series[i].plan, p))
			return (long)i;
	if (s->count == s->room) {
		s->room = s->room ? 2 * s->room : 64;
		s->series = grown(s->series, s->room * sizeof *s->series);
	}
	added = &s->series[s->count];
	memset(added, 0, sizeof *added);
	added->plan = *p;
	added->sample = grown(NULL, s->reps * sizeof *added->sample);
	return (long)s->count++;
}

/* Half of what the slowest of ours and of what ratios are against carries; million a second. */
static double
fixed_rate(struct session *s, const struct plan *cell)
{
	double least = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct plan p = s->series[i].plan;
		struct sample sample;

		if (!same_cell(&p, cell))
			continue;
		if (!subject_is_ours(p.subject) && !(p.subject->traits & SUBJECT_IS_BASE))
			continue;
		p.measure = ONE_WAY;
		run_once(&p, &s->timing, &sample);
		if (sample.ok && (least == 0 || sample.rate < least))
			least = sample.rate;
	}
	return least > 0 ? least / 2 : FIXED_RATE_DEFAULT;
}

/*
 * The processors of a virtual machine come nearer to each other, and go farther apart, by the
 * second: one in whose midst they did is of no distance, and is made again.
 */
static void
run_steadily(const struct plan *p, const struct timing *timing, struct sample *out)
{
	bool crosses = !measure_is_alone(p->measure);
	double before = crosses ? limits_line() : 0, after = before;

	for (unsigned i = 0; i < TRIES; i++) {
		run_once(p, timing, out);
		after = crosses ? limits_line() : 0;
		if (!crosses || limits_same_line(before, after))
			break;
		before = after;
	}
	out->line_ns = (before + after) / 2;
}

static void
run_cell(struct session *s, const struct plan *cell, struct progress *progress)
{
	double rate = cell->measure == FIXED_RATE ? fixed_rate(s, cell) : 0;

	for (unsigned rep = 0; rep < s->reps; rep++) {
		for (size_t i = 0; i < s->count; i++) {
			struct series *one = &s->series[i];

			if (!same_cell(&one->plan, cell))
				continue;
			one->seen = true;
			one->plan.rate = rate;
			progress_show(progress, &one->plan);
			run_steadily(&one->plan, &s->timing, &one->sample[rep]);
			progress_step(progress);
		}
	}
}

void
session_run(struct session *s)
{
	struct progress progress;

	progress_begin(&progress, s->count * s->reps);
	for (size_t i = 0; i < s->count; i++)
		if (!s->series[i].seen)
			run_cell(s, &s->series[i].plan, &progress);
	progress_end(&progress);
}

void
session_free(struct session *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->series[i].sample);
	free(s->series);
}

double
sample_value(const struct sample *sample, enum value value)
{
	switch (value) {
	case RATE:
		return sample->rate;
	case CPU_NS:
		return sample->cpu_ns;
	case P50:
		return sample->p50;
	case P90:
		return sample->p90;
	case P99:
		return sample->p99;
	case P999:
		return sample->p999;
	case SHARE:
		return sample->share;
	case PAUSE:
		return sample->pause_us;
	case SWITCHES:
		return sample->switches;
	case LONGEST:
		return sample->max;
	}
	return 0;
}

size_t
series_values(const struct session *s, const struct series *one, enum value value,
              double *out)
{
	size_t count = 0;

	for (unsigned rep = 0; rep < s->reps; rep++)
		if (one->sample[rep].ok)
			out[count++] = sample_value(&one->sample[rep], value);
	return count;
}

const char *
series_error(const struct session *s, const struct series *one)
{
	for (unsigned rep = 0; rep < s->reps; rep++)
		if (!one->sample[rep].ok)
			return one->sample[rep].error;
	return NULL;
}
