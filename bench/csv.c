/* csv.c - every repetition of every series, one a line */
#include "progress.h"
#include "report.h"

#include <errno.h>

static void
print_sample(const struct series *one, unsigned rep, FILE *out)
{
	const struct plan *p = &one->plan;
	const struct sample *s = &one->sample[rep];
	char cell[128];

	fprintf(out, "\"%s\",%s,\"%s\",\"%s\",%u,%u,%u,%zu,%u,%d,", p->subject->name, report_waits(p),
	        measure_name(p->measure), cell_text(p, cell), p->producers, p->consumers, p->pairs,
	        p->bytes, rep, s->ok);
	fprintf(out, "%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%llu,", s->rate, s->cpu_ns, s->switches,
	        s->p50, s->p90, s->p99, s->p999, s->max, (unsigned long long)s->messages);
	fprintf(out, "%u,%u,%.6g,%.6g,%.4g\n", p->inside_ns, p->keys, s->share, s->pause_us,
	        s->line_ns);
}

int
report_csv(const struct session *s, const char *path)
{
	FILE *out = fopen(path, "w");

	if (!out)
		return -errno;
	fputs("subject,waits,measure,cell,producers,consumers,pairs,bytes,rep,ok,million_per_s,cpu_ns,"
	      "switches_per_million,p50_us,p90_us,p99_us,p999_us,max_us,messages,"
	      "inside_ns,keys,share,pause_us,line_ns\n",
	      out);
	for (size_t i = 0; i < s->count; i++)
		for (unsigned rep = 0; rep < s->reps; rep++)
			print_sample(&s->series[i], rep, out);
	return fclose(out) == 0 ? 0 : -errno;
}
