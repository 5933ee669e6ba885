/* json.c - every repetition of every series as JSON */
#include "report.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

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

static void
print_machine(FILE *out)
{
	struct utsname name;

	if (uname(&name) < 0)
		return;
	fputs("  \"kernel\": ", out);
	print_text(name.release, out);
	fputs(",\n  \"machine\": ", out);
	print_text(name.machine, out);
	fprintf(out, ",\n  \"processors\": %ld,\n", sysconf(_SC_NPROCESSORS_ONLN));
}

static void
print_sample(const struct sample *s, FILE *out)
{
	fprintf(out, "{\"ok\": %s, \"million_per_s\": %.6g, \"cpu_ns\": %.6g, ",
	        s->ok ? "true" : "false", s->rate, s->cpu_ns);
	fprintf(out, "\"p50_us\": %.6g, \"p99_us\": %.6g, \"p999_us\": %.6g, ", s->p50, s->p99,
	        s->p999);
	fprintf(out, "\"share\": %.6g, \"pause_us\": %.6g, ", s->share, s->pause_us);
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
	fputs("    {\"subject\": ", out);
	print_text(one->plan.subject->name, out);
	fputs(", \"measure\": ", out);
	print_text(measure_name(one->plan.measure), out);
	fprintf(out, ", \"producers\": %u, \"consumers\": %u, \"pairs\": %u, ", one->plan.producers,
	        one->plan.consumers, one->plan.pairs);
	fprintf(out, "\"bytes\": %zu, \"inside_ns\": %u, \"keys\": %u, ", one->plan.bytes,
	        one->plan.inside_ns, one->plan.keys);
	fprintf(out, "\"beside_mib\": %u, ", one->plan.beside_mib);
	fputs("\"samples\": [", out);
	for (unsigned rep = 0; rep < s->reps; rep++) {
		fputs(rep ? ",\n      " : "\n      ", out);
		print_sample(&one->sample[rep], out);
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
	fprintf(out, "\"%s\": %g, \"met\": %s", bar->at_most ? "at_most" : "at_least", bar->limit,
	        bar->met ? "true" : "false");
	if (bar->error) {
		fputs(", \"error\": ", out);
		print_text(bar->error, out);
	}
	fputc('}', out);
}

int
report_json(const struct session *s, const struct bars *bars, const char *path)
{
	FILE *out = fopen(path, "w");

	if (!out)
		return -errno;
	fputs("{\n", out);
	print_machine(out);
	fprintf(out, "  \"reps\": %u,\n  \"window_ms\": %g,\n  \"series\": [\n", s->reps,
	        (double)s->timing.window_ns / 1e6);
	for (size_t i = 0; i < s->count; i++) {
		print_series(s, &s->series[i], out);
		fputs(i + 1 < s->count ? ",\n" : "\n", out);
	}
	fputs("  ],\n  \"bars\": [\n", out);
	for (size_t i = 0; bars && i < bars->count; i++) {
		print_bar(&bars->bar[i], out);
		fputs(i + 1 < bars->count ? ",\n" : "\n", out);
	}
	fputs("  ]\n}\n", out);
	return fclose(out) == 0 ? 0 : -errno;
}
