/*
 * report.c - the table
 *
 * One block a cell: the median over the repetitions, their minimum and maximum, the processor time
 * that all workers together spent on a message or an acquisition, how often they were switched for
 * a million of them, and the ratio to the plainest of the peers, pipe(2) or a pthread mutex, where
 * more is better. The bar is as long as the value, of rates and of times.
 */
#include "report.h"

#include "progress.h"
#include "stats.h"

#include <stdlib.h>

enum {
	BAR_CELLS = 16
};

#define KEEPS_UP 0.95

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

/* A subject that cannot keep up says so: its delays only tell how long it was watched. */
static bool
keeps_up(const struct session *s, const struct series *one)
{
	return one->plan.measure != FIXED_RATE ||
	       spread_over(s, one, RATE).median >= KEEPS_UP * one->plan.rate;
}

/* The largest value in the cell: a bar of it is BAR_CELLS long. */
static double
largest(const struct session *s, const struct plan *cell, enum value v)
{
	double most = 0;

	for (size_t i = 0; i < s->count; i++) {
		double value;

		if (!same_cell(&s->series[i].plan, cell) || !keeps_up(s, &s->series[i]))
			continue;
		value = spread_over(s, &s->series[i], v).median;
		most = value > most ? value : most;
	}
	return most;
}

static void
print_blocks(double value, double most, FILE *out)
{
	static const char *const eighths[] = { "", "\u258f", "\u258e", "\u258d",
		                               "\u258c", "\u258b", "\u258a", "\u2589" };
	unsigned length = most > 0 ? (unsigned)(value / most * BAR_CELLS * 8 + 0.5) : 0;

	fputs("  ", out);
	for (unsigned i = 0; i < length / 8; i++)
		fputs("\u2588", out);
	fputs(eighths[length % 8], out);
}

/* How it waits is part of what is compared: sleepers with sleepers, spinners with spinners. */
const char *
report_waits(const struct plan *p)
{
	if (!measure_is_message(p->measure) && !measure_is_lock(p->measure))
		return "";
	if (p->subject->traits & SUBJECT_SPINS)
		return "spins";
	return p->subject->traits & SUBJECT_SPINS_FIRST ? "both" : "sleeps";
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
	fprintf(out, "  %-21s %-6s %9.4g  %-17s %8.3f %9.1f %9.3g", one->plan.subject->name,
	        report_waits(&one->plan), rate.median, range, beside_rate(s, one, rate.median),
	        cpu.median, spread_over(s, one, SWITCHES).median);
	print_ratio(rate.median, base ? spread_over(s, base, RATE).median : 0, out);
	print_blocks(rate.median, largest(s, &one->plan, RATE), out);
}

static void
print_trip(const struct session *s, const struct series *one, FILE *out)
{
	const struct series *base = base_of(s, &one->plan);
	struct spread p50 = spread_over(s, one, P50), p99 = spread_over(s, one, P99);
	struct spread p999 = spread_over(s, one, P999), cpu = spread_over(s, one, CPU_NS);
	char range[32];

	snprintf(range, sizeof range, "%.4g-%.4g", p50.min, p50.max);
	fprintf(out, "  %-21s %-6s %8.3f  %-17s %9.3f %9.3f %9.0f", one->plan.subject->name,
	        report_waits(&one->plan), p50.median, range, p99.median, p999.median, cpu.median);
	print_ratio(base ? spread_over(s, base, P50).median : 0, p50.median, out);
	print_blocks(p50.median, largest(s, &one->plan, P50), out);
}

static void
print_delays(const struct session *s, const struct series *one, FILE *out)
{
	const struct series *base = base_of(s, &one->plan);
	double p50 = spread_over(s, one, P50).median;

	fprintf(out, "  %-21s %-6s %8.3f %9.3f %9.3f %9.3f %9.3f %9.1f", one->plan.subject->name,
	        report_waits(&one->plan), p50, spread_over(s, one, P90).median,
	        spread_over(s, one, P99).median, spread_over(s, one, P999).median,
	        spread_over(s, one, LONGEST).median, spread_over(s, one, CPU_NS).median);
	print_ratio(base ? spread_over(s, base, P50).median : 0, p50, out);
	if (keeps_up(s, one))
		print_blocks(p50, largest(s, &one->plan, P50), out);
	else
		fprintf(out, "  behind: %.3g million/s", spread_over(s, one, RATE).median);
}

static void
print_heading(const struct session *s, const struct plan *cell, FILE *out)
{
	const struct series *base = base_of(s, cell);
	char text[128], ratio[64];

	snprintf(ratio, sizeof ratio, "x %s", base ? base->plan.subject->name : "-");
	fprintf(out, "\n%s", cell_text(cell, text));
	if (cell->measure == FIXED_RATE)
		fprintf(out, ", %.3g million/s\n  %-21s %-6s %8s %9s %9s %9s %9s %9s  %9s\n", cell->rate,
		        "microseconds late", "waits", "p50", "p90", "p99", "p99.9", "max", "cpu ns",
		        ratio);
	else if (measure_is_trip(cell->measure))
		fprintf(out, "\n  %-21s %-6s %8s  %-17s %9s %9s %9s  %9s\n", "microseconds", "waits",
		        "p50", "(min-max)", "p99", "p99.9", "cpu ns", ratio);
	else
		fprintf(out, "\n  %-21s %-6s %9s  %-17s %8s %9s %9s  %9s\n", "", "waits", "million/s",
		        "(min-max)", beside_rate_name(cell->measure), "cpu ns", "switch/M", ratio);
}

static void
print_series(const struct session *s, const struct series *one, FILE *out)
{
	const char *error = series_error(s, one);

	if (one->plan.measure == FIXED_RATE)
		print_delays(s, one, out);
	else if (measure_is_trip(one->plan.measure))
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

void
report_limits(const struct limits *limits, FILE *out)
{
	fputs("\nlimits of this machine, before and after\n", out);
	for (int i = 0; i < LIMITS; i++) {
		struct spread spread = limits_spread(limits, (enum limit)i);

		fprintf(out, "  %-38s %9.4g %-4s  (%.4g-%.4g)\n", limit_name((enum limit)i),
		        spread.median, limit_unit((enum limit)i), spread.min, spread.max);
	}
}
