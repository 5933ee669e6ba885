/* json.c - every repetition of every series as JSON */
#include "progress.h"
#include "report.h"
#include "rings.h"

#include <errno.h>
#include <time.h>

/* All texts are our own or strerror's: quotes and backslashes are all that needs care. */
static void
print_text(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
	}
	fputc('"', out);
}

/* One member, and the comma in front of the next one. */
static void
print_member(const char *name, const char *text, FILE *out)
{
	fprintf(out, "\"%s\": ", name);
	print_text(text, out);
	fputs(", ", out);
}

static void
print_host(const struct host *h, FILE *out)
{
	fputs("  \"host\": {", out);
	print_member("cpu", h->cpu, out);
	print_member("kernel", h->kernel, out);
	print_member("machine", h->machine, out);
	print_member("virt", h->virt, out);
	print_member("governor", h->governor, out);
	print_member("clock", h->clock, out);
	print_member("thp", h->thp, out);
	print_member("thp_shmem", h->thp_shmem, out);
	fprintf(out, "\n    \"processors\": %u, \"cores\": %u, \"packages\": %u, \"smt\": %d, ",
	        h->processors, h->cores, h->packages, h->smt);
	fprintf(out, "\"load\": %g,\n    \"warnings\": [", h->load);
	for (unsigned i = 0; i < h->warnings; i++) {
		fputs(i ? ", " : "", out);
		print_text(h->warning[i], out);
	}
	fputs("]},\n  \"build\": {", out);
	print_member("git", h->git, out);
	print_member("cc", h->cc, out);
	fputs("\"cflags\": ", out);
	print_text(h->cflags, out);
	fputs("},\n", out);
}

static void
print_limits(const struct limits *limits, FILE *out)
{
	fputs("  \"limits\": [\n", out);
	for (int i = 0; i < LIMITS; i++) {
		struct spread spread = limits_spread(limits, (enum limit)i);

		fputs("    {", out);
		print_member("limit", limit_name((enum limit)i), out);
		print_member("unit", limit_unit((enum limit)i), out);
		fprintf(out, "\"median\": %.6g, \"min\": %.6g, \"max\": %.6g}%s\n", spread.median,
		        spread.min, spread.max, i + 1 < LIMITS ? "," : "");
	}
	fputs("  ],\n", out);
}

static void
print_sample(const struct sample *s, bool curve, FILE *out)
{
	fprintf(out, "{\"ok\": %s, \"million_per_s\": %.6g, \"cpu_ns\": %.6g, ",
	        s->ok ? "true" : "false", s->rate, s->cpu_ns);
	fprintf(out, "\"switches_per_million\": %.6g, ", s->switches);
	fprintf(out, "\"p50_us\": %.6g, \"p90_us\": %.6g, \"p99_us\": %.6g, \"p999_us\": %.6g, ",
	        s->p50, s->p90, s->p99, s->p999);
	fprintf(out, "\"max_us\": %.6g, \"share\": %.6g, \"pause_us\": %.6g, ", s->max, s->share,
	        s->pause_us);
	fputs(curve ? "\"curve_us\": [" : "", out);
	for (int i = 0; curve && i < CURVE; i++)
		fprintf(out, "%.6g%s", s->curve[i], i + 1 < CURVE ? ", " : "], ");
	fprintf(out, "\"line_ns\": %.4g, ", s->line_ns);
	fprintf(out, "\"messages\": %llu", (unsigned long long)s->messages);
	if (!s->ok) {
		fputs(", \"error\": ", out);
		print_text(s->error, out);
	}
	fputc('}', out);
}

static void
print_series(const struct session *s, const struct series *one, FILE *out)
{
	const struct subject *subject = one->plan.subject;
	char cell[128];

	fputs("    {", out);
	print_member("subject", subject->name, out);
	print_member("measure", measure_name(one->plan.measure), out);
	print_member("cell", cell_text(&one->plan, cell), out);
	print_member("waits", report_waits(&one->plan), out);
	fprintf(out, "\"private\": %s, ", subject->traits & SUBJECT_PRIVATE ? "true" : "false");
	fprintf(out, "\"threads\": %s, \"base\": %s, \"target_million_per_s\": %.6g, ",
	        subject->traits & SUBJECT_THREADS ? "true" : "false",
	        subject->traits & SUBJECT_IS_BASE ? "true" : "false", one->plan.rate);
	fprintf(out, "\"producers\": %u, \"consumers\": %u, \"pairs\": %u, ", one->plan.producers,
	        one->plan.consumers, one->plan.pairs);
	fprintf(out, "\"bytes\": %zu, \"inside_ns\": %u, \"keys\": %u, ", one->plan.bytes,
	        one->plan.inside_ns, one->plan.keys);
	fprintf(out, "\"beside_mib\": %u, ", one->plan.beside_mib);
	fputs("\"samples\": [", out);
	for (unsigned rep = 0; rep < s->reps; rep++) {
		fputs(rep ? ",\n      " : "\n      ", out);
		print_sample(&one->sample[rep], one->plan.measure == FIXED_RATE, out);
	}
	fputs("]}", out);
}

static void
print_bar(const struct bar *bar, FILE *out)
{
	fputs("    {\"bar\": ", out);
	print_text(bar->text, out);
	fprintf(out, ", \"unit\": \"%s\", \"measured\": %.6g, \"min\": %.6g, \"max\": %.6g, ",
	        bar->kills ? "ms" : "ratio", bar->measured.median, bar->measured.min,
	        bar->measured.max);
	if (bar->line.median > 0)
		fprintf(out, "\"line_ns\": %.4g, ", bar->line.median);
	fprintf(out, "\"%s\": %g, \"met\": %s", bar->at_most ? "at_most" : "at_least", bar->limit,
	        bar->met ? "true" : "false");
	if (bar->error) {
		fputs(", \"error\": ", out);
		print_text(bar->error, out);
	}
	fputc('}', out);
}

static void
print_left_out(FILE *out)
{
	bool first = true;

	fputs("  ],\n  \"left_out\": [", out);
	for (size_t i = 0; i < subject_count; i++) {
		if (subjects[i]->open)
			continue;
		fputs(first ? "{" : ", {", out);
		print_member("subject", subjects[i]->name, out);
		fputs("\"why\": ", out);
		print_text(subjects[i]->about, out);
		fputc('}', out);
		first = false;
	}
	fputs("]\n}\n", out);
}

int
report_json(const struct report *r, const char *path)
{
	const struct session *s = r->session;
	FILE *out = fopen(path, "w");

	if (!out)
		return -errno;
	fputs("{\n  \"schema\": \"" REPORT_SCHEMA "\",\n", out);
	print_host(r->host, out);
	fprintf(out, "  \"ended\": %lld,\n  \"reps\": %u,\n  \"window_ms\": %g,\n",
	        (long long)time(NULL), s->reps, (double)s->timing.window_ns / 1e6);
	fputs("  ", out);
	print_member("rings", rings_text(), out);
	fputc('\n', out);
	print_limits(r->limits, out);
	fputs("  \"series\": [\n", out);
	for (size_t i = 0; i < s->count; i++) {
		print_series(s, &s->series[i], out);
		fputs(i + 1 < s->count ? ",\n" : "\n", out);
	}
	fputs("  ],\n  \"bars\": [\n", out);
	for (size_t i = 0; r->bars && i < r->bars->count; i++) {
		print_bar(&r->bars->bar[i], out);
		fputs(i + 1 < r->bars->count ? ",\n" : "\n", out);
	}
	print_left_out(out);
	return fclose(out) == 0 ? 0 : -errno;
}
