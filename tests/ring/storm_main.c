/*
 * shoal-storm [--seconds N] [--seed N] [--pairs N] [--kill-ms N] [--stops]
 *             [--only KIND]... [--list] [--hold] [--spare-consumers]
 *
 * The time is shared by all kinds of channel, and of each kind's share the last quarter spares the
 * consumers. Exits with 1 when any promise was broken.
 */
#include "ring/storm.h"
#include <getopt.h>
#include <stdlib.h>

enum {
	ONLY_MAX = 32
};

struct settings {
	struct storm storm;
	double seconds;
	const struct kind *only[ONLY_MAX];
	size_t only_count;
};

static _Noreturn void
usage(void)
{
	fprintf(stderr, "usage: shoal-storm [--seconds N] [--seed N] [--pairs N] [--kill-ms N] "
	                "[--stops] [--only KIND]... [--list] [--hold] [--spare-consumers]\n");
	exit(2);
}

static void
list(void)
{
	for (const struct kind *k = kinds; k->name; k++)
		puts(k->name);
	exit(0);
}

static void
add_kind(struct settings *s, const struct kind *kind)
{
	if (!kind || s->only_count == ONLY_MAX)
		usage();
	s->only[s->only_count++] = kind;
}

static void
parse(struct settings *s, int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", 1, NULL, 's' },
		{ "seed", 1, NULL, 'r' },
		{ "pairs", 1, NULL, 'p' },
		{ "kill-ms", 1, NULL, 'k' },
		{ "only", 1, NULL, 'o' },
		{ "spare-consumers", 0, NULL, 'c' },
		{ "stops", 0, NULL, 't' },
		{ "list", 0, NULL, 'l' },
		{ "hold", 0, NULL, 'h' },
		{ 0 },
	};
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
		switch (option) {
		case 's': s->seconds = strtod(optarg, NULL); break;
		case 'r': s->storm.seed = strtoull(optarg, NULL, 0); break;
		case 'p': s->storm.pairs = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'k': s->storm.kill_every_ns = (int64_t)(strtod(optarg, NULL) * 1e6); break;
		case 'o': add_kind(s, kind_find(optarg)); break;
		case 't': s->storm.stops = true; break;
		case 'c': s->storm.spare_consumers = true; break;
		case 'l': list(); break;
		case 'h': s->storm.hold = true; break;
		default: usage();
		}
	}
	if (s->seconds <= 0 || s->storm.pairs < 1 || s->storm.pairs > 16 ||
	    s->storm.kill_every_ns < 1000)
		usage();
}

/* Three quarters of the kind's time for all, one for the producers. */
static unsigned
rage(const struct settings *s)
{
	struct storm storm = s->storm;
	int64_t ns = (int64_t)(s->seconds * 1e9 / (double)s->only_count);
	unsigned violations = 0;
	storm.duration_ns = storm.spare_consumers ? ns : ns - ns / 4;
	violations += storm_run(&storm);
	if (storm.spare_consumers)
		return violations;
	storm.spare_consumers = true;
	storm.duration_ns = ns / 4;
	return violations + storm_run(&storm);
}

int
main(int argc, char **argv)
{
	struct settings s = {
		.storm.seed = (uint64_t)shoal_now() % 1000000,
		.storm.pairs = 8,
		.storm.kill_every_ns = 3000000,
		.storm.report = stdout,
		.seconds = 60,
	};
	unsigned violations = 0;
	parse(&s, argc, argv);
	if (s.only_count == 0)
		for (const struct kind *k = kinds; k->name; k++)
			add_kind(&s, k);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < s.only_count; i++) {
		s.storm.kind = s.only[i];
		violations += rage(&s);
	}
	printf("%zu kinds of channel, %u violations\n", s.only_count, violations);
	return violations != 0;
}
