/* compare.c - this run beside an older one */
#include "compare.h"

#include "json_read.h"
#include "progress.h"
#include "report.h"
#include "stats.h"

#include <string.h>

enum {
	REPS_MAX = 1000
};

#define CHANGE 1.05

/* More is better in all of them. */
struct goodness {
	double value[REPS_MAX];
	size_t count;
};

static bool
in_times(enum measure m)
{
	return measure_is_trip(m) || m == FIXED_RATE;
}

static double
goodness_of(double rate, double p50, bool times)
{
	if (!times)
		return rate;
	return p50 > 0 ? 1 / p50 : 0;
}

static void
take(struct goodness *g, double ours, double base)
{
	if (ours > 0 && base > 0 && g->count < REPS_MAX)
		g->value[g->count++] = ours / base;
}

static void
is_now(const struct session *s, const struct series *one, struct goodness *g)
{
	const struct series *base = NULL;
	bool times = in_times(one->plan.measure);

	for (size_t i = 0; i < s->count; i++)
		if (s->series[i].plan.subject->traits & SUBJECT_IS_BASE &&
		    same_cell(&s->series[i].plan, &one->plan))
			base = &s->series[i];
	for (unsigned rep = 0; rep < s->reps; rep++) {
		const struct sample *a = &one->sample[rep], *b = base ? &base->sample[rep] : NULL;

		if (a->ok && (!b || b->ok))
			take(g, goodness_of(a->rate, a->p50, times),
			     b ? goodness_of(b->rate, b->p50, times) : 1);
	}
}

/* The samples of a subject in a cell, or of what ratios are against there. */
static const struct json *
find(const struct json *file, const char *subject, const char *cell)
{
	const struct json *all = json_child(file, "series"), *one = all ? all->child : NULL;

	for (; one; one = one->next) {
		if (strcmp(json_text(one, "cell"), cell))
			continue;
		if (subject ? !strcmp(json_text(one, "subject"), subject) : json_number(one, "base") > 0)
			return json_child(one, "samples");
	}
	return NULL;
}

static double
sample_goodness(const struct json *sample, bool times)
{
	if (json_number(sample, "ok") == 0)
		return 0;
	return goodness_of(json_number(sample, "million_per_s"), json_number(sample, "p50_us"), times);
}

static void
was_then(const struct json *file, const struct series *one, struct goodness *g)
{
	bool times = in_times(one->plan.measure);
	const struct json *ours, *base, *a, *b;
	char cell[128];

	cell_text(&one->plan, cell);
	ours = find(file, one->plan.subject->name, cell);
	base = find(file, NULL, cell);
	a = ours ? ours->child : NULL;
	b = base ? base->child : NULL;
	for (; a && (!base || b); a = a->next, b = b ? b->next : NULL)
		take(g, sample_goodness(a, times), base ? sample_goodness(b, times) : 1);
}

/* -1: worse beyond the noise, 1: better, 0: neither. */
static int
verdict(const struct spread *was, const struct spread *is)
{
	double before = was->max - was->min, after = is->max - is->min;
	double noise = before > after ? before : after;

	if (is->max < was->min && was->median - is->median > noise)
		return is->median * CHANGE < was->median ? -1 : 0;
	if (is->min > was->max && is->median - was->median > noise)
		return is->median > was->median * CHANGE;
	return 0;
}

struct changes {
	int compared, worse, better;
};

static void
compare_one(const struct session *s, const struct json *file, const struct series *one,
            struct changes *changes, FILE *out)
{
	static struct goodness before, after;
	struct spread was, is;
	char cell[128];
	int change;

	before.count = after.count = 0;
	was_then(file, one, &before);
	is_now(s, one, &after);
	if (!before.count || !after.count)
		return;
	was = spread_of(before.value, before.count);
	is = spread_of(after.value, after.count);
	change = verdict(&was, &is);
	changes->compared++;
	changes->worse += change < 0;
	changes->better += change > 0;
	if (change)
		fprintf(out, "%-6s %+6.1f %%  %s: %s  (%.4g, was %.4g)\n", change < 0 ? "WORSE" : "better",
		        100 * (is.median / was.median - 1), one->plan.subject->name,
		        cell_text(&one->plan, cell), is.median, was.median);
}

const struct json *
compare_read(const char *path)
{
	const struct json *file = json_read(path);
	const char *schema = json_text(file, "schema");

	if (!file || !strcmp(schema, REPORT_SCHEMA))
		return file;
	if (strncmp(schema, "shoal-bench ", 12))
		fprintf(stderr, "shoal-bench: %s was not written by --json\n", path);
	else
		fprintf(stderr, "shoal-bench: %s has schema '%s', not '%s'\n", path, schema,
		        REPORT_SCHEMA);
	return NULL;
}

int
compare_with(const struct session *s, const struct json *file, const char *path, FILE *out)
{
	struct changes changes = { 0, 0, 0 };

	fprintf(out, "\ncompared with %s, of shoal %s\n", path,
	        json_text(json_child(file, "build"), "git"));
	for (size_t i = 0; i < s->count; i++)
		if (subject_is_ours(s->series[i].plan.subject))
			compare_one(s, file, &s->series[i], &changes, out);
	fprintf(out, "of %d series of shoal's in both %d worse, %d better, beyond the noise\n",
	        changes.compared, changes.worse, changes.better);
	return changes.compared ? changes.worse : -1;
}
