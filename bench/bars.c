/* bars.c - the table of bars, and the verdicts */
#include "bars.h"

#include "limits.h"
#include "options.h"
#include "progress.h"

#include <stdlib.h>
#include <string.h>

#define ROW(txt, subj, meas, n, size, other, val, lim, most) \
	{ \
		.text = txt, \
		.ours = { .subject = subj, .measure = meas, .producers = n, .consumers = n, \
		          .bytes = size }, \
		.peer = other, .value = val, .limit = lim, .at_most = most, \
	}
#define RATE_ROW(txt, subj, n, size, other, lim) \
	ROW(txt, subj, ONE_WAY, n, size, other, RATE, lim, false)
#define TOUCHED_ROW(txt, subj, size, lim) \
	ROW(txt, subj, ONE_WAY_TOUCHED, 1, size, &subject_pipe, RATE, lim, false)
#define PLAIN_ROW(txt, n, size) \
	RATE_ROW("queue, " txt ", to the sequence ring", &subject_queue, n, size, \
	         &subject_vyukov, 1)
/* Locks have no sizes: processes are two a pair, and `ns` is the time inside. */
#define LOCK_ROW(txt, meas, n, ns, other, val, lim) \
	{ \
		.text = txt, \
		.ours = { .subject = &subject_lock, .measure = meas, .pairs = n, .inside_ns = ns }, \
		.peer = other, .value = val, .limit = lim, \
	}
/* Two processes, keys and values of the table in the design. */
#define MAP_ROW(txt, meas, other, lim) \
	{ \
		.text = "dict, " txt, \
		.ours = { .subject = &subject_dict, .measure = meas, .pairs = 1, .bytes = 64, \
		          .keys = 100000 }, \
		.peer = other, .value = RATE, .limit = lim, \
	}
/* Times of a start and a join, to a bare one's beside the same memory. */
#define START_ROW(txt, subj, mib, other, lim) \
	{ \
		.text = "process start + join, " txt, \
		.ours = { .subject = subj, .measure = PROCESS_START, .pairs = 1, \
		          .beside_mib = mib }, \
		.peer = other, .value = P50, .limit = lim, .at_most = true, \
	}
#define DEATH_ROW(txt, who, n) \
	{ \
		.text = txt, .victim = who, .kills = n, .limit = 10, .at_most = true, \
	}
#define POOL_ROW(txt, which, lim) \
	{ \
		.text = txt, .pool = which, .limit = lim, \
	}

static const struct bar table[] = {
	RATE_ROW("pipe, 8 B, to pipe(2)", &subject_shoal_pipe, 1, 8, &subject_pipe, 40),
	RATE_ROW("pipe, 64 B, to pipe(2)", &subject_shoal_pipe, 1, 64, &subject_pipe, 15),
	RATE_ROW("pipe, 1 KiB, to pipe(2)", &subject_shoal_pipe, 1, KIBI, &subject_pipe, 8),
	RATE_ROW("pipe, 64 KiB, to pipe(2)", &subject_shoal_pipe, 1, 64 * KIBI, &subject_pipe, 10),
	RATE_ROW("pipe, 1 MiB, to pipe(2)", &subject_shoal_pipe, 1, MEBI, &subject_pipe, 8),
	RATE_ROW("queue, 8 B 1:1, to pipe(2)", &subject_queue, 1, 8, &subject_pipe, 20),
	RATE_ROW("queue, 8 B 4:4, to 4:4 on one pipe(2)", &subject_queue, 4, 8, &subject_pipe, 15),
	RATE_ROW("queue, 64 B 1:1, to pipe(2)", &subject_queue, 1, 64, &subject_pipe, 12),
	RATE_ROW("queue, 1 KiB 1:1, to pipe(2)", &subject_queue, 1, KIBI, &subject_pipe, 7),
	PLAIN_ROW("8 B 1:1", 1, 8),
	PLAIN_ROW("8 B 2:2", 2, 8),
	PLAIN_ROW("8 B 4:4", 4, 8),
	PLAIN_ROW("64 B 1:1", 1, 64),
	PLAIN_ROW("64 B 2:2", 2, 64),
	PLAIN_ROW("64 B 4:4", 4, 64),
	PLAIN_ROW("1 KiB 1:1", 1, KIBI),
	PLAIN_ROW("1 KiB 2:2", 2, KIBI),
	PLAIN_ROW("1 KiB 4:4", 4, KIBI),
	RATE_ROW("pipe in batches of 32, 8 B, to pipe(2)", &subject_shoal_pipe_batch, 1, 8,
	         &subject_pipe, 100),
	RATE_ROW("queue in batches of 32, 8 B, to pipe(2)", &subject_queue_batch, 1, 8,
	         &subject_pipe, 40),
	TOUCHED_ROW("pipe in place, 64 KiB, every byte touched, to pipe(2)",
	            &subject_shoal_pipe_loan, 64 * KIBI, 4),
	TOUCHED_ROW("queue in place, 64 KiB, every byte touched, to pipe(2)", &subject_queue_loan,
	            64 * KIBI, 4),
	ROW("round trip spinning, p50, pipe: shorter than pipe(2)'s", &subject_shoal_pipe,
	    ROUND_SPINNING, 1, 8, &subject_pipe, P50, 20, false),
	ROW("round trip spinning, p50, queue: shorter than pipe(2)'s", &subject_queue,
	    ROUND_SPINNING, 1, 8, &subject_pipe, P50, 20, false),
	ROW("round trip asleep, p50, pipe: of pipe(2)'s time", &subject_shoal_pipe, ROUND_ASLEEP, 1,
	    8, &subject_pipe, P50, 1.3, true),
	ROW("round trip asleep, p50, queue: of pipe(2)'s time", &subject_queue, ROUND_ASLEEP, 1, 8,
	    &subject_pipe, P50, 1.3, true),
	{
		.text = "alloc + free of 64 B: of malloc's time",
		.ours = { .subject = &subject_alloc, .measure = ALLOCATION, .pairs = 1, .bytes = 64 },
		.peer = &subject_malloc,
		.value = RATE,
		.limit = 1.5,
		.at_most = true,
	},
	LOCK_ROW("lock + unlock alone: rate, to a pthread mutex", LOCK_ALONE, 1, 0,
	         &subject_lock_normal, RATE, 1),
	LOCK_ROW("lock, 2 processes, 100 ns inside, to a robust mutex", LOCK_CONTENDED, 1, 100,
	         &subject_lock_robust, RATE, 1),
	LOCK_ROW("lock, 4 processes, 100 ns inside, to a robust mutex", LOCK_CONTENDED, 2, 100,
	         &subject_lock_robust, RATE, 1),
	LOCK_ROW("lock, 4 processes, 100 ns inside: smallest of fair shares", LOCK_CONTENDED, 2,
	         100, NULL, SHARE, 0.3),
	LOCK_ROW("lock, 4 processes, 0 ns inside: smallest of fair shares", LOCK_CONTENDED, 2, 0,
	         NULL, SHARE, 0.3),
	MAP_ROW("95 % reads, 2 processes, to Boost's map", MAP_READING, &subject_map_boost, 4),
	MAP_ROW("50 % reads, 2 processes, to Boost's map", MAP_HALF, &subject_map_boost, 4),
	MAP_ROW("95 % reads, 2 processes, to LMDB", MAP_READING, &subject_map_lmdb, 4),
	MAP_ROW("50 % reads, 2 processes, to LMDB", MAP_HALF, &subject_map_lmdb, 4),
	MAP_ROW("95 % reads, 2 processes, to Redis", MAP_READING, &subject_map_redis, 50),
	MAP_ROW("50 % reads, 2 processes, to Redis", MAP_HALF, &subject_map_redis, 50),
	START_ROW("fork: of a bare fork's", &subject_start_fork, 0, &subject_bare_fork, 1.3),
	START_ROW("fork, 1 GiB: of a bare fork's", &subject_start_fork, 1024, &subject_bare_fork,
	          1.3),
	START_ROW("server: of a bare fork's", &subject_start_server, 0, &subject_bare_fork, 2),
	START_ROW("server, 1 GiB: of a bare fork's", &subject_start_server, 1024,
	          &subject_bare_fork, 0.1),
	START_ROW("spawn: of a bare spawn's", &subject_start_spawn, 0, &subject_bare_spawn, 1.3),
	START_ROW("spawn, 1 GiB: of a bare fork's", &subject_start_spawn, 1024,
	          &subject_bare_fork, 0.5),
	DEATH_ROW("death of a putter: p99 to the next message, 64 members", VICTIM_PUT, 150),
	DEATH_ROW("death inside a batch of 32: p99 to the next message", VICTIM_PUT_MANY, 150),
	DEATH_ROW("death of a getter: p99 to the next message, 64 members", VICTIM_GET, 150),
	POOL_ROW("pool map, trivial items, chunk 1: rate, to OpenMP", POOL_MAP_ONE, 0.5),
	POOL_ROW("pool map, trivial items, default chunk: to OpenMP", POOL_MAP_DEFAULT, 0.5),
	POOL_ROW("pool round trip: shorter than Python's Pool's", POOL_TRIP_PYTHON, 10),
	POOL_ROW("pool round trip: shorter than ProcessPoolExecutor's", POOL_TRIP_EXECUTOR, 10),
	POOL_ROW("pool, burst of apply_async: rate, to Python's Pool's", POOL_BURST_PYTHON, 10),
};

/* configure has not found it: there is nothing to be judged. */
static bool
bar_lacks_peer(const struct bar *bar)
{
	if (bar->pool)
		return pool_lacks(bar->pool) != NULL;
	return bar->peer && !bar->peer->open;
}

void
bars_plan(struct bars *bars, struct session *s, const char *only)
{
	bars->count = 0;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct bar *bar = &bars->bar[bars->count];
		struct plan peer = table[i].ours;

		if (!options_only(only, table[i].text))
			continue;
		*bar = table[i];
		bars->count++;
		if (bar->kills || bar->pool || bar_lacks_peer(bar))
			continue;
		bar->ours_at = session_add(s, &bar->ours);
		peer.subject = bar->peer;
		if (bar->peer)
			bar->peer_at = session_add(s, &peer);
	}
}

void
bars_deaths(struct bars *bars)
{
	for (size_t i = 0; i < bars->count; i++) {
		struct bar *bar = &bars->bar[i];

		if (!bar->kills && !bar->pool)
			continue;
		progress_say(bar->text);
		if (bar->kills)
			death_run(bar->victim, bar->kills, &bar->death);
		else if (!bar_lacks_peer(bar))
			pool_run(bar->pool, &bar->pooled);
	}
	progress_say("");
}

/* More is better in a rate and worse in a time, and some bars are on how many times shorter. */
static double
ratio_of(const struct bar *bar, const struct sample *ours, const struct sample *peer)
{
	double mine = sample_value(ours, bar->value), its = sample_value(peer, bar->value);
	bool inverted = bar->at_most ? bar->value == RATE : bar->value != RATE;

	return inverted ? its / mine : mine / its;
}

/* Of the repetitions of which both were, or of those where the processors were as far for both. */
static size_t
ratios_of(const struct bar *bar, const struct session *s, bool same_line, double *ratios,
          double *lines)
{
	const struct series *ours = &s->series[bar->ours_at], *peer = &s->series[bar->peer_at];
	size_t count = 0;

	for (unsigned rep = 0; rep < s->reps; rep++) {
		const struct sample *mine = &ours->sample[rep], *its = &peer->sample[rep];

		if (!mine->ok || !its->ok)
			continue;
		if (same_line && mine->line_ns > 0 && !limits_same_line(mine->line_ns, its->line_ns))
			continue;
		ratios[count] = ratio_of(bar, mine, its);
		lines[count++] = mine->line_ns;
	}
	return count;
}

static void
judge_ratio(struct bar *bar, const struct session *s)
{
	double *ratios = calloc(2 * s->reps, sizeof *ratios), *lines = ratios + s->reps;
	size_t count;

	if (!ratios)
		return;
	bar->error = series_error(s, &s->series[bar->ours_at]);
	if (!bar->error)
		bar->error = series_error(s, &s->series[bar->peer_at]);
	count = ratios_of(bar, s, true, ratios, lines);
	if (count == 0)
		count = ratios_of(bar, s, false, ratios, lines);
	bar->measured = spread_of(ratios, count);
	bar->line = spread_of(lines, count);
	if (count == 0 && !bar->error)
		bar->error = "not measured";
	free(ratios);
}

static void
judge_value(struct bar *bar, const struct session *s)
{
	const struct series *ours = &s->series[bar->ours_at];
	double *values = calloc(s->reps, sizeof *values);

	if (!values)
		return;
	bar->error = series_error(s, ours);
	bar->measured = spread_of(values, series_values(s, ours, bar->value, values));
	free(values);
}

static void
judge_death(struct bar *bar)
{
	bar->measured.median = bar->death.p99_ms;
	bar->measured.min = bar->death.p50_ms;
	bar->measured.max = bar->death.max_ms;
	bar->error = bar->death.error[0] ? bar->death.error : NULL;
}

static void
judge_pool(struct bar *bar)
{
	bar->measured = bar->pooled.ratio;
	bar->error = bar->pooled.error[0] ? bar->pooled.error : NULL;
}

void
bars_judge(struct bars *bars, const struct session *s)
{
	for (size_t i = 0; i < bars->count; i++) {
		struct bar *bar = &bars->bar[i];

		if (bar_lacks_peer(bar))
			continue;
		if (bar->kills)
			judge_death(bar);
		else if (bar->pool)
			judge_pool(bar);
		else if (bar->peer)
			judge_ratio(bar, s);
		else
			judge_value(bar, s);
		bar->met = !bar->error && (bar->at_most ? bar->measured.median <= bar->limit
		                                        : bar->measured.median >= bar->limit);
	}
}

static void
print_death(const struct bar *bar, FILE *out)
{
	const struct death_result *d = &bar->death;

	fprintf(out, "%7.2f ms  (p50 %.2f, max %.2f; undisturbed p99 %.2f, max %.2f; ", d->p99_ms,
	        d->p50_ms, d->max_ms, d->calm_p99_ms, d->calm_max_ms);
	fprintf(out, "%u kills, %u recovered)", d->kills, (unsigned)d->recoveries);
	fprintf(out, "  <= %g ms", bar->limit);
}

static void
print_bar(const struct bar *bar, FILE *out)
{
	const char *times = bar->peer || bar->pool ? "x" : " ";
	char range[32];

	if (bar_lacks_peer(bar)) {
		fprintf(out, "%-7s %-57s %s\n", "-", bar->text,
		        bar->pool ? pool_lacks(bar->pool) : bar->peer->about);
		return;
	}
	fprintf(out, "%-7s %-57s ", bar->met ? "met" : "NOT MET", bar->text);
	if (bar->kills) {
		print_death(bar, out);
	} else {
		snprintf(range, sizeof range, "(%.2f-%.2f)", bar->measured.min, bar->measured.max);
		fprintf(out, "%7.2f%s  %-17s %s %g%s", bar->measured.median, times, range,
		        bar->at_most ? "<=" : ">=", bar->limit, times);
	}
	if (bar->line.median > 0)
		fprintf(out, "  line %.0f ns (%.0f-%.0f)", bar->line.median, bar->line.min, bar->line.max);
	if (bar->pool && !bar->error)
		fprintf(out, "  (%.3g and %.3g)", bar->pooled.ours, bar->pooled.peer);
	if (bar->error)
		fprintf(out, "  FAILED: %s", bar->error);
	fputc('\n', out);
}

bool
bars_print(const struct bars *bars, FILE *out)
{
	size_t met = 0, judged = 0;

	for (size_t i = 0; i < bars->count; i++) {
		print_bar(&bars->bar[i], out);
		met += bars->bar[i].met;
		judged += !bar_lacks_peer(&bars->bar[i]);
	}
	fprintf(out, "%zu of %zu bars met\n", met, judged);
	return met == judged;
}

void
bars_list(FILE *out)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		fprintf(out, "  %s\n", table[i].text);
}
