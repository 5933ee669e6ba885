/* judge.c - whether a repetition counts, and what its rows say */
#include "judge.h"

#include "stats.h"

#include <math.h>

static void
agree(const struct plan *p, struct stage *stage, struct sample *out)
{
	struct row sent = { 0 }, got = { 0 };

	for (unsigned i = 0; i < workers_of(p); i++) {
		struct row *side = i < p->producers ? &sent : &got;

		side->messages += stage->row[i].messages;
		side->sum += stage->row[i].sum;
		side->squares += stage->row[i].squares;
		side->bad += stage->row[i].bad;
	}
	if (got.bad)
		reject(out, "%llu messages torn or out of order", (unsigned long long)got.bad);
	if (sent.messages != got.messages)
		reject(out, "sent %llu, received %llu", (unsigned long long)sent.messages,
		       (unsigned long long)got.messages);
	if (sent.sum != got.sum || sent.squares != got.squares)
		reject(out, "the checksums of %llu messages differ",
		       (unsigned long long)got.messages);
	out->messages = got.messages;
}

static void
excluded(const struct plan *p, struct stage *stage, struct sample *out)
{
	for (unsigned i = 0; i < workers_of(p); i++) {
		out->messages += stage->row[i].messages;
		if (stage->row[i].bad)
			reject(out, "%llu times not the other one's turn",
			       (unsigned long long)stage->row[i].bad);
	}
	if (stage->guarded != out->messages)
		reject(out, "%llu acquisitions have left a count of %llu",
		       (unsigned long long)out->messages, (unsigned long long)stage->guarded);
}

static void
mapped(const struct plan *p, struct stage *stage, struct sample *out)
{
	for (unsigned i = 0; i < workers_of(p); i++) {
		out->messages += stage->row[i].messages;
		if (stage->row[i].bad)
			reject(out, "%llu values torn, missing or another key's",
			       (unsigned long long)stage->row[i].bad);
	}
	if (p->measure != MAP_GROWTH)
		return;
	out->pause_us = (double)stage->row[0].pause_ns / 1e3;
	out->rate = (double)p->keys * 1e3 / (double)stage->row[0].took_ns;
}

/* Two one-way times that follow each other make a round trip. */
static uint32_t
add_ways(struct stage *stage)
{
	uint32_t there = stage->row[0].trips, back = stage->row[1].trips;
	uint32_t count = there < back ? there : back;

	for (uint32_t i = 0; i < count; i++)
		stage->trip[0][i] += stage->trip[1][i];
	return count;
}

/* The first tenth of the trips is the warm-up. */
static void
trips_count(const struct plan *p, struct stage *stage, struct sample *out)
{
	uint32_t count = p->measure == ROUND_ASLEEP ? add_ways(stage) : stage->row[0].trips;
	uint32_t skip = count / 10, *trip = stage->trip[0] + skip;

	if (count - skip < 10) {
		reject(out, "only %u round trips", count);
		return;
	}
	out->p50 = percentile_u32(trip, count - skip, 0.5) / 1e3;
	out->p99 = percentile_u32(trip, count - skip, 0.99) / 1e3;
	out->p999 = percentile_u32(trip, count - skip, 0.999) / 1e3;
	if (measure_is_lock(p->measure))
		return;
	if (stage->row[0].bad)
		reject(out, "%llu wrong echoes", (unsigned long long)stage->row[0].bad);
	out->messages = 2 * (uint64_t)count;
}

static void
delays(const struct plan *p, struct stage *stage, struct sample *out)
{
	const struct hist *h = &stage->hist;

	out->p50 = hist_at(h, 0.5) / 1e3;
	out->p90 = hist_at(h, 0.9) / 1e3;
	out->p99 = hist_at(h, 0.99) / 1e3;
	out->p999 = hist_at(h, 0.999) / 1e3;
	out->max = (double)h->max / 1e3;
	out->target = p->rate;
	for (int i = 0; i < CURVE; i++)
		out->curve[i] = hist_at(h, 1 - pow(10, -i / 4.0)) / 1e3;
	if (!h->count)
		reject(out, "nothing arrived in the window");
}

void
judge(const struct plan *p, struct stage *stage, struct sample *out)
{
	uint64_t cpu_ns = 0, switches = 0;

	if (measure_is_trip(p->measure))
		trips_count(p, stage, out);
	if (measure_is_lock(p->measure))
		excluded(p, stage, out);
	else if (measure_is_map(p->measure))
		mapped(p, stage, out);
	else if (p->measure == ALLOCATION)
		out->messages = stage->row[0].messages;
	else if (!measure_is_trip(p->measure))
		agree(p, stage, out);
	if (p->measure == FIXED_RATE)
		delays(p, stage, out);
	for (unsigned i = 0; i < workers_of(p); i++) {
		cpu_ns += stage->row[i].cpu_ns;
		switches += stage->row[i].switches;
	}
	if (!out->messages) {
		reject(out, "nothing arrived");
		return;
	}
	out->cpu_ns = (double)cpu_ns / (double)out->messages;
	out->switches = (double)switches * 1e6 / (double)out->messages;
}
