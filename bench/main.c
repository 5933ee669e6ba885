/* main.c - shoal-bench: what is measured, in which order */
#include "bars.h"
#include "compare.h"
#include "options.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool
in_quick(const struct options *o, const struct plan *p)
{
	if ((p->subject->traits & SUBJECT_FULL_ONLY && !o->only) || p->producers == 2)
		return false;
	if (p->measure == FIXED_RATE)
		return p->bytes == 64;
	if (p->measure == ONE_WAY_TOUCHED)
		return p->producers == 1 && p->bytes == 64 * KIBI;
	if (measure_is_map(p->measure))
		return p->pairs == 1 && p->keys == 100000 && p->measure == MAP_READING;
	return !measure_is_message(p->measure) || p->producers == 1 || p->bytes == 8 ||
	       p->bytes == KIBI;
}

/*
 * Shapes with many workers at two sizes; maps of a million keys by two processes only, and of ten
 * thousand not at all.
 */
static bool
in_full(const struct plan *p)
{
	unsigned most = p->producers > p->consumers ? p->producers : p->consumers;
	bool few = p->bytes == 8 || p->bytes == KIBI;

	if (p->measure == ONE_WAY_TOUCHED)
		return most == 1 ? p->bytes > 8 : most == 4 && p->bytes == 64 * KIBI;
	if (p->measure == ONE_WAY)
		return most == 1 || few || (most <= 4 && p->bytes == 64 * KIBI);
	if (measure_is_map(p->measure) && p->keys < 100000)
		return false;
	if (measure_is_map(p->measure) && p->keys >= 1000000)
		return p->pairs == 1 && p->measure != MAP_READING_ALONE && p->measure != MAP_HALF_ALONE;
	return true;
}

/* What is asked for by size or by shape is measured all. */
static bool
in_selection(const struct options *o, const struct plan *p)
{
	if (o->quick)
		return in_quick(o, p);
	return !o->full || in_full(p);
}

static bool
wanted(const struct options *o, const struct plan *p)
{
	return options_only(o->only, p->subject->name) && plan_possible(p) && in_selection(o, p);
}

/* What the ratios are against is measured beside any other, wanted or not. */
static void
add_cell(struct session *s, const struct options *o, struct plan cell)
{
	bool any = false;

	if (o->measure && !strstr(measure_name(cell.measure), o->measure))
		return;
	for (size_t i = 0; i < subject_count && !any; i++) {
		cell.subject = subjects[i];
		any = wanted(o, &cell);
	}
	for (size_t i = 0; i < subject_count && any; i++) {
		cell.subject = subjects[i];
		if (cell.subject->traits & SUBJECT_IS_BASE || wanted(o, &cell))
			session_add(s, &cell);
	}
}

static void
add_shapes(struct session *s, const struct options *o, enum measure measure)
{
	for (unsigned shape = 0; shape < o->shape_count; shape++) {
		for (size_t size = 0; size < o->size_count; size++) {
			struct plan cell = { .measure = measure,
				             .producers = o->shapes[shape].producers,
				             .consumers = o->shapes[shape].consumers,
				             .bytes = o->sizes[size] };

			add_cell(s, o, cell);
		}
	}
}

/* Of the sizes asked for, those that are neither all overhead nor all copying. */
static void
add_delays(struct session *s, const struct options *o)
{
	for (size_t size = 0; size < o->size_count; size++) {
		struct plan cell = { .measure = FIXED_RATE, .producers = 1, .consumers = 1,
			             .bytes = o->sizes[size] };

		if (cell.bytes >= 64 && cell.bytes <= KIBI)
			add_cell(s, o, cell);
	}
}

static void
add_locks(struct session *s, const struct options *o)
{
	static const struct plan cells[] = {
		{ .measure = LOCK_ALONE, .pairs = 1 },
		{ .measure = LOCK_CONTENDED, .pairs = 1 },
		{ .measure = LOCK_CONTENDED, .pairs = 1, .inside_ns = 100 },
		{ .measure = LOCK_CONTENDED, .pairs = 2 },
		{ .measure = LOCK_CONTENDED, .pairs = 2, .inside_ns = 100 },
		{ .measure = LOCK_RELAY, .pairs = 1 },
		{ .measure = LOCK_ASLEEP, .pairs = 1 },
		{ .measure = LOCK_DEATH, .pairs = 1 },
	};

	for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
		add_cell(s, o, cells[i]);
}

/* Ten thousand are what a cache of the processor's own nearly holds, the million what none does. */
static void
add_maps(struct session *s, const struct options *o)
{
	static const enum measure measures[] = { MAP_READING_ALONE, MAP_HALF_ALONE, MAP_READING,
		                                 MAP_HALF };

	for (uint32_t keys = 10000; keys <= 1000000; keys *= 10) {
		for (size_t i = 0; i < sizeof measures / sizeof *measures; i++) {
			struct plan cell = { .measure = measures[i], .bytes = 64, .keys = keys };
			unsigned shapes = measure_is_alone(measures[i]) ? 1 : 2;

			for (cell.pairs = 1; cell.pairs <= shapes; cell.pairs++)
				add_cell(s, o, cell);
		}
	}
	struct plan growth = { .measure = MAP_GROWTH, .pairs = 1, .bytes = 64, .keys = 1000000 };

	add_cell(s, o, growth);
}

static void
add_starts(struct session *s, const struct options *o)
{
	struct plan cell = { .measure = PROCESS_START, .pairs = 1 };

	add_cell(s, o, cell);
	cell.beside_mib = 1024;
	if (!o->quick)
		add_cell(s, o, cell);
}

static void
add_all(struct session *s, const struct options *o)
{
	struct plan spinning = { .measure = ROUND_SPINNING, .producers = 1, .consumers = 1 };
	struct plan asleep = { .measure = ROUND_ASLEEP, .producers = 1, .consumers = 1 };
	struct plan allocation = { .measure = ALLOCATION, .pairs = 1, .bytes = 64 };

	spinning.bytes = asleep.bytes = o->sizes[0];
	add_shapes(s, o, ONE_WAY);
	add_shapes(s, o, ONE_WAY_TOUCHED);
	add_delays(s, o);
	add_cell(s, o, spinning);
	add_cell(s, o, asleep);
	add_cell(s, o, allocation);
	add_locks(s, o);
	add_maps(s, o);
	add_starts(s, o);
}

static void
list(void)
{
	puts("subjects:");
	for (size_t i = 0; i < subject_count; i++)
		printf("  %-22s %s\n", subjects[i]->name, subjects[i]->about);
	puts("measures:");
	for (int m = 0; m < MEASURES; m++)
		printf("  %s\n", measure_name((enum measure)m));
	puts("bars:");
	bars_list(stdout);
}

enum {
	LIMIT_REST_NS = 200000000, /* a state of the machine lasts about a second */
	LIMIT_REPS = 5 /* before, and as many after */
};

static int
say_written(const char *path, int rc)
{
	if (rc < 0)
		fprintf(stderr, "shoal-bench: cannot write %s: %s\n", path, strerror(-rc));
	return rc < 0 ? 2 : 0;
}

/* What is left to be written is written even where something before could not be. */
static int
write_files(const struct report *r, const struct options *o)
{
	int rc = 0;

	if (o->json)
		rc |= say_written(o->json, report_json(r, o->json));
	if (o->csv)
		rc |= say_written(o->csv, report_csv(r->session, o->csv));
	return rc;
}

static void
look_at_machine(const struct options *o, struct host *host, struct limits *limits)
{
	host_look(host);
	host_print(host, stdout);
	for (int i = 0; i < LIMIT_REPS; i++) {
		limits_measure(limits);
		nanosleep(&(struct timespec){ .tv_nsec = LIMIT_REST_NS }, NULL);
	}
	rings_choose(o->rings, limits);
	printf("rings: %s\n", rings_text());
}

static void
measure_all(struct session *s, struct limits *limits)
{
	session_run(s);
	for (int i = 0; i < LIMIT_REPS; i++)
		limits_measure(limits);
}

/* An exit status of 0 says that something was measured. */
static int
say_nothing_fits(void)
{
	fputs("shoal-bench: nothing to measure fits what was chosen (try --list)\n", stderr);
	return 2;
}

/* The exit status, with that of the comparison that was asked for. */
static int
status_of(const struct session *s, const struct options *o, const struct json *old, int rc)
{
	return old && compare_with(s, old, o->compare, stdout) ? 2 : rc;
}

static int
measure_bars(struct session *s, const struct options *o, const struct json *old)
{
	static struct bars bars;
	struct limits limits = { .reps = 0 };
	struct host host;
	struct report report = { s, &bars, &host, &limits };
	bool met;
	int rc;

	bars_plan(&bars, s, o->only);
	if (!bars.count)
		return say_nothing_fits();
	look_at_machine(o, &host, &limits);
	bars_deaths(&bars);
	measure_all(s, &limits);
	bars_judge(&bars, s);
	report_limits(&limits, stdout);
	putchar('\n');
	met = bars_print(&bars, stdout);
	rc = write_files(&report, o);
	return status_of(s, o, old, rc ? rc : !met);
}

static bool
all_good(const struct session *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (series_error(s, &s->series[i]))
			return false;
	return true;
}

static void
say_left_out(const struct options *o)
{
	for (size_t i = 0; i < subject_count; i++)
		if (!subjects[i]->open && options_only(o->only, subjects[i]->name))
			printf("\n%s: %s\n", subjects[i]->name, subjects[i]->about);
}

static int
measure_table(struct session *s, const struct options *o, const struct json *old)
{
	struct limits limits = { .reps = 0 };
	struct host host;
	struct report report = { s, NULL, &host, &limits };
	int rc;

	add_all(s, o);
	if (!s->count) {
		say_left_out(o);
		return say_nothing_fits();
	}
	look_at_machine(o, &host, &limits);
	measure_all(s, &limits);
	report_table(s, stdout);
	report_limits(&limits, stdout);
	say_left_out(o);
	rc = write_files(&report, o);
	return status_of(s, o, old, rc ? rc : !all_good(s));
}

int
main(int argc, char **argv)
{
	struct options options;
	struct session session = { .count = 0 };
	const struct json *old = NULL;
	int rc;

	if (argc == 2 && !strcmp(argv[1], SUBJECT_NOTHING))
		return 0;
	options_read(&options, argc, argv);
	if (options.list) {
		list();
		return 0;
	}
	if (options.compare && !(old = compare_read(options.compare)))
		return 2;
	session.reps = options.reps;
	session.timing.window_ns = options.window_ms * 1000000ull;
	session.timing.warm_ns = session.timing.window_ns / 3 + 5000000;
	rc = options.bars ? measure_bars(&session, &options, old)
	                  : measure_table(&session, &options, old);
	session_free(&session);
	return rc;
}
