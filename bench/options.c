/* options.c - the command line */
#include "options.h"

#include "subject.h"

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
	"usage: shoal-bench [options]\n"
	"\n"
	"Measures shoal's queue and pipe beside what else carries messages between processes,\n"
	"its memory beside malloc, and locks that processes share.\n"
	"\n"
	"  --quick          a selection of subjects, shapes and sizes, under one minute (the\n"
	"                   default where neither --sizes nor --shapes is given)\n"
	"  --full           every subject, shape and size\n"
	"  --bars           the library's bars: measured, demanded, met or not; the exit\n"
	"                   status is 1 if any is not met\n"
	"  --only TEXT,...  only subjects (with --bars: bars) whose name contains a TEXT;\n"
	"                   what their ratios are against stays\n"
	"  --measure TEXT   only measures whose name contains TEXT, such as asleep\n"
	"  --sizes LIST     bytes a message, such as 8,256,4K,1M (multiples of 8)\n"
	"  --shapes LIST    producers and consumers, such as 1:1,3:20; 4 is 4:4\n"
	"  --rings WHICH    small or large (4 MiB), for all subjects; else large where this\n"
	"                   machine carries more in them, as its limits tell\n"
	"  --reps N         repetitions, interleaved; medians are reported (5; bars 7)\n"
	"  --window-ms N    how long each repetition is observed (quick 25, full 60, bars 80);\n"
	"                   round trips of sleepers and contended locks take four times as long\n"
	"  --json FILE      also write every repetition to FILE; bench/README.md has its schema\n"
	"  --csv FILE       the same, flat\n"
	"  --compare OLD    beside what --json has written: the exit status is 2 if any of\n"
	"                   shoal's series is worse, beyond the noise, or none is in both\n"
	"  --list           what there is to measure\n"
	"  --help           this text\n";

/* The first of all shapes: those with as many on either side. */
enum {
	QUICK_SHAPES = 3
};

enum {
	QUICK = 1,
	FULL,
	BARS,
	ONLY,
	MEASURE,
	SIZES,
	SHAPES,
	RINGS,
	REPS,
	WINDOW,
	JSON,
	CSV,
	COMPARE,
	LIST,
	HELP,
};

static const struct option names[] = {
	{ "quick", no_argument, NULL, QUICK },
	{ "full", no_argument, NULL, FULL },
	{ "bars", no_argument, NULL, BARS },
	{ "only", required_argument, NULL, ONLY },
	{ "measure", required_argument, NULL, MEASURE },
	{ "sizes", required_argument, NULL, SIZES },
	{ "shapes", required_argument, NULL, SHAPES },
	{ "rings", required_argument, NULL, RINGS },
	{ "reps", required_argument, NULL, REPS },
	{ "window-ms", required_argument, NULL, WINDOW },
	{ "json", required_argument, NULL, JSON },
	{ "csv", required_argument, NULL, CSV },
	{ "compare", required_argument, NULL, COMPARE },
	{ "list", no_argument, NULL, LIST },
	{ "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

static void
die(const char *what, const char *text)
{
	fprintf(stderr, "shoal-bench: %s '%s' (try --help)\n", what, text);
	exit(2);
}

/* Bars have their own subjects, sizes and shapes. */
static void
one_selection(const struct options *o, bool full)
{
	if (o->quick && full)
		die("not both --quick and", "--full");
	if (!o->bars)
		return;
	if (o->quick || full)
		die("--bars are not chosen by", full ? "--full" : "--quick");
	if (o->measure)
		die("--bars are not chosen by", "--measure");
	if (o->size_count || o->shape_count)
		die("--bars are not chosen by", o->size_count ? "--sizes" : "--shapes");
}

/* Known before anything is measured; nothing is made or changed yet. */
static const char *
writable(const char *path)
{
	char name[PATH_MAX];
	struct stat is;

	snprintf(name, sizeof name, "%s", path);
	if (!*path || strlen(path) >= sizeof name)
		die("not a path to write:", path);
	if (access(path, W_OK) != 0 && (errno != ENOENT || access(dirname(name), W_OK) != 0))
		die("cannot write", path);
	if (stat(path, &is) == 0 && S_ISDIR(is.st_mode))
		die("a directory is no file to write:", path);
	return path;
}

static unsigned
number(const char *text, unsigned max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || value == 0 || value > max)
		die("not a number that will do:", text);
	return (unsigned)value;
}

/* Every list has at least one element, and none is blank. */
static const char *
whole_list(const char *list)
{
	const char *at = list;

	for (;;) {
		at += strspn(at, " ");
		if (*at == ',' || *at == '\0')
			die("an element is empty in", list);
		at += strcspn(at, ",");
		if (*at++ == '\0')
			return list;
	}
}

static size_t
size_from(const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10), unit = 1;

	if (*end == 'K' || *end == 'k')
		unit = KIBI;
	else if (*end == 'M' || *end == 'm')
		unit = MEBI;
	end += unit > 1;
	if (end == text || *end || value > 64 * MEBI / unit || value * unit < 8 || value * unit % 8)
		die("not a size:", text);
	return (size_t)(value * unit);
}

static void
read_sizes(struct options *o, char *list)
{
	char *rest, *one;

	whole_list(list);
	for (one = strtok_r(list, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
		if (o->size_count == CHOICES_MAX)
			die("more sizes than can be measured at once, from", one);
		o->sizes[o->size_count++] = size_from(one);
	}
}

static enum rings
rings_from(const char *text)
{
	if (strcmp(text, "small") && strcmp(text, "large"))
		die("rings are small or large, not", text);
	return *text == 's' ? RINGS_SMALL : RINGS_LARGE;
}

static struct shape
shape_from(char *text)
{
	char *colon = strchr(text, ':');
	struct shape shape;

	if (colon)
		*colon = '\0';
	shape.producers = number(text, SIDE_MAX);
	shape.consumers = colon ? number(colon + 1, SIDE_MAX) : shape.producers;
	return shape;
}

static void
read_shapes(struct options *o, char *list)
{
	char *rest, *one;

	whole_list(list);
	for (one = strtok_r(list, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
		if (o->shape_count == CHOICES_MAX)
			die("more shapes than can be measured at once, from", one);
		o->shapes[o->shape_count++] = shape_from(one);
	}
}

static void
read_one(struct options *o, int option, char *value, bool *full)
{
	if (option == QUICK)
		o->quick = true;
	else if (option == FULL)
		*full = true;
	else if (option == BARS)
		o->bars = true;
	else if (option == LIST)
		o->list = true;
	else if (option == ONLY)
		o->only = whole_list(value);
	else if (option == MEASURE)
		o->measure = value;
	else if (option == JSON)
		o->json = writable(value);
	else if (option == CSV)
		o->csv = writable(value);
	else if (option == COMPARE)
		o->compare = value;
	else if (option == SIZES)
		read_sizes(o, value);
	else if (option == SHAPES)
		read_shapes(o, value);
	else if (option == RINGS)
		o->rings = rings_from(value);
	else if (option == REPS)
		o->reps = number(value, 1000);
	else if (option == WINDOW)
		o->window_ms = number(value, 60000);
}

bool
options_only(const char *only, const char *name)
{
	char text[128];

	while (only) {
		size_t length = strcspn(only, ",");

		snprintf(text, sizeof text, "%.*s", (int)length, only);
		if (strstr(name, text))
			return true;
		only += length;
		if (*only++ == '\0')
			return false;
	}
	return true;
}

static void
fill_in(struct options *o, bool full)
{
	static const size_t sizes[] = { 8, 64, KIBI, 64 * KIBI, MEBI };
	static const struct shape shapes[] = { { 1, 1 }, { 2, 2 }, { 4, 4 }, { 1, 10 },
		                               { 10, 1 }, { 3, 20 }, { 20, 3 }, { 20, 20 } };

	if (!o->size_count && !o->shape_count)
		*(full ? &o->full : &o->quick) = true;
	if (!o->window_ms)
		o->window_ms = o->bars ? 80 : o->quick ? 25
		                                       : 60;
	if (!o->reps)
		o->reps = o->bars ? 7 : 5;
	if (!o->size_count) {
		memcpy(o->sizes, sizes, sizeof sizes);
		o->size_count = sizeof sizes / sizeof *sizes;
	}
	if (!o->shape_count) {
		memcpy(o->shapes, shapes, sizeof shapes);
		o->shape_count = full ? sizeof shapes / sizeof *shapes : QUICK_SHAPES;
	}
}

void
options_read(struct options *o, int argc, char **argv)
{
	bool full = false;
	int option;

	memset(o, 0, sizeof *o);
	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (option == HELP) {
			fputs(usage, stdout);
			exit(0);
		}
		if (option == '?')
			exit(2);
		read_one(o, option, optarg, &full);
	}
	if (optind < argc)
		die("unexpected", argv[optind]);
	one_selection(o, full);
	fill_in(o, full);
}
