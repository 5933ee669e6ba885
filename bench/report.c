/*
 * report.c - the table
 *
 * One block a cell: the median over the repetitions, their minimum and maximum, the processor time
 * that all workers together spent on a message or an acquisition, and the ratio to the plainest of
 * the peers, pipe(2) or a pthread mutex, where more is better.
 */
#include "report.h"

#include "progress.h"
#include "stats.h"

#include <stdlib.h>

static struct spread
spread_over(const struct session *s, const struct series *one, enum value v)
{
	double *values = calloc(s->reps, sizeof *values);
	struct spread spread = { 0, 0, 0 };

	if (values)
		spread = spread_of(values, series_values(s, one, v, values));
	free(values);
	return spread;
}

static const struct series *
base_of(const struct session *s, const struct plan *cell)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->series[i].plan.subject->traits & SUBJECT_IS_BASE &&
		    same_cell(&s->series[i].plan, cell))
			return &s->series[i];
	return NULL;
}

static void
print_ratio(double ours, double base, FILE *out)
{
	if (ours > 0 && base > 0)
		fprintf(out, "  %8.2fx", ours / base);
	else
		fprintf(out, "  %9s", "-");
}

/* What else there is to say of a rate: bytes of messages, the time of a lock, or its fairness. */
static double
beside_rate(const struct session *s, const struct series *one, double rate)
{
	if (one->plan.measure == LOCK_ALONE)
		return rate > 0 ? 1e3 / rate : 0;
	if (one->plan.measure == LOCK_CONTENDED)
		return spread_over(s, one, SHARE).median;
	if (one->plan.measure == MAP_GROWTH)
		return spread_over(s, one, PAUSE).median / 1e3;
	return rate * (double)one->plan.bytes / 1e3;
}

static const char *
beside_rate_name(enum measure m)
{
	if (m == LOCK_ALONE)
		return "ns each";
	if (m == MAP_GROWTH)
		return "pause ms";
	return m == LOCK_CONTENDED ? "fairness" : "GB/s";
}

static void
print_rate(const struct session *s, const struct series *one, FILE *out)
{
	const struct series *base = base_of(s, &one->plan);
	struct spread rate = spread_over(s, one, RATE), cpu = spread_over(s, one, CPU_NS);
	char range[32];

	snprintf(range, sizeof range, "%.4g-%.4g", rate.min, rate.max);
	fprintf(out, "  %-21s %10.4g  %-17s %8.3f %12.1f", one->plan.subject->name, rate.median,
	        range, beside_rate(s, one, rate.median), cpu.median);
	print_ratio(rate.median, base ? spread_over(s, base, RATE).median : 0, out);
}

static void
print_trip(const struct session *s, const struct series *one, FILE *out)
{
	const struct series *base = base_of(s, &one->plan);
	struct spread p50 = spread_over(s, one, P50), p99 = spread_over(s, one, P99);
	struct spread p999 = spread_over(s, one, P999), cpu = spread_over(s, one, CPU_NS);
	char range[32];

	snprintf(range, sizeof range, "%.4g-%.4g", p50.min, p50.max);
	fprintf(out, "  %-21s %8.3f  %-17s %9.3f %9.3f %9.0f", one->plan.subject->name, p50.median,
	        range, p99.median, p999.median, cpu.median);
	print_ratio(base ? spread_over(s, base, P50).median : 0, p50.median, out);
}

static void
print_heading(const struct session *s, const struct plan *cell, FILE *out)
{
	const struct series *base = base_of(s, cell);
	char text[128], ratio[64];

	snprintf(ratio, sizeof ratio, "x %s", base ? base->plan.subject->name : "-");
	fprintf(out, "\n%s\n", cell_text(cell, text));
	if (measure_is_trip(cell->measure))
		fprintf(out, "  %-21s %8s  %-17s %9s %9s %9s  %9s\n", "microseconds", "p50",
		        "(min-max)", "p99", "p99.9", "cpu ns", ratio);
	else
		fprintf(out, "  %-21s %10s  %-17s %8s %12s  %9s\n", "", "million/s", "(min-max)",
		        beside_rate_name(cell->measure), "cpu ns each", ratio);
}

static void
print_series(const struct session *s, const struct series *one, FILE *out)
{
	const char *error = series_error(s, one);

	if (measure_is_trip(one->plan.measure))
		print_trip(s, one, out);
	else
		print_rate(s, one, out);
	if (error)
		fprintf(out, "  FAILED: %s", error);
	fputc('\n', out);
}

void
report_table(const struct session *s, FILE *out)
{
	bool *printed = calloc(s->count + 1, sizeof *printed);

	if (!printed)
		return;
	fprintf(out, "medians of %u interleaved repetitions\n", s->reps);
	for (size_t first = 0; first < s->count; first++) {
		const struct plan *cell = &s->series[first].plan;

		if (printed[first])
			continue;
		print_heading(s, cell, out);
		for (size_t i = first; i < s->count; i++) {
			if (!same_cell(&s->series[i].plan, cell))
				continue;
			printed[i] = true;
			print_series(s, &s->series[i], out);
		}
	}
	free(printed);
}
